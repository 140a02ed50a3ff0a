"""How far a rater, or a model, lies from the crowd, in the units of the scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats import kernels
from modeling.stats.consensus import as_floats, check_matrix, code_ratings, mean_of, rounded_consensus


@dataclass(frozen=True, eq=False)
class CrowdError:
    """Mean absolute distance from the crowd, per value, in scale units.

    Attributes
    ----------
    per_post : ndarray of shape (n_posts in all, n_values)
        Error of each post; NaN where the post has none for the value.
    mae, standard_error : ndarray of shape (n_values,)
        Mean over posts, and its standard error (sd over posts with ddof 1, over sqrt(n)). NaN with
        no post, and the standard error also with one.
    n_posts : ndarray of int, shape (n_values,)
        Posts that entered; the others of `per_post` were left out.
    """

    per_post: NDArray[np.float64]
    mae: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    n_posts: NDArray[np.int64]

    @property
    def overall(self) -> float:
        """Mean of `mae` over the values that have one; NaN if none has."""
        return float(np.nanmean(self.mae)) if self.n_posts.any() else float("nan")

    @property
    def overall_standard_error(self) -> float:
        """Standard error, over posts, of each post's mean over its values; NaN below two posts."""
        by_post = _mean_present(self.per_post.T)
        return float(_standard_error(by_post[:, np.newaxis])[0])

    @property
    def overall_n_posts(self) -> int:
        """Posts with an error for at least one value."""
        return int((~np.isnan(self.per_post)).any(axis=1).sum())


def human_crowd_mae(ratings: ArrayLike, posts: ArrayLike, n_posts: int | None = None) -> CrowdError:
    """Distance of a rater from the unrounded mean of the post's other raters.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, in scale units; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1, in any order. A rater has at most one row per post.
    n_posts : int, optional
        Number of posts; the largest code plus one if not given.

    Returns
    -------
    CrowdError
        0 or more, in scale units; the mean over a post's raters, then over posts. A post with fewer
        than two raters of a value has no error for it.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a rating is infinite.

    Examples
    --------
    >>> human_crowd_mae([[0], [3], [6]], [0, 0, 0]).mae
    array([3.])
    """
    rows, codes, n = code_ratings(ratings, posts, n_posts)
    if rows.origin is not None:
        return _crowd_error(kernels.distance_from_others(rows.codes, rows.n_bins, codes, n))
    return _crowd_error(kernels.distance_from_others(as_floats(ratings), np.inf, codes, n))


def model_crowd_mae(ratings: ArrayLike, posts: ArrayLike, model: ArrayLike) -> CrowdError:
    """Distance of a model from the rounded consensus of a post's raters.

    Parameters
    ----------
    ratings, posts
        As for `human_crowd_mae`.
    model : array-like of shape (n_posts, n_values)
        The model's vector for each post, in scale units; NaN where it says nothing.

    Returns
    -------
    CrowdError
        0 or more, in scale units; mean over posts. A post without ratings or without a prediction of
        a value has no error for it.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a number is infinite.

    Examples
    --------
    >>> model_crowd_mae([[0], [3]], [0, 0], [[2.5]]).mae
    array([0.5])
    """
    predicted = check_matrix(model, "model")
    consensus = rounded_consensus(ratings, posts, len(predicted))
    if predicted.shape[1] != consensus.shape[1]:
        raise ValueError(
            f"model has {predicted.shape[1]} value(s), ratings {consensus.shape[1]}: give both the same values"
        )
    return _crowd_error(np.abs(predicted - consensus))


def _crowd_error(per_post: NDArray[np.float64]) -> CrowdError:
    return CrowdError(
        per_post=per_post,
        mae=_mean_present(per_post),
        standard_error=_standard_error(per_post),
        n_posts=(~np.isnan(per_post)).sum(axis=0).astype(np.int64),
    )


def _mean_present(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    present = ~np.isnan(columns)
    return mean_of(np.where(present, columns, 0.0).sum(axis=0), present.sum(axis=0).astype(np.float64))


def _standard_error(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    n = (~np.isnan(columns)).sum(axis=0)
    squares = np.nansum(np.square(columns - _mean_present(columns)), axis=0)
    variance = np.divide(squares, (n - 1) * n, out=np.full(n.shape, np.nan), where=n > 1)
    return np.asarray(np.sqrt(variance), dtype=np.float64)
