"""A stored figure as files: what its chart is drawn from, its drawings, its numbers."""

from collections.abc import Callable

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from annotation.permissions import Deed, get_study
from modeling.models import ReportFigure
from modeling.reports.tables import write_csv

SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a drawing runs nothing and fetches nothing

# What is read of the row for each kind of file, and how it is answered.
FILES: dict[str, tuple[str, Callable[[ReportFigure], HttpResponse]]] = {
    "json": ("spec", lambda figure: JsonResponse(figure.spec)),
    "svg": ("svg", lambda figure: HttpResponse(figure.svg, content_type="image/svg+xml")),
    "pdf": ("pdf", lambda figure: HttpResponse(bytes(figure.pdf), content_type="application/pdf")),
    "png": ("png", lambda figure: HttpResponse(bytes(figure.png), content_type="image/png")),
    "csv": (
        "table",
        lambda figure: HttpResponse(write_csv(figure.table), content_type="text/csv; charset=utf-8"),
    ),
}
SHOWN = ("json", "svg")  # on the page itself; the others are saved


@require_safe
@staff_member_required
def figure_file(request: HttpRequest, slug: str, pk: int, extension: str) -> HttpResponse:
    """Return a figure of this study as a file. The browser keeps it, but asks each time whether it may show it."""
    study = get_study(request.user, slug, Deed.SEE)
    if extension not in FILES:
        raise Http404("A figure has no such file.")
    field, answer = FILES[extension]
    figure = get_object_or_404(
        ReportFigure.objects.select_related("report").only("key", field, "report__created_at"),
        pk=pk,
        report__study=study,
    )
    response = answer(figure)
    disposition = "inline" if extension in SHOWN else "attachment"
    response["Content-Disposition"] = f'{disposition}; filename="{study.slug}-{figure.key}.{extension}"'
    response["Cache-Control"] = "private, no-cache"
    response["ETag"] = f'"{figure.pk}-{figure.report.created_at.timestamp():.6f}-{extension}"'
    if extension == "svg":
        response["Content-Security-Policy"] = SVG_POLICY
    return get_conditional_response(request, etag=response["ETag"], response=response)
