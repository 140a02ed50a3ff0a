"""One address per step; the server decides which one is open."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation import services, steps
from annotation.access import PAGE_MARK, get_enrollment, mark_page
from annotation.errors import Refused, Unfinished
from annotation.http import SeeOther, explain_problems, go_on, go_past
from annotation.launch import find_faults_ahead
from annotation.models import Enrollment, Outcome, Step
from annotation.paradata import read_paradata
from annotation.recruitment import build_return_url
from annotation.selectors import get_completion_code, get_current_step, get_outcome_text
from annotation.tree.nodes import UNSTORABLE
from annotation.views.reading import show_revealed

NOT_ANSWERS = (PAGE_MARK, "item", "paradata", "draft-number", "retry", "reveal")


@require_http_methods(["GET", "POST"])
@explain_problems
def walk_step(request: HttpRequest, slug: str, position: int) -> HttpResponse:
    """Show or take the step this rater is on; lead every other request to where they are."""
    enrollment = _get_enrollment_on_time(request, slug)
    current = get_current_step(enrollment)
    if current is None or position != current.position:
        asked = get_object_or_404(Step, study=enrollment.study, position=position)
        if request.method == "POST":
            if current is not None and asked.position > current.position:
                raise Refused(_("That page is not open yet. Nothing was saved from it."))
            if "retry" not in request.POST and enrollment.outcome != Outcome.WITHDREW:
                messages.info(request, _("That page was already finished. What you sent first stands."))
        return go_past(enrollment)
    if enrollment.phase == Enrollment.Phase.REHEARSAL and (
        faults := find_faults_ahead(enrollment.study, current)
    ):
        raise Unfinished(faults)
    response = steps.KINDS[current.kind].view(request, enrollment, current)
    if request.method == "POST" and isinstance(response, SeeOther) and response.is_taken:
        _note_visit(request, enrollment, current)
    return response


def _get_enrollment_on_time(request: HttpRequest, slug: str) -> Enrollment:
    """Whoever still sends something after their time is back: it is kept."""
    enrollment = get_enrollment(request, slug)
    if request.method == "POST" and enrollment.outcome == Outcome.TIMED_OUT:
        return services.go_on_after_time_out(enrollment)
    return enrollment


def _note_visit(request: HttpRequest, enrollment: Enrollment, step: Step) -> None:
    if enrollment.study.collects_paradata and step.kind != "consent":
        services.record_visit(
            enrollment,
            step,
            UNSTORABLE.sub("", request.POST.get("item", ""))[:100],
            shown_at=request.served_page.shown_at,
            client=read_paradata(request.POST.get("paradata", "")),
        )


@require_POST
@explain_problems
def keep_draft(request: HttpRequest, slug: str, position: int) -> HttpResponse:
    """Keep what stands on a page that is not submitted yet; show what a mark on it opened, where asked."""
    enrollment = _get_enrollment_on_time(request, slug)
    step = get_current_step(enrollment)
    if step is None or step.position != position:
        return HttpResponse(status=204)  # the page was submitted: there is nothing left to keep
    item = request.POST.get("item", "")
    if item != steps.KINDS[step.kind].get_item(enrollment, step):
        return HttpResponse(status=204)
    if step.kind != "consent":  # nothing is stored of someone who has not agreed
        _save_draft(request, enrollment, step, item)
    if "reveal" in request.POST:
        return show_revealed(request, enrollment, step, item)
    return HttpResponse(status=204)


def _save_draft(request: HttpRequest, enrollment: Enrollment, step: Step, item: str) -> None:
    number = request.POST.get("draft-number", "")
    fields = [
        (UNSTORABLE.sub("\ufffd", name), UNSTORABLE.sub("\ufffd", value))
        for name, values in request.POST.lists()
        for value in values
        if name not in NOT_ANSWERS
    ]
    services.save_draft(
        enrollment,
        step,
        item,
        urlencode(fields),
        page=request.POST[PAGE_MARK][-64:],
        number=int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0,
    )


@require_GET
@explain_problems
def resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Lead a rater to where their way goes on."""
    return go_on(get_enrollment(request, slug))


@require_http_methods(["GET", "POST"])
@explain_problems
def finish(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the last page, with the completion code of the outcome that was reached.

    Someone whose time ran out may press its button and go on.
    """
    enrollment = get_enrollment(request, slug)
    if request.method == "POST":
        return go_on(services.go_on_after_time_out(enrollment))
    if not enrollment.outcome:
        return go_on(enrollment)
    code = get_completion_code(enrollment)
    return render(
        request,
        "annotation/done.html",
        {
            "enrollment": enrollment,
            "study": enrollment.study,
            "texts": get_outcome_text(enrollment),
            "code": code,
            "return_url": build_return_url(code) if code else "",
            "may_go_on": enrollment.outcome == Outcome.TIMED_OUT,
            "page_mark": mark_page(enrollment),
        },
    )
