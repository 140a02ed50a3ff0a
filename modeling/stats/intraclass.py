"""Intraclass correlation: how much of the variance of ratings lies between posts rather than between raters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtri

from modeling.stats.consensus import Codes, Matrix, check_ratings

# A variance between posts this small beside that within them is 0 but for float error in the means.
CONSTANT_MEANS = 1e-24


@dataclass(frozen=True, eq=False)
class Intraclass:
    """ICC(1) and ICC(k) per value, with limits from the F distribution; arrays of shape (n_values,).

    Attributes
    ----------
    icc1, icc1_low, icc1_high : ndarray
        Reliability of a single rating. NaN where it does not exist.
    icc_k, icc_k_low, icc_k_high : ndarray
        Reliability of the mean of k = `raters_per_post` ratings. NaN also where all posts have the same
        mean, as nothing bounds it from below.
    raters_per_post : ndarray
        n0, the raters of a balanced design with the same expected mean squares: at most the arithmetic
        mean, and equal to it where all posts have the same number of ratings.
    n_posts, n_left_out : ndarray of int
        Posts with at least one rating of the value, and posts without. A post with one rating enters the
        variance between posts alone.
    n_ratings : ndarray of int
        Ratings that entered.
    ci_level : float
        Coverage aimed at by the limits: exact for normal ratings and equal numbers of raters per post,
        approximate otherwise.
    reasons : tuple of str
        Why `icc1`, or `icc_k` alone, has no number; "" where both have one.
    """

    icc1: NDArray[np.float64]
    icc1_low: NDArray[np.float64]
    icc1_high: NDArray[np.float64]
    icc_k: NDArray[np.float64]
    icc_k_low: NDArray[np.float64]
    icc_k_high: NDArray[np.float64]
    raters_per_post: NDArray[np.float64]
    n_posts: NDArray[np.int64]
    n_ratings: NDArray[np.int64]
    n_left_out: NDArray[np.int64]
    ci_level: float
    reasons: tuple[str, ...]


def intraclass(
    ratings: ArrayLike, posts: ArrayLike, *, n_posts: int | None = None, ci_level: float = 0.95
) -> Intraclass:
    """Intraclass correlations of the one-way random effects model, for any numbers of raters per post.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, in scale units; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1, in any order. A rater has at most one row per post.
    n_posts : int, optional
        Number of posts; the largest code plus one if not given.
    ci_level : float
        Coverage of the limits, between 0 and 1.

    Returns
    -------
    Intraclass
        At most 1. Below 0 where raters of one post differ more than ratings of different posts do.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating is infinite, or `ci_level` is not between 0 and 1.

    References
    ----------
    Shrout and Fleiss (1979), Psychological Bulletin 86(2), 420-428, case 1: ICC(1,1) and ICC(1,k) with
    their limits. Donner (1986), International Statistical Review 54(1), 67-82: n0 for unequal groups.

    Examples
    --------
    >>> reliability = intraclass([[1], [2], [5], [6]], [0, 0, 1, 1])
    >>> reliability.icc1.round(4), reliability.icc_k.round(4)
    (array([0.9394]), array([0.9688]))
    """
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    if not 0 < ci_level < 1:
        raise ValueError(f"ci_level is {ci_level}: give a share between 0 and 1, such as 0.95")
    n_values = rows.shape[1]
    # Columns: ICC(1) and its limits, ICC(k) and its limits, n0.
    figures = np.full((n_values, 7), np.nan)
    n_rated, n_ratings = np.zeros(n_values, dtype=np.int64), np.zeros(n_values, dtype=np.int64)
    reasons = []
    for value in range(n_values):
        present = ~np.isnan(rows[:, value])
        figures[value], n_rated[value], n_ratings[value], reason = _one_value(
            rows[present, value], codes[present], n, ci_level
        )
        reasons.append(reason)
    icc1, icc1_low, icc1_high, icc_k, icc_k_low, icc_k_high, n0 = np.ascontiguousarray(figures.T)
    return Intraclass(
        icc1=icc1,
        icc1_low=icc1_low,
        icc1_high=icc1_high,
        icc_k=icc_k,
        icc_k_low=icc_k_low,
        icc_k_high=icc_k_high,
        raters_per_post=n0,
        n_posts=n_rated,
        n_ratings=n_ratings,
        n_left_out=n - n_rated,
        ci_level=ci_level,
        reasons=tuple(reasons),
    )


def _one_value(given: Matrix, posts: Codes, n_posts: int, ci_level: float) -> tuple[Matrix, int, int, str]:
    """Return the seven figures of one value, its posts and ratings, and the reason for what is missing."""
    nothing = np.full(7, np.nan)
    per_post = np.bincount(posts, minlength=n_posts)
    n_rated, n_ratings = int(np.count_nonzero(per_post)), len(given)
    df_between, df_within = n_rated - 1, n_ratings - n_rated
    if df_within == 0:
        return nothing, n_rated, n_ratings, "no post has two ratings of this value"
    if df_between == 0:
        return nothing, n_rated, n_ratings, "only one post has ratings of this value"
    if (given == given[0]).all():
        return (
            nothing,
            n_rated,
            n_ratings,
            f"every rating is {given[0]:g}, so nothing can be disagreed about",
        )

    means = np.bincount(posts, weights=given, minlength=n_posts) / np.maximum(per_post, 1)
    between = float(per_post @ np.square(means - given.sum() / n_ratings)) / df_between
    within = float(np.square(given - means[posts]).sum()) / df_within
    n0 = (n_ratings - float(np.square(per_post).sum()) / n_ratings) / df_between

    # The limits put the F ratio at its quantiles; written without the ratio itself, they hold where all
    # raters of a post agree and `within` is 0.
    tail = (1 - ci_level) / 2
    quantiles = np.array([1.0, fdtri(df_between, df_within, 1 - tail), fdtri(df_between, df_within, tail)])
    noise = quantiles * within
    icc1 = (between - noise) / (between + (n0 - 1) * noise)
    if between <= CONSTANT_MEANS * within:
        reason = "all posts have the same mean, so ICC(k) has no lower bound"
        return np.concatenate([icc1, nothing[:3], [n0]]), n_rated, n_ratings, reason
    return np.concatenate([icc1, (between - noise) / between, [n0]]), n_rated, n_ratings, ""
