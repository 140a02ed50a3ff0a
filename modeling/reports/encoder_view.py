"""PURE. One encoder's distributions beside the truth of the same posts, and what is measured of the two as wholes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.classification import Score
from modeling.stats.over_posts import divide, make_score, mean_defined, resample_sums
from modeling.stats.spearman import rank_rows
from modeling.stats.uncertainty import probability_at_least, ranked_probability_score, summarize

from .numbers import ends, number

Floats = NDArray[np.float64]
LEVEL = 0.95
N_BINS = 10
SLACK = 1e-6  # a mean of float32 shares may miss its rating by less


@dataclass(frozen=True, eq=False)
class Truth:
    """What the posts are held to express.

    Attributes
    ----------
    ratings : ndarray of shape (n_posts, n_values), NaN where there is none
    distributions : ndarray of shape (n_posts, n_values, n_points), NaN where there is none
    """

    ratings: Floats
    distributions: Floats

    def find_presence(self, threshold: float) -> Floats:
        """Return 1 where a value is expressed, 0 where not, NaN where there is no rating."""
        return read_presence(self.ratings, threshold)


def read_presence(ratings: ArrayLike, threshold: float) -> Floats:
    """Return 1 where a rating reaches the threshold, 0 where not, NaN where there is none."""
    given = np.asarray(ratings, dtype=np.float64)
    return np.where(np.isnan(given), np.nan, given >= threshold - SLACK)


class View:
    """One encoder's distributions as everything that is measured needs them; NaN where the truth has nothing.

    Where the truth is itself a distribution, whether a rating reaches the threshold is a share of it, and an error is
    what is to be expected of one rating drawn from it.
    """

    def __init__(self, truth: Truth, said: ArrayLike, points: Floats, threshold: float) -> None:
        distributions = np.asarray(said, dtype=np.float64)
        is_gap = np.isnan(truth.distributions).any(axis=2)
        self.presence = truth.find_presence(threshold)
        self.means, sds, _ = summarize(distributions, points)
        self.predicted = read_presence(self.means, threshold)
        self.share = probability_at_least(truth.distributions, points, threshold)
        self.probability = np.where(is_gap, np.nan, probability_at_least(distributions, points, threshold))
        self.sds = np.where(is_gap, np.nan, sds)
        distances = np.abs(self.means[..., None] - points)
        self.errors = (distances * truth.distributions).sum(axis=2)
        self.mae = mean_defined(np.abs(self.means - truth.ratings))
        expected = (self.probability - self.share) ** 2 + self.share * (1 - self.share)
        self.brier = mean_defined(expected)
        self.rps = mean_defined(ranked_probability_score(distributions, truth.distributions, points))


def as_score(score: Score) -> dict[str, Any]:
    """Return a score as JSON holds it."""
    return {"estimate": number(score.estimate), "interval": ends(score.interval), "reason": score.reason}


def calibrate(
    view: View, *, rng: np.random.Generator, n_resamples: int
) -> tuple[Score, list[dict[str, Any]]]:
    """Return the calibration error, and what the probabilities in each bin turned out to be."""
    columns = _sum_bins(view)
    totals = columns.sum(axis=0).reshape(3, N_BINS)
    drawn = resample_sums(columns, rng=rng, n_resamples=n_resamples).reshape(-1, 3, N_BINS)
    n_posts = int((columns[:, :N_BINS] > 0).any(axis=1).sum())
    estimate = float(_find_ece(totals[None])[0])
    score = make_score(
        estimate,
        np.maximum(_centre(_find_ece(drawn), estimate), 0),
        level=LEVEL,
        n_posts=n_posts,
        reason=_say_none(estimate),
    )
    probability, observed = divide(totals[1], totals[0]), divide(totals[2], totals[0])
    shares = divide(drawn[:, 2], drawn[:, 0])
    n_posts_in = (columns[:, :N_BINS] > 0).sum(axis=0)
    bins = []
    for place in range(N_BINS):
        share = make_score(
            float(observed[place]), shares[:, place], level=LEVEL, n_posts=int(n_posts_in[place])
        )
        bins.append(
            {
                "low": place / N_BINS,
                "high": (place + 1) / N_BINS,
                "n": int(totals[0, place]),
                "probability": number(probability[place]),
                "observed": number(share.estimate),
                "interval": ends(share.interval),
            }
        )
    return score, bins


def compare_calibration(a: View, b: View, *, rng: np.random.Generator, n_resamples: int) -> Score:
    """Difference of the two calibration errors, both of the same resamples of posts."""
    columns = np.hstack([_sum_bins(view) for view in (a, b)])

    def measure(sums: Floats) -> Floats:
        each = sums.reshape(len(sums), 2, 3, N_BINS)
        return _find_ece(each[:, 0]) - _find_ece(each[:, 1])

    estimate = float(measure(columns.sum(axis=0)[None])[0])
    drawn = _centre(measure(resample_sums(columns, rng=rng, n_resamples=n_resamples)), estimate)
    n_posts = int((columns[:, :N_BINS] > 0).any(axis=1).sum())
    return make_score(estimate, drawn, level=LEVEL, n_posts=n_posts, reason=_say_none(estimate))


def _sum_bins(view: View) -> Floats:
    """Of each post and bin: pairs, their probabilities, and the truth's shares, summed over values."""
    both = ~np.isnan(view.probability) & ~np.isnan(view.share)
    posts, _ = np.nonzero(both)
    probability, share = view.probability[both], view.share[both]
    bins = np.minimum((probability * N_BINS).astype(np.int64), N_BINS - 1)
    n = len(both) * N_BINS
    sums = [
        np.bincount(posts * N_BINS + bins, weight, minlength=n).reshape(-1, N_BINS)
        for weight in (None, probability, share)
    ]
    return np.hstack(sums).astype(np.float64)


def _find_ece(sums: Floats) -> Floats:
    """Return calibration errors from (n, 3, N_BINS) sums of pairs, probabilities and shares."""
    return divide(np.abs(sums[:, 1] - sums[:, 2]).sum(axis=1), sums[:, 0].sum(axis=1))


def _centre(drawn: Floats, estimate: float) -> Floats:
    """Move resamples of a calibration error to its estimate: each carries the chance of two samples, and so is high."""
    return drawn if np.isnan(estimate) else drawn - mean_defined(drawn) + estimate


def compare_awareness(a: View, b: View, *, rng: np.random.Generator, n_resamples: int) -> Score:
    """Difference of the two correlations of error with uncertainty, both of the same resamples of posts."""
    moments = np.hstack([_sum_moments(view) for view in (a, b)])

    def measure(sums: Floats) -> Floats:
        n, x, y, xx, yy, xy = np.moveaxis(sums.reshape(len(sums), 2, 6), 2, 0)
        rho = divide(n * xy - x * y, np.sqrt(np.maximum((n * xx - x * x) * (n * yy - y * y), 0)))
        return np.asarray(rho[:, 0] - rho[:, 1])

    drawn = measure(resample_sums(moments, rng=rng, n_resamples=n_resamples))
    estimate = float(measure(moments.sum(axis=0)[None])[0])
    reason = "errors or uncertainties of one of the two are all alike" if np.isnan(estimate) else ""
    n_posts = int((moments[:, 0] > 0).sum())
    return make_score(estimate, drawn, level=LEVEL, n_posts=n_posts, reason=reason)


def _sum_moments(view: View) -> Floats:
    both = ~np.isnan(view.errors) & ~np.isnan(view.sds)
    n = int(both.sum())
    ranks = []
    for given in (view.errors, view.sds):
        ranked = np.zeros(both.shape)
        if n:
            ranked[both] = rank_rows(given[both][None])[0] - (n + 1) / 2
        ranks.append(ranked)
    x, y = ranks
    return np.stack([each.sum(axis=1) for each in (both, x, y, x * x, y * y, x * y)], axis=1)


def _say_none(estimate: float) -> str:
    return "no pair of post and value has both" if np.isnan(estimate) else ""
