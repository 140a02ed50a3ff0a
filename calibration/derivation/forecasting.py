"""From the answers to a few questions to ratings of other cells: ridge regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# From hardly any shrinkage to hardly any use of the answers, for ratings on scales of about 5 to 10 points.
PENALTIES = np.logspace(-1, 4, 8)


def forecast(answers: Floats, ratings: Floats, new_answers: Floats) -> Floats:
    """Expected ratings of new raters, given their answers and what others answered and rated.

    The conditional mean of a Gaussian model whose covariance of the answers is shrunk towards a multiple of the
    identity. How much is chosen by the error in leaving out one of the others at a time, the same for all cells.

    Parameters
    ----------
    answers : ndarray of shape (n_raters, n_questions)
    ratings : ndarray of shape (n_raters, n_cells)
    new_answers : ndarray of shape (n_new, n_questions)

    Returns
    -------
    ndarray of shape (n_new, n_cells)
        In the unit of the ratings; not confined to their scale.

    References
    ----------
    Golub, Heath and Wahba (1979), Technometrics 21, 215-223, for leaving one out in closed form.

    Examples
    --------
    >>> answers = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> forecast(answers, 2 * answers, np.array([[1.5]])).round(3)
    array([[3.]])
    """
    centre, mean = answers.mean(axis=0), ratings.mean(axis=0)
    left, lengths, right = np.linalg.svd(answers - centre, full_matrices=False)
    projected = left.T @ (ratings - mean)
    squares = np.square(lengths)
    errors = []
    for penalty in PENALTIES:
        shrunk = squares / (squares + penalty)
        leverage = np.square(left) @ shrunk + 1 / len(answers)
        residuals = ratings - mean - left @ (shrunk[:, None] * projected)
        errors.append(np.square(residuals / np.maximum(1 - leverage, 1e-6)[:, None]).mean())
    penalty = PENALTIES[int(np.argmin(errors))]
    scores = (new_answers - centre) @ right.T
    return np.asarray(mean + (scores * (lengths / (squares + penalty))) @ projected)
