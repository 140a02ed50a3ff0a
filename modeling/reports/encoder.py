"""PURE. How well an encoder reads: soft labels against hard ones, on posts that neither was taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.multilabel import compare_multilabel, multilabel_scores, rank_agreement
from modeling.stats.over_posts import divide, score_mean
from modeling.stats.spearman import spearman_rows
from modeling.stats.uncertainty import error_uncertainty

from .encoder_tables import MEASURES
from .encoder_view import (
    LEVEL,
    Floats,
    Truth,
    View,
    as_score,
    calibrate,
    compare_awareness,
    compare_calibration,
)
from .numbers import ends, number

N_RESAMPLES = 1000
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Reader:
    """One encoder's reading of the judged posts.

    `said` has shape (n_posts, n_values, n_points); `labels` is "soft" or "hard", `loss` as in its settings.
    """

    key: str
    label: str
    labels: str
    loss: str
    said: NDArray[Any]


@dataclass(frozen=True, eq=False)
class EncoderData:
    """All that the report of a training sees.

    Attributes
    ----------
    values : key and name of each value, in order
    points : the scale, lowest first
    threshold : from which rating on a value counts as expressed
    truth : of the judged posts
    by_experts : whether experts are the reference, else the posts' own soft labels
    readers : the encoder that was registered first, then its twins
    truth_taught, said_taught : own labels of taught posts, and what was said of them out of fold
    notes : sentences that belong beside every number
    is_standin : whether the labels come from no real model
    """

    values: Sequence[tuple[str, str]]
    points: Floats
    threshold: int
    truth: Truth
    by_experts: bool
    readers: Sequence[Reader]
    truth_taught: Truth
    said_taught: NDArray[Any]
    notes: Sequence[str] = ()
    is_standin: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


def describe_encoder(
    data: EncoderData, *, seed: int, n_resamples: int = N_RESAMPLES, report: OnProgress | None = None
) -> dict[str, Any]:
    """Return the measures of a training, ready for JSON.

    Every encoder is measured on the same posts; differences are of the first soft one from each hard one, and from
    the soft one with the other loss. Intervals are bootstrap intervals over posts at the level `LEVEL`.
    """
    rng = np.random.default_rng(seed)
    tell = report or _be_silent
    n_steps = 2 * len(data.readers)
    readers = []
    for place, reader in enumerate(data.readers):
        tell(place, n_steps, "encoders measured")
        measured = measure_reading(
            data.truth, reader.said, data.points, data.threshold, rng=rng, n_resamples=n_resamples
        )
        readers.append(
            {"key": reader.key, "label": reader.label, "labels": reader.labels, "loss": reader.loss}
            | measured
        )
    first, *others = data.readers
    differences = []
    for place, other in enumerate(others, len(data.readers)):
        tell(place, n_steps, "encoders compared")
        differences.append(
            {
                "a": first.key,
                "b": other.key,
                "label": f"{first.label} compared with {other.label.lower()}",
                "measures": compare_readings(
                    data.truth,
                    first.said,
                    other.said,
                    data.points,
                    data.threshold,
                    rng=rng,
                    n_resamples=n_resamples,
                ),
            }
        )
    out_of_fold = None
    if len(data.said_taught):
        tell(n_steps - 1, n_steps, "posts read out of fold measured")
        out_of_fold = measure_reading(
            data.truth_taught, data.said_taught, data.points, data.threshold, rng=rng, n_resamples=n_resamples
        )
    return {
        "values": [{"key": key, "name": name} for key, name in data.values],
        "points": data.points.tolist(),
        "threshold": data.threshold,
        "by_experts": data.by_experts,
        "n_posts": len(data.truth.ratings),
        "n_pairs": int(np.isfinite(data.truth.ratings).sum()),
        "ci_level": LEVEL,
        "n_resamples": n_resamples,
        "seed": seed,
        "models": readers,
        "n_standin": len(readers) if data.is_standin else 0,
        "differences": differences,
        "out_of_fold": out_of_fold,
        "notes": list(data.notes),
        **data.about,
    }


def measure_reading(
    truth: Truth,
    said: ArrayLike,
    points: Floats,
    threshold: float,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """Return all measures of one encoder's distributions against the truth of the same posts, ready for JSON."""
    view = View(truth, said, points, threshold)
    options: dict[str, Any] = {"rng": rng, "n_resamples": n_resamples, "level": LEVEL}
    scores = multilabel_scores(view.presence, view.predicted, **options)
    ranks = rank_agreement(truth.ratings, view.means, **options)
    ece, bins = calibrate(view, rng=rng, n_resamples=n_resamples)
    why = "no pair of post and value has both a reference and a reading"
    means = {
        name: score_mean(per_post, **options, reason=why)
        for name, per_post in (("mae", view.mae), ("rps", view.rps), ("brier", view.brier))
    }
    return {
        "macro_f1": as_score(scores.macro_f1),
        "macro_precision": as_score(scores.macro_precision),
        "macro_recall": as_score(scores.macro_recall),
        "rank": as_score(ranks.mean) | {"undefined": ranks.n_undefined, "posts": ranks.n_posts},
        **{name: as_score(score) for name, score in means.items()},
        "ece": as_score(ece),
        "error_uncertainty": as_score(error_uncertainty(view.errors, view.sds, **options).rho),
        "bins": bins,
        "n_posts": scores.n_posts,
        "n_left_out": scores.n_left_out,
        "n_values": scores.n_values,
        "left_out": [[value, reason] for value, reason in scores.left_out],
        "per_value": [
            {
                "f1": as_score(each.f1),
                "precision": as_score(each.precision),
                "recall": as_score(each.recall),
                "rank": as_score(rank),
                "n_true": each.n_true,
                "n_predicted": each.n_predicted,
                "n_posts": each.n_posts,
                "n_left_out": each.n_left_out,
            }
            for each, rank in zip(scores.per_value, ranks.per_value, strict=True)
        ],
    }


def compare_readings(
    truth: Truth,
    a: ArrayLike,
    b: ArrayLike,
    points: Floats,
    threshold: float,
    *,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
    """Return how two encoders differ on the same posts, a less b, by the names in MEASURES.

    Each has an estimate, its interval over posts, and a verdict: "better" or "worse" for a where the interval leaves
    out zero, "noise" where it does not, "" where there is no interval. Macro F1 has a p too, from swapping the two
    in random posts, and that decides. Of error and uncertainty, ranks stay those among all pairs.
    """
    first, second = (View(truth, said, points, threshold) for said in (a, b))
    f1 = compare_multilabel(
        first.presence, second.predicted, first.predicted, rng=rng, n_resamples=n_resamples, level=LEVEL
    )
    options: dict[str, Any] = {"rng": rng, "n_resamples": n_resamples}
    why = "no post has both"
    per_post: list[tuple[str, Floats, Floats]] = [
        ("rank", spearman_rows(truth.ratings, first.means), spearman_rows(truth.ratings, second.means)),
        ("mae", first.mae, second.mae),
        ("rps", first.rps, second.rps),
        ("brier", first.brier, second.brier),
    ]
    found: dict[str, dict[str, Any]] = {
        "macro_f1": {
            "estimate": number(f1.difference.estimate),
            "interval": ends(f1.difference.interval),
            "p": number(f1.p),
            "reason": f1.reason,
            "n_changed": len(f1.changed),
            "n_better": len(f1.better),
            "n_worse": len(f1.worse),
        },
        **{name: as_score(score_mean(x - y, **options, level=LEVEL, reason=why)) for name, x, y in per_post},
        "ece": as_score(compare_calibration(first, second, **options)),
        "error_uncertainty": as_score(compare_awareness(first, second, **options)),
    }
    for name, entry in found.items():
        entry["verdict"] = _judge(entry, is_more_better=MEASURES[name][1])
    return {name: found[name] for name in MEASURES}


def spread_labels(labels: ArrayLike, points: ArrayLike) -> Floats:
    """Return how often each point of the scale was given, by post and value.

    Parameters
    ----------
    labels : array-like of shape (n_raters, n_posts, n_values), NaN where nothing was given
    points : array-like of shape (n_points,)

    Returns
    -------
    ndarray of shape (n_posts, n_values, n_points)
        Shares that sum to 1; NaN where nobody gave anything.
    """
    given, scale = np.asarray(labels, dtype=np.float64), np.asarray(points, dtype=np.float64)
    if not len(given):
        return np.full((*given.shape[1:], len(scale)), np.nan)
    counts = (given[..., None] == scale).sum(axis=0)
    return divide(counts, counts.sum(axis=-1, keepdims=True))


def _judge(entry: Mapping[str, Any], *, is_more_better: bool) -> str:
    low, high = entry["interval"]
    if entry["estimate"] is None or (low is None and entry.get("p") is None):
        return ""
    is_noise = entry["p"] >= 1 - LEVEL if entry.get("p") is not None else low <= 0 <= high
    if is_noise or entry["estimate"] == 0:
        return "noise"
    return "better" if (entry["estimate"] > 0) == is_more_better else "worse"


def _be_silent(done: int, total: int, note: str) -> None:
    """Tell nobody."""
