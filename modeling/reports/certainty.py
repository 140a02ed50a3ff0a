"""PURE. How sure a run is of what it says is expressed, against how often it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.overconfidence import overconfidence
from modeling.stats.uncertainty import calibration, error_uncertainty, probability_at_least, summarize

from .encoder_view import as_score
from .numbers import ends, number

Floats = NDArray[np.float64]
FEWEST_SAMPLES = 3


@dataclass(frozen=True, eq=False)
class Certainty:
    """What a run says of how sure it is.

    Attributes
    ----------
    probability : ndarray of shape (n_posts, n_values), that a value is expressed; NaN where it says nothing
    spread : standard deviation of its rating, same shape, in points of the scale
    source : "distributions" that it gives over the scale; "samples", the share of those of a post; "" for neither
    reason : why there is none
    n_samples : how many samples of a post it has at most
    """

    probability: Floats
    spread: Floats
    source: Literal["distributions", "samples", ""]
    reason: str = ""
    n_samples: int = 1


def read_certainty(
    ratings: ArrayLike, distributions: ArrayLike | None, points: ArrayLike, threshold: float
) -> Certainty:
    """Return how sure a run is: by its distributions, or where it gives none by its samples.

    Parameters
    ----------
    ratings : array-like of shape (n_samples, n_posts, n_values), NaN where there is none
    distributions : array-like of shape (n_posts, n_values, n_points), NaN where there is none; None without any
    points : array-like of shape (n_points,), rising
    threshold : from which rating on a value is expressed

    Examples
    --------
    >>> found = read_certainty([[[5.0]], [[4.0]], [[0.0]]], None, range(7), 3)
    >>> found.source, round(found.probability.item(), 3), round(found.spread.item(), 3)
    ('samples', 0.667, 2.16)
    """
    said = np.asarray(ratings, dtype=np.float64)
    n_samples = len(said)
    nothing = np.full(said.shape[1:], np.nan)
    if distributions is not None:
        try:
            probability = probability_at_least(distributions, points, threshold)
            spread = summarize(distributions, points).sds
        except ValueError as error:
            return Certainty(nothing, nothing, "", f"its distributions cannot be read: {error}", n_samples)
        return Certainty(probability, spread, "distributions", "", n_samples)
    if n_samples < FEWEST_SAMPLES:
        reason = (
            f"it gives no distributions, and has {n_samples} of the {FEWEST_SAMPLES} samples of a post needed"
        )
        return Certainty(nothing, nothing, "", reason, n_samples)
    present = ~np.isnan(said)
    is_enough = present.sum(axis=0) >= FEWEST_SAMPLES
    if not is_enough.any():
        reason = f"it gives no distributions, and no post has {FEWEST_SAMPLES} samples that could be read"
        return Certainty(nothing, nothing, "", reason, n_samples)
    n = np.maximum(present.sum(axis=0), 1)
    filled = np.where(present, said, 0.0)
    variances = np.where(present, np.square(said - filled.sum(axis=0) / n), 0.0).sum(axis=0) / n
    shares = (present & (filled >= threshold)).sum(axis=0) / n
    return Certainty(
        np.where(is_enough, shares, np.nan),
        np.where(is_enough, np.sqrt(variances), np.nan),
        "samples",
        "",
        n_samples,
    )


def describe_certainty(
    found: Certainty,
    presence: Floats,
    errors: Floats,
    *,
    rng: np.random.Generator,
    n_resamples: int,
    level: float,
) -> tuple[dict[str, Any] | None, str]:
    """Measure a run's certainty against experts, ready for JSON; None with the reason where there is none.

    Parameters
    ----------
    found : Certainty
    presence : ndarray of shape (n_posts, n_values): 1, 0, or NaN where there is no reference or it does not count
    errors : ndarray of the same shape, how far the rating is from the experts'
    rng, n_resamples, level : of intervals over posts
    """
    if not found.source:
        return None, found.reason
    options: dict[str, Any] = {"rng": rng, "n_resamples": n_resamples, "level": level}
    signed = overconfidence(found.probability, presence, **options)
    if not signed.n_cells:
        return None, signed.difference.reason
    bins = calibration(found.probability, presence, **options)
    spread = np.where(np.isnan(found.probability) | np.isnan(presence), np.nan, found.spread)
    described = {
        "from": found.source,
        "n_samples": found.n_samples,
        "n_posts": signed.n_posts,
        "n_pairs": signed.n_cells,
        "n_left_out": signed.n_left_out,
        "confidence": number(signed.confidence),
        "accuracy": number(signed.accuracy),
        "overconfidence": as_score(signed.difference),
        "p": number(signed.p),
        "verdict": signed.verdict,
        "ece": as_score(bins.ece),
        "ece_by_chance": number(bins.ece_by_chance),
        "ece_p": number(bins.p),
        "brier": as_score(bins.brier),
        "base_rate": number(bins.base_rate),
        "bins": [
            {
                "low": each.low,
                "high": each.high,
                "n": each.n,
                "probability": number(each.mean_probability),
                "observed": number(each.observed),
                "interval": ends(each.interval),
            }
            for each in bins.bins
        ],
        "error_uncertainty": as_score(error_uncertainty(errors, spread, **options).rho),
    }
    return described, ""
