"""Who is inside, and when they were last heard of."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import DateTimeField, Exists, Max, Model, OuterRef, QuerySet, Subquery

from annotation.models import Assignment, Attempt, Draft, Enrollment, PageVisit, Step, StepCompletion, Study
from calibration.models import CalibrationAnswer

from .groups import Group, get_crowd

ACTIVE_MINUTES = 10
SILENT_MINUTES = 30
GRACE_MINUTES = 5


@dataclass
class Presence:
    """The people inside, by how long nothing was heard of them."""

    active: Counter[int | None] = field(default_factory=Counter)  # by step
    quiet: Counter[int | None] = field(default_factory=Counter)
    n_silent: int = 0
    n_overdue: int = 0


def find_open_step() -> Subquery:
    """Return an expression over enrollments: the first step that was not finished; None past the last."""
    done = StepCompletion.objects.filter(step=OuterRef("pk"), enrollment=OuterRef(OuterRef("pk")))
    path = Step.objects.filter(~Exists(done), study=OuterRef("study")).order_by("position")
    return Subquery(path.values("pk")[:1])


def _newest(model: type[Model], name: str) -> Subquery:
    rows = model._default_manager.filter(enrollment=OuterRef("pk")).order_by().values("enrollment")
    return Subquery(rows.annotate(newest=Max(name)).values("newest"), output_field=DateTimeField())


SIGNS_OF_LIFE: dict[str, tuple[type[Model], str]] = {
    "step_at": (StepCompletion, "at"),
    "post_at": (Assignment, "assigned_at"),
    "attempt_at": (Attempt, "at"),
    "draft_at": (Draft, "saved_at"),
    "page_at": (PageVisit, "answered_at"),
    "answer_at": (CalibrationAnswer, "answered_at"),
}


def with_signs_of_life(enrollments: QuerySet[Enrollment]) -> QuerySet[Enrollment]:
    """Annotate when each person last did something that is stored; `last_seen` takes the newest."""
    return enrollments.annotate(**{name: _newest(*sign) for name, sign in SIGNS_OF_LIFE.items()})


def last_seen(started_at: datetime, signs: Iterable[datetime | None]) -> datetime:
    """Return the newest of someone's signs of life."""
    return max([started_at, *(sign for sign in signs if sign)])


def find_inside(study: Study, group: Group, now: datetime) -> Presence:
    presence = Presence()
    inside = with_signs_of_life(get_crowd(study, group).filter(outcome="")).annotate(
        open_step=find_open_step()
    )
    overdue = timedelta(minutes=study.allowed_minutes + GRACE_MINUTES)
    for step, started_at, timed_out_at, *signs in inside.order_by().values_list(
        "open_step", "started_at", "timed_out_at", *SIGNS_OF_LIFE
    ):
        silence = now - last_seen(started_at, signs)
        is_active = silence <= timedelta(minutes=ACTIVE_MINUTES)
        (presence.active if is_active else presence.quiet)[step] += 1
        presence.n_silent += silence > timedelta(minutes=SILENT_MINUTES)
        presence.n_overdue += timed_out_at is None and now - started_at > overdue
    return presence
