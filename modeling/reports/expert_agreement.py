"""PURE. How far experts agree with each other, and what one of them scores against the others: what a model can reach.

Ready for JSON; a number that does not exist is None, with a reason beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.categorical import cohen_kappa
from modeling.stats.krippendorff import bootstrap_alpha, krippendorff_alpha

from .numbers import number

Floats = NDArray[np.float64]

N_RESAMPLES = 1000
CI_LEVEL = 0.95
AT_ONCE = 50  # resamples
ALPHA, CEILING = 10, 11  # streams of the seed


def find_presences(ratings: Floats, threshold: float) -> Floats:
    """Return 1 where a rating is at or above the threshold, 0 where it is below, NaN where there is none.

    >>> find_presences(np.array([[0.0, 3.0, float("nan")]]), 3)
    array([[ 0.,  1., nan]])
    """
    presences: Floats = np.where(np.isnan(ratings), np.nan, ratings >= threshold)
    return presences


def describe_experts(
    labels: Floats, experts: Sequence[str], threshold: float, keys: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Compute how far experts agree, value by value, and the F1 of one against the others.

    Parameters
    ----------
    labels : ndarray of shape (n_experts, n_posts, n_values)
        In scale points; NaN where an expert said nothing.
    experts : names, one for each sheet
    threshold : from which rating on a value is expressed
    keys : of the values
    seed : int
        The same seed and labels give the same intervals.

    Returns
    -------
    dict
        `by_value` with Krippendorff's alpha (ordinal) of the ratings and Cohen's kappa of the presences, averaged
        over pairs of experts; `ceiling`, what `measure_ceiling` says; `n`, `names`, `mean_alpha`, `mean_kappa`.
    """
    n_experts, n_posts, _ = labels.shape
    described: dict[str, Any] = {"n": n_experts, "names": list(experts)}
    by_value = _describe_values(labels, threshold, keys, seed=seed)
    for name in ("alpha", "kappa"):
        found = [row[name] for row in by_value if row[name] is not None]
        described[f"mean_{name}"] = float(np.mean(found)) if found else None
        described[f"n_{name}"] = len(found)
    ceiling = measure_ceiling(labels, experts, threshold, rng=np.random.default_rng([seed, CEILING]))
    return described | {"by_value": by_value, "ceiling": ceiling, "n_posts": n_posts}


def measure_ceiling(
    labels: Floats,
    experts: Sequence[str],
    threshold: float,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """Score each expert against the majority of the others, as a model would be scored, and average over experts.

    A value of a post on which the others are split evenly, or say nothing, is left out. The interval is a percentile
    bootstrap over posts, all experts together. Nobody can be scored alone: with one expert there is no ceiling.

    Returns
    -------
    dict
        `f1` and `interval` (macro, over the values that have an F1), `by_expert` and `by_value` (averages over
        experts), `n_posts`, and a `reason` where there is none.
    """
    n_experts, n_posts, n_values = labels.shape
    said = find_presences(labels, threshold)
    nothing = {
        "f1": None,
        "interval": [None, None],
        "by_expert": [],
        "by_value": [None] * n_values,
        "n_posts": 0,
    }
    if n_experts < 2:
        return nothing | {"reason": "it takes two experts to compare one with the others"}
    n_yes, n_said = np.nansum(said, axis=0), (~np.isnan(said)).sum(axis=0)
    counts = np.zeros((n_posts, n_experts, n_values, 2))  # hits, and predicted and true together
    has_both = np.zeros((n_posts, n_experts), dtype=bool)
    for expert, own in enumerate(said):
        mine = np.nan_to_num(own)
        yes, others = n_yes - mine, n_said - ~np.isnan(own)
        counted = ~np.isnan(own) & (others > 0) & (2 * yes != others)
        true = counted & (2 * yes > others)
        predicted = counted & (own == 1)
        counts[:, expert, :, 0] = true & predicted
        counts[:, expert, :, 1] = true.astype(float) + predicted
        has_both[:, expert] = counted.any(axis=1)
    used = has_both.any(axis=1)
    f1 = _find_f1(counts.sum(axis=0))
    by_expert = _mean(f1, axis=1)
    macro = float(_mean(by_expert, axis=0))
    if math.isnan(macro):
        reason = (
            "no expert finds a value expressed" if used.any() else "no two experts have labeled the same post"
        )
        return nothing | {"reason": reason}
    interval: list[float | None] = [None, None]
    n_used = int(used.sum())
    if n_used > 1:
        resampled = _resample_macro(counts[used], rng, n_resamples)
        low, high = np.nanquantile(resampled, [(1 - CI_LEVEL) / 2, (1 + CI_LEVEL) / 2])
        interval = [number(low), number(high)]
    return {
        "f1": macro,
        "interval": interval,
        "by_expert": [
            {"name": name, "f1": number(found), "n_posts": int(has_both[:, place].sum())}
            for place, (name, found) in enumerate(zip(experts, by_expert, strict=True))
        ],
        "by_value": [number(found) for found in _mean(f1, axis=0)],
        "n_posts": n_used,
        "reason": "" if n_used > 1 else "one post is too few for an interval",
    }


def _resample_macro(counts: Floats, rng: np.random.Generator, n_resamples: int) -> Floats:
    """Macro F1 in resamples of posts, some at a time: posts times resamples may be many."""
    n_posts = len(counts)
    shares, found = np.full(n_posts, 1 / n_posts), []
    for first in range(0, n_resamples, AT_ONCE):
        weights = rng.multinomial(n_posts, shares, size=min(AT_ONCE, n_resamples - first)).astype(np.float64)
        f1 = _find_f1(np.tensordot(weights, counts, axes=1))
        found.append(_mean(_mean(f1, axis=2), axis=1))
    return np.concatenate(found)


def _describe_values(
    labels: Floats, threshold: float, keys: Sequence[str], *, seed: int
) -> list[dict[str, Any]]:
    n_experts, n_posts, n_values = labels.shape
    rows = labels.reshape(n_experts * n_posts, n_values)
    posts = np.tile(np.arange(n_posts), n_experts)
    given = ~np.isnan(rows).all(axis=1)
    if not given.any():
        reason = "nobody has labeled a post"
        empty = {"alpha": None, "interval": [None, None], "kappa": None, "n_posts": 0}
        return [{"value": key, "reason": reason, "kappa_reason": reason} | empty for key in keys]
    rows, posts = rows[given], posts[given]
    alpha = krippendorff_alpha(rows, posts, "ordinal", n_posts)
    drawn = bootstrap_alpha(
        rows,
        posts,
        ("ordinal",),
        rng=np.random.default_rng([seed, ALPHA]),
        n_resamples=N_RESAMPLES,
        ci_level=CI_LEVEL,
        n_posts=n_posts,
    )["ordinal"]
    said = find_presences(labels, threshold)
    described = []
    for place, key in enumerate(keys):
        kappa, reason = _average_kappa(said[:, :, place])
        described.append(
            {
                "value": key,
                "alpha": number(alpha.krippendorff_alpha[place]),
                "interval": [number(drawn.low[place]), number(drawn.high[place])],
                "n_posts": int(alpha.n_posts[place]),
                "reason": alpha.reasons[place],
                "kappa": number(kappa),
                "kappa_reason": reason,
            }
        )
    return described


def _average_kappa(said: Floats) -> tuple[float, str]:
    """Return Cohen's kappa of one value's presences averaged over pairs of experts, and why there is none."""
    pairs = [
        cohen_kappa(said[first], said[second], scale=(0, 1))
        for first in range(len(said))
        for second in range(first + 1, len(said))
    ]
    found = [pair.estimate for pair in pairs if not math.isnan(pair.estimate)]
    if found:
        return float(np.mean(found)), ""
    return float("nan"), pairs[0].reason if pairs else "it takes two experts"


def _find_f1(counts: Floats) -> Floats:
    """F1 of counts whose last axis holds hits, and predicted and true together; NaN where the latter is 0."""
    f1: Floats = np.full(counts.shape[:-1], np.nan)
    np.divide(2 * counts[..., 0], counts[..., 1], out=f1, where=counts[..., 1] > 0)
    return f1


def _mean(numbers: Floats, *, axis: int) -> Floats:
    """The mean over the numbers that exist; NaN where none does."""
    present = ~np.isnan(numbers)
    n_present = present.sum(axis=axis)
    means: Floats = np.full(n_present.shape, np.nan)
    np.divide(np.where(present, numbers, 0).sum(axis=axis), n_present, out=means, where=n_present > 0)
    return means
