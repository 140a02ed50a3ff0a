"""Reads with more than one caller."""

from annotation.models import Enrollment

from .models import CalibrationQuestion


def get_next_question(enrollment: Enrollment) -> CalibrationQuestion | None:
    """Return the first question of the VCQ this rater has not answered."""
    return (
        CalibrationQuestion.objects.filter(study_id=enrollment.study_id)
        .exclude(answers__enrollment=enrollment)
        .select_related("post")
        .order_by("position")
        .first()
    )
