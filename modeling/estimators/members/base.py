"""What all predictors of a personalization have in common, so that they can be fitted, blended and served alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.intp]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Rows:
    """All that a member may see: ratings with the consensus beside them, and what their raters answered.

    Attributes
    ----------
    consensus : ndarray of shape (n_rows, n_values); NaN where nobody else formed one
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    raters, posts : ndarrays of int, shape (n_rows,); raters are codes into `answers`
    answers : ndarray of shape (n_raters, n_questions); NaN where unanswered
        `n_questions` is 0 where there is no calibration questionnaire.
    scale : (lowest, highest) rating
    """

    consensus: Floats
    ratings: Floats
    raters: Ints
    posts: Ints
    answers: Floats
    scale: tuple[int, int]

    @property
    def n_values(self) -> int:
        return int(self.ratings.shape[1])

    @property
    def n_raters(self) -> int:
        return len(self.answers)


class Fitted(Protocol):
    """A member that was fitted: a function of a post's consensus and of a vector that describes a rater."""

    @property
    def known(self) -> Floats | None:
        """The vectors of the raters of the rows fitted to, shape (n_raters, n_features), of history and answers.

        None where the member was fitted without histories.
        """
        ...

    def describe(self, answers: Floats) -> Floats:
        """Return the vectors of raters of whom only the answers are known.

        (n, n_questions) to (n, n_features).
        """
        ...

    def predict(self, consensus: Floats, vectors: Floats) -> Floats:
        """Predict n pairs: posts (n, n_values) and raters (n, n_features) to ratings (n, n_values), not rounded."""
        ...

    def score_all(self, value: int, consensus: Floats, vectors: Floats, *, n_threads: int = 1) -> Singles:
        """Predict one value for all pairs: (n_posts, n_values) and (n_raters, n_features) to (n_raters, n_posts)."""
        ...

    def pack(self) -> Arrays:
        """Return plain arrays from which the module's `unpack` makes the same again."""
        ...


class Member(Protocol):
    """A way to predict ratings, before it is fitted."""

    name: str

    def fit(self, rows: Rows, *, history: bool, seed: int, n_threads: int = 1) -> Fitted:
        """Fit to rows; with `history`, raters are known by their other ratings too, otherwise by answers alone.

        What a row is told of its own rater is made without the row's post. The same seed gives the same numbers
        whatever the number of threads.
        """
        ...
