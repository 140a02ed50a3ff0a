"""PURE. The report of a study: people with people, people with models, with intervals.

Every measure is a dictionary of `rho`, `interval`, `posts` and `undefined`, ready for JSON; a number
that does not exist is None, with the count of what was left out beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.agreement import (
    PostMeasure,
    human_consensus,
    human_consensus_by_size,
    human_human,
    human_model,
)
from modeling.stats.crowd_error import human_crowd_mae, model_crowd_mae
from modeling.stats.resampling import Interval, bootstrap_difference, bootstrap_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

GROUP_SIZES = (1, 2, 3, 4, 5, 6, 8, 12)
N_RESAMPLES = 1000
N_DRAWS = 10


class Evaluation:
    """Measures of one table of ratings, all from one seed.

    Parameters
    ----------
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    posts : ndarray of shape (n_rows,), codes 0 to n_posts - 1
    n_posts : int
    value_keys : names of the values, in order
    seed : int
    """

    def __init__(
        self, ratings: Floats, posts: Ints, n_posts: int, value_keys: Sequence[str], *, seed: int
    ) -> None:
        self.ratings = ratings
        self.posts = posts
        self.n_posts = n_posts
        self.value_keys = tuple(value_keys)
        self.seed = seed

    def describe_people(self, rows: Ints | None = None) -> dict[str, Any]:
        """The three human measures over all rows, or over those given."""
        ratings, posts = self._take(rows)
        by_size = human_consensus_by_size(
            ratings, posts, GROUP_SIZES, rng=self._rng(0), n_draws=N_DRAWS, n_posts=self.n_posts
        )
        return {
            "human_human": self._describe(human_human(ratings, posts, self.n_posts)),
            "human_consensus": self._describe(human_consensus(ratings, posts, self.n_posts)),
            "human_consensus_by_size": [
                {"size": size} | self._describe(measure)
                for size, measure in by_size.items()
                if measure.n_posts
            ],
        }

    def describe_predictions(self, test_rows: Ints, predictions: Mapping[str, Floats]) -> dict[str, Any]:
        """Models against people on the held-out rows, with paired differences and errors.

        `predictions` maps a model's name to an array of shape (len(test_rows), n_values); the one named
        'personalized' is told apart from those that do not know the rater.
        """
        ratings, posts = self._take(test_rows)
        measures = {
            name: human_model(ratings, posts, predicted, self.n_posts)
            for name, predicted in predictions.items()
        }
        errors = {
            name: self._error_by_post(ratings, posts, predicted) for name, predicted in predictions.items()
        }
        people = human_human(ratings, posts, self.n_posts)
        described = {
            name: self._describe(measure) | {"mae": self._describe_mean(errors[name], "mae")}
            for name, measure in measures.items()
        }
        personalized = described.pop("personalized", None)
        differences = [
            self._describe_difference(name, measure.per_post, "human_human", people.per_post)
            for name, measure in measures.items()
        ]
        if "personalized" in measures:
            differences += [
                self._describe_difference(
                    "personalized", measures["personalized"].per_post, name, measure.per_post
                )
                for name, measure in measures.items()
                if name != "personalized"
            ]
        return {"models": described, "personalized": personalized, "differences": differences}

    def describe_crowd_errors(self, test_rows: Ints, consensus_scores: Floats | None) -> dict[str, Any]:
        """Human-crowd and model-crowd MAE by value over the posts of the given rows (Table 1 of the paper)."""
        ratings, posts = self._take(test_rows)
        human = human_crowd_mae(ratings, posts, self.n_posts)
        model = None if consensus_scores is None else model_crowd_mae(ratings, posts, consensus_scores)
        rows = [
            {
                "value": key,
                "human_crowd": _number(human.mae[index]),
                "human_crowd_se": _number(human.standard_error[index]),
                "model_crowd": None if model is None else _number(model.mae[index]),
                "model_crowd_se": None if model is None else _number(model.standard_error[index]),
                "posts": int(human.n_posts[index]),
            }
            for index, key in enumerate(self.value_keys)
        ]
        overall = {
            "human_crowd": _number(human.overall),
            "human_crowd_se": _number(human.overall_standard_error),
            "model_crowd": None if model is None else _number(model.overall),
            "model_crowd_se": None if model is None else _number(model.overall_standard_error),
        }
        return {"mae_by_value": rows, "mae_overall": overall}

    def _take(self, rows: Ints | None) -> tuple[Floats, Ints]:
        return (self.ratings, self.posts) if rows is None else (self.ratings[rows], self.posts[rows])

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

    def _describe(self, measure: PostMeasure) -> dict[str, Any]:
        return {
            "rho": _number(measure.rho),
            "interval": self._bootstrap(measure.per_post),
            "posts": measure.n_posts,
            "undefined": measure.n_undefined,
            "compared": measure.n_defined + measure.n_undefined,
        }

    def _describe_mean(self, per_post: Floats, name: str) -> dict[str, Any]:
        mean = float(np.nanmean(per_post)) if not np.isnan(per_post).all() else math.nan
        return {name: _number(mean), "interval": self._bootstrap(per_post)}

    def _describe_difference(self, name_a: str, a: Floats, name_b: str, b: Floats) -> dict[str, Any]:
        difference = bootstrap_difference(a, b, rng=self._rng(1), n_resamples=N_RESAMPLES)
        return {
            "of": name_a,
            "from": name_b,
            "rho": _number(difference.estimate),
            "interval": _ends(difference.interval),
            "posts": difference.interval.n_units,
        }

    def _bootstrap(self, per_post: Floats) -> list[float | None]:
        return _ends(bootstrap_mean(per_post, rng=self._rng(1), n_resamples=N_RESAMPLES))

    def _error_by_post(self, ratings: Floats, posts: Ints, predicted: Floats) -> Floats:
        """Mean over a post's raters of the mean absolute error over values."""
        errors = np.abs(ratings - predicted)
        present = ~np.isnan(errors)
        totals = np.bincount(posts, np.where(present, errors, 0.0).sum(axis=1), minlength=self.n_posts)
        counts = np.bincount(posts, present.sum(axis=1), minlength=self.n_posts)
        with np.errstate(invalid="ignore"):
            return np.asarray(totals / counts, dtype=np.float64)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _ends(interval: Interval) -> list[float | None]:
    return [_number(interval.low), _number(interval.high)]
