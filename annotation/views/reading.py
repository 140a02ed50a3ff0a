"""A post beside the form that reads it through the value tree: what labeling, training and gates share."""

from django.http import HttpRequest, HttpResponse, QueryDict

from annotation.forms import ReadingForm
from annotation.http import show_step
from annotation.models import Enrollment, Step
from annotation.selectors import get_tree
from annotation.tree.walk import Reading


def begin_reading(enrollment: Enrollment, draft: str | None) -> ReadingForm:
    """Return the form as the rater left it, or empty."""
    form = ReadingForm(get_tree(enrollment.study.value_system), QueryDict(draft) if draft else None)
    form.reveal()
    return form


def is_submit(form: ReadingForm) -> bool:
    """Whether a form that was sent can be taken; if not, it is ready to be shown again."""
    if form.is_on_the_way:
        form.reveal()
        return False
    return form.is_valid()


def show_reading(
    request: HttpRequest,
    enrollment: Enrollment,
    step: Step,
    form: ReadingForm,
    *,
    template: str,
    context: dict,
    item: str,
) -> HttpResponse:
    """Render the post and the form; what was refused comes back with the status of a fault."""
    is_refused = bool(form.errors or form.problems)
    return show_step(
        request,
        enrollment,
        step,
        template,
        {"form": form, "scale": form.tree.scale, **context},
        item=item,
        status=422 if is_refused else 200,
    )


def show_revealed(request: HttpRequest, enrollment: Enrollment, step: Step, item: str) -> HttpResponse:
    """Render the form alone, with the questions that the marks sent just now have opened."""
    form = ReadingForm(get_tree(enrollment.study.value_system), request.POST)
    form.reveal()
    context = {"form": form, "scale": form.tree.scale, "reveals": True}
    return show_step(request, enrollment, step, "annotation/_path_form.html", context, item=item)


def as_answers(reading: Reading) -> dict[str, dict]:
    """Return a reading as it is stored of an attempt."""
    return {
        "marks": {key: sorted(marked) for key, marked in reading.marks.items()},
        "ratings": dict(reading.ratings),
    }
