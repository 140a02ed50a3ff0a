"""What the conditions of an evaluation are called, in data and before readers. Pages import it: it loads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Kind = Literal["human", "crowd", "model", "knows", "control", "personalized"]

PERSONALIZED, FOREST, PERSON, PERMUTED = "personalized", "forest", "person", "permuted"
SAYS_STANDIN = "Stand-in: not from a real model."  # with whatever came from it, wherever it is shown
ANNOTATOR = "annotator: "  # before the name of an annotator model that gives the consensus
NO_PERSON = "_forest"  # after the name of a consensus: a forest on it that is told nothing of the rater
MEMBERS = ("boosting", "mixed", "level", "blend")
ORDER = (PERSON, PERMUTED, FOREST, *MEMBERS, PERSONALIZED)

KNOWN, NEW = VIEWS = ("known", "new")  # raters with a history, and raters with nothing but answers
KNOWN_RATERS, KNOWN_POSTS, NEW_POSTS = SAMPLES = ("known", "known_posts", "new_posts")
SAMPLE_NAMES = {
    KNOWN_RATERS: "Known raters, new posts",
    KNOWN_POSTS: "New raters, known posts",
    NEW_POSTS: "New raters, new posts",
}
NAMES = {
    "text": "Consensus from text",
    "text_forest": "Consensus from text, refitted without the person",
    "panel": "Consensus of other raters",
    "panel_forest": "Consensus of other raters, refitted without the person",
    PERSON: "The person alone, without the post",
    PERMUTED: "Control: raters shuffled over rows",
    FOREST: "The paper’s forest",
    "boosting": "Boosting pooled over values",
    "mixed": "Mixed effects of raters",
    "level": "Consensus at the rater’s own level",
    "blend": "Blend of all",
    PERSONALIZED: "Personalized",
    "human_human": "One other person",
}


def name_model(name: str) -> str:
    """Return what a model is called in tables and figures.

    >>> name_model("annotator: GPT v2_forest")
    'Annotator GPT v2, refitted without the person'
    """
    if name.startswith(ANNOTATOR):
        own = f"Annotator {name.removeprefix(ANNOTATOR)}"
        return (
            f"{own.removesuffix(NO_PERSON)}, refitted without the person" if own.endswith(NO_PERSON) else own
        )
    return NAMES.get(name, name)


def order_names(names: Iterable[str]) -> list[str]:
    """Return names of models from those that know nobody to the personalized one; others stay as they were given.

    >>> order_names(["personalized", "forest", "text_forest", "permuted", "text"])
    ['text', 'text_forest', 'permuted', 'forest', 'personalized']
    """

    def place(name: str) -> int:
        if name in ORDER:
            return 2 + ORDER.index(name)
        return 1 if name.endswith(NO_PERSON) else 0

    return sorted(names, key=place)


def tell_kind(name: str) -> Kind:
    """Return what a model knows of the rater.

    >>> [tell_kind(name) for name in ("text", "person", "permuted", "personalized")]
    ['model', 'knows', 'control', 'personalized']
    """
    if name == PERSONALIZED:
        return "personalized"
    if name == PERMUTED:
        return "control"
    return "knows" if name in ORDER else "model"


def is_aside(name: str) -> bool:
    """Whether a model is left to the tables where many are drawn or told of: controls and members of the blend.

    >>> [is_aside(name) for name in ("text", "person", "forest", "boosting", "personalized")]
    [False, True, False, True, False]
    """
    return name in (PERSON, PERMUTED, *MEMBERS)


def say_knowledge(name: str) -> str:
    """Return what a model is told, in words."""
    if name == PERSON:
        return "the rater"
    if name == PERMUTED:
        return "the post, and a rater drawn by lot"
    return "the post and the rater" if name in ORDER else "the post"
