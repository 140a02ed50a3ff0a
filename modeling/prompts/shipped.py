"""The prompts that a study begins with."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from annotation.tree.nodes import ValueTree
from modeling.prompts.design import VALUES, Concept, PromptDesign, ScalePoint

CONTENT = Path(__file__).resolve().parent / "content"
FEWEST_FOR_SECOND = 4  # points of a scale from which on its second one is described


def values_prompt(tree: ValueTree) -> PromptDesign:
    """Ask how much a post reflects each value of the tree, all of them in one reply, on the tree's own scale.

    The concepts are the tree's leaves in value order, by the theory's names. The values of the shipped system
    are described by the tree's definition and a few signs of what it looks like. Raises DesignError for a tree
    with more values or levels than a prompt may have.
    """
    content = _load(VALUES)
    signs = content["signs"] if tree.slug == content["signs_of"] else {}
    concepts = tuple(
        Concept(leaf.key, leaf.name, " ".join(filter(None, (leaf.definition, signs.get(leaf.key, "")))))
        for leaf in tree.leaves
    )
    labels = {tree.scale.min: tree.scale.low, tree.scale.max: tree.scale.high}
    if len(tree.scale.levels) >= FEWEST_FOR_SECOND:
        labels[tree.scale.min + 1] = content["second"]
    design = PromptDesign(
        purpose=VALUES,
        instructions=content["instructions"],
        concepts=concepts,
        scale=tuple(ScalePoint(number, labels.get(number, "")) for number in tree.scale.levels),
        closing=content["closing"],
    )
    return PromptDesign.from_dict(design.to_dict())


def fits_tree(design: PromptDesign, tree: ValueTree) -> bool:
    """Whether a prompt about values asks for exactly the tree's values, in their order, on the tree's scale."""
    return design.keys == tree.value_keys and design.numbers == tuple(tree.scale.levels)


def fit_to_tree(design: PromptDesign, tree: ValueTree) -> PromptDesign:
    """A prompt about values that fits the tree and keeps what was worded before, as far as it still applies."""
    fresh = values_prompt(tree)
    kept = {concept.key: concept for concept in design.concepts}
    return replace(
        design,
        concepts=tuple(kept.get(concept.key, concept) for concept in fresh.concepts),
        scale=design.scale if design.numbers == fresh.numbers else fresh.scale,
    )


def comprehensibility_prompt() -> PromptDesign:
    """Ask whether a post can be understood: four concepts and a final rating, 0 to 3, the highest the clearest."""
    return PromptDesign.from_dict(_load("comprehensibility"))


def nsfw_prompt() -> PromptDesign:
    """Ask whether a post is safe to show: three concepts and a final rating, 0 (safe) to 3."""
    return PromptDesign.from_dict(_load("nsfw"))


def shipped_prompt(purpose: str, tree: ValueTree) -> PromptDesign:
    """The prompt that a study with this tree begins with. Raises ValueError for an unknown purpose."""
    if purpose == VALUES:
        return values_prompt(tree)
    if purpose == "comprehensibility":
        return comprehensibility_prompt()
    if purpose == "nsfw":
        return nsfw_prompt()
    raise ValueError(f"no prompt is for {purpose!r:.40}")


@cache
def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((CONTENT / f"{name}.json").read_text(encoding="utf-8"))
    return content
