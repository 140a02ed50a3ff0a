"""How much better predictions fit the rater they were made for than another rater of the same post.

What is said of all raters of a post alike gains nothing, however good it is: a better consensus, more trees or the
mean of several models do not show here. Where ratings say nothing of who gave them, as in a study whose ratings
changed hands within each post, any gain is chance, and exchanging raters shows exactly how much of it there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from modeling.stats.spearman import spearman_rows

from .data import Floats, Ints

COMPARED = 16  # raters of a post at a time; exchanges within a part of them are as exact
MEASURES = ("rank correlation", "squared error")


@dataclass(frozen=True, eq=False)
class OwnFit:
    """How well each row's prediction fits its own rating and those of others who were shown the same.

    Attributes
    ----------
    scores : ndarray of shape (n_predictions * 2, n_rows, COMPARED)
        Of each prediction in turn: rank correlation within the row (0 where undefined) and squared error with its
        sign turned, with the rating of each row that it is compared with, itself among them; NaN beyond these.
    chunks : ndarray of int, shape (n_rows,), ascending
        Rows of a chunk are compared with one another.
    places : ndarray of int, shape (n_rows,)
        Each row's place in its chunk.
    """

    scores: Floats
    chunks: Ints
    places: Ints

    def gains(self) -> Floats:
        """Mean score with the own rating less that with a rating drawn from the chunk, shape (n_predictions * 2,)."""
        return self._gains(self.places)

    def exchange(self, rng: np.random.Generator) -> Floats:
        """The gains when the raters of each chunk change places at random."""
        return self._gains(self.places[np.lexsort((rng.random(len(self.chunks)), self.chunks))])

    def _gains(self, places: Ints) -> Floats:
        gains: Floats = self.scores[:, np.arange(len(places)), places].mean(axis=1) - self._typical
        return gains

    @cached_property
    def _typical(self) -> Floats:
        means: Floats = np.nanmean(self.scores, axis=2).mean(axis=1)
        return means


def compare_raters(
    predictions: Sequence[Floats],
    ratings: Floats,
    posts: Ints,
    consensus: Floats,
    *,
    rng: np.random.Generator,
) -> OwnFit | None:
    """Compare rows of a post whose consensus is the same; those alone with theirs are compared with one another.

    A consensus that is made of other raters holds the ratings of those it is shown to someone else for: compared
    with these, a prediction can only seem to fit its own rater worse.

    Parameters
    ----------
    predictions : ndarrays of shape (n_rows, n_values)
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    posts : ndarray of int, shape (n_rows,)
    consensus : ndarray with n_rows rows; NaN where there is none
    rng : numpy.random.Generator
        Deals many raters of a post into chunks.

    Returns
    -------
    OwnFit, or None where no post has two rows
    """
    chunks = _deal_chunks(posts, consensus, rng)
    kept = np.argsort(chunks, kind="stable")[int((chunks < 0).sum()) :]
    if not len(kept):
        return None
    chunks = chunks[kept]
    starts = np.searchsorted(chunks, chunks)
    lengths = np.searchsorted(chunks, chunks, side="right") - starts
    row = np.repeat(np.arange(len(kept)), lengths)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rated = ratings[kept[starts[row] + place]]
    scores = np.full((len(MEASURES) * len(predictions), len(kept), COMPARED), np.nan)
    for k, predicted in enumerate(predictions):
        said = predicted[kept[row]]
        squares = np.square(said - rated)
        n_shared = np.maximum((~np.isnan(squares)).sum(axis=1), 1)
        scores[2 * k, row, place] = np.nan_to_num(spearman_rows(said, rated))
        scores[2 * k + 1, row, place] = -np.nansum(squares, axis=1) / n_shared
    return OwnFit(scores, chunks, np.arange(len(kept)) - starts)


def _deal_chunks(posts: Ints, consensus: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """Each row's chunk of two or more; -1 for a row without any other."""
    shown = np.column_stack([posts, consensus])
    _, group, sizes = np.unique(
        np.where(np.isnan(shown), -np.inf, shown), axis=0, return_inverse=True, return_counts=True
    )
    group = group.ravel()
    group = np.where(sizes[group] > 1, group, len(sizes) + posts)
    chunks = np.full(len(posts), -1, dtype=np.intp)
    n_chunks = 0
    for each in np.unique(group):
        members = rng.permutation(np.flatnonzero(group == each))
        if len(members) > 1:
            n_parts = -(-len(members) // COMPARED)
            chunks[members] = n_chunks + np.arange(len(members)) % n_parts
            n_chunks += n_parts
    return chunks
