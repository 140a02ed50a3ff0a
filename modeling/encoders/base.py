"""What every encoder can do, and what it is taught by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Arrays = dict[str, NDArray[Any]]
Distributions = NDArray[np.float32]
OnProgress = Callable[[int, int, str], None]
SUM_SLACK = 1e-3  # by which a distribution's sum may miss 1


class Encoder(Protocol):
    """A model that reads a text and says, for each value, how likely each point of the scale is."""

    @property
    def points(self) -> NDArray[np.float64]:
        """The points of the scale, lowest first."""

    def predict(self, texts: Sequence[str]) -> Distributions:
        """Return distributions of shape (n_texts, n_values, n_points); each sums to 1."""

    def pack(self) -> Arrays:
        """Return plain arrays, "format" among them, from which `files.unpack` makes the same encoder again."""


Lessons = tuple[Sequence[str], NDArray[Any]]  # texts, and the distributions wanted of them


def check_lessons(texts: Sequence[str], targets: ArrayLike, points: ArrayLike) -> Distributions:
    """Return the targets as float32, each distribution summing to 1 or NaN throughout.

    Parameters
    ----------
    texts : n strings
    targets : array-like of shape (n, n_values, n_points); NaN in all points of a (post, value) without a label
    points : array-like of shape (n_points,), the ratings of the scale, increasing

    Raises
    ------
    ValueError
        If shapes do not fit one another, a distribution is negative, has gaps or does not sum to 1, the points do
        not increase, or there is no label at all.
    """
    scale = np.asarray(points, dtype=np.float64)
    found = np.asarray(targets, dtype=np.float32)
    if found.ndim != 3 or found.shape[0] != len(texts) or scale.ndim != 1 or found.shape[2] != len(scale):
        raise ValueError(
            f"{len(texts)} texts and {scale.size} points do not fit labels of shape {found.shape}; "
            "give labels of shape (texts, values, points)"
        )
    if len(scale) < 2 or not (np.diff(scale) > 0).all():
        raise ValueError("the points of the scale must increase, and there must be two or more")
    is_gap = np.isnan(found)
    if (is_gap.any(axis=2) != is_gap.all(axis=2)).any():
        raise ValueError(
            "a label is given for some points of the scale only; give all of them, or NaN for all"
        )
    sums = found.sum(axis=2)
    is_bad = ~is_gap[:, :, 0] & ((found.min(axis=2) < 0) | ~(np.abs(sums - 1) < SUM_SLACK))
    if is_bad.any():
        post, value = (int(place[0]) for place in np.nonzero(is_bad))
        raise ValueError(
            f"the label of text {post} for value {value} is no distribution: {found[post, value].tolist()}"
        )
    if is_gap.all():
        raise ValueError("no text has a label for any value; there is nothing to teach")
    return np.asarray(found / sums[:, :, None], dtype=np.float32)


def read_scale(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return the points of the scale of packed arrays. Raises ValueError when there are none."""
    points = np.asarray(arrays["points"], dtype=np.float64)
    if points.ndim != 1 or len(points) < 2 or not (np.diff(points) > 0).all():
        raise ValueError(f"the points of the scale are not increasing: {points.tolist()}")
    return points
