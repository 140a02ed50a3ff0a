"""Questions with a known answer: training, gates, attention checks.

Only the question that is open takes an answer. A double click, a second tab and a forged item find another
one open, or none, and change nothing.
"""

from django.db import transaction

from annotation import steps
from annotation.models import Attempt, Draft, Enrollment, GateDecision, Outcome, Step, Study
from annotation.selectors import get_current_step

from .path import complete_step, finish, lock


@transaction.atomic
def record_training_attempt(
    enrollment: Enrollment, step: Step, item: str, *, answers: dict, is_right: bool, n_items: int
) -> None:
    """Store an attempt at a training post; the step is done when each of its posts was answered right once."""
    enrollment = lock(enrollment)
    if not _is_open(enrollment, step, item):
        return
    _store_attempt(enrollment, step, item, answers=answers, is_right=is_right)
    if not is_right:
        return
    Draft.objects.filter(enrollment=enrollment, step=step).delete()
    if enrollment.attempts.filter(step=step, is_right=True).values("item").distinct().count() >= n_items:
        complete_step(enrollment, step)


@transaction.atomic
def record_gate_answer(
    enrollment: Enrollment,
    step: Step,
    item: str,
    *,
    answers: dict,
    is_right: bool,
    n_items: int,
    threshold: int,
) -> None:
    """Store the one answer to a gate's post; after the last, decide, and screen out below the threshold."""
    enrollment = lock(enrollment)
    if not _is_open(enrollment, step, item):
        return
    _store_attempt(enrollment, step, item, answers=answers, is_right=is_right)
    Draft.objects.filter(enrollment=enrollment, step=step).delete()
    given = list(enrollment.attempts.filter(step=step).values_list("is_right", flat=True))
    if len(given) < n_items:
        return
    n_right = sum(given)
    decision = GateDecision.objects.create(
        enrollment=enrollment,
        step=step,
        passed=n_right >= threshold,
        reason=f"{n_right} of {n_items} right, {threshold} needed",
    )
    if decision.passed:
        complete_step(enrollment, step)
    else:
        finish(enrollment, Outcome.SCREENED_OUT)


@transaction.atomic
def record_attention_answer(enrollment: Enrollment, step: Step, *, answers: dict, is_right: bool) -> None:
    """Store the one answer to an attention check; too many wrong ones have the study's consequence."""
    enrollment = lock(enrollment)
    if get_current_step(enrollment) != step:
        return
    _store_attempt(enrollment, step, "check", answers=answers, is_right=is_right)
    GateDecision.objects.create(
        enrollment=enrollment,
        step=step,
        passed=is_right,
        reason="answered as asked" if is_right else "not answered as asked",
    )
    if not is_right and _has_failed_too_often(enrollment, step):
        finish(enrollment, Outcome.FAILED_ATTENTION)
    else:
        complete_step(enrollment, step)


def _store_attempt(enrollment: Enrollment, step: Step, item: str, *, answers: dict, is_right: bool) -> None:
    Attempt.objects.create(
        enrollment=enrollment,
        step=step,
        item=item,
        answers=answers,
        is_right=is_right,
        study_version_id=enrollment.study.current_version_id,
    )


def _is_open(enrollment: Enrollment, step: Step, item: str) -> bool:
    """Whether someone stands before this question now; the enrollment is locked."""
    return get_current_step(enrollment) == step and item == steps.KINDS[step.kind].get_item(enrollment, step)


def _has_failed_too_often(enrollment: Enrollment, step: Step) -> bool:
    study = enrollment.study
    n_failed = enrollment.gate_decisions.filter(step__kind=step.kind, passed=False).count()
    return study.attention_consequence == Study.AttentionConsequence.END and n_failed >= study.attention_limit
