"""Choosing the questions whose answers are least alike: pivoted QR of the centred responses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .coverage import NO_CONSTRAINT, Coverage, Picker
from .selection import Selection, centre, check_responses, remove_column


def select_by_pivoting(responses: ArrayLike, n_cells: int, coverage: Coverage = NO_CONSTRAINT) -> Selection:
    """Take, again and again, the cell with the most variance that the cells taken before do not have in common.

    Parameters
    ----------
    responses : array-like of shape (n_raters, n_posts, n_values)
        Ratings without gaps, all on one scale.
    n_cells : int
        How many cells to choose.
    coverage : Coverage

    Returns
    -------
    Selection
        The criterion is the share of the total variance left in the cell when it was taken. Without constraints
        the cells are the pivots of a QR decomposition with column pivoting.

    Raises
    ------
    ValueError
        As `eigenraters.select_by_eigenraters`.

    References
    ----------
    Businger and Golub (1965), Numerische Mathematik 7, 269-276; as a subset selection: Golub and Van Loan,
    Matrix Computations, section 5.5.

    Examples
    --------
    >>> select_by_pivoting([[[0, 0], [3, 1]], [[6, 5], [3, 2]], [[0, 1], [3, 3]], [[6, 6], [3, 4]]], 2).cells
    [0, 3]
    """
    cube = check_responses(responses)
    data = centre(cube.reshape(len(cube), -1), n_cells)
    picker = Picker(data.varies.reshape(cube.shape[1:]), n_cells, coverage)
    total = np.square(data.matrix).sum()
    left, cells, shares = data.matrix, [], []
    for _ in range(n_cells):
        variance = np.square(left).sum(axis=0) / total
        cells.append(picker.take(variance))
        shares.append(float(variance[cells[-1]]))
        left = remove_column(left, cells[-1])
    return data.finish(cells, shares, "share of the variance that only this cell still has")
