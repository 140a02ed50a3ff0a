"""Hard labels: of each distribution only the likeliest rating."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIE = 1e-6  # probabilities that differ by less are tied


def harden(targets: ArrayLike, points: ArrayLike | None = None) -> NDArray[np.float32]:
    """Return each distribution with all its weight on its mode.

    Of tied modes the one nearest to the mean is taken, then the lower.

    Parameters
    ----------
    targets : array-like of shape (..., n_points), lowest point first; NaN stays NaN
    points : array-like of shape (n_points,), for the mean; 0, 1, ... when None

    Raises
    ------
    ValueError
        If there are not as many points as the distributions have.

    Examples
    --------
    >>> harden([[0.5, 0.0, 0.5, 0.0], [0.2, 0.1, 0.3, 0.4]]).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    given = np.asarray(targets, dtype=np.float32)
    scale = (
        np.arange(given.shape[-1], dtype=np.float64) if points is None else np.asarray(points, dtype=float)
    )
    if scale.shape != (given.shape[-1],):
        raise ValueError(
            f"distributions over {given.shape[-1]} points do not fit {scale.size} points of a scale"
        )
    is_gap = np.asarray(np.isnan(given).any(axis=-1))
    filled = np.where(is_gap[..., None], 0, given)
    means = filled @ scale
    is_mode = filled >= filled.max(axis=-1, keepdims=True) - TIE
    # Rounding keeps two points that lie equally far from the mean a tie, which the lower wins.
    distance = np.where(is_mode, np.round(np.abs(scale - means[..., None]), 5), np.inf)
    hard = np.asarray(np.arange(len(scale)) == distance.argmin(axis=-1)[..., None], dtype=np.float32)
    hard[is_gap] = np.nan
    return hard
