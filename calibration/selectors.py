"""Reads with more than one caller."""

import math

from annotation.models import Enrollment, Step

from .instrument.scoring import ScaleScore, ScoringKey, score
from .models import CalibrationQuestion, QuestionnaireResponse


def get_next_question(enrollment: Enrollment) -> CalibrationQuestion | None:
    """Return the first question of the VCQ this rater has not answered."""
    return (
        CalibrationQuestion.objects.filter(study_id=enrollment.study_id)
        .exclude(answers__enrollment=enrollment)
        .select_related("post")
        .order_by("position")
        .first()
    )


def get_vcq_item(enrollment: Enrollment, step: Step) -> str:
    """Return the position of the open question; '' past the last."""
    question = get_next_question(enrollment)
    return str(question.position) if question else ""


def get_scale_scores(enrollment: Enrollment) -> dict[tuple[str, str], ScaleScore]:
    """Return this person's scale scores by (questionnaire key, name of the score).

    Only questionnaires that name a scoring key have any. One that the person did not answer is left out.
    """
    responses = QuestionnaireResponse.objects.filter(enrollment=enrollment).select_related("questionnaire")
    return {
        (response.questionnaire.key, name): scale_score
        for response in responses.order_by("pk")
        for name, scale_score in score_response(response).items()
    }


def score_response(response: QuestionnaireResponse) -> dict[str, ScaleScore]:
    """Return the scale scores of one response by name, in the scoring key's order.

    The questionnaire's present scoring key counts, whatever version was answered.
    """
    scoring = response.questionnaire.instrument.scoring
    return {} if scoring is None else score_answers(scoring, response.answers)


def score_answers(scoring: ScoringKey, answers: dict) -> dict[str, ScaleScore]:
    """Return the scale scores of stored answers. Answers that the key cannot take give no score, and say why."""
    try:
        return score(scoring, answers)
    except ValueError as error:
        return {name: ScaleScore(math.nan, 0, str(error)) for name in scoring.score_keys}
