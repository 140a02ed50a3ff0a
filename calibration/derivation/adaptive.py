"""A questionnaire that chooses the next question for this rater from the answers so far.

Under one Gaussian distribution of raters the best order is the same for everyone. Here a new rater may instead be like
some raters of the pre-study more than like others: each of those is a Gaussian component of its own, drawn in
towards the mean, and all have the same covariance, a share of the pre-study's. The mixture has the pre-study's mean and
covariance whatever that share is. With a share of 1 it is the one Gaussian; the smaller the share, the more it is a
choice among the raters of the pre-study. Answers weigh the components, so the next question depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .gaussian import condition, estimate_covariance

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Mixture:
    """What is believed of one rater's ratings.

    Attributes
    ----------
    means : ndarray of shape (n_components, n_cells), conditional on the answers so far
    covariance : ndarray of shape (n_cells, n_cells), conditional, within each component
    log_weights : ndarray of shape (n_components,), up to a constant
    answered : cells answered so far
    """

    means: Floats
    covariance: Floats
    log_weights: Floats
    answered: tuple[int, ...] = field(default=())

    @property
    def weights(self) -> Floats:
        """Posterior share of each component; shape (n_components,), sums to 1."""
        return softmax(self.log_weights)

    @property
    def forecast(self) -> Floats:
        """Expected rating of each cell; shape (n_cells,)."""
        return np.asarray(self.weights @ self.means)


def fit_mixture(responses: Floats, within: float, covariance: Floats | None = None) -> Mixture:
    """Return what is believed of a new rater before the first answer.

    Parameters
    ----------
    responses : ndarray of shape (n_raters, n_cells), without gaps
    within : float
        Share of the covariance that lies within a component, above 0 and at most 1.
    covariance : of the cells, if it was computed before

    Raises
    ------
    ValueError
        If `within` is out of range.
    """
    if not 0 < within <= 1:
        raise ValueError(f"within is {within}: it is a share above 0 and at most 1")
    mean = responses.mean(axis=0)
    if covariance is None:
        covariance = estimate_covariance(responses - mean)
    means = mean + np.sqrt(1 - within) * (responses - mean)
    return Mixture(means, within * covariance, np.zeros(len(responses)))


def learn(belief: Mixture, cell: int, answer: float) -> Mixture:
    """Return what is believed once this cell is answered."""
    column, variance = belief.covariance[:, cell], belief.covariance[cell, cell]
    surprise = answer - belief.means[:, cell]
    return Mixture(
        belief.means + np.outer(surprise, column / variance),
        condition(belief.covariance, cell),
        belief.log_weights - np.square(surprise) / (2 * variance),
        (*belief.answered, cell),
    )


def choose_next(belief: Mixture, askable: Bools, targets: Bools, scale: Iterable[float]) -> int:
    """Return the cell whose answer leaves the least expected squared error of the targets.

    Parameters
    ----------
    belief : Mixture
    askable, targets : ndarrays of bool, shape (n_cells,)
        Cells that may be asked about, and those that are to be forecast. A cell is never asked twice.
    scale : the answers that can be given

    Raises
    ------
    ValueError
        If no cell is left to ask about.
    """
    error = expect_errors(belief, targets, scale)
    error[~askable] = np.inf
    error[list(belief.answered)] = np.inf
    if not np.isfinite(error).any():
        raise ValueError("no cell is left to ask about")
    return int(error.argmin())


def expect_errors(belief: Mixture, targets: Bools, scale: Iterable[float]) -> Floats:
    """Expected sum of the targets' squared errors after one more answer, for each cell that it may be about."""
    answers = np.array(list(scale), dtype=np.float64)
    variance = np.maximum(np.diag(belief.covariance), 1e-12)
    slopes = (belief.covariance[:, targets] / variance[:, None]).T  # (n_targets, n_cells)
    means = belief.means - belief.forecast
    aims = means[:, targets]
    # Component i's forecast of target j after answer a to cell c is aims[i, j] + slopes[j, c] * (a - means[i, c]).
    # All a component contributes to the error is in its products with the others.
    products = aims @ aims.T
    sloped = aims @ slopes  # (n_components, n_cells)
    steepness = np.square(slopes).sum(axis=0)
    within = np.diag(belief.covariance)[targets].sum() - steepness * variance
    likelihood = -np.square(answers[:, None, None] - belief.means) / (
        2 * variance
    )  # (n_answers, n_comp., n_cells)
    joint = belief.log_weights[:, None] + likelihood
    top = joint.max(axis=(0, 1), keepdims=True)
    joint = np.exp(joint - top)
    of_answer = joint.sum(axis=1)  # (n_answers, n_cells)
    shares = of_answer / of_answer.sum(axis=0)
    weights = joint / np.maximum(of_answer[:, None, :], np.finfo(np.float64).tiny)
    between = np.zeros(len(variance))
    for share, weight in zip(shares, weights, strict=True):  # weight: (n_components, n_cells)
        spread = np.diag(products) @ weight - np.einsum("ic,ic->c", weight, products @ weight)
        centre = (weight * means).sum(axis=0)
        crossed = (weight * means * sloped).sum(axis=0) - centre * (weight * sloped).sum(axis=0)
        own = (weight * np.square(means)).sum(axis=0) - np.square(centre)
        between += share * (spread - 2 * crossed + steepness * own)
    return np.asarray(within + between)


def softmax(log_weights: Floats) -> Floats:
    """Weights that sum to 1, from their logarithms up to a constant."""
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
