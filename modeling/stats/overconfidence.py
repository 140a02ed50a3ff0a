"""Whether a model is surer of its readings than they are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from modeling.stats.classification import Score
from modeling.stats.over_posts import divide, make_score, resample_sums
from modeling.stats.resampling import check_resamples
from modeling.stats.uncertainty import read_outcomes

Floats = NDArray[np.float64]
Verdict = Literal["overconfident", "underconfident", "neither", ""]
# Honest outcomes are drawn for pairs of near the same confidence together: this many steps from 0 to 1.
STEPS = 2_000


@dataclass(frozen=True)
class Overconfidence:
    """How sure a model is, less how often it is right, over pairs of post and value.

    Attributes
    ----------
    difference : mean confidence less share right, with its interval over posts: above 0 where it is too sure
    confidence : mean of max(p, 1 - p), from 0.5 to 1
    accuracy : share of pairs in which what is likelier holds; a probability of 0.5 counts as half right
    p : two-sided, the larger of two: that of Student's t over posts, and the share of draws of outcomes from the
        probabilities themselves in which the two differ as much
    level : coverage of the interval; 1 - level is what p is held against
    n_cells, n_posts, n_left_out : pairs of post and value; posts with one; pairs without probability or outcome
    """

    difference: Score
    confidence: float
    accuracy: float
    p: float
    level: float
    n_cells: int
    n_posts: int
    n_left_out: int

    @property
    def verdict(self) -> Verdict:
        """What can be said beyond chance: the interval leaves out 0 and p is small; "" without an interval."""
        low, high = self.difference.interval.low, self.difference.interval.high
        if np.isnan(low):
            return ""
        if low <= 0 <= high or self.p > 1 - self.level:
            return "neither"
        return "overconfident" if low > 0 else "underconfident"


def overconfidence(
    probability: ArrayLike,
    presence: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> Overconfidence:
    """Compare how sure a model is with how often it is right.

    Parameters
    ----------
    probability : array-like of shape (n_posts, n_values) or (n_posts,)
        That a value is expressed, from 0 to 1; NaN where there is none.
    presence : array-like of the same shape
        1 where the value is expressed, 0 where not, NaN where unknown.
    rng : numpy.random.Generator
        The same state gives the same interval and p.
    n_resamples : int
        Resamples of the posts, and as many draws of outcomes.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    Overconfidence
        In the interval posts are drawn with all their values; there is none below five posts. Of the two tests
        behind p each guards where the other fails: t over posts where values of a post err together, the draws where
        errors are too rare for resampled posts to show them.

    Raises
    ------
    ValueError
        If shapes differ or a number is outside its range.

    References
    ----------
    Lichtenstein, Fischhoff and Phillips (1982), in Kahneman, Slovic and Tversky (eds.), Judgment under Uncertainty,
    306-334 (over- and underconfidence as mean confidence less share right).

    Examples
    --------
    >>> found = overconfidence([0.9] * 50 + [0.1] * 50, [1] * 70 + [0] * 30, rng=np.random.default_rng(0))
    >>> round(found.confidence, 3), round(found.accuracy, 3), round(found.difference.estimate, 3), found.verdict
    (0.9, 0.8, 0.1, 'overconfident')
    """
    check_resamples(n_resamples, level)
    p, y = read_outcomes(probability, presence)
    both = ~np.isnan(p) & ~np.isnan(y)
    posts, _ = np.nonzero(both)
    chance, outcome = p[both], y[both]
    sure = np.maximum(chance, 1 - chance)
    right = np.where(chance == 0.5, 0.5, (chance > 0.5) == (outcome == 1))
    n_cells = len(chance)
    parts = (np.ones(n_cells), sure - right)
    columns: Floats = np.column_stack([np.bincount(posts, part, minlength=len(p)) for part in parts])
    sums = columns[both.any(axis=1)]
    drawn = resample_sums(sums, rng=rng, n_resamples=n_resamples)
    estimate = float((sure - right).sum() / n_cells) if n_cells else float("nan")
    score = make_score(
        estimate,
        divide(drawn[:, 1], drawn[:, 0]),
        level=level,
        n_posts=len(sums),
        n_left_out=len(p) - len(sums),
        reason="" if n_cells else "no pair of post and value has a probability and an outcome",
    )
    return Overconfidence(
        difference=score,
        confidence=float(sure.mean()) if n_cells else float("nan"),
        accuracy=float(right.mean()) if n_cells else float("nan"),
        p=max(_test_over_posts(sums), _test_by_draws(sure, estimate, rng=rng, n_draws=n_resamples))
        if n_cells
        else float("nan"),
        level=level,
        n_cells=n_cells,
        n_posts=len(sums),
        n_left_out=p.size - n_cells,
    )


def _test_over_posts(sums: Floats) -> float:
    """Return the p of Student's t for (n_posts, 2) sums of pairs and differences.

    Posts vary about 0, which is right where the model is honest: about their own mean they vary less, and the test
    would find too much in few posts. So nothing is beyond chance below seven.
    """
    total, spread = sums[:, 1].sum(), np.square(sums[:, 1]).sum()
    if not spread or len(sums) < 2:
        return 1.0
    return float(2 * student.sf(abs(total) / np.sqrt(spread), len(sums) - 1))


def _test_by_draws(sure: Floats, estimate: float, *, rng: np.random.Generator, n_draws: int) -> float:
    """Return the share of draws in which outcomes from the probabilities differ from them as much."""
    open_ones = sure[sure > 0.5]  # of the others half are right, whatever comes
    step = np.minimum((open_ones * STEPS).astype(np.int64), STEPS - 1)
    n = np.bincount(step, minlength=STEPS)
    totals = np.bincount(step, open_ones, minlength=STEPS)
    used = n > 0
    n, totals = n[used], totals[used]
    right = rng.binomial(n, np.clip(totals / n, 0, 1), (n_draws, len(n))).sum(axis=1)
    differences = np.abs(totals.sum() - right) / len(sure)
    return float((1 + (differences >= abs(estimate) - 1e-12).sum()) / (1 + n_draws))
