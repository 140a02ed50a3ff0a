"""Passes of annotator models over posts: made with an estimate, started, cancelled, resumed.

The row's state is what counts. Whoever works for a run looks at it before each call and leaves off as soon as it is
not `running`; so stopping a run is one update, and needs no worker's help. A web process may import it.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.services.audit import log_event
from jobs import services as jobs
from jobs.models import Job
from jobs.services import enqueue
from modeling.models import (
    AnnotatorModel,
    AnnotatorRun,
    Curation,
    ModelCall,
    ModelReading,
    SplitOpening,
)

from .estimates import estimate_run
from .selecting import feed_posts, study_posts

KIND, LANE, BATCH = "annotate", "annotate_lane", "annotate_batch"
MOST_AT_ONCE = 64
Mode, State = AnnotatorRun.Mode, AnnotatorRun.State
ENDED = (State.DONE, State.STOPPED, State.CANCELLED)


def create_run(
    annotator: AnnotatorModel,
    *,
    selection: dict[str, Any] | None = None,
    curation: Curation | None = None,
    mode: str = Mode.CALLS,
    concurrency: int = 8,
    budget: Decimal | None = None,
    user: Any = None,
    is_preview: bool = False,
) -> AnnotatorRun:
    """Store a run that is not started yet, with its estimate.

    `selection` is one of `selecting`; without it, a run reads every post of the study, or every feed post that the
    curation still holds.

    Raises
    ------
    Refused
        If the annotator model is retired, if mode, number of calls at once or budget make no sense, or if there is
        no post to read.
    """
    if annotator.retired_at is not None:
        raise Refused(f"{annotator} is retired; choose a model that is offered.")
    if curation is not None and curation.study_id != annotator.study_id:
        raise Refused("The curation belongs to another study than the annotator model.")
    if mode not in Mode.values:
        raise Refused(f"A run goes {' or '.join(Mode.values)}, not '{mode:.20}'.")
    if (
        isinstance(concurrency, bool)
        or not isinstance(concurrency, int)
        or not 1 <= concurrency <= MOST_AT_ONCE
    ):
        raise Refused(f"Calls at once are a whole number from 1 to {MOST_AT_ONCE}.")
    if selection is None:
        selection = feed_posts() if curation else study_posts(annotator.study)
    run = AnnotatorRun(
        annotator=annotator,
        curation=curation,
        selection=selection,
        mode=mode,
        concurrency=concurrency,
        budget=_check_budget(budget),
        is_preview=is_preview,
        is_standin=annotator.is_standin,
        started_by=user,
    )
    try:
        run.estimate = estimate_run(run)
    except ValueError as error:
        raise Refused(str(error)) from error
    if not run.estimate["n_posts"]:
        raise Refused("There is no post to read: the selection is empty, or its posts have no text.")
    run.save()
    return run


def start_run(run: AnnotatorRun, user: Any = None) -> Job:
    """Set a run going. One that is under way already gives its job. Raises Refused for one that has ended."""
    with transaction.atomic():
        held = _hold(run)
        if held.state == State.RUNNING and (job := find_run_job(run)) and not job.is_final:
            return job
        if held.state in ENDED:
            raise Refused(f"{run} is {held.get_state_display().lower()}; resume it, or make a new run.")
        return _go(run, user, "Started")


def resume_run(run: AnnotatorRun, user: Any = None, *, budget: Decimal | None = None) -> Job:
    """Let a stopped, cancelled or failed run go on where it was; what was read stays read.

    `budget` is the new one, where it is to change. Raises Refused for a run that is done.
    """
    with transaction.atomic():
        if _hold(run).state == State.RUNNING and (job := find_run_job(run)) and not job.is_final:
            return job
        reopen_run(run, budget=budget)
        return _go(run, user, "Resumed")


@transaction.atomic
def reopen_run(run: AnnotatorRun, *, budget: Decimal | None = None) -> None:
    """Put a run back among those under way without a job of its own: for a job that has it as a part.

    Raises Refused for a run that is done.
    """
    held = _hold(run)
    if held.state == State.DONE:
        raise Refused(f"{run} is done; there is nothing left to read. Make a new run.")
    changes = {} if budget is None else {"budget": _check_budget(budget)}
    _begin(run, **changes)


def begin_run(run: AnnotatorRun) -> None:
    """Put a run that was not started among those under way; any other stays as it is."""
    with transaction.atomic():
        if _hold(run).state == State.READY:
            _begin(run)


def cancel_run(run: AnnotatorRun, user: Any = None) -> bool:
    """Stop a run that has not ended; False when it has. Calls under way are waited for, and kept."""
    with transaction.atomic():
        _hold(run)
        if not end_run(run, State.CANCELLED):
            return False
        job = find_run_job(run)
        # A batch is left to its job: it must be cancelled with the provider, and what it answered was paid.
        if job and not job.is_final and job.whole_id is None and run.mode == Mode.CALLS:
            jobs.cancel(job)
        _log(run, user, "Cancelled")
    return True


def stop_run(run: AnnotatorRun, problem: str) -> bool:
    """Stop a run for a reason that somebody must mend; False when it is not under way any more."""
    return end_run(run, State.STOPPED, problem)


def stop_for_budget(run: AnnotatorRun) -> None:
    """Stop a run whose budget does not hold the next call."""
    run.refresh_from_db()
    if run.budget is None:  # taken away meanwhile: the next try goes on
        return
    maybe = f", and up to ${run.reserved:.4f} for calls that broke off" if run.reserved > 0 else ""
    stop_run(
        run,
        f"The budget of ${run.budget:.2f} does not hold the next call: ${run.spent:.4f} are spent{maybe}. Raise it "
        "and resume the run.",
    )


def end_run(run: AnnotatorRun, state: str, problem: str = "") -> bool:
    """Move a run that has not ended into its last state; False when another did."""
    ended = AnnotatorRun.objects.filter(pk=run.pk).exclude(state__in=ENDED)
    moved = bool(ended.update(state=state, problem=problem, finished_at=timezone.now()))
    run.refresh_from_db()
    return moved


@transaction.atomic
def forget_failures(run: AnnotatorRun) -> int:
    """Take back the readings of a run that no reply stands behind, so that they are tried again; returns how many.

    A bad reply was paid for and stays: asking again would find the same one.
    Raises Refused for a run that was scored on test posts: what was found on them stays as it was.
    """
    _hold(run)
    opened = SplitOpening.objects.filter(expert_set__study=run.annotator.study_id)
    if any(run.pk in run_ids for run_ids in opened.values_list("run_ids", flat=True)):
        raise Refused(
            f"Run {run.pk} was scored on test posts, which are opened once; its readings stay as they were then. Make "
            "another run."
        )
    failed = ModelReading.objects.filter(run=run, ratings=None).exclude(call__state=ModelCall.State.ANSWERED)
    number, _ = failed.delete()
    if number:
        AnnotatorRun.objects.filter(pk=run.pk, state=State.DONE).update(
            state=State.STOPPED,
            problem=f"{number:,} readings without a reply were taken back, to be tried again.",
        )
    run.refresh_from_db()
    return number


def find_run_job(run: AnnotatorRun) -> Job | None:
    """Return the newest job that works for a run."""
    return Job.objects.filter(kind=KIND, payload__run=run.pk).order_by("-pk").first()


def list_payload(run: AnnotatorRun) -> dict[str, int]:
    """Return the payload of a job, or of a part of another job, that does a run."""
    return {"run": run.pk, "study": run.annotator.study_id}


def _hold(run: AnnotatorRun) -> AnnotatorRun:
    return AnnotatorRun.objects.select_for_update(no_key=True).get(pk=run.pk)


def _begin(run: AnnotatorRun, **changes: Any) -> None:
    started: datetime = timezone.now()
    AnnotatorRun.objects.filter(pk=run.pk).update(
        state=State.RUNNING,
        problem="",
        n_starts=F("n_starts") + 1,
        started_at=started,
        finished_at=None,
        **changes,
    )
    run.refresh_from_db()


def _go(run: AnnotatorRun, user: Any, did: str) -> Job:
    if run.state != State.RUNNING:
        _begin(run)
    if user is not None:
        run.started_by = user
        run.save(update_fields=["started_by"])
    _log(run, user, did)
    if (job := find_run_job(run)) and not job.is_final:
        return job
    return enqueue(kind=KIND, key=f"{KIND}:{run.pk}:{run.n_starts}", payload=list_payload(run))


def _log(run: AnnotatorRun, user: Any, did: str) -> None:
    what = "a preview" if run.is_preview else "run"
    log_event(
        run.annotator.study,
        StudyEvent.Action.CHANGED,
        f"{did} {what} {run.pk} of the annotator model {run.annotator}.",
        actor=user,
        detail={
            "run": run.pk,
            "annotator": run.annotator_id,
            "posts": run.estimate.get("n_posts"),
            "budget": None if run.budget is None else str(run.budget),
            "spent": str(run.spent),
        },
    )


def _check_budget(budget: Decimal | None) -> Decimal | None:
    if budget is None:
        return None
    if not (isinstance(budget, Decimal | int) and Decimal(budget).is_finite() and 0 < budget < 10**7):
        raise Refused("The budget is a number of dollars above 0, or none.")
    return Decimal(budget)
