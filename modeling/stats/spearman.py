"""Spearman's rank correlation, many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats import kernels

# Up to this many values, counting who stands above whom is faster than sorting; beyond, sorting wins.
MAX_VALUES_COUNTED = 48
# Whole numbers over at most this many steps are ranked by counting how often each occurs in a row.
MAX_BINS = 64
# The code of a missing whole number.
MISSING = 255


@dataclass(frozen=True, eq=False)
class CodedRows:
    """A matrix as small whole numbers that have the order of the originals within every row.

    Attributes
    ----------
    codes : ndarray of unsigned int, shape (n_rows, n_values)
        From 0 to n_bins - 1; n_bins or more where the original is NaN.
    n_bins : int
        One more than the highest code possible.
    complete : bool
        Whether no original is NaN.
    origin : float or None
        What to add to a code to have the original; None where codes keep only the order within the row.
    """

    codes: NDArray[Any]
    n_bins: int
    complete: bool
    origin: float | None


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
    coded = code_rows(as_matrix(a, "a"))
    present = coded.codes < coded.n_bins
    n_present = present.sum(axis=1, keepdims=True)
    centred = kernels.centred_ranks(coded.codes, coded.n_bins)
    ranks: NDArray[np.float64] = np.where(present, (centred + n_present + 1) / 2, np.nan)
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
    coded = code_rows(as_matrix(a, "a"))
    ranks: NDArray[np.float64] = kernels.centred_ranks(coded.codes, coded.n_bins)
    return ranks


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
    left, right = as_matrix(a, "a"), as_matrix(b, "b")
    if left.shape != right.shape:
        raise ValueError(
            f"a has shape {left.shape} and b {right.shape}: rows are compared one to one, give both the same"
        )
    x, y = code_rows(left), code_rows(right)
    rho: NDArray[np.float64] = kernels.rho_of_rows(x.codes, x.n_bins, y.codes, y.n_bins)
    return rho


def as_matrix(a: ArrayLike, name: str) -> NDArray[Any]:
    """Return `a` as a two-dimensional array of numbers, not copied if it is an array of numbers already.

    Raises
    ------
    ValueError
        If `a` is not two-dimensional.
    """
    matrix = np.asarray(a)
    if matrix.dtype.kind not in "iu" and matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"{name} has {matrix.ndim} dimension(s): give an array of shape (n_rows, n_values)")
    return matrix


def code_rows(matrix: NDArray[Any]) -> CodedRows:
    """Code a matrix of any numbers, as `as_matrix` returns it; NaN is missing.

    Whole numbers within 64 steps, as ratings are, lose only their origin; of others the order within
    the row remains.
    """
    if matrix.dtype.kind in "iu":
        low, high = (int(matrix.min()), int(matrix.max())) if matrix.size else (0, 0)
        low = min(low, 0) if high < MAX_BINS else low
        if high - low < MAX_BINS:
            shifted = matrix - low if low else matrix
            codes = np.require(shifted, np.uint8, ["C", "W"])
            return CodedRows(codes, high - low + 1, complete=True, origin=float(low))
        matrix = matrix.astype(np.float64)

    matrix = np.ascontiguousarray(matrix)
    coded = _code_whole_numbers(matrix, 0.0)
    if coded is None:
        lowest = float(np.floor(np.fmin.reduce(matrix, axis=None, initial=np.inf)))
        coded = _code_whole_numbers(matrix, lowest)
    if coded is not None:
        return coded

    n_values = matrix.shape[1]
    codes = np.empty(matrix.shape, np.min_scalar_type(n_values))
    n_missing = kernels.code_by_order(matrix, n_values <= MAX_VALUES_COUNTED, codes)
    return CodedRows(codes, n_values, complete=not n_missing, origin=None)


def _code_whole_numbers(matrix: NDArray[Any], origin: float) -> CodedRows | None:
    codes = np.empty(matrix.shape, np.uint8)
    if not kernels.code_whole_numbers(matrix.reshape(-1), origin, codes.reshape(-1)):
        return None
    highest = int(codes.max(initial=0))
    complete = highest < MISSING
    if not complete:
        highest = int(codes.max(initial=0, where=codes < MISSING))
    if highest >= MAX_BINS:
        return None
    return CodedRows(codes, highest + 1, complete=complete, origin=origin)
