"""PURE. What the labels of several experts come to: one reference for each value of a post, or an open question.

Standard library only, so that pages may use it as well as workers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Literal

How = Literal["agreed", "resolved", "open", "missing", "single"]


@dataclass(frozen=True)
class Settled:
    """The reference of one post, value by value.

    Attributes
    ----------
    ratings : tuple of float, one per value
        NaN where nothing is settled: where the experts differ and nobody resolved it, and where nobody rated.
    is_open : tuple of bool, one per value
        Whether experts differ in whether the value is expressed and no resolution says which it is.
    how : tuple of str, one per value
        "agreed": two or more experts, all on one side of the threshold. "single": one expert alone. "resolved":
        experts differ, and a resolution decides. "open": they differ, and none does. "missing": no rating.
    """

    ratings: tuple[float, ...]
    is_open: tuple[bool, ...]
    how: tuple[How, ...]


def settle(labels: Sequence[Sequence[float]], resolution: Sequence[float], threshold: float) -> Settled:
    """Return what experts together say of one post.

    A value is expressed where its rating is at least the threshold. Where all who rated it are on the same side, the
    reference is the lower median of their ratings, which is always a rating that one of them gave. Where they are not,
    the resolution decides; without one the value is open. A resolution does not count where the experts agree: a
    later label that ends a disagreement outweighs what was resolved before.

    Parameters
    ----------
    labels : shape (n_experts, n_values)
        On the study's scale; NaN where an expert gave no rating. No expert at all is possible.
    resolution : shape (n_values,)
        NaN where nothing was resolved.
    threshold : from which rating on a value counts as expressed

    Raises
    ------
    ValueError
        If a row of labels does not have one rating for each value of the resolution, or the threshold is no number.
    """
    n_values = len(resolution)
    for row, label in enumerate(labels):
        if len(label) != n_values:
            raise ValueError(
                f"labels: row {row} has {len(label)} ratings, the resolution {n_values}; give one for each value"
            )
    if not math.isfinite(threshold):
        raise ValueError(f"threshold is {threshold}: give the rating from which a value counts as expressed")
    settled = [
        _settle_value([float(label[value]) for label in labels], float(resolution[value]), threshold)
        for value in range(n_values)
    ]
    return Settled(
        ratings=tuple(rating for rating, _ in settled),
        is_open=tuple(how == "open" for _, how in settled),
        how=tuple(how for _, how in settled),
    )


def find_disputed(labels: Sequence[Sequence[float]], threshold: float) -> tuple[int, ...]:
    """Return the values that some experts find expressed and others do not, whether or not that was resolved."""
    return tuple(
        value
        for value, ratings in enumerate(zip(*labels, strict=True))
        if len({rating >= threshold for rating in ratings if not math.isnan(rating)}) > 1
    )


def are_same(some: Sequence[float], others: Sequence[float]) -> bool:
    """Return whether two labels rate every value alike, or both do not rate it."""
    return len(some) == len(others) and all(
        one == other or (math.isnan(one) and math.isnan(other))
        for one, other in zip(some, others, strict=True)
    )


def _settle_value(ratings: list[float], resolved: float, threshold: float) -> tuple[float, How]:
    given = [rating for rating in ratings if not math.isnan(rating)]
    if not given:
        return math.nan, "missing"
    if len(given) == 1:
        return given[0], "single"
    if len({rating >= threshold for rating in given}) == 1:
        return median_low(given), "agreed"
    return (math.nan, "open") if math.isnan(resolved) else (resolved, "resolved")
