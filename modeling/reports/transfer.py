"""PURE. What an encoder loses on the posts of another source than the one it was taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoder import N_RESAMPLES, OnProgress, compare_readings, measure_reading
from .encoder_view import LEVEL, Floats, Truth

KEPT = (
    "macro_f1",
    "rank",
    "mae",
    "rps",
    "brier",
    "ece",
    "error_uncertainty",
    "n_posts",
    "n_values",
    "left_out",
)


@dataclass(frozen=True)
class SourcePosts:
    """One source: its posts with text and labels, those taught and those judged on."""

    name: str
    n_posts: int
    n_taught: int
    n_judged: int


@dataclass(frozen=True, eq=False)
class TransferData:
    """All that the report of a transfer check sees.

    Attributes
    ----------
    values : key and name of each value, in order
    points : the scale, lowest first
    threshold : from which rating on a value counts as expressed
    sources : in the order of tables
    truth : own labels of the posts judged on, by source
    said : distributions of shape (n_judged, n_values, n_points), by the source taught and the one judged on
    pairs : (taught, judged on) of different sources, in the order of tables
    left_out : name and number of posts of each source that has too few
    notes : sentences that belong beside every number
    is_standin : whether the labels come from no real model
    """

    values: Sequence[tuple[str, str]]
    points: Floats
    threshold: int
    sources: Sequence[SourcePosts]
    truth: Mapping[str, Truth]
    said: Mapping[tuple[str, str], NDArray[Any]]
    pairs: Sequence[tuple[str, str]]
    left_out: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()
    is_standin: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


def describe_transfer(
    data: TransferData, *, seed: int, n_resamples: int = N_RESAMPLES, report: OnProgress | None = None
) -> dict[str, Any]:
    """Return the measures of a transfer check, ready for JSON.

    The loss of a pair is what an encoder taught the posts of the source that is judged on gets there, less what the
    one taught the other source gets, on the same posts. Intervals are over these posts.
    """
    rng = np.random.default_rng(seed)
    judged = list(dict.fromkeys(test for _, test in data.pairs))
    wanted = []
    for own in judged:
        wanted += [(own, own), *(pair for pair in data.pairs if pair[1] == own)]
    cells = []
    for place, (train, test) in enumerate(wanted):
        if report:
            report(place, len(wanted), "pairs of sources measured")
        found = measure_reading(
            data.truth[test],
            data.said[train, test],
            data.points,
            data.threshold,
            rng=rng,
            n_resamples=n_resamples,
        )
        loss = None
        if train != test:
            loss = compare_readings(
                data.truth[test],
                data.said[test, test],
                data.said[train, test],
                data.points,
                data.threshold,
                rng=rng,
                n_resamples=n_resamples,
            )
        cells.append({"train": train, "test": test, "loss": loss} | {name: found[name] for name in KEPT})
    return {
        "values": [{"key": key, "name": name} for key, name in data.values],
        "points": data.points.tolist(),
        "threshold": data.threshold,
        "ci_level": LEVEL,
        "n_resamples": n_resamples,
        "seed": seed,
        "sources": [
            {"name": each.name, "n_posts": each.n_posts, "n_taught": each.n_taught, "n_judged": each.n_judged}
            for each in data.sources
        ],
        "cells": cells,
        "models": [{"label": each.name} for each in data.sources],
        "n_standin": len(data.sources) if data.is_standin else 0,
        "left_out": [[name, n_posts] for name, n_posts in data.left_out],
        "notes": list(data.notes),
        **data.about,
    }
