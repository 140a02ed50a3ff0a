"""How far people order the values of a post alike, with intervals: each other, and groups of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeling.stats.agreement import PostMeasure, human_consensus, human_consensus_by_size, human_human
from modeling.stats.over_raters import bootstrap_over_raters
from modeling.stats.resampling import bootstrap_mean

from .data import CI_LEVEL, N_RESAMPLES, Floats, Ints, RatingTable
from .numbers import ends, number

GROUP_SIZES = (1, 2, 3, 4, 5, 6, 8, 12)
N_DRAWS = 10
LEAST_RESAMPLES, MOST_PAIRS_VISITED = 200, 2_000_000_000
DRAWING, RESAMPLING = 0, 1  # streams of the seed


def make_rng(seed: int, stream: int) -> np.random.Generator:
    """Return the generator of one stream of a seed; every interval resamples from the same one."""
    return np.random.default_rng([seed, stream])


def measure_people(
    ratings: Floats, posts: Ints, n_posts: int, *, seed: int
) -> tuple[PostMeasure, PostMeasure, dict[int, PostMeasure]]:
    """Return human-human, human-consensus, and human-consensus by group size."""
    by_size = human_consensus_by_size(
        ratings, posts, GROUP_SIZES, rng=make_rng(seed, DRAWING), n_draws=N_DRAWS, n_posts=n_posts
    )
    return human_human(ratings, posts, n_posts), human_consensus(ratings, posts, n_posts), by_size


def describe_people(
    pairs: PostMeasure, consensus: PostMeasure, by_size: dict[int, PostMeasure], *, seed: int
) -> dict[str, Any]:
    """Return the three human measures with intervals over posts; a size that no post has raters for is not listed."""
    return {
        "human_human": describe_measure(pairs, seed=seed),
        "human_consensus": describe_measure(consensus, seed=seed),
        "human_consensus_by_size": [
            {"size": size} | describe_measure(measure, seed=seed)
            for size, measure in by_size.items()
            if measure.n_posts
        ],
    }


def describe_over_raters(data: RatingTable, n_pairs: int, *, seed: int) -> dict[str, Any]:
    """Return the interval of human-human agreement had other raters taken part, and how many raters it rests on.

    Each resample visits all pairs, so that a study of very many pairs has fewer resamples.
    """
    found = bootstrap_over_raters(
        data.ratings,
        data.posts,
        data.raters,
        rng=make_rng(seed, RESAMPLING),
        n_resamples=max(LEAST_RESAMPLES, min(N_RESAMPLES, MOST_PAIRS_VISITED // max(n_pairs, 1))),
        level=CI_LEVEL,
        n_posts=data.n_posts,
    )
    return {
        "interval": ends(found),
        "raters": found.n_units,
        "left_out": found.n_units_left_out,
        "resamples": found.n_resamples,
    }


def describe_measure(measure: PostMeasure, *, seed: int) -> dict[str, Any]:
    """Return a mean rho with its interval over posts and what was left out."""
    return {
        "rho": number(measure.rho),
        "interval": interval_of_mean(measure.per_post, seed=seed),
        "posts": measure.n_posts,
        "posts_undefined": measure.n_posts_undefined,
        "undefined": measure.n_undefined,
        "compared": measure.n_defined + measure.n_undefined,
    }


def interval_of_mean(per_unit: Floats, *, seed: int) -> list[float | None]:
    """Return the ends of the bootstrap interval of a mean over posts or raters."""
    return ends(
        bootstrap_mean(per_unit, rng=make_rng(seed, RESAMPLING), n_resamples=N_RESAMPLES, level=CI_LEVEL)
    )
