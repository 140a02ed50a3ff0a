"""What a run came to, in numbers that the database adds up. A web process may import it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from modeling.models import AnnotatorRun, ModelCall, ModelReading

from .selecting import get_post_field

Answered = Q(state=ModelCall.State.ANSWERED)


@dataclass(frozen=True)
class Failure:
    """Readings that gave no ratings for one reason, with what was said of the first."""

    fault: str
    number: int
    example: str


@dataclass(frozen=True)
class RunFacts:
    """A run in numbers.

    Attributes
    ----------
    n_posts : posts that have a reading, with ratings or without; a curation may have dropped some of them since
    n_read, n_failed : readings (one per post and sample) with ratings and without
    failures : the latter by reason, the most frequent first
    n_repaired : readings that came of a repair
    n_calls : calls behind the readings, repairs too; n_own of them were asked by this run
    prompt_tokens, completion_tokens, cost : of those calls, whoever paid; dollars
    spent : what this run paid, dollars; `reserved` may come on top, for calls that broke off
    cost_per_1000 : dollars per 1,000 readings, None before the first
    latency_median, latency_p95 : seconds of the answered calls, None where there is none (batches tell none)
    """

    n_posts: int
    n_read: int
    n_failed: int
    failures: tuple[Failure, ...]
    n_repaired: int
    n_calls: int
    n_own: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    spent: Decimal
    reserved: Decimal
    cost_per_1000: Decimal | None
    latency_median: float | None
    latency_p95: float | None
    is_standin: bool


def summarize_run(run: AnnotatorRun) -> RunFacts:
    """Return what a run came to so far."""
    readings = ModelReading.objects.filter(run=run)
    counts = readings.aggregate(
        n_posts=Count(get_post_field(run), distinct=True),
        n_read=Count("pk", filter=Q(fault="")),
        n_failed=Count("pk", filter=~Q(fault="")),
        n_repaired=Count("pk", filter=Q(fault="", call__repairs__isnull=False)),
        n_standin=Count("pk", filter=Q(call__is_standin=True)),
    )
    behind = _find_calls(readings)
    sums = behind.aggregate(
        n=Count("pk"),
        n_own=Count("pk", filter=Q(run=run)),
        prompt=Sum("prompt_tokens"),
        completion=Sum("completion_tokens"),
        cost=Sum("cost"),
    )
    n_readings = counts["n_read"] + counts["n_failed"]
    dollars = Decimal(sums["cost"] or 0)
    return RunFacts(
        n_posts=counts["n_posts"],
        n_read=counts["n_read"],
        n_failed=counts["n_failed"],
        failures=_list_failures(readings),
        n_repaired=counts["n_repaired"],
        n_calls=sums["n"],
        n_own=sums["n_own"],
        prompt_tokens=sums["prompt"] or 0,
        completion_tokens=sums["completion"] or 0,
        cost=dollars,
        spent=run.spent,
        reserved=run.reserved,
        cost_per_1000=dollars * 1000 / n_readings if n_readings else None,
        latency_median=_find_latency(behind, 0.5),
        latency_p95=_find_latency(behind, 0.95),
        is_standin=run.is_standin or bool(counts["n_standin"]),
    )


def count_progress(run: AnnotatorRun) -> dict[str, int]:
    """Return how many posts have a reading for each sample, of how many: cheap enough for a page that polls."""
    column = get_post_field(run)
    counts = ModelReading.objects.filter(run=run).aggregate(
        n_done=Count(column, distinct=True), n_failed=Count("pk", filter=~Q(fault=""))
    )
    return counts | {"n_posts": max(run.estimate.get("n_posts", 0), counts["n_done"])}


def _find_calls(readings: QuerySet[ModelReading]) -> QuerySet[ModelCall]:
    """Return the calls behind readings, and those whose bad reply one of them repairs."""
    last = readings.filter(call__isnull=False).order_by()
    first = last.filter(call__repairs__isnull=False)
    return ModelCall.objects.filter(
        Q(pk__in=last.values("call_id")) | Q(pk__in=first.values("call__repairs_id"))
    )


def _list_failures(readings: QuerySet[ModelReading]) -> tuple[Failure, ...]:
    found: list[dict[str, Any]] = list(
        readings.exclude(fault="")
        .values("fault")
        .annotate(number=Count("pk"), first=Min("pk"))
        .order_by("-number", "fault")
    )
    reasons = dict(readings.filter(pk__in=[row["first"] for row in found]).values_list("pk", "reason"))
    return tuple(Failure(row["fault"], row["number"], reasons[row["first"]]) for row in found)


def _find_latency(calls: QuerySet[ModelCall], share: float) -> float | None:
    """Return the smallest latency that `share` of the answered calls do not exceed; calls of batches tell none."""
    timed = calls.filter(Answered, latency_seconds__isnull=False, batch=None)
    n_timed = timed.count()
    if not n_timed:
        return None
    place = max(0, min(n_timed - 1, -(-int(share * n_timed * 1000) // 1000) - 1))
    return timed.order_by("latency_seconds").values_list("latency_seconds", flat=True)[place]


def find_last_answer(run: AnnotatorRun) -> Any:
    """Return when a call of this run was answered last; None if none was."""
    return ModelCall.objects.filter(Answered, run=run).aggregate(last=Max("answered_at"))["last"]
