"""A study's findings as one document, and the card of a fit: to read here, or to take away as files."""

import json
from collections.abc import Callable

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from annotation.permissions import Deed, get_study
from modeling.models import ModelCard, ReportDocument
from modeling.reporting.requests import DEFAULT_KEY, list_result_jobs, request_document

from .results.frame import get_rule, make_query, open_results

# The document carries its own styles and drawings; nothing in it runs or is fetched.
DOCUMENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
FILES: dict[str, tuple[str, str, Callable[[ReportDocument], bytes]]] = {
    "html": ("html", "text/html; charset=utf-8", lambda document: document.html.encode()),
    "pdf": ("pdf", "application/pdf", lambda document: bytes(document.pdf)),
}
CARD_FILES: dict[str, tuple[str, str, Callable[[ModelCard], bytes]]] = {
    "html": ("html", "text/html; charset=utf-8", lambda card: card.html.encode()),
    "pdf": ("pdf", "application/pdf", lambda card: bytes(card.pdf)),
    "json": ("content", "application/json", lambda card: json.dumps(card.content, indent=2).encode()),
}


@require_safe
@staff_member_required
def show_document(request: HttpRequest, slug: str) -> HttpResponse:
    """Offer the document of one rule, and say which reports it shows."""
    frame = open_results(request, slug, "report")
    document = frame["study"].documents.filter(rule_key=frame["who"]).defer("html", "pdf").first()
    made = {"agreement": frame["agreement"], "evaluation": frame["evaluation"]}
    is_behind = document is not None and any(
        report is not None and report.created_at > document.created_at for report in made.values()
    )
    return render(
        request, "modeling/report.html", frame | {"document": document, "is_behind": is_behind, "made": made}
    )


@require_safe
@staff_member_required
def document_file(request: HttpRequest, slug: str, extension: str) -> HttpResponse:
    """Return the document as a file; with `?save` it is saved instead of shown."""
    study = get_study(request.user, slug, Deed.SEE)
    if extension not in FILES:
        raise Http404("A document is HTML or PDF.")
    field, content_type, read = FILES[extension]
    who = request.GET.get("who", DEFAULT_KEY)
    document = get_object_or_404(ReportDocument.objects.only(field), study=study, rule_key=who)
    suffix = "" if who == DEFAULT_KEY else f"-{who}"
    return _send(request, read(document), content_type, f"{study.slug}-report{suffix}.{extension}")


@require_POST
@staff_member_required
def make_document(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the document of the reports as they are now."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    who = request.POST.get("who", DEFAULT_KEY)
    request_document(study, get_rule(study, who, list_result_jobs(study)))
    return redirect(reverse("modeling:report", args=[study.slug]) + make_query(who))


@require_safe
@staff_member_required
def show_model_card(request: HttpRequest, slug: str, pk: int, extension: str) -> HttpResponse:
    """Return the card of a fit as HTML, PDF or JSON; with `?save` it is saved instead of shown."""
    study = get_study(request.user, slug, Deed.SEE)
    if extension not in CARD_FILES:
        raise Http404("A card is HTML, PDF or JSON.")
    field, content_type, read = CARD_FILES[extension]
    card = get_object_or_404(ModelCard.objects.only(field), fit_run=pk, fit_run__study=study)
    return _send(request, read(card), content_type, f"{study.slug}-model-card-{pk}.{extension}")


def _send(request: HttpRequest, content: bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    disposition = "attachment" if "save" in request.GET else "inline"
    response["Content-Disposition"] = f'{disposition}; filename="{name}"'
    response["Content-Security-Policy"] = DOCUMENT_POLICY
    response["Cache-Control"] = "private, no-cache"
    return response
