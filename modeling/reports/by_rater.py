"""Means, shares and correlations with intervals for which whole raters are drawn, all from the same draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modeling.stats import kernels
from modeling.stats.consensus import mean_of, sum_by_post
from modeling.stats.resampling import seed_from

from .correlation import N_SUMS, correlate_sums, say_no_order, sum_ranks
from .data import CI_LEVEL, N_RESAMPLES, Floats, Ints
from .numbers import number
from .people import RESAMPLING, make_rng


@dataclass(frozen=True, eq=False)
class Estimates:
    """Some numbers, what each is in every resample, and over how many raters each is.

    `value` and `n_raters` have shape (k,), `resampled` has shape (n_resamples, k); NaN where a number does not exist.
    """

    value: Floats
    resampled: Floats
    n_raters: Ints

    def minus(self, other: Estimates) -> Estimates:
        """Return the differences, paired resample by resample."""
        return Estimates(
            self.value - other.value,
            self.resampled - other.resampled,
            np.minimum(self.n_raters, other.n_raters),
        )

    def take(self, places: slice) -> Estimates:
        """Return some of the numbers."""
        return Estimates(self.value[places], self.resampled[:, places], self.n_raters[places])

    def find_ends(self) -> tuple[Floats, Floats]:
        """Return the ends of the percentile intervals, each of shape (k,); NaN below two raters."""
        low, high = np.full((2, len(self.value)), np.nan)
        there = (self.n_raters > 1) & ~np.isnan(self.resampled).all(axis=0) & ~np.isnan(self.value)
        if there.any():
            levels = [(1 - CI_LEVEL) / 2, (1 + CI_LEVEL) / 2]
            low[there], high[there] = np.nanquantile(self.resampled[:, there], levels, axis=0)
        return low, high

    def describe(self) -> list[tuple[float | None, list[float | None], int]]:
        """Return value, interval and raters of each number, ready for JSON."""
        low, high = self.find_ends()
        return [
            (number(value), [number(start), number(end)], int(n))
            for value, start, end, n in zip(self.value, low, high, self.n_raters, strict=True)
        ]


class RaterSample:
    """Rows of some raters, with the resamples of these raters.

    Parameters
    ----------
    raters : ndarray of int, shape (n_rows,), any codes
    seed : int
        The same seed and number of raters give the same resamples.
    """

    def __init__(self, raters: Ints, *, seed: int) -> None:
        self.codes, units = np.unique(raters, return_inverse=True)
        self.units: Ints = units.astype(np.intp)
        self.n_raters = len(self.codes)
        stream = seed_from(make_rng(seed, RESAMPLING))
        self.draws: Floats = kernels.draw_counts(self.n_raters, 0, N_RESAMPLES, stream).astype(np.float64)

    def average(self, rows: Floats) -> Estimates:
        """Mean over raters of each rater's mean over rows; `rows` has shape (n_rows, k), NaN where missing."""
        totals, counts = self._sum(rows)
        means = mean_of(totals, counts)
        there = ~np.isnan(means)
        return self._divide(np.where(there, means, 0.0), there.astype(np.float64), there.sum(axis=0))

    def average_rows(self, rows: Floats) -> Estimates:
        """Mean over all rows, each weighing the same; `rows` has shape (n_rows, k), NaN where missing."""
        totals, counts = self._sum(rows)
        return self._divide(totals, counts, (counts > 0).sum(axis=0))

    def correlate(self, x: Floats, y: Floats) -> tuple[Estimates, list[str]]:
        """Spearman's rho over the rows of each column of x and y, shape (n_rows, k), and why one does not exist.

        Ranks are those among all rows and are not taken anew in a resample.
        """
        n_columns = x.shape[1]
        sums = np.zeros((self.n_raters, n_columns, N_SUMS))
        n_raters = np.zeros(n_columns, dtype=np.intp)
        reasons = []
        for place in range(n_columns):
            both = ~np.isnan(x[:, place]) & ~np.isnan(y[:, place])
            one, other, units = x[both, place], y[both, place], self.units[both]
            reasons.append(say_no_order(one, other))
            if not reasons[-1]:
                sums[:, place] = sum_ranks(one, other, units, self.n_raters)
                n_raters[place] = np.count_nonzero(sums[:, place, 0])
        drawn = (self.draws @ sums.reshape(self.n_raters, n_columns * N_SUMS)).reshape(
            len(self.draws), n_columns, N_SUMS
        )
        return Estimates(correlate_sums(sums.sum(axis=0)), correlate_sums(drawn), n_raters), reasons

    def _sum(self, rows: Floats) -> tuple[Floats, Floats]:
        there = ~np.isnan(rows)
        return (
            sum_by_post(np.where(there, rows, 0.0), self.units, self.n_raters),
            sum_by_post(there, self.units, self.n_raters),
        )

    def _divide(self, totals: Floats, counts: Floats, n_raters: Ints) -> Estimates:
        return Estimates(
            mean_of(totals.sum(axis=0), counts.sum(axis=0)),
            mean_of(self.draws @ totals, self.draws @ counts),
            n_raters,
        )
