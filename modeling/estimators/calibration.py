"""What is known of a rater before they meet a post: a row of numbers, whatever it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modeling.stats.eigenraters import select_cells

from .splitting import deal_folds

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class RaterFeatures:
    """The rater's part of the features of every row.

    Attributes
    ----------
    names : names of the columns
    per_row : ndarray of shape (n_rows, n_features), for the rows an estimator is fitted to or judged by
    per_rater : ndarray of shape (n_raters, n_features), for any other post
    source : one sentence: what the numbers are
    """

    names: tuple[str, ...]
    per_row: Floats
    per_rater: Floats
    source: str


def from_answers(answers: Floats, names: Sequence[str], raters: Ints) -> RaterFeatures:
    """Use the answers to a calibration questionnaire, shape (n_raters, n_questions); NaN where unanswered."""
    return RaterFeatures(
        tuple(names),
        answers[raters],
        answers,
        f"answers to a calibration questionnaire of {answers.shape[1]} questions",
    )


def is_dense(raters: Ints, posts: Ints, ratings: Floats) -> bool:
    """Whether every rater rated every value of every post."""
    n_raters, n_posts = len(np.unique(raters)), len(np.unique(posts))
    return len(raters) == n_raters * n_posts and not bool(np.isnan(ratings).any())


def from_dense_posts(
    raters: Ints,
    posts: Ints,
    ratings: Floats,
    calibration_posts: Ints,
    *,
    n_cells: int,
    value_keys: Sequence[str],
) -> RaterFeatures:
    """Use the ratings of posts set aside for it: the cells (post, value) that the eigenrater rule selects.

    Parameters
    ----------
    raters, posts : ndarrays of shape (n_rows,), a dense design
    ratings : ndarray of shape (n_rows, n_values)
    calibration_posts : the posts set aside; they must neither be fitted to nor scored
    n_cells : at most this many cells, and no more than the axes along which the raters differ

    Raises
    ------
    ValueError
        If all raters gave the same ratings to the posts set aside.
    """
    n_raters, n_values = int(raters.max()) + 1, ratings.shape[1]
    cube = np.full((n_raters, len(calibration_posts), n_values), np.nan)
    place = {int(post): index for index, post in enumerate(calibration_posts)}
    for row in np.flatnonzero(np.isin(posts, calibration_posts)):
        cube[raters[row], place[int(posts[row])]] = ratings[row]
    responses = cube.reshape(n_raters, -1)
    n_axes = int(np.linalg.matrix_rank(responses - responses.mean(axis=0)))
    if not n_axes:
        raise ValueError(
            f"all raters gave the same ratings to the {len(calibration_posts)} posts set aside as calibration, so "
            "nothing tells them apart; load more raters or posts"
        )
    cells = select_cells(responses, min(n_cells, n_axes)).cells
    names = [f"post {calibration_posts[cell // n_values]}: {value_keys[cell % n_values]}" for cell in cells]
    answers = responses[:, cells]
    return RaterFeatures(
        tuple(names),
        answers[raters],
        answers,
        f"the rater's own ratings of {len(calibration_posts)} posts set aside for it, {len(cells)} cells chosen by "
        "the eigenrater rule",
    )


def from_residuals(
    raters: Ints,
    posts: Ints,
    ratings: Floats,
    consensus: Floats,
    to_fit: NDArray[np.bool_],
    value_keys: Sequence[str],
    *,
    rng: np.random.Generator,
) -> RaterFeatures:
    """Use the rater's mean residual per value (rating minus consensus) on the posts to fit to.

    A row to fit to must not meet its own rating here. The posts are dealt into two halves, and a row is
    given the residuals of the half it does not lie in; rows of held-out posts are given those of both.

    Parameters
    ----------
    raters, posts : ndarrays of shape (n_rows,)
    ratings, consensus : ndarrays of shape (n_rows, n_values)
    to_fit : ndarray of bool, shape (n_posts,)
    """
    n_raters, n_values = int(raters.max()) + 1, ratings.shape[1]
    half = deal_folds(len(to_fit), 2, rng=rng)
    residuals = ratings - consensus
    known = to_fit[posts]

    def mean_per_rater(rows: NDArray[np.bool_]) -> Floats:
        totals, counts = np.zeros((n_raters, n_values)), np.zeros((n_raters, n_values))
        present = ~np.isnan(residuals[rows])
        np.add.at(totals, raters[rows], np.where(present, residuals[rows], 0.0))
        np.add.at(counts, raters[rows], present)
        with np.errstate(invalid="ignore"):
            return totals / counts

    of_half = [mean_per_rater(known & (half[posts] == side)) for side in (0, 1)]
    of_both = mean_per_rater(known)
    other_half = np.where((half[posts] == 0)[:, None], of_half[1][raters], of_half[0][raters])
    return RaterFeatures(
        tuple(f"mean residual: {key}" for key in value_keys),
        np.where(known[:, None], other_half, of_both[raters]),
        of_both,
        "the rater's mean residual per value on the posts to fit to (rows to fit to see only the half of the posts "
        "they do not lie in)",
    )
