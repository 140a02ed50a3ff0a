"""PURE. How far a run says the same twice, and the same of a post in other words. Ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.stability import (
    ParaphraseStability,
    RunStability,
    paraphrase_stability,
    run_stability,
)

from .calibration import describe_score
from .numbers import number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_RESAMPLES = 1000
CI_LEVEL = 0.95
RUNS, WORDINGS = 20, 21  # streams of the seed
NOTES = (
    "A value flips in a post when it is expressed in some samples and not in others. The more samples, the more flips: "
    "between models compare the share of pairs of samples that differ.",
    "Spread is the standard deviation of a rating over samples, in points of the scale, averaged over posts.",
    "A paraphrase is held against its original, first sample against first sample. Beside it stands how often two "
    "samples of one wording differ: what would be seen if wording did not matter.",
    "Every post weighs the same, however many values or paraphrases it has. Intervals are from bootstrap resamples of "
    "posts.",
)


@dataclass(frozen=True, eq=False)
class StabilityData:
    """What one run says of posts, sample by sample, and of the same posts in other words.

    Attributes
    ----------
    values : (key, name) of each value
    samples : ndarray of shape (n_samples, n_posts, n_values), in scale points; NaN where there is no reading
    variants : ndarray of shape (n_variants, n_values), readings of paraphrases; NaN where there is none
    of : ndarray of int, shape (n_variants,), the post of each variant by its place in `samples`
    n_failed, n_failed_variants : readings without ratings
    n_paraphrases : those the posts have, read or not
    """

    values: Sequence[tuple[str, str]]
    samples: Floats
    variants: Floats
    of: Ints
    threshold: float
    scale: tuple[int, int]
    run: int
    label: str
    line: str
    is_standin: bool = False
    n_failed: int = 0
    n_failed_variants: int = 0
    n_paraphrases: int = 0
    variant_runs: tuple[int, ...] = ()


def describe_stability(data: StabilityData, *, seed: int) -> dict[str, Any]:
    """Compute how stable a run is; the same seed and data give the same numbers.

    Raises
    ------
    ValueError
        If shapes do not fit each other.
    """
    runs = run_stability(
        data.samples,
        data.threshold,
        rng=np.random.default_rng([seed, RUNS]),
        n_resamples=N_RESAMPLES,
        level=CI_LEVEL,
    )
    wordings = paraphrase_stability(
        data.samples[0],
        data.variants,
        data.of,
        data.threshold,
        rng=np.random.default_rng([seed, WORDINGS]),
        noise_floor=runs.disagreement.estimate,
        n_resamples=N_RESAMPLES,
        level=CI_LEVEL,
    )
    keys = [key for key, _ in data.values]
    return {
        "values": [{"key": key, "name": name} for key, name in data.values],
        "threshold": data.threshold,
        "scale": list(data.scale),
        "run": data.run,
        "label": data.label,
        "line": data.line,
        "is_standin": data.is_standin,
        "n_standin": int(data.is_standin),
        "n_items": data.samples.shape[1],
        "n_failed": data.n_failed,
        "n_failed_variants": data.n_failed_variants,
        "n_paraphrases": data.n_paraphrases,
        "variant_runs": list(data.variant_runs),
        "repeats": _describe_runs(runs, keys),
        "wordings": _describe_wordings(wordings, keys),
        "notes": list(NOTES),
        "seed": seed,
        "n_resamples": N_RESAMPLES,
        "ci_level": CI_LEVEL,
    }


def _describe_runs(found: RunStability, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "flips": describe_score(found.flips),
        "disagreement": describe_score(found.disagreement),
        "spread": describe_score(found.spread),
        "n_runs": found.n_runs,
        "n_posts": found.n_posts,
        "n_left_out": found.n_left_out,
        "n_cells": found.n_cells,
        "n_cells_left_out": found.n_cells_left_out,
        "reason": found.reason,
        "by_value": [
            {
                "value": key,
                "flips": describe_score(each.flips),
                "disagreement": describe_score(each.disagreement),
                "spread": describe_score(each.spread),
                "n_posts": each.n_posts,
            }
            for key, each in zip(keys, found.per_value, strict=True)
        ],
    }


def _describe_wordings(found: ParaphraseStability, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "flips": describe_score(found.flips),
        "difference": describe_score(found.difference),
        "rho": describe_score(found.rho),
        "n_originals": found.n_originals,
        "n_variants": found.n_variants,
        "n_left_out": found.n_variants_left_out,
        "n_rho_undefined": found.n_rho_undefined,
        "noise_floor": number(found.noise_floor),
        "is_above_noise": found.is_above_noise,
        "reason": found.reason,
        "by_value": [
            {
                "value": key,
                "flips": describe_score(each.flips),
                "difference": describe_score(each.difference),
                "n_posts": each.n_posts,
            }
            for key, each in zip(keys, found.per_value, strict=True)
        ],
    }
