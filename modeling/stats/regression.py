"""Ordinary least squares, with errors that allow for many rows from one rater."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from modeling.stats.consensus import check_matrix

INTERCEPT = "intercept"
# A column whose part outside the span of the columns before it is shorter than this share of it is redundant.
RANK_TOLERANCE = 1e-9
# A variance this small beside the classical one is float error around zero.
VARIANCE_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Term:
    """One coefficient. `df` are the degrees of freedom of its t statistic; what does not exist is NaN."""

    name: str
    estimate: float
    standard_error: float
    statistic: float
    df: float
    p: float
    low: float
    high: float


@dataclass(frozen=True)
class Regression:
    """A fitted regression, or the reason why there is none.

    Attributes
    ----------
    terms : tuple of Term
        The intercept, then one per column of the design.
    n_rows, n_left_out : int
        Rows that entered; rows left out because something in them is missing.
    n_clusters : int or None
        Clusters among the rows that entered; None if errors are classical.
    r_squared : float
        Share of the outcome's variance explained, from 0 to 1, not adjusted.
    ci_level : float
        Level of the terms' intervals.
    reason : str
        Empty if everything exists, else why terms are NaN.
    """

    terms: tuple[Term, ...]
    n_rows: int
    n_clusters: int | None
    n_left_out: int
    r_squared: float
    ci_level: float
    reason: str

    def term(self, name: str) -> Term:
        """The term called `name`; KeyError if there is none."""
        for term in self.terms:
            if term.name == name:
                return term
        raise KeyError(name)


def ols(
    outcome: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    *,
    clusters: ArrayLike | None = None,
    counts: ArrayLike | None = None,
    squares: ArrayLike | None = None,
    ci_level: float = 0.95,
) -> Regression:
    """Regress an outcome on columns and an intercept by ordinary least squares.

    Parameters
    ----------
    outcome : array-like of shape (n_rows in all,)
        NaN where it is missing.
    design : array-like of shape (n_rows in all, n_columns)
        The predictors *without* a column of ones: the intercept is always added, first. NaN where one
        is missing. No column at all leaves the intercept alone, the mean.
    names : sequence of str
        One per column, none twice.
    clusters : array-like of shape (n_rows in all,), optional
        Whom each row is from: integers or strings. With them errors are cluster-robust (CR1).
    counts, squares : array-like of shape (n_rows in all,), optional
        For rows that each stand for several with one design and in one cluster: how many, and the sum
        of their squared distances from their mean, which is the outcome. The fit is that of them all.
    ci_level : float
        Level of the t intervals, between 0 and 1.

    Returns
    -------
    Regression
        Estimates in units of the outcome per unit of the column. Without clusters errors are
        classical, with n - p degrees of freedom. With G clusters they are CR1: the sandwich of the
        clusters' summed scores times G / (G - 1) * (n - 1) / (n - p), with G - 1 degrees of freedom.
        Rows in which anything is missing are left out and counted. All terms are NaN, with the
        reason, where a column is redundant, where rows do not outnumber terms, where clusters do not,
        where the outcome does not vary or is fitted without error. The error of one term is NaN, with
        the reason, where one cluster alone decides it (CR1 would take that cluster for certain) or
        where CR1 is zero.

    Raises
    ------
    ValueError
        If shapes or names do not fit each other, a number is infinite, a cluster is a float, or
        `ci_level` is not between 0 and 1.

    References
    ----------
    Liang and Zeger (1986), Biometrika 73(1), 13-22; the small-sample factor and the degrees of freedom
    as in Cameron and Miller (2015), Journal of Human Resources 50(2), 317-372.

    Examples
    --------
    >>> fit = ols([1.0, 3.0, 2.0, 5.0], [[0], [1], [2], [3]], ["steps"])
    >>> [round(term.estimate, 3) for term in fit.terms], round(fit.term("steps").p, 3)
    ([1.1, 1.1], 0.168)
    """
    y, columns, groups = _check(outcome, design, names, clusters, ci_level)
    n_each = _check_each(counts, 1.0, y, "counts")
    complete = ~np.isnan(y) & ~np.isnan(columns).any(axis=1) & (n_each > 0)
    within = float(_check_each(squares, 0.0, y, "squares")[complete].sum())
    n_left_out, n_each = int(n_each[~complete].sum()), n_each[complete]
    y = y[complete]
    x = np.column_stack([np.ones(len(y)), columns[complete]])
    all_names = [INTERCEPT, *names]
    n_rows, n_terms = int(n_each.sum()), x.shape[1]
    members, n_clusters = None, None
    if groups is not None:
        labels, members = np.unique(groups[complete], return_inverse=True)
        n_clusters = len(labels)

    def nothing(reason: str) -> Regression:
        nan = float("nan")
        terms = tuple(Term(name, nan, nan, nan, nan, nan, nan, nan) for name in all_names)
        return Regression(terms, n_rows, n_clusters, n_left_out, nan, ci_level, reason)

    if n_rows <= n_terms:
        return nothing(f"{n_rows} complete row(s) for {n_terms} term(s): the error cannot be estimated")
    if n_clusters is not None and n_clusters <= n_terms:
        return nothing(f"{n_clusters} cluster(s) for {n_terms} term(s): the error cannot be estimated")
    if y.max() == y.min() and not within:
        return nothing("the outcome is the same in every row")
    weight = np.sqrt(n_each)
    q, r = np.linalg.qr(x * weight[:, np.newaxis])
    if len(y) < n_terms or (np.abs(np.diag(r)) <= RANK_TOLERANCE * np.linalg.norm(r, axis=0)).any():
        quoted = ", ".join(f"'{all_names[j]}'" for j in _redundant(x))
        return nothing(f"the same in every row, or a combination of the terms before it: {quoted}")

    inverse = np.linalg.solve(r, np.eye(n_terms))
    bread = inverse @ inverse.T
    estimates = inverse @ (q.T @ (y * weight))
    residuals = y - x @ estimates
    rss = float(n_each @ np.square(residuals)) + within
    tss = float(n_each @ np.square(y - n_each @ y / n_rows)) + within
    if rss <= VARIANCE_TOLERANCE * tss:
        return nothing("the terms give every outcome exactly, so there is no error to estimate")

    classical = np.diag(bread) * rss / (n_rows - n_terms)
    reason = ""
    if members is None or n_clusters is None:
        variances, df = classical, n_rows - n_terms
    else:
        scores = x * (n_each * residuals)[:, np.newaxis]
        summed = np.stack([np.bincount(members, column, n_clusters) for column in scores.T], axis=1) @ bread
        factor = n_clusters / (n_clusters - 1) * (n_rows - 1) / (n_rows - n_terms)
        variances, df = factor * np.square(summed).sum(axis=0), n_clusters - 1
        unknown = _rests_on_one_cluster(q, inverse, members) | (variances <= VARIANCE_TOLERANCE * classical)
        if unknown.any():
            quoted = ", ".join(f"'{all_names[j]}'" for j in np.flatnonzero(unknown))
            reason = (
                f"the clusters do not differ in it, or one alone decides it, so it has no error: {quoted}"
            )
            variances = np.where(unknown, np.nan, variances)
    terms = _terms(all_names, estimates, np.sqrt(variances), df, ci_level)
    return Regression(terms, n_rows, n_clusters, n_left_out, 1 - rss / tss, ci_level, reason)


def dummies(
    labels: Sequence[str | None], reference: str | None = None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Code labels as columns of 0 and 1, one for each label but the reference.

    Parameters
    ----------
    labels : sequence of str or None
        One per row; None where it is not known.
    reference : str, optional
        The label that the others are compared with; the most frequent if not given.

    Returns
    -------
    matrix : ndarray of shape (n_rows, n_labels - 1)
        NaN throughout a row without a label.
    names : tuple of str
        The label of each column, in alphabetical order.

    Raises
    ------
    ValueError
        If no row has `reference`.

    Examples
    --------
    >>> matrix, names = dummies(["left", "right", "left", None])
    >>> names, matrix.tolist()
    (('right',), [[0.0], [1.0], [0.0], [nan]])
    """
    known = sorted({label for label in labels if label is not None})
    if reference is None:
        reference = most_frequent(labels)
    elif reference not in known:
        raise ValueError(f"reference is '{reference}', which no row has: choose one of {known}")
    names = tuple(label for label in known if label != reference)
    column = {label: j for j, label in enumerate(names)}
    matrix = np.zeros((len(labels), len(names)))
    for row, label in enumerate(labels):
        if label is None:
            matrix[row] = np.nan
        elif label != reference:
            matrix[row, column[label]] = 1.0
    return matrix, names


def most_frequent(labels: Sequence[str | None]) -> str | None:
    """The label that most rows have, of equals the first in the alphabet; None if no row has one.

    Examples
    --------
    >>> most_frequent(["b", "a", None, "b", "a"])
    'a'
    """
    counts = Counter(label for label in labels if label is not None)
    return min(counts, key=lambda label: (-counts[label], label), default=None)


def t_interval(
    estimates: NDArray[np.float64],
    standard_errors: NDArray[np.float64],
    df: ArrayLike,
    ci_level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Statistic, two-sided p, low and high end of estimates with t errors; NaN where one of these is NaN."""
    freedom = np.asarray(df, dtype=np.float64)
    statistic = estimates / standard_errors
    p = 2 * special.stdtr(freedom, -np.abs(statistic))
    half = special.stdtrit(freedom, (1 + ci_level) / 2) * standard_errors
    return statistic, p, estimates - half, estimates + half


def check_level(ci_level: float) -> None:
    """Raise ValueError unless the level lies between 0 and 1."""
    if not 0 < ci_level < 1:
        raise ValueError(f"ci_level is {ci_level}: give a share between 0 and 1, such as 0.95")


def _check(
    outcome: ArrayLike,
    design: ArrayLike,
    names: Sequence[str],
    clusters: ArrayLike | None,
    ci_level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.generic] | None]:
    check_level(ci_level)
    y = np.asarray(outcome, dtype=np.float64)
    if y.ndim != 1 or np.isinf(y).any():
        raise ValueError(f"outcome has shape {y.shape} or an infinite number: give one finite number per row")
    columns = np.asarray(design, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[0] != len(y):
        raise ValueError(
            f"design has shape {columns.shape} for {len(y)} outcome(s): give one row per outcome"
        )
    if columns.shape[1]:
        columns = check_matrix(columns, "design")
    if len(names) != columns.shape[1]:
        raise ValueError(
            f"names has {len(names)} name(s) for {columns.shape[1]} column(s): give one per column"
        )
    repeated = [name for name, count in Counter([INTERCEPT, *names]).items() if count > 1]
    if repeated:
        raise ValueError(
            f"names holds '{repeated[0]}' twice, or the intercept's own: give each term one name"
        )
    if clusters is None:
        return y, columns, None
    groups = np.asarray(clusters)
    if groups.shape != y.shape:
        raise ValueError(f"clusters has shape {groups.shape} for {len(y)} outcome(s): give one per row")
    if groups.size and groups.dtype.kind not in "iuUS":
        raise ValueError(f"clusters has dtype {groups.dtype}: name the clusters by integers or strings")
    return y, columns, groups


def _check_each(
    given: ArrayLike | None, default: float, y: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    if given is None:
        return np.full(len(y), default)
    each = np.asarray(given, dtype=np.float64)
    if each.shape != y.shape or not (np.isfinite(each) & (each >= 0)).all():
        raise ValueError(
            f"{name} has shape {each.shape} or a number below 0: give one for each of {len(y)} rows"
        )
    return each


def _redundant(x: NDArray[np.float64]) -> list[int]:
    """Columns that are linear combinations of the columns before them."""
    basis = np.empty((len(x), 0))
    redundant = []
    for j, column in enumerate(x.T):
        # Twice, because one projection leaves float error along the basis.
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        length = np.linalg.norm(rest)
        if length <= RANK_TOLERANCE * np.linalg.norm(column):
            redundant.append(j)
        else:
            basis = np.column_stack([basis, rest / length])
    return redundant


def _rests_on_one_cluster(
    q: NDArray[np.float64], inverse: NDArray[np.float64], members: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Which terms could not be estimated if some one cluster were left out.

    `q` is an orthonormal basis of the design, `inverse` leads from coordinates in it to the terms.
    """
    rests = np.zeros(q.shape[1], dtype=bool)
    leverage = np.bincount(members, np.square(q).sum(axis=1))
    # A cluster that holds all there is of some direction has a leverage of at least 1: few do.
    for cluster in np.flatnonzero(leverage > 1 - RANK_TOLERANCE):
        own = q[members == cluster]
        shares, directions = np.linalg.eigh(own.T @ own)
        lost = inverse @ directions[:, shares > 1 - RANK_TOLERANCE]
        size = np.linalg.norm(inverse, axis=1, keepdims=True)
        rests |= (np.abs(lost) > np.sqrt(RANK_TOLERANCE) * size).any(axis=1)
    return rests


def _terms(
    names: Sequence[str],
    estimates: NDArray[np.float64],
    standard_errors: NDArray[np.float64],
    df: float,
    ci_level: float,
) -> tuple[Term, ...]:
    statistic, p, low, high = t_interval(estimates, standard_errors, df, ci_level)
    return tuple(
        Term(
            name=name,
            estimate=float(estimates[j]),
            standard_error=float(standard_errors[j]),
            statistic=float(statistic[j]),
            df=float(df),
            p=float(p[j]),
            low=float(low[j]),
            high=float(high[j]),
        )
        for j, name in enumerate(names)
    )
