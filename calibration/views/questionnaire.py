"""A questionnaire about the rater, on one page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from annotation.http import go_on
from annotation.models import Enrollment, Step
from calibration import services
from calibration.forms import QuestionnaireForm
from calibration.models import Questionnaire


def answer_questionnaire(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the questionnaire that the step names; take its answers."""
    questionnaire = get_object_or_404(
        Questionnaire, study=enrollment.study, key=step.config.get("questionnaire")
    )
    instrument = questionnaire.instrument
    form = QuestionnaireForm(instrument, request.POST if request.method == "POST" else None)
    if form.is_valid():
        services.answer_questionnaire(enrollment, step, questionnaire, answers=form.answers)
        return go_on(enrollment)
    return render(
        request,
        "calibration/questionnaire.html",
        {"enrollment": enrollment, "study": enrollment.study, "instrument": instrument, "form": form},
        status=422 if form.is_bound else 200,
    )
