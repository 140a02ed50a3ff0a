"""How long things take, and what the study pays for it."""

import statistics
from collections import defaultdict
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from annotation.fairness import (
    MINIMUM_HOURLY,
    compute_hourly_pay,
    compute_least_reward,
    format_money,
    is_paid_fairly,
)
from annotation.models import Outcome, Study

from .groups import IMPORTED, Group, get_crowd

JUDGE_PAY_FROM = 5


@dataclass(frozen=True)
class Quartiles:
    """How long something took `n` people, in minutes: a quarter took `low` or less, a quarter `high` or more."""

    n: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Pay:
    """What the study pays for an hour of the median person's time."""

    hourly: str
    reward: str
    minimum: str
    fair_reward: str
    is_below: bool
    is_settled: bool  # enough people to judge by


SECONDS_BETWEEN = {
    "sqlite": "(julianday({end}) - julianday({start})) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM {end} - {start}) AS double precision)",
}

_STEP_LENGTHS = """
SELECT done.step_id, {length} FROM (
    SELECT step_id, at, coalesce(
        lag(at) OVER (PARTITION BY enrollment_id ORDER BY at, done.id), crowd.started_at
    ) AS began
    FROM annotation_stepcompletion AS done JOIN ({crowd}) AS crowd ON crowd.id = done.enrollment_id
) AS done
"""

_TOTALS = "SELECT {length} FROM ({crowd}) AS crowd"


def measure_steps(study: Study, group: Group) -> dict[int, Quartiles]:
    crowd = get_crowd(study, group).order_by().values("id", "started_at")
    minutes: dict[int, list[float]] = defaultdict(list)
    for step, seconds in _fetch(_STEP_LENGTHS, crowd, start="done.began", end="done.at"):
        minutes[step].append(seconds / 60)
    return {step: quartiles for step, found in minutes.items() if (quartiles := find_quartiles(found))}


def measure_total(study: Study, group: Group) -> Quartiles | None:
    if group is IMPORTED:  # their times are those of the import
        return None
    crowd = get_crowd(study, group).filter(outcome=Outcome.COMPLETED).order_by()
    rows = _fetch(_TOTALS, crowd.values("started_at", "finished_at"), start="started_at", end="finished_at")
    # SQLite's days are good for some microseconds: what pay is judged by must not end on them.
    return find_quartiles([round(seconds, 3) / 60 for (seconds,) in rows])


def _fetch(sql: str, crowd: QuerySet, **ends: str) -> list[tuple]:
    inner, parameters = crowd.query.sql_with_params()
    length = SECONDS_BETWEEN[connection.vendor].format(**ends)
    with connection.cursor() as cursor:
        cursor.execute(sql.format(length=length, crowd=inner), parameters)
        return cursor.fetchall()


def find_quartiles(minutes: list[float]) -> Quartiles | None:
    """Return the quartiles, linear between neighbours (type 7); None for no numbers at all."""
    if not minutes:
        return None
    if len(minutes) == 1:
        return Quartiles(1, *minutes * 3)
    return Quartiles(len(minutes), *statistics.quantiles(minutes, n=4, method="inclusive"))


def compute_pay(study: Study, total: Quartiles | None) -> Pay | None:
    if study.reward is None or total is None or total.median <= 0:
        return None
    currency, minutes = study.currency, total.median
    return Pay(
        hourly=format_money(compute_hourly_pay(study.reward, minutes), currency),
        reward=format_money(study.reward, currency),
        minimum=format_money(MINIMUM_HOURLY[currency], currency),
        fair_reward=format_money(compute_least_reward(minutes, currency), currency),
        is_below=not is_paid_fairly(study.reward, minutes, currency),
        is_settled=total.n >= JUDGE_PAY_FROM,
    )
