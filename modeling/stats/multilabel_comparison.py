"""Whether one reading of posts is better than another against the same reference, or within noise of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.over_posts import divide, make_score, mean_defined, resample_sums
from modeling.stats.perception import holm
from modeling.stats.presences import check_same_shape, find_one_class, read_presences
from modeling.stats.resampling import Interval, PairedDifference, check_resamples

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
# How many numbers one block of random swaps holds at most.
BLOCK = 4_000_000


@dataclass(frozen=True)
class ValueDifference:
    """F1 of the second reading less that of the first for one value; `p_adjusted` is Holm's over the values."""

    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    n_posts: int
    reason: str


@dataclass(frozen=True, eq=False)
class MultilabelComparison:
    """Two readings of the same posts against one reference.

    Attributes
    ----------
    difference : macro F1 of b less that of a, over `n_values` values
    f1_a, f1_b : the two, over the posts and values that both have
    p : two-sided, by swapping the two readings of random posts
    is_within_noise : whether p is not below 1 - level; true where there is no p
    per_value : one entry for each value
    changed : places of the posts in which the presence of some value differs
    better, worse : those of them with more, and with fewer, values right in b; the others have as many
    n_posts : posts with at least one value that all three have
    n_left_out : the other posts
    n_cells : pairs of post and value compared
    left_out : (value, reason) of the values outside the macro measures
    reason : why there is no difference or no interval; empty otherwise
    """

    difference: PairedDifference
    f1_a: float
    f1_b: float
    p: float
    is_within_noise: bool
    per_value: tuple[ValueDifference, ...]
    changed: Places
    better: Places
    worse: Places
    n_posts: int
    n_left_out: int
    n_cells: int
    n_values: int
    n_permutations: int
    left_out: tuple[tuple[int, str], ...]
    reason: str


def compare_multilabel(
    truth: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> MultilabelComparison:
    """Say how much better the second reading is, and whether that is more than noise.

    Parameters
    ----------
    truth, a, b : array-like of shape (n_posts, n_values)
        As for `multilabel_scores`; a pair of post and value enters when all three have it.
    rng : numpy.random.Generator
        The same state gives the same intervals and p.
    n_resamples : int
        Resamples of the posts, and as many random swaps.
    level : float
        Coverage of the intervals; a gain is within noise unless p is below 1 - level.

    Returns
    -------
    MultilabelComparison
        If neither reading were better, which is called a and which b would not matter for any post. So the two
        are swapped, with all values of the post, in a random half of the posts; p is the share of swaps, the
        readings as they are among them, that put the two at least as far apart.

    Raises
    ------
    ValueError
        As for `multilabel_scores`.

    References
    ----------
    Noreen (1989), Computer-intensive Methods for Testing Hypotheses; Yeh (2000), COLING, 947-953; Holm (1979),
    Scandinavian Journal of Statistics 6(2), 65-70.

    Examples
    --------
    >>> truth = [[1], [0]] * 10
    >>> found = compare_multilabel(truth, [[0], [1]] * 10, truth, rng=np.random.default_rng(0), n_resamples=99)
    >>> found.difference.estimate, found.p, len(found.better)
    (1.0, 0.01, 20)
    """
    check_resamples(n_resamples, level)
    true = read_presences(truth, "truth")
    first, second = read_presences(a, "a"), read_presences(b, "b")
    check_same_shape(true, first, "a")
    check_same_shape(true, second, "b")
    n_values = true.shape[1]
    present = ~np.isnan(true) & ~np.isnan(first) & ~np.isnan(second)
    is_true, is_a, is_b = ((given == 1) & present for given in (true, first, second))
    n_posts = present.sum(axis=0)
    rows = np.flatnonzero(present.any(axis=1))
    sums = np.hstack([is_a & is_true, is_true, is_a, is_b & is_true, is_b])[rows].astype(np.float64)
    counts = sums.sum(axis=0).reshape(1, 5, n_values)
    left_out = find_one_class(counts[0, 1], n_posts)
    kept = np.setdiff1d(np.arange(n_values), [value for value, _ in left_out])

    estimate, macro = _differences(counts, kept)
    drawn, drawn_macro = _differences(
        resample_sums(sums, rng=rng, n_resamples=n_resamples).reshape(-1, 5, n_values), kept
    )
    p_values, p_macro = _swap(sums, counts, kept, estimate[0], float(macro[0]), rng, n_resamples)
    reason = ""
    if not len(rows):
        reason = "no post has a reference and both readings"
    elif not len(kept):
        reason = "no value has posts with it and posts without it"
    joint = make_score(
        float(macro[0]),
        drawn_macro,
        level=level,
        n_posts=len(rows),
        n_left_out=len(true) - len(rows),
        reason=reason,
    )
    adjusted = holm(p_values)
    per_value = []
    for value in range(n_values):
        n = int(n_posts[value])
        none = "the reference says it of no post" if n else "no post has a reference and both readings"
        behind = int((is_true | is_a | is_b)[:, value].sum())
        part = make_score(
            float(estimate[0, value]),
            drawn[:, value],
            level=level,
            n_posts=behind,
            n_left_out=len(true) - n,
            reason=none if np.isnan(estimate[0, value]) else "",
        )
        per_value.append(
            ValueDifference(
                part.estimate, part.interval, float(p_values[value]), float(adjusted[value]), n, part.reason
            )
        )
    n_right = (present & (second == true)).sum(axis=1) - (present & (first == true)).sum(axis=1)
    scored = _f1(counts)
    return MultilabelComparison(
        difference=PairedDifference(joint.estimate, joint.interval),
        f1_a=float(mean_defined(scored[0][0, kept])),
        f1_b=float(mean_defined(scored[1][0, kept])),
        p=p_macro,
        is_within_noise=not p_macro < 1 - level,
        per_value=tuple(per_value),
        changed=np.flatnonzero((is_a != is_b).any(axis=1)),
        better=np.flatnonzero(n_right > 0),
        worse=np.flatnonzero(n_right < 0),
        n_posts=len(rows),
        n_left_out=len(true) - len(rows),
        n_cells=int(present.sum()),
        n_values=len(kept),
        n_permutations=n_resamples,
        left_out=left_out,
        reason=joint.reason,
    )


def _f1(counts: Floats) -> tuple[Floats, Floats]:
    """F1 of a and of b from (n, 5, n_values) counts: right by a, true, said by a, right by b, said by b."""
    right_a, true, said_a, right_b, said_b = (counts[:, k] for k in range(5))
    return divide(2 * right_a, true + said_a), divide(2 * right_b, true + said_b)


def _differences(counts: Floats, kept: Places) -> tuple[Floats, Floats]:
    """F1 of b less that of a, per value and of the means over the kept values; NaN where no post expresses it."""
    is_one_class = counts[:, 1] == 0
    a, b = (np.where(is_one_class, np.nan, each) for each in _f1(counts))
    return b - a, mean_defined(b[:, kept]) - mean_defined(a[:, kept])


def _swap(
    sums: Floats,
    counts: Floats,
    kept: Places,
    per_value: Floats,
    macro: float,
    rng: np.random.Generator,
    n_permutations: int,
) -> tuple[Floats, float]:
    """Two-sided p of each value's difference and of the macro difference, by swapping a and b within posts."""
    n_values = len(per_value)
    parts = sums.reshape(len(sums), 5, n_values)
    moved = np.concatenate([parts[:, 3] - parts[:, 0], parts[:, 4] - parts[:, 2]], axis=1)
    moved = moved[moved.any(axis=1)].astype(np.float32)
    as_far, as_far_macro, done = np.zeros(n_values), 0, 0
    block = max(1, BLOCK // max(1, len(moved)))
    while done < n_permutations:
        n = min(block, n_permutations - done)
        swaps = rng.integers(0, 2, (n, len(moved)), dtype=np.int8).astype(np.float32)
        shift = (swaps @ moved).astype(np.float64).reshape(n, 2, n_values)
        swapped = np.repeat(counts, n, axis=0)
        swapped[:, 0] += shift[:, 0]
        swapped[:, 3] -= shift[:, 0]
        swapped[:, 2] += shift[:, 1]
        swapped[:, 4] -= shift[:, 1]
        each, joint = _differences(swapped, kept)
        with np.errstate(invalid="ignore"):
            as_far += (np.abs(each) >= np.abs(per_value) - 1e-12).sum(axis=0)
        as_far_macro += int((np.abs(joint) >= abs(macro) - 1e-12).sum())
        done += n
    p = np.where(np.isnan(per_value), np.nan, (1 + as_far) / (1 + n_permutations))
    return p, float("nan") if np.isnan(macro) else (1 + as_far_macro) / (1 + n_permutations)
