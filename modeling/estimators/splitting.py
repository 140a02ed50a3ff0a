"""Which posts an estimator may see. Posts are held out, never single ratings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hold_out_posts(n_posts: int, share: float, *, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the holdout: True for each post whose ratings no estimator may see.

    Parameters
    ----------
    n_posts : int
        How many posts there are.
    share : float
        Share of posts to hold out, above 0 and below 1. At least one post lies on either side.

    Raises
    ------
    ValueError
        If there are fewer than two posts or the share is out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share of held-out posts must lie between 0 and 1, not {share}")
    if n_posts < 2:
        raise ValueError(f"holding posts out needs at least two posts, not {n_posts}")
    n_held_out = min(max(round(share * n_posts), 1), n_posts - 1)
    held_out = np.zeros(n_posts, dtype=np.bool_)
    held_out[rng.permutation(n_posts)[:n_held_out]] = True
    return held_out


def deal_folds(n_units: int, n_folds: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal units into folds of equal size, give or take one; returns each unit's fold.

    Raises ValueError for fewer than two folds.
    """
    if n_folds < 2:
        raise ValueError(f"cross-fitting needs at least two folds, not {n_folds}")
    folds = np.empty(n_units, dtype=np.intp)
    folds[rng.permutation(n_units)] = np.arange(n_units) % n_folds
    return folds
