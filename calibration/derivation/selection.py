"""What every way of choosing questions starts from and returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen cells, in the order in which they are asked.

    Attributes
    ----------
    cells : list of int
        Columns of the responses: post * n_values + value.
    criterion : ndarray of shape (n_chosen,)
        What each cell was chosen for, as it was when it was chosen.
    criterion_name : str
        What that number is.
    scree : ndarray of shape (n_axes,)
        Share of the total variance that lies along each eigenrater, from 0 to 1, descending; the same for all methods.
    captured : ndarray of shape (n_chosen,)
        Share of the total variance that lies in the span of the cells chosen so far, in the pre-study's own raters.
    """

    cells: list[int]
    criterion: Floats
    criterion_name: str
    scree: Floats
    captured: Floats

    @property
    def explained(self) -> Floats:
        """Share of the total variance along each of as many eigenraters as cells were chosen."""
        return self.scree[: len(self.cells)]

    @property
    def explained_in_all(self) -> float:
        """Share of the total variance along all those eigenraters together."""
        return float(self.explained.sum())


@dataclass(frozen=True, eq=False)
class Centred:
    """Responses as deviations of each cell from its mean over raters.

    Attributes
    ----------
    matrix : ndarray of shape (n_raters, n_cells)
    varies : ndarray of bool, shape (n_cells,), whether raters differ in the cell
    scree : ndarray of shape (n_axes,), shares of the variance along the eigenraters
    axes : ndarray of shape (n_axes, n_cells), the eigenraters' loadings
    """

    matrix: Floats
    varies: Bools
    scree: Floats
    axes: Floats

    def finish(self, cells: list[int], criterion: list[float], criterion_name: str) -> Selection:
        """Return the selection of these cells with all that is reported of one."""
        return Selection(
            cells, np.array(criterion), criterion_name, self.scree, measure_captured(self.matrix, cells)
        )


def check_responses(responses: ArrayLike) -> Floats:
    """Return dense responses of shape (n_raters, n_posts, n_values).

    Raises ValueError when they have another number of dimensions, are empty or have a gap: it says how many.
    """
    cube = np.asarray(responses, dtype=np.float64)
    if cube.ndim != 3 or 0 in cube.shape:
        raise ValueError(
            f"responses has shape {cube.shape}: give at least one rater, post and value, in this order"
        )
    gaps = ~np.isfinite(cube)
    if gaps.any():
        n_raters = int(gaps.any(axis=(1, 2)).sum())
        raise ValueError(
            f"{int(gaps.sum())} of {gaps.size} responses are missing, of {n_raters} of {len(cube)} raters: "
            "leave out the incomplete raters, or let them finish"
        )
    return cube


def centre(matrix: Floats, n_cells: int) -> Centred:
    """Centre responses of shape (n_raters, n_cells) over raters and find their eigenraters.

    Raises ValueError when the raters vary along fewer than `n_cells` axes (never more than n_raters - 1).
    """
    varies = matrix.max(axis=0) > matrix.min(axis=0)
    centred = np.where(varies, matrix - matrix.mean(axis=0), 0.0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    n_axes = int((lengths > lengths[0] * max(matrix.shape) * np.finfo(np.float64).eps).sum())
    if n_cells > n_axes:
        raise ValueError(
            f"n_cells is {n_cells}, but {matrix.shape[0]} rater(s) vary along {n_axes} axis/axes only: "
            "ask more raters or choose fewer cells"
        )
    variance = np.square(lengths[:n_axes])
    return Centred(centred, varies, variance / variance.sum(), axes[:n_axes])


def count_axes(matrix: Floats) -> int:
    """Return along how many axes the raters vary: the most cells that can be chosen."""
    return int(np.linalg.matrix_rank(matrix - matrix.mean(axis=0)))


def remove_column(matrix: Floats, column: int) -> Floats:
    """Return the part of each column that is orthogonal to one of them."""
    direction = matrix[:, column]
    length = direction @ direction
    if length == 0:
        return matrix
    return np.asarray(matrix - np.outer(direction, direction @ matrix / length))


def measure_captured(centred: Floats, cells: list[int]) -> Floats:
    """Share of the variance in the span of the first 1, 2, ... of these columns; shape (n_cells,)."""
    total = np.square(centred).sum()
    left, shares = centred, []
    for cell in cells:
        left = remove_column(left, cell)
        shares.append(1 - np.square(left).sum() / total)
    return np.array(shares)
