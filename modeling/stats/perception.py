"""Who sees what: whom personalizing helps, and how raters' own values and the posts' screening go with ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.consensus import check_matrix, check_ratings, mean_of, totals_by_post
from modeling.stats.regression import Regression, check_level, dummies, most_frequent, ols, t_interval
from modeling.stats.resampling import Interval, bootstrap_mean
from modeling.stats.spearman import spearman_rows

OWN_SCORE = "own score"
# No figure speaks of fewer people than this.
LEAST_RATERS = 5

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adjustment:
    """How far personalizing moves predictions, per value; each array of shape (n_values,).

    `mean_difference` and `standard_error` are in scale units. `n_rows` and `n_posts` entered; rows where
    either prediction is missing were left out.
    """

    mean_difference: Vector
    standard_error: Vector
    n_rows: NDArray[np.int64]
    n_posts: NDArray[np.int64]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho over values: `n_values` had both numbers, `n_left_out` did not."""

    rho: float
    n_values: int
    n_left_out: int
    reason: str


@dataclass(frozen=True, eq=False)
class PersonalizationGain:
    """What each rater gains in rho from a personalized model.

    Attributes
    ----------
    per_rater : ndarray of shape (n_raters in all,)
        Mean rho with the personalized model less mean rho with the consensus model, -2 to 2.
    n_rows, n_rows_left_out : ndarray of int, shape (n_raters in all,)
        Rows of the rater that have both rhos, and the others.
    mean : float
        Over the raters with a gain, each weighing the same.
    interval : Interval
        Of the mean, from a bootstrap over raters.
    """

    per_rater: Vector
    n_rows: NDArray[np.int64]
    n_rows_left_out: NDArray[np.int64]
    mean: float
    interval: Interval
    reason: str


@dataclass(frozen=True)
class GroupGain:
    """Mean gain of the raters of one group."""

    label: str
    n_raters: int
    mean: float
    interval: Interval


@dataclass(frozen=True)
class GroupedGain:
    """Mean gain by group, largest group first, with the raters that no group speaks of.

    `n_small` raters with a gain are in groups too small to show, `n_unlabelled` have no label;
    `n_without_gain` have no gain, whatever their label.
    """

    groups: tuple[GroupGain, ...]
    n_small: int
    n_unlabelled: int
    n_without_gain: int


@dataclass(frozen=True, eq=False)
class ScreeningEffect:
    """Mean rating of posts screened in and out, per value; each array of shape (n_values,).

    Means, `difference` (in less out) and its ends `low` and `high` are in scale units; `statistic`, `df`
    and `p` are of Welch's test. `n_left_out` posts have no rating or no screening score of the value.
    """

    mean_in: Vector
    mean_out: Vector
    difference: Vector
    low: Vector
    high: Vector
    statistic: Vector
    df: Vector
    p: Vector
    n_in: NDArray[np.int64]
    n_out: NDArray[np.int64]
    n_left_out: NDArray[np.int64]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Covariates:
    """What is known of raters: who enters, one row per rater, and the questions that have no column."""

    enters: NDArray[np.bool_]
    columns: Vector
    names: list[str]
    missing: list[str]


def adjustment(consensus: ArrayLike, personalized: ArrayLike, posts: ArrayLike) -> Adjustment:
    """Mean absolute difference between a consensus model's and a personalized model's prediction, per value.

    Parameters
    ----------
    consensus, personalized : array-like of shape (n_rows, n_values)
        Predictions for the same (rater, post) rows, in scale units; NaN where a model says nothing.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded from 0.

    Returns
    -------
    Adjustment
        0 or more; the mean over rows. The standard error lets rows of one post depend on each
        other (CR1 of a mean, clustered by post); it is NaN below two posts.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a number is infinite.

    Examples
    --------
    >>> adjustment([[1.0], [1.0], [2.0]], [[2.0], [1.5], [2.0]], [0, 0, 1]).mean_difference
    array([0.5])
    """
    personal, codes, n = check_ratings(personalized, posts)
    common = check_matrix(consensus, "consensus")
    _check_same_shape(common, "consensus", personal, "personalized")
    differences = np.abs(common - personal)
    totals, counts = totals_by_post(differences, codes, n)
    n_rows, n_posts = counts.sum(axis=0), (counts > 0).sum(axis=0)
    mean = mean_of(totals.sum(axis=0), n_rows)
    squares = np.square(totals - counts * np.where(n_rows > 0, mean, 0.0)).sum(axis=0)
    variance = mean_of(squares * n_posts, (n_posts - 1) * np.square(n_rows))
    reasons = tuple("" if count else "no row has both predictions of this value" for count in n_rows)
    return Adjustment(
        mean_difference=mean,
        standard_error=np.sqrt(variance),
        n_rows=n_rows.astype(np.int64),
        n_posts=n_posts.astype(np.int64),
        reasons=reasons,
    )


def rank_correlation(per_value: ArrayLike, other: ArrayLike) -> RankCorrelation:
    """Spearman's rho between two figures that each value has, such as its adjustment and its crowd error.

    Parameters
    ----------
    per_value, other : array-like of shape (n_values,)
        One number per value; NaN where it does not exist.

    Returns
    -------
    RankCorrelation
        -1 to 1; NaN where fewer than three values have both numbers, or either is constant.

    Raises
    ------
    ValueError
        If the two are not vectors of one length.

    Examples
    --------
    >>> rank_correlation([0.1, 0.2, 0.9], [1, 2, 3]).rho
    1.0
    """
    a, b = np.asarray(per_value, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"per_value has shape {a.shape}, other {b.shape}: give one number per value in both")
    n_values = int((~np.isnan(a) & ~np.isnan(b)).sum())
    rho, reason = float("nan"), ""
    if n_values < 3:
        reason = f"{n_values} value(s) have both numbers; a rank correlation needs three"
    else:
        rho = float(spearman_rows([a], [b])[0])
        if np.isnan(rho):
            reason = "one of the two is the same for every value"
    return RankCorrelation(rho=rho, n_values=n_values, n_left_out=len(a) - n_values, reason=reason)


def personalization_gain(
    ratings: ArrayLike,
    raters: ArrayLike,
    personalized: ArrayLike,
    consensus: ArrayLike,
    n_raters: int | None = None,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> PersonalizationGain:
    """Each rater's mean rho with the personalized model less that with the consensus model, over the same rows.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row; NaN where a value was not shown.
    raters : array-like of int, shape (n_rows,)
        The rater of each row, coded 0..n_raters-1.
    personalized, consensus : array-like of shape (n_rows, n_values)
        What each model says for the row; NaN where it says nothing.
    n_raters : int, optional
        Number of raters; the largest code plus one if not given.
    rng, n_resamples, level
        As for `bootstrap_mean`; the raters are resampled.

    Returns
    -------
    PersonalizationGain
        A row enters where both rhos are defined. A rater without such a row has no gain.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a number is infinite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> personalization_gain([[0, 1, 2]], [0], [[0, 1, 2]], [[2, 1, 0]], rng=rng).per_rater
    array([2.])
    """
    rows, codes, n = _check_raters(ratings, raters, n_raters)
    with_personal = spearman_rows(rows, _as_predictions(personalized, "personalized", rows))
    with_common = spearman_rows(rows, _as_predictions(consensus, "consensus", rows))
    totals, counts = totals_by_post((with_personal - with_common)[:, np.newaxis], codes, n)
    per_rater = mean_of(totals[:, 0], counts[:, 0])
    interval = bootstrap_mean(per_rater, rng=rng, n_resamples=n_resamples, level=level)
    n_rows = counts[:, 0].astype(np.int64)
    return PersonalizationGain(
        per_rater=per_rater,
        n_rows=n_rows,
        n_rows_left_out=np.bincount(codes, minlength=n) - n_rows,
        mean=float(np.nanmean(per_rater)) if interval.n_units else float("nan"),
        interval=interval,
        reason="" if interval.n_units else "no row has a rank correlation with both models",
    )


def gain_by_group(
    gain: ArrayLike,
    labels: Sequence[str | None],
    *,
    rng: np.random.Generator,
    least: int = LEAST_RATERS,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> GroupedGain:
    """Mean gain of each group of raters that is large enough to speak of.

    Parameters
    ----------
    gain : array-like of shape (n_raters,)
        `PersonalizationGain.per_rater`; NaN where a rater has none.
    labels : sequence of str or None
        The group of each rater; None where it is not known.
    rng, n_resamples, level
        As for `bootstrap_mean`; the raters of a group are resampled.
    least : int
        Groups of fewer raters with a gain are only counted, all together.

    Returns
    -------
    GroupedGain

    Raises
    ------
    ValueError
        If there is not one label per rater, or `least` is below 1.

    Examples
    --------
    >>> grouped = gain_by_group([1.0, 3.0, 9.0], ["a", "a", "b"], rng=np.random.default_rng(0), least=2)
    >>> [(group.label, group.mean) for group in grouped.groups], grouped.n_small
    ([('a', 2.0)], 1)
    """
    gains = _as_gain(gain)
    _check_labels(labels, "labels", len(gains))
    _check_least(least)
    has_gain = ~np.isnan(gains)
    members: dict[str, list[float]] = {}
    for label, one in zip(labels, gains, strict=True):
        if label is not None and one == one:
            members.setdefault(label, []).append(float(one))
    shown = sorted((g for g in members.items() if len(g[1]) >= least), key=lambda g: (-len(g[1]), g[0]))
    n_labelled = sum(len(own) for own in members.values())
    return GroupedGain(
        groups=tuple(
            GroupGain(
                label=label,
                n_raters=len(own),
                mean=float(np.mean(own)),
                interval=bootstrap_mean(own, rng=rng, n_resamples=n_resamples, level=level),
            )
            for label, own in shown
        ),
        n_small=n_labelled - sum(len(own) for _, own in shown),
        n_unlabelled=int(has_gain.sum()) - n_labelled,
        n_without_gain=int((~has_gain).sum()),
    )


def gain_regression(
    gain: ArrayLike,
    groups: Mapping[str, Sequence[str | None]],
    numbers: Mapping[str, ArrayLike],
    *,
    least: int = LEAST_RATERS,
    ci_level: float = 0.95,
) -> Regression:
    """Regress raters' gains on who they are, with classical errors.

    Parameters
    ----------
    gain : array-like of shape (n_raters,)
        `PersonalizationGain.per_rater`; NaN where a rater has none.
    groups : mapping of str to sequence of str or None
        By question, each rater's answer; coded against the most frequent answer.
    numbers : mapping of str to array-like of shape (n_raters,)
        By question, each rater's number; NaN where it is not known.
    least : int
        Raters whose answer fewer than this many of the raters who enter gave are left out.
    ci_level : float
        As for `ols`.

    Returns
    -------
    Regression
        One row per rater; terms are named "party: right (not left)". A question of which fewer than
        two answers remain has no term and is named in `reason`.

    Raises
    ------
    ValueError
        If there is not one answer or number per rater, or as for `ols`.

    Examples
    --------
    >>> gain_regression([0.1, 0.3, 0.2, 0.5], {}, {"age": [20, 30, 40, 50]}).n_rows
    4
    """
    gains = _as_gain(gain)
    known = _covariates(groups, numbers, ~np.isnan(gains), least)
    outcome = np.where(known.enters, gains, np.nan)
    return _with_missing(ols(outcome, known.columns, known.names, ci_level=ci_level), known.missing)


def value_projection(
    ratings: ArrayLike,
    raters: ArrayLike,
    own_scores: ArrayLike,
    groups: Mapping[str, Sequence[str | None]],
    numbers: Mapping[str, ArrayLike],
    *,
    least: int = LEAST_RATERS,
    ci_level: float = 0.95,
) -> list[Regression]:
    """For each value, regress its ratings on the raters' own score for it and on who they are.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, in scale units; NaN where a value was not shown.
    raters : array-like of int, shape (n_rows,)
        The rater of each row, coded 0..n_raters-1.
    own_scores : array-like of shape (n_raters, n_values)
        How much the rater holds each value, in the units of its questionnaire; NaN where not known.
    groups, numbers, least, ci_level
        As for `gain_regression`, one entry per rater.

    Returns
    -------
    list of Regression
        One per value, with errors clustered by rater; the own score is the term `OWN_SCORE`.

    Raises
    ------
    ValueError
        If shapes, codes or numbers of entries do not fit each other, or as for `ols`.

    Examples
    --------
    >>> fit = value_projection([[0], [2], [4]], [0, 1, 2], [[1], [2], [3]], {}, {})[0]
    >>> fit.n_clusters, fit.reason
    (3, 'the terms give every outcome exactly, so there is no error to estimate')
    """
    own = check_matrix(own_scores, "own_scores")
    rows, codes, n = _check_raters(ratings, raters, len(own))
    if own.shape[1] != rows.shape[1]:
        raise ValueError(
            f"own_scores has {own.shape[1]} value(s), ratings {rows.shape[1]}: give both the same"
        )
    totals, n_rated = totals_by_post(rows, codes, n)
    means = mean_of(totals, n_rated)
    fits = []
    for value in range(rows.shape[1]):
        score = own[:, value]
        known = _covariates(groups, numbers, ~np.isnan(score) & (n_rated[:, value] > 0), least)
        # Nothing in the design differs between rows of one rater, so that raters' means and spread suffice.
        distances = np.nan_to_num(rows[:, value] - means[codes, value])
        fit = ols(
            means[:, value],
            np.column_stack([np.where(known.enters, score, np.nan), known.columns]),
            [OWN_SCORE, *known.names],
            clusters=np.arange(n),
            counts=n_rated[:, value],
            squares=np.bincount(codes, np.square(distances), n),
            ci_level=ci_level,
        )
        fit = replace(fit, n_left_out=len(rows) - fit.n_rows)
        if np.isnan(score).all():
            fit = replace(fit, reason="no rater has a score of their own for this value")
        fits.append(_with_missing(fit, known.missing))
    return fits


def screening_effect(
    ratings: ArrayLike,
    posts: ArrayLike,
    screening: ArrayLike,
    threshold: float = 4,
    *,
    ci_level: float = 0.95,
) -> ScreeningEffect:
    """Whether people rate a value higher on the posts that were screened in for it.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row, in scale units; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1.
    screening : array-like of shape (n_posts, n_values)
        The score by which posts were chosen; NaN where a post has none.
    threshold : float
        A post is screened in for a value from this score on.
    ci_level : float
        Level of the interval of the difference, between 0 and 1.

    Returns
    -------
    ScreeningEffect
        The unit is the post, its rating the mean over its raters. The test is NaN below two posts on
        either side, or where neither side varies.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a number is infinite, or `ci_level` is not between 0 and 1.

    References
    ----------
    Welch (1947), Biometrika 34(1/2), 28-35.

    Examples
    --------
    >>> effect = screening_effect([[1], [2], [4], [5]], [0, 1, 2, 3], [[0], [0], [6], [6]])
    >>> effect.difference, effect.p.round(4)
    (array([3.]), array([0.0513]))
    """
    check_level(ci_level)
    scores = check_matrix(screening, "screening")
    rows, codes, n = check_ratings(ratings, posts, len(scores))
    if scores.shape[1] != rows.shape[1]:
        raise ValueError(
            f"screening has {scores.shape[1]} value(s), ratings {rows.shape[1]}: give both the same"
        )
    by_post = mean_of(*totals_by_post(rows, codes, n))
    known = ~np.isnan(by_post) & ~np.isnan(scores)
    inside = known & (np.nan_to_num(scores, nan=-np.inf) >= threshold)
    (n_in, mean_in, error_in), (n_out, mean_out, error_out) = (
        _mean_and_error(by_post, side) for side in (inside, known & ~inside)
    )
    difference, error = mean_in - mean_out, error_in + error_out
    tested = error > 0
    error = np.where(tested, error, np.nan)
    df = np.square(error) / (np.square(error_in) / (n_in - 1) + np.square(error_out) / (n_out - 1))
    statistic, p, low, high = t_interval(difference, np.sqrt(error), df, ci_level)
    reasons = [
        ""
        if tested[v]
        else f"{n_in[v]} post(s) screened in and {n_out[v]} out: the test needs two of each"
        if min(n_in[v], n_out[v]) < 2
        else "all posts of one side have the same mean rating, and so have all of the other"
        for v in range(rows.shape[1])
    ]
    return ScreeningEffect(
        mean_in=mean_in,
        mean_out=mean_out,
        difference=difference,
        low=low,
        high=high,
        statistic=statistic,
        df=df,
        p=p,
        n_in=n_in,
        n_out=n_out,
        n_left_out=n - n_in - n_out,
        reasons=tuple(reasons),
    )


def holm(p_values: ArrayLike) -> Vector:
    """Adjust p values of several tests so that one false alarm among them is no likelier than for one.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        From 0 to 1; NaN where there was no test, which does not count as one.

    Returns
    -------
    ndarray of shape (n_tests,)
        Holm's step-down p values, at most 1; NaN stays NaN.

    Raises
    ------
    ValueError
        If `p_values` is not a vector of numbers from 0 to 1.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, float("nan")]).round(10)
    array([0.03, 0.06, 0.06,  nan])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values has shape {p.shape} or a number outside 0 to 1: give one p per test")
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _covariates(
    groups: Mapping[str, Sequence[str | None]],
    numbers: Mapping[str, ArrayLike],
    candidates: NDArray[np.bool_],
    least: int,
) -> _Covariates:
    """Code what is known of the raters among `candidates` of whom all of it is known."""
    _check_least(least)
    enters, n_raters = candidates.copy(), len(candidates)
    columns: list[Vector] = [np.empty((n_raters, 0))]
    names: list[str] = []
    for name, given in numbers.items():
        column = np.asarray(given, dtype=np.float64)
        if column.shape != (n_raters,):
            raise ValueError(f"numbers['{name}'] has shape {column.shape}: give one number per rater")
        enters &= ~np.isnan(column)
        columns.append(column[:, np.newaxis])
        names.append(name)
    for name, labels in groups.items():
        _check_labels(labels, f"groups['{name}']", n_raters)
    # A question that nobody's answers can be compared on must not cost the raters who did not answer it.
    usable = {name: labels for name, labels in groups.items() if len(_large(labels, enters, least)) > 1}
    # Leaving out the raters of one small group can make another group small: repeat until nothing changes.
    n_before = -1
    while n_before != enters.sum():
        n_before = int(enters.sum())
        for labels in usable.values():
            large = _large(labels, enters, least)
            enters &= np.array([label in large for label in labels], dtype=bool)
    missing = [name for name in groups if name not in usable]
    for name, labels in usable.items():
        kept = [label if one else None for label, one in zip(labels, enters, strict=True)]
        # One reference for all values, so that their coefficients can be compared.
        reference = most_frequent(labels) if most_frequent(labels) in kept else most_frequent(kept)
        matrix, others = dummies(kept, reference)
        if not others:
            missing.append(name)
        columns.append(matrix)
        names += [f"{name}: {label} (not {reference})" for label in others]
    return _Covariates(enters, np.column_stack(columns), names, missing)


def _large(labels: Sequence[str | None], enters: NDArray[np.bool_], least: int) -> set[str]:
    """Labels that at least so many of the raters who enter have."""
    sizes = Counter(label for label, one in zip(labels, enters, strict=True) if one and label is not None)
    return {label for label, size in sizes.items() if size >= least}


def _with_missing(fit: Regression, missing: list[str]) -> Regression:
    if not missing:
        return fit
    note = f"left out, as fewer than two answers are given by enough raters: {', '.join(missing)}"
    return replace(fit, reason=f"{fit.reason}; {note}" if fit.reason else note)


def _mean_and_error(by_post: Vector, side: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Vector, Vector]:
    """Number of posts, mean and squared standard error of each column over the posts of one side."""
    n = side.sum(axis=0).astype(np.int64)
    mean = mean_of(np.where(side, by_post, 0.0).sum(axis=0), n.astype(np.float64))
    squares = np.square(np.where(side, by_post - mean, 0.0)).sum(axis=0)
    return n, mean, mean_of(squares, (n * (n - 1)).astype(np.float64))


def _check_raters(
    ratings: ArrayLike, raters: ArrayLike, n_raters: int | None
) -> tuple[Vector, NDArray[np.int64], int]:
    try:
        return check_ratings(ratings, raters, n_raters)
    except ValueError as error:
        raise ValueError(str(error).replace("posts", "raters").replace("post code", "rater code")) from None


def _as_predictions(predictions: ArrayLike, name: str, rows: Vector) -> Vector:
    matrix = check_matrix(predictions, name)
    _check_same_shape(matrix, name, rows, "ratings")
    return matrix


def _check_same_shape(a: Vector, name_a: str, b: Vector, name_b: str) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"{name_a} has shape {a.shape}, {name_b} {b.shape}: give both for the same rows and values"
        )


def _as_gain(gain: ArrayLike) -> Vector:
    gains = np.asarray(gain, dtype=np.float64)
    if gains.ndim != 1:
        raise ValueError(
            f"gain has {gains.ndim} dimension(s): give one number per rater, PersonalizationGain.per_rater"
        )
    return gains


def _check_labels(labels: Sequence[str | None], name: str, n_raters: int) -> None:
    if len(labels) != n_raters:
        raise ValueError(
            f"{name} has {len(labels)} label(s) for {n_raters} rater(s): give one per rater, or None"
        )


def _check_least(least: int) -> None:
    if least < 1:
        raise ValueError(f"least is {least}: give at least 1 rater")
