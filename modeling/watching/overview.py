"""What happens in a running study, in few looks at the database however many take part.

docs/watching.md defines every number. Rehearsals are never counted. People of the pilot, people of the live study,
simulated raters and imported ratings are groups apart that no number mixes.

What was counted is kept for some seconds in each process, so that many open pages cost as one: who came, who is
inside and who left for `FRESH_SECONDS`; ratings per post, checks and times longer, each for its own while, so that
they seldom have to be counted in the same moment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.utils import timezone

from annotation.launch import find_faults
from annotation.models import Outcome, Study
from modeling.remembering import Memory

from .checks import Checks, look_at_checks
from .coverage import Coverage, cover_posts
from .funnel import StepLine, count_finished, count_left, draw_funnel
from .groups import GROUPS, LIVE, PILOT, Group, Head, choose_group, count_heads, in_thousand
from .presence import Presence, find_inside
from .problems import Forecast, Problem, find_problems, make_forecast
from .times import Pay, Quartiles, compute_pay, measure_steps, measure_total

FRESH_SECONDS = 4
POSTS_SECONDS, CHECKS_SECONDS, TIMES_SECONDS = 15, 20, 30
FAULTS_SECONDS = 60

Kept = TypeVar("Kept")
memory = Memory()


@dataclass(frozen=True)
class Watch:
    """A running study at one moment, for one group of people."""

    group: Group
    groups: list[tuple[Group, int]]
    head: Head
    presence: Presence
    outcomes: list[tuple[str, str, int, int]]  # key, label, people, in a thousand
    funnel: list[StepLine]
    total_minutes: Quartiles | None
    pay: Pay | None
    checks: Checks
    coverage: Coverage
    forecast: Forecast | None
    problems: list[Problem]
    seen_at: datetime

    @property
    def n_active(self) -> int:
        return self.presence.active.total()


def watch(study: Study, asked: str = "") -> Watch:
    """Return all that the page shows of a group; which one, when none is asked for, follows from the study.

    That is the pilot's people while the study is a pilot, else the first group that has anyone.
    """
    heads, seen_at = _remember(study, "heads", FRESH_SECONDS, lambda: (count_heads(study), timezone.now()))
    group = choose_group(study, heads, asked)
    path = list(study.steps.order_by("position"))
    head = heads.get(group.key, Head())
    presence = _remember(
        study, f"inside-{group.key}", FRESH_SECONDS, lambda: find_inside(study, group, seen_at)
    )
    finished, left = _remember(
        study,
        f"ways-{group.key}",
        FRESH_SECONDS,
        lambda: (count_finished(study, group), count_left(study, group)),
    )
    lengths, total = _remember(
        study,
        f"times-{group.key}",
        TIMES_SECONDS,
        lambda: (measure_steps(study, group), measure_total(study, group)),
    )
    checks = _remember(
        study, f"checks-{group.key}", CHECKS_SECONDS, lambda: look_at_checks(study, group, path)
    )
    coverage = _remember(study, f"posts-{group.key}", POSTS_SECONDS, lambda: cover_posts(study, group, path))
    is_open = study.takes_people or study.state == Study.State.PAUSED
    faults = _remember(study, "faults", FAULTS_SECONDS, lambda: find_faults(study)) if is_open else []
    return Watch(
        group=group,
        groups=[
            (each, heads.get(each.key, Head()).came) for each in GROUPS if each.key in heads or each is group
        ],
        head=head,
        presence=presence,
        outcomes=[
            (
                outcome,
                str(outcome.label),
                head.outcomes[outcome],
                in_thousand(head.outcomes[outcome], head.came),
            )
            for outcome in Outcome
            if head.outcomes[outcome] or outcome == Outcome.COMPLETED
        ],
        funnel=draw_funnel(path, head.came, finished, left, presence, lengths),
        total_minutes=total,
        pay=compute_pay(study, total) if group in (LIVE, PILOT) else None,
        checks=checks,
        coverage=coverage,
        forecast=make_forecast(study, head, seen_at) if group is LIVE else None,
        problems=find_problems(study, head, presence, faults, seen_at),
        seen_at=seen_at,
    )


def _remember(study: Study, what: str, seconds: int, look: Callable[[], Kept]) -> Kept:
    return memory.get((study.pk, what), seconds, look)
