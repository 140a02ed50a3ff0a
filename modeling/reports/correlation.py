"""Value by value: do the raters' ratings over all rows rank as the model's do?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import rankdata

from modeling.stats.consensus import mean_of, sum_by_post

from .data import CI_LEVEL, N_RESAMPLES, Floats, Ints

LEAST_ROWS = 3
N_SUMS = 6  # of 1, a, b, aa, bb and ab, from which a correlation follows


@dataclass(frozen=True)
class RowCorrelation:
    """Spearman's rho over rows, with its interval over posts; NaN where it does not exist, with the reason."""

    rho: float
    low: float
    high: float
    n_rows: int
    n_posts: int
    reason: str


def correlate_over_rows(
    ratings: Floats, predicted: Floats, posts: Ints, *, rng: np.random.Generator
) -> RowCorrelation:
    """Spearman's rho between one value's ratings and predictions over all rows.

    Parameters
    ----------
    ratings, predicted : ndarrays of shape (n_rows,)
        NaN where missing; a row enters when it has both.
    posts : ndarray of int, shape (n_rows,)
    rng : numpy.random.Generator
        The same state gives the same interval.

    Returns
    -------
    RowCorrelation
        The interval is a percentile bootstrap over posts. Ranks are those among all the rows and are not
        taken anew in a resample. NaN ends below two posts.

    References
    ----------
    Spearman (1904), American Journal of Psychology 15(1), 72-101; Efron (1979), Annals of Statistics 7(1), 1-26.
    """
    return correlate_with_draws(ratings, predicted, posts, lambda n_units: _draw(n_units, rng))


def make_draws(make_rng: Callable[[], np.random.Generator]) -> Callable[[int], Floats]:
    """Return how often each of n units is drawn in each resample, drawn once for each n from a fresh generator."""
    return cache(lambda n_units: _draw(n_units, make_rng()))


def correlate_with_draws(
    ratings: Floats, predicted: Floats, posts: Ints, draws: Callable[[int], Floats]
) -> RowCorrelation:
    """Do as `correlate_over_rows`, with resamples that many correlations share (`make_draws`)."""
    both = ~np.isnan(ratings) & ~np.isnan(predicted)
    x, y = ratings[both], predicted[both]
    codes, of_post = np.unique(posts[both], return_inverse=True)
    reason = say_no_order(x, y)
    if reason:
        return RowCorrelation(np.nan, np.nan, np.nan, len(x), len(codes), reason)
    sums = sum_ranks(x, y, of_post, len(codes))
    rho = float(correlate_sums(sums.sum(axis=0)))
    low = high = np.nan
    if len(codes) > 1:
        resampled = correlate_sums(draws(len(codes)) @ sums)
        resampled = resampled[~np.isnan(resampled)]  # a resample of one post's constant rows has none
        if len(resampled):
            low, high = np.quantile(resampled, [(1 - CI_LEVEL) / 2, (1 + CI_LEVEL) / 2])
    return RowCorrelation(rho, float(low), float(high), len(x), len(codes), "")


def say_no_order(x: Floats, y: Floats) -> str:
    """Return why the ranks of ratings and predictions, without gaps, have no correlation; '' where they have one."""
    if len(x) < LEAST_ROWS:
        return f"{len(x)} row(s) have both a rating and a prediction; at least {LEAST_ROWS} are needed"
    if x.max() == x.min():
        return "every rating is the same, so there is no order to compare"
    if y.max() == y.min():
        return "every prediction is the same, so there is no order to compare"
    return ""


def sum_ranks(x: Floats, y: Floats, units: Ints, n_units: int) -> Floats:
    """Return what each post or rater adds to the correlation of the ranks; shape (n_units, N_SUMS)."""
    ranks = np.stack([rankdata(x), rankdata(y)], axis=1) - (len(x) + 1) / 2
    a, b = (ranks / np.sqrt(np.mean(np.square(ranks), axis=0))).T
    return sum_by_post(np.stack([np.ones(len(a)), a, b, a * a, b * b, a * b], axis=1), units, n_units)


def correlate_sums(sums: Floats) -> Floats:
    """Correlation from the N_SUMS sums in the last axis; NaN where either side is constant."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    filled = np.maximum(n, 1)
    variance_a, variance_b = aa - a * a / filled, bb - b * b / filled
    spread = np.sqrt(np.maximum(variance_a, 0) * np.maximum(variance_b, 0))
    is_defined = spread > n * 1e-12
    return np.clip(mean_of(ab - a * b / filled, np.where(is_defined, spread, 0.0)), -1.0, 1.0)


def _draw(n_units: int, rng: np.random.Generator) -> Floats:
    return np.stack(
        [np.bincount(rng.integers(n_units, size=n_units), minlength=n_units) for _ in range(N_RESAMPLES)]
    ).astype(np.float64)
