"""Distributions over the points of a rating scale: what they say, how well they are calibrated, what they know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from modeling.stats.classification import Score
from modeling.stats.over_posts import divide, make_score, resample_sums
from modeling.stats.resampling import Interval, check_resamples

Floats = NDArray[np.float64]
# How far from 1 the sum of a distribution may lie: stored ones are rounded to few decimals.
SUM_TOLERANCE = 0.01


class Summary(NamedTuple):
    """Mean and standard deviation in points of the scale, and entropy in bits; each (n_posts, n_values)."""

    means: Floats
    sds: Floats
    entropies: Floats


class Bin(NamedTuple):
    """Pairs of post and value whose probability lies from `low` up to `high`; the last bin holds its end.

    `observed` is the share of the `n` in which the value is expressed, with its interval over posts. Both means are
    NaN in an empty bin.
    """

    low: float
    high: float
    n: int
    mean_probability: float
    observed: float
    interval: Interval


@dataclass(frozen=True)
class Calibration:
    """Whether what is given a probability of p happens in a share p of cases.

    Attributes
    ----------
    ece : expected calibration error: mean over pairs of |observed - mean probability| of their bin. Its interval is
        that of the resamples, moved so that their mean is the estimate
    ece_by_chance : the ECE to be expected of these probabilities if they were right; an ECE near it shows no fault
    p : share of draws from probabilities that are right in which the ECE is as large; small where calibration fails
    brier : mean squared difference of probability and outcome
    bins : one entry for each bin
    n_cells, n_posts, n_left_out : pairs of post and value; posts with one; pairs without probability or outcome
    base_rate : share of the pairs in which the value is expressed
    """

    ece: Score
    ece_by_chance: float
    p: float
    brier: Score
    bins: tuple[Bin, ...]
    n_cells: int
    n_posts: int
    n_left_out: int
    base_rate: float


@dataclass(frozen=True)
class ErrorUncertainty:
    """Spearman's rho between error and stated uncertainty over pairs of post and value, interval over posts."""

    rho: Score
    n_cells: int
    n_posts: int
    n_left_out: int


def summarize(distributions: ArrayLike, points: ArrayLike) -> Summary:
    """Mean, standard deviation and entropy of distributions over a scale.

    Parameters
    ----------
    distributions : array-like of shape (n_posts, n_values, n_points)
        Probabilities that sum to 1; NaN in all points where there is no distribution.
    points : array-like of shape (n_points,)
        The scale's points, rising.

    Returns
    -------
    Summary
        NaN where there is no distribution. Entropy is from 0 (one point) to the logarithm to base 2 of `n_points`.

    Raises
    ------
    ValueError
        If a probability is below 0, a sum is not 1, a distribution has gaps, or the points do not rise.

    References
    ----------
    Shannon (1948), Bell System Technical Journal 27(3), 379-423.

    Examples
    --------
    >>> found = summarize([[[0.5, 0.0, 0.5]]], [0, 1, 2])
    >>> found.means.item(), found.sds.item(), found.entropies.item()
    (1.0, 1.0, 1.0)
    """
    given, scale = _read_distributions(distributions, points)
    means = given @ scale
    variances = given @ np.square(scale) - np.square(means)
    logs = np.log2(given, out=np.zeros_like(given), where=given > 0)
    return Summary(means, np.sqrt(np.maximum(variances, 0.0)), np.maximum(-(given * logs).sum(axis=2), 0.0))


def probability_at_least(distributions: ArrayLike, points: ArrayLike, threshold: float) -> Floats:
    """Probability that the rating is at least `threshold`; of shape (n_posts, n_values).

    Parameters
    ----------
    distributions, points
        As for `summarize`.
    threshold : float
        In points of the scale; beyond its ends the probability is 0 or 1.

    Raises
    ------
    ValueError
        As for `summarize`, or if `threshold` is not finite.

    Examples
    --------
    >>> probability_at_least([[[0.5, 0.25, 0.25]]], [0, 1, 2], 1)
    array([[0.5]])
    """
    if not np.isfinite(threshold):
        raise ValueError(f"threshold is {threshold}: give a rating from which on a value is present")
    given, scale = _read_distributions(distributions, points)
    gaps = np.isnan(given[:, :, 0])
    shares = given[:, :, scale >= threshold].sum(axis=2)
    return np.where(gaps, np.nan, np.clip(shares, 0.0, 1.0))


def calibration(
    probability: ArrayLike,
    presence: ArrayLike,
    *,
    n_bins: int = 10,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> Calibration:
    """Compare probabilities that a value is expressed with whether it is, in bins of equal width.

    Parameters
    ----------
    probability : array-like of shape (n_posts, n_values) or (n_posts,)
        From 0 to 1; NaN where there is none.
    presence : array-like of the same shape
        1 where the value is expressed, 0 where not, NaN where unknown.
    n_bins : int
        Bins of equal width from 0 to 1.
    rng : numpy.random.Generator
        The same state gives the same intervals.
    n_resamples : int
        Resamples of the posts, and as many draws of outcomes of probabilities that are right.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    Calibration
        Intervals are over posts, whose values stay together; none below five posts. The draws of right
        probabilities take each bin as if all of it had its mean probability, and pairs as independent.

    Raises
    ------
    ValueError
        If shapes differ, a number is outside its range, or `n_bins` is below 1.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), AAAI, 2901-2907; Broecker and Smith (2007), Weather and Forecasting 22(3),
    651-661 (what chance alone does to a reliability curve); Brier (1950), Monthly Weather Review 78(1), 1-3.

    Examples
    --------
    >>> found = calibration([0.9] * 10, [1] * 5 + [0] * 5, rng=np.random.default_rng(0))
    >>> round(found.ece.estimate, 6), round(found.brier.estimate, 6), found.bins[9].n
    (0.4, 0.41, 10)
    """
    check_resamples(n_resamples, level)
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}: give at least 1")
    p, y = read_outcomes(probability, presence)
    both = ~np.isnan(p) & ~np.isnan(y)
    posts, _ = np.nonzero(both)
    chance, outcome = p[both], y[both]
    n_all, n_cells = len(p), len(chance)
    bins = np.minimum((chance * n_bins).astype(np.int64), n_bins - 1)
    place = posts * n_bins + bins
    weights = (None, chance, outcome)
    columns = [
        np.bincount(place, weight, minlength=n_all * n_bins).reshape(n_all, n_bins) for weight in weights
    ]
    squares = np.bincount(posts, np.square(chance - outcome), minlength=n_all)[:, np.newaxis]
    sums = np.hstack([*columns, squares])[both.any(axis=1)]
    n_posts = len(sums)
    totals = sums.sum(axis=0)
    n, probabilities, outcomes = totals[:-1].reshape(3, n_bins)
    drawn = resample_sums(sums, rng=rng, n_resamples=n_resamples)
    drawn_bins = drawn[:, :-1].reshape(-1, 3, n_bins)
    shares = divide(drawn_bins[:, 2], drawn_bins[:, 0])

    edges = np.linspace(0, 1, n_bins + 1)
    n_posts_in = (sums[:, :n_bins] > 0).sum(axis=0)
    observed, mean_p = divide(outcomes, n), divide(probabilities, n)
    rows = []
    for k in range(n_bins):
        share = make_score(float(observed[k]), shares[:, k], level=level, n_posts=int(n_posts_in[k]))
        rows.append(
            Bin(
                float(edges[k]),
                float(edges[k + 1]),
                int(n[k]),
                float(mean_p[k]),
                float(observed[k]),
                share.interval,
            )
        )
    none = "" if n_cells else "no pair of post and value has a probability and an outcome"
    estimate = float(_ece(totals[:-1].reshape(1, 3, n_bins))[0])
    resampled = _ece(drawn_bins)
    # The ECE of a resample carries the chance of two samples, its own and the first: without the shift the interval
    # would mostly lie above the estimate.
    if n_cells:
        resampled = np.maximum(resampled - resampled.mean() + estimate, 0.0)
    by_chance = np.full((n_resamples, 3, n_bins), np.nan)
    by_chance[:, 0], by_chance[:, 1] = n, probabilities
    by_chance[:, 2] = rng.binomial(
        n.astype(np.int64), np.clip(np.nan_to_num(mean_p), 0, 1), (n_resamples, n_bins)
    )
    expected = _ece(by_chance)
    as_large = int((expected >= estimate - 1e-12).sum())

    def score(number: float, draws: Floats) -> Score:
        return make_score(
            number, draws, level=level, n_posts=n_posts, n_left_out=n_all - n_posts, reason=none
        )

    brier = float(totals[-1] / n_cells) if n_cells else float("nan")
    return Calibration(
        ece=score(estimate, resampled),
        ece_by_chance=float(expected.mean()) if n_cells else float("nan"),
        p=(1 + as_large) / (1 + n_resamples) if n_cells else float("nan"),
        brier=score(brier, divide(drawn[:, -1], drawn_bins[:, 0].sum(axis=1))),
        bins=tuple(rows),
        n_cells=n_cells,
        n_posts=n_posts,
        n_left_out=p.size - n_cells,
        base_rate=float(outcome.mean()) if n_cells else float("nan"),
    )


def ranked_probability_score(
    distributions: ArrayLike, truth: ArrayLike, points: ArrayLike | None = None
) -> Floats:
    """How far each distribution is from the truth, as squared distances of cumulative probabilities.

    Parameters
    ----------
    distributions : array-like of shape (n_posts, n_values, n_points)
        As for `summarize`.
    truth : array-like of shape (n_posts, n_values) or (n_posts, n_values, n_points)
        Ratings, each a point of the scale, or distributions; NaN where there is none.
    points : array-like of shape (n_points,), optional
        The scale's points, rising; 0, 1, 2, ... if not given.

    Returns
    -------
    ndarray of shape (n_posts, n_values)
        From 0 (the same) to 1 (all on one end, truth on the other); NaN where one of the two is missing. Steps of
        the scale weigh by their width. Of two distributions it is the squared distance, not an expected score.

    Raises
    ------
    ValueError
        As for `summarize`, if shapes do not fit or a rating is no point of the scale.

    References
    ----------
    Epstein (1969), Journal of Applied Meteorology 8(6), 985-987; Murphy (1971), Journal of Applied Meteorology
    10(1), 155-156.

    Examples
    --------
    >>> ranked_probability_score([[[0.5, 0.5, 0.0]]], [[1]])
    array([[0.125]])
    """
    n_points = np.shape(distributions)[-1] if np.ndim(distributions) else 0
    given, scale = _read_distributions(distributions, np.arange(n_points) if points is None else points)
    if len(scale) < 2:
        raise ValueError("points has 1 entry: a scale has at least two")
    true = np.asarray(truth, dtype=np.float64)
    if true.shape == given.shape[:2]:
        reached = (scale >= true[:, :, np.newaxis]).astype(np.float64)
        is_point = (scale == true[:, :, np.newaxis]).any(axis=2)
        if (~is_point & ~np.isnan(true)).any():
            raise ValueError(
                f"truth holds {true[~is_point & ~np.isnan(true)][0]:g}: give points of the scale"
            )
        reached[np.isnan(true)] = np.nan
    elif true.shape == given.shape:
        reached = np.cumsum(_read_distributions(true, scale, "truth")[0], axis=2)
    else:
        raise ValueError(
            f"truth has shape {true.shape}, distributions {given.shape}: give ratings or distributions of "
            "the same posts"
        )
    steps = np.diff(scale) / (scale[-1] - scale[0])
    distances = np.square(np.cumsum(given, axis=2) - reached)[:, :, :-1]
    scores: Floats = distances @ steps
    return scores


def error_uncertainty(
    errors: ArrayLike,
    uncertainties: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> ErrorUncertainty:
    """Say whether a model errs more where it says that it is unsure.

    Parameters
    ----------
    errors : array-like of shape (n_posts, n_values) or (n_posts,)
        Such as absolute errors of the mean rating; NaN where there is none.
    uncertainties : array-like of the same shape
        Such as standard deviations or entropies.
    rng, n_resamples, level
        As for `calibration`.

    Returns
    -------
    ErrorUncertainty
        Over all pairs of post and value at once. In the interval posts are drawn with all their values, and ranks
        stay those among all pairs. NaN below three pairs, or where one side is constant.

    Raises
    ------
    ValueError
        If shapes differ or a number is infinite.

    References
    ----------
    Spearman (1904), American Journal of Psychology 15(1), 72-101.

    Examples
    --------
    >>> error_uncertainty([0.0, 1.0, 2.0], [0.1, 0.2, 0.5], rng=np.random.default_rng(0)).rho.estimate
    1.0
    """
    check_resamples(n_resamples, level)
    x, y = _read_pair(errors, uncertainties, "errors", "uncertainties")
    both = ~np.isnan(x) & ~np.isnan(y)
    posts, _ = np.nonzero(both)
    ranks = np.vstack([rankdata(x[both]), rankdata(y[both])])
    n_cells = ranks.shape[1]
    a, b = (ranks - (n_cells + 1) / 2) / max(n_cells, 1)
    reason = ""
    if n_cells < 3:
        reason = f"{n_cells} pair(s) of post and value have both; an order needs three"
    elif not a.any():
        reason = "all errors are the same"
    elif not b.any():
        reason = "all uncertainties are the same"
    parts = (None, a, b, a * a, b * b, a * b)
    sums = np.column_stack([np.bincount(posts, part, minlength=len(x)) for part in parts])[both.any(axis=1)]
    drawn = resample_sums(sums, rng=rng, n_resamples=n_resamples)
    rho = float("nan") if reason else float(_correlate(sums.sum(axis=0)[np.newaxis])[0])
    score = make_score(
        rho, _correlate(drawn), level=level, n_posts=len(sums), n_left_out=len(x) - len(sums), reason=reason
    )
    return ErrorUncertainty(score, n_cells, len(sums), x.size - n_cells)


def read_outcomes(probability: ArrayLike, presence: ArrayLike) -> tuple[Floats, Floats]:
    """Return probabilities and outcomes as floats of shape (n_posts, n_values); a vector is one value.

    Raises
    ------
    ValueError
        If shapes differ, a probability is outside 0 to 1 or an outcome is another than 1, 0 and NaN.

    Examples
    --------
    >>> read_outcomes([0.5, 1], [0, 1])[0].shape
    (2, 1)
    """
    p, y = _read_pair(probability, presence, "probability", "presence")
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"probability holds {p[(p < 0) | (p > 1)][0]:g}: give numbers from 0 to 1")
    if (~np.isnan(y) & (y != 0) & (y != 1)).any():
        raise ValueError(
            "presence holds another number than 1, 0 and NaN: compare ratings with the threshold first"
        )
    return p, y


def _ece(bins: Floats) -> Floats:
    """Calibration errors from (n, 3, n_bins) sums of cells, probabilities and outcomes."""
    return divide(np.abs(bins[:, 2] - bins[:, 1]).sum(axis=1), bins[:, 0].sum(axis=1))


def _correlate(moments: Floats) -> Floats:
    """Correlations from (n, 6) sums of 1, x, y, xx, yy and xy of numbers of size one."""
    n, x, y, xx, yy, xy = moments.T
    spread_x, spread_y = (np.where(s > 1e-10 * n * n, s, 0.0) for s in (n * xx - x * x, n * yy - y * y))
    return np.clip(divide(n * xy - x * y, np.sqrt(spread_x * spread_y)), -1.0, 1.0)


def _read_pair(first: ArrayLike, second: ArrayLike, name: str, other: str) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise ValueError(
            f"{name} has shape {a.shape}, {other} {b.shape}: give both as (n_posts, n_values) or (n_posts,)"
        )
    if np.isinf(a).any() or np.isinf(b).any():
        raise ValueError(f"{name} or {other} holds an infinite number: use NaN for what is missing")
    return (a, b) if a.ndim == 2 else (a[:, np.newaxis], b[:, np.newaxis])


def _read_distributions(
    distributions: ArrayLike, points: ArrayLike, name: str = "distributions"
) -> tuple[Floats, Floats]:
    given, scale = np.asarray(distributions, dtype=np.float64), np.asarray(points, dtype=np.float64)
    if scale.ndim != 1 or not len(scale) or not np.isfinite(scale).all() or (np.diff(scale) <= 0).any():
        raise ValueError(f"points is {scale.tolist()}: give the scale's points, finite and rising")
    if given.ndim != 3 or given.shape[2] != len(scale):
        raise ValueError(f"{name} has shape {given.shape}: give (n_posts, n_values, {len(scale)})")
    totals = given.sum(axis=2)
    gaps = np.isnan(totals)
    if (given < 0).any() or (np.abs(totals - 1) > SUM_TOLERANCE).any():
        wrong = (given < 0).any(axis=2) | (np.abs(totals - 1) > SUM_TOLERANCE)
        post, value = (int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}[{post}, {value}] has an entry below 0 or a sum other than 1: give probabilities"
        )
    if not np.isnan(given[gaps]).all():
        raise ValueError(f"{name} has a distribution with a gap: give all of its points, or NaN for all")
    return given / totals[:, :, np.newaxis], scale
