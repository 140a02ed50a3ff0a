"""The categories of a scale: which there are, how nearly two of them agree, how often each is used."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from modeling.stats.consensus import Codes, Matrix

Weights = Literal["identity", "linear", "quadratic", "ordinal"]
Scale = tuple[int, int]

# Tables have a column per category; ratings with more distinct numbers than this are a measurement.
MOST_CATEGORIES = 101


def agreement_weights(categories: ArrayLike, weights: Weights) -> Matrix:
    """How nearly each two categories agree: 1 for the same, 0 for the two ends (identity: 0 for any two).

    Parameters
    ----------
    categories : array-like of shape (n_categories,)
        Ascending.
    weights : {"identity", "linear", "quadratic", "ordinal"}
        Linear and quadratic go by the distance between the numbers, 1 - d and 1 - d^2 with d relative to
        the whole range; ordinal by places alone, 1 - C(|k - l| + 1, 2) / C(n_categories, 2).

    Returns
    -------
    ndarray of shape (n_categories, n_categories)

    Raises
    ------
    ValueError
        If `weights` is not one of the names.

    References
    ----------
    Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition, chapter 3.

    Examples
    --------
    >>> agreement_weights([1, 2, 3], "ordinal").round(3)[0]
    array([1.   , 0.667, 0.   ])
    """
    if weights not in get_args(Weights):
        raise ValueError(f"weights is {weights!r}: give one of {', '.join(get_args(Weights))}")
    numbers = np.asarray(categories, dtype=np.float64)
    if weights == "identity" or len(numbers) < 2:
        return np.eye(len(numbers))
    if weights == "ordinal":
        places = np.arange(len(numbers), dtype=np.float64)
        apart = np.abs(places[:, np.newaxis] - places)
        apart = apart * (apart + 1)
    else:
        apart = np.abs(numbers[:, np.newaxis] - numbers)
        if weights == "quadratic":
            apart = np.square(apart)
    return np.asarray(1 - apart / apart.max(), dtype=np.float64)


def find_categories(ratings: Matrix, scale: Scale | None) -> Matrix:
    """Return the categories, ascending, after checking that every rating is one of them.

    They are the whole numbers of `scale`, or, without one, the numbers found anywhere in `ratings`.

    Raises
    ------
    ValueError
        If the scale runs downwards, a rating is not one of its whole numbers, or there are more than
        101 categories.
    """
    if scale is None:
        categories = np.unique(np.concatenate([np.unique(column) for column in ratings.T]))
        categories = categories[~np.isnan(categories)]
    else:
        low, high = scale
        if low > high:
            raise ValueError(f"scale is ({low}, {high}): give the lowest rating first")
        categories = np.arange(low, high + 1, dtype=np.float64)
        for value, column in enumerate(ratings.T):
            off = ~(np.isnan(column) | ((column >= low) & (column <= high) & (column == np.floor(column))))
            if off.any():
                row = int(off.argmax())
                raise ValueError(
                    f"ratings[{row}, {value}] is {column[row]:g}: "
                    f"the scale has the whole numbers from {low} to {high}"
                )
    if len(categories) > MOST_CATEGORIES:
        raise ValueError(
            f"there are {len(categories)} categories, at most {MOST_CATEGORIES} are counted: round the ratings, "
            "or use a coefficient for measurements such as the intraclass correlation"
        )
    return np.asarray(categories, dtype=np.float64)


def places_among(categories: Matrix, column: Matrix) -> Codes:
    """Place of each rating among the categories; -1 where it is missing."""
    if categories.size and (np.diff(categories) == 1).all():  # a scale: the place is a subtraction
        return np.where(np.isnan(column), -1, column - categories[0]).astype(np.int64)
    return np.where(np.isnan(column), -1, np.searchsorted(categories, column)).astype(np.int64)


def count_places(groups: Codes, places: Codes, n_groups: int, n_categories: int) -> Matrix:
    """How often each place occurs in each group; shape (n_groups, n_categories)."""
    counts = np.bincount(groups * n_categories + places, minlength=n_groups * n_categories)
    return counts.reshape(n_groups, n_categories).astype(np.float64)
