"""Choosing the questions that tell raters apart, from a dense pre-study, by its eigenraters.

An eigenrater is a principal axis of the matrix of (post, value) cells by raters, each cell centred
over raters. The cell that weighs most on an axis stands for it in the calibration questionnaire.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .coverage import NO_CONSTRAINT, Coverage, Picker
from .selection import Selection, centre, check_responses


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
    if matrix.ndim != 2:
        raise ValueError(
            f"responses has shape {matrix.shape}: give at least one rater (rows) and cell (columns)"
        )
    return select_by_eigenraters(matrix[:, None, :], n_cells)


def select_by_eigenraters(
    responses: ArrayLike, n_cells: int, coverage: Coverage = NO_CONSTRAINT
) -> Selection:
    """Do as `select_cells`, within coverage constraints, on responses of shape (n_raters, n_posts, n_values).

    Where the constraints forbid the cell with the largest loading, the next that they allow is taken.

    Raises ValueError as `select_cells`, and when the constraints cannot be met.
    """
    cube = check_responses(responses)
    data = centre(cube.reshape(len(cube), -1), n_cells)
    picker = Picker(data.varies.reshape(cube.shape[1:]), n_cells, coverage)
    cells, loadings = [], []
    for axis in np.abs(data.axes[:n_cells]):
        cells.append(picker.take(axis))
        loadings.append(float(axis[cells[-1]]))
    return data.finish(cells, loadings, "absolute loading on its eigenrater")
