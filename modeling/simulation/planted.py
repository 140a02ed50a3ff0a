"""A world whose truth is known: invented posts, what each expresses, and experts who rate by known rules.

It is for tests of what finds errors in annotator models. Nothing in it is evidence about people or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .feeds import fill_phrase, load_phrases

THRESHOLD = 3
HIGHEST = 6
STRENGTHS = (5, 4, 4)  # of the first, second and third value of a post
SHARES = (0.18, 0.34, 0.34, 0.14)  # of posts with no value, one, two and three
NEXT_ON_CIRCLE = 0.5  # share of further values that stand beside the first, the others anywhere
MOST_TRIES = 200
# How many of those who read it see the value, by which of its phrases a post uses: some are plain, some are not.
SEEN_BY = (0.95, 0.9, 0.8, 0.4, 0.25)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """Invented posts and the truth about them.

    Attributes
    ----------
    keys, texts : one per post
    value_keys : the values, in the order of the columns
    truth : ndarray of shape (n_posts, n_values)
        Ratings from 0 to 6; from `THRESHOLD` on a value is expressed.
    seen_by : ndarray of shape (n_posts, n_values)
        Probability that somebody who reads the post sees the value: 0 or 1 where nothing is ambiguous.
    """

    keys: tuple[str, ...]
    texts: tuple[str, ...]
    value_keys: tuple[str, ...]
    truth: Floats
    seen_by: Floats

    def known(self) -> dict[str, dict[str, int]]:
        """Return the truth by text, as a planted model is told it."""
        return {
            text: {key: int(rating) for key, rating in zip(self.value_keys, row, strict=True) if rating}
            for text, row in zip(self.texts, self.truth, strict=True)
        }


def invent_world(
    n_posts: int,
    rng: np.random.Generator,
    *,
    ambiguous: bool = False,
    value_keys: Sequence[str] | None = None,
) -> World:
    """Invent posts, each with a text of its own that says what the post expresses and nothing else.

    Parameters
    ----------
    n_posts : at least 1
    rng : decides everything
    ambiguous : whether people differ in what they see, by how plain a post's phrases are (`SEEN_BY`)
    value_keys : the values that posts may express, three or more; all that have phrases when left out

    Raises
    ------
    ValueError
        If no post is asked for, or so many that texts repeat.
    """
    if n_posts < 1:
        raise ValueError(f"a world has at least 1 post, not {n_posts}")
    value_keys = tuple(value_keys or load_phrases()["values"])
    truth, seen_by = np.zeros((n_posts, len(value_keys))), np.zeros((n_posts, len(value_keys)))
    texts: dict[str, None] = {}
    for post in range(n_posts):
        values = _draw_values(len(value_keys), rng)
        truth[post, values] = STRENGTHS[: len(values)]
        text, plainness = _write_new(values, value_keys, texts, rng)
        texts[text] = None
        seen_by[post, values] = plainness if ambiguous else 1.0
    keys = tuple(f"invented-{number:05d}" for number in range(1, n_posts + 1))
    return World(keys, tuple(texts), value_keys, truth, seen_by)


def paraphrase(world: World, rng: np.random.Generator) -> World:
    """Return the same posts in other words: another text for each, the same truth."""
    texts: dict[str, None] = dict.fromkeys(world.texts)
    seen_by = np.zeros_like(world.seen_by)
    is_plain = bool(np.isin(world.seen_by, (0, 1)).all())
    for post, row in enumerate(world.truth):
        values = [int(value) for value in np.argsort(-row, kind="stable") if row[value]]
        text, plainness = _write_new(values, world.value_keys, texts, rng)
        texts[text] = None
        seen_by[post, values] = 1.0 if is_plain else plainness
    keys = tuple(f"{key}~p1" for key in world.keys)
    return World(keys, tuple(texts)[len(world.texts) :], world.value_keys, world.truth, seen_by)


@dataclass(frozen=True)
class ExpertRule:
    """How an invented expert departs from the truth.

    Attributes
    ----------
    shift : added to every rating of a value expressed; a stern expert has -1, a generous one +1
    blind_to : a value that this expert takes for absent, "" for none
    share : of the posts that express it, how often
    """

    shift: int = 0
    blind_to: str = ""
    share: float = 1.0


def label(world: World, rule: ExpertRule, rng: np.random.Generator) -> Floats:
    """Return what an invented expert says of each post, of shape (n_posts, n_values), 0 to 6."""
    expressed = world.truth >= THRESHOLD
    ratings = np.where(expressed, np.clip(world.truth + rule.shift, 0, HIGHEST), world.truth)
    if rule.blind_to:
        value = world.value_keys.index(rule.blind_to)
        misses = expressed[:, value] & (rng.random(len(ratings)) < rule.share)
        ratings[misses, value] = 0
    return np.asarray(ratings, dtype=np.float64)


def draw_ratings(world: World, n_raters: int, rng: np.random.Generator) -> Floats:
    """Return what people see who read every post: shape (n_raters, n_posts, n_values), the truth's rating or 0."""
    sees = rng.random((n_raters, *world.truth.shape)) < world.seen_by
    return np.where(sees, world.truth, 0.0)


def _draw_values(n_values: int, rng: np.random.Generator) -> list[int]:
    """Draw the values of a post: the first anywhere, further ones often beside it on the circle."""
    wanted = int(rng.choice(len(SHARES), p=SHARES))
    values: list[int] = []
    while len(values) < wanted:
        if values and rng.random() < NEXT_ON_CIRCLE:
            value = (values[0] + int(rng.choice((-1, 1)))) % n_values
        else:
            value = int(rng.integers(n_values))
        if value not in values:
            values.append(value)
    return values


def _write_new(
    values: list[int], value_keys: tuple[str, ...], texts: dict[str, None], rng: np.random.Generator
) -> tuple[str, list[float]]:
    """Write a text that no post has yet, and how plainly it says each of its values."""
    phrases = load_phrases()
    for _ in range(MOST_TRIES):
        places = [int(rng.integers(len(phrases["values"][value_keys[value]]))) for value in values]
        parts = [
            fill_phrase(phrases["values"][value_keys[value]][place], rng)
            for value, place in zip(values, places, strict=True)
        ]
        text = ". ".join(
            parts or [fill_phrase(phrases["neutral"][int(rng.integers(len(phrases["neutral"])))], rng)]
        )
        if text not in texts:
            return text, [SEEN_BY[place % len(SEEN_BY)] for place in places]
    raise ValueError(
        f"no new text was found in {MOST_TRIES} tries after {len(texts):,} posts; ask for fewer posts"
    )
