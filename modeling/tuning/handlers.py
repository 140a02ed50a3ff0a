"""Jobs that draw a consensus set and teach a model by it, at a provider or here."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from django.conf import settings as installation
from django.db import transaction
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from jobs.errors import PermanentError
from jobs.registry import Effect, Later, handles
from jobs.services import LONGEST_WAIT_SECONDS, Claim
from modeling.annotators.configs import create_annotator
from modeling.artefacts import load_bytes, save_arrays
from modeling.errors import ModelingError
from modeling.models import AnnotatorModel, FineTuning
from modeling.providers.faults import ProviderFault
from modeling.providers.pricing import cost
from modeling.providers.tuning import TuningClient, TuningStatus

from .encoder import join_text, train
from .examples import read_lessons
from .preparing import prepare_tuning
from .services import CANCEL_REMOTE, FINAL_FAILURES, FINE_TUNE, PREPARE, start_tuning
from .settings import Teaching

POLL_SECONDS = 15.0
PATIENCE_SECONDS = 60.0  # after a fault that passes, where the provider does not say how long
MOST_EVENTS = 500
SUCCEEDED = "succeeded"
State = FineTuning.State


@handles(PREPARE)
def prepare(claim: Claim) -> Effect | None:
    """Draw the consensus set, write the examples and estimate the cost; a local encoder is taught right after."""
    tuning = _load(claim)
    if tuning.state != State.READY:
        return None
    try:
        prepared = prepare_tuning(tuning)
    except ModelingError as error:
        _fail(tuning, str(error))
        raise PermanentError(str(error)) from error

    def store() -> dict[str, Any]:
        FineTuning.objects.filter(pk=tuning.pk).update(**prepared.as_row())
        if tuning.base_id is None:
            start_tuning(tuning, tuning.created_by)
        return {"posts": len(prepared.post_ids)}

    return store


@handles(FINE_TUNE)
def fine_tune(claim: Claim) -> Effect | Later | None:
    """Teach a model by its examples and make an annotator model of it. Safe to run twice.

    At a provider each step is written down as soon as it is done, so that a later call goes on from there: the file,
    the job, what it reported, the model. A job that was begun but could not be written down is found again by its
    file, and no second one is paid.
    """
    tuning = _load(claim)
    if tuning.state != State.RUNNING:
        return None
    try:
        return _teach_here(tuning) if tuning.base is None else _teach_there(tuning, tuning.base, claim)
    except ProviderFault as problem:
        if problem.fault.is_transient:
            return _wait(problem)
        _fail(tuning, problem.message)
        raise PermanentError(problem.message) from problem
    except (ModelingError, Refused, ValueError) as error:
        _fail(tuning, str(error))
        raise PermanentError(str(error)) from error


@handles(CANCEL_REMOTE)
def cancel_remote(claim: Claim) -> Effect | Later | None:
    """Stop at the provider what was cancelled here. Safe to run twice."""
    tuning = _load(claim)
    if tuning.base is None or tuning.state != State.CANCELLED:
        return None
    try:
        with _open(tuning.base) as client:
            status = _find_remote(client, tuning)
            if status and not status.is_finished:
                status = client.cancel(status.remote_id)
    except ProviderFault as problem:
        if problem.fault.is_transient:
            return _wait(problem)
        told = (
            f"It may still be under way at the provider, which could not be told to stop: {problem.message}"
        )
        _write(tuning, problem=told)
        raise PermanentError(told) from problem
    found = status

    def store() -> dict[str, Any]:
        if found:
            _write(tuning, remote_id=found.remote_id, **_settle(tuning, found))
        return {"remote": found.remote_id if found else ""}

    return store


def _wait(problem: ProviderFault) -> Later:
    seconds = min(problem.fault.retry_after or PATIENCE_SECONDS, LONGEST_WAIT_SECONDS)
    return Later(seconds, f"waiting: {problem.message}")


# --- here --------------------------------------------------------------------------------------


def _teach_here(tuning: FineTuning) -> Effect:
    study = tuning.study
    scale = get_tree(study.value_system).scale
    lessons = read_lessons(load_bytes(tuning.artefact, tuning.artefact_sha256), study.value_keys)
    texts = [join_text(lesson.post.text, lesson.post.context_text) for lesson in lessons]
    consensus = np.array([lesson.ratings for lesson in lessons], dtype=np.float64)
    reader = train(texts, consensus, (scale.min, scale.max))
    name, digest = save_arrays(f"encoder-{study.slug}", **reader.pack())

    def store() -> dict[str, Any]:
        return _finish(tuning, kind=AnnotatorModel.Kind.ENCODER, artefact=name, artefact_sha256=digest)

    return store


# --- at a provider -----------------------------------------------------------------------------


def _teach_there(tuning: FineTuning, base: AnnotatorModel, claim: Claim) -> Effect | Later:
    teaching = Teaching.from_dict(tuning.settings)
    with _open(base) as client:
        if not tuning.remote_file:
            claim.report(0, 3, "sending the examples")
            content = load_bytes(tuning.artefact, tuning.artefact_sha256)
            _write(tuning, remote_file=client.upload(content))
        status = _find_remote(client, tuning)
        if status is None:
            claim.extend()  # whoever has lost the job, or was cancelled, must not begin what costs money
            status = client.create(
                tuning.base_model,
                tuning.remote_file,
                seed=teaching.consensus_set.seed,
                n_epochs=teaching.n_epochs,
                suffix=_name_suffix(tuning),
            )
        _write(tuning, remote_id=status.remote_id, remote_state=status.state)
        if not FineTuning.objects.filter(pk=tuning.pk, state=State.RUNNING).exists():
            client.cancel(status.remote_id)  # it was cancelled while the job was being made
            claim.extend()
        _note_events(client, tuning)
        if status.state == SUCCEEDED:
            client.delete_files([tuning.remote_file])  # the posts need not stay there
    is_standin = tuning.is_standin or status.is_standin
    if is_standin != tuning.is_standin:
        _write(tuning, is_standin=True)
    if status.state in FINAL_FAILURES:
        _write(tuning, **_settle(tuning, status))
        why = status.error or f"The provider says only that it is {status.state}."
        raise ModelingError(f"The provider ended the training without a model. {why}")
    if status.state != SUCCEEDED:
        return Later(POLL_SECONDS, f"the provider says: {status.state.replace('_', ' ')}")
    if not status.model:
        raise ModelingError("The provider says that the training succeeded, but names no model.")
    found = status

    def store() -> dict[str, Any]:
        _write(tuning, **_settle(tuning, found))
        return _finish(
            tuning,
            kind=AnnotatorModel.Kind.FINE_TUNED,
            prompt=base.prompt,
            provider=base.provider,
            model_name=found.model,
            temperature=base.temperature,
            seed=base.seed,
            samples=base.samples,
            max_output_tokens=base.max_output_tokens,
            reply_format=base.reply_format,
            uses_logprobs=base.uses_logprobs,
            input_price=teaching.input_price,
            output_price=teaching.output_price,
            batch_price_factor=base.batch_price_factor,
            is_standin=is_standin,
        )

    return store


@contextlib.contextmanager
def _open(base: AnnotatorModel) -> Iterator[TuningClient]:
    provider = installation.LLM_PROVIDERS.get(base.provider)
    if provider is None:
        raise ModelingError(
            f"This installation knows no provider “{base.provider}”; whoever runs the server must name it in the "
            "environment."
        )
    with TuningClient(provider) as client:
        yield client


def _find_remote(client: TuningClient, tuning: FineTuning) -> TuningStatus | None:
    """The provider's job: the one that was written down, else one that was begun with the same file."""
    if tuning.remote_id:
        return client.look(tuning.remote_id)
    return client.find(tuning.remote_file) if tuning.remote_file else None


def _note_events(client: TuningClient, tuning: FineTuning) -> None:
    last = tuning.events[-1]["id"] if tuning.events else ""
    fresh = [
        {
            "id": event.remote_id,
            "at": _tell_time(event.created_at),
            "level": event.level,
            "message": event.message,
        }
        for event in client.events(tuning.remote_id, last)
    ]
    if fresh:
        _write(tuning, events=[*tuning.events, *fresh][-MOST_EVENTS:])


def _tell_time(seconds: int | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _settle(tuning: FineTuning, status: TuningStatus) -> dict[str, Any]:
    """What was trained, by the provider's count, and what that costs."""
    if status.trained_tokens is None:
        return {"remote_state": status.state}
    return {
        "remote_state": status.state,
        "trained_tokens": status.trained_tokens,
        "cost": cost(status.trained_tokens, 0, tuning.training_price, Decimal(0)),
    }


def _name_suffix(tuning: FineTuning) -> str:
    """What a provider puts into the model's name."""
    return f"parallax-{tuning.artefact_sha256[:8]}"


# --- the row -----------------------------------------------------------------------------------


def _load(claim: Claim) -> FineTuning:
    rows = FineTuning.objects.select_related("study__value_system", "base__prompt", "created_by")
    return rows.get(pk=claim.payload["tuning"])


def _write(tuning: FineTuning, **fields: Any) -> None:
    """Write these columns at once and alone: what happened outside is not undone by anything here."""
    FineTuning.objects.filter(pk=tuning.pk).update(**fields)
    for name, value in fields.items():
        setattr(tuning, name, value)


def _fail(tuning: FineTuning, problem: str) -> None:
    """Mark it as failed, unless it was cancelled meanwhile."""
    FineTuning.objects.filter(pk=tuning.pk, state__in=(State.READY, State.RUNNING)).update(
        state=State.FAILED, problem=problem, finished_at=timezone.now()
    )


def _finish(tuning: FineTuning, **config: Any) -> dict[str, Any]:
    """Make the annotator model, inside the job's transaction; nothing where it was cancelled meanwhile."""
    with transaction.atomic():
        row = FineTuning.objects.select_for_update().get(pk=tuning.pk)
        if row.state != State.RUNNING:
            return {}
        annotator = create_annotator(
            row.study, name=row.name, trained_on=row.post_ids, user=row.created_by, **config
        )
        row.state, row.problem, row.finished_at = State.DONE, "", timezone.now()
        # The very same model may have been taught before; it keeps its first maker.
        row.annotator = None if FineTuning.objects.filter(annotator=annotator).exists() else annotator
        row.save(update_fields=["state", "problem", "finished_at", "annotator"])
        log_event(
            row.study,
            StudyEvent.Action.CHANGED,
            f"Taught the annotator model {annotator} by {len(row.post_ids):,} posts.",
            actor=row.created_by,
            detail={"fine_tuning": row.pk, "annotator": annotator.pk, "cost": f"{row.cost:f}"},
        )
    return {"annotator": annotator.pk}
