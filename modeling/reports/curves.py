"""Learning curves: what more calibration answers, or more raters to learn from, bring to a new rater."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modeling.stats.spearman import spearman_rows

from .by_rater import RaterSample
from .conditions import describe_difference, mean_present
from .data import CURVES, EvaluationData, Floats

REASONS = {
    "answers": "this fit predicted no new raters from some of their answers",
    "raters": "this fit was not repeated with fewer raters to learn from",
}


def describe_curves(data: EvaluationData, *, seed: int) -> dict[str, Any]:
    """Return, for `answers` and `raters`, the gain over the consensus at each count, and from the first to the last.

    Over all rows of new raters; the unit is the rater, and all points share their resamples.
    """
    if not len(data.new_rows):
        return {kind: _describe_nothing("no raters were set apart to be new ones") for kind in CURVES}
    consensus = data.new_predictions.get(data.consensus_name)
    if consensus is None:
        return {
            kind: _describe_nothing("the consensus of the new raters' posts is missing") for kind in CURVES
        }
    sample = RaterSample(data.raters[data.new_rows], seed=seed)
    return {
        kind: _describe_curve(data, sample, consensus, curve)
        if (curve := data.curves.get(kind))
        else _describe_nothing(REASONS[kind])
        for kind in CURVES
    }


def _describe_curve(
    data: EvaluationData, sample: RaterSample, consensus: Floats, curve: Mapping[int, Floats]
) -> dict[str, Any]:
    ratings = data.ratings[data.new_rows]
    counts = sorted(curve)
    rho = np.stack([spearman_rows(ratings, curve[count]) for count in counts], axis=1)
    error = np.stack([mean_present(np.abs(ratings - curve[count])) for count in counts], axis=1)
    rho_gain = rho - spearman_rows(ratings, consensus)[:, np.newaxis]
    error_gain = error - mean_present(np.abs(ratings - consensus))[:, np.newaxis]
    rows = [
        {"count": int(count), "rho": found, "mae": distance}
        for count, found, distance in zip(
            counts,
            describe_difference(sample.average(rho_gain), higher_is_better=True),
            describe_difference(sample.average(error_gain), higher_is_better=False),
            strict=True,
        )
    ]
    rise = {
        "from": int(counts[0]),
        "to": int(counts[-1]),
        "rho": describe_difference(sample.average(rho[:, -1:] - rho[:, :1]), higher_is_better=True)[0],
        "mae": describe_difference(sample.average(error[:, -1:] - error[:, :1]), higher_is_better=False)[0],
    }
    return {
        "reason": "",
        "n_raters": sample.n_raters,
        "n_rows": len(ratings),
        "n_posts": len(np.unique(data.posts[data.new_rows])),
        "points": rows,
        "rise": rise,
    }


def _describe_nothing(reason: str) -> dict[str, Any]:
    return {"reason": reason, "n_raters": 0, "n_rows": 0, "n_posts": 0, "points": [], "rise": None}
