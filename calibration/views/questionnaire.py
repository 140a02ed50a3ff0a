"""A questionnaire about the rater, on one page."""

from django.http import HttpRequest, HttpResponse

from annotation.http import get_draft, go_on, show_step
from annotation.models import Enrollment, Step
from annotation.services import complete_step
from calibration import services
from calibration.forms import QuestionnaireForm
from calibration.models import Questionnaire


def answer_questionnaire(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the questionnaire that the step names; take its answers."""
    questionnaire = Questionnaire.objects.filter(
        study=enrollment.study, key=step.config.get("questionnaire")
    ).first()
    if questionnaire is None:  # it was deleted under a running study: there is nothing to ask here
        return go_on(complete_step(enrollment, step))
    instrument = questionnaire.instrument
    data = request.POST if request.method == "POST" else None
    form = QuestionnaireForm(instrument, data, draft=get_draft(enrollment, step))
    if form.is_valid():
        services.answer_questionnaire(enrollment, step, questionnaire, answers=form.answers)
        return go_on(enrollment)
    status = 422 if form.is_bound else 200
    context = {"instrument": instrument, "form": form}
    return show_step(request, enrollment, step, "calibration/questionnaire.html", context, status=status)
