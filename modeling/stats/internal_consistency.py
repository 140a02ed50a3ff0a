"""Internal consistency: whether the items of a questionnaire's scale go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtri

from modeling.stats.consensus import check_matrix

# A total whose variance is this small beside its items' is constant but for float error.
CONSTANT_TOTAL = 1e-12


@dataclass(frozen=True)
class CronbachAlpha:
    """Cronbach's alpha of one scale, with Feldt's interval.

    Attributes
    ----------
    cronbach_alpha : float
        At most 1; NaN where it does not exist.
    low, high : float
        Ends of the interval; NaN where `cronbach_alpha` is.
    ci_level : float
        Coverage aimed at.
    n_people, n_items : int
        What entered.
    n_left_out : int
        People left out because they did not answer every item.
    reason : str
        Why there is no alpha; "" where there is one.
    """

    cronbach_alpha: float
    low: float
    high: float
    ci_level: float
    n_people: int
    n_items: int
    n_left_out: int
    reason: str


def cronbach_alpha(items: ArrayLike, *, ci_level: float = 0.95) -> CronbachAlpha:
    """Cronbach's alpha over the people who answered every item.

    Parameters
    ----------
    items : array-like of shape (n_people, n_items)
        Answers, all keyed in one direction: turn reversed items round before. NaN where not answered.
    ci_level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    CronbachAlpha
        With k items, k / (k - 1) * (1 - sum of the items' variances / variance of their sum).

    Raises
    ------
    ValueError
        If `items` is not two-dimensional, has no column or holds an infinite number, or `ci_level` is not
        between 0 and 1.

    References
    ----------
    Cronbach (1951), Psychometrika 16(3), 297-334; interval: Feldt (1965), Psychometrika 30(3), 357-370.

    Examples
    --------
    >>> round(cronbach_alpha([[1, 2], [2, 2], [4, 5], [5, 4]]).cronbach_alpha, 4)
    0.9106
    """
    answers = check_matrix(items, "items")
    if not 0 < ci_level < 1:
        raise ValueError(f"ci_level is {ci_level}: give a share between 0 and 1, such as 0.95")
    complete = answers[~np.isnan(answers).any(axis=1)]
    n_people, n_items = complete.shape
    alpha = low = high = float("nan")
    reason = ""
    if n_items < 2:
        reason = "a scale of one item has no internal consistency"
    elif n_people < 2:
        reason = "fewer than two people answered every item"
    else:
        of_items = float(complete.var(axis=0, ddof=1).sum())
        of_total = float(complete.sum(axis=1).var(ddof=1))
        if of_total <= CONSTANT_TOTAL * of_items:
            reason = "everyone has the same total"
        else:
            alpha = n_items / (n_items - 1) * (1 - of_items / of_total)
            tail, df = (1 - ci_level) / 2, n_people - 1
            low = 1 - (1 - alpha) * float(fdtri(df, df * (n_items - 1), 1 - tail))
            high = 1 - (1 - alpha) * float(fdtri(df, df * (n_items - 1), tail))
    return CronbachAlpha(alpha, low, high, ci_level, n_people, n_items, len(answers) - n_people, reason)
