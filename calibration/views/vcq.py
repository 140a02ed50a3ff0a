"""The Value Calibration Questionnaire, one question a page."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotation.errors import Refused
from annotation.http import go_on
from annotation.models import Enrollment, Step
from annotation.selectors import get_tree
from calibration import services
from calibration.forms import RatingForm
from calibration.models import CalibrationAnswer, CalibrationQuestion
from calibration.selectors import get_next_question


def answer_question(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the next question of the VCQ; take its answer."""
    tree = get_tree(enrollment.study.value_system)
    question = get_next_question(enrollment)
    if question is None:
        raise Refused("This questionnaire has no open question.")
    form = RatingForm(tree.scale, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        posted = _get_posted_question(request, enrollment)
        is_ahead = posted.position > question.position
        if is_ahead:
            raise Refused("That question is not open yet. Nothing was saved from it.")
        if form.is_valid():
            if not services.answer_question(enrollment, step, posted, rating=form.cleaned_data["rating"]):
                messages.info(request, "You had already answered that question. Your first answer stands.")
            return go_on(enrollment)
        if posted != question:
            return go_on(enrollment)
    questions = CalibrationQuestion.objects.filter(study=enrollment.study)
    return render(
        request,
        "calibration/vcq.html",
        {
            "enrollment": enrollment,
            "study": enrollment.study,
            "question": question,
            "post": question.post,
            "leaf": tree.leaf(question.value_key),
            "scale": tree.scale,
            "form": form,
            "n_done": CalibrationAnswer.objects.filter(enrollment=enrollment).count(),
            "n_total": questions.count(),
        },
        status=422 if form.is_bound else 200,
    )


def _get_posted_question(request: HttpRequest, enrollment: Enrollment) -> CalibrationQuestion:
    posted = request.POST.get("question", "")
    question = (
        CalibrationQuestion.objects.filter(study=enrollment.study, position=int(posted)).first()
        if posted.isascii() and posted.isdigit() and len(posted) < 6
        else None
    )
    if question is None:
        raise Refused("That answer was for a question this study does not ask. Nothing was saved from it.")
    return question
