"""What came of a check, as tables, sentences and a file. A web process may import it."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from modeling.export.cells import clean, guard
from modeling.models import CheckLabel, ClassifierCheck, PromptVersion
from modeling.prompts.design import PromptDesign
from modeling.reports.names import SAYS_STANDIN

from .services import FOUND, SAMPLE, WORDS, Purpose

MEASURE_LABELS = {
    "accuracy": "Accuracy",
    "kappa": "Cohen’s kappa",
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1 score",
}
AGAINST = {"majority": "Majority", "unanimous": "Unanimous"}


def get_design(check: ClassifierCheck) -> PromptDesign | None:
    """Return the codebook that the classifier was given."""
    prompt = PromptVersion.objects.filter(pk=check.results[SAMPLE]["prompt"]).first()
    return PromptDesign.from_dict(prompt.content) if prompt else None


def get_words(check: ClassifierCheck) -> tuple[str, str]:
    """Return what yes and no are called."""
    return WORDS[Purpose(check.purpose)]


def say_shortage(check: ClassifierCheck) -> str:
    """Return that there were fewer posts than asked for, and of which decision; "" where there were enough.

    For whoever made the check, and for all once it is closed: who labels need not know it.
    """
    sample = check.results[SAMPLE]
    short = [
        f"“{word}” to {sample[key]:,}"
        for word, key in zip(get_words(check), ("n_yes", "n_no"), strict=True)
        if sample[key] < check.n_each
    ]
    if not short:
        return ""
    return f"Of either decision {check.n_each:,} posts were asked for; the classifier said {' and '.join(short)} only."


def tabulate_scores(found: dict[str, Any]) -> dict[str, Any]:
    """Return the table of the measures against majority and unanimous labels, ready for a page."""
    sides = [found["against"][name] for name in AGAINST]
    return {
        "rows": [
            {"label": label, "cells": [side["scores"][name] for side in sides]}
            for name, label in MEASURE_LABELS.items()
        ],
        "sides": [found["against"][name] | {"label": label} for name, label in AGAINST.items()],
    }


def list_differences(check: ClassifierCheck) -> list[dict[str, Any]]:
    """Return the posts on which the majority and the classifier differ, with the reasons that it gave."""
    words = dict(zip((True, False), get_words(check), strict=True))
    items = {item.position: item for item in check.items.select_related("feed_post")}
    said: dict[int, list[bool]] = {}
    counted = check.results[FOUND]["labelers"]
    labels = CheckLabel.objects.filter(item__classifier_check=check, labeler__username__in=counted)
    for position, is_positive in labels.values_list("item__position", "is_positive"):
        said.setdefault(position, []).append(is_positive)
    differences = []
    for post in check.results[FOUND]["posts"]:
        item = items.get(post["position"])
        if item is None or post["majority"] is None or bool(post["majority"]) == item.is_predicted:
            continue
        given = said.get(item.position, [])
        differences.append(
            {
                "item": item,
                "people": words[bool(post["majority"])],
                "n_people": given.count(bool(post["majority"])),
                "n_labelers": len(given),
                "model": words[item.is_predicted],
                "rating": post["rating"],
                "reasons": post["reasons"],
            }
        )
    return differences


def write_labels(check: ClassifierCheck) -> Iterator[str]:
    """Yield a CSV file of a closed check, line by line: of each post what everybody said. Texts are not in it."""
    found = {post["position"]: post for post in check.results[FOUND]["posts"]}
    labels: dict[int, dict[str, bool]] = {}
    rows = CheckLabel.objects.filter(item__classifier_check=check).order_by("labeler__username")
    for position, name, is_positive in rows.values_list("item__position", "labeler__username", "is_positive"):
        labels.setdefault(position, {})[name] = is_positive
    names = sorted({name for of_post in labels.values() for name in of_post})
    source = SAYS_STANDIN if check.results[SAMPLE]["is_standin"] else ""
    yield _write_line(
        ["position", "key", "rating", "classifier", "majority", "unanimous"]
        + [f"label_{name}" for name in names]
        + ["ratings_from"]
    )
    for item in check.items.select_related("feed_post").order_by("position"):
        post, given = found[item.position], labels.get(item.position, {})
        rating = "" if post["rating"] is None else f"{post['rating']:g}"
        yield _write_line(
            [item.position, item.feed_post.key, rating]
            + [_write_label(label) for label in (item.is_predicted, post["majority"], post["unanimous"])]
            + [_write_label(given.get(name)) for name in names]
            + [source]
        )


def _write_label(label: float | bool | None) -> str:
    return "" if label is None else "yes" if label else "no"


def _write_line(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        guard(clean(cell)) if isinstance(cell, str) else cell for cell in cells
    )
    return line.getvalue()
