"""Choosing the questions after which the other ratings are least in doubt, under a Gaussian model of raters.

A rater's ratings of all cells are one draw from a normal distribution, whose mean and covariance come from the
pre-study. A rating holds the rater's noise as well as their view; the noise lies in the cell's own variance, so a
noisy cell tells little of the others, however much it varies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import ledoit_wolf

from .coverage import NO_CONSTRAINT, Coverage, Picker
from .selection import Selection, centre, check_responses

Floats = NDArray[np.float64]


def select_by_expected_gain(
    responses: ArrayLike, n_cells: int, coverage: Coverage = NO_CONSTRAINT, *, retest_variance: float = 0.0
) -> Selection:
    """Take, again and again, the cell whose answer most lowers the expected squared error of the other posts' ratings.

    This is greedy A-optimal design: what is lowered is the sum of the conditional variances, given the cells taken
    before. Ratings of the cell's own post are no target, for what is wanted is a forecast on posts that are not asked
    about. Under a Gaussian model the gain does not depend on what is answered, so one order is best for everyone.

    Parameters
    ----------
    responses : array-like of shape (n_raters, n_posts, n_values)
        Ratings without gaps, all on one scale.
    n_cells : int
        How many cells to choose.
    coverage : Coverage
    retest_variance : float
        Variance that an answer in the questionnaire has beyond that of the same person's rating in the pre-study, in
        squared rating units: above 0 when the questionnaire is answered more hastily.

    Returns
    -------
    Selection
        The criterion is the expected fall of the mean squared error over all cells, in squared rating units.

    Raises
    ------
    ValueError
        As `eigenraters.select_by_eigenraters`, or if `retest_variance` is negative.

    References
    ----------
    Covariance: Ledoit and Wolf (2004), Journal of Multivariate Analysis 88, 365-411. Greedy choice of sensors in a
    Gaussian model: Krause, Singh and Guestrin (2008), Journal of Machine Learning Research 9, 235-284.
    """
    if retest_variance < 0:
        raise ValueError(f"retest_variance is {retest_variance}: a variance is 0 or more")
    cube = check_responses(responses)
    data = centre(cube.reshape(len(cube), -1), n_cells)
    picker = Picker(data.varies.reshape(cube.shape[1:]), n_cells, coverage)
    covariance = estimate_covariance(data.matrix)
    is_target = mark_other_posts(*cube.shape[1:])
    cells, gains = [], []
    for _ in range(n_cells):
        variance = np.diag(covariance) + retest_variance
        gain = (np.square(covariance) * is_target).sum(axis=1) / np.maximum(variance, 1e-12) / len(variance)
        cell = picker.take(gain)
        cells.append(cell)
        gains.append(float(gain[cell]))
        is_target[:, cell] = False
        covariance = condition(covariance, cell, retest_variance)
    return data.finish(cells, gains, "expected fall of the mean squared error")


def estimate_covariance(centred: Floats) -> Floats:
    """Covariance over raters of centred responses (n_raters, n_cells), shrunk by the rule of Ledoit and Wolf."""
    covariance, _ = ledoit_wolf(centred, assume_centered=True)
    return np.asarray(covariance)


def mark_other_posts(n_posts: int, n_values: int) -> NDArray[np.bool_]:
    """For each cell, which cells lie on other posts; all, when there is one post only. Square, bool."""
    posts = np.repeat(np.arange(n_posts), n_values)
    if n_posts == 1:
        return ~np.eye(n_values, dtype=np.bool_)
    return np.asarray(posts[:, None] != posts[None, :])


def condition(covariance: Floats, cell: int, retest_variance: float = 0.0) -> Floats:
    """Covariance of all cells once this one is answered."""
    column = covariance[:, cell]
    return np.asarray(covariance - np.outer(column, column) / max(column[cell] + retest_variance, 1e-12))
