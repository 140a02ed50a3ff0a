"""From one step to the next, and out."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from annotation import steps
from annotation.models import (
    Assignment,
    ConsentRecord,
    Draft,
    Enrollment,
    Outcome,
    Rater,
    Step,
    StepCompletion,
    Study,
)
from annotation.recruitment import Entry, admit, find_enrollment
from annotation.selectors import get_current_step

from .lifecycle import hold_state


@transaction.atomic
def enroll(study: Study, entry: Entry) -> Enrollment:
    """Take someone in, or find them again: one person has one enrollment in a study.

    Raises StudyClosed when a new person meets a study that takes nobody in; those inside may go on.
    """
    enrollment = find_enrollment(study, entry)
    if enrollment:
        return enrollment
    hold_state(study)
    admit(study, entry)
    # Held, so that nobody who withdraws from their last study at this moment takes the row away.
    rater, _ = Rater.objects.select_for_update().get_or_create(
        origin=entry.origin, external_id=entry.rater_id
    )
    enrollment, is_new = Enrollment.objects.get_or_create(
        study=study,
        rater=rater,
        defaults={
            "phase": get_phase(study, entry),
            "study_version_id": study.current_version_id,
            "prolific_study_id": entry.study_id,
            "prolific_session_id": entry.session_id,
        },
    )
    return enter_current_step(enrollment) if is_new else enrollment


def get_phase(study: Study, entry: Entry) -> Enrollment.Phase:
    """Return what the answers of someone who comes in now are for."""
    if entry.is_rehearsal:
        return Enrollment.Phase.REHEARSAL
    return Enrollment.Phase.PILOT if study.state == Study.State.PILOT else Enrollment.Phase.LIVE


def lock(enrollment: Enrollment) -> Enrollment:
    """Hold the enrollment until the transaction ends and bring it to where it stands now; returns it."""
    enrollment.refresh_from_db(
        fields=("rater", "outcome", "finished_at", "timed_out_at"),
        from_queryset=Enrollment.objects.select_for_update(),
    )
    return enrollment


@transaction.atomic
def record_consent(enrollment: Enrollment, step: Step, *, given: bool) -> Enrollment:
    """Store the answer to the consent page; a 'no' ends the participation."""
    enrollment = lock(enrollment)
    if get_current_step(enrollment) != step:
        return enrollment
    record, _ = ConsentRecord.objects.get_or_create(
        enrollment=enrollment,
        defaults={"given": given, "version": enrollment.study.consent.get("version", 1)},
    )
    if record.given:
        return complete_step(enrollment, step)
    return finish(enrollment, Outcome.NO_CONSENT)


@transaction.atomic
def complete_step(enrollment: Enrollment, step: Step) -> Enrollment:
    """Note that a step is done and open the next one; past the last the participation is complete.

    Steps are done in order: one that is not the current step changes nothing.
    """
    enrollment = lock(enrollment)
    if get_current_step(enrollment) != step:
        return enrollment
    StepCompletion.objects.create(enrollment=enrollment, step=step)
    Draft.objects.filter(enrollment=enrollment, step=step).delete()
    return enter_current_step(enrollment)


def enter_current_step(enrollment: Enrollment) -> Enrollment:
    """Prepare the step someone has just come to, inside the caller's transaction."""
    step = get_current_step(enrollment)
    if step is None:
        return finish(enrollment, Outcome.COMPLETED)
    steps.KINDS[step.kind].enter(enrollment, step)
    enrollment.refresh_from_db()
    return enrollment


KEEPING_THEIR_POSTS = (Outcome.COMPLETED, Outcome.STUDY_FULL)


@transaction.atomic
def finish(enrollment: Enrollment, outcome: Outcome) -> Enrollment:
    """End a participation, once. The posts of someone who does not complete return to the pool."""
    ended = Enrollment.objects.filter(pk=enrollment.pk, outcome="").update(
        outcome=outcome, finished_at=timezone.now()
    )
    if ended and outcome not in KEEPING_THEIR_POSTS:
        enrollment.assignments.update(status=Assignment.Status.RELEASED)
    if ended and outcome != Outcome.TIMED_OUT:  # who comes back finds the open page as it was
        enrollment.drafts.all().delete()
    enrollment.refresh_from_db()
    return enrollment


def time_out(enrollment: Enrollment, now: datetime) -> bool:
    """End a participation whose time is over, inside the transaction that holds its row; False if it was ended."""
    if enrollment.outcome or enrollment.timed_out_at:
        return False
    enrollment.timed_out_at = now
    enrollment.save(update_fields=["timed_out_at"])
    finish(enrollment, Outcome.TIMED_OUT)
    return True
