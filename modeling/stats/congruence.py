"""Whether the fit of values to the theoretical circle is more than turning can do, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.circumplex import CENTRE_TOLERANCE, fit_circle, value_correlations
from modeling.stats.classification import Score
from modeling.stats.consensus import check_matrix
from modeling.stats.over_posts import divide, make_score
from modeling.stats.resampling import check_resamples
from modeling.stats.spearman import centred_ranks


@dataclass(frozen=True)
class CongruenceTest:
    """Congruence with the circle beside what values in random order reach.

    Attributes
    ----------
    congruence : Procrustes correlation with the circle, 0 to 1, as of `fit_circle`
    low, high : where 95 % of random orders of the values lie
    expected : their mean
    p : one-sided: share of orders, the true one among them, that fit as well
    n_values : values placed
    n_permutations
    reason : why there is no fit; empty otherwise
    """

    congruence: float
    low: float
    high: float
    expected: float
    p: float
    n_values: int
    n_permutations: int
    reason: str


def congruence_test(
    correlations: ArrayLike, *, rng: np.random.Generator, n_permutations: int = 1000
) -> CongruenceTest:
    """Compare the fit to the circle with that of the same points under the values' names dealt anew.

    Parameters
    ----------
    correlations : array-like of shape (n_values, n_values)
        As for `circumplex.fit_circle`; values are left out in the same way.
    rng : numpy.random.Generator
        The same state gives the same range and p.
    n_permutations : int
        How often the places on the circle are dealt anew, among the values placed.

    Returns
    -------
    CongruenceTest
        NaN below four values: any order of three is the same circle.

    Raises
    ------
    ValueError
        As for `fit_circle`, or if `n_permutations` is below 1.

    References
    ----------
    Schoenemann (1966), Psychometrika 31(1), 1-10; Jackson (1995), Ecoscience 2(3), 297-303 (the permutation test of a
    Procrustes fit).

    Examples
    --------
    >>> from modeling.stats.circumplex import theoretical_angles
    >>> places = np.radians(theoretical_angles(8))
    >>> found = congruence_test(np.cos(np.subtract.outer(places, places)), rng=np.random.default_rng(0))
    >>> round(found.congruence, 6), found.p < 0.01
    (1.0, True)
    """
    if n_permutations < 1:
        raise ValueError(f"n_permutations is {n_permutations}: give at least 1")
    fit = fit_circle(correlations)
    nan = float("nan")
    reason = fit.reason
    if not reason and fit.n_values < 4:
        reason = (
            f"{fit.n_values} value(s) correlate with each other; on a circle order means something from four"
        )
    if reason:
        return CongruenceTest(nan, nan, nan, nan, nan, fit.n_values, n_permutations, reason)
    kept = np.flatnonzero(~np.isnan(fit.points[:, 0]))
    # Turning, reflecting, moving and scaling change nothing of a congruence, so the fitted points serve for all orders.
    plane = fit.points[kept] - fit.points[kept].mean(axis=0)
    places = np.radians(fit.theory_deg[kept])
    circle = np.column_stack([np.cos(places), np.sin(places)])
    circle -= circle.mean(axis=0)
    orders = rng.permuted(np.tile(np.arange(len(kept)), (n_permutations, 1)), axis=1)
    products = np.einsum("ni,pnj->pij", plane, circle[orders])
    singular = np.linalg.svd(products, compute_uv=False).sum(axis=1)
    dealt = np.minimum(singular / np.sqrt(np.square(plane).sum() * np.square(circle).sum()), 1.0)
    low, high = (float(end) for end in np.quantile(dealt, [0.025, 0.975]))
    as_good = int((dealt >= fit.congruence - CENTRE_TOLERANCE).sum())
    return CongruenceTest(
        congruence=fit.congruence,
        low=low,
        high=high,
        expected=float(dealt.mean()),
        p=(1 + as_good) / (1 + n_permutations),
        n_values=fit.n_values,
        n_permutations=n_permutations,
        reason="",
    )


def congruence_interval(
    ratings: ArrayLike,
    posts: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 200,
    level: float = 0.95,
) -> Score:
    """Congruence of ratings with the circle, with its interval over posts.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        As for `circumplex.value_correlations`.
    posts : array-like of int, shape (n_rows,)
        The post of each row.
    rng : numpy.random.Generator
        The same state gives the same interval.
    n_resamples : int
        Resamples of the posts, each with all its rows; correlations and plane are made anew.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    Score
        A resample in which other values than in the whole can be placed is left out of the interval's `n_resamples`.
        None below five posts. Noise lowers a congruence, so that a resample mostly lies below the estimate.

    Raises
    ------
    ValueError
        If there is not one post per row, or as for `value_correlations`.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26.

    Examples
    --------
    >>> from modeling.stats.circumplex import theoretical_angles
    >>> rng = np.random.default_rng(0)
    >>> turns = rng.uniform(0, 2 * np.pi, (200, 1))
    >>> ratings = np.cos(turns - np.radians(theoretical_angles(6)))
    >>> found = congruence_interval(ratings, np.arange(200), rng=rng, n_resamples=9)
    >>> found.estimate > 0.99
    True
    """
    check_resamples(n_resamples, level)
    rows = check_matrix(ratings, "ratings")
    codes = np.asarray(posts)
    if codes.shape != (len(rows),):
        raise ValueError(f"posts has shape {codes.shape}: give one post for each of {len(rows)} row(s)")
    names, codes = np.unique(codes, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=len(names))
    starts = np.cumsum(sizes) - sizes
    whole = fit_circle(_correlate(rows))
    placed = ~np.isnan(whole.points[:, 0])
    resampled = np.full(n_resamples, np.nan)
    if not whole.reason:
        for k in range(n_resamples):
            drawn = rng.integers(len(names), size=len(names))
            n_rows = sizes[drawn]
            within = np.arange(n_rows.sum()) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
            taken = order[np.repeat(starts[drawn], n_rows) + within]
            fit = fit_circle(_correlate(rows[taken]))
            if np.array_equal(~np.isnan(fit.points[:, 0]), placed):
                resampled[k] = fit.congruence
    return make_score(
        whole.congruence, resampled, level=level, n_posts=len(names), n_left_out=0, reason=whole.reason
    )


def _correlate(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman correlations of the values, as of `value_correlations`; without gaps all pairs at once."""
    if np.isnan(rows).any():
        return value_correlations(rows).correlations
    ranks = centred_ranks(rows.T)
    sizes = np.sqrt(np.square(ranks).sum(axis=1))
    return np.clip(divide(ranks @ ranks.T, np.outer(sizes, sizes)), -1.0, 1.0)
