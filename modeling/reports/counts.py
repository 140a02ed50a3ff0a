"""What a table of ratings is: its size, its scale and its values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from .data import Ints, RatingTable
from .numbers import number

SCHEMA = 1  # of the measures; it grows when a key changes its meaning


def describe_table(data: RatingTable) -> dict[str, Any]:
    """Return counts, scale and values: what both reports begin with."""
    return {
        "schema": SCHEMA,
        "n_raters": data.n_raters,
        "n_posts": data.n_posts,
        "n_annotations": len(data.ratings),
        "n_ratings": sum(int(np.count_nonzero(~np.isnan(column))) for column in data.ratings.T),
        "n_values": len(data.values),
        "scale": [int(end) for end in data.scale],
        "values": [asdict(value) for value in data.values],
    }


def describe_counts(codes: Ints, n_codes: int) -> dict[str, Any]:
    """Return least, median, most and mean rows per code; None without a code."""
    counts = np.bincount(codes, minlength=n_codes)
    if not len(counts):
        return {"min": None, "median": None, "max": None, "mean": None}
    return {
        "min": int(counts.min()),
        "median": number(np.median(counts)),
        "max": int(counts.max()),
        "mean": number(counts.mean()),
    }
