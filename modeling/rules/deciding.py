"""PURE. What several experts' decisions about one flagged post come to. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

CONFIRMED, CORRECTED, UNSURE = "confirmed", "corrected", "unsure"


@dataclass(frozen=True)
class Decided:
    """The decisions about one post, put together.

    Attributes
    ----------
    ratings : tuple of float, one per value, or None where nobody has decided
    disputed : places of values in whose presence as many experts say one thing as the other: the model's rating stays
    n_experts : who decided; n_unsure : who could not
    """

    ratings: tuple[float, ...] | None
    disputed: tuple[int, ...]
    n_experts: int
    n_unsure: int


def put_together(
    model: Sequence[float], decisions: Sequence[tuple[str, Sequence[float] | None]], threshold: float
) -> Decided:
    """Return what experts together say of a post.

    Who confirms says what the model says, who corrects says their own ratings, who is unsure says nothing. Of each
    value, the side of the threshold counts that more of them are on, and on it the lower median of their ratings.

    Parameters
    ----------
    model : the model's ratings, one per value
    decisions : (verdict, ratings) of each expert; ratings only where the verdict is 'corrected'
    threshold : from which rating on a value counts as expressed

    Raises
    ------
    ValueError
        For another verdict, and for corrections with another number of ratings than the model's.

    Examples
    --------
    >>> put_together([4, 0], [("corrected", [1, 0]), ("confirmed", None), ("corrected", [0, 0])], 2).ratings
    (0.0, 0.0)
    """
    said: list[Sequence[float]] = []
    for verdict, ratings in decisions:
        if verdict == CONFIRMED:
            said.append(model)
        elif verdict == CORRECTED and ratings is not None and len(ratings) == len(model):
            said.append(ratings)
        elif verdict != UNSURE:
            raise ValueError(
                f"a decision is '{verdict}' with {0 if ratings is None else len(ratings)} ratings: give confirmed, "
                f"unsure, or corrected with {len(model)} ratings"
            )
    n_unsure = len(decisions) - len(said)
    if not said:
        return Decided(None, (), 0, n_unsure)
    settled, disputed = [], []
    for place, own in enumerate(model):
        ratings = [float(each[place]) for each in said if not math.isnan(each[place])]
        present = [rating for rating in ratings if rating >= threshold]
        absent = [rating for rating in ratings if rating < threshold]
        if len(present) == len(absent):
            settled.append(float(own))
            if present:
                disputed.append(place)
        else:
            settled.append(median_low(present if len(present) > len(absent) else absent))
    return Decided(tuple(settled), tuple(disputed), len(said), n_unsure)
