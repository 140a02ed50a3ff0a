"""What came of a check, computed from its labels. Loads NumPy: for workers."""

import math
from itertools import combinations
from typing import Any

import numpy as np

from modeling.curation.stages import average
from modeling.models import CheckItem, CheckLabel, ClassifierCheck, ModelReading, PromptVersion
from modeling.prompts.design import PromptDesign
from modeling.stats.classification import (
    MEASURES,
    BinaryScores,
    JointLabels,
    Score,
    balance,
    binary_scores,
    majority_labels,
    unanimous_labels,
)

from .services import SAMPLE, list_labelers

N_RESAMPLES = 2000
LEVEL = 0.95


def compute(check: ClassifierCheck) -> dict[str, Any]:
    """Return the results of a closed check, ready for JSON; a number that does not exist is None with a reason.

    Only people who labeled every post count; the others are named with how many they labeled.
    """
    labelers = list_labelers(check)
    counted = [labeler for labeler in labelers if labeler.is_done]
    items = list(check.items.order_by("position"))
    given = {
        (item, labeler): is_positive
        for item, labeler, is_positive in CheckLabel.objects.filter(item__classifier_check=check).values_list(
            "item", "labeler", "is_positive"
        )
    }
    labels = np.array(
        [[given[item.pk, labeler.pk] for item in items] for labeler in counted], dtype=np.float64
    )
    predicted = np.array([item.is_predicted for item in items], dtype=np.float64)
    rng = np.random.default_rng(check.seed)

    def score(truth: Any, said: Any) -> BinaryScores:
        return binary_scores(truth, said, rng=rng, n_resamples=N_RESAMPLES, level=LEVEL)

    majority, unanimous = majority_labels(labels), unanimous_labels(labels)
    pairs = [
        {"names": [counted[a].name, counted[b].name]} | _list_agreement(score(labels[a], labels[b]))
        for a, b in combinations(range(len(counted)), 2)
    ]
    with_model = [
        {"name": labeler.name} | _list_agreement(score(row, predicted))
        for labeler, row in zip(counted, labels, strict=True)
    ]
    against = {}
    for name, joint in (("majority", majority), ("unanimous", unanimous)):
        kept = balance(joint.labels, rng=rng)
        against[name] = _list_scores(joint, score(joint.labels[kept], predicted[kept]))
    return {
        "labelers": [labeler.name for labeler in counted],
        "left_out": [[labeler.name, labeler.n_labeled] for labeler in labelers if not labeler.is_done],
        "n_posts": len(items),
        "n_resamples": N_RESAMPLES,
        "level": LEVEL,
        "pairs": pairs,
        "with_model": with_model,
        "against": against,
        "posts": _list_posts(check, items, majority, unanimous),
    }


def _list_scores(joint: JointLabels, scores: BinaryScores) -> dict[str, Any]:
    confusion = scores.confusion
    return {
        "n_yes": joint.n_yes,
        "n_no": joint.n_no,
        "n_apart": joint.n_apart,
        "n_posts": confusion.n_posts,
        "confusion": {
            "true_yes": confusion.true_yes,
            "false_yes": confusion.false_yes,
            "false_no": confusion.false_no,
            "true_no": confusion.true_no,
        },
        "scores": {name: _list_score(getattr(scores, name)) for name in MEASURES},
    }


def _list_agreement(scores: BinaryScores) -> dict[str, Any]:
    return {
        "n_posts": scores.confusion.n_posts,
        "kappa": _list_score(scores.kappa),
        "accuracy": _list_score(scores.accuracy),
    }


def _list_score(score: Score) -> dict[str, Any]:
    ends = [_write(score.interval.low), _write(score.interval.high)]
    return {"estimate": _write(score.estimate), "interval": ends, "reason": score.reason}


def _write(number: float) -> float | None:
    return None if math.isnan(number) else number


def _list_posts(
    check: ClassifierCheck, items: list[CheckItem], majority: JointLabels, unanimous: JointLabels
) -> list[dict[str, Any]]:
    """What each post came to; where the majority and the classifier differ, with the classifier's reasons."""
    sample = check.results[SAMPLE]
    prompt = PromptVersion.objects.filter(pk=sample["prompt"]).first()
    labels = (
        {each.key: each.label for each in PromptDesign.from_dict(prompt.content).concepts} if prompt else {}
    )
    found = ModelReading.objects.filter(
        run=sample["run"], feed_post__in=[item.feed_post_id for item in items]
    ).exclude(ratings=None)
    readings: dict[int, list[ModelReading]] = {}
    for reading in found.order_by("sample"):
        readings.setdefault(reading.feed_post_id, []).append(reading)
    posts = []
    for item, most, all_alike in zip(items, majority.labels, unanimous.labels, strict=True):
        of_item = readings.get(item.feed_post_id, [])
        ratings = average(reading.ratings for reading in of_item)
        differs = not math.isnan(most) and bool(most) != item.is_predicted
        posts.append(
            {
                "position": item.position,
                "rating": ratings[0] if ratings else None,
                "majority": _write(float(most)),
                "unanimous": _write(float(all_alike)),
                "reasons": [_list_reasons(reading, labels) for reading in of_item] if differs else [],
            }
        )
    return posts


def _list_reasons(reading: ModelReading, labels: dict[str, str]) -> dict[str, Any]:
    """What the classifier gave as its reasons, in one reading."""
    concepts = reading.detail.get("concepts", {})
    keys = [key for key in labels if key in concepts]  # a database keeps no order of its own
    keys += sorted(concepts.keys() - labels.keys())
    return {
        "rating": reading.ratings[0],
        "why": reading.detail.get("final", {}).get("why", ""),
        "concepts": [
            [labels.get(key, key), concepts[key].get("rating"), concepts[key].get("why", "")] for key in keys
        ],
    }
