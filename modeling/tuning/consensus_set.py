"""The posts a model of the consensus is taught: those on which the people who rated them agree most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.agreement import human_human
from modeling.stats.consensus import rounded_consensus

from .settings import SetSettings

Flags = NDArray[np.bool_]
Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ConsensusSet:
    """Posts to learn from, those with the highest agreement first.

    Attributes
    ----------
    posts : ndarray of int, shape (n_kept,), codes
    rho : ndarray of shape (n_kept,)
        Mean rank correlation over the pairs of each post's raters.
    consensus : ndarray of shape (n_kept, n_values)
        The rounded mean of all its raters, on the ratings' own scale.
    n_with_raters : posts with enough raters
    n_held_out : of these, how many a fit holds out; none of them is in the set
    n_blank : of the rest, how many have no text
    n_drawn : posts drawn of the others
    n_undefined : of these, how many have no pair of raters with a correlation
    n_gaps : of these, how many have a value that nobody was shown
    """

    posts: Ints
    rho: Floats
    consensus: Floats
    n_with_raters: int
    n_held_out: int
    n_blank: int
    n_drawn: int
    n_undefined: int
    n_gaps: int

    @property
    def n_eligible(self) -> int:
        """Posts that could have been drawn."""
        return self.n_with_raters - self.n_held_out - self.n_blank

    def count(self) -> dict[str, float]:
        """Return what a page tells of the set, as plain numbers."""
        return {
            "n_with_raters": self.n_with_raters,
            "n_held_out": self.n_held_out,
            "n_blank": self.n_blank,
            "n_eligible": self.n_eligible,
            "n_drawn": self.n_drawn,
            "n_undefined": self.n_undefined,
            "n_gaps": self.n_gaps,
            "n_kept": len(self.posts),
            "lowest_rho": float(self.rho[-1]),
            "mean_rho": float(self.rho.mean()),
        }


def draw_consensus_set(
    ratings: ArrayLike, posts: ArrayLike, held_out: Flags, blank: Flags, settings: SetSettings
) -> ConsensusSet:
    """Draw posts with many raters and keep those on which these agree most.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1. A rater has at most one row per post.
    held_out, blank : ndarrays of bool, shape (n_posts,)
        Posts that no model may be taught; posts without text, which teach nothing.
    settings : SetSettings

    Returns
    -------
    ConsensusSet
        The same for the same ratings and settings. Of posts with the same agreement the first ones are kept.

    Raises
    ------
    ValueError
        If fewer posts are eligible than are to be drawn, or fewer can be kept than are to be: it says how many.

    References
    ----------
    Docs, "Consensus set": the recipe is the founding paper's.
    """
    codes = np.asarray(posts, dtype=np.intp)
    n_raters = np.bincount(codes, minlength=len(held_out))
    many = n_raters > settings.more_raters_than
    eligible = np.flatnonzero(many & ~held_out & ~blank)
    n_held_out, n_blank = int((many & held_out).sum()), int((many & ~held_out & blank).sum())
    if len(eligible) < settings.n_drawn:
        raise ValueError(
            f"{settings.n_drawn:,} posts are to be drawn, and {len(eligible):,} can be: {int(many.sum()):,} posts have "
            f"more than {settings.more_raters_than} raters; of these {n_held_out:,} are held out, and {n_blank:,} of "
            "the others have no text; draw fewer, ask for fewer raters per post, or have more posts rated"
        )
    drawn = np.random.default_rng(settings.seed).choice(eligible, settings.n_drawn, replace=False)
    is_drawn = np.isin(codes, drawn)
    table = np.asarray(ratings)[is_drawn]
    rho = human_human(table, codes[is_drawn], len(held_out)).per_post
    consensus = rounded_consensus(table, codes[is_drawn], len(held_out))

    undefined = np.isnan(rho[drawn])
    gaps = np.isnan(consensus[drawn]).any(axis=1) & ~undefined
    usable = np.sort(drawn[~undefined & ~gaps])
    if len(usable) < settings.n_kept:
        raise ValueError(
            f"{settings.n_kept:,} posts are to be kept, and {len(usable):,} can be: of {len(drawn):,} drawn, "
            f"{int(undefined.sum()):,} have no pair of raters with a correlation and {int(gaps.sum()):,} a value that "
            "nobody was shown; keep fewer or draw more"
        )
    kept = usable[np.argsort(-rho[usable], kind="stable")[: settings.n_kept]]
    return ConsensusSet(
        posts=kept,
        rho=rho[kept],
        consensus=consensus[kept],
        n_with_raters=int(many.sum()),
        n_held_out=n_held_out,
        n_blank=n_blank,
        n_drawn=len(drawn),
        n_undefined=int(undefined.sum()),
        n_gaps=int(gaps.sum()),
    )
