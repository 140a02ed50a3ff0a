"""How far raters order the values of a post alike: with each other, with the crowd, with a model.

Every measure is a mean of Spearman's rho within each post, then over posts. A rho that does not
exist is left out and counted; see docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.consensus import (
    Codes,
    Matrix,
    check_matrix,
    check_ratings,
    mean_of,
    mean_of_others,
    round_half_up,
    sum_by_post,
    totals_by_post,
)
from modeling.stats.spearman import centred_ranks, spearman_rows


@dataclass(frozen=True, eq=False)
class PostMeasure:
    """A mean rho per post, with what was left out.

    Attributes
    ----------
    per_post : ndarray of shape (n_posts in all,)
        Mean rho of each post; NaN where no rho of the post is defined.
    n_defined, n_undefined : int
        Comparisons (rater pairs, rows, or rows times draws) with and without a rho.
    """

    per_post: NDArray[np.float64]
    n_defined: int
    n_undefined: int

    @property
    def rho(self) -> float:
        """Mean over the posts that have a value, each weighing the same; NaN if there is none."""
        return float(np.nanmean(self.per_post)) if self.n_posts else float("nan")

    @property
    def n_posts(self) -> int:
        """Posts that entered `rho`."""
        return int(np.count_nonzero(~np.isnan(self.per_post)))

    @property
    def n_posts_undefined(self) -> int:
        """Posts left out of `rho`: no rho defined, or too few raters for a comparison."""
        return len(self.per_post) - self.n_posts


def human_human(ratings: ArrayLike, posts: ArrayLike, n_posts: int | None = None) -> PostMeasure:
    """Mean rho over all pairs of raters of a post.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, any scale; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1, in any order. A rater has at most one row per post.
    n_posts : int, optional
        Number of posts; the largest code plus one if not given.

    Returns
    -------
    PostMeasure
        From -1 to 1. The comparisons counted are pairs; a pair is undefined where either rater is
        constant over the values both were shown.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a rating is infinite.

    References
    ----------
    The mean over pairs comes from the sum of the raters' standardised ranks, as in Kendall and
    Babington Smith (1939), Annals of Mathematical Statistics 10(3), 275-287, without a loop over pairs.

    Examples
    --------
    >>> human_human([[0, 1, 2], [0, 2, 6], [2, 1, 0]], [0, 0, 0]).rho
    -0.3333333333333333
    """
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    n_rows = np.bincount(codes, minlength=n)
    n_pairs = int((n_rows * (n_rows - 1) // 2).sum())

    # Raters who were all shown the same values have ranks over the same values, so that the sum of
    # their unit vectors holds every pair: |sum z|^2 = n + 2 * (sum of rho over pairs).
    unit = centred_ranks(rows)
    length = np.sqrt(np.einsum("ij,ij->i", unit, unit))
    varies = length > 0
    unit[varies] /= length[varies, np.newaxis]
    n_varying = np.bincount(codes, weights=varies, minlength=n)
    sums = (np.square(sum_by_post(unit, codes, n)).sum(axis=1) - n_varying) / 2
    counts = n_varying * (n_varying - 1) / 2

    n_shown = sum_by_post(~np.isnan(rows), codes, n)
    differ = np.any((n_shown > 0) & (n_shown < n_rows[:, np.newaxis]), axis=1)
    if differ.any():
        chosen = differ[codes]
        pair_sums, pair_counts = _pair_by_pair(rows[chosen], codes[chosen], n)
        sums, counts = np.where(differ, pair_sums, sums), np.where(differ, pair_counts, counts)
    return _post_measure(sums, counts, n_pairs)


def human_consensus(ratings: ArrayLike, posts: ArrayLike, n_posts: int | None = None) -> PostMeasure:
    """Mean rho between a rater and the rounded consensus of the post's other raters.

    Parameters
    ----------
    ratings, posts, n_posts
        As for `human_human`.

    Returns
    -------
    PostMeasure
        From -1 to 1. The comparisons counted are rows; a row is undefined where the rater or the
        consensus is constant, or where the post has no other rater.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a rating is infinite.

    Examples
    --------
    >>> human_consensus([[0, 2, 4], [0, 2, 6], [2, 2, 2]], [0, 0, 0]).rho
    1.0
    """
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    consensus = round_half_up(mean_of_others(rows, codes, n))
    return _mean_by_post(spearman_rows(rows, consensus), codes, n)


def human_consensus_by_size(
    ratings: ArrayLike,
    posts: ArrayLike,
    sizes: Iterable[int],
    *,
    rng: np.random.Generator,
    n_draws: int = 10,
    n_posts: int | None = None,
) -> dict[int, PostMeasure]:
    """Mean rho between a rater and the rounded consensus of g other raters, for each group size g.

    In each draw the raters of a post are seated in a random circle, and a rater's g others are the
    next g: every set of g others is equally likely, and the group of size g lies within that of g + 1.

    Parameters
    ----------
    ratings, posts, n_posts
        As for `human_human`.
    sizes : iterable of int
        Group sizes g, each at least 1.
    rng : numpy.random.Generator
        The same state and row order give the same result.
    n_draws : int
        Draws per row.

    Returns
    -------
    dict of int to PostMeasure
        One per size, ascending. The comparisons counted are rows times draws, of posts that have at
        least g + 1 raters; a post with fewer is NaN at that size and none of its rows are counted.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating is infinite, or a size or `n_draws` is below 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> human_consensus_by_size([[0, 1, 2], [0, 2, 6]], [0, 0], [1], rng=rng)[1].rho
    1.0
    """
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    wanted = sorted({index(size) for size in sizes})
    if wanted and wanted[0] < 1:
        raise ValueError(f"sizes holds {wanted[0]}: a group has at least 1 rater")
    if n_draws < 1:
        raise ValueError(f"n_draws is {n_draws}: give at least 1")

    n_rows = np.bincount(codes, minlength=n)
    by_post = np.sort(codes)
    n_seats = n_rows[by_post]
    first_seat = (np.cumsum(n_rows) - n_rows)[by_post]
    seat = np.arange(len(codes)) - first_seat
    largest = min(max(wanted, default=0), int(n_rows.max(initial=1)) - 1)

    sums = {size: np.zeros(n) for size in wanted}
    counts = {size: np.zeros(n) for size in wanted}
    for _ in range(n_draws):
        own = rows[np.lexsort((rng.random(len(codes)), codes))]
        present = ~np.isnan(own)
        filled = np.where(present, own, 0.0)
        totals, n_shown = np.zeros(own.shape), np.zeros(own.shape)
        for size in range(1, largest + 1):
            neighbour = first_seat + (seat + size) % n_seats
            totals += filled[neighbour]
            n_shown += present[neighbour]
            if size in sums:
                enters = n_seats > size
                consensus = round_half_up(mean_of(totals[enters], n_shown[enters]))
                drawn_sums, drawn_counts = _sum_by_post(
                    spearman_rows(own[enters], consensus), by_post[enters], n
                )
                sums[size] += drawn_sums
                counts[size] += drawn_counts
    n_compared = {size: n_draws * int(n_rows[n_rows > size].sum()) for size in wanted}
    return {size: _post_measure(sums[size], counts[size], n_compared[size]) for size in wanted}


def human_model(
    ratings: ArrayLike, posts: ArrayLike, predictions: ArrayLike, n_posts: int | None = None
) -> PostMeasure:
    """Mean rho between a rater and what a model says for that row.

    Parameters
    ----------
    ratings, posts, n_posts
        As for `human_human`.
    predictions : array-like of shape (n_rows, n_values)
        One vector per row, so that a model may know the rater; a model that does not repeats its
        post's vector (``model[posts]``). NaN where the model says nothing.

    Returns
    -------
    PostMeasure
        From -1 to 1. The comparisons counted are rows; a row is undefined where rater or model is
        constant over the values both have.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a number is infinite.

    Examples
    --------
    >>> human_model([[0, 1, 2], [3, 1, 0]], [0, 1], [[0.1, 0.2, 0.9], [0.1, 0.2, 0.9]]).per_post
    array([ 1., -1.])
    """
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    predicted = check_matrix(predictions, "predictions")
    if predicted.shape != rows.shape:
        raise ValueError(
            f"predictions has shape {predicted.shape}, ratings {rows.shape}: give one prediction per rating"
        )
    return _mean_by_post(spearman_rows(rows, predicted), codes, n)


def _pair_by_pair(ratings: Matrix, posts: Codes, n_posts: int) -> tuple[Matrix, Matrix]:
    """Sum and count of the defined rhos of each post, every pair ranked over the values it shares."""
    order = np.argsort(posts, kind="stable")
    rows, codes = ratings[order], posts[order]
    sums, counts = np.zeros(n_posts), np.zeros(n_posts)
    for lag in range(1, int(np.bincount(codes).max())):
        first = np.flatnonzero(codes[lag:] == codes[:-lag])
        lag_sums, lag_counts = _sum_by_post(
            spearman_rows(rows[first], rows[first + lag]), codes[first], n_posts
        )
        sums += lag_sums
        counts += lag_counts
    return sums, counts


def _sum_by_post(rho: Matrix, posts: Codes, n_posts: int) -> tuple[Matrix, Matrix]:
    totals, counts = totals_by_post(rho[:, np.newaxis], posts, n_posts)
    return totals[:, 0], counts[:, 0]


def _mean_by_post(rho: Matrix, posts: Codes, n_posts: int) -> PostMeasure:
    sums, counts = _sum_by_post(rho, posts, n_posts)
    return _post_measure(sums, counts, len(rho))


def _post_measure(sums: Matrix, counts: Matrix, n_compared: int) -> PostMeasure:
    n_defined = int(counts.sum())
    per_post = np.clip(mean_of(sums, counts), -1.0, 1.0)  # a sum of many ones may pass 1 by float error
    return PostMeasure(per_post=per_post, n_defined=n_defined, n_undefined=n_compared - n_defined)
