"""Bootstrap intervals over posts, or over raters where the rater is the unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Draws held in memory at once: 8 bytes each for the index and the value.
DRAWS_PER_CHUNK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval, with what it was made from.

    `n_units` entered; `n_units_left_out` had no value. `low` and `high` are NaN below two units.
    """

    low: float
    high: float
    level: float
    n_units: int
    n_resamples: int
    n_units_left_out: int = 0


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b over the units that have both (NaN if none), and its interval."""

    estimate: float
    interval: Interval


def bootstrap_mean(
    per_unit: ArrayLike, *, rng: np.random.Generator, n_resamples: int = 1000, level: float = 0.95
) -> Interval:
    """Percentile bootstrap interval of a mean over units.

    Parameters
    ----------
    per_unit : array-like of shape (n_units in all,)
        One number per post (or rater), such as `PostMeasure.per_post`; NaN where it does not exist.
    rng : numpy.random.Generator
        The same state gives the same interval.
    n_resamples : int
        Resamples of the units, drawn with replacement.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    Interval
        In the unit of `per_unit`. NaN ends below two units: one unit says nothing of their spread.

    Raises
    ------
    ValueError
        If `per_unit` is not one-dimensional or holds an infinite number, `n_resamples` is below 1, or
        `level` is not between 0 and 1.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26.

    Examples
    --------
    >>> bootstrap_mean([0.5, 0.5, float("nan")], rng=np.random.default_rng(0), n_resamples=10)
    Interval(low=0.5, high=0.5, level=0.95, n_units=2, n_resamples=10, n_units_left_out=1)
    """
    values = _as_vector(per_unit, "per_unit")
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}: give at least 1")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a share between 0 and 1, such as 0.95")
    present = values[~np.isnan(values)]
    n_units = len(present)
    low = high = float("nan")
    if n_units > 1:
        n_at_once = max(1, DRAWS_PER_CHUNK // n_units)
        means = np.concatenate(
            [
                present[rng.integers(n_units, size=(min(n_at_once, n_resamples - done), n_units))].mean(
                    axis=1
                )
                for done in range(0, n_resamples, n_at_once)
            ]
        )
        low, high = (float(end) for end in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(low, high, level, n_units, n_resamples, len(values) - n_units)


def bootstrap_difference(
    per_unit_a: ArrayLike,
    per_unit_b: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> PairedDifference:
    """Mean of a - b paired by unit, with its percentile bootstrap interval.

    Parameters
    ----------
    per_unit_a, per_unit_b : array-like of shape (n_units in all,)
        Two numbers of the same posts (or raters) in the same order; NaN where one does not exist. A
        unit enters when it has both.
    rng, n_resamples, level
        As for `bootstrap_mean`.

    Returns
    -------
    PairedDifference
        In the unit of the inputs.

    Raises
    ------
    ValueError
        If the two differ in length, or as for `bootstrap_mean`.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26.

    Examples
    --------
    >>> bootstrap_difference([3, 2, 9], [1, 0, float("nan")], rng=np.random.default_rng(0)).estimate
    2.0
    """
    a, b = _as_vector(per_unit_a, "per_unit_a"), _as_vector(per_unit_b, "per_unit_b")
    if a.shape != b.shape:
        raise ValueError(
            f"per_unit_a has {len(a)} unit(s), per_unit_b {len(b)}: give both for the same units in one order"
        )
    differences = a - b
    interval = bootstrap_mean(differences, rng=rng, n_resamples=n_resamples, level=level)
    estimate = float(np.nanmean(differences)) if interval.n_units else float("nan")
    return PairedDifference(estimate=estimate, interval=interval)


def _as_vector(per_unit: ArrayLike, name: str) -> NDArray[np.float64]:
    values = np.asarray(per_unit, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} has {values.ndim} dimension(s): give one number per unit")
    if np.isinf(values).any():
        raise ValueError(
            f"{name}[{int(np.isinf(values).argmax())}] is infinite: use NaN for a unit without a value"
        )
    return values
