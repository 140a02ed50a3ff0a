"""PURE. What rules are held against, and what comes of it: posts as models read them, and those that are flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some posts and what models say of them.

    Attributes
    ----------
    texts, contexts : one each per post, of n_posts; "" for none
    samples : ndarray of shape (n_samples, n_posts, n_values)
        Of the run that is verified; NaN where there is no reading or it failed.
    distributions : ndarray of shape (n_posts, n_values, n_points), or None
        Probabilities of the points of the scale, lowest first; NaN where there are none.
    others : tuple of ndarray of shape (n_posts, n_values)
        Mean ratings of each of the runs that it is held against.
    """

    texts: Sequence[str]
    contexts: Sequence[str]
    samples: Floats
    distributions: Floats | None = None
    others: tuple[Floats, ...] = ()

    def __post_init__(self) -> None:
        n_posts = len(self.texts)
        if self.samples.ndim != 3 or self.samples.shape[1] != n_posts or len(self.contexts) != n_posts:
            raise ValueError(
                f"a chunk has {n_posts} texts, {len(self.contexts)} contexts and samples of shape "
                f"{self.samples.shape}; give samples as (n_samples, n_posts, n_values) for the same posts"
            )
        shape = self.samples.shape[1:]
        if any(other.shape != shape for other in self.others):
            raise ValueError(f"other runs have ratings of another shape than {shape}, posts by values")
        if self.distributions is not None and self.distributions.shape[:2] != shape:
            raise ValueError(
                f"distributions have shape {self.distributions.shape}; give {(*shape, 'n_points')}"
            )


@dataclass(frozen=True)
class Reason:
    """Why a rule flags a post: the values that it concerns, and what was found."""

    rule: str
    values: tuple[str, ...]
    found: str


@dataclass(frozen=True)
class Flagged:
    """A post that rules flag: its row in the chunk, a reason for each rule, the run's mean ratings."""

    row: int
    reasons: tuple[Reason, ...]
    ratings: tuple[float, ...]
