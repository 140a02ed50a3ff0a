"""People who came to a study so many minutes ago and took so long over each step."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    Enrollment,
    GateDecision,
    Outcome,
    PageVisit,
    Rater,
    StepCompletion,
)
from annotation.tree.walk import CHOSEN
from modeling.watching import overview
from tests.factories import RaterFactory, StudyFactory

PATH = ("consent", "training", "gating", "labeling", "attention_check", "questionnaire")


@pytest.fixture(autouse=True)
def forget():
    """What an earlier test had counted is no longer true."""
    overview.memory.clear()
    yield
    overview.memory.clear()


def ago(minutes: float) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


def set_time(row, **times) -> None:
    """Store a time that a row otherwise notes by itself."""
    type(row).objects.filter(pk=row.pk).update(**times)


def make_study(**fields):
    return StudyFactory(**{"steps": PATH, "questions": 0} | fields)


def come(
    study,
    *,
    minutes_ago: float = 60,
    took: tuple[float, ...] = (),
    outcome: str = "",
    ended_after: float | None = None,
    phase: str = Enrollment.Phase.LIVE,
    origin: str = Rater.Origin.PROLIFIC,
    **fields,
) -> Enrollment:
    """Someone who finished as many of the first steps as `took` has minutes for."""
    started_at = ago(minutes_ago)
    length = sum(took) if ended_after is None else ended_after
    person = Enrollment.objects.create(
        study=study,
        rater=RaterFactory(origin=origin),
        phase=phase,
        outcome=outcome,
        finished_at=started_at + timedelta(minutes=length) if outcome else None,
        **fields,
    )
    set_time(person, started_at=started_at)
    person.refresh_from_db()
    at = started_at
    for step, minutes in zip(study.steps.order_by("position"), took, strict=False):
        at += timedelta(minutes=minutes)
        set_time(StepCompletion.objects.create(enrollment=person, step=step), at=at)
    return person


def complete(study, *, minutes: float = 30, **fields) -> Enrollment:
    """Someone who finished every step, each in the same time."""
    n_steps = study.steps.count()
    return come(study, took=(minutes / n_steps,) * n_steps, outcome=Outcome.COMPLETED, **fields)


def read_posts(
    person, posts, *, status=Assignment.Status.SUBMITTED, minutes: float = 1, ratings=None
) -> None:
    """Let someone read posts, one after the other from their arrival on."""
    step = person.study.steps.get(kind="labeling")
    n_values = len(person.study.value_keys)
    for position, post in enumerate(posts, start=1):
        assignment = Assignment.objects.create(
            enrollment=person,
            step=step,
            post=post,
            position=position,
            status=status,
            submitted_at=person.started_at + timedelta(minutes=position * minutes),
        )
        set_time(assignment, assigned_at=person.started_at + timedelta(minutes=(position - 1) * minutes))
        Annotation.objects.create(
            enrollment=person,
            post=post,
            assignment=assignment,
            ratings=ratings or (person.study.value_system.scale_min,) * n_values,
            codes=(CHOSEN,) * n_values,
        )


def decide(person, kind: str, passed: bool, reason: str = "as it was") -> None:
    step = person.study.steps.get(kind=kind)
    GateDecision.objects.create(enrollment=person, step=step, passed=passed, reason=reason)


def attempt(person, kind: str, item: str, *is_right: bool, answers=None) -> None:
    step = person.study.steps.get(kind=kind)
    for each in is_right:
        Attempt.objects.create(enrollment=person, step=step, item=item, answers=answers or {}, is_right=each)


def visit(person, kind: str, item: str = "", *, minutes: float = 1, **client) -> None:
    step = person.study.steps.get(kind=kind)
    row = PageVisit.objects.create(
        enrollment=person, step=step, item=item, shown_at=person.started_at, client=client
    )
    set_time(row, answered_at=person.started_at + timedelta(minutes=minutes))
