"""Whether ratings show the circle of values: neighbours seen together, raters pointing the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.circumplex import (
    OPPOSITE_DIRECTION_DEG,
    SAME_DIRECTION_DEG,
    compare_directions,
    fit_circle,
    order_correlation,
    theoretical_angles,
    value_correlations,
)
from modeling.stats.consensus import mean_of, totals_by_post

from .data import N_RESAMPLES, RatingTable
from .numbers import number, numbers
from .people import RESAMPLING, make_rng

LEAST_VALUES = 3
ROWS_AT_ONCE = 200_000  # compared in memory at once
CIRCLE_NOTE = (
    "The circle places the values at equal steps in the system's order. A direction is the sum of arrows towards the "
    "values, as long as their ratings above the lowest one; a rater is compared with the mean of the post's others."
)


def describe_circle(data: RatingTable, *, seed: int) -> dict[str, Any]:
    """Return the values' places in the plane beside their places on the circle, and how raters' directions differ."""
    found = value_correlations(data.ratings)
    fitted = fit_circle(found.correlations)
    order = order_correlation(found.correlations, rng=make_rng(seed, RESAMPLING), n_permutations=N_RESAMPLES)
    described: dict[str, Any] = {
        "reason": fitted.reason,
        "n_values": fitted.n_values,
        "stress": number(fitted.stress),
        "congruence": number(fitted.congruence),
        "order_correlation": number(order.rho),
        "order_p": number(order.p),
        "points": [
            {
                "value": key,
                "x": number(fitted.points[place, 0]),
                "y": number(fitted.points[place, 1]),
                "angle": number(fitted.angles_deg[place]),
                "theory_angle": number(fitted.theory_deg[place]),
                "error": number(fitted.errors_deg[place]),
            }
            for place, key in enumerate(data.keys)
        ],
        "correlations": [numbers(row) for row in found.correlations],
    }
    return described | _describe_directions(data)


def _describe_directions(data: RatingTable) -> dict[str, Any]:
    n_rows, n_values = data.ratings.shape
    between = np.full(n_rows, np.nan)
    if n_values >= LEAST_VALUES:
        totals, counts = totals_by_post(data.ratings, data.posts, data.n_posts)
        angles = theoretical_angles(n_values)
        for begin in range(0, n_rows, ROWS_AT_ONCE):
            chunk = slice(begin, begin + ROWS_AT_ONCE)
            own, posts = data.ratings[chunk], data.posts[chunk]
            present = ~np.isnan(own)
            others = mean_of(totals[posts] - np.where(present, own, 0.0), counts[posts] - present)
            low = data.scale[0]
            # A difference of sums may lie below the scale by float error.
            between[chunk] = compare_directions(own - low, np.maximum(others - low, 0), angles).distances_deg
    compared = between[~np.isnan(between)]
    return {
        "same_direction": _share(compared < SAME_DIRECTION_DEG),
        "opposite_direction": _share(compared > OPPOSITE_DIRECTION_DEG),
        "median_angle": number(np.median(compared)) if len(compared) else None,
        "n_compared": len(compared),
        "n_no_direction": n_rows - len(compared),
    }


def _share(holds: NDArray[np.bool_]) -> float | None:
    return float(holds.mean()) if len(holds) else None
