"""One address per step; the server decides which one is open."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods

from annotation import steps
from annotation.access import get_enrollment
from annotation.errors import Refused
from annotation.http import explain_problems, go_on
from annotation.models import Step
from annotation.recruitment import build_return_url
from annotation.selectors import get_completion_code, get_current_step


@require_http_methods(["GET", "POST"])
@explain_problems
def walk_step(request: HttpRequest, slug: str, position: int) -> HttpResponse:
    """Show or take the step this rater is on; lead every other request to where they are."""
    enrollment = get_enrollment(request, slug)
    current = get_current_step(enrollment)
    if current is None or position != current.position:
        asked = get_object_or_404(Step, study=enrollment.study, position=position)
        if request.method == "POST":
            if current is not None and asked.position > current.position:
                raise Refused("That page is not open yet. Nothing was saved from it.")
            messages.info(request, "That page was already finished. What you sent first stands.")
        return go_on(enrollment)
    return steps.KINDS[current.kind].view(request, enrollment, current)


@require_GET
@explain_problems
def resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Lead a rater to where their way goes on."""
    return go_on(get_enrollment(request, slug))


@require_GET
@explain_problems
def finish(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the last page, with the completion code of the outcome that was reached."""
    enrollment = get_enrollment(request, slug)
    if not enrollment.outcome:
        return go_on(enrollment)
    code = get_completion_code(enrollment)
    return render(
        request,
        "annotation/done.html",
        {
            "enrollment": enrollment,
            "study": enrollment.study,
            "texts": enrollment.study.outcome_texts.get(enrollment.outcome, {}),
            "code": code,
            "return_url": build_return_url(code) if code else "",
        },
    )
