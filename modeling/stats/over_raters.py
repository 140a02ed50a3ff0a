"""How far human-human agreement depends on who took part: a bootstrap over raters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats import kernels
from modeling.stats.consensus import Codes, Matrix, check_raters, check_ratings, pair_rows
from modeling.stats.resampling import Interval, check_resamples, seed_from
from modeling.stats.spearman import centred_ranks, spearman_rows

PAIRS_AT_ONCE = 200_000


def bootstrap_over_raters(
    ratings: ArrayLike,
    posts: ArrayLike,
    raters: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
    n_posts: int | None = None,
) -> Interval:
    """Percentile bootstrap interval of human-human agreement over raters.

    A resample draws as many raters as there are, with replacement, each with all their annotations. Someone drawn
    twice counts twice in each pair with another, and is never compared with themselves. No rho is computed twice.

    Parameters
    ----------
    ratings, posts, n_posts
        As for `modeling.stats.agreement.human_human`.
    raters : array-like of int, shape (n_rows,)
        The rater of each row, coded from 0.
    rng, n_resamples, level
        As for `modeling.stats.resampling.bootstrap_mean`.

    Returns
    -------
    Interval
        Its units are the raters who are in a pair with a rho; the others are left out and counted. NaN ends where
        fewer than three are: of two there is but one pair.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating is infinite, or a rater has two rows of one post.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26; leaving out pairs of someone with themselves is by definition here.

    Examples
    --------
    >>> ratings, rng = [[0, 1, 2], [0, 2, 6], [2, 1, 0]], np.random.default_rng(0)
    >>> round(bootstrap_over_raters(ratings, [0, 0, 0], [0, 1, 2], rng=rng).high, 3)
    1.0
    """
    check_resamples(n_resamples, level)
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    of_rater = check_raters(raters, len(codes))
    n_raters = int(of_rater.max(initial=-1)) + 1
    first, second = pair_rows(codes, of_rater)
    rho = _correlate(rows, first, second)
    defined = ~np.isnan(rho)
    first, second, rho = first[defined], second[defined], rho[defined]
    units = np.unique(np.concatenate([of_rater[first], of_rater[second]]))
    low = high = float("nan")
    if len(units) > 2:
        order = np.argsort(codes[first], kind="stable")
        starts = np.append(0, np.cumsum(np.bincount(codes[first], minlength=n)))
        means = kernels.resampled_pair_means(
            starts,
            np.searchsorted(units, of_rater[first])[order].astype(np.int32),
            np.searchsorted(units, of_rater[second])[order].astype(np.int32),
            rho[order],
            len(units),
            n_resamples,
            seed_from(rng),
        )
        means = means[~np.isnan(means)]
        low, high = (float(end) for end in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
        n_resamples = len(means)
    return Interval(low, high, level, len(units), n_resamples, n_raters - len(units))


def _correlate(rows: Matrix, first: Codes, second: Codes) -> NDArray[np.float64]:
    """Rho of each pair of rows. Where nothing is missing ranks are taken once for each row, not for each pair."""
    rho = np.empty(len(first))
    unit = None if np.isnan(rows).any() else _standardize(rows)
    for start in range(0, len(first), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        if unit is None:
            rho[part] = spearman_rows(rows[first[part]], rows[second[part]])
        else:
            rho[part] = np.einsum("ij,ij->i", unit[first[part]], unit[second[part]])
    return np.asarray(np.clip(rho, -1.0, 1.0), dtype=np.float64)


def _standardize(rows: Matrix) -> Matrix:
    """Centred ranks scaled to length 1; NaN for a row that is constant."""
    ranks = centred_ranks(rows)
    lengths = np.sqrt(np.einsum("ij,ij->i", ranks, ranks))
    lengths[lengths == 0] = np.nan
    ranks /= lengths[:, np.newaxis]
    return np.asarray(ranks, dtype=np.float64)
