"""Asking that an encoder be taught soft labels, or that its transfer be checked. A web process may import it."""

import importlib.util
from typing import Any

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from annotation.models import Study, StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from jobs import services as jobs
from jobs.models import Job
from modeling.encoders.settings import EncoderSettings
from modeling.encoders.transformer.packages import HINT
from modeling.errors import TuningRefused
from modeling.models import EncoderTraining, ExpertSet, SoftLabelSet, TransferCheck
from modeling.models.encoders import Work

from .settings import CheckSettings, TrainingSettings, suggest_threshold

TRAIN, CHECK = "train_encoder", "check_transfer"
ASKED = (Work.READY, Work.RUNNING)
Asked = EncoderTraining | TransferCheck
NEEDS_TORCH = (
    "Training a transformer takes the package torch, which is not installed here. Whoever runs the server installs it, "
    f"where the worker is: {HINT}. The linear encoder needs nothing more."
)


def create_training(
    study: Study,
    soft_labels: SoftLabelSet,
    settings: EncoderSettings,
    name: str,
    *,
    expert_set: ExpertSet | None = None,
    threshold: int | None = None,
    both_losses: bool = False,
    user: Any = None,
) -> EncoderTraining:
    """Have an encoder taught by soft labels, with its twin taught by hard ones, and judged.

    Parameters
    ----------
    expert_set : on whose development posts it is judged; none of its posts is taught. Without it a share of the
        posts is held out and judged by their own labels
    threshold : from which rating on a value counts as expressed; that of the expert set where there is one
    both_losses : try the other loss too

    Raises
    ------
    TuningRefused
        Naming every fault by its field.
    """
    name = name.strip()
    scale = get_tree(study.value_system).scale
    if expert_set is not None:
        threshold = expert_set.threshold
    elif threshold is None:
        threshold = suggest_threshold(scale.min, scale.max)
    faults = _find_faults(study, soft_labels, settings, threshold)
    if not 1 <= len(name) <= 100:
        faults["name"] = "Give the encoder a name of 1 to 100 characters."
    if expert_set is not None and expert_set.study_id != study.pk:
        faults["expert_set"] = "Choose an expert set of this study."
    if faults:
        raise TuningRefused(faults)
    with transaction.atomic():
        training = EncoderTraining.objects.create(
            study=study,
            name=name,
            soft_labels=soft_labels,
            expert_set=expert_set,
            settings=TrainingSettings(threshold, settings, both_losses).to_dict(),
            state=Work.RUNNING,
            is_standin=soft_labels.is_standin,
            created_by=user,
        )
        _log(training, user, f"Asked for the encoder “{name}” to be taught by soft labels.")
        _enqueue(training)
    return training


def create_check(
    study: Study, soft_labels: SoftLabelSet, settings: CheckSettings, *, user: Any = None
) -> TransferCheck:
    """Have encoders taught the posts of one source and judged on those of another. Raises TuningRefused."""
    faults = _find_faults(study, soft_labels, settings.encoder, settings.threshold)
    if faults:
        raise TuningRefused(faults)
    with transaction.atomic():
        check = TransferCheck.objects.create(
            study=study,
            soft_labels=soft_labels,
            settings=settings.to_dict(),
            state=Work.RUNNING,
            is_standin=soft_labels.is_standin,
            created_by=user,
        )
        _log(check, user, f"Asked for a check of transfer by “{settings.by}”.")
        _enqueue(check)
    return check


def resume(asked: Asked, user: Any = None) -> Job:
    """Let a stopped training or check go on where it stopped; what is taught stays taught.

    Raises
    ------
    TuningRefused
        When it is under way or done.
    """
    with transaction.atomic():
        asked = type(asked).objects.select_for_update().get(pk=asked.pk)
        if fault := find_hindrance(asked):
            raise TuningRefused({"": fault})
        asked.state, asked.problem, asked.finished_at = Work.RUNNING, "", None
        asked.save(update_fields=["state", "problem", "finished_at"])
        _log(asked, user, f"Let {tell_name(asked)} go on.")
        job = find_job(asked)
        part = job and job.parts.first()
        if job and part and not storages["artefacts"].exists(part.payload["begun"]["name"]):
            job.delete()  # what it had begun is gone
            job = None
        if job is None:
            return _enqueue(asked)
        jobs.retry(job)
    return job


def cancel(asked: Asked, user: Any = None) -> bool:
    """Stop a training or check; False when it has come to its end."""
    with transaction.atomic():
        asked = type(asked).objects.select_for_update().get(pk=asked.pk)
        if asked.state not in ASKED:
            return False
        asked.state, asked.finished_at = Work.CANCELLED, timezone.now()
        asked.save(update_fields=["state", "finished_at"])
        if job := find_job(asked):
            jobs.cancel(job)
        _log(asked, user, f"Cancelled {tell_name(asked)}.")
    return True


def find_hindrance(asked: Asked) -> str:
    """Return why it cannot go on just now, in a sentence; '' when it can."""
    if is_under_way(asked):
        return "It is under way."
    if asked.state == Work.DONE:
        return "It is done already."
    if asked.soft_labels.outdated_at:
        return "Its soft labels hold ratings that do not count any more. Make them again, and teach by those."
    return ""


def is_under_way(asked: Asked) -> bool:
    """Whether a worker has it, or will: not so once its job has failed in a way that nobody foresaw."""
    stopped = Job.objects.filter(key=name_job(asked), state__in=Job.STOPPED_STATES)
    return asked.state in ASKED and not stopped.exists()


def find_job(asked: Asked) -> Job | None:
    """Return the job that does it."""
    return Job.objects.filter(key=name_job(asked)).first()


def name_job(asked: Asked) -> str:
    """Return the key of the job that does it; the same however often it goes on."""
    return f"{TRAIN if isinstance(asked, EncoderTraining) else CHECK}:{asked.pk}"


def name_subject(asked: Asked) -> str:
    """Return under which name its report is stored."""
    return f"{'training' if isinstance(asked, EncoderTraining) else 'transfer'}-{asked.pk}"


def tell_name(asked: Asked) -> str:
    """Return what it is called in a sentence."""
    if isinstance(asked, EncoderTraining):
        return f"the training of “{asked.name}”"
    return f"transfer check {asked.pk}"


def has_torch() -> bool:
    """Whether a transformer can be trained here; looked up without loading anything."""
    return importlib.util.find_spec("torch") is not None


def list_soft_labels(study: Study) -> list[SoftLabelSet]:
    """Return the sets by which an encoder can be taught, the newest of each name first."""
    made = study.soft_label_sets.filter(state=Work.DONE, outdated_at=None)
    return list(made.order_by("name", "-number"))


def list_columns(study: Study, n_posts: int = 500) -> list[str]:
    """Return the keys of the posts' metadata by which sources may be told apart, as the first posts show them."""
    found: dict[str, set[str]] = {}
    rows = study.posts.exclude(text="").order_by("pk").values_list("metadata", flat=True)
    for metadata in rows[:n_posts]:
        for key, value in (metadata or {}).items():
            if isinstance(value, str | int | bool):
                found.setdefault(key, set()).add(str(value))
    return sorted(key for key, values in found.items() if 2 <= len(values) <= n_posts // 5)


def _find_faults(
    study: Study, soft_labels: SoftLabelSet, settings: EncoderSettings, threshold: int
) -> dict[str, str]:
    faults = {}
    scale = get_tree(study.value_system).scale
    if soft_labels.study_id != study.pk:
        faults["soft_labels"] = "Choose soft labels of this study."
    elif soft_labels.outdated_at or soft_labels.state != Work.DONE:
        faults["soft_labels"] = "These soft labels are not ready to teach by: make them (again) first."
    if not scale.min < threshold <= scale.max:
        faults["threshold"] = f"The threshold is a rating from {scale.min + 1} to {scale.max}."
    return faults


def _enqueue(asked: Asked) -> Job:
    is_training = isinstance(asked, EncoderTraining)
    payload = {"study": asked.study_id, "training" if is_training else "check": asked.pk}
    return jobs.enqueue(kind=TRAIN if is_training else CHECK, key=name_job(asked), payload=payload)


def _log(asked: Asked, user: Any, summary: str) -> None:
    log_event(
        asked.study,
        StudyEvent.Action.CHANGED,
        summary,
        actor=user,
        detail={
            name_subject(asked).split("-")[0]: asked.pk,
            "soft_labels": asked.soft_labels_id,
            "settings": asked.settings,
        },
    )
