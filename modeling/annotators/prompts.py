"""The prompts of a study: numbered versions, none of which is ever edited."""

from contextlib import suppress
from typing import Any

from django.db import IntegrityError, transaction

from annotation.models import Study, StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from annotation.tree.nodes import ValueTree
from modeling.models import PromptVersion
from modeling.prompts.design import VALUES, DesignError, PromptDesign
from modeling.prompts.shipped import fit_to_tree, fits_tree, shipped_prompt

MOST_TRIES = 5  # of taking the next number, when others take it in the same instant
SHIPPED_NOTE = "As shipped with Parallax."
ADAPTED_NOTE = "Adapted to the study’s value system, which was changed."


def get_prompt(study: Study, purpose: str) -> PromptVersion:
    """Return the newest version of a study's prompt, storing it first where nothing was stored yet."""
    prompt = read_prompt(study, purpose)
    return _store(study, get_design(prompt), note=prompt.note) if prompt.pk is None else prompt


def read_prompt(study: Study, purpose: str) -> PromptVersion:
    """Return the newest version of a study's prompt, or the one that its first use would store.

    The first is what ships. Where the value system was changed since the newest version about values, one that
    fits follows it. Raises ValueError for an unknown purpose.
    """
    newest = _find_newest(study, purpose)
    tree = get_tree(study.value_system)
    if newest is None:
        return _draft(study, shipped_prompt(purpose, tree), SHIPPED_NOTE, None, None)
    if purpose == VALUES and not fits_tree(design := get_design(newest), tree):
        return _draft(study, fit_to_tree(design, tree), ADAPTED_NOTE, None, newest)
    return newest


def save_prompt(
    study: Study, design: PromptDesign, *, note: str = "", family: str | None = None, user: Any = None
) -> PromptVersion:
    """Store a design as the next version of the study's prompt; nothing is stored where the newest has it already.

    Parameters
    ----------
    note : what was changed, and why
    family : versions that grow out of one another, for whom test posts are opened once; the newest version's where it
        is left out. Another family is another line of wording, and a version of its own whatever the words
    user : the account that did it

    Raises
    ------
    DesignError
        If the design has faults, or asks for other values or another scale than the study has.
    """
    design = PromptDesign.from_dict(design.to_dict())
    if design.purpose == VALUES:
        _check_values(design, get_tree(study.value_system))
    with transaction.atomic():
        newest = get_prompt(study, design.purpose)
        prompt = _store(study, design, note=note, user=user, family=family)
        if prompt != newest:
            log_event(
                study,
                StudyEvent.Action.CHANGED,
                f"Saved version {prompt.number} of the prompt “{prompt.get_purpose_display()}”.",
                actor=user,
                reason=note,
                detail={
                    "purpose": prompt.purpose,
                    "number": prompt.number,
                    "family": prompt.family,
                    "digest": prompt.digest,
                },
            )
    return prompt


def get_design(prompt: PromptVersion) -> PromptDesign:
    """Return the design that a version holds."""
    return PromptDesign.from_dict(prompt.content)


def _find_newest(study: Study, purpose: str) -> PromptVersion | None:
    return study.prompt_versions.filter(purpose=purpose).order_by("-number").first()


def _store(
    study: Study, design: PromptDesign, *, note: str, user: Any = None, family: str | None = None
) -> PromptVersion:
    for _ in range(MOST_TRIES - 1):
        with suppress(IntegrityError), transaction.atomic():
            return _store_next(study, design, note, user, family)
    return _store_next(study, design, note, user, family)


def _store_next(
    study: Study, design: PromptDesign, note: str, user: Any, family: str | None
) -> PromptVersion:
    """Store a version under the next number. Raises IntegrityError when that was taken in the same instant."""
    newest = _find_newest(study, design.purpose)
    if newest and newest.digest == design.digest() and family in (None, newest.family):
        return newest
    prompt = _draft(study, design, note, user, newest)
    prompt.family = family or prompt.family
    prompt.save(force_insert=True)
    return prompt


def _draft(
    study: Study, design: PromptDesign, note: str, user: Any, newest: PromptVersion | None
) -> PromptVersion:
    inherited = {"family": newest.family} if newest else {}
    return PromptVersion(
        study=study,
        purpose=design.purpose,
        number=newest.number + 1 if newest else 1,
        **inherited,
        content=design.to_dict(),
        digest=design.digest(),
        note=note,
        created_by=user,
    )


def _check_values(design: PromptDesign, tree: ValueTree) -> None:
    faults = []
    if design.keys != tree.value_keys:
        faults.append(f"concepts: must be the study's values, in this order: {', '.join(tree.value_keys)}")
    if design.numbers != tuple(tree.scale.levels):
        faults.append(f"scale: must run from {tree.scale.min} to {tree.scale.max}, as the study's does")
    if faults:
        raise DesignError(faults)
