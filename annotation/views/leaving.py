"""Taking one's answers back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation import services
from annotation.access import get_enrollment, mark_page
from annotation.errors import Refused
from annotation.http import explain_problems, go_on
from annotation.models import Outcome, Study


@require_http_methods(["GET", "POST"])
@explain_problems
def withdraw(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask once, then erase; until the study is closed."""
    enrollment = get_enrollment(request, slug)
    if enrollment.outcome == Outcome.WITHDREW:
        return go_on(enrollment)
    if enrollment.study.state == Study.State.CLOSED:
        raise Refused(_("This study is closed: your answers have become part of its results."))
    if request.method == "POST":
        return go_on(services.withdraw(enrollment))
    context = {"enrollment": enrollment, "study": enrollment.study, "page_mark": mark_page(enrollment)}
    return render(request, "annotation/withdraw.html", context)
