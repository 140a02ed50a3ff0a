"""Value by value: do the raters' ratings over all rows rank as the model's do?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from modeling.stats.consensus import mean_of, sum_by_post

from .data import CI_LEVEL, N_RESAMPLES, Floats, Ints

LEAST_ROWS = 3


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
    both = ~np.isnan(ratings) & ~np.isnan(predicted)
    x, y = ratings[both], predicted[both]
    codes, of_post = np.unique(posts[both], return_inverse=True)

    def nothing(reason: str) -> RowCorrelation:
        return RowCorrelation(np.nan, np.nan, np.nan, len(x), len(codes), reason)

    if len(x) < LEAST_ROWS:
        return nothing(
            f"{len(x)} row(s) have both a rating and a prediction; at least {LEAST_ROWS} are needed"
        )
    if x.max() == x.min():
        return nothing("every rating is the same, so there is no order to compare")
    if y.max() == y.min():
        return nothing("every prediction is the same, so there is no order to compare")
    ranks = np.stack([rankdata(x), rankdata(y)], axis=1) - (len(x) + 1) / 2
    a, b = (ranks / np.sqrt(np.mean(np.square(ranks), axis=0))).T
    sums = sum_by_post(np.stack([np.ones(len(a)), a, b, a * a, b * b, a * b], axis=1), of_post, len(codes))
    rho = float(_pearson(sums.sum(axis=0, keepdims=True))[0])
    low = high = np.nan
    if len(codes) > 1:
        drawn = np.stack(
            [
                np.bincount(rng.integers(len(codes), size=len(codes)), minlength=len(codes)) @ sums
                for _ in range(N_RESAMPLES)
            ]
        )
        resampled = _pearson(drawn)
        resampled = resampled[~np.isnan(resampled)]  # a resample of one post's constant rows has none
        if len(resampled):
            low, high = np.quantile(resampled, [(1 - CI_LEVEL) / 2, (1 + CI_LEVEL) / 2])
    return RowCorrelation(rho, float(low), float(high), len(x), len(codes), "")


def _pearson(sums: Floats) -> Floats:
    """Correlation from the sums of 1, a, b, aa, bb and ab; NaN where either is constant."""
    n, a, b, aa, bb, ab = sums.T
    variance_a, variance_b = aa - a * a / n, bb - b * b / n
    spread = np.sqrt(np.maximum(variance_a, 0) * np.maximum(variance_b, 0))
    is_defined = spread > n * 1e-12
    return np.clip(mean_of(ab - a * b / n, np.where(is_defined, spread, 0.0)), -1.0, 1.0)
