"""Presences of values in posts: 1 where a value is expressed, 0 where not, NaN where nobody knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.consensus import check_matrix

Floats = NDArray[np.float64]


def read_presences(presences: ArrayLike, name: str) -> Floats:
    """Return presences as floats; of shape (n_posts, n_values).

    Raises
    ------
    ValueError
        If there are not two dimensions, no value, or anything but 1, 0 and NaN.

    Examples
    --------
    >>> read_presences([[1, 0]], "truth")
    array([[1., 0.]])
    """
    given = check_matrix(presences, name)
    wrong = ~(np.isnan(given) | (given == 0) | (given == 1))
    if wrong.any():
        row, value = (int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}[{row}, {value}] is {given[row, value]:g}: give 1 (expressed), 0 (not), or NaN (unknown)"
        )
    return given


def check_same_shape(truth: Floats, other: Floats, name: str) -> None:
    """Raise ValueError unless `other`, known as `name`, has one entry for each of the truth's."""
    if truth.shape != other.shape:
        raise ValueError(
            f"the truth has shape {truth.shape}, {name} {other.shape}: give both for the same posts and values"
        )


def find_one_class(n_true: Floats, n_posts: NDArray[np.int64]) -> tuple[tuple[int, str], ...]:
    """Values without posts of both kinds in the reference, and why each is left out of measures over values.

    `n_true` posts of `n_posts` express the value; both of shape (n_values,).

    Examples
    --------
    >>> find_one_class(np.array([0.0, 2.0]), np.array([3, 3]))
    ((0, 'the reference says it of none of 3 post(s)'),)
    """
    left_out = []
    for value, (yes, n) in enumerate(zip(n_true.astype(int), n_posts, strict=True)):
        if not n:
            left_out.append((value, "no post has a reference and a reading of it"))
        elif not yes:
            left_out.append((value, f"the reference says it of none of {n} post(s)"))
        elif yes == n:
            left_out.append((value, f"the reference says it of all {n} post(s)"))
    return tuple(left_out)
