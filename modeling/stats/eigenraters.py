"""Choosing the questions that tell raters apart, from a dense pre-study.

An eigenrater is a principal axis of the matrix of (post, value) cells by raters, each cell centred
over raters. The cell that weighs most on an axis stands for it in the calibration questionnaire.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Loadings closer than this are a tie, settled by the earlier cell rather than by float error.
TIE_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Selection:
    """The chosen cells, in the order of their axes.

    Attributes
    ----------
    cells : list of int
        Columns of the responses, one per axis.
    explained : ndarray of shape (n_cells,)
        Share of the total variance that lies along each axis, from 0 to 1, descending.
    """

    cells: list[int]
    explained: NDArray[np.float64]

    @property
    def explained_in_all(self) -> float:
        """Share of the total variance along all the axes together."""
        return float(self.explained.sum())


def select_cells(responses: ArrayLike, n_cells: int) -> Selection:
    """For each of the first `n_cells` eigenraters, take the free cell with the largest absolute loading.

    Parameters
    ----------
    responses : array-like of shape (n_raters, n_cells_total)
        Every rater's rating of every (post, value) cell, without gaps, all on one scale.
    n_cells : int
        How many cells to choose.

    Returns
    -------
    Selection
        The same for the same responses; equal loadings go to the cell that stands first.

    Raises
    ------
    ValueError
        If `responses` is not two-dimensional or has a gap, `n_cells` is below 1, or the responses
        vary along fewer than `n_cells` axes (never more than n_raters - 1).

    Examples
    --------
    >>> select_cells([[0, 0, 3], [6, 1, 3], [0, 2, 3], [6, 3, 3]], 2).cells
    [0, 1]
    """
    matrix = np.asarray(responses, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(
            f"responses has shape {matrix.shape}: give at least one rater (rows) and cell (columns)"
        )
    gaps = ~np.isfinite(matrix)
    if gaps.any():
        rater, cell = (int(k) for k in np.argwhere(gaps)[0])
        raise ValueError(
            f"responses[{rater}, {cell}] is missing or infinite ({int(gaps.sum())} such in all): "
            "leave out the raters or cells that are incomplete"
        )
    if n_cells < 1:
        raise ValueError(f"n_cells is {n_cells}: choose at least 1")

    varies = matrix.max(axis=0) > matrix.min(axis=0)
    centred = np.where(varies, matrix - matrix.mean(axis=0), 0.0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    n_axes = int((lengths > lengths[0] * max(matrix.shape) * np.finfo(np.float64).eps).sum())
    if n_cells > n_axes:
        raise ValueError(
            f"n_cells is {n_cells}, but {matrix.shape[0]} rater(s) vary along {n_axes} axis/axes only: "
            "ask more raters or choose fewer cells"
        )

    free = varies.copy()
    cells: list[int] = []
    for axis in axes[:n_cells]:
        loadings = np.where(free, np.abs(axis), -1.0)
        cell = int((loadings >= loadings.max() - TIE_TOLERANCE).argmax())
        free[cell] = False
        cells.append(cell)
    variance = np.square(lengths)
    return Selection(cells=cells, explained=variance[:n_cells] / variance.sum())
