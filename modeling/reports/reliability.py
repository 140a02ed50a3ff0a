"""Value by value: how ratings are spread, and how far raters agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from modeling.stats.categorical import Coefficient, fleiss_kappa, gwet_ac, percent_agreement
from modeling.stats.categories import MOST_CATEGORIES
from modeling.stats.crowd_error import human_crowd_mae
from modeling.stats.intraclass import intraclass
from modeling.stats.krippendorff import bootstrap_alpha, krippendorff_alpha

from .data import CI_LEVEL, MOST_LEVELS, N_RESAMPLES, Floats, RatingTable
from .numbers import median, number
from .people import RESAMPLING, make_rng

LEVELS = ("ordinal", "interval", "nominal")  # of measurement
NOT_COUNTED = "these coefficients count categories: whole ratings on a scale of at most 101 levels"


def describe_values(data: RatingTable, *, seed: int) -> list[dict[str, Any]]:
    """Return the spread and every coefficient of each value, in the system's order."""
    columns: list[dict[str, list[Any]]] = [
        {"value": list(data.keys)},
        _describe_spread(data),
        _describe_alphas(data, seed),
        _describe_categorical(data),
        _describe_intraclass(data),
        _describe_crowd(data),
    ]
    named = {name: entries for each in columns for name, entries in each.items()}
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


def find_alpha_range(by_value: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values with the lowest and the highest ordinal alpha, and the median."""
    found = [
        {"value": row["value"], "alpha": row["ordinal"]["alpha"]}
        for row in by_value
        if row["ordinal"]["alpha"] is not None
    ]
    return {
        "lowest": min(found, key=lambda each: each["alpha"], default=None),
        "highest": max(found, key=lambda each: each["alpha"], default=None),
        "median": median(each["alpha"] for each in found),
    }


def _describe_spread(data: RatingTable) -> dict[str, list[Any]]:
    low, high = data.scale
    n_levels = high - low + 1
    described: dict[str, list[Any]] = {
        name: [] for name in ("n_ratings", "mean", "sd", "share_zero", "shares")
    }
    for column in data.ratings.T:
        given = column[~np.isnan(column)]
        described["n_ratings"].append(len(given))
        described["mean"].append(number(given.mean()) if len(given) else None)
        described["sd"].append(number(given.std(ddof=1)) if len(given) > 1 else None)
        described["share_zero"].append(number((given == low).mean()) if len(given) else None)
        shares: list[float] = []
        if len(given) and n_levels <= MOST_LEVELS:
            places = np.floor(given + 0.5).astype(np.int64) - low
            shares = (np.bincount(places, minlength=n_levels) / len(given)).tolist()
        described["shares"].append(shares)
    return described


def _describe_alphas(data: RatingTable, seed: int) -> dict[str, list[Any]]:
    spread = bootstrap_alpha(
        data.ratings,
        data.posts,
        LEVELS,
        rng=make_rng(seed, RESAMPLING),
        n_resamples=N_RESAMPLES,
        ci_level=CI_LEVEL,
        n_posts=data.n_posts,
    )
    described: dict[str, list[Any]] = {}
    for level in LEVELS:
        point = krippendorff_alpha(data.ratings, data.posts, level, data.n_posts)
        described[level] = [
            {
                "alpha": number(point.krippendorff_alpha[place]),
                "interval": [number(spread[level].low[place]), number(spread[level].high[place])],
                "posts": int(point.n_posts[place]),
                "ratings": int(point.n_ratings[place]),
                "left_out": int(point.n_left_out[place]),
                "reason": point.reasons[place],
            }
            for place in range(len(data.values))
        ]
    return described


def _describe_categorical(data: RatingTable) -> dict[str, list[Any]]:
    low, high = data.scale
    names = ("percent_agreement", "fleiss_kappa", "gwet_ac2")
    if high - low + 1 > MOST_CATEGORIES or not _are_whole(data.ratings):
        nothing = {"estimate": None, "interval": [None, None], "posts": 0, "reason": NOT_COUNTED}
        return {name: [dict(nothing) for _ in data.values] for name in names}
    common: dict[str, Any] = {"scale": data.scale, "n_posts": data.n_posts}
    found = (
        (percent_agreement(data.ratings, data.posts, "identity", **common), 0.0),
        (fleiss_kappa(data.ratings, data.posts, "identity", **common), -1.0),
        (gwet_ac(data.ratings, data.posts, "quadratic", **common), -1.0),
    )
    return {
        name: _describe_coefficient(coefficient, least)
        for name, (coefficient, least) in zip(names, found, strict=True)
    }


def _describe_coefficient(found: Coefficient, least: float) -> list[dict[str, Any]]:
    """`least` is the lowest number the coefficient can take; the highest is 1."""
    freedom = np.maximum(found.n_posts - 1, 1)
    half = stdtrit(freedom, (1 + CI_LEVEL) / 2) * found.standard_error
    low, high = np.maximum(found.estimate - half, least), np.minimum(found.estimate + half, 1.0)
    return [
        {
            "estimate": number(found.estimate[place]),
            "interval": [number(low[place]), number(high[place])],
            "posts": int(found.n_posts[place]),
            "reason": found.reasons[place],
        }
        for place in range(len(found.estimate))
    ]


def _describe_intraclass(data: RatingTable) -> dict[str, list[Any]]:
    found = intraclass(data.ratings, data.posts, n_posts=data.n_posts, ci_level=CI_LEVEL)
    described: dict[str, list[Any]] = {"icc_1": [], "icc_k": []}
    for place in range(len(data.values)):
        shared = {"posts": int(found.n_posts[place]), "reason": found.reasons[place]}
        single = number(found.icc1[place])
        described["icc_1"].append(
            {
                "estimate": single,
                "interval": [number(found.icc1_low[place]), number(found.icc1_high[place])],
                **shared,
                "reason": found.reasons[place] if single is None else "",
            }
        )
        described["icc_k"].append(
            {
                "estimate": number(found.icc_k[place]),
                "interval": [number(found.icc_k_low[place]), number(found.icc_k_high[place])],
                **shared,
                "k": number(found.raters_per_post[place]),
            }
        )
    return described


def _describe_crowd(data: RatingTable) -> dict[str, list[Any]]:
    found = human_crowd_mae(data.ratings, data.posts, data.n_posts)
    return {
        "human_crowd": [number(each) for each in found.mae],
        "human_crowd_se": [number(each) for each in found.standard_error],
        "human_crowd_posts": [int(each) for each in found.n_posts],
    }


def _are_whole(ratings: Floats) -> bool:
    return all(bool((np.isnan(column) | (column == np.floor(column))).all()) for column in ratings.T)
