"""What a rater's other ratings say about them: by how much they rate above or below the consensus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modeling.estimators.splitting import deal_folds

from .base import Floats, Ints, Rows


def mean_residuals(rows: Rows, *, seed: int) -> tuple[Floats, Floats]:
    """Return each rater's mean residual per value (rating minus consensus), for rows and for other posts.

    A row must not meet its own rating here. The posts are dealt into two halves, and a row is given the residuals
    of the half that it does not lie in; for posts that are no rows, those of both halves serve.

    Returns
    -------
    per_row : ndarray of shape (n_rows, n_values)
    per_rater : ndarray of shape (n_raters, n_values)
        NaN where a rater has no residual of a value to average.
    """
    places = np.unique(rows.posts, return_inverse=True)[1]
    n_posts = int(places.max(initial=0)) + 1
    half = deal_folds(n_posts, 2, rng=np.random.default_rng(seed))[places]
    residuals = rows.ratings - rows.consensus

    def average(among: NDArray[np.bool_]) -> Floats:
        return _mean_by_rater(residuals[among], rows.raters[among], rows.n_raters)

    of_half = [average(half == side) for side in (0, 1)]
    per_row = np.where((half == 0)[:, None], of_half[1][rows.raters], of_half[0][rows.raters])
    return per_row, average(np.ones(len(places), dtype=np.bool_))


def _mean_by_rater(residuals: Floats, raters: Ints, n_raters: int) -> Floats:
    totals, counts = np.zeros((n_raters, residuals.shape[1])), np.zeros((n_raters, residuals.shape[1]))
    present = ~np.isnan(residuals)
    np.add.at(totals, raters, np.where(present, residuals, 0.0))
    np.add.at(counts, raters, present)
    with np.errstate(invalid="ignore"):
        means: Floats = totals / counts
    return means
