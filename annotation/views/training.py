"""Practice posts: a wrong answer explains itself and is asked again, level by level."""

from django.http import HttpRequest, HttpResponse

from annotation import services
from annotation.forms import ReadingForm
from annotation.http import get_draft_fields, go_on, go_past
from annotation.models import Enrollment, Step
from annotation.selectors import get_training_item, get_tree
from annotation.tree.known import (
    KnownPost,
    Mistake,
    TrainingPlan,
    find_mistakes,
    read_training_config,
    settled,
)
from annotation.views.reading import as_answers, begin_reading, is_submit, show_reading


def practise(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the first practice post that was not answered right yet; judge what is sent.

    Only below questions that are answered right does the next level open.
    """
    tree = get_tree(enrollment.study.value_system)
    plan = read_training_config(tree, step.config)
    item = get_training_item(enrollment, step)
    if not item:  # a post was taken out while this person stood here
        return go_on(services.complete_step(enrollment, step))
    known = next(post for post in plan.posts if post.key == item)
    if request.method == "GET":
        form = begin_reading(enrollment, get_draft_fields(enrollment, step, item))
        _hold_what_is_not_right(form, known)
        return _show(request, enrollment, step, plan, known, form)
    if request.POST.get("item") != item:
        return go_past(enrollment)  # another tab, or a reply that was lost: that post is done
    form = ReadingForm(tree, request.POST)
    is_finished = is_submit(form)
    mistakes = [] if form.is_on_the_way else _find_mistakes(form, known, plan.tolerance)
    form.errors.update({mistake.key: mistake.why for mistake in mistakes})
    if is_finished or mistakes:
        services.record_training_attempt(
            enrollment,
            step,
            item,
            answers=as_answers(form.reading),
            is_right=not mistakes,
            n_items=len(plan.posts),
        )
    if is_finished and not mistakes:
        return go_on(enrollment)
    _hold_what_is_not_right(form, known)
    return _show(request, enrollment, step, plan, known, form)


def _find_mistakes(form: ReadingForm, known: KnownPost, tolerance: int) -> list[Mistake]:
    """What was answered wrongly; an answer that says two things at once is none yet."""
    mistakes = find_mistakes(form.tree, known, form.reading, tolerance)
    return [mistake for mistake in mistakes if mistake.key not in form.errors]


def _hold_what_is_not_right(form: ReadingForm, known: KnownPost) -> None:
    form.held = frozenset(form.reading.marks) - settled(form.tree, known, form.reading)


def _show(
    request: HttpRequest,
    enrollment: Enrollment,
    step: Step,
    plan: TrainingPlan,
    known: KnownPost,
    form: ReadingForm,
) -> HttpResponse:
    context = {
        "post": known,
        "intro": plan.intro,
        "n_done": [post.key for post in plan.posts].index(known.key),
        "n_total": len(plan.posts),
        "explains": True,
    }
    return show_reading(
        request, enrollment, step, form, template="annotation/training.html", context=context, item=known.key
    )
