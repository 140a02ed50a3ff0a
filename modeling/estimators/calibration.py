"""Answers to a calibration questionnaire where a study had none: ratings of posts that everyone rated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.derivation.eigenraters import select_cells

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


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
    chosen_by: NDArray[np.bool_],
) -> tuple[Floats, tuple[str, ...], str]:
    """Use the ratings of posts set aside for it: the cells (post, value) that the eigenrater rule selects.

    Parameters
    ----------
    raters, posts : ndarrays of shape (n_rows,), a dense design
    ratings : ndarray of shape (n_rows, n_values)
    calibration_posts : the posts set aside; they must neither be fitted to nor scored
    n_cells : at most this many cells, and no more than the axes along which the raters differ
    chosen_by : ndarray of bool, shape (n_raters,)
        The raters by whose ratings the cells are chosen.

    Returns
    -------
    answers : ndarray of shape (n_raters, n_chosen)
    names : of the cells
    source : one sentence: what the answers are

    Raises
    ------
    ValueError
        If all these raters gave the same ratings to the posts set aside.
    """
    n_raters, n_values = int(raters.max()) + 1, ratings.shape[1]
    cube = np.full((n_raters, len(calibration_posts), n_values), np.nan)
    place = {int(post): index for index, post in enumerate(calibration_posts)}
    for row in np.flatnonzero(np.isin(posts, calibration_posts)):
        cube[raters[row], place[int(posts[row])]] = ratings[row]
    responses = cube.reshape(n_raters, -1)
    chosen_from = responses[chosen_by]
    n_axes = int(np.linalg.matrix_rank(chosen_from - chosen_from.mean(axis=0)))
    if not n_axes:
        raise ValueError(
            f"all raters gave the same ratings to the {len(calibration_posts)} posts set aside as calibration, so "
            "nothing tells them apart; load more raters or posts"
        )
    cells = select_cells(chosen_from, min(n_cells, n_axes)).cells
    names = [f"post {calibration_posts[cell // n_values]}: {value_keys[cell % n_values]}" for cell in cells]
    return (
        responses[:, cells],
        tuple(names),
        f"the rater's own ratings of {len(calibration_posts)} posts set aside for it, {len(cells)} cells chosen by "
        "the eigenrater rule",
    )
