"""Bootstrap intervals over posts, or over raters where the rater is the unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats import kernels


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval, with what it was made from.

    `n_units` entered; `n_units_left_out` had no value. `low` and `high` are NaN below two units.
    `n_resamples` counts the resamples that have a mean.
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
    check_resamples(n_resamples, level)
    present = values[~np.isnan(values)]
    means = np.empty(0)
    if len(present) > 1:
        means = kernels.resampled_means(present, n_resamples, seed_from(rng))
    return _interval(means, values, level, n_resamples)


def bootstrap_means(
    per_unit: ArrayLike, *, rng: np.random.Generator, n_resamples: int = 1000, level: float = 0.95
) -> list[Interval]:
    """Percentile bootstrap intervals of the means of several measures over the same units and draws.

    Parameters
    ----------
    per_unit : array-like of shape (n_units in all, n_measures)
        One row per post (or rater); NaN where a measure does not exist. Every unit is drawn, and the
        mean of a measure is over the drawn units that have it.
    rng, n_resamples, level
        As for `bootstrap_mean`.

    Returns
    -------
    list of Interval
        One per measure. A resample none of whose units has the measure gives no mean and is left out of
        that measure's `n_resamples`.

    Raises
    ------
    ValueError
        If `per_unit` is not two-dimensional or holds an infinite number, or as for `bootstrap_mean`.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26.

    Examples
    --------
    >>> narrow, none = bootstrap_means([[0.5, 1], [0.5, float("nan")]], rng=np.random.default_rng(0))
    >>> narrow.low, none.low, none.n_units
    (0.5, nan, 1)
    """
    values = np.ascontiguousarray(per_unit, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(
            f"per_unit has {values.ndim} dimension(s): give one row per unit, one column per measure"
        )
    if np.isinf(values).any():
        row, column = (int(k) for k in np.argwhere(np.isinf(values))[0])
        raise ValueError(f"per_unit[{row}, {column}] is infinite: use NaN for a unit without a value")
    check_resamples(n_resamples, level)
    has_any = ~np.isnan(values).all(axis=1)
    means = kernels.resampled_column_means(values[has_any], n_resamples, seed_from(rng))
    return [
        _interval(means[:, column], values[:, column], level, n_resamples)
        for column in range(values.shape[1])
    ]


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


def seed_from(rng: np.random.Generator) -> np.uint64:
    """Draw from `rng` the seed of a stream of random numbers for the compiled loops."""
    return rng.integers(2**64, dtype=np.uint64)


def check_resamples(n_resamples: int, level: float, name: str = "level") -> None:
    """Raise ValueError unless there is a resample to make and `level`, known as `name`, is a share."""
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}: give at least 1")
    if not 0 < level < 1:
        raise ValueError(f"{name} is {level}: give a share between 0 and 1, such as 0.95")


def _interval(
    means: NDArray[np.float64], values: NDArray[np.float64], level: float, n_resamples: int
) -> Interval:
    n_units = int(np.count_nonzero(~np.isnan(values)))
    low = high = float("nan")
    if n_units > 1:
        means = means[~np.isnan(means)]
        n_resamples = len(means)
        if n_resamples:
            low, high = (float(end) for end in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(low, high, level, n_units, n_resamples, len(values) - n_units)


def _as_vector(per_unit: ArrayLike, name: str) -> NDArray[np.float64]:
    values = np.asarray(per_unit, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} has {values.ndim} dimension(s): give one number per unit")
    if np.isinf(values).any():
        raise ValueError(
            f"{name}[{int(np.isinf(values).argmax())}] is infinite: use NaN for a unit without a value"
        )
    return values
