"""Every write to a job, from asking for it to its end.

Two rules carry all others. A process may only finish a job whose lease token it holds, and it finishes
it, effect included, in one transaction. So a job that is delivered ten times, taken back from a worker
that died or was only slow, or done twice side by side, still has one effect. What a part's end means for
its whole is decided in the part's own transaction; see `jobs.parts`.
"""

import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from . import parts, registry
from .errors import Cancelled, LeaseLost, PermanentError, reason, redact
from .models import Heartbeat, Job
from .parts import PartDone, Parts
from .queueing import (
    NO_LEASE,
    NO_PROGRESS,
    as_json,
    check_key,
    claimable,
    newly_queued,
    queue_again,
    send_hint,
)
from .timing import seconds

logger = logging.getLogger(__name__)

REPORT_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 300
LONGEST_RESEND_SECONDS = 600
LONGEST_WAIT_SECONDS = 3600
WORKER_VANISHED = (
    "The worker stopped without a word during try {attempts} of {max_attempts}: "
    "killed, out of memory, or the machine went down."
)
_PROGRESS = tuple(NO_PROGRESS)


# --- asking ------------------------------------------------------------------------------------


def enqueue(*, kind: str, key: str, payload: Mapping[str, Any] | None = None) -> Job:
    """Write a job into the caller's transaction and hint at it once that commits.

    The same key gives the job that is there already, in whatever state it is; nothing is sent then.

    Raises
    ------
    ValueError
        If the key is empty, longer than 255 characters or belongs to a job of another kind, or if the
        payload is not JSON.
    """
    check_key(key)
    payload = as_json(payload or {}, f"the payload of job {key!r}")
    job, created = Job.objects.get_or_create(
        key=key,
        defaults={"kind": kind, "payload": payload, "created_at": timezone.now(), **newly_queued()},
    )
    if created:
        transaction.on_commit(partial(send_hint, job.pk))
    elif job.kind != kind:
        raise ValueError(f"The key {key!r} belongs to a job of kind {job.kind!r}; give {kind!r} its own key.")
    return job


def ask_for_sweep() -> None:
    """Send a sweep to the workers."""
    from . import tasks

    try:
        tasks.sweep.apply_async(retry=False)
    except Exception as error:
        logger.warning("The broker took no message for a sweep (%s).", type(error).__name__)


def retry(job: Job) -> bool:
    """Set a failed or cancelled job going again; False when it is in another state by now.

    What is done of a whole's parts stays done. A part is tried again with its whole, which failed with it.
    """
    stopped = Job.objects.filter(state__in=Job.STOPPED_STATES)
    if stopped.filter(pk=job.pk, whole__state__in=Job.STOPPED_STATES).exists():
        return retry(job.whole)
    return parts.resume(stopped.filter(pk=job.pk))


def cancel(job: Job) -> bool:
    """Stop a job that is not finished, with its parts; False when it is. A running handler learns as it reports.

    A part that is cancelled alone fails its whole, which cannot be done without it.
    """
    with transaction.atomic():
        cancelled = Job.objects.filter(pk=job.pk, state__in=Job.UNFINISHED_STATES).update(
            state=Job.State.CANCELLED, finished_at=timezone.now(), not_before=None, **NO_LEASE
        )
        if cancelled:
            parts.stop([job.pk])
            if job.whole_id:
                parts.settle(job.whole_id)
    return bool(cancelled)


# --- doing -------------------------------------------------------------------------------------


@dataclass
class Claim:
    """A job while this process holds it.

    `parts` are the parts its handler asked for last, in that order, all of them done; None before it asked.
    """

    job_id: int
    kind: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    token: uuid.UUID
    whole_id: int | None = None
    parts: list[PartDone] | None = None
    _on_report: Callable[[tuple[int, int, str]], None] | None = None
    _progress: tuple[int, int, str] | None = None
    _written_at: float = field(default_factory=time.monotonic)
    _ended: LeaseLost | Cancelled | None = None

    def report(self, done: int, total: int, note: str = "") -> None:
        """Show how far the work is; written at most twice a second.

        Raises
        ------
        LeaseLost, Cancelled
            If the job is no longer ours to finish. Let it pass: nothing has been written.
        """
        if self._ended:
            raise self._ended
        self._progress = (done, total, note[:200])
        if time.monotonic() - self._written_at >= REPORT_SECONDS:
            self.extend()
            if self._on_report:
                self._on_report(self._progress)

    def extend(self) -> None:
        """Lengthen the lease and write the last reported progress. Raises as `report` does."""
        self._written_at = time.monotonic()
        if not self.rows().update(lease_until=_lease_end(), **self.progress()):
            cancelled = Job.objects.filter(pk=self.job_id, state=Job.State.CANCELLED).exists()
            self._ended = (Cancelled if cancelled else LeaseLost)(f"job {self.job_id}")
            raise self._ended

    def rows(self) -> QuerySet[Job]:
        """The job's row for as long as it is ours, else nothing."""
        return Job.objects.filter(pk=self.job_id, state=Job.State.RUNNING, lease_token=self.token)

    def progress(self) -> dict[str, Any]:
        if self._progress is None:
            return {}
        return dict(zip(_PROGRESS, self._progress, strict=True))


def claim(job_id: int) -> Claim | None:
    """Take a job that is queued and due, or whose lease ran out; None when somebody else has it or had it."""
    now, token = timezone.now(), uuid.uuid4()
    taken = Job.objects.filter(claimable(now), pk=job_id).update(
        state=Job.State.RUNNING,
        attempts=F("attempts") + 1,
        lease_token=token,
        lease_until=_lease_end(),
        started_at=now,
        not_before=None,
    )
    job = Job.objects.filter(pk=job_id, lease_token=token).first() if taken else None
    if job is None:
        return None
    return Claim(
        job_id=job.pk,
        kind=job.kind,
        payload=job.payload,
        attempt=job.attempts,
        max_attempts=job.max_attempts,
        token=token,
        whole_id=job.whole_id,
        parts=parts.find_results(job),
    )


def run(job_id: int) -> bool:
    """Do a job in a worker, if it is free; True when this call did it.

    A handler's error is written into the row, never raised. A worker also sweeps when nobody else has
    for a while, so a long backlog or a busy pool does not hold up the recovery of lost jobs.
    """
    sweep_if_overdue()
    return _attempt(job_id, at_each_extension=sweep_if_overdue)


def run_here(job: Job, *, on_progress: Callable[[Job], None] | None = None, poll_seconds: float = 0.2) -> Job:
    """Do a job and its parts in this process and return it finished, waiting between tries as a worker would.

    `on_progress(job)` is called whenever the job has moved. What a worker took first, this waits for.
    """

    def show(progress: tuple[int, int, str]) -> None:
        job.progress_done, job.progress_total, job.progress_note = progress
        if on_progress:
            on_progress(job)

    def show_part(progress: tuple[int, int, str]) -> None:
        done, total, note = progress
        show((job.progress_done, job.progress_total, f"{note} {done:,} of {total:,}".strip()))

    for _ in _moves(job, on_progress):
        if _attempt(job.pk, on_report=show):
            continue
        if not any(_attempt(part_id, on_report=show_part) for part_id in parts.find_free(job)):
            _take_back(timezone.now())
            time.sleep(poll_seconds)
    return job


def wait(
    job: Job,
    *,
    on_progress: Callable[[Job], None] | None = None,
    on_look: Callable[[], None] | None = None,
    timeout: float | None = None,
    poll_seconds: float = 0.2,
) -> Job:
    """Return the job once a worker has finished it.

    `on_progress(job)` is called whenever it has moved, `on_look()` at every look. Raises TimeoutError after
    `timeout` seconds.
    """
    began = time.monotonic()
    for _ in _moves(job, on_progress):
        if on_look:
            on_look()
        if timeout is not None and time.monotonic() - began > timeout:
            raise TimeoutError(f"Job {job.pk} ({job.kind}) is still {job.state} after {timeout:g} s.")
        time.sleep(poll_seconds)
    return job


def _moves(job: Job, on_progress: Callable[[Job], None] | None) -> Iterator[None]:
    """Read the job again and again until it is finished, telling of each change."""
    seen = None
    while True:
        job.refresh_from_db()
        now = (job.state, job.attempts, *(getattr(job, name) for name in _PROGRESS))
        if on_progress and now != seen:
            on_progress(job)
        if job.is_final:
            return
        seen = now
        yield


def _attempt(
    job_id: int,
    *,
    at_each_extension: Callable[[], None] | None = None,
    on_report: Callable[[tuple[int, int, str]], None] | None = None,
) -> bool:
    """Claim and do a job once; True when this call finished it or let it wait."""
    held = claim(job_id)
    if held is None:
        return False
    held._on_report = on_report
    try:
        with _Keeper(held, at_each_extension):
            effect = registry.handler_of(held.kind)(held)
        _finish(held, effect)
    except (LeaseLost, Cancelled) as ended:
        logger.info("Job %s (%s) was given up: %s.", held.job_id, held.kind, type(ended).__name__)
        return False
    except BaseException as error:
        _record_failure(held, error)
        if not isinstance(error, Exception):  # Ctrl-C and exits still end the process
            raise
        if _is_interrupt(error):
            raise KeyboardInterrupt from error
        return False
    return True


class _Keeper(threading.Thread):
    """Extends a lease every quarter of its length while the handler computes."""

    def __init__(self, held: Claim, at_each_extension: Callable[[], None] | None) -> None:
        super().__init__(name=f"lease-of-job-{held.job_id}", daemon=True)
        self.held, self.at_each_extension = held, at_each_extension
        self.finished = threading.Event()

    def run(self) -> None:
        try:
            while not self.finished.wait(seconds("JOBS_LEASE_SECONDS") / 4):
                try:
                    self.held.extend()
                    if self.at_each_extension:
                        self.at_each_extension()
                except (LeaseLost, Cancelled):
                    return  # the handler learns of it at its next report, or at the end
                except Exception as error:  # a database that is away for a moment
                    logger.warning("Lease of job %s not extended: %s", self.held.job_id, reason(error))
                    connection.close_if_unusable_or_obsolete()
        finally:
            connection.close()

    def __enter__(self) -> "_Keeper":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finished.set()
        self.join(seconds("JOBS_LEASE_SECONDS"))  # a thread that hangs on the database holds up no effect


def _finish(held: Claim, outcome: registry.Effect | Parts | registry.Later | None) -> None:
    """Write the effect and mark the job done, both or neither; or let it wait, for its parts or for a while.

    Raises LeaseLost when it is not ours.
    """
    _reconnect_if_broken()
    try:
        if isinstance(outcome, Parts):
            parts.ask_for(held, outcome)
            return
        if isinstance(outcome, registry.Later):
            _put_off(held, outcome)
            return
    except ValueError as error:
        raise PermanentError(str(error)) from error
    with transaction.atomic():
        # First the fence: from here to the commit nobody else can take this row.
        if not held.rows().update(
            state=Job.State.DONE, finished_at=timezone.now(), error="", **held.progress(), **NO_LEASE
        ):
            raise LeaseLost(f"job {held.job_id}")
        result = outcome() if outcome else None
        if result is not None:
            try:
                result = as_json(result, f"the result of a job of kind {held.kind!r}")
            except ValueError as error:
                raise PermanentError(str(error)) from error
            Job.objects.filter(pk=held.job_id).update(result=result)
        if held.whole_id:  # last, for it holds up the other parts' ends until the commit
            parts.settle(held.whole_id)


def _put_off(held: Claim, later: registry.Later) -> None:
    if not 0 <= later.seconds <= LONGEST_WAIT_SECONDS:
        raise ValueError(
            f"a job can be put off by 0 to {LONGEST_WAIT_SECONDS} seconds, not by {later.seconds}; "
            "call it again in between and look"
        )
    due = timezone.now() + timedelta(seconds=later.seconds)
    note = {"progress_note": later.note[:200]} if later.note else {}
    if not held.rows().update(
        **{"state": Job.State.QUEUED, "attempts": 0, "error": "", **held.progress(), **note, **NO_LEASE},
        queued_at=timezone.now(),
        not_before=due,
        resend_at=due,
    ):
        raise LeaseLost(f"job {held.job_id}")


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is what is behind an error: compiled code tells of it by an error of its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _record_failure(held: Claim, error: BaseException) -> None:
    """Queue the job again after a pause, or fail it, with the reason."""
    if _is_interrupt(error):  # where it was in the code says nothing of what is wrong
        logger.warning(
            "Job %s (%s) was interrupted on try %d of %d.",
            held.job_id,
            held.kind,
            held.attempt,
            held.max_attempts,
        )
    else:
        logger.warning(
            "Job %s (%s) failed on try %d of %d:\n%s",
            held.job_id,
            held.kind,
            held.attempt,
            held.max_attempts,
            redact("".join(traceback.format_exception(error))),
        )
    _reconnect_if_broken()
    if held.attempt >= held.max_attempts or isinstance(error, PermanentError):
        _fail(held.rows(), reason(error), held.whole_id)
        return
    pause = min(seconds("JOBS_RETRY_SECONDS") * 2 ** (held.attempt - 1), LONGEST_RETRY_SECONDS)
    due = timezone.now() + timedelta(seconds=pause)
    held.rows().update(
        state=Job.State.QUEUED,
        queued_at=timezone.now(),
        not_before=due,
        resend_at=due,
        error=reason(error),
        **NO_LEASE,
    )


# --- recovering --------------------------------------------------------------------------------


@dataclass(frozen=True)
class SweepReport:
    """What one sweep did: hints sent again, jobs taken back, jobs given up, wholes and parts brought together."""

    resent: int
    reclaimed: int
    failed: int
    settled: int = 0


def sweep() -> SweepReport:
    """Find jobs whose message was lost or whose worker died, and set them going again. Safe side by side."""
    now = timezone.now()
    reclaimed, failed = _take_back(now)
    settled = parts.settle_forgotten()
    resent = _resend(now)
    Heartbeat.objects.update_or_create(name="sweep", defaults={"at": timezone.now()})
    return SweepReport(resent=resent, reclaimed=reclaimed, failed=failed, settled=settled)


def _take_back(now: datetime) -> tuple[int, int]:
    """Queue again, or fail, what runs without a lease; return how many of each."""
    reclaimed = failed = 0
    for job in Job.objects.filter(state=Job.State.RUNNING, lease_until__lte=now).order_by("lease_until"):
        # The lease may have been extended since: both conditions are asked again in the update.
        same = Job.objects.filter(
            pk=job.pk, state=Job.State.RUNNING, lease_token=job.lease_token, lease_until__lte=now
        )
        why = WORKER_VANISHED.format(attempts=job.attempts, max_attempts=job.max_attempts)
        if job.attempts >= job.max_attempts:
            failed += _fail(same, why, job.whole_id)
        else:
            reclaimed += queue_again(same, error=why, **NO_PROGRESS)
    return reclaimed, failed


def sweep_if_overdue() -> None:
    """Sweep when no sweep has been seen for two of its periods."""
    overdue = timezone.now() - timedelta(seconds=2 * seconds("JOBS_SWEEP_SECONDS"))
    if not Heartbeat.objects.filter(name="sweep", at__gt=overdue).exists():
        sweep()


def _resend(now: datetime) -> int:
    """Send another hint for each queued job whose time has come; the next one waits twice as long.

    The doubling keeps a long but healthy backlog from filling the broker with repeated hints.
    """
    resent = 0
    shortest = seconds("JOBS_RESEND_SECONDS")
    for job in Job.objects.filter(state=Job.State.QUEUED, resend_at__lte=now).order_by("resend_at"):
        age = (now - (job.not_before or job.queued_at)).total_seconds()
        pause = min(max(age, shortest), max(LONGEST_RESEND_SECONDS, shortest))
        ours = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED, resend_at=job.resend_at)
        if ours.update(resend_at=now + timedelta(seconds=pause)):
            if not send_hint(job.pk):
                break  # the broker is away; the others would only wait for it in turn
            resent += 1
    return resent


# --- shared ------------------------------------------------------------------------------------


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=seconds("JOBS_LEASE_SECONDS"))


def _fail(rows: QuerySet[Job], why: str, whole_id: int | None) -> int:
    with transaction.atomic():
        failed = rows.update(state=Job.State.FAILED, error=why, finished_at=timezone.now(), **NO_LEASE)
        if failed and whole_id:
            parts.settle(whole_id)
    return failed


def _reconnect_if_broken() -> None:
    """Drop a connection that died during a long computation; Django then opens a new one."""
    if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
        connection.close()
