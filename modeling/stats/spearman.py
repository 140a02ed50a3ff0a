"""Spearman's rank correlation, many rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Up to this many values, counting who stands above whom is faster than sorting; beyond, sorting wins.
MAX_VALUES_COUNTED = 48


def rank_rows(a: ArrayLike) -> NDArray[np.float64]:
    """Rank the values of each row, from 1 for the smallest; ties share the mean of their ranks.

    Parameters
    ----------
    a : array-like of shape (n_rows, n_values)
        Any numbers; NaN where a value is missing.

    Returns
    -------
    ndarray of shape (n_rows, n_values)
        Ranks among the present values of the row; NaN where the value is missing.

    Raises
    ------
    ValueError
        If `a` is not two-dimensional.

    Examples
    --------
    >>> rank_rows([[10, 30, 30, float("nan")]])
    array([[1. , 2.5, 2.5, nan]])
    """
    matrix = _as_matrix(a, "a")
    present = ~np.isnan(matrix)
    n_present = present.sum(axis=1, keepdims=True)
    ranks: NDArray[np.float64] = np.where(present, (centred_ranks(matrix) + n_present + 1) / 2, np.nan)
    return ranks


def centred_ranks(a: ArrayLike) -> NDArray[np.float64]:
    """For each value, how many values of its row are smaller minus how many are larger.

    This is twice the average rank less its row mean: whole numbers, so that equal rows are
    exactly equal and a constant row is exactly zero.

    Parameters
    ----------
    a : array-like of shape (n_rows, n_values)
        Any numbers; NaN where a value is missing.

    Returns
    -------
    ndarray of shape (n_rows, n_values)
        From ``-(n_present - 1)`` to ``n_present - 1``, each row summing to 0; 0 where the value is missing.

    Raises
    ------
    ValueError
        If `a` is not two-dimensional.

    Examples
    --------
    >>> centred_ranks([[10, 30, 30, float("nan")]])
    array([[-2.,  1.,  1.,  0.]])
    """
    matrix = _as_matrix(a, "a")
    if matrix.shape[1] <= MAX_VALUES_COUNTED:
        return _centred_ranks_by_counting(matrix)
    return _centred_ranks_by_sorting(matrix)


def spearman_rows(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Spearman's rho between each row of `a` and the same row of `b`.

    Parameters
    ----------
    a, b : array-like of shape (n_rows, n_values)
        Any numbers; NaN where a value is missing. A value enters a row's rho when both sides have
        it; ranks are taken over those values alone.

    Returns
    -------
    ndarray of shape (n_rows,)
        From -1 to 1. NaN where fewer than two values are shared, or where either side is constant
        over the shared values.

    Raises
    ------
    ValueError
        If `a` or `b` is not two-dimensional, or their shapes differ.

    References
    ----------
    Spearman (1904), American Journal of Psychology 15(1), 72-101; ties by average ranks, that is
    Pearson's correlation of the ranks.

    Examples
    --------
    >>> spearman_rows([[1, 2, 3], [2, 2, 2]], [[3, 2, 1], [1, 2, 3]])
    array([-1., nan])
    """
    left, right = _as_matrix(a, "a"), _as_matrix(b, "b")
    if left.shape != right.shape:
        raise ValueError(
            f"a has shape {left.shape} and b {right.shape}: rows are compared one to one, give both the same"
        )
    missing = np.isnan(left) | np.isnan(right)
    if missing.any():
        left, right = np.where(missing, np.nan, left), np.where(missing, np.nan, right)
    x, y = centred_ranks(left), centred_ranks(right)
    covariance = np.einsum("ij,ij->i", x, y)
    # One root of the whole product: for equal rows it is exact, and rho exactly 1.
    spread = np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
    rho = np.divide(covariance, spread, out=np.full(len(x), np.nan), where=spread > 0)
    return np.asarray(np.clip(rho, -1.0, 1.0), dtype=np.float64)


def _as_matrix(a: ArrayLike, name: str) -> NDArray[np.float64]:
    matrix = np.asarray(a, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"{name} has {matrix.ndim} dimension(s): give an array of shape (n_rows, n_values)")
    return matrix


def _centred_ranks_by_counting(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    # One value per row of the work array: each comparison then runs over contiguous memory.
    columns = np.ascontiguousarray(matrix.T)
    counts = np.zeros(columns.shape, dtype=np.int8)
    for column in columns:
        # A comparison with NaN is false, so a missing value neither counts nor is counted.
        counts += columns > column
        counts -= columns < column
    return np.ascontiguousarray(counts.T, dtype=np.float64)


def _centred_ranks_by_sorting(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    n_values = matrix.shape[1]
    order = np.argsort(matrix, axis=1)  # NaN goes last
    ascending = np.take_along_axis(matrix, order, axis=1)
    place = np.arange(n_values)
    first_of_tie = np.ones(matrix.shape, dtype=bool)
    first_of_tie[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    last_of_tie = np.ones(matrix.shape, dtype=bool)
    last_of_tie[:, :-1] = first_of_tie[:, 1:]
    n_smaller = np.maximum.accumulate(np.where(first_of_tie, place, 0), axis=1)
    last_place = np.where(last_of_tie, place, n_values)[:, ::-1]
    end_of_tie = np.minimum.accumulate(last_place, axis=1)[:, ::-1]
    n_present = n_values - np.isnan(matrix).sum(axis=1, keepdims=True)
    n_larger = n_present - 1 - end_of_tie
    result = np.empty(matrix.shape)
    np.put_along_axis(result, order, (n_smaller - n_larger).astype(np.float64), axis=1)
    result[np.isnan(matrix)] = 0.0
    return result
