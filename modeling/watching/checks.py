"""Attention checks, gates and practice: how many failed what."""

from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Q, QuerySet

from annotation.models import Attempt, Exclusion, GateDecision, Step, Study
from modeling.models import QualityFlag

from .funnel import name_kind
from .groups import Group


@dataclass(frozen=True)
class CheckLine:
    """One attention check or gate: how many it was decided of, and how many failed."""

    position: int
    label: str
    decided: int
    failed: int

    @property
    def passed(self) -> int:
        return self.decided - self.failed

    @property
    def failed_share(self) -> float | None:
        return self.failed / self.decided if self.decided else None

    @property
    def passed_share(self) -> float | None:
        return self.passed / self.decided if self.decided else None


@dataclass(frozen=True)
class KnownPostLine:
    """One post of the training or of a gate."""

    position: int
    label: str
    key: str
    right: int
    wrong: int

    @property
    def wrong_per_person(self) -> float | None:
        """Wrong tries for each person who got it right in the end."""
        return self.wrong / self.right if self.right else None

    @property
    def right_share(self) -> float | None:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None


@dataclass
class Checks:
    """Attention checks, gates and practice."""

    attention: list[CheckLine]
    failed_attention: list[tuple[int, int]]  # (number of failed checks, people)
    gates: list[CheckLine]
    training: list[KnownPostLine]
    gate_posts: list[KnownPostLine]
    n_excluded: int
    n_flagged: int


def look_at_checks(study: Study, group: Group, path: list[Step]) -> Checks:
    mine = group.match("enrollment__") & Q(enrollment__study=study)
    decisions: dict[tuple[int, bool], int] = {
        (step, passed): n
        for step, passed, n in GateDecision.objects.filter(mine)
        .order_by()
        .values_list("step", "passed")
        .annotate(n=Count("pk"))
    }
    failures = (
        GateDecision.objects.filter(mine, step__kind="attention_check", passed=False)
        .order_by()
        .values("enrollment")
        .annotate(n=Count("pk"))
        .values_list("n")
    )
    tries = {
        (step, item): (right, n - right)
        for step, item, n, right in Attempt.objects.filter(mine, step__kind__in=("training", "gating"))
        .order_by()
        .values_list("step", "item")
        .annotate(n=Count("pk"), right=Count("pk", filter=Q(is_right=True)))
    }
    return Checks(
        attention=_tell_decisions(path, "attention_check", decisions),
        failed_attention=count_by_number(failures),
        gates=_tell_decisions(path, "gating", decisions),
        training=_tell_tries(path, "training", tries),
        gate_posts=_tell_tries(path, "gating", tries),
        n_excluded=Exclusion.objects.filter(mine).count(),
        n_flagged=QualityFlag.objects.filter(mine).order_by().values("enrollment").distinct().count(),
    )


def count_by_number(numbers: QuerySet) -> list[tuple[int, int]]:
    """Return how often each number occurs, counted by the database; `numbers` has the one column `n`."""
    inner, parameters = numbers.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT n, count(*) FROM ({inner}) AS numbers GROUP BY n ORDER BY n",  # noqa: S608 - the ORM's own words
            parameters,
        )
        return cursor.fetchall()


def _tell_decisions(path: list[Step], kind: str, decisions: dict[tuple[int, bool], int]) -> list[CheckLine]:
    lines = []
    for step in path:
        if step.kind == kind:
            failed, passed = decisions.get((step.pk, False), 0), decisions.get((step.pk, True), 0)
            lines.append(CheckLine(step.position, name_kind(kind), failed + passed, failed))
    return lines


def _tell_tries(
    path: list[Step], kind: str, tries: dict[tuple[int, str], tuple[int, int]]
) -> list[KnownPostLine]:
    positions = {step.pk: step.position for step in path if step.kind == kind}
    found = sorted(
        (positions[step], item, counts) for (step, item), counts in tries.items() if step in positions
    )
    return [KnownPostLine(position, name_kind(kind), item, *counts) for position, item, counts in found]
