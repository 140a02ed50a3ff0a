"""Do as many ratings lie within the prediction intervals as should?"""

from __future__ import annotations

from typing import Any

import numpy as np

from .by_rater import RaterSample
from .data import INTERVAL_LEVEL, EvaluationData, Floats, Ints
from .names import KNOWN, VIEWS

TOLERANCE = 1e-6  # scale points: ends are stored as single floats
NO_INTERVALS = "this fit kept no prediction intervals"
NO_ROWS = "no rating has a prediction interval"


def describe_coverage(data: EvaluationData, *, seed: int) -> dict[str, Any]:
    """Return the share of ratings within their prediction interval and its mean width, overall and by value.

    For raters with a history (`known`) and for raters of whom only answers are known (`new`). The ends of an interval
    belong to it. Ratings weigh the same; intervals of the shares are bootstraps over raters.
    """
    described: dict[str, Any] = {"level": INTERVAL_LEVEL}
    for view in VIEWS:
        rows = data.test_rows if view == KNOWN else data.new_rows
        ends = data.intervals.get(view)
        described[view] = (
            {"reason": NO_INTERVALS if ends is None else NO_ROWS} | _NOTHING
            if ends is None or not len(rows)
            else _describe_view(data, rows, *ends, seed=seed)
        )
    return described


_NOTHING: dict[str, Any] = {
    "coverage": None,
    "interval": [None, None],
    "width": None,
    "ratings": 0,
    "raters": 0,
    "posts": 0,
    "by_value": [],
}


def _describe_view(
    data: EvaluationData, rows: Ints, low: Floats, high: Floats, *, seed: int
) -> dict[str, Any]:
    ratings = data.ratings[rows]
    there = ~(np.isnan(ratings) | np.isnan(low) | np.isnan(high))
    if not there.any():
        return {"reason": NO_ROWS} | _NOTHING
    inside = np.where(there, (ratings >= low - TOLERANCE) & (ratings <= high + TOLERANCE), np.nan)
    width = np.where(there, high - low, np.nan)
    sample = RaterSample(np.repeat(data.raters[rows], ratings.shape[1]), seed=seed)
    overall = sample.average_rows(inside.reshape(-1, 1)).describe()[0]
    by_value = RaterSample(data.raters[rows], seed=seed).average_rows(inside).describe()
    return {
        "reason": "",
        "coverage": overall[0],
        "interval": overall[1],
        "width": float(np.nanmean(width)),
        "ratings": int(there.sum()),
        "raters": overall[2],
        "posts": len(np.unique(data.posts[rows])),
        "by_value": [
            {
                "value": key,
                "coverage": found,
                "interval": interval,
                "width": float(width[there[:, place], place].mean()) if there[:, place].any() else None,
                "ratings": int(there[:, place].sum()),
            }
            for place, (key, (found, interval, _)) in enumerate(zip(data.keys, by_value, strict=True))
        ],
    }
