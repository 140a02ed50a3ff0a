"""Every write of the calibration steps, named by its verb."""

from django.db import transaction

from annotation.models import Enrollment, Step
from annotation.services import complete_step, lock

from .models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from .selectors import get_next_question


def begin_vcq(enrollment: Enrollment, step: Step) -> None:
    """Pass over the VCQ when no question of it is open, inside the caller's transaction."""
    if get_next_question(enrollment) is None:
        complete_step(enrollment, step)


@transaction.atomic
def answer_question(
    enrollment: Enrollment, step: Step, question: CalibrationQuestion, *, rating: int
) -> bool:
    """Store an answer to the VCQ; after the last one the step is done.

    Returns whether this rating is the one that is stored: a first answer stands.
    """
    enrollment = lock(enrollment)
    answer, _ = CalibrationAnswer.objects.get_or_create(
        enrollment=enrollment,
        question=question,
        defaults={"rating": rating, "study_version_id": enrollment.study.current_version_id},
    )
    if get_next_question(enrollment) is None:
        complete_step(enrollment, step)
    return answer.rating == rating


@transaction.atomic
def answer_questionnaire(
    enrollment: Enrollment, step: Step, questionnaire: Questionnaire, *, answers: dict
) -> None:
    """Store the answers to a questionnaire and finish its step; a first response stands."""
    enrollment = lock(enrollment)
    QuestionnaireResponse.objects.get_or_create(
        enrollment=enrollment,
        questionnaire=questionnaire,
        defaults={
            "version": questionnaire.instrument.version,
            "answers": answers,
            "study_version_id": enrollment.study.current_version_id,
        },
    )
    complete_step(enrollment, step)
