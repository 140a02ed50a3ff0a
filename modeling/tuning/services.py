"""Asking that a model of the consensus be taught. A web process may import it."""

import uuid
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings as installation
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from annotation.models import Post, Study, StudyEvent
from annotation.services.audit import log_event
from jobs import services as jobs
from jobs.models import Job
from modeling.errors import TuningRefused
from modeling.inclusion import select
from modeling.models import AnnotatorModel, FineTuning, PromptVersion

from .settings import SetSettings, Teaching

PREPARE, FINE_TUNE, CANCEL_REMOTE = "prepare_tuning", "fine_tune", "cancel_tuning"
State = FineTuning.State
MOST_EPOCHS = 50
MOST_DOLLARS = 1_000_000
FINAL_FAILURES = ("failed", "cancelled")  # what a provider's job can end as, without a model


def create_tuning(
    study: Study,
    *,
    name: str,
    teaching: Teaching,
    base: AnnotatorModel | None = None,
    base_model: str = "",
    training_price: Decimal = Decimal(0),
    budget: Decimal | None = None,
    user: Any = None,
) -> FineTuning:
    """Store what is to be taught and have its consensus set drawn, its examples written and its cost estimated.

    Nothing is sent to a provider before `start_tuning`. Without `base` it is a local encoder, which costs nothing and
    is taught as soon as its examples are there.

    Raises
    ------
    TuningRefused
        Naming every fault by its field.
    """
    name, base_model = name.strip(), base_model.strip()
    faults = _find_faults(study, name, base, base_model, teaching, training_price, budget)
    if faults:
        raise TuningRefused(faults)
    with transaction.atomic():
        tuning = FineTuning.objects.create(
            study=study,
            base=base,
            name=name,
            base_model=base_model if base else "",
            settings=teaching.to_dict(),
            training_price=training_price if base else 0,
            budget=budget if base else None,
            is_standin=bool(base and base.is_standin),
            created_by=user,
        )
        log_event(
            study,
            StudyEvent.Action.CHANGED,
            f"Asked for a consensus set to teach “{name}” by.",
            actor=user,
            detail={"fine_tuning": tuning.pk, "settings": tuning.settings},
        )
        jobs.enqueue(kind=PREPARE, key=f"{PREPARE}:{tuning.pk}", payload=_make_payload(tuning))
    return tuning


def train_encoder(study: Study, settings: SetSettings, *, name: str, user: Any = None) -> FineTuning:
    """Have a local encoder taught the consensus set. Raises TuningRefused."""
    return create_tuning(study, name=name, teaching=Teaching(settings), user=user)


def start_tuning(tuning: FineTuning, user: Any = None) -> Job:
    """Begin, or go on where it stopped: what the provider has already is used, and never paid twice.

    Raises
    ------
    TuningRefused
        When it is under way or done, has no examples, or would cost more than its budget.
    """
    with transaction.atomic():
        tuning = FineTuning.objects.select_for_update().get(pk=tuning.pk)
        if fault := find_hindrance(tuning):
            raise TuningRefused({"": fault})
        if tuning.remote_state in FINAL_FAILURES:  # a new try is a new job at the provider
            tuning.remote_file = tuning.remote_id = tuning.remote_state = ""
            tuning.events = []
        tuning.state, tuning.problem, tuning.finished_at = State.RUNNING, "", None
        tuning.save()
        log_event(
            tuning.study,
            StudyEvent.Action.CHANGED,
            f"Started to teach “{tuning.name}”"
            + (f", for about {tell_dollars(tuning.estimate['cost'])}." if tuning.base_id else ", here."),
            actor=user,
            detail={"fine_tuning": tuning.pk, "estimate": tuning.estimate},
        )
        job = jobs.enqueue(kind=FINE_TUNE, key=name_job(tuning), payload=_make_payload(tuning))
        jobs.retry(job)  # only what failed or was cancelled
    return job


def cancel_tuning(tuning: FineTuning, user: Any = None) -> bool:
    """Stop it here, and have a worker stop it at the provider; False when it has come to its end."""
    with transaction.atomic():
        tuning = FineTuning.objects.select_for_update().get(pk=tuning.pk)
        if tuning.state not in (State.READY, State.RUNNING):
            return False
        was_running = tuning.state == State.RUNNING
        tuning.state, tuning.finished_at = State.CANCELLED, timezone.now()
        tuning.save(update_fields=["state", "finished_at"])
        for key in (name_job(tuning), f"{PREPARE}:{tuning.pk}"):
            if job := Job.objects.filter(key=key).first():
                jobs.cancel(job)
        if was_running and tuning.base_id:
            jobs.enqueue(
                kind=CANCEL_REMOTE, key=f"{CANCEL_REMOTE}:{uuid.uuid4()}", payload=_make_payload(tuning)
            )
        log_event(
            tuning.study,
            StudyEvent.Action.CHANGED,
            f"Cancelled teaching “{tuning.name}”.",
            actor=user,
            detail={"fine_tuning": tuning.pk},
        )
    return True


def find_hindrance(tuning: FineTuning) -> str:
    """Return why it cannot be started just now, in a sentence; '' when it can."""
    if is_under_way(tuning):
        return "It is under way."
    if tuning.state == State.DONE:
        return "It is done already."
    if not tuning.artefact:
        return "It has no examples: its consensus set was not drawn. Make a new one."
    if tuning.budget is not None and Decimal(tuning.estimate["cost"]) > tuning.budget:
        return (
            f"The estimate is {tell_dollars(tuning.estimate['cost'])}, above the budget of "
            f"{tell_dollars(tuning.budget)}. Make a new one with fewer posts or epochs, or with a larger budget."
        )
    if tuning.base and tuning.base.provider not in installation.LLM_PROVIDERS:
        return f"This installation knows no provider “{tuning.base.provider}”."
    return ""


def is_under_way(tuning: FineTuning) -> bool:
    """Whether a worker has it, or will: not so once its job has failed in a way that nobody foresaw."""
    stopped = Job.objects.filter(key=name_job(tuning), state__in=Job.STOPPED_STATES)
    return tuning.state == State.RUNNING and not stopped.exists()


def tell_dollars(amount: Decimal | str) -> str:
    """Return dollars as one reads them: cents, and below a cent as many decimals as there are."""
    dollars = Decimal(amount)
    return f"${dollars:,.2f}" if dollars >= Decimal("0.01") or not dollars else f"${dollars.normalize():f}"


def name_job(tuning: FineTuning) -> str:
    """Return the key of the job that teaches; the same however often it is started."""
    return f"{FINE_TUNE}:{tuning.pk}"


def find_job(tuning: FineTuning) -> Job | None:
    """Return the job that is or was last at work: the one that teaches, or before it the one that draws the set."""
    found = {job.key: job for job in Job.objects.filter(key__in=[name_job(tuning), f"{PREPARE}:{tuning.pk}"])}
    return found.get(name_job(tuning)) or found.get(f"{PREPARE}:{tuning.pk}")


def list_bases(study: Study) -> list[AnnotatorModel]:
    """Return the annotator models whose prompt and provider a tuned model can have: those asked about values."""
    return list(
        study.annotators.filter(prompt__purpose=PromptVersion.Purpose.VALUES, retired_at=None)
        .exclude(provider="")
        .order_by("name", "-version")
    )


def count_posts_with_raters(study: Study, more_than: int) -> int:
    """Return how many posts have more raters who count than this."""
    rated = Post.objects.filter(study=study, annotations__enrollment__in=select(study))
    return rated.annotate(n_raters=Count("annotations")).filter(n_raters__gt=more_than).count()


def _make_payload(tuning: FineTuning) -> dict[str, int]:
    return {"study": tuning.study_id, "tuning": tuning.pk}


def _find_faults(
    study: Study,
    name: str,
    base: AnnotatorModel | None,
    base_model: str,
    teaching: Teaching,
    training_price: Decimal,
    budget: Decimal | None,
) -> dict[str, str]:
    faults = {}
    if not 1 <= len(name) <= 100:
        faults["name"] = "Give the model a name of 1 to 100 characters."
    if base is None:
        return faults
    if base.pk not in {each.pk for each in list_bases(study)}:
        faults["base"] = "Choose an annotator model of this study that asks a provider about the values."
    elif base.provider not in installation.LLM_PROVIDERS:
        faults["base"] = (
            f"This installation knows no provider “{base.provider}”, which this annotator model asks."
        )
    if not 1 <= len(base_model) <= 200:
        faults["base_model"] = "Name the model to tune as its provider calls it, in 1 to 200 characters."
    if not 1 <= teaching.n_epochs <= MOST_EPOCHS:
        faults["n_epochs"] = f"Give a whole number of epochs from 1 to {MOST_EPOCHS}."
    return faults | _find_dollar_faults(
        {
            "training_price": training_price,
            "input_price": teaching.input_price,
            "output_price": teaching.output_price,
            "budget": budget,
        }
    )


def _find_dollar_faults(dollars: Mapping[str, Decimal | None]) -> dict[str, str]:
    faults = {}
    for field, given in dollars.items():
        if given is None:
            continue
        try:
            is_good = 0 <= given <= MOST_DOLLARS and given == given.quantize(Decimal("0.000001"))
        except InvalidOperation:
            is_good = False
        if not is_good:
            faults[field] = f"Give dollars from 0 to {MOST_DOLLARS:,}, with at most six decimals."
    return faults
