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

from modeling.stats import kernels
from modeling.stats.consensus import (
    Codes,
    Matrix,
    as_floats,
    code_matrix,
    code_ratings,
    mean_of,
    mean_of_others,
    round_half_up,
)
from modeling.stats.resampling import seed_from
from modeling.stats.spearman import spearman_rows


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
    rows, codes, n = code_ratings(ratings, posts, n_posts)
    n_rows = np.bincount(codes, minlength=n)
    sums, counts, differs = kernels.rho_of_pairs(rows.codes, rows.n_bins, rows.complete, codes, n)
    differing = np.flatnonzero(differs)
    if len(differing):
        order, starts = kernels.rows_by_post(codes, n)
        sums[differing], counts[differing] = kernels.rho_of_differing_pairs(
            rows.codes, rows.n_bins, order, starts, differing
        )
    return _post_measure(sums, counts, int((n_rows * (n_rows - 1) // 2).sum()))


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
    rows, codes, n = code_ratings(ratings, posts, n_posts)
    if rows.origin is not None:
        sums, counts = kernels.rho_with_consensus(rows.codes, rows.n_bins, codes, n)
        return _post_measure(sums, counts, len(codes))
    numbers = as_floats(ratings)
    return _mean_by_post(spearman_rows(numbers, round_half_up(mean_of_others(numbers, codes, n))), codes, n)


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
    rows, codes, n = code_ratings(ratings, posts, n_posts)
    wanted = np.array(sorted({index(size) for size in sizes}), dtype=np.int64)
    if len(wanted) and wanted[0] < 1:
        raise ValueError(f"sizes holds {wanted[0]}: a group has at least 1 rater")
    if n_draws < 1:
        raise ValueError(f"n_draws is {n_draws}: give at least 1")

    numbers = as_floats(ratings) if rows.origin is None else None
    order, starts = kernels.rows_by_post(codes, n)
    sums, counts = np.zeros((len(wanted), n)), np.zeros((len(wanted), n), dtype=np.int64)
    for _ in range(n_draws):
        seats = kernels.seat(order, starts, seed_from(rng))
        if numbers is None:
            kernels.rho_with_neighbours(
                rows.codes, rows.n_bins, rows.complete, seats, starts, wanted, sums, counts
            )
        else:
            _add_rho_with_neighbours(numbers[seats], starts, wanted, sums, counts)
    n_rows = np.diff(starts)
    return {
        int(size): _post_measure(sums[g], counts[g], n_draws * int(n_rows[n_rows > size].sum()))
        for g, size in enumerate(wanted)
    }


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
    rows, codes, n = code_ratings(ratings, posts, n_posts)
    said = code_matrix(predictions, "predictions")
    if said.codes.shape != rows.codes.shape:
        raise ValueError(
            f"predictions has shape {said.codes.shape}, ratings {rows.codes.shape}: "
            "give one prediction per rating"
        )
    return _mean_by_post(kernels.rho_of_rows(rows.codes, rows.n_bins, said.codes, said.n_bins), codes, n)


def _add_rho_with_neighbours(
    own: Matrix, starts: Codes, sizes: Codes, sums: Matrix, counts: NDArray[np.int64]
) -> None:
    """Do what `kernels.rho_with_neighbours` does, for numbers that codes cannot hold; `own` is by seat."""
    n_rows = np.diff(starts)
    by_post = np.repeat(np.arange(len(n_rows)), n_rows)
    n_seats, first_seat = n_rows[by_post], starts[by_post]
    seat = np.arange(len(own)) - first_seat
    present = ~np.isnan(own)
    filled = np.where(present, own, 0.0)
    totals, n_shown = np.zeros(own.shape), np.zeros(own.shape)
    largest = min(int(sizes.max(initial=0)), int(n_rows.max(initial=1)) - 1)
    for size in range(1, largest + 1):
        neighbour = first_seat + (seat + size) % n_seats
        totals += filled[neighbour]
        n_shown += present[neighbour]
        enters = n_seats > size
        for g in np.flatnonzero(sizes == size):
            consensus = round_half_up(mean_of(totals[enters], n_shown[enters]))
            rho_sums, rho_counts = _sum_by_post(
                spearman_rows(own[enters], consensus), by_post[enters], len(n_rows)
            )
            sums[g] += rho_sums
            counts[g] += rho_counts


def _sum_by_post(rho: Matrix, posts: Codes, n_posts: int) -> tuple[Matrix, NDArray[np.int64]]:
    defined = ~np.isnan(rho)
    sums = np.bincount(posts, weights=np.where(defined, rho, 0.0), minlength=n_posts)
    counts = np.bincount(posts[defined], minlength=n_posts)
    return sums.astype(np.float64), counts.astype(np.int64)


def _mean_by_post(rho: Matrix, posts: Codes, n_posts: int) -> PostMeasure:
    sums, counts = _sum_by_post(rho, posts, n_posts)
    return _post_measure(sums, counts, len(rho))


def _post_measure(sums: Matrix, counts: NDArray[np.int64], n_compared: int) -> PostMeasure:
    n_defined = int(counts.sum())
    per_post = np.clip(
        mean_of(sums, counts.astype(np.float64)), -1.0, 1.0
    )  # a sum of many ones may pass 1 by float error
    return PostMeasure(per_post=per_post, n_defined=n_defined, n_undefined=n_compared - n_defined)
