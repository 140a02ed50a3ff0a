"""Jobs made of parts: a handler asks for parts, its job waits for them, and is then called again.

Everything here runs in the transaction of the change that calls for it. Locks are taken from a part to its
whole, never back: whoever holds a whole takes of its parts only those that nobody holds. So two processes
never wait for one another, however many parts end in the same instant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from .errors import REASON_LENGTH, LeaseLost, PermanentError
from .models import Job
from .queueing import (
    NO_LEASE,
    NO_PROGRESS,
    as_json,
    check_key,
    claimable,
    newly_queued,
    queue_again,
    send_hints,
)

if TYPE_CHECKING:
    from .services import Claim

MOST_PARTS = 10_000
MOST_ROUNDS = 100
BATCH = 500


@dataclass(frozen=True)
class Part:
    """One part of a job: a job itself, with a handler of its own.

    The key is unique among all jobs, so it should hold what identifies the whole.
    """

    kind: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """What a handler returns to be called again once all of these are done.

    `note` says what the parts are, for "3 of 19, values fitted" where progress is shown.
    """

    parts: Sequence[Part]
    note: str = "parts done"


class PartDone(NamedTuple):
    """A finished part, as the whole's handler finds it in `claim.parts`."""

    key: str
    payload: dict[str, Any]
    result: dict[str, Any] | None


# --- asking for parts --------------------------------------------------------------------------


def ask_for(held: "Claim", asked: Parts) -> None:
    """Let the claimed job wait for these parts. What is done under the same key already counts as done.

    Raises
    ------
    LeaseLost
        If the job is no longer ours; nothing is written then.
    ValueError
        If there are no parts, or too many, if a key is used twice or belongs to another job, or if a payload
        is not JSON.
    PermanentError
        If the job has asked too often.
    """
    wanted = _check(asked)
    with transaction.atomic():
        if not held.rows().update(
            state=Job.State.WAITING,
            rounds=F("rounds") + 1,
            attempts=0,
            error="",
            progress_done=0,
            progress_total=len(wanted),
            progress_note=asked.note[:200],
            **NO_LEASE,
        ):
            raise LeaseLost(f"job {held.job_id}")
        number = Job.objects.values_list("rounds", flat=True).get(pk=held.job_id)
        if number > MOST_ROUNDS:
            raise PermanentError(f"the job asked for parts {MOST_ROUNDS} times and never came to an end")
        present = _find_present(held.job_id, wanted)
        added = []
        for place, (key, part) in enumerate(wanted.items()):
            if key in present:
                Job.objects.filter(key=key).update(round=number, place=place)
                resume(Job.objects.filter(key=key, state__in=Job.STOPPED_STATES))
            else:
                row = Job(kind=part.kind, key=key, payload=part.payload, round=number, place=place)
                added.append(row)
        times = {"created_at": timezone.now(), **newly_queued()}
        for row in added:
            row.whole_id = held.job_id
            vars(row).update(times)
        Job.objects.bulk_create(added, batch_size=BATCH)
        transaction.on_commit(partial(send_hints, [row.pk for row in added]))
        settle(held.job_id)  # all of them may be done already


def _check(asked: Parts) -> dict[str, Part]:
    """Return the parts by key, each payload as plain JSON."""
    if not 1 <= len(asked.parts) <= MOST_PARTS:
        raise ValueError(
            f"a job has 1 to {MOST_PARTS:,} parts; {len(asked.parts):,} were asked for. "
            "Where nothing is left to do, return an effect; where there is too much, make larger parts."
        )
    wanted: dict[str, Part] = {}
    for part in asked.parts:
        if check_key(part.key) in wanted:
            raise ValueError(f"the part {part.key!r} was asked for twice; give each part its own key")
        payload = as_json(part.payload, f"the payload of part {part.key!r}")
        wanted[part.key] = Part(part.kind, part.key, payload)
    return wanted


def _find_present(whole_id: int, wanted: Mapping[str, Part]) -> set[str]:
    """Return which keys there are parts for already; raises ValueError when one is not a part of this job."""
    # A row that is held at this moment ends this try, for waiting here could be waiting in a circle.
    rows = Job.objects.select_for_update(no_key=True, nowait=True).filter(key__in=list(wanted))
    present = {row.key: row for row in rows.only("key", "kind", "whole_id")}
    for key, row in present.items():
        if (row.whole_id, row.kind) != (whole_id, wanted[key].kind):
            raise ValueError(
                f"the key {key!r} belongs to another job, of kind {row.kind!r}; "
                "put what identifies the whole into its parts' keys"
            )
    return set(present)


# --- when a part has ended ---------------------------------------------------------------------


def settle(whole_id: int) -> bool:
    """Draw the conclusion for a waiting job: queue it when all parts are done, fail it when one never will be.

    Call it in the transaction that ended a part. Safe at any time and any number of times; True when the job
    left its waiting.
    """
    with transaction.atomic():
        rows = Job.objects.filter(pk=whole_id, state=Job.State.WAITING)
        whole = rows.select_for_update(no_key=True).only("whole_id", "rounds").first()
        if whole is None:
            return False
        asked = Job.objects.filter(whole=whole_id, round=whole.rounds)
        # "failed" before "cancelled": a failure is why the others were cancelled
        broken = asked.filter(state__in=Job.STOPPED_STATES).order_by("-state", "place").first()
        if broken is not None:
            _fail(whole, broken)
            return True
        count = asked.aggregate(total=Count("pk"), done=Count("pk", filter=Q(state=Job.State.DONE)))
        progress = {"progress_done": count["done"], "progress_total": count["total"]}
        if count["done"] == count["total"]:
            return queue_again(rows, **progress)
        rows.update(**progress)
        return False


def _fail(whole: Job, broken: Job) -> None:
    what = f"failed: {broken.error}" if broken.state == Job.State.FAILED else "was cancelled"
    Job.objects.filter(pk=whole.pk).update(
        state=Job.State.FAILED,
        error=f"part {broken.key!r} {what}"[:REASON_LENGTH],
        finished_at=timezone.now(),
    )
    stop([whole.pk])
    if whole.whole_id:
        settle(whole.whole_id)


def stop(whole_ids: Sequence[int]) -> int:
    """Cancel what is left of the parts of these finished jobs; return how many were.

    A part that is being written at this very moment is left alone: it ends by itself, or the sweep finds it.
    """
    stopped = 0
    while whole_ids:
        with transaction.atomic():
            left = Job.objects.filter(whole__in=whole_ids, state__in=Job.UNFINISHED_STATES)
            free = left.select_for_update(no_key=True, skip_locked=True)
            whole_ids = list(free.values_list("pk", flat=True))
            stopped += Job.objects.filter(pk__in=whole_ids).update(
                state=Job.State.CANCELLED, finished_at=timezone.now(), not_before=None, **NO_LEASE
            )
    return stopped


def resume(rows: QuerySet[Job]) -> bool:
    """Set the one failed or cancelled job in `rows` going again: what is done of its parts stays done.

    False when there is none any more.
    """
    with transaction.atomic():
        job = rows.select_for_update(no_key=True).only("rounds").first()
        if job is None:
            return False
        undone = Job.objects.filter(whole=job.pk, round=job.rounds).exclude(state=Job.State.DONE)
        if not undone.exists():
            return queue_again(rows, attempts=0, finished_at=None, **NO_PROGRESS)
        rows.update(state=Job.State.WAITING, attempts=0, finished_at=None)
        stopped = undone.filter(state__in=Job.STOPPED_STATES).order_by("place")
        free = stopped.select_for_update(no_key=True, skip_locked=True)
        for part_id in list(free.values_list("pk", flat=True)):
            resume(Job.objects.filter(pk=part_id, state__in=Job.STOPPED_STATES))
        return True


# --- looking -----------------------------------------------------------------------------------


def find_results(job: Job) -> list[PartDone] | None:
    """Return the parts of the job's latest round in the order in which they were asked for; None before any."""
    if not job.rounds:
        return None
    asked = Job.objects.filter(whole=job.pk, round=job.rounds).order_by("place")
    return [PartDone(*row) for row in asked.values_list("key", "payload", "result")]


def find_free(job: Job) -> Iterator[int]:
    """The parts of a job, and parts of these, that a process may take now."""
    whole_ids: Iterable[int] = [job.pk]
    while whole_ids:
        left = Job.objects.filter(whole__in=whole_ids, state__in=Job.UNFINISHED_STATES)
        yield from left.filter(claimable(timezone.now())).order_by("place").values_list("pk", flat=True)
        whole_ids = list(left.filter(state=Job.State.WAITING).values_list("pk", flat=True))


def settle_forgotten() -> int:
    """Settle every job that waits although it need not, and stop every part whose whole has ended.

    Returns how many jobs were set going or stopped. There is nothing to find unless rows were changed by hand
    or a part was being written in the very moment its whole ended.
    """
    asked = Job.objects.filter(whole=OuterRef("pk"), round=OuterRef("rounds"))
    under_way = asked.filter(state__in=Job.UNFINISHED_STATES)
    broken = asked.filter(state__in=Job.STOPPED_STATES)
    waiting = Job.objects.filter(~Exists(under_way) | Exists(broken), state=Job.State.WAITING)
    settled = sum(settle(whole_id) for whole_id in list(waiting.values_list("pk", flat=True)))
    left = Job.objects.filter(state__in=Job.UNFINISHED_STATES, whole__state__in=Job.FINAL_STATES)
    return settled + stop(list(left.values_list("whole", flat=True).distinct()))
