"""PURE. Whether ratings show the circle of values: of experts, of people, of each annotator model, side by side.

Ready for JSON; a number that does not exist is None, with a reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeling.stats.circumplex import fit_circle, order_correlation, value_correlations
from modeling.stats.congruence import congruence_interval, congruence_test

from .data import Floats, Ints, ValueInfo
from .numbers import ends, number, numbers
from .people import RESAMPLING, make_rng

ProgressReport = Callable[[int, int, str], None]

N_PERMUTATIONS = 1000
N_RESAMPLES = 200
MOST_POSTS = 2000  # of one source: from there on a sample of the posts says as much


@dataclass(frozen=True, eq=False)
class Source:
    """Ratings of one kind: what experts, people or a model say of posts.

    Attributes
    ----------
    key, label : short name, and what it is called
    kind : "experts", "people" or "model"
    posts_are : which posts these are, in words
    ratings : ndarray of shape (n_rows, n_values); NaN where there is none
    posts : ndarray of int, shape (n_rows,), the post of each row
    is_standin : it comes from no real model
    """

    key: str
    label: str
    kind: str
    posts_are: str
    ratings: Floats
    posts: Ints
    is_standin: bool = False

    def __post_init__(self) -> None:
        if self.ratings.ndim != 2 or self.posts.shape != self.ratings.shape[:1]:
            raise ValueError(
                f"ratings of '{self.label}' have shape {self.ratings.shape}, posts {self.posts.shape}: give one row of "
                "ratings and one post for each row"
            )


def describe_structure(
    sources: Sequence[Source],
    values: Sequence[ValueInfo],
    *,
    seed: int,
    report: ProgressReport = lambda done, total, note: None,
) -> dict[str, Any]:
    """Place the values by what each source says, and measure how well that is the theory's circle.

    Parameters
    ----------
    sources : in the order of the page
    values : one per column of their ratings, in circumplex order
    seed : the same seed and data give the same numbers
    report : told (steps done, steps in all, what comes next)

    Returns
    -------
    dict
        Ready for JSON: `sources` with one entry for each.
    """
    described = []
    for done, source in enumerate(sources):
        report(done, len(sources), f"the circle of {source.label}")
        described.append(_describe(source, values, seed=seed))
    report(len(sources), len(sources), "done")
    return {
        "values": [
            {"key": each.key, "name": each.name, "label": each.label, "group": each.group} for each in values
        ],
        "sources": described,
        "seed": seed,
        "n_permutations": N_PERMUTATIONS,
        "n_resamples": N_RESAMPLES,
        "ci_level": 0.95,
    }


def _describe(source: Source, values: Sequence[ValueInfo], *, seed: int) -> dict[str, Any]:
    n_all = len(np.unique(source.posts))
    ratings, posts = _draw_posts(source, seed=seed)
    n_posts = len(np.unique(posts))
    found = value_correlations(ratings)
    fitted = fit_circle(found.correlations)
    tested = congruence_test(
        found.correlations, rng=make_rng(seed, RESAMPLING), n_permutations=N_PERMUTATIONS
    )
    order = order_correlation(
        found.correlations, rng=make_rng(seed, RESAMPLING), n_permutations=N_PERMUTATIONS
    )
    score = congruence_interval(ratings, posts, rng=make_rng(seed, RESAMPLING), n_resamples=N_RESAMPLES)
    return {
        "key": source.key,
        "label": source.label,
        "kind": source.kind,
        "posts_are": source.posts_are,
        "is_standin": source.is_standin,
        "n_rows": len(ratings),
        "n_posts": n_posts,
        "n_posts_drawn_from": n_all if n_all > n_posts else None,
        "n_values": fitted.n_values,
        "reason": fitted.reason if len(ratings) else "there are no ratings",
        "congruence": number(fitted.congruence),
        "interval": ends(score.interval),
        "interval_resamples": score.interval.n_resamples,
        "interval_reason": "" if fitted.reason else score.reason,
        "by_chance": number(tested.expected),
        "chance": ends(tested),
        "p": number(tested.p),
        "order_correlation": number(order.rho),
        "order_p": number(order.p),
        "stress": number(fitted.stress),
        "explained": number(fitted.explained),
        "mean_error": number(fitted.mean_error_deg),
        "points": [
            {
                "value": value.key,
                "x": number(fitted.points[place, 0]),
                "y": number(fitted.points[place, 1]),
                "angle": number(fitted.angles_deg[place]),
                "theory_angle": number(fitted.theory_deg[place]),
                "error": number(fitted.errors_deg[place]),
                "reason": found.reasons[place] or fitted.reasons[place],
            }
            for place, value in enumerate(values)
        ],
        "correlations": [numbers(row) for row in found.correlations],
    }


def _draw_posts(source: Source, *, seed: int) -> tuple[Floats, Ints]:
    """All rows, or those of `MOST_POSTS` posts drawn where there are more."""
    ids = np.unique(source.posts)
    if len(ids) <= MOST_POSTS:
        return source.ratings, source.posts
    drawn = make_rng(seed, RESAMPLING).choice(ids, MOST_POSTS, replace=False)
    kept = np.isin(source.posts, drawn)
    return source.ratings[kept], source.posts[kept]
