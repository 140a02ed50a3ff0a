"""The report of a fit: people with people, people with models, on posts held out before any fitting.

Ready for JSON; a number that does not exist is None, with the count of what was left out beside it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modeling.stats.agreement import human_human, human_model
from modeling.stats.consensus import mean_of, totals_by_post
from modeling.stats.crowd_error import human_crowd_mae, model_crowd_mae
from modeling.stats.perception import adjustment, rank_correlation
from modeling.stats.resampling import bootstrap_difference

from .correlation import correlate_with_draws, make_draws
from .counts import describe_table
from .covariates import choose_covariates
from .coverage import describe_coverage
from .curves import describe_curves
from .data import CI_LEVEL, N_RESAMPLES, EvaluationData, Floats, Ints
from .gain import describe_gain
from .names import PERMUTED, PERSONALIZED, VIEWS, order_names
from .numbers import ends, number, numbers
from .people import (
    RESAMPLING,
    describe_measure,
    describe_people,
    interval_of_mean,
    make_rng,
    measure_people,
)
from .two_questions import describe_questions

ProgressReport = Callable[[int, int, str], None]

COULD_SEE = "What the model could see: "
# Begins the notes of a fit that say so, also those about the models of some raters.
_SEEING = re.compile(r"What the models?\b[^:]* could see:? ")
NOTES = (
    "Intervals are 95 % percentile bootstraps over posts (1,000 resamples, seeded). A rho of a constant vector is "
    "undefined and left out; a post without any defined rho is left out.",
    "The human figures at the top are over all posts; models are judged on the held-out posts, where the human "
    "figures are repeated.",
    "The correlation of one value is Spearman's rho over all held-out annotations. Its interval is a bootstrap over "
    "posts in which ranks are not taken anew.",
    "The gain of a rater is their mean rho with the personalized model less that with the model it starts from; its "
    "intervals are bootstraps over raters. Holm's correction of the regression runs over its terms.",
    "Known and new raters, controls and learning curves have the rater as their unit: a number is a mean over raters "
    "of the mean over their rows. By value, and for coverage, all rows weigh the same. All these intervals are "
    "bootstraps over raters.",
)
CROWD_NOTE = "The consensus of other raters is made of the crowd itself, so its distance from the crowd is not defined."


def describe_evaluation(
    data: EvaluationData, *, seed: int, report: ProgressReport = lambda done, total, note: None
) -> dict[str, Any]:
    """Compute everything that a fit's report says.

    Parameters
    ----------
    data : EvaluationData
    seed : int
        The same seed and data give the same report, but for `seconds`.
    report : callable
        Told (steps done, steps in all, what comes next).

    Returns
    -------
    dict
        Ready for JSON. Models stand under their names in `predictions`.
    """
    begun = time.monotonic()
    evaluation = Evaluation(data.ratings, data.posts, data.n_posts, data.keys, seed=seed)
    n_steps = 8
    report(0, n_steps, "people with people")
    people = evaluation.describe_people()
    held_out = evaluation.describe_people(data.test_rows)
    report(1, n_steps, "people with models")
    models = evaluation.describe_predictions(data.test_rows, data.predictions)
    report(2, n_steps, "distance from the crowd")
    errors = evaluation.describe_crowd_errors(data.test_rows, data.consensus_scores)
    report(3, n_steps, "value by value")
    correlations = evaluation.describe_correlations(data.test_rows, data.predictions)
    report(4, n_steps, "whom personalizing helps")
    covariates = choose_covariates(data.groups, data.numbers, data.n_raters)
    gain = describe_gain(data, covariates, seed=seed)
    report(5, n_steps, "known raters and new ones")
    questions = describe_questions(data, seed=seed)
    report(6, n_steps, "learning curves")
    curves = describe_curves(data, seed=seed)
    report(7, n_steps, "prediction intervals")
    crowd_note = [] if data.consensus_scores is not None or not data.consensus_name else [CROWD_NOTE]
    described = {
        **describe_table(data),
        **people,
        **models,
        "holdout": held_out | {"n_posts": len(np.unique(data.posts[data.test_rows]))},
        **errors,
        "correlation_by_value": correlations,
        "importance": _describe_importance(data),
        "adjustment": _describe_adjustment(data),
        "gain": gain,
        "best": _find_best(models),
        **questions,
        "curves": curves,
        "coverage": describe_coverage(data, seed=seed),
        "weights": _describe_weights(data),
        "method": data.method,
        "consensus": data.consensus_name,
        "could_see": list_could_see(data.fit_notes),
        "notes": [*NOTES, *covariates.notes, *crowd_note],
        "seed": seed,
        "n_resamples": N_RESAMPLES,
        "ci_level": CI_LEVEL,
        "seconds": time.monotonic() - begun,
    }
    report(n_steps, n_steps, "done")
    return described


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
        """The three human measures over all rows, or over those given and their posts."""
        ratings, posts, n_posts = self._take(rows)
        return describe_people(*measure_people(ratings, posts, n_posts, seed=self.seed), seed=self.seed)

    def describe_predictions(self, test_rows: Ints, predictions: Mapping[str, Floats]) -> dict[str, Any]:
        """Models against people on the held-out rows, with paired differences and errors.

        `predictions` maps a model's name to an array of shape (len(test_rows), n_values); the one named
        'personalized' is told apart from those that do not know the rater.
        """
        ratings, posts, n_posts = self._take(test_rows)
        measures = {
            name: human_model(ratings, posts, predictions[name], n_posts) for name in order_names(predictions)
        }
        errors = {
            name: _error_by_post(ratings, posts, predicted, n_posts)
            for name, predicted in predictions.items()
        }
        people = human_human(ratings, posts, n_posts)
        described = {
            name: describe_measure(measure, seed=self.seed)
            | {
                "mae": {
                    "mae": _mean(errors[name]),
                    "interval": interval_of_mean(errors[name], seed=self.seed),
                }
            }
            for name, measure in measures.items()
        }
        personalized = described.pop(PERSONALIZED, None)
        differences = [
            self._describe_difference(name, measure.per_post, "human_human", people.per_post)
            for name, measure in measures.items()
        ]
        if PERSONALIZED in measures:
            differences += [
                self._describe_difference(
                    PERSONALIZED, measures[PERSONALIZED].per_post, name, measure.per_post
                )
                for name, measure in measures.items()
                if name != PERSONALIZED
            ]
        return {"models": described, "personalized": personalized, "differences": differences}

    def describe_crowd_errors(self, test_rows: Ints, consensus_scores: Floats | None) -> dict[str, Any]:
        """Human-crowd and model-crowd MAE by value over the posts of the given rows (Table 1 of the paper)."""
        ratings, posts = self.ratings[test_rows], self.posts[test_rows]
        human = human_crowd_mae(ratings, posts, self.n_posts)
        model = None if consensus_scores is None else model_crowd_mae(ratings, posts, consensus_scores)
        rows = [
            {
                "value": key,
                "human_crowd": number(human.mae[index]),
                "human_crowd_se": number(human.standard_error[index]),
                "model_crowd": None if model is None else number(model.mae[index]),
                "model_crowd_se": None if model is None else number(model.standard_error[index]),
                "posts": int(human.n_posts[index]),
            }
            for index, key in enumerate(self.value_keys)
        ]
        overall = {
            "human_crowd": number(human.overall),
            "human_crowd_se": number(human.overall_standard_error),
            "model_crowd": None if model is None else number(model.overall),
            "model_crowd_se": None if model is None else number(model.overall_standard_error),
        }
        return {"mae_by_value": rows, "mae_overall": overall}

    def describe_correlations(
        self, test_rows: Ints, predictions: Mapping[str, Floats]
    ) -> list[dict[str, Any]]:
        """Spearman's rho between ratings and predictions over the given rows, by value and model."""
        ratings, posts = self.ratings[test_rows], self.posts[test_rows]
        draws = make_draws(lambda: make_rng(self.seed, RESAMPLING))
        described = []
        for place, key in enumerate(self.value_keys):
            models = {}
            for name, predicted in predictions.items():
                found = correlate_with_draws(ratings[:, place], predicted[:, place], posts, draws)
                models[name] = {
                    "rho": number(found.rho),
                    "interval": ends(found),
                    "rows": found.n_rows,
                    "posts": found.n_posts,
                    "reason": found.reason,
                }
            described.append({"value": key, "models": models})
        return described

    def _take(self, rows: Ints | None) -> tuple[Floats, Ints, int]:
        """The rows given with their posts coded anew, so that no other post counts as left out."""
        if rows is None:
            return self.ratings, self.posts, self.n_posts
        kept, posts = np.unique(self.posts[rows], return_inverse=True)
        return self.ratings[rows], posts, len(kept)

    def _describe_difference(self, name_a: str, a: Floats, name_b: str, b: Floats) -> dict[str, Any]:
        difference = bootstrap_difference(
            a, b, rng=make_rng(self.seed, RESAMPLING), n_resamples=N_RESAMPLES, level=CI_LEVEL
        )
        return {
            "of": name_a,
            "from": name_b,
            "rho": number(difference.estimate),
            "interval": ends(difference.interval),
            "posts": difference.interval.n_units,
        }


def _describe_importance(data: EvaluationData) -> dict[str, Any]:
    features = list(data.feature_names)
    if data.importances is None:
        return {"reason": "this fit did not keep how much each feature served it", "features": [], "rows": []}
    totals = data.importances.sum(axis=1)
    rows = [
        {"value": key, "shares": numbers(weights / total) if total > 0 else [None] * len(features)}
        for key, weights, total in zip(data.keys, data.importances, totals, strict=True)
    ]
    reason = "" if (totals > 0).any() else "no feature served the personalized model"
    return {"reason": reason, "features": features, "rows": rows}


def _describe_adjustment(data: EvaluationData) -> dict[str, Any]:
    consensus, personalized = data.predictions.get(data.consensus_name), data.predictions.get(PERSONALIZED)
    if consensus is None or personalized is None:
        nothing = [{"value": key, "delta": None, "se": None, "rows": 0} for key in data.keys]
        return {"by_value": nothing, "rank_correlation_with_human_crowd": None}
    posts = data.posts[data.test_rows]
    found = adjustment(consensus, personalized, posts)
    human = human_crowd_mae(data.ratings[data.test_rows], posts)
    return {
        "by_value": [
            {
                "value": key,
                "delta": number(found.mean_difference[place]),
                "se": number(found.standard_error[place]),
                "rows": int(found.n_rows[place]),
            }
            for place, key in enumerate(data.keys)
        ],
        "rank_correlation_with_human_crowd": number(rank_correlation(found.mean_difference, human.mae).rho),
    }


def _describe_weights(data: EvaluationData) -> dict[str, Any]:
    """How much each member counts in the blend, for raters with a history and for new ones."""
    reason = (
        "" if data.weights else "the personalized model of this fit is no blend, or the fit is an older one"
    )
    return {
        "reason": reason,
        "members": list(data.member_names) if data.weights else [],
        **{view: numbers(data.weights[view]) if view in data.weights else None for view in VIEWS},
    }


def list_could_see(notes: Sequence[str]) -> list[str]:
    """Return what the notes of a fit say of what the model could see; all of them where none is marked so.

    >>> list_could_see(["A note.", "What the model could see: ratings of 80 posts."])
    ['ratings of 80 posts.']
    """
    marked = [note.removeprefix(COULD_SEE) for note in notes if _SEEING.match(note)]
    return marked or list(notes)


def _find_best(models: Mapping[str, Any]) -> dict[str, Any]:
    conditions = {name: found for name, found in models["models"].items() if name != PERMUTED}
    if models["personalized"]:
        conditions[PERSONALIZED] = models["personalized"]
    defined = {name: found for name, found in conditions.items() if found["rho"] is not None}
    if not defined:
        return {"name": None, "rho": None, "interval": [None, None]}
    name = max(defined, key=lambda each: float(defined[each]["rho"]))
    return {"name": name, "rho": defined[name]["rho"], "interval": defined[name]["interval"]}


def _mean(per_post: Floats) -> float | None:
    present = per_post[~np.isnan(per_post)]
    return number(present.mean()) if len(present) else None


def _error_by_post(ratings: Floats, posts: Ints, predicted: Floats, n_posts: int) -> Floats:
    """Mean over a post's raters of the mean absolute error over values."""
    totals, counts = totals_by_post(np.abs(ratings - predicted), posts, n_posts)
    return mean_of(totals.sum(axis=1), counts.sum(axis=1))
