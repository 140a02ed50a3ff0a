"""Rehearsing a study: test participants at any of its steps, and the end of a rehearsal."""

import secrets
from typing import Any

from django.db import transaction

from annotation.errors import Refused
from annotation.launch import find_faults_ahead, list_path
from annotation.models import Enrollment, Outcome, Rater, Step, StepCompletion, Study, StudyEvent

from .audit import log_event
from .lifecycle import hold_state
from .path import enter_current_step

PREVIEW = "preview-of-step"
"""Begins the session id of a test participant who was put at a step: their minutes are not those of the study."""


@transaction.atomic
def preview_step(study: Study, step: Step, *, actor: Any = None) -> Enrollment:
    """Put a new test participant at a step, for whom all earlier steps count as done; returns who.

    Raises Refused, with the faults, when the step cannot be shown as it is.
    """
    if faults := find_faults_ahead(study, step):
        raise Refused("This step cannot be shown yet: " + " ".join(faults))
    hold_state(study)
    rater = Rater.objects.create(origin=Rater.Origin.TEST, external_id=f"test-{secrets.token_hex(8)}")
    enrollment = Enrollment.objects.create(
        study=study,
        rater=rater,
        phase=Enrollment.Phase.REHEARSAL,
        study_version_id=study.current_version_id,
        prolific_session_id=f"{PREVIEW}-{step.position}",
    )
    earlier = [each for each in list_path(study) if each.position < step.position]
    StepCompletion.objects.bulk_create(StepCompletion(enrollment=enrollment, step=each) for each in earlier)
    log_event(
        study,
        StudyEvent.Action.REHEARSAL,
        f"Looked at step {step.position} as a test participant.",
        actor=actor,
        detail={"step": step.position, "kind": step.kind},
    )
    return enter_current_step(enrollment)


@transaction.atomic
def erase_rehearsal(study: Study, *, actor: Any = None) -> int:
    """Erase everyone who rehearsed the study, with all they left; returns how many they were."""
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # nobody comes in meanwhile
    rehearsed = study.enrollments.filter(phase=Enrollment.Phase.REHEARSAL)
    completed = rehearsed.filter(rater__origin=Rater.Origin.TEST, outcome=Outcome.COMPLETED)
    n_completed = completed.exclude(prolific_session_id__startswith=PREVIEW).count()
    raters = list(rehearsed.values_list("rater_id", flat=True))
    rehearsed.delete()
    Rater.objects.filter(pk__in=raters, enrollments=None).delete()
    log_event(
        study,
        StudyEvent.Action.REHEARSAL,
        f"Erased the rehearsal of {len(raters)} participants.",
        actor=actor,
        detail={"erased": len(raters), "completed": n_completed},
    )
    return len(raters)
