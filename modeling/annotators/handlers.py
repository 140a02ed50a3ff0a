"""What a worker does for a run of an annotator model."""

from typing import Any

from jobs.errors import PermanentError
from jobs.parts import Part, Parts
from jobs.registry import Effect, Later, handles
from jobs.services import Claim
from modeling.models import AnnotatorModel, AnnotatorRun

from .batching import work_batch
from .encoding import read_locally
from .lanes import work_lane
from .limits import MOST_LANES
from .runs import BATCH, KIND, LANE, State, begin_run, end_run, stop_run
from .selecting import find_unread

FEWEST_POSTS = 25  # of a lane: fewer are done sooner by one worker than shared out


@handles(KIND)
def annotate(claim: Claim) -> Effect | Parts | None:
    """Have every post of a run read: in lanes, by whoever is free, round after round until none is left."""
    run = _load(claim)
    begin_run(run)
    if run.state != State.RUNNING:
        return lambda: _tell(run)
    if run.annotator.kind == AnnotatorModel.Kind.ENCODER:
        read_locally(run, claim)
        return lambda: _finish(run)
    unread = find_unread(run).order_by("pk").values_list("pk", flat=True)
    n_left = unread.count()
    if not n_left:
        return lambda: _finish(run)
    earlier = claim.parts[0].payload if claim.parts else {"round": 0, "n_left": None}
    if n_left == earlier["n_left"]:
        stop_run(
            run, f"A whole round over {n_left:,} posts brought no reading; ask whoever runs this server."
        )
        return lambda: _tell(run)
    common = claim.payload | {"round": earlier["round"] + 1, "n_left": n_left}
    name = f"{claim.job_id}:{run.n_starts}:{common['round']}"
    if run.mode == AnnotatorRun.Mode.BATCH:
        return Parts([Part(BATCH, f"{BATCH}:{name}", common)], note="batches read")
    ids = list(unread)
    n_lanes = min(MOST_LANES, run.concurrency, -(-n_left // FEWEST_POSTS))
    size = -(-n_left // n_lanes)
    shares = [ids[start : start + size] for start in range(0, n_left, size)]
    return Parts(
        [
            Part(LANE, f"{LANE}:{name}:{number}", common | {"first": share[0], "last": share[-1]})
            for number, share in enumerate(shares)
        ],
        note="shares of the posts read",
    )


@handles(LANE)
def annotate_lane(claim: Claim) -> Effect | Later:
    """Read one share of a run's posts."""
    run = _load(claim)
    done = work_lane(run, claim, claim.payload["first"], claim.payload["last"])
    return done if isinstance(done, Later) else lambda: done


@handles(BATCH)
def annotate_batch(claim: Claim) -> Effect | Later:
    """Read a run's posts by the provider's batches."""
    run = _load(claim)
    done = work_batch(run, claim)
    return done if isinstance(done, Later) else lambda: done


def _load(claim: Claim) -> AnnotatorRun:
    runs = AnnotatorRun.objects.select_related("annotator__study", "annotator__prompt", "curation")
    run = runs.filter(pk=claim.payload["run"]).first()
    if run is None:
        raise PermanentError(f"There is no run {claim.payload['run']} any more.")
    return run


def _finish(run: AnnotatorRun) -> dict[str, Any]:
    end_run(run, State.DONE)
    return _tell(run)


def _tell(run: AnnotatorRun) -> dict[str, Any]:
    run.refresh_from_db()
    return {"state": run.state, "problem": run.problem}
