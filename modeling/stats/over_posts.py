"""Scores with intervals over posts for measures that are functions of sums over posts.

A resample draws whole posts, with all their values; a measure of it is the same function of the resampled sums.
"""

from __future__ import annotations

from math import isnan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.classification import Score
from modeling.stats.resampling import Interval

Floats = NDArray[np.float64]
# Below this many posts a percentile interval is mostly too narrow, so there is none.
FEWEST_POSTS = 5
# How many draws of posts are in memory at once.
BLOCK = 2_000_000


def resample_sums(columns: ArrayLike, *, rng: np.random.Generator, n_resamples: int) -> Floats:
    """Sum each column over as many posts as there are, drawn with replacement.

    Parameters
    ----------
    columns : array-like of shape (n_posts, n_columns)
        Finite numbers; 0 where a post adds nothing.
    rng : numpy.random.Generator
        The same state gives the same draws.
    n_resamples : int
        At least 1.

    Returns
    -------
    ndarray of shape (n_resamples, n_columns)
        All columns of a resample are over the same posts.

    Examples
    --------
    >>> resample_sums([[1.0, 2.0], [1.0, 2.0]], rng=np.random.default_rng(0), n_resamples=1)
    array([[2., 4.]])
    """
    given = np.ascontiguousarray(columns, dtype=np.float64)
    n_posts = len(given)
    sums: Floats = np.zeros((n_resamples, given.shape[1]))
    block = max(1, BLOCK // max(n_posts, 1))
    for start in range(0, n_resamples if n_posts else 0, block):
        n = min(block, n_resamples - start)
        drawn = rng.integers(n_posts, size=(n, n_posts)) + n_posts * np.arange(n)[:, np.newaxis]
        how_often = np.bincount(drawn.ravel(), minlength=n * n_posts).reshape(n, n_posts)
        sums[start : start + n] = how_often.astype(np.float64) @ given
    return sums


def divide(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Quotients, NaN where the denominator is not above 0.

    Examples
    --------
    >>> divide([1, 1], [2, 0])
    array([0.5, nan])
    """
    above, below = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    quotients: Floats = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotients, where=below > 0)
    return quotients


def mean_defined(numbers: ArrayLike) -> Floats:
    """Mean of each row over the numbers that exist; NaN where none does. A vector is one row.

    Examples
    --------
    >>> mean_defined([[1.0, float("nan"), 3.0]])
    array([2.])
    """
    given = np.asarray(numbers, dtype=np.float64)
    present = ~np.isnan(given)
    return divide(np.where(present, given, 0.0).sum(axis=-1), present.sum(axis=-1))


def make_score(
    estimate: float,
    resampled: Floats,
    *,
    level: float,
    n_posts: int,
    n_left_out: int = 0,
    reason: str = "",
) -> Score:
    """Join an estimate and its resamples to a score with a percentile interval.

    Parameters
    ----------
    estimate : float
        NaN where the measure does not exist; `reason` then says why.
    resampled : ndarray of shape (n_resamples,)
        NaN where a resample lacks the measure; such resamples are not in the interval's `n_resamples`.
    level : float
        Coverage aimed at, between 0 and 1.
    n_posts, n_left_out : int
        Posts that the measure rests on, and the others.
    reason : str
        Why there is no estimate.

    Returns
    -------
    Score
        The interval is NaN below five posts, and `reason` says so.

    Examples
    --------
    >>> make_score(0.5, np.array([0.4, 0.6]), level=0.95, n_posts=3).reason
    'no interval: it rests on 3 post(s), and an interval needs 5'
    """
    low = high = float("nan")
    present = resampled[~np.isnan(resampled)]
    if isnan(estimate):
        present = present[:0]
    elif n_posts < FEWEST_POSTS:
        present = present[:0]
        reason = f"no interval: it rests on {n_posts} post(s), and an interval needs {FEWEST_POSTS}"
    elif len(present):
        low, high = (float(end) for end in np.quantile(present, [(1 - level) / 2, (1 + level) / 2]))
    return Score(float(estimate), Interval(low, high, level, n_posts, len(present), n_left_out), reason)


def score_mean(
    per_post: ArrayLike, *, rng: np.random.Generator, n_resamples: int, level: float, reason: str
) -> Score:
    """Mean of one number per post, NaN where a post has none, with its interval.

    `reason` is for the case that no post has one.

    Examples
    --------
    >>> score_mean([1.0] * 5, rng=np.random.default_rng(0), n_resamples=9, level=0.9, reason="").interval.high
    1.0
    """
    column = np.asarray(per_post, dtype=np.float64)[:, np.newaxis]
    return score_means(column, rng=rng, n_resamples=n_resamples, level=level, reason=reason)[0]


def score_means(
    per_post: ArrayLike, *, rng: np.random.Generator, n_resamples: int, level: float, reason: str
) -> list[Score]:
    """Mean of each column over the posts that have it, with intervals from the same draws.

    `per_post` has shape (n_posts, n_columns), NaN where a post has no number.

    Examples
    --------
    >>> nan = float("nan")
    >>> found = score_means([[1.0, nan]] * 5, rng=np.random.default_rng(0), n_resamples=9, level=0.9, reason="none")
    >>> found[0].estimate, found[1].reason
    (1.0, 'none')
    """
    given = np.asarray(per_post, dtype=np.float64)
    n_columns = given.shape[1]
    present = ~np.isnan(given)
    columns = np.hstack([np.where(present, given, 0.0), present])[present.any(axis=1)]
    counts = present.sum(axis=0)
    means = divide(columns[:, :n_columns].sum(axis=0), counts)
    sums = resample_sums(columns, rng=rng, n_resamples=n_resamples)
    drawn = divide(sums[:, :n_columns], sums[:, n_columns:])
    return [
        make_score(
            float(means[k]),
            drawn[:, k],
            level=level,
            n_posts=int(counts[k]),
            n_left_out=len(given) - int(counts[k]),
            reason="" if counts[k] else reason,
        )
        for k in range(n_columns)
    ]
