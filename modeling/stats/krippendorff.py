"""Krippendorff's alpha: how far raters agree on a value beyond chance, and its interval over posts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats import kernels
from modeling.stats.consensus import Codes, as_floats, code_ratings
from modeling.stats.resampling import check_resamples, seed_from

LEVELS = ("nominal", "ordinal", "interval", "ratio")

# Up to this many categories every two of them have a column of coincidences, and a resample is a product
# of matrices; beyond, it is a loop over the ratings.
MAX_CATEGORIES_TABLED = 16
# Numbers held at once in a table of coincidences, and counts of draws (one byte each).
TABLE_SIZE = 2_000_000
DRAWS_AT_ONCE = 250_000_000


@dataclass(frozen=True, eq=False)
class Alpha:
    """Krippendorff's alpha of each value, with what it was made from.

    Attributes
    ----------
    krippendorff_alpha : ndarray of shape (n_values,)
        1 for perfect agreement, 0 for what chance gives; NaN where it does not exist.
    n_posts, n_ratings : ndarray of int, shape (n_values,)
        Posts with two or more ratings of the value, and the ratings on them.
    n_left_out : ndarray of int, shape (n_values,)
        Ratings without a partner on their post.
    reasons : tuple of str
        Why a value has no alpha; empty where it has one.
    """

    krippendorff_alpha: NDArray[np.float64]
    n_posts: NDArray[np.int64]
    n_ratings: NDArray[np.int64]
    n_left_out: NDArray[np.int64]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AlphaBootstrap:
    """A percentile bootstrap interval of each value's alpha over posts.

    Attributes
    ----------
    low, high : ndarray of shape (n_values,)
        NaN below two posts, and where no resample has an alpha.
    ci_level : float
        Coverage aimed at.
    n_posts : ndarray of int, shape (n_values,)
        Posts with two or more ratings of the value.
    n_resamples : int
        Resamples made.
    n_undefined : ndarray of int, shape (n_values,)
        Those of them without an alpha, which did not enter.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    ci_level: float
    n_posts: NDArray[np.int64]
    n_resamples: int
    n_undefined: NDArray[np.int64]


def krippendorff_alpha(ratings: ArrayLike, posts: ArrayLike, level: str, n_posts: int | None = None) -> Alpha:
    """Krippendorff's alpha of each value: 1 less the observed over the expected disagreement.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, any numbers; NaN where a value was not rated.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1, in any order. A rater has at most one row per post.
    level : {"nominal", "ordinal", "interval", "ratio"}
        How far apart two ratings are: differ or not; ranks between them among the value's ratings that
        have a partner; their difference; their difference over their sum.
    n_posts : int, optional
        Number of posts; the largest code plus one if not given.

    Returns
    -------
    Alpha
        At most 1; below 0 where raters differ more than by chance. Not defined below two posts.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating is infinite, the level is unknown, or a
        rating is negative at level "ratio".

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, University of Pennsylvania.

    Examples
    --------
    >>> float(krippendorff_alpha([[0], [0], [1], [1]], [0, 0, 1, 1], "nominal").krippendorff_alpha[0])
    1.0
    """
    data = _Data.of(ratings, posts, n_posts, [level])
    # On one post observed and expected disagreement are one thing: the formula gives 0 whatever was rated.
    alphas = np.where(data.n_posts > 1, data.point(level), np.nan)
    return Alpha(
        krippendorff_alpha=alphas,
        n_posts=data.n_posts,
        n_ratings=data.n_ratings,
        n_left_out=data.n_left_out,
        reasons=tuple(data.reason(value) if np.isnan(alphas[value]) else "" for value in range(len(alphas))),
    )


def bootstrap_alpha(
    ratings: ArrayLike,
    posts: ArrayLike,
    levels: Iterable[str],
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    ci_level: float = 0.95,
    n_posts: int | None = None,
) -> dict[str, AlphaBootstrap]:
    """Percentile bootstrap intervals of Krippendorff's alpha over posts, all levels over the same draws.

    Posts that have two ratings of some value are drawn with replacement, each with all its ratings. What a
    resample's alpha needs is a weighted sum over posts; ordinal distances are those of the resample.

    Parameters
    ----------
    ratings, posts, n_posts
        As for `krippendorff_alpha`.
    levels : iterable of str
        Levels of measurement, see `krippendorff_alpha`.
    rng : numpy.random.Generator
        The same state gives the same intervals.
    n_resamples : int
        Resamples of the posts.
    ci_level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    dict of str to AlphaBootstrap
        One per level, in the order given.

    Raises
    ------
    ValueError
        As for `krippendorff_alpha`, or if `n_resamples` is below 1 or `ci_level` not between 0 and 1.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26, for the percentile interval.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> agreed = bootstrap_alpha([[0], [0], [1], [1], [2], [2]], [0, 0, 1, 1, 2, 2], ["ordinal"], rng=rng)
    >>> agreed["ordinal"].low, agreed["ordinal"].high
    (array([1.]), array([1.]))
    """
    wanted = list(dict.fromkeys(levels))
    check_resamples(n_resamples, ci_level, "ci_level")
    data = _Data.of(ratings, posts, n_posts, wanted)
    resampled = data.resampled(wanted, n_resamples, seed_from(rng))
    return {level: _bootstrap(resampled[level], data.n_posts, ci_level) for level in wanted}


@dataclass(frozen=True, eq=False)
class _Data:
    """Ratings as categories: number x of `domain` is coded x."""

    codes: NDArray[np.unsignedinteger]
    domain: NDArray[np.float64]
    order: Codes
    starts: Codes
    chosen: Codes  # posts with two ratings of some value
    n_posts: NDArray[np.int64]
    n_ratings: NDArray[np.int64]
    n_left_out: NDArray[np.int64]

    @classmethod
    def of(cls, ratings: ArrayLike, posts: ArrayLike, n_posts: int | None, levels: list[str]) -> _Data:
        for level in levels:
            if level not in LEVELS:
                raise ValueError(f"level is {level!r}: give one of {', '.join(LEVELS)}")
        rows, of_row, n = code_ratings(ratings, posts, n_posts)
        if rows.origin is not None:
            codes, domain = rows.codes, rows.origin + np.arange(rows.n_bins, dtype=np.float64)
        else:
            codes, domain = _categories(as_floats(ratings))
        order, starts = kernels.rows_by_post(of_row, n)
        used = kernels.used_codes(codes, len(domain))
        if "ratio" in levels and np.any(domain[used] < 0):
            raise ValueError(
                f"ratings holds {domain[used][0]:g}: level ratio needs a scale from 0 on, take interval"
            )
        counted = kernels.pairable(codes, len(domain), order, starts)
        n_paired_posts, n_paired, n_alone, has_pair = counted
        return cls(codes, domain, order, starts, np.flatnonzero(has_pair), n_paired_posts, n_paired, n_alone)

    def point(self, level: str) -> NDArray[np.float64]:
        n_values, by = self.codes.shape[1], LEVELS.index(level)
        if len(self.domain) <= MAX_CATEGORIES_TABLED:
            table = np.zeros((1, n_values * _width(len(self.domain))))
            self._add_coincidences(self.chosen, False, table)
            alphas: NDArray[np.float64] = kernels.alpha_of_coincidences(table, n_values, self.domain, by)[0]
            return alphas
        once = np.ones((1, len(self.chosen)), dtype=np.uint8)
        return np.array([self._of_runs(value, once, level)[0] for value in range(n_values)])

    def resampled(
        self, levels: list[str], n_resamples: int, seed: np.uint64
    ) -> dict[str, NDArray[np.float64]]:
        """Alpha of each resample and value, by level."""
        n_values, n_units = self.codes.shape[1], len(self.chosen)
        alphas = {level: np.full((n_resamples, n_values), np.nan) for level in levels}
        at_once = max(1, DRAWS_AT_ONCE // max(1, n_units))
        for first in range(0, n_resamples, at_once):
            last = min(first + at_once, n_resamples)
            weights = kernels.draw_counts(n_units, first, last, seed)
            if len(self.domain) <= MAX_CATEGORIES_TABLED:
                table = self._weighted_coincidences(weights)
                for level in levels:
                    alphas[level][first:last] = kernels.alpha_of_coincidences(
                        table, n_values, self.domain, LEVELS.index(level)
                    )
            else:
                for value in range(n_values):
                    for level in levels:
                        alphas[level][first:last, value] = self._of_runs(value, weights, level)
        return alphas

    def reason(self, value: int) -> str:
        if not self.n_posts[value]:
            return "no post has two ratings of this value"
        if self.n_posts[value] == 1:
            return "only one post has two ratings of this value, so agreement cannot be told from chance"
        categories = self._runs(value)[1]
        only = self.domain[categories[0]]
        return f"every rating that has a partner is {only:g}, so nothing can be disagreed about"

    def _weighted_coincidences(self, weights: NDArray[np.uint8]) -> NDArray[np.float64]:
        width = self.codes.shape[1] * _width(len(self.domain))
        sums = np.zeros((len(weights), width))
        n_at_once = max(1, TABLE_SIZE // width)
        for first in range(0, len(self.chosen), n_at_once):
            part = slice(first, first + n_at_once)
            table = np.zeros((len(self.chosen[part]), width))
            self._add_coincidences(self.chosen[part], True, table)
            sums += weights[:, part].astype(np.float64) @ table
        return sums

    def _add_coincidences(self, chosen: Codes, by_post: bool, table: NDArray[np.float64]) -> None:
        kernels.add_coincidences(
            self.codes, len(self.domain), self.order, self.starts, chosen, by_post, table
        )

    def _runs(self, value: int) -> tuple[Codes, Codes, Codes]:
        run_starts, categories, lengths = kernels.runs_of_ratings(
            self.codes, len(self.domain), self.order, self.starts, self.chosen, value
        )
        return run_starts, categories, lengths

    def _of_runs(self, value: int, weights: NDArray[np.uint8], level: str) -> NDArray[np.float64]:
        alphas: NDArray[np.float64] = kernels.alpha_of_runs(
            *self._runs(value), weights, self.domain, LEVELS.index(level)
        )
        return alphas


def _width(n_categories: int) -> int:
    return n_categories * (n_categories + 1) // 2


def _categories(
    numbers: NDArray[np.float64],
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.float64]]:
    """Code each number by its place among all that occur; NaN, which sorts last, beyond them."""
    domain, places = np.unique(numbers, return_inverse=True, equal_nan=True)
    domain = domain[~np.isnan(domain)]
    codes = places.reshape(numbers.shape).astype(np.min_scalar_type(len(domain)))
    return codes, domain


def _bootstrap(resampled: NDArray[np.float64], n_posts: NDArray[np.int64], ci_level: float) -> AlphaBootstrap:
    ends = np.full((2, resampled.shape[1]), np.nan)
    for value, alphas in enumerate(resampled.T):
        defined = alphas[~np.isnan(alphas)]
        if n_posts[value] > 1 and len(defined):
            ends[:, value] = np.quantile(defined, [(1 - ci_level) / 2, (1 + ci_level) / 2])
    return AlphaBootstrap(
        low=ends[0],
        high=ends[1],
        ci_level=ci_level,
        n_posts=n_posts,
        n_resamples=len(resampled),
        n_undefined=np.isnan(resampled).sum(axis=0),
    )
