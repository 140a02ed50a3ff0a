"""How many raters per post, on how many posts: what this study's ratings say of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modeling.stats import kernels
from modeling.stats.agreement import PostMeasure
from modeling.stats.planning import ConsensusCurve, PlanRow, expected_consensus, plan
from modeling.stats.resampling import seed_from

from .data import ACADEMIC_FEE, CI_LEVEL, N_RESAMPLES, AgreementData, Floats
from .numbers import number
from .people import RESAMPLING, make_rng

RATERS_PER_POST = tuple(range(2, 21))
LEAST_POSTS = 2
TOO_FEW_POSTS = "a plan needs ratings of at least two posts"
PLANNING_NOTE = (
    "Planning: rho is foreseen by a curve through the human-consensus at the group sizes that were observed, k raters "
    "per post being groups of k - 1 others; beyond the largest size it is an extrapolation. Half widths are those of "
    "the 95 % interval of ordinal alpha, in the median over the values and for the widest."
)
COST_NOTE = (
    "The cost is the reward of every rater and a fee of {fee:.1%} of it{source}, before tax and without those who are "
    "screened out or return."
)
FEE_SOURCE = " (what Prolific adds for academic studies, unless told otherwise)"


def describe_planning(
    data: AgreementData, by_size: Mapping[int, PostMeasure], *, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Return what designs of 2 to 20 raters per post can show and cost, and the notes that belong to it.

    Posts are as many as now, half as many, and twice as many. Where the study does not set how many posts a rater
    reads, it is the median of those who did.
    """
    posts_per_rater = data.posts_per_rater or _find_typical_posts(data)
    described: dict[str, Any] = {
        "reason": TOO_FEW_POSTS,
        "posts_per_rater": posts_per_rater,
        "reward": data.reward,
        "currency": data.currency,
        "fee": float(data.fee),
        "n_posts": data.n_posts,
        "raters_now": _find_median_raters(data),
        "curve": [],
        "rows": [],
    }
    if data.n_posts < LEAST_POSTS or not posts_per_rater:
        return described, []
    observed = {size: measure for size, measure in by_size.items() if measure.n_posts}
    per_post = np.stack([measure.per_post for measure in observed.values()], axis=1) if observed else None
    known: dict[str, Any] = {
        "sizes": list(observed),
        "rhos": [measure.rho for measure in observed.values()],
        "curves": None if per_post is None else _resample(per_post, seed),
        "ci_level": CI_LEVEL,
    }
    n_posts = [measure.n_posts for measure in observed.values()]
    others = range(1, RATERS_PER_POST[-1])
    curve = expected_consensus(**known, n_posts=n_posts, wanted=others)
    rows = plan(
        data.ratings,
        data.posts,
        raters_per_post=RATERS_PER_POST,
        n_posts=sorted({max(data.n_posts // 2, LEAST_POSTS), data.n_posts, 2 * data.n_posts}),
        posts_per_rater=posts_per_rater,
        reward=data.reward,
        fee=data.fee,
        size_posts=n_posts,
        **known,
    )
    described |= {
        "reason": curve.reason,
        "curve": _describe_curve(curve, observed),
        "rows": [_describe_row(row, data.keys) for row in rows],
    }
    notes = [PLANNING_NOTE]
    if data.reward is not None:
        source = FEE_SOURCE if data.fee == ACADEMIC_FEE else ""
        notes.append(COST_NOTE.format(fee=data.fee, source=source))
    return described, notes


def _describe_curve(curve: ConsensusCurve, observed: Mapping[int, PostMeasure]) -> list[dict[str, Any]]:
    """The fitted curve; `observed` says that the study itself has groups of this size."""
    if curve.reason:
        return []
    return [
        {
            "size": each.size,
            "rho": number(each.rho),
            "low": number(each.low),
            "high": number(each.high),
            "observed": each.size in observed,
        }
        for each in curve.expected
    ]


def _describe_row(row: PlanRow, keys: tuple[str, ...]) -> dict[str, Any]:
    return {
        "raters_per_post": row.raters_per_post,
        "posts": row.n_posts,
        "raters": row.n_raters,
        "cost": row.cost,
        "rho": number(row.human_consensus),
        "half_width_median": number(row.half_width_median),
        "half_width_worst": number(row.half_width_worst),
        "worst_value": None if row.worst_value is None else keys[row.worst_value],
    }


def _resample(per_post: Floats, seed: int) -> Floats:
    """Mean rho of each size in each resample of the posts; shape (n_resamples, n_sizes)."""
    return kernels.resampled_column_means(per_post, N_RESAMPLES, seed_from(make_rng(seed, RESAMPLING)))


def _find_typical_posts(data: AgreementData) -> int:
    counts = np.bincount(data.raters, minlength=data.n_raters)
    return max(round(float(np.median(counts))), 1) if len(data.raters) else 0


def _find_median_raters(data: AgreementData) -> float | None:
    counts = np.bincount(data.posts, minlength=data.n_posts)
    return number(np.median(counts)) if len(counts) else None
