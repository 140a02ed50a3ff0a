"""How two versions of a prompt differ, told in a researcher's words."""

from __future__ import annotations

from collections.abc import Iterator

from annotation.changes import ARROW, Change
from modeling.prompts.design import Concept, PromptDesign

CONCEPT_WORDS = {
    "label": "name",
    "definition": "definition",
    "low": "low end",
    "high": "high end",
}


def compare_designs(old: PromptDesign, new: PromptDesign) -> list[Change]:
    """Return every difference in the order of the newer prompt; what is gone for good comes after the rest.

    Concepts and points of the scale are told apart by their keys and numbers.
    """
    return [change for change in _list_changes(old, new) if change.before != change.after]


def _list_changes(old: PromptDesign, new: PromptDesign) -> Iterator[Change]:
    yield Change("Instructions", old.instructions, new.instructions)
    concepts = {concept.key: concept for concept in old.concepts}
    for concept in new.concepts:
        before = concepts.get(concept.key)
        if before is None:
            yield Change(concept.label, "", _write(concept))
            continue
        for name, word in CONCEPT_WORDS.items():
            yield Change(f"{before.label}{ARROW}{word}", getattr(before, name), getattr(concept, name))
    yield from (Change(gone.label, _write(gone), "") for gone in old.concepts if gone.key not in new.keys)
    kept = [[key for key in design.keys if key in old.keys and key in new.keys] for design in (old, new)]
    yield Change("Order of the concepts", *(", ".join(keys) for keys in kept))
    labels_old, labels_new = ({point.number: point.label for point in each.scale} for each in (old, new))
    yield Change("Numbers of the scale", *(", ".join(map(str, each.numbers)) for each in (old, new)))
    for number in sorted(labels_old.keys() | labels_new.keys()):
        yield Change(f"Scale{ARROW}{number}", labels_old.get(number, ""), labels_new.get(number, ""))
    yield Change("Closing words", old.closing, new.closing)
    yield Change("Reason", *("asked for" if each.asks_why else "not asked for" for each in (old, new)))


def _write(concept: Concept) -> str:
    texts = {word: getattr(concept, name) for name, word in CONCEPT_WORDS.items()}
    return "\n".join(f"{word}: {text}" for word, text in texts.items() if text)
