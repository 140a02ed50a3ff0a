"""Taking a study's data away: asking for an archive, seeing it grow, downloading it."""

from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import BadRequest
from django.core.files.storage import storages
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from modeling.export.pseudonyms import write_key_table
from modeling.export.requests import list_export_jobs, log_download, log_key_table, request_export
from modeling.export.scopes import EVERYONE, SCOPES

SHOWN_TABLES = {"participants": "Raters", "annotations": "Annotations", "ratings_long": "Ratings"}


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_data(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the button that makes an export, the one under way, and those that were made."""
    study = get_study(request.user, slug, Deed.EXPORT)
    template = "modeling/_exports.html" if request.htmx else "modeling/data.html"
    return render(request, template, _describe(request, study))


@require_POST
@staff_member_required
def make_export(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the workers for an export."""
    study = get_study(request.user, slug, Deed.EXPORT)
    scope = request.POST.get("scope", EVERYONE)
    if scope not in SCOPES:
        raise BadRequest(f"An export is of {' or '.join(SCOPES)}.")
    request_export(study, scope, actor=request.user)
    return redirect("modeling:data", study.slug)


@require_GET
@staff_member_required
def download_export(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Hand an archive out, piece by piece; asked anew each time whether they may."""
    study = get_study(request.user, slug, Deed.EXPORT)
    export = get_object_or_404(study.data_exports, pk=number)
    storage = storages["artefacts"]
    if not storage.exists(export.artefact):
        raise Http404("The archive is not in the storage any more; make a new export.")
    log_download(export, request.user)
    return FileResponse(
        storage.open(export.artefact),
        as_attachment=True,
        filename=f"{study.slug}-data-{export.created_at:%Y-%m-%d-%H%M}.zip",
        content_type="application/zip",
    )


@require_POST
@staff_member_required
def download_keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Hand out who is behind each pseudonym, as things are now: the file is kept nowhere here."""
    study = get_study(request.user, slug, Deed.IDENTIFY)
    log_key_table(study, request.user)
    response = StreamingHttpResponse(write_key_table(study), content_type="text/csv; charset=utf-8")
    name = f"{study.slug}-keys-{timezone.now():%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _describe(request: HttpRequest, study: Study) -> dict:
    job = list_export_jobs(study).first()
    exports = list(study.data_exports.all())
    for export in exports:
        export.shown_counts = [(export.counts.get(table, 0), word) for table, word in SHOWN_TABLES.items()]
    return {
        "study": study,
        "job": job,
        "is_busy": job is not None and not job.is_final,
        "made": job.result["export"] if job and job.result else None,
        "exports": exports,
        "may_identify": may(request.user, study, Deed.IDENTIFY),
    }
