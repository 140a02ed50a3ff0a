"""Annotator models as configurations: made whole, versioned, never changed."""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings as installation
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from modeling.models import AnnotatorModel, PromptVersion
from modeling.prompts.design import PromptDesign
from modeling.prompts.rendering import Example, PostText, render
from modeling.prompts.shipped import fits_tree

Kind = AnnotatorModel.Kind
DEFAULTS: dict[str, Any] = {
    "temperature": 0.0,
    "seed": None,
    "samples": 1,
    "max_output_tokens": 2000,
    "reply_format": AnnotatorModel.ReplyFormat.SCHEMA,
    "uses_logprobs": False,
    "examples": (),
    "input_price": Decimal(0),
    "output_price": Decimal(0),
    "batch_price_factor": Decimal("0.5"),
    "trained_on": (),
    "reads_out_of_fold": False,
    "artefact": "",
    "artefact_sha256": "",
    "is_standin": False,
}
_WHOLE = {"samples": (1, 20), "max_output_tokens": (16, 100_000)}
_PRICES = {"input_price": 10_000, "output_price": 10_000, "batch_price_factor": 9}
MOST_EXAMPLES = 50


class AnnotatorRefused(Refused):
    """An annotator model cannot be made as asked; `faults` says why, by field."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__(" ".join(self.faults.values()))


def create_annotator(
    study: Study,
    *,
    name: str,
    kind: str,
    prompt: PromptVersion | None = None,
    provider: str = "",
    model_name: str = "",
    user: Any = None,
    **settings: Any,
) -> AnnotatorModel:
    """Store the next version of an annotator model, or return the newest when it is the very same.

    `settings` are those of DEFAULTS. Examples are `Example`s or their plain data.

    Raises
    ------
    AnnotatorRefused
        Naming every fault by its field.
    """
    wanted = DEFAULTS | settings
    name = name.strip()
    faults = _find_faults(study, name, kind, prompt, provider, model_name, wanted)
    if faults:
        raise AnnotatorRefused(faults)
    wanted |= {
        "examples": [_read_example(example).to_dict() for example in wanted["examples"]],
        "trained_on": sorted(set(wanted["trained_on"])),
        "is_standin": bool(wanted["is_standin"] or _is_standin(provider)),
        **{field: Decimal(str(wanted[field])) for field in _PRICES},
    }
    whole = {"kind": kind, "prompt": prompt, "provider": provider, "model_name": model_name.strip(), **wanted}
    digest = _hash(whole)
    with transaction.atomic():
        Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # one version at a time
        named = study.annotators.filter(name=name)
        newest = named.filter(retired_at=None).order_by("-version").first()
        if newest and newest.digest == digest and all(getattr(newest, k) == v for k, v in whole.items()):
            return newest
        version = (named.aggregate(last=Max("version"))["last"] or 0) + 1
        annotator = AnnotatorModel.objects.create(
            study=study, name=name, version=version, digest=digest, created_by=user, **whole
        )
        log_event(
            study,
            StudyEvent.Action.CHANGED,
            f"Made the annotator model {annotator}.",
            actor=user,
            detail={"annotator": annotator.pk, "provider": provider, "model": model_name},
        )
    return annotator


def retire(annotator: AnnotatorModel, user: Any = None) -> None:
    """Offer an annotator model no more; its runs and readings stay."""
    with transaction.atomic():
        if AnnotatorModel.objects.filter(pk=annotator.pk, retired_at=None).update(retired_at=timezone.now()):
            log_event(
                annotator.study,
                StudyEvent.Action.CHANGED,
                f"Retired the annotator model {annotator}.",
                actor=user,
                detail={"annotator": annotator.pk},
            )
    annotator.refresh_from_db(fields=["retired_at"])


def describe(annotator: AnnotatorModel) -> dict[str, Any]:
    """Return what a page says of an annotator model, without its examples' texts and without any key."""
    known = annotator.provider in installation.LLM_PROVIDERS
    return {
        "name": annotator.name,
        "version": annotator.version,
        "kind": annotator.get_kind_display(),
        "is_encoder": annotator.kind == Kind.ENCODER,
        "purpose": annotator.prompt.get_purpose_display() if annotator.prompt else "Values a post expresses",
        "prompt": annotator.prompt and annotator.prompt.number,
        "provider": annotator.provider,
        "is_provider_known": known or not annotator.provider,
        "model_name": annotator.model_name,
        "temperature": annotator.temperature,
        "seed": annotator.seed,
        "samples": annotator.samples,
        "max_output_tokens": annotator.max_output_tokens,
        "reply_format": annotator.get_reply_format_display(),
        "uses_logprobs": annotator.uses_logprobs,
        "n_examples": len(annotator.examples),
        "n_trained_on": len(annotator.trained_on),
        "reads_out_of_fold": annotator.reads_out_of_fold,
        "input_price": annotator.input_price,
        "output_price": annotator.output_price,
        "batch_price_factor": annotator.batch_price_factor,
        "is_standin": annotator.is_standin,
        "is_retired": annotator.retired_at is not None,
    }


def read_examples(annotator: AnnotatorModel) -> tuple[Example, ...]:
    """Return the examples that a few-shot model is shown."""
    return tuple(Example.from_dict(stored) for stored in annotator.examples)


def get_purpose(annotator: AnnotatorModel) -> str:
    """Return what an annotator model rates; local encoders rate values."""
    return annotator.prompt.purpose if annotator.prompt else PromptVersion.Purpose.VALUES


def _is_standin(provider: str) -> bool:
    found = installation.LLM_PROVIDERS.get(provider)
    return bool(found and found.is_standin)


def _read_example(example: Any) -> Example:
    return example if isinstance(example, Example) else Example.from_dict(example)


def _find_faults(
    study: Study,
    name: str,
    kind: str,
    prompt: PromptVersion | None,
    provider: str,
    model_name: str,
    wanted: dict[str, Any],
) -> dict[str, str]:
    faults = {field: "There is no such setting." for field in wanted if field not in DEFAULTS}
    if not 1 <= len(name) <= 100:
        faults["name"] = "Give the model a name of 1 to 100 characters."
    if kind not in Kind.values:
        faults["kind"] = f"The kind is one of {', '.join(Kind.values)}."
    faults |= _find_number_faults(wanted)
    if kind == Kind.ENCODER:
        if not wanted["artefact"] or not wanted["artefact_sha256"]:
            faults["artefact"] = "A local encoder needs its file and the file's hash."
        if prompt or provider:
            faults["provider"] = "A local encoder has no prompt and no provider."
        return faults
    if wanted["reads_out_of_fold"]:
        faults["reads_out_of_fold"] = "Only a local encoder can read out of fold."
    if provider not in installation.LLM_PROVIDERS:
        known = ", ".join(installation.LLM_PROVIDERS) or "none"
        faults["provider"] = f"This installation knows no provider '{provider:.40}'; it knows {known}."
    if not 1 <= len(model_name.strip()) <= 200:
        faults["model_name"] = "Name the model as its provider calls it, in 1 to 200 characters."
    if wanted["artefact"]:
        faults["artefact"] = "Only a local encoder has a file."
    if wanted["reply_format"] not in AnnotatorModel.ReplyFormat.values:
        faults["reply_format"] = "The form of the reply is 'schema' or 'json'."
    if prompt is None or prompt.study_id != study.pk:
        faults["prompt"] = "Choose a prompt of this study."
        return faults
    design = PromptDesign.from_dict(prompt.content)
    if not design.is_codebook and not fits_tree(design, get_tree(study.value_system)):
        faults["prompt"] = (
            "The prompt asks for other values, or on another scale, than the study; save a new version of it."
        )
    if fault := _find_example_fault(design, kind, wanted["examples"]):
        faults["examples"] = fault
    return faults


def _find_number_faults(wanted: dict[str, Any]) -> dict[str, str]:
    faults = {}
    for field, (least, most) in _WHOLE.items():
        number = wanted[field]
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            faults[field] = (
                f"{field.replace('_', ' ').capitalize()} must be a whole number from {least} to {most:,}."
            )
    seed = wanted["seed"]
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31):
        faults["seed"] = "The seed is a whole number from 0 to 2,147,483,647, or none."
    temperature = wanted["temperature"]
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        faults["temperature"] = "The temperature is a number from 0 to 2."
    elif isinstance(wanted["samples"], int) and wanted["samples"] > 1 and temperature == 0:
        faults["samples"] = (
            "At temperature 0 every run per post says the same: choose 1 run, or a higher temperature."
        )
    for field, most in _PRICES.items():
        try:
            price = Decimal(str(wanted[field]))
        except InvalidOperation:
            price = Decimal(-1)
        if not (price.is_finite() and 0 <= price <= most):
            faults[field] = f"{field.replace('_', ' ').capitalize()} must be a number from 0 to {most:,}."
    return faults


def _find_example_fault(design: PromptDesign, kind: str, examples: Any) -> str:
    if kind == Kind.FEW_SHOT and not examples:
        return "A few-shot model needs examples: choose posts."
    if kind == Kind.ZERO_SHOT and examples:
        return "A zero-shot model has no examples; make it a few-shot one, or leave them out."
    if len(examples) > MOST_EXAMPLES:
        return f"At most {MOST_EXAMPLES} examples: each is sent again with every post."
    try:
        render(design, PostText("A post."), examples=[_read_example(example) for example in examples])
    except ValueError as error:
        return f"The examples cannot be shown: {error}."
    return ""


def _hash(whole: dict[str, Any]) -> str:
    """Return what tells one configuration from another: all that decides a reply, and no price."""
    provider = installation.LLM_PROVIDERS.get(whole["provider"])
    deciding = {
        "server": provider.base_url if provider else "",
        "prompt": whole["prompt"].digest if whole["prompt"] else "",
        **{
            field: whole[field]
            for field in (
                "model_name",
                "temperature",
                "seed",
                "samples",
                "max_output_tokens",
                "reply_format",
                "uses_logprobs",
                "examples",
                "artefact_sha256",
            )
        },
    }
    if whole["reads_out_of_fold"]:  # left out where it is not so: models made before keep their hash
        deciding["reads_out_of_fold"] = True
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
