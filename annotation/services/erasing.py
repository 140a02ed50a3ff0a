"""Erasing someone because they asked for it, or because a researcher must: nothing of them is left."""

from django.db import transaction

from annotation.models import Enrollment, Outcome, Rater
from annotation.signals import answers_erased

from .leaving import erase_rows
from .path import lock


@transaction.atomic
def erase_enrollment(enrollment: Enrollment) -> dict[str, int]:
    """Delete someone's part in a study, and who they are unless they are in another; return how many rows of what.

    Unlike a withdrawal this leaves no row behind: who opens their page again is not known, and who comes by the
    link again comes as somebody new.
    """
    enrollment = lock(enrollment)
    was_data = enrollment.phase != Enrollment.Phase.REHEARSAL and enrollment.outcome == Outcome.COMPLETED
    completed_at = enrollment.finished_at if was_data else None
    study, began_at = enrollment.study, enrollment.started_at
    erased = erase_rows(enrollment)
    person = Rater.objects.select_for_update().get(pk=enrollment.rater_id)
    enrollment.delete()
    erased["enrollment"] = 1
    if not person.enrollments.exists():
        person.delete()
        erased["rater"] = 1
    answers_erased.send(sender=Enrollment, study=study, began_at=began_at, completed_at=completed_at)
    return erased
