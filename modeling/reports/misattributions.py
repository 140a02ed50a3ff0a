"""PURE. What an annotator model keeps mistaking for what, held against experts: pairs of values, and posts to look at.

Ready for JSON; a number that does not exist is None, with a reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.misattribution import (
    Misattribution,
    confusion_counts,
    confusion_distance,
    find_misattributions,
)

from .data import Floats, Ints, ValueInfo
from .misattribution_tables import NOTHING
from .numbers import number, plain
from .people import RESAMPLING, make_rng

ProgressReport = Callable[[int, int, str], None]

N_PERMUTATIONS = 2000
MOST_EXAMPLES = 5  # posts shown of a recurrent misattribution
LEVEL = 0.05  # of the family of all pairs
FEWEST_CHANCES = 10  # posts on which a pair could have been mistaken, for it to be tested


@dataclass(frozen=True, eq=False)
class ErrorData:
    """What experts and one run say of the same posts.

    Attributes
    ----------
    values : one per column, in circumplex order
    truth : ndarray of shape (n_posts, n_values), the reference ratings; NaN where there is none
    predicted : ndarray of the same shape, the model's mean ratings; NaN where it says nothing
    threshold : from which rating on a value counts as expressed
    post_ids : ndarray of int, shape (n_posts,)
    experts : who labeled, one per row of `labels`
    labels : ndarray of shape (n_experts, n_posts, n_values); NaN where an expert gave none
    whys : the model's reason for each post; blank where it gave none

    Raises
    ------
    ValueError
        If shapes do not fit each other.
    """

    values: tuple[ValueInfo, ...]
    truth: Floats
    predicted: Floats
    threshold: float
    post_ids: Ints
    experts: tuple[str, ...]
    labels: Floats
    whys: Sequence[str]

    def __post_init__(self) -> None:
        shape = (len(self.post_ids), len(self.values))
        for name, wanted in (
            ("truth", shape),
            ("predicted", shape),
            ("labels", (len(self.experts), *shape)),
        ):
            if getattr(self, name).shape != wanted:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}; it must be {wanted}")
        if len(self.whys) != shape[0]:
            raise ValueError(f"whys has {len(self.whys)} entries; give one for each of {shape[0]} posts")

    @property
    def keys(self) -> tuple[str, ...]:
        """The values' keys, in order."""
        return tuple(value.key for value in self.values)


def express(ratings: Floats, threshold: float) -> Floats:
    """Return 1 where a rating says that the value is expressed, 0 where it says that it is not, NaN without a rating.

    >>> express(np.array([2.0, 3.0, np.nan]), 3)
    array([ 0.,  1., nan])
    """
    return np.where(np.isnan(ratings), np.nan, (ratings >= threshold).astype(np.float64))


def describe_misattributions(
    data: ErrorData, *, seed: int, report: ProgressReport = lambda done, total, note: None
) -> dict[str, Any]:
    """Compute everything that an error report says of a run.

    Parameters
    ----------
    data : ErrorData
    seed : int
        The same seed and data give the same report.
    report : callable
        Told (steps done, steps in all, what comes next).

    Returns
    -------
    dict
        `pairs` has every pair that was tested, the recurrent ones first; `matrix` every rate, a row for each value
        that experts see and a last one for posts in which they see none.
    """
    truth, predicted = express(data.truth, data.threshold), express(data.predicted, data.threshold)
    report(0, 3, "testing every two values")
    found = find_misattributions(truth, predicted, level=LEVEL, fewest_chances=FEWEST_CHANCES)
    pairs = sorted(found.pairs, key=lambda pair: -pair.rate if pair.is_recurrent else 0.0)
    report(1, 3, "the distance of confusions on the circle")
    distance = confusion_distance(
        confusion_counts(truth, predicted),
        len(data.values),
        rng=make_rng(seed, RESAMPLING),
        n_permutations=N_PERMUTATIONS,
    )
    report(2, 3, "example posts")
    is_read = ~np.isnan(predicted).all(axis=1)
    is_known = ~np.isnan(truth).all(axis=1)
    return {
        "values": [
            {"key": each.key, "name": each.name, "label": each.label, "group": each.group}
            for each in data.values
        ],
        "threshold": data.threshold,
        "level": found.level,
        "n_posts": int(np.count_nonzero(is_read & is_known)),
        "n_unread": int(np.count_nonzero(~is_read)),
        "n_without_reference": int(np.count_nonzero(~is_known)),
        "n_left_out": int(np.count_nonzero((np.isnan(truth) | np.isnan(predicted))[is_read & is_known])),
        "n_tests": int(found.n_tests),
        "n_untested": len(found.untested),
        "n_recurrent": sum(bool(pair.is_recurrent) for pair in pairs),
        "n_silent": found.n_silent,
        "fewest_chances": found.fewest_chances,
        "reason": found.reason,
        "pairs": [_describe_pair(data, pair) for pair in pairs],
        "matrix": _count_confusions(data.keys, truth, predicted),
        "distance": {
            "mean": number(distance.mean_deg),
            "expected": number(distance.expected_deg),
            "interval": [number(distance.low_deg), number(distance.high_deg)],
            "p": number(distance.p),
            "n": number(distance.n_confusions),
            "n_without_source": number(distance.n_without_source),
            "reason": distance.reason,
        },
        "n_experts": len(data.experts),
        "n_whys": sum(bool(why) for why in data.whys),
        "seed": seed,
        "n_permutations": N_PERMUTATIONS,
    }


def _describe_pair(data: ErrorData, pair: Misattribution) -> dict[str, Any]:
    return {
        "given": data.keys[pair.given],
        "instead_of": _name_source(data.keys, pair.instead_of),
        "chances": int(pair.n_chances),
        "wrong": int(pair.n_wrong),
        "replaced": pair.n_replaced,
        "rate": number(pair.rate),
        "expected": number(pair.expected),
        "ratio": number(pair.ratio),
        "p": number(pair.p),
        "p_adjusted": number(pair.p_adjusted),
        "is_recurrent": pair.is_recurrent,
        "explained_by": [_name_source(data.keys, source) for source in pair.explained_by],
        "examples": _pick_examples(data, pair) if pair.is_recurrent else [],
    }


def _name_source(keys: Sequence[str], source: int | None) -> str:
    return NOTHING if source is None else keys[source]


def _pick_examples(data: ErrorData, pair: Misattribution) -> list[dict[str, Any]]:
    """The posts on which the model is furthest above the threshold, with whatever was said of them."""
    sure = data.predicted[pair.posts, pair.given]
    picked = np.asarray(pair.posts)[np.argsort(-sure, kind="stable")][:MOST_EXAMPLES]
    return [
        {
            "post": int(data.post_ids[place]),
            "reference": _ratings(data.keys, data.truth[place]),
            "experts": [
                {"expert": expert, "ratings": _ratings(data.keys, labels[place])}
                for expert, labels in zip(data.experts, data.labels, strict=True)
                if not np.isnan(labels[place]).all()
            ],
            "model": _ratings(data.keys, data.predicted[place]),
            "why": data.whys[place],
        }
        for place in picked
    ]


def _ratings(keys: Sequence[str], ratings: Floats) -> dict[str, int | float | None]:
    return {key: plain(rating) for key, rating in zip(keys, ratings, strict=True)}


def _count_confusions(keys: Sequence[str], truth: Floats, predicted: Floats) -> list[dict[str, Any]]:
    """For what experts see (rows) and what the model gives: posts with the one and without the other, and how many
    of these the model gives it all the same. On the diagonal: posts with the value, and how many it finds."""
    known = ~np.isnan(truth)
    sources: list[tuple[str, NDArray[np.bool_]]] = [
        (key, column == 1) for key, column in zip(keys, truth.T, strict=True)
    ]
    sources.append((NOTHING, (known & (truth == 0)).all(axis=1)))
    rows = []
    for source, has in sources:
        cells = []
        for key, own, said in zip(keys, truth.T, predicted.T, strict=True):
            could = has & ~np.isnan(said) & (own == (1 if key == source else 0))
            n, n_given = int(np.count_nonzero(could)), int(np.count_nonzero(said[could] == 1))
            cells.append({"given": key, "n": n, "n_given": n_given, "rate": n_given / n if n else None})
        rows.append({"seen": source, "cells": cells})
    return rows
