"""What a worker does for a curation: its feeds, then stage after stage, each in a transaction of its own."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.files.storage import storages

from annotation.uploads.reading import FileRefused, Layout
from jobs.errors import PermanentError
from jobs.parts import Part, Parts
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.annotators import runs
from modeling.models import AnnotatorRun, Curation, FeedUpload

from . import deciding, feeds
from .services import CURATE, CURATE_STAGE, end_curation, prepare_run
from .stages import BY_MODEL, STAGE_LABELS, Stage

PLAIN = "plain"
NEXT = {PLAIN: BY_MODEL[0].value} | {
    stage.value: after.value for stage, after in zip(BY_MODEL, (*BY_MODEL[1:], Stage.SAMPLE), strict=True)
}


@handles(feeds.LOAD_FEEDS)
def load_feeds(claim: Claim) -> Effect | None:
    """Load one file of feeds, all of it or nothing, and delete the file. Safe to run twice."""
    payload = claim.payload
    curation = Curation.objects.select_related("study").filter(pk=payload["curation"]).first()
    if curation is None or curation.uploads.filter(sha256=payload["sha256"]).exists():
        return None
    try:
        layout = Layout.from_dict(payload["layout"])
        read = feeds.read_feeds(curation, payload["file"], layout, payload["sha256"], claim.report)
        if not read.appearances:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in read.counts["refused"].items())
            raise FileRefused(f"none of its {read.counts['rows']:,} rows can be used ({reasons})")
    except (FileRefused, FileNotFoundError) as error:
        storages["artefacts"].delete(payload["file"])
        reason = str(error) if isinstance(error, FileRefused) else "The stored file is gone; upload it again."
        raise PermanentError(reason) from error

    def store() -> dict[str, Any]:
        with read.posts:
            upload = FeedUpload(
                curation=curation,
                name=payload["name"],
                sha256=payload["sha256"],
                uploaded_by=payload["uploaded_by"],
            )
            actor = get_user_model().objects.filter(pk=payload["actor"]).first()
            feeds.delete_file_later(payload["file"])
            return feeds.store_feeds(read, upload, actor=actor)

    return store


@handles(CURATE)
def curate(claim: Claim) -> Effect | Parts:
    """Lead a curation through its stages; where a model decides, its run is a part, then the stage is another."""
    curation = _get_curation(claim)
    if claim.parts is None:
        return _ask(claim, PLAIN)
    (done,) = claim.parts
    result = done.result or {}
    if "curation" not in done.payload:  # a model has read
        if result.get("state") == AnnotatorRun.State.DONE:
            return _ask(claim, done.payload["for"], run=done.payload["run"])
        problem = result.get("problem") or "The run of the model was cancelled."
        words = f"{STAGE_LABELS[Stage(done.payload['for'])]}: {problem}"
        return lambda: end_curation(curation, Curation.State.STOPPED, words)
    stage = done.payload["stage"]
    if stage == Stage.SAMPLE:
        return lambda: end_curation(curation, Curation.State.SAMPLED)
    after = NEXT[stage]
    if result.get("run"):
        run = AnnotatorRun.objects.select_related("annotator").get(pk=result["run"])
        payload = runs.list_payload(run) | {"for": after}
        part = Part(runs.KIND, f"{CURATE} {claim.job_id} {runs.KIND} {after}", payload)
        return Parts([part], note=f"{STAGE_LABELS[Stage(after)]}: a model reads")
    return _ask(claim, after)


@handles(CURATE_STAGE)
def decide_stage(claim: Claim) -> Effect:
    """Decide one stage and prepare what the next one needs."""
    curation, stage = _get_curation(claim), claim.payload["stage"]
    if stage == PLAIN:
        plain = deciding.decide_plain(curation, claim.report)

        def store_plain() -> dict[str, Any]:
            deciding.store_plain(curation, plain)
            return _prepare_next(curation, stage)

        return store_plain
    if stage == Stage.SAMPLE:
        drawn = deciding.decide_sample(curation)
        return lambda: deciding.store_sample(curation, drawn)
    run = AnnotatorRun.objects.filter(pk=claim.payload["run"], curation=curation).first()
    decided = deciding.decide_by_model(curation, Stage(stage), run, claim.report)

    def store() -> dict[str, Any]:
        deciding.store_by_model(curation, Stage(stage), run, decided)
        return _prepare_next(curation, stage)

    return store


def _prepare_next(curation: Curation, stage: str) -> dict[str, Any]:
    """Return the run that the next stage waits for, made ready; none where no model has anything to read."""
    after = Stage(NEXT[stage])
    run = prepare_run(curation, after) if after in BY_MODEL else None
    return {"run": run.pk if run else None}


def _ask(claim: Claim, stage: str, run: int | None = None) -> Parts:
    payload = {
        "curation": claim.payload["curation"],
        "study": claim.payload["study"],
        "stage": stage,
        "run": run,
    }
    label = "Without a model" if stage == PLAIN else STAGE_LABELS[Stage(stage)]
    part = Part(CURATE_STAGE, f"{CURATE} {claim.job_id} {stage}", payload)
    return Parts([part], note=f"{label}: posts are judged")


def _get_curation(claim: Claim) -> Curation:
    curation = (
        Curation.objects.select_related("study", "comprehensibility", "nsfw", "screening")
        .filter(pk=claim.payload["curation"])
        .first()
    )
    if curation is None:
        raise PermanentError("The curation is gone.")
    return curation
