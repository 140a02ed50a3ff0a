"""Leaving before the end: running out of time, coming back after it, taking everything back."""

import secrets
from collections import Counter
from datetime import datetime, timedelta

from django.db import transaction

from annotation.models import Enrollment, Outcome, Rater, Study, Withdrawal
from annotation.signals import answers_erased

from .labeling import reopen
from .path import enter_current_step, finish, lock, time_out


def time_out_overdue(now: datetime) -> int:
    """Time out everyone whose allowed time is over by `now`; returns how many. Safe to run twice."""
    n_timed_out = 0
    for study in Study.objects.filter(enrollments__outcome="").distinct():
        latest = now - timedelta(minutes=study.allowed_minutes)
        overdue = study.enrollments.filter(outcome="", timed_out_at=None, started_at__lte=latest)
        for enrollment in overdue:
            n_timed_out += _time_out(enrollment, now)
    return n_timed_out


@transaction.atomic
def _time_out(enrollment: Enrollment, now: datetime) -> bool:
    return time_out(lock(enrollment), now)


@transaction.atomic
def go_on_after_time_out(enrollment: Enrollment) -> Enrollment:
    """Let someone whose time ran out finish all the same; they stay marked as timed out."""
    enrollment = lock(enrollment)
    if enrollment.outcome != Outcome.TIMED_OUT:
        return enrollment
    reopen(enrollment)
    return enter_current_step(enrollment)


@transaction.atomic
def withdraw(enrollment: Enrollment) -> Enrollment:
    """Erase all that someone answered and who they are; leave the proof that they withdrew.

    What stays is the enrollment under a name drawn at random, with times and outcome, so that its page and
    code can be shown; and the number of rows that were erased. Someone who takes part in another study too
    stays known there.
    """
    enrollment = lock(enrollment)
    if enrollment.outcome == Outcome.WITHDREW:
        return enrollment
    was_data = enrollment.phase != Enrollment.Phase.REHEARSAL and enrollment.outcome == Outcome.COMPLETED
    completed_at = enrollment.finished_at if was_data else None
    erased = erase_rows(enrollment)
    _replace_person(enrollment)
    Withdrawal.objects.create(enrollment=enrollment, erased=erased)
    finish(enrollment, Outcome.WITHDREW)
    answers_erased.send(
        sender=Enrollment, study=enrollment.study, began_at=enrollment.started_at, completed_at=completed_at
    )
    return enrollment


def erase_rows(enrollment: Enrollment) -> dict[str, int]:
    """Delete all that refers to the enrollment, in whichever app; return how many rows of what."""
    rows = [
        field.related_model._base_manager.filter(**{field.field.name: enrollment})
        for field in Enrollment._meta.get_fields(include_hidden=True)
        if field.is_relation and not field.concrete
    ]
    erased: Counter[str] = Counter()
    for found in rows:  # counted first: one deletion takes others along
        erased[found.model._meta.model_name] += found.count()
    for found in rows:
        found.delete()
    return {name: n for name, n in sorted(erased.items()) if n}


def _replace_person(enrollment: Enrollment) -> None:
    """Put a stranger in the person's place; who they were is deleted with the last study they are in."""
    person = Rater.objects.select_for_update().get(pk=enrollment.rater_id)
    enrollment.rater = Rater.objects.create(
        origin=person.origin, external_id=f"withdrawn-{secrets.token_hex(12)}"
    )
    enrollment.prolific_study_id = enrollment.prolific_session_id = ""
    enrollment.outcome, enrollment.finished_at = "", None  # whatever they ended with: they withdraw now
    enrollment.save()
    if not person.enrollments.exists():
        person.delete()
