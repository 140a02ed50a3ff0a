"""One post at a time, read through the value tree."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from annotation import services
from annotation.errors import AlreadySubmitted, Refused
from annotation.forms import ReadingForm
from annotation.http import SeeOther, get_step_path, go_on, go_past
from annotation.models import Assignment, Enrollment, Step
from annotation.selectors import (
    OpenPost,
    get_n_posts,
    get_open_post,
    get_seconds_per_post,
    get_tree,
)
from annotation.tree.walk import complete
from annotation.views.reading import begin_reading, is_submit, show_reading


def label_post(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the rater's open post; take the finished reading."""
    if request.method == "GET":
        opened = get_open_post(enrollment, step)
        if opened is None:  # the step was put in after they came here, or their post went to someone else
            return go_on(services.go_on_labeling(enrollment, step))
        return _show(request, enrollment, step, opened, begin_reading(enrollment, opened.draft))
    assignment = _get_posted_assignment(request, enrollment)
    if assignment.status == Assignment.Status.RELEASED:
        raise Refused(_("That post was given to someone else in the meantime. Nothing was saved from it."))
    form = ReadingForm(get_tree(enrollment.study.value_system), request.POST)
    if assignment.status != Assignment.Status.OPEN:
        return _go_past(request, enrollment, assignment, form)
    if not is_submit(form):
        opened = get_open_post(enrollment, step)
        if opened is None or opened.item != str(
            assignment.pk
        ):  # something else closed it in the same instant
            return go_past(enrollment)
        return _show(request, enrollment, step, opened, form)
    try:
        services.submit_annotation(assignment, step, form.reading, rationale=form.rationale)
    except AlreadySubmitted:
        return _go_past(request, enrollment, assignment, form)
    return SeeOther(get_step_path(enrollment, step))  # the next post; past the last, the page leads on


def _get_posted_assignment(request: HttpRequest, enrollment: Enrollment) -> Assignment:
    posted = request.POST.get("item", "")
    assignment = (
        enrollment.assignments.filter(pk=int(posted)).first()
        if posted.isascii() and posted.isdigit() and len(posted) < 19
        else None
    )
    if assignment is None:
        raise Refused(_("That answer was for a post that is not yours. Nothing was saved from it."))
    assignment.enrollment = enrollment
    return assignment


def _go_past(
    request: HttpRequest, enrollment: Enrollment, assignment: Assignment, form: ReadingForm
) -> HttpResponse:
    """Lead on from a post that was submitted before; say so unless this is the same answer again."""
    stored = assignment.annotation
    if form.is_valid():
        sent = complete(form.tree, form.reading)
        is_same = (stored.ratings, stored.codes, stored.rationale) == (
            sent.ratings,
            sent.codes,
            form.rationale,
        )
    else:
        is_same = False
    if not is_same:
        messages.info(request, _("You had already submitted that post. Your first answer stands."))
    return go_past(enrollment)


def _show(
    request: HttpRequest, enrollment: Enrollment, step: Step, opened: OpenPost, form: ReadingForm
) -> HttpResponse:
    n_total = get_n_posts(enrollment.study, step)
    seconds = get_seconds_per_post(enrollment.study)
    context = {
        "post": opened.post,
        "n_done": opened.n_done,
        "n_total": n_total,
        "minutes_left": max(1, round((n_total - opened.n_done) * seconds / 60)) if seconds else None,
        "reveals": True,
    }
    return show_reading(
        request,
        enrollment,
        step,
        form,
        template="annotation/labeling.html",
        context=context,
        item=opened.item,
    )
