"""The consensus, moved up or down as the rater's own level is: every rank within a post stays as it was.

Some people give higher ratings than others whatever the post. A rater's level is how far their mean rating of a post
lies from the mean consensus: a random effect, drawn towards what the calibration answers foretell as far as the rater
has few posts (Henderson 1975, Biometrics 31, 423-447). The consensus is moved by a share of its way to the top of the
scale, or to the bottom, so predictions stay on the scale and no two values become equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from modeling.estimators.data import LEVEL

from .base import Arrays, Floats, Ints, Rows, Singles

PENALTIES = np.logspace(-1, 5, 13)  # of standardized answers, in raters; the largest ignore them
LEAST_RATERS = 10  # to learn from what answers foretell
MOST = 0.95  # of the way to an end of the scale


class Level:
    """See the module."""

    name = LEVEL

    def fit(self, rows: Rows, *, history: bool, seed: int, n_threads: int = 1) -> FittedLevel:
        """See `Member.fit`; nothing here is drawn by chance."""
        with np.errstate(invalid="ignore"):
            present = ~np.isnan(rows.ratings - rows.consensus)
            counted = present.any(axis=1)
            residuals = _mean_of(rows.ratings - rows.consensus, present)[counted]
            consensus = _mean_of(rows.consensus, present)[counted]
        raters = rows.raters[counted]
        counts = np.bincount(raters, minlength=rows.n_raters)
        sums = np.bincount(raters, residuals, minlength=rows.n_raters)
        met = counts > 0
        means = np.divide(sums, counts, out=np.zeros(rows.n_raters), where=met)
        centre, spread = _standardize(rows.answers[met])
        intercept, slopes = _foretell(
            _as_standard(rows.answers, centre, spread)[met], means[met], counts[met]
        )
        middle = float(consensus.mean()) if len(consensus) else float(np.mean(rows.scale))
        fitted = FittedLevel(rows.scale, middle, intercept, slopes, centre, spread, None)
        if history:
            expected = fitted.foretell(rows.answers)
            noise, between = _split_variance(residuals, raters, means, counts, expected)
            trust = np.divide(
                between * counts, between * counts + noise, out=np.zeros(len(counts)), where=met
            )
            fitted.known = fitted.as_shares(expected + trust * (means - expected))
        return fitted


class FittedLevel:
    """What each rater's level is, or how it follows from answers.

    Attributes
    ----------
    middle : mean consensus of the rows fitted to
    intercept, slopes : of the level, in scale points, on standardized answers
    known : ndarray of shape (n_raters, 1) or None
        The share of the way to the top of the scale (above zero) or to the bottom (below).
    """

    def __init__(
        self,
        scale: tuple[int, int],
        middle: float,
        intercept: float,
        slopes: Floats,
        centre: Floats,
        spread: Floats,
        known: Floats | None,
    ) -> None:
        self.scale = scale
        self.middle = middle
        self.intercept = intercept
        self.slopes = slopes
        self.centre = centre
        self.spread = spread
        self.known = known

    def foretell(self, answers: Floats) -> Floats:
        """Return the levels that answers foretell, in scale points, shape (n,); a missing answer is the mean one."""
        foretold: Floats = self.intercept + _as_standard(answers, self.centre, self.spread) @ self.slopes
        return foretold

    def as_shares(self, levels: Floats) -> Floats:
        """Return levels in scale points as shares of the way to an end of the scale, shape (n, 1)."""
        low, high = self.scale
        room = np.where(levels > 0, high - self.middle, self.middle - low)
        shares: Floats = np.clip(levels / np.maximum(room, 1e-9), -MOST, MOST)[:, None]
        return shares

    def describe(self, answers: Floats) -> Floats:
        return self.as_shares(self.foretell(np.asarray(answers, dtype=np.float64)))

    def predict(self, consensus: Floats, vectors: Floats) -> Floats:
        low, high = self.scale
        up, down = np.maximum(vectors, 0), np.maximum(-vectors, 0)
        moved: Floats = consensus + up * (high - consensus) - down * (consensus - low)
        return moved

    def score_all(self, value: int, consensus: Floats, vectors: Floats, *, n_threads: int = 1) -> Singles:
        return self.predict(consensus[:, value][None], vectors).astype(np.float32)

    def pack(self) -> Arrays:
        arrays: Arrays = {
            "scale": np.array(self.scale),
            "line": np.array([self.middle, self.intercept]),
            "slopes": self.slopes,
            "centre": self.centre,
            "spread": self.spread,
        }
        return arrays if self.known is None else arrays | {"known": self.known}


def unpack(arrays: Mapping[str, NDArray[Any]]) -> FittedLevel:
    """Return what `pack` was called on. Raises ValueError when it is not that."""
    try:
        low, high = (int(end) for end in arrays["scale"])
        middle, intercept = (float(number) for number in arrays["line"])
        slopes, centre, spread = (arrays[name].astype(np.float64) for name in ("slopes", "centre", "spread"))
        known = arrays["known"].astype(np.float64) if "known" in arrays else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"these are no levels of raters ({error!r}); fit again") from error
    if not slopes.shape == centre.shape == spread.shape or slopes.ndim != 1 or not (spread > 0).all():
        raise ValueError("slopes, centre and spread must be one number for each question, spreads above zero")
    if known is not None and (known.ndim != 2 or known.shape[1] != 1 or not (np.abs(known) <= 1).all()):
        raise ValueError("the known levels must be one share for each rater, from -1 to 1")
    return FittedLevel((low, high), middle, intercept, slopes, centre, spread, known)


def _mean_of(table: Floats, present: NDArray[np.bool_]) -> Floats:
    means: Floats = np.where(present, table, 0.0).sum(axis=1) / present.sum(axis=1)
    return means


def _standardize(answers: Floats) -> tuple[Floats, Floats]:
    """Means and spreads of the answers; 0 and 1 where a question has no two different ones."""
    present = ~np.isnan(answers)
    counts = np.maximum(present.sum(axis=0), 1)
    centre = np.where(present, answers, 0.0).sum(axis=0) / counts
    spread = np.sqrt(np.where(present, np.square(answers - centre), 0.0).sum(axis=0) / counts)
    return centre, np.where(spread > 0, spread, 1.0)


def _as_standard(answers: Floats, centre: Floats, spread: Floats) -> Floats:
    standard: Floats = np.where(np.isnan(answers), 0.0, (answers - centre) / spread)
    return standard


def _foretell(answers: Floats, means: Floats, counts: Ints) -> tuple[float, Floats]:
    """Intercept and slopes of raters' mean residuals on answers; the penalty is chosen leaving each rater out."""
    n_questions = answers.shape[1]
    if not len(means):
        return 0.0, np.zeros(n_questions)
    if not n_questions or len(means) < LEAST_RATERS:
        return float(np.average(means, weights=counts)), np.zeros(n_questions)
    ridge = RidgeCV(alphas=PENALTIES * counts.mean()).fit(answers, means, sample_weight=counts)
    return float(ridge.intercept_), np.asarray(ridge.coef_, dtype=np.float64)


def _split_variance(
    residuals: Floats, raters: Ints, means: Floats, counts: Ints, expected: Floats
) -> tuple[float, float]:
    """Variance of posts within a rater, and of raters around what is expected of them (by moments)."""
    met = counts > 0
    n_within = len(residuals) - int(met.sum())
    if n_within < 1:
        return 1.0, 0.0  # one post each: nothing tells a rater's level from chance
    noise = float(np.square(residuals - means[raters]).sum() / n_within)
    between = float(np.average(np.square(means - expected)[met] - noise / counts[met], weights=counts[met]))
    return max(noise, 1e-12), max(between, 0.0)
