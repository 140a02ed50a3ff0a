"""Groups of people that no number mixes, and how many of each came and how they ended."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from annotation.models import Enrollment, Outcome, Rater, Study

Phase = Enrollment.Phase
Origin = Rater.Origin


@dataclass(frozen=True)
class Group:
    """People who are counted together."""

    key: str
    label: str
    phases: tuple[str, ...]
    origins: tuple[str, ...]

    def match(self, prefix: str = "") -> Q:
        """Return the condition on enrollments, which lie behind `prefix` where other rows are asked."""
        return Q(**{f"{prefix}phase__in": self.phases, f"{prefix}rater__origin__in": self.origins})


LIVE = Group("live", "Live", (Phase.LIVE,), (Origin.PROLIFIC,))
PILOT = Group("pilot", "Pilot", (Phase.PILOT,), (Origin.PROLIFIC,))
SIMULATED = Group("simulated", "Simulated", (Phase.LIVE, Phase.PILOT), (Origin.SIMULATED,))
IMPORTED = Group("imported", "Imported", (Phase.LIVE, Phase.PILOT), (Origin.IMPORTED,))
GROUPS = (LIVE, PILOT, SIMULATED, IMPORTED)


def get_crowd(study: Study, group: Group) -> QuerySet[Enrollment]:
    """Return the enrollments of a group."""
    return study.enrollments.filter(group.match())


@dataclass
class Head:
    """How many of a group came and how they ended."""

    came: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    completed_last_hour: int = 0
    completed_last_day: int = 0
    went_on: int = 0  # after their time had run out

    @property
    def completed(self) -> int:
        return self.outcomes[Outcome.COMPLETED]

    @property
    def inside(self) -> int:
        return self.outcomes[""]


def count_heads(study: Study) -> dict[str, Head]:
    now = timezone.now()
    ended = Q(outcome=Outcome.COMPLETED)
    rows = (
        study.enrollments.exclude(phase=Phase.REHEARSAL)
        .exclude(rater__origin=Origin.TEST)
        .order_by()
        .values_list("phase", "rater__origin", "outcome")
        .annotate(
            n=Count("pk"),
            hour=Count("pk", filter=ended & Q(finished_at__gt=now - timedelta(hours=1))),
            day=Count("pk", filter=ended & Q(finished_at__gt=now - timedelta(days=1))),
            out_of_time=Count("timed_out_at"),
        )
    )
    heads: dict[str, Head] = {}
    for phase, origin, outcome, n, hour, day, out_of_time in rows:
        for group in GROUPS:
            if phase in group.phases and origin in group.origins:
                head = heads.setdefault(group.key, Head())
                head.came += n
                head.outcomes[outcome] += n
                head.completed_last_hour += hour
                head.completed_last_day += day
                head.went_on += 0 if outcome in (Outcome.TIMED_OUT, Outcome.WITHDREW) else out_of_time
    return heads


def choose_group(study: Study, heads: dict[str, Head], asked: str) -> Group:
    for group in GROUPS:
        if group.key == asked:
            return group
    if study.state == Study.State.PILOT:
        return PILOT
    return next((group for group in GROUPS if group.key in heads), LIVE)


def in_thousand(part: float, whole: float) -> int:
    return round(1000 * min(part, whole) / whole) if whole else 0
