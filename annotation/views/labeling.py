"""One post at a time, read through the value tree."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotation import services
from annotation.errors import AlreadySubmitted, Refused
from annotation.forms import ReadingForm
from annotation.http import go_on
from annotation.models import Assignment, Enrollment, Step
from annotation.selectors import count_submitted, get_open_assignment, get_tree
from annotation.tree.walk import complete


def label_post(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the rater's open post; reveal branches as they are marked; take the finished reading."""
    tree = get_tree(enrollment.study.value_system)
    if request.method == "GET":
        assignment = get_open_assignment(enrollment)
        if assignment is None:
            raise Refused("There is no post open for you at this moment.")
        return _show(request, assignment, step, ReadingForm(tree))
    assignment = _get_posted_assignment(request, enrollment)
    if assignment.status == Assignment.Status.RELEASED:
        raise Refused("That post was given to someone else in the meantime. Nothing was saved from it.")
    form = ReadingForm(tree, request.POST)
    if request.htmx:
        form.reveal()
        return _show(request, assignment, step, form, template="annotation/_path_form.html")
    if assignment.status != Assignment.Status.OPEN:
        return _go_past(request, enrollment, assignment, form)
    if not form.is_valid():
        return _show(
            request, assignment, step, form, status=200 if form.has_opened and not form.problems else 422
        )
    try:
        services.submit_annotation(assignment, step, form.reading, rationale=form.rationale)
    except AlreadySubmitted:
        return _go_past(request, enrollment, assignment, form)
    return go_on(enrollment)


def _get_posted_assignment(request: HttpRequest, enrollment: Enrollment) -> Assignment:
    posted = request.POST.get("assignment", "")
    assignment = (
        enrollment.assignments.select_related("post", "enrollment").filter(pk=int(posted)).first()
        if posted.isascii() and posted.isdigit() and len(posted) < 19
        else None
    )
    if assignment is None:
        raise Refused("That answer was for a post that is not yours. Nothing was saved from it.")
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
        messages.info(request, "You had already submitted that post. Your first answer stands.")
    enrollment.refresh_from_db()
    return go_on(enrollment)


def _show(
    request: HttpRequest,
    assignment: Assignment,
    step: Step,
    form: ReadingForm,
    *,
    template: str = "annotation/labeling.html",
    status: int = 200,
) -> HttpResponse:
    enrollment = assignment.enrollment
    return render(
        request,
        template,
        {
            "assignment": assignment,
            "enrollment": enrollment,
            "study": enrollment.study,
            "step": step,
            "post": assignment.post,
            "form": form,
            "scale": form.tree.scale,
            "n_done": count_submitted(enrollment),
            "n_total": enrollment.study.posts_per_rater,
        },
        status=status,
    )
