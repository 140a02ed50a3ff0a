"""Whom personalizing helps: the gain of each rater, of groups, and what it goes with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modeling.stats.perception import gain_by_group, gain_regression, holm, personalization_gain
from modeling.stats.regression import INTERCEPT

from .covariates import Covariates
from .data import CI_LEVEL, N_RESAMPLES, EvaluationData, Floats
from .numbers import ends, number
from .people import RESAMPLING, make_rng
from .perception import describe_terms

BIN_WIDTHS = (0.01, 0.02, 0.05, 0.1, 0.2)
MOST_BINS = 24


def describe_gain(data: EvaluationData, covariates: Covariates, *, seed: int) -> dict[str, Any]:
    """Return how much closer the personalized model comes to each rater than the one it starts from."""
    consensus = data.predictions.get(data.consensus_name)
    personalized = data.predictions.get("personalized")
    if consensus is None or personalized is None:
        return _describe_nothing("there is no personalized model beside a consensus model")
    gain = personalization_gain(
        data.ratings[data.test_rows],
        data.raters[data.test_rows],
        personalized,
        consensus,
        data.n_raters,
        rng=make_rng(seed, RESAMPLING),
        n_resamples=N_RESAMPLES,
        level=CI_LEVEL,
    )
    gains = gain.per_rater[~np.isnan(gain.per_rater)]
    if not len(gains):
        return _describe_nothing(gain.reason, n_left_out=data.n_raters)
    by_group, n_small = _describe_groups(data, gain.per_rater, seed)
    return {
        "reason": gain.reason,
        "n_raters": len(gains),
        "n_raters_left_out": data.n_raters - len(gains),
        "mean": number(gain.mean),
        "interval": ends(gain.interval),
        "share_better": float((gains > 0).mean()),
        "histogram": make_histogram(gains),
        "by_group": by_group,
        "n_answers_in_small_groups": n_small,
        "regression": _describe_regression(covariates, gain.per_rater),
    }


def make_histogram(gains: Floats) -> list[dict[str, Any]]:
    """Count raters in bins of equal, round width that meet at 0; a bin holds its lower edge."""
    for width in BIN_WIDTHS:
        # A gain that float error leaves just below an edge belongs above it.
        places = np.floor(gains / width + 1e-9).astype(np.int64)
        first = int(places.min())
        if int(places.max()) - first < MOST_BINS:
            break
    return [
        {
            "from": round((first + place) * width, 2),
            "to": round((first + place + 1) * width, 2),
            "raters": int(n),
        }
        for place, n in enumerate(np.bincount(places - first))
    ]


def _describe_groups(data: EvaluationData, gains: Floats, seed: int) -> tuple[list[dict[str, Any]], int]:
    described, n_small = [], 0
    for question, answers in data.groups.items():
        labels = [answer or None for answer in answers]
        grouped = gain_by_group(
            gains, labels, rng=make_rng(seed, RESAMPLING), n_resamples=N_RESAMPLES, level=CI_LEVEL
        )
        n_small += grouped.n_small
        described += [
            {
                "question": question,
                "label": data.labels.get(question, question),
                "answer": group.label,
                "n": group.n_raters,
                "mean": number(group.mean),
                "interval": ends(group.interval),
            }
            for group in grouped.groups
        ]
    return described, n_small


def _describe_regression(covariates: Covariates, gains: Floats) -> dict[str, Any]:
    if not covariates.names:
        return {
            "reason": "nothing is known of most raters that they differ in",
            "terms": [],
            "n_raters": 0,
            "r_squared": None,
        }
    fit = gain_regression(gains, covariates.groups, covariates.numbers, ci_level=CI_LEVEL)
    adjusted = holm([math.nan if term.name == INTERCEPT else term.p for term in fit.terms])
    return {
        "reason": fit.reason,
        "terms": describe_terms(fit, list(adjusted), covariates.numbers),
        "n_raters": fit.n_rows,
        "r_squared": number(fit.r_squared),
    }


def _describe_nothing(reason: str, n_left_out: int = 0) -> dict[str, Any]:
    return {
        "reason": reason,
        "n_raters": 0,
        "n_raters_left_out": n_left_out,
        "mean": None,
        "interval": [None, None],
        "share_better": None,
        "histogram": [],
        "by_group": [],
        "n_answers_in_small_groups": 0,
        "regression": {"reason": reason, "terms": [], "n_raters": 0, "r_squared": None},
    }
