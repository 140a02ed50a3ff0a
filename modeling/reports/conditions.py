"""Everything that a rater can be predicted from, side by side on the same rows, with the raters resampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from modeling.stats.consensus import mean_of
from modeling.stats.spearman import spearman_rows

from .by_rater import Estimates, RaterSample
from .data import EvaluationData, Floats, Ints
from .names import PERSONALIZED, order_names

Direction = Literal["better", "worse", "unclear", "same", ""]

NOBODY = "no row is there to compare on"


class Comparison:
    """Predictions of the same rows, compared with the ratings given there.

    Parameters
    ----------
    data : EvaluationData
    rows : ndarray of int, rows of `data`
    predictions : name to ndarray of shape (len(rows), n_values)
    seed : int
    """

    def __init__(
        self, data: EvaluationData, rows: Ints, predictions: Mapping[str, Floats], *, seed: int
    ) -> None:
        self.ratings = data.ratings[rows]
        self.keys = data.keys
        self.names = order_names(list(predictions))
        self.consensus_name = data.consensus_name
        self.predictions = predictions
        self.n_posts = len(np.unique(data.posts[rows]))
        self.sample = RaterSample(data.raters[rows], seed=seed)
        shape = (len(rows), len(self.names))
        self.errors = {name: np.abs(self.ratings - predictions[name]) for name in self.names}
        self.rho, self.error = np.empty(shape), np.empty(shape)
        for place, name in enumerate(self.names):
            self.rho[:, place] = spearman_rows(self.ratings, predictions[name])
            self.error[:, place] = mean_present(self.errors[name])

    def describe(self) -> dict[str, Any]:
        """Return rho and distance of every condition, over all values and value by value, ready for JSON."""
        if not len(self.ratings) or not self.names:
            return {
                "reason": NOBODY,
                "n_rows": len(self.ratings),
                "n_raters": self.sample.n_raters,
                "n_posts": self.n_posts,
                "conditions": [],
                "by_value": [],
            }
        rho, error = self.sample.average(self.rho), self.sample.average(self.error)
        n_undefined = np.isnan(self.rho).sum(axis=0)
        return {
            "reason": "",
            "n_rows": len(self.ratings),
            "n_raters": self.sample.n_raters,
            "n_posts": self.n_posts,
            "conditions": [
                {
                    "name": name,
                    "rho": found,
                    "interval": interval,
                    "raters": n_raters,
                    "undefined": int(n_undefined[place]),
                    "compared": len(self.rho),
                    "mae": distance,
                    "mae_interval": distance_interval,
                }
                for place, (name, (found, interval, n_raters), (distance, distance_interval, _)) in enumerate(
                    zip(self.names, rho.describe(), error.describe(), strict=True)
                )
            ],
            "by_value": self._describe_values(),
        }

    def subtract(self, of: str, minus: str) -> dict[str, Any] | None:
        """Return how far two conditions differ over the same rows, averaged by rater; None where one is missing."""
        if of not in self.names or minus not in self.names:
            return None
        one, other = self.names.index(of), self.names.index(minus)
        rho = self.sample.average((self.rho[:, one] - self.rho[:, other])[:, np.newaxis])
        error = self.sample.average((self.error[:, one] - self.error[:, other])[:, np.newaxis])
        return {
            "of": of,
            "from": minus,
            "rho": describe_difference(rho, higher_is_better=True)[0],
            "mae": describe_difference(error, higher_is_better=False)[0],
        }

    def _describe_values(self) -> list[dict[str, Any]]:
        n_values = len(self.keys)
        rho, reasons = self.sample.correlate(
            np.tile(self.ratings, len(self.names)), np.hstack([self.predictions[name] for name in self.names])
        )
        error = self.sample.average_rows(np.hstack([self.errors[name] for name in self.names]))
        found = [
            (*correlation, *distance[:2], reason)
            for correlation, distance, reason in zip(rho.describe(), error.describe(), reasons, strict=True)
        ]
        differences = self._compare_values(rho, error)
        shown = (~np.isnan(self.ratings)).sum(axis=0)
        return [
            {
                "value": key,
                "ratings": int(shown[place]),
                "models": {
                    name: dict(
                        zip(
                            ("rho", "interval", "raters", "mae", "mae_interval", "reason"),
                            found[number * n_values + place],
                            strict=True,
                        )
                    )
                    for number, name in enumerate(self.names)
                },
                "against_consensus": differences[place] if differences else None,
            }
            for place, key in enumerate(self.keys)
        ]

    def _compare_values(self, rho: Estimates, error: Estimates) -> list[dict[str, Any]]:
        if PERSONALIZED not in self.names or self.consensus_name not in self.names:
            return []
        n_values = len(self.keys)
        one, other = (
            slice(start * n_values, (start + 1) * n_values)
            for start in (self.names.index(PERSONALIZED), self.names.index(self.consensus_name))
        )
        correlations = describe_difference(rho.take(one).minus(rho.take(other)), higher_is_better=True)
        distances = describe_difference(error.take(one).minus(error.take(other)), higher_is_better=False)
        return [
            {"rho": found, "mae": distance} for found, distance in zip(correlations, distances, strict=True)
        ]


def describe_difference(difference: Estimates, *, higher_is_better: bool) -> list[dict[str, Any]]:
    """Return differences with their intervals, and whether they are for the better, for the worse, or unclear."""
    return [
        {
            "difference": found,
            "interval": interval,
            "raters": n_raters,
            "direction": _judge(found, interval, higher_is_better),
        }
        for found, interval, n_raters in difference.describe()
    ]


def _judge(found: float | None, interval: list[float | None], higher_is_better: bool) -> Direction:
    low, high = interval
    if found is None or low is None or high is None:
        return ""
    if low == high == 0:
        return "same"
    if low > 0:
        return "better" if higher_is_better else "worse"
    if high < 0:
        return "worse" if higher_is_better else "better"
    return "unclear"


def mean_present(rows: Floats) -> Floats:
    """Return the mean of each row over what is there; NaN where nothing is."""
    there = ~np.isnan(rows)
    return mean_of(np.where(there, rows, 0.0).sum(axis=1), there.sum(axis=1).astype(np.float64))
