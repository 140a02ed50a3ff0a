"""PURE. Annotator models of a study side by side, beside the people: agreement, distance, cost, speed, failures.

Ready for JSON; a number that does not exist is None, with a reason beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.agreement import PostMeasure, human_consensus, human_human, human_model
from modeling.stats.crowd_error import CrowdError, human_crowd_mae, model_crowd_mae
from modeling.stats.resampling import Interval, bootstrap_means

from .correlation import correlate_with_draws, make_draws
from .counts import describe_table
from .data import CI_LEVEL, N_RESAMPLES, Floats, Ints, RatingTable
from .numbers import ends, number
from .people import RESAMPLING, make_rng

ProgressReport = Callable[[int, int, str], None]
Bools = NDArray[np.bool_]

LEAST_COMMON = 30  # posts that a model must leave in common to be compared with the others
LEAST_SHARE = 0.5  # of the posts of the model that read most: the limit where a study has few posts
NOTES = (
    "A model's rho is Spearman's rho between a rater's ratings of a post and the model's, averaged within the post, "
    "then over posts. One of a constant vector is undefined and left out; so is a post without any defined rho.",
    f"Intervals are 95 % percentile bootstraps over posts ({N_RESAMPLES:,} resamples, seeded); all measures of the "
    "same posts share the resamples, so that the interval of a difference is of paired posts.",
    "Distance is the mean absolute difference from the rounded mean of the post's raters; a person's is from the "
    "mean of the others, not rounded. The sign ± is a standard error over posts.",
    "The rho of one value is over all annotations of the posts compared. Its interval is a bootstrap over posts in "
    "which ranks are not taken anew.",
    "A post that a model was trained on is never one of those it is judged on.",
    "Cost is of every call that a run's readings rest on, repairs too, whether this run paid for it or an earlier "
    "one. Latency is of calls made one by one; a batch has none.",
)


@dataclass(frozen=True)
class Reader:
    """What is known of an annotator model and of the run that is compared, beside its ratings.

    Attributes
    ----------
    label, kind, model : what it is called, what it is, and what its provider calls it
    run : number of the run; `finished` is when it ended, as a text
    n_asked, n_read : posts that the run was about, and those of which it has ratings
    failures : kind of fault to the readings that ended so
    n_readings : readings with or without ratings
    cost : dollars of all its calls, None where that is not known, for `cost_reason`
    latency_reason : why there is no latency, if there is none
    """

    label: str
    kind: str
    model: str = ""
    is_standin: bool = False
    run: int | None = None
    finished: str = ""
    n_asked: int = 0
    n_read: int = 0
    n_readings: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    cost: float | None = None
    cost_reason: str = ""
    latency_reason: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparisonData(RatingTable):
    """What a comparison sees beyond the ratings: each model by its key.

    Attributes
    ----------
    readers : who the models are
    scores : ndarrays of shape (n_posts, n_values), in scale points; NaN where a model says nothing
    trained_on : ndarrays of bool, shape (n_posts,): posts whose ratings a model has seen
    latencies : ndarrays of the seconds that single calls took
    held_out : ndarray of bool, shape (n_posts,), the posts to judge on; None for all
    absent : names of models that cannot be compared, each with the reason

    Raises
    ------
    ValueError
        As for `RatingTable`, or if the mappings have different keys or their arrays other shapes.
    """

    readers: Mapping[str, Reader]
    scores: Mapping[str, Floats]
    trained_on: Mapping[str, Bools]
    latencies: Mapping[str, Floats]
    held_out: Bools | None = None
    absent: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        shapes: tuple[tuple[str, Mapping[str, NDArray[Any]], tuple[int, ...]], ...] = (
            ("scores", self.scores, (self.n_posts, len(self.values))),
            ("trained_on", self.trained_on, (self.n_posts,)),
        )
        for name in ("scores", "trained_on", "latencies"):
            if set(getattr(self, name)) != set(self.readers):
                raise ValueError(
                    f"{name} is about {sorted(getattr(self, name))}, readers about {sorted(self.readers)}: give each "
                    "model in all of them"
                )
        for name, arrays, shape in shapes:
            for key, array in arrays.items():
                if array.shape != shape:
                    raise ValueError(f"{name}['{key}'] has shape {array.shape}; it must be {shape}")
        if self.held_out is not None and self.held_out.shape != (self.n_posts,):
            raise ValueError(f"held_out has shape {self.held_out.shape}; it must be {(self.n_posts,)}")


@dataclass(frozen=True)
class CommonPosts:
    """The posts on which models are compared with one another, and the models that would leave too few."""

    posts: Bools
    limit: int
    apart: tuple[str, ...]


def choose_common_posts(usable: Mapping[str, Bools], among: Bools) -> CommonPosts:
    """Return the posts that all models can be judged on, leaving apart those that would make them too few.

    Parameters
    ----------
    usable : key of each model to an ndarray of bool, shape (n_posts,)
        Posts that it has read and was not trained on.
    among : ndarray of bool, shape (n_posts,)
        Posts that count at all.

    Returns
    -------
    CommonPosts
        Models join in the order of how many posts they bring, most first. One stands apart that would leave fewer
        than `limit` posts: `LEAST_COMMON`, or in a small study `LEAST_SHARE` of the posts of whom has most.

    Examples
    --------
    >>> most, few = np.array([True] * 8), np.array([True] * 3 + [False] * 5)
    >>> found = choose_common_posts({"few": few, "most": most}, most)
    >>> int(found.posts.sum()), found.limit, found.apart
    (8, 4, ('few',))
    """
    counts = {key: int(np.count_nonzero(posts & among)) for key, posts in usable.items()}
    limit = max(1, min(LEAST_COMMON, math.ceil(LEAST_SHARE * max(counts.values(), default=0))))
    common, apart = among, []
    for key in sorted(counts, key=lambda key: -counts[key]):
        narrowed = common & usable[key]
        if np.count_nonzero(narrowed) < limit:
            apart.append(key)
        else:
            common = narrowed
    return CommonPosts(common, limit, tuple(key for key in usable if key in apart))


def describe_comparison(
    data: ComparisonData, *, seed: int, report: ProgressReport = lambda done, total, note: None
) -> dict[str, Any]:
    """Compute everything that a comparison of annotator models says.

    Parameters
    ----------
    data : ComparisonData
    seed : int
        The same seed and data give the same comparison, but for `seconds`.
    report : callable
        Told (steps done, steps in all, what comes next).

    Returns
    -------
    dict
        Ready for JSON. `models` are in the order given; those apart are judged on posts of their own, with the
        people's agreement on the same posts beside them.
    """
    begun = time.monotonic()
    rated = np.bincount(data.posts, minlength=data.n_posts) > 0
    among = rated if data.held_out is None else rated & data.held_out
    read = {key: ~np.isnan(scores).all(axis=1) for key, scores in data.scores.items()}
    usable = {key: read[key] & ~data.trained_on[key] & among for key in data.readers}
    common = choose_common_posts(usable, among)
    together = [key for key in data.readers if key not in common.apart]
    n_steps = 1 + len(common.apart)
    report(0, n_steps, "models on the posts they have in common")
    shared = _judge(data, common.posts, together, seed=seed)
    judged = dict(shared["models"])
    for done, key in enumerate(common.apart, start=1):
        report(done, n_steps, "models on posts of their own")
        own = _judge(data, usable[key], [key], seed=seed)
        judged[key] = own["models"][key] | {name: own[name] for name in ("human_human", "human_consensus")}
    models = [
        {
            "key": key,
            "label": reader.label,
            "kind": reader.kind,
            "model": reader.model,
            "is_standin": reader.is_standin,
            "run": reader.run,
            "finished": reader.finished,
            "is_apart": key in common.apart,
            "n_usable": int(np.count_nonzero(usable[key])),
            "n_rated_read": int(np.count_nonzero(read[key] & among)),
            "n_trained_on": int(np.count_nonzero(data.trained_on[key] & among)),
            **judged[key],
            "work": _describe_work(reader, data.latencies[key]),
        }
        for key, reader in data.readers.items()
    ]
    described = {
        **describe_table(data),
        "holdout_only": data.held_out is not None,
        "common": {
            "n_posts": int(np.count_nonzero(common.posts)),
            "n_among": int(np.count_nonzero(among)),
            "n_annotations": int(np.count_nonzero(common.posts[data.posts])),
            "n_models": len(together),
            "limit": common.limit,
        },
        **{name: shared[name] for name in ("human_human", "human_consensus", "human_crowd", "best")},
        "models": models,
        "absent": [{"label": label, "reason": reason} for label, reason in data.absent],
        "n_standin": sum(reader.is_standin for reader in data.readers.values()),
        "notes": list(NOTES),
        "seed": seed,
        "n_resamples": N_RESAMPLES,
        "ci_level": CI_LEVEL,
        "seconds": time.monotonic() - begun,
    }
    report(n_steps, n_steps, "done")
    return described


def _judge(data: ComparisonData, kept: Bools, names: Sequence[str], *, seed: int) -> dict[str, Any]:
    """People and the models named on the posts that are kept, all intervals from the same resamples."""
    rows = kept[data.posts]
    ratings, posts = data.ratings[rows], (np.cumsum(kept) - 1)[data.posts[rows]]
    n_posts = int(np.count_nonzero(kept))
    scores = {name: data.scores[name][kept] for name in names}
    people = human_human(ratings, posts, n_posts)
    crowd = human_consensus(ratings, posts, n_posts)
    found = {name: human_model(ratings, posts, scores[name][posts], n_posts) for name in names}
    defined = {name: measure.rho for name, measure in found.items() if measure.n_posts}
    best = max(defined, key=lambda name: defined[name]) if defined else None
    columns = {"human_human": people.per_post, "human_consensus": crowd.per_post}
    for name, measure in found.items():
        columns[f"rho:{name}"] = measure.per_post
        columns[f"from_human:{name}"] = measure.per_post - people.per_post
        if best not in (None, name):
            columns[f"from_best:{name}"] = measure.per_post - found[best].per_post
    intervals = _bootstrap(columns, n_posts, seed=seed)
    described = {}
    for name, measure in found.items():
        described[name] = _describe(measure, intervals[f"rho:{name}"])
        for difference in ("from_human", "from_best"):
            column = f"{difference}:{name}"
            described[name][difference] = (
                _describe_difference(columns[column], intervals[column]) if column in columns else None
            )
        described[name] |= _describe_values(data.keys, ratings, posts, scores[name], seed=seed)
    errors = human_crowd_mae(ratings, posts, n_posts)
    return {
        "human_human": _describe(people, intervals["human_human"]),
        "human_consensus": _describe(crowd, intervals["human_consensus"]),
        "human_crowd": _describe_error(errors) | {"by_value": _list_errors(errors, data.keys)},
        "best": best,
        "models": described,
    }


def _bootstrap(columns: Mapping[str, Floats], n_posts: int, *, seed: int) -> dict[str, Interval]:
    if not n_posts:
        return {name: Interval(np.nan, np.nan, CI_LEVEL, 0, 0) for name in columns}
    intervals = bootstrap_means(
        np.stack(list(columns.values()), axis=1),
        rng=make_rng(seed, RESAMPLING),
        n_resamples=N_RESAMPLES,
        level=CI_LEVEL,
    )
    return dict(zip(columns, intervals, strict=True))


def _describe(measure: PostMeasure, interval: Interval) -> dict[str, Any]:
    n_compared = measure.n_defined + measure.n_undefined
    reason = ""
    if not measure.n_posts:
        reason = (
            "every comparison is with ratings that are all alike"
            if n_compared
            else "there is nothing to compare on these posts"
        )
    return {
        "rho": number(measure.rho),
        "interval": ends(interval),
        "posts": measure.n_posts,
        "posts_undefined": measure.n_posts_undefined,
        "undefined": measure.n_undefined,
        "compared": n_compared,
        "reason": reason,
    }


def _describe_difference(per_post: Floats, interval: Interval) -> dict[str, Any]:
    present = per_post[~np.isnan(per_post)]
    return {
        "rho": number(present.mean()) if len(present) else None,
        "interval": ends(interval),
        "posts": len(present),
    }


def _describe_values(
    keys: Sequence[str], ratings: Floats, posts: Ints, scores: Floats, *, seed: int
) -> dict[str, Any]:
    """A model's distance from the crowd and its rho, over all values and value by value."""
    if not len(scores):
        nothing = {
            "rho": None,
            "interval": [None, None],
            "rows": 0,
            "posts": 0,
            "reason": "no post to judge on",
        }
        error = {"mae": None, "se": None, "posts": 0}
        return {
            "error": error,
            "error_by_value": [{"value": key} | error for key in keys],
            "correlation_by_value": [{"value": key} | nothing for key in keys],
        }
    error_of_values = model_crowd_mae(ratings, posts, scores)
    draws = make_draws(lambda: make_rng(seed, RESAMPLING))
    correlations = []
    for place, key in enumerate(keys):
        found = correlate_with_draws(ratings[:, place], scores[posts, place], posts, draws)
        correlations.append(
            {
                "value": key,
                "rho": number(found.rho),
                "interval": ends(found) if math.isfinite(found.rho) else [None, None],
                "rows": found.n_rows,
                "posts": found.n_posts,
                "reason": found.reason,
            }
        )
    return {
        "error": _describe_error(error_of_values),
        "error_by_value": _list_errors(error_of_values, keys),
        "correlation_by_value": correlations,
    }


def _describe_error(error: CrowdError) -> dict[str, Any]:
    return {
        "mae": number(error.overall),
        "se": number(error.overall_standard_error),
        "posts": error.overall_n_posts,
    }


def _list_errors(error: CrowdError, keys: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "value": key,
            "mae": number(error.mae[place]),
            "se": number(error.standard_error[place]),
            "posts": int(error.n_posts[place]),
        }
        for place, key in enumerate(keys)
    ]


def _describe_work(reader: Reader, latencies: Floats) -> dict[str, Any]:
    """What the run took: how much of it there is, what failed, dollars and seconds."""
    n_asked = reader.n_asked
    timed = latencies[np.isfinite(latencies)]
    per_thousand = None if reader.cost is None or not n_asked else 1000 * reader.cost / n_asked
    median, p95 = np.quantile(timed, [0.5, 0.95]) if len(timed) else (np.nan, np.nan)
    return {
        "asked": n_asked,
        "read": reader.n_read,
        "coverage": reader.n_read / n_asked if n_asked else None,
        "readings": reader.n_readings,
        "failures": dict(sorted(reader.failures.items(), key=lambda item: (-item[1], item[0]))),
        "failed": sum(reader.failures.values()),
        "cost": number(reader.cost),
        "cost_per_thousand": number(per_thousand),
        "cost_reason": reader.cost_reason,
        "latency_median": number(median),
        "latency_p95": number(p95),
        "latency_calls": len(timed),
        "latency_reason": "" if len(timed) else reader.latency_reason or "no call was timed",
    }
