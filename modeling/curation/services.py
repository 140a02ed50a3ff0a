"""Every write to a curation: made, changed, started, stopped, gone on with, and its sample put into the study."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.services.audit import log_event
from jobs import services as jobs
from jobs.models import Job
from modeling.annotators import runs
from modeling.annotators.configs import get_purpose
from modeling.models import AnnotatorModel, AnnotatorRun, Curation, PromptVersion

from .feeds import list_load_jobs
from .settings import CurationSettings
from .stages import BY_MODEL, Stage

CURATE, CURATE_STAGE = "curate", "curate_stage"
PURPOSES = {
    Stage.COMPREHENSIBILITY: PromptVersion.Purpose.COMPREHENSIBILITY,
    Stage.NSFW: PromptVersion.Purpose.NSFW,
    Stage.SCREENING: PromptVersion.Purpose.VALUES,
}
NAME_LENGTH = 100
State = Curation.State
CAN_START = (State.DRAFT, State.STOPPED, State.CANCELLED, State.SAMPLED)


def get_settings(curation: Curation) -> CurationSettings:
    """Return what the curation keeps."""
    return CurationSettings.from_dict(curation.settings)


def get_annotator(curation: Curation, stage: Stage) -> AnnotatorModel | None:
    """Return the annotator model that decides at a stage."""
    return getattr(curation, stage.value)


def list_annotators(study: Study, stage: Stage) -> list[AnnotatorModel]:
    """Return the annotator models of a study that can decide at a stage, the newest version of each first."""
    offered = study.annotators.filter(retired_at=None).select_related("prompt").order_by("name", "-version")
    return [annotator for annotator in offered if get_purpose(annotator) == PURPOSES[stage]]


@transaction.atomic
def create_curation(
    study: Study,
    *,
    name: str,
    settings: CurationSettings | None = None,
    seed: int = 1,
    annotators: Mapping[Stage, AnnotatorModel | None] | None = None,
    user: Any = None,
) -> Curation:
    """Store a curation that waits for its feeds. Raises Refused with everything that is wrong."""
    curation = Curation(study=study, created_by=user)
    _describe(curation, name, settings or CurationSettings(), seed, annotators or {})
    curation.save()
    _log(curation, user, f"Curation '{curation.name}' made.")
    return curation


@transaction.atomic
def change_curation(
    curation: Curation,
    *,
    name: str,
    settings: CurationSettings,
    seed: int,
    annotators: Mapping[Stage, AnnotatorModel | None],
    user: Any = None,
) -> None:
    """Change what a curation keeps and whom it asks. What is decided already stays until it is started again.

    Raises Refused with everything that is wrong, while it is under way, and once its sample is in the study.
    """
    held = _hold(curation)
    if is_busy(held):
        raise Refused(
            "It is under way; cancel it, or wait until it is done, before its settings are changed."
        )
    if held.state == State.LOADED:
        raise Refused("Its sample is in the study, so its settings stay as they are.")
    _describe(held, name, settings, seed, annotators)
    held.save()
    _log(held, user, f"Settings of the curation '{held.name}' changed.", settings=held.settings)
    curation.refresh_from_db()


def find_job(curation: Curation) -> Job | None:
    """Return the job that works, or worked last, for a curation."""
    return Job.objects.filter(kind=CURATE, payload__curation=curation.pk).order_by("-pk").first()


def is_busy(curation: Curation) -> bool:
    """Whether somebody works for the curation, or will. One whose job failed is not."""
    if curation.state != State.RUNNING:
        return False
    job = find_job(curation)
    return job is not None and not job.is_final


def find_hindrances(curation: Curation) -> list[str]:
    """Return what keeps a curation from being started, in sentences."""
    reasons = []
    if not curation.feed_posts.exists():
        reasons.append("It has no feeds yet: load a file first.")
    missing = [stage for stage in BY_MODEL if get_annotator(curation, stage) is None]
    if missing:
        purposes = ", ".join(PURPOSE_WORDS[stage] for stage in missing)
        reasons.append(f"No annotator model is chosen for {purposes}.")
    for stage in BY_MODEL:
        annotator = get_annotator(curation, stage)
        if annotator is not None and annotator.retired_at:
            reasons.append(f"The annotator model {annotator} is retired; choose another one.")
    if list_load_jobs(curation).filter(state__in=Job.UNFINISHED_STATES).exists():
        reasons.append("A file of feeds is being loaded; wait until that is done.")
    return reasons


PURPOSE_WORDS = {
    Stage.COMPREHENSIBILITY: "comprehensibility",
    Stage.NSFW: "safety",
    Stage.SCREENING: "value screening",
}


@transaction.atomic
def start_curation(curation: Curation, user: Any = None) -> Job:
    """Set a curation going, or let it go on; returns the job.

    The stages are gone through from the first, by the settings as they are now. What a model has read is read, and is
    neither asked nor paid again. One that is under way gives its job. Raises Refused with what stands in the way.
    """
    held = _hold(curation)
    job = find_job(held)
    if is_busy(held) and job:
        return job
    if held.state == State.LOADED:
        raise Refused("Its sample is in the study. Begin a new curation for another one.")
    if reasons := find_hindrances(held):
        raise Refused(" ".join(reasons))
    Curation.objects.filter(pk=held.pk).update(
        state=State.RUNNING, problem="", finished_at=None, n_starts=F("n_starts") + 1
    )
    curation.refresh_from_db()
    _log(
        curation, user, f"Curation '{curation.name}' started.", settings=curation.settings, seed=curation.seed
    )
    return jobs.enqueue(
        kind=CURATE,
        key=f"{CURATE} {curation.pk} {curation.n_starts}",
        payload={"curation": curation.pk, "study": curation.study_id},
    )


def resume_curation(curation: Curation, user: Any = None) -> Job:
    """Let a curation that was stopped, cancelled or failed go on. The same as starting it."""
    return start_curation(curation, user)


@transaction.atomic
def cancel_curation(curation: Curation, user: Any = None) -> bool:
    """Stop a curation that is under way; False when it is not. What was read and decided stays."""
    held = _hold(curation)
    if held.state != State.RUNNING:
        return False
    Curation.objects.filter(pk=held.pk).update(state=State.CANCELLED, finished_at=timezone.now())
    if job := find_job(held):
        jobs.cancel(job)
    for run in held.runs.filter(state=AnnotatorRun.State.RUNNING):
        runs.cancel_run(run, user)
    _log(held, user, f"Curation '{held.name}' cancelled.")
    curation.refresh_from_db()
    return True


@transaction.atomic
def read_again(curation: Curation, stage: Stage, user: Any = None) -> int:
    """Take back the readings of a stage behind which no reply stands; returns how many.

    The next start asks for them again. A bad reply that was paid for stays what it is. Raises Refused while the
    curation is under way or once its sample is in the study.
    """
    held = _hold(curation)
    if is_busy(held) or held.state == State.LOADED:
        raise Refused("Posts can be read again while the curation rests and its sample is not in the study.")
    run = find_run(held, stage)
    number = runs.forget_failures(run) if run else 0
    if number:
        _log(held, user, f"{number:,} failed readings of the stage '{stage}' are to be tried again.")
    return number


# --- what the worker writes of the curation as a whole ------------------------------------------------


def find_run(curation: Curation, stage: Stage) -> AnnotatorRun | None:
    """Return the run that reads for a stage, of the annotator model that decides there now."""
    annotator = get_annotator(curation, stage)
    return curation.runs.filter(annotator=annotator, is_preview=False).order_by("-pk").first()


def prepare_run(curation: Curation, stage: Stage) -> AnnotatorRun | None:
    """Return the run for a stage, ready to be done as a part of the curation's job; None where no post is left.

    The one that is there goes on: what it read stays read. Call it in the transaction that ends the stage before.
    """
    settings = get_settings(curation)
    budget = settings.budgets.get(stage.value)
    annotator = get_annotator(curation, stage)
    if annotator is None:
        raise Refused(f"No annotator model is chosen for {PURPOSE_WORDS[stage]}.")
    if not curation.feed_posts.filter(dropped_at="").exists():
        return None
    run = find_run(curation, stage)
    if run is None:
        return runs.create_run(
            annotator,
            curation=curation,
            mode=settings.mode,
            concurrency=settings.concurrency,
            budget=budget,
            user=curation.created_by,
        )
    # A run that was done has more to read where a setting lets more posts through.
    AnnotatorRun.objects.filter(pk=run.pk).update(
        mode=settings.mode, concurrency=settings.concurrency, budget=budget
    )
    AnnotatorRun.objects.filter(pk=run.pk, state=AnnotatorRun.State.DONE).update(
        state=AnnotatorRun.State.STOPPED
    )
    runs.reopen_run(run)
    return run


def end_curation(curation: Curation, state: str, problem: str = "") -> None:
    """Move a curation that is under way into another state; one that was cancelled meanwhile stays so."""
    Curation.objects.filter(pk=curation.pk, state=State.RUNNING).update(
        state=state, problem=problem, finished_at=timezone.now()
    )


def _describe(
    curation: Curation,
    name: str,
    settings: CurationSettings,
    seed: int,
    annotators: Mapping[Stage, AnnotatorModel | None],
) -> None:
    name = name.strip()
    faults = []
    if not 1 <= len(name) <= NAME_LENGTH:
        faults.append(f"A curation has a name of 1 to {NAME_LENGTH} characters.")
    if curation.study.curations.exclude(pk=curation.pk).filter(name=name).exists():
        faults.append(f"The study has a curation '{name}' already; choose another name.")
    if not 0 <= seed < 2**31:
        faults.append(f"The seed is a whole number from 0 to {2**31 - 1:,}, not {seed}.")
    for stage, annotator in annotators.items():
        if annotator is None:
            continue
        if annotator.study_id != curation.study_id:
            faults.append(f"The annotator model {annotator} belongs to another study.")
        elif get_purpose(annotator) != PURPOSES[stage]:
            faults.append(f"The annotator model {annotator} does not rate {PURPOSE_WORDS[stage]}.")
        elif annotator.retired_at:
            faults.append(f"The annotator model {annotator} is retired; choose another one.")
    if faults:
        raise Refused(" ".join(faults))
    curation.name, curation.seed, curation.settings = name, seed, settings.to_dict()
    for stage, annotator in annotators.items():
        setattr(curation, stage.value, annotator)


def _hold(curation: Curation) -> Curation:
    return Curation.objects.select_for_update().get(pk=curation.pk)


def _log(curation: Curation, user: Any, summary: str, **detail: Any) -> None:
    log_event(
        curation.study,
        StudyEvent.Action.CHANGED,
        summary,
        actor=user,
        detail={"curation": curation.pk} | detail,
    )
