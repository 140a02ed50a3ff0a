"""The Value Calibration Questionnaire, one question a page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from annotation.errors import Refused
from annotation.http import get_draft, go_on, go_past, show_step
from annotation.models import Enrollment, Step
from annotation.selectors import get_tree
from annotation.services import complete_step
from calibration import services
from calibration.forms import RatingForm
from calibration.models import CalibrationAnswer, CalibrationQuestion
from calibration.selectors import get_next_question


def answer_question(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the next question of the VCQ; take its answer."""
    tree = get_tree(enrollment.study.value_system)
    question = get_next_question(enrollment)
    if question is None:  # the questions were taken out while this person stood here
        return go_on(complete_step(enrollment, step))
    item = str(question.position)
    draft = get_draft(enrollment, step, item)
    form = RatingForm(tree.scale, request.POST if request.method == "POST" else None, draft=draft)
    if request.method == "POST":
        posted = _get_posted_question(request, enrollment)
        is_ahead = posted.position > question.position
        if is_ahead:
            raise Refused(_("That question is not open yet. Nothing was saved from it."))
        if form.is_valid():
            if not services.answer_question(enrollment, step, posted, rating=form.cleaned_data["rating"]):
                messages.info(request, _("You had already answered that question. Your first answer stands."))
            return go_on(enrollment) if posted == question else go_past(enrollment)
        if posted != question:
            return go_past(enrollment)
    context = {
        "post": question.post,
        "leaf": tree.leaf(question.value_key),
        "scale": tree.scale,
        "form": form,
        "n_done": CalibrationAnswer.objects.filter(enrollment=enrollment).count(),
        "n_total": CalibrationQuestion.objects.filter(study=enrollment.study).count(),
    }
    status = 422 if form.is_bound else 200
    return show_step(request, enrollment, step, "calibration/vcq.html", context, item=item, status=status)


def _get_posted_question(request: HttpRequest, enrollment: Enrollment) -> CalibrationQuestion:
    posted = request.POST.get("item", "")
    question = (
        CalibrationQuestion.objects.filter(study=enrollment.study, position=int(posted)).first()
        if posted.isascii() and posted.isdigit() and len(posted) < 6
        else None
    )
    if question is None:
        raise Refused(_("That answer was for a question this study does not ask. Nothing was saved from it."))
    return question
