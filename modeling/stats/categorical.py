"""Agreement on the categories of a scale, corrected for chance: how often raters give the same rating.

Percent agreement, Fleiss' kappa and Gwet's AC1 and AC2 take any number of raters per post, and need not
know who they are. Cohen's kappa compares two raters, so that over many it is a mean over pairs. Every
function works value by value; ratings are whole categories, and weights say how nearly two of them agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.categories import (
    Scale,
    Weights,
    agreement_weights,
    count_places,
    find_categories,
    places_among,
)
from modeling.stats.consensus import Codes, Matrix, check_raters, check_ratings, pair_rows

# From the categories' shares and the table of weights to a vector g: shares @ g is the agreement by chance,
# and the shares within one post @ g are that post's part in it.
Chance = Callable[[Matrix, Matrix], Matrix]


@dataclass(frozen=True, eq=False)
class Coefficient:
    """An agreement coefficient per value, with its standard error over posts; arrays of shape (n_values,).

    Attributes
    ----------
    estimate : ndarray
        1 is perfect agreement; corrected coefficients are 0 at chance. NaN where it does not exist.
    standard_error : ndarray
        By linearisation, posts being a sample from many; on the large side where many posts have one
        rating. NaN where `estimate` is, or where a single post has two ratings.
    n_posts, n_left_out : ndarray of int
        Posts with two ratings or more, and the others. Of those, posts with one rating still tell the
        corrected coefficients how often each category is used.
    n_ratings : ndarray of int
        Ratings that entered, those that speak on chance alone included.
    reasons : tuple of str
        Why there is no estimate; "" where there is one.
    """

    estimate: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    n_posts: NDArray[np.int64]
    n_ratings: NDArray[np.int64]
    n_left_out: NDArray[np.int64]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PairwiseKappa:
    """Mean of Cohen's kappa over pairs of raters, per value; arrays of shape (n_values,).

    Attributes
    ----------
    estimate : ndarray
        Mean kappa, every pair weighing the same; NaN where no pair has one.
    n_pairs, n_pairs_undefined : ndarray of int
        Pairs sharing at least `min_shared` posts that have a kappa, and that have none because both
        gave one and the same rating throughout.
    n_pairs_left_out : ndarray of int
        Pairs sharing at least one post but fewer than `min_shared`.
    min_shared : int
        Posts that both raters of a pair must have rated for the value.
    reasons : tuple of str
        Why there is no estimate; "" where there is one.
    """

    estimate: NDArray[np.float64]
    n_pairs: NDArray[np.int64]
    n_pairs_undefined: NDArray[np.int64]
    n_pairs_left_out: NDArray[np.int64]
    min_shared: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class CohenKappa:
    """Cohen's kappa of two raters: NaN with a `reason` where it does not exist.

    `n_posts` were rated by both; `n_left_out` by one of them or by neither.
    """

    estimate: float
    n_posts: int
    n_left_out: int
    reason: str


def percent_agreement(
    ratings: ArrayLike,
    posts: ArrayLike,
    weights: Weights = "identity",
    *,
    scale: Scale | None = None,
    n_posts: int | None = None,
) -> Coefficient:
    """Share of rater pairs of a post that agree, averaged over posts; not corrected for chance.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, in categories; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1, in any order. A rater has at most one row per post.
    weights : {"identity", "linear", "quadratic", "ordinal"}
        How nearly two ratings agree; see `modeling.stats.categories.agreement_weights`.
    scale : (int, int), optional
        Lowest and highest rating; the categories are the whole numbers between. If not given, the
        categories are the numbers found anywhere in `ratings`.
    n_posts : int, optional
        Number of posts; the largest code plus one if not given.

    Returns
    -------
    Coefficient
        From 0 to 1. Every post with two ratings weighs the same; the others do not enter. The standard
        error is that of a mean over posts.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating is not on the scale, or there are more than
        101 categories.

    References
    ----------
    Fleiss (1971), Psychological Bulletin 76(5), 378-382: the mean of P_i. Gwet (2014), Handbook of
    Inter-Rater Reliability, 4th edition: weights and missing ratings.

    Examples
    --------
    >>> percent_agreement([[1], [1], [2], [4], [4]], [0, 0, 0, 1, 1]).estimate.round(4)
    array([0.6667])
    """
    return _coefficient(ratings, posts, weights, scale, n_posts, None)


def fleiss_kappa(
    ratings: ArrayLike,
    posts: ArrayLike,
    weights: Weights = "identity",
    *,
    scale: Scale | None = None,
    n_posts: int | None = None,
) -> Coefficient:
    """Fleiss' kappa, with weights if wanted, for any numbers of raters per post.

    Chance agreement is that of two ratings drawn from the categories' shares; a share is the mean over
    posts of the category's share in the post, posts with a single rating included.

    Parameters
    ----------
    ratings, posts, weights, scale, n_posts
        As for `percent_agreement`.

    Returns
    -------
    Coefficient
        At most 1, 0 at chance. Undefined where all ratings of the value are one number.

    Raises
    ------
    ValueError
        As for `percent_agreement`.

    References
    ----------
    Fleiss (1971), Psychological Bulletin 76(5), 378-382, for equal numbers of raters. Gwet (2014),
    Handbook of Inter-Rater Reliability, 4th edition, for unequal ones, weights and standard error.

    Examples
    --------
    >>> fleiss_kappa([[1], [1], [2], [2], [1], [2]], [0, 0, 1, 1, 2, 2]).estimate.round(4)
    array([0.3333])
    """
    return _coefficient(ratings, posts, weights, scale, n_posts, _chance_of_fleiss)


def gwet_ac(
    ratings: ArrayLike,
    posts: ArrayLike,
    weights: Weights = "identity",
    *,
    scale: Scale | None = None,
    n_posts: int | None = None,
) -> Coefficient:
    """Gwet's AC1 (identity weights) or AC2 (all others), for any numbers of raters per post.

    Chance agreement is small where one category has nearly all the ratings, so that AC stays high
    there while kappa falls. It depends on the number of categories: give the scale.

    Parameters
    ----------
    ratings, posts, weights, scale, n_posts
        As for `percent_agreement`.

    Returns
    -------
    Coefficient
        At most 1, 0 at chance. Defined, and 1, where all ratings are one category of several; undefined
        where the scale itself has one category.

    Raises
    ------
    ValueError
        As for `percent_agreement`.

    References
    ----------
    Gwet (2008), British Journal of Mathematical and Statistical Psychology 61(1), 29-48; Gwet (2014),
    Handbook of Inter-Rater Reliability, 4th edition, for weights and missing ratings.

    Examples
    --------
    >>> gwet_ac([[1], [1], [2], [2], [1], [2]], [0, 0, 1, 1, 2, 2]).estimate.round(4)
    array([0.3333])
    """
    return _coefficient(ratings, posts, weights, scale, n_posts, _chance_of_gwet)


def weighted_kappa(
    ratings: ArrayLike,
    posts: ArrayLike,
    raters: ArrayLike,
    weights: Weights = "quadratic",
    *,
    scale: Scale | None = None,
    min_shared: int = 5,
    n_posts: int | None = None,
    n_raters: int | None = None,
) -> PairwiseKappa:
    """Mean of Cohen's kappa over all pairs of raters who share enough posts.

    Parameters
    ----------
    ratings, posts, weights, scale, n_posts
        As for `percent_agreement`.
    raters : array-like of int, shape (n_rows,)
        The rater of each row, coded 0..n_raters-1.
    min_shared : int
        Posts that both must have rated for the value; at least 2.
    n_raters : int, optional
        Number of raters; the largest code plus one if not given.

    Returns
    -------
    PairwiseKappa
        From -1 to 1. Without a standard error: pairs share raters, so resample posts for an interval.

    Raises
    ------
    ValueError
        As for `percent_agreement`, or if a rater has two rows for a post, or `min_shared` is below 2.

    References
    ----------
    Cohen (1968), Psychological Bulletin 70(4), 213-220; the mean over pairs: Light (1971),
    Psychological Bulletin 76(5), 365-377.

    Examples
    --------
    >>> ratings = [[0], [1], [3], [3], [6], [5]]
    >>> weighted_kappa(ratings, [0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], min_shared=3).estimate.round(4)
    array([0.9231])
    """
    rows, post_codes, _ = check_ratings(ratings, posts, n_posts)
    rater_codes = check_raters(raters, len(rows), n_raters)
    if min_shared < 2:
        raise ValueError(f"min_shared is {min_shared}: two raters must share at least 2 posts")
    categories = find_categories(rows, scale)
    table = agreement_weights(categories, weights)
    first, second = pair_rows(post_codes, rater_codes)
    n_codes = int(rater_codes.max(initial=0)) + 1
    _, pair = np.unique(rater_codes[first] * n_codes + rater_codes[second], return_inverse=True)

    n_values = rows.shape[1]
    estimate = np.full(n_values, np.nan)
    n_pairs, n_undefined, n_left_out = (np.zeros(n_values, dtype=np.int64) for _ in range(3))
    for value in range(n_values):
        given = places_among(categories, rows[:, value])
        shared = (given[first] >= 0) & (given[second] >= 0)
        both, n_shared = pair[shared], np.bincount(pair[shared])
        enough = n_shared >= min_shared
        n_left_out[value] = np.count_nonzero(n_shared) - np.count_nonzero(enough)
        kept = enough[both]
        renumbered = (np.cumsum(enough) - 1)[both[kept]]
        kappas = _kappas(given[first[shared][kept]], given[second[shared][kept]], renumbered, table)
        defined = ~np.isnan(kappas)
        n_pairs[value], n_undefined[value] = np.count_nonzero(defined), np.count_nonzero(~defined)
        if defined.any():
            estimate[value] = kappas[defined].mean()
    reasons = tuple(
        ""
        if n_defined
        else "every pair of raters gave one and the same rating throughout"
        if undefined
        else f"no two raters share {min_shared} posts rated for this value"
        for n_defined, undefined in zip(n_pairs, n_undefined, strict=True)
    )
    return PairwiseKappa(estimate, n_pairs, n_undefined, n_left_out, min_shared, reasons)


def cohen_kappa(
    first: ArrayLike, second: ArrayLike, weights: Weights = "identity", *, scale: Scale | None = None
) -> CohenKappa:
    """Cohen's kappa of two raters, with weights if wanted.

    Parameters
    ----------
    first, second : array-like of shape (n_posts,)
        What the two raters gave the same posts, in categories; NaN where one did not rate.
    weights, scale
        As for `percent_agreement`.

    Returns
    -------
    CohenKappa
        From -1 to 1, 0 at chance.

    Raises
    ------
    ValueError
        If the two differ in length, or as for `percent_agreement`.

    References
    ----------
    Cohen (1960), Educational and Psychological Measurement 20(1), 37-46; with weights: Cohen (1968),
    Psychological Bulletin 70(4), 213-220.

    Examples
    --------
    >>> round(cohen_kappa([1, 2, 3, 3], [1, 2, 3, 2]).estimate, 4)
    0.6364
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"first has shape {a.shape}, second {b.shape}: give one rating of each for the same posts"
        )
    rows, _, _ = check_ratings(np.stack([a, b], axis=1), np.arange(len(a)))
    categories = find_categories(rows, scale)
    table = agreement_weights(categories, weights)
    shared = ~np.isnan(rows).any(axis=1)
    n_shared = int(shared.sum())
    if n_shared == 0:
        return CohenKappa(float("nan"), 0, len(a), "no post was rated by both")
    one_pair = np.zeros(n_shared, dtype=np.int64)
    given = [places_among(categories, rows[shared, rater]) for rater in (0, 1)]
    kappa = float(_kappas(given[0], given[1], one_pair, table)[0])
    reason = "both raters gave one and the same rating throughout" if np.isnan(kappa) else ""
    return CohenKappa(kappa, n_shared, len(a) - n_shared, reason)


def _coefficient(
    ratings: ArrayLike,
    posts: ArrayLike,
    weights: Weights,
    scale: Scale | None,
    n_posts: int | None,
    chance: Chance | None,
) -> Coefficient:
    rows, codes, n = check_ratings(ratings, posts, n_posts)
    categories = find_categories(rows, scale)
    table = agreement_weights(categories, weights)
    n_values = rows.shape[1]
    estimate, standard_error = np.full(n_values, np.nan), np.full(n_values, np.nan)
    n_entered, n_ratings = np.zeros(n_values, dtype=np.int64), np.zeros(n_values, dtype=np.int64)
    reasons = []
    for value in range(n_values):
        places = places_among(categories, rows[:, value])
        counts = count_places(codes[places >= 0], places[places >= 0], n, len(categories))
        n_raters = counts.sum(axis=1)
        n_entered[value] = np.count_nonzero(n_raters >= 2)
        # A post with one rating has no agreement to observe, but tells how often its category is used.
        entering = n_raters >= (1 if chance else 2)
        n_ratings[value] = n_raters[entering].sum()
        used = categories[counts.any(axis=0)]
        if n_entered[value] == 0:
            reasons.append("no post has two ratings of this value")
        elif chance is _chance_of_fleiss and len(used) < 2:
            reasons.append(f"every rating is {used[0]:g}, so nothing can be disagreed about")
        elif chance is _chance_of_gwet and len(categories) < 2:
            reasons.append("there is a single category, so nothing can be disagreed about")
        else:
            reasons.append("")
            estimate[value], standard_error[value] = _estimate(counts[entering], table, chance)
    return Coefficient(estimate, standard_error, n_entered, n_ratings, n - n_entered, tuple(reasons))


def _estimate(counts: Matrix, table: Matrix, chance: Chance | None) -> tuple[float, float]:
    """Coefficient and standard error from the (post, category) counts of the posts that enter."""
    n = len(counts)
    n_raters = counts.sum(axis=1)
    several = n_raters >= 2
    agreeing = (counts * (counts @ table - 1)).sum(axis=1)
    agreement = np.divide(agreeing, n_raters * (n_raters - 1), out=np.zeros(n), where=several)
    observed = float(agreement[several].mean())

    shares = counts / n_raters[:, np.newaxis]
    overall = shares.mean(axis=0)
    gradient = chance(overall, table) if chance else np.zeros(len(overall))
    expected = float(overall @ gradient)
    estimate = (observed - expected) / (1 - expected)
    if several.sum() < 2:
        return estimate, float("nan")

    # Gwet's variance: what each post adds to the coefficient, through what is observed on it and through
    # its part in chance agreement.
    through_observed = n / several.sum() * (agreement - expected * several) / (1 - expected)
    through_chance = 2 * (1 - estimate) * (shares @ gradient - expected) / (1 - expected)
    deviations = through_observed - through_chance - estimate
    return estimate, float(np.sqrt(np.square(deviations).sum() / (n * (n - 1))))


def _chance_of_fleiss(shares: Matrix, table: Matrix) -> Matrix:
    return table @ shares


def _chance_of_gwet(shares: Matrix, table: Matrix) -> Matrix:
    n_categories = len(shares)
    gradient: Matrix = table.sum() / (n_categories * (n_categories - 1)) * (1 - shares)
    return gradient


def _kappas(first: Codes, second: Codes, pair: Codes, table: Matrix) -> Matrix:
    """Kappa of each pair from its shared posts; NaN where both raters of it are constant and the same."""
    n_pairs = int(pair.max()) + 1 if len(pair) else 0
    n_shared = np.bincount(pair, minlength=n_pairs)
    observed = np.bincount(pair, weights=table[first, second], minlength=n_pairs) / n_shared
    shares_first = count_places(pair, first, n_pairs, len(table)) / n_shared[:, np.newaxis]
    shares_second = count_places(pair, second, n_pairs, len(table)) / n_shared[:, np.newaxis]
    expected = np.einsum("pk,kl,pl->p", shares_first, table, shares_second, optimize=True)
    varies = (shares_first * shares_second).max(axis=1, initial=0.0) < 1
    kappas: Matrix = np.divide(observed - expected, 1 - expected, out=np.full(n_pairs, np.nan), where=varies)
    return kappas
