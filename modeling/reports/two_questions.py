"""The two questions of personalization, kept apart: known raters on new posts, and new raters who only gave answers.

Beside each answer stand the controls that it has to be read with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .conditions import Comparison
from .data import EvaluationData
from .names import (
    FOREST,
    KNOWN_POSTS,
    KNOWN_RATERS,
    NEW_POSTS,
    NO_PERSON,
    PERMUTED,
    PERSON,
    PERSONALIZED,
    SAMPLE_NAMES,
    SAMPLES,
)

NOT_KEPT = "this fit did not compute it"
NO_NEW_RATERS = (
    "this fit set no raters apart: either raters answered no calibration questionnaire, too few did, or the fit is "
    "older than this part of the report"
)
LEAK = "Something is leaking"


def describe_questions(data: EvaluationData, *, seed: int) -> dict[str, Any]:
    """Return `controls`, `cold_start`, `rater_differences` and `verdict`.

    The unit is the rater: each number is a mean over raters of a mean over their rows, its interval a bootstrap over
    raters. Differences are paired by row. `controls` are those of known raters on held-out posts; in `cold_start`
    posts that others rated for the fit (known) and held-out ones (new) are told apart.
    """
    samples = {KNOWN_RATERS: Comparison(data, data.test_rows, data.predictions, seed=seed)}
    is_new = data.is_held_out[data.posts[data.new_rows]]
    for key, among in ((KNOWN_POSTS, ~is_new), (NEW_POSTS, is_new)):
        predictions = {name: predicted[among] for name, predicted in data.new_predictions.items()}
        samples[key] = Comparison(data, data.new_rows[among], predictions, seed=seed)
    described = {key: sample.describe() for key, sample in samples.items()}
    differences = [
        {"sample": key} | found
        for key, sample in samples.items()
        for other in _list_others(data)
        if (found := sample.subtract(PERSONALIZED, other)) is not None
    ]
    return {
        "controls": described[KNOWN_RATERS]
        | {"absent": _list_absent(data), "permuted": describe_permuted(data, samples[KNOWN_RATERS])},
        "cold_start": {
            "reason": "" if len(data.new_rows) and data.new_predictions else NO_NEW_RATERS,
            "n_raters": len(np.unique(data.raters[data.new_rows])),
            KNOWN_POSTS: described[KNOWN_POSTS],
            NEW_POSTS: described[NEW_POSTS],
        },
        "rater_differences": differences,
        "verdict": judge(differences, described, data.consensus_name),
    }


def describe_permuted(data: EvaluationData, sample: Comparison) -> dict[str, Any]:
    """Return what raters shuffled over rows gain over knowing nobody: nothing, unless something leaks."""
    found = sample.subtract(PERMUTED, data.consensus_name + NO_PERSON)
    if found is None:
        missing = [name for name in (PERMUTED, data.consensus_name + NO_PERSON) if name not in sample.names]
        return {
            "reason": f"{NOT_KEPT} ({', '.join(missing)})",
            "rho": None,
            "mae": None,
            "is_leaking": None,
            "sentence": "Whether shuffled raters gain anything was not checked: this fit kept no such control.",
        }
    gains = [measure for measure in ("rho", "mae") if found[measure]["direction"] == "better"]
    rho = found["rho"]
    if rho["difference"] is None or None in rho["interval"]:
        sentence = "Whether shuffled raters gain anything cannot be told: their rho has no interval."
        return {"reason": "", **_measures_of(found), "is_leaking": None, "sentence": sentence}
    numbers = (
        f"{_sign(rho['difference'])} in rho ({_sign(rho['interval'][0])} to {_sign(rho['interval'][1])}, "
        f"{rho['raters']:,} raters)"
    )
    sentence = (
        f"{LEAK}: with the raters shuffled over rows the forest still does better than without any rater, {numbers}. "
        "Do not trust the gains of this report until it is found."
        if gains
        else f"As it must be, shuffled raters gain nothing over no rater at all: {numbers}."
    )
    return {"reason": "", **_measures_of(found), "is_leaking": bool(gains), "sentence": sentence}


def judge(differences: Sequence[dict[str, Any]], described: dict[str, Any], consensus: str) -> dict[str, Any]:
    """Say whether the personalized model is worse than the consensus anywhere, in rho or in distance.

    `worse` and `better` list where the interval lies wholly on one side; `lower` where only the estimate is on the
    wrong one.
    """
    found: dict[str, list[dict[str, str]]] = {"worse": [], "better": [], "lower": []}
    looked_at: dict[str, None] = {}
    for row in differences:
        for measure, wrong in (("rho", -1), ("mae", 1)):
            difference = row[measure]["difference"]
            if row["from"] != consensus or difference is None:
                continue
            looked_at[row["sample"]] = None
            direction = row[measure]["direction"]
            if direction in ("worse", "better"):
                found[direction].append({"sample": row["sample"], "measure": measure})
            elif difference * wrong > 0:
                found["lower"].append({"sample": row["sample"], "measure": measure})
    return {
        "is_worse": bool(found["worse"]) if looked_at else None,
        **found,
        "by_value": _count_values(described),
        "sentence": _say_verdict(found, list(looked_at)),
    }


def _say_verdict(found: dict[str, list[dict[str, str]]], looked_at: list[str]) -> str:
    if not looked_at:
        return "Whether the personalized model is worse than the consensus cannot be told: one of them is missing."
    if found["worse"]:
        said = f"The personalized model is worse than the consensus: {_say_places(found['worse'])}."
    else:
        said = "The personalized model is nowhere worse than the consensus, neither in rho nor in distance."
    if found["better"]:
        said += f" It is better: {_say_places(found['better'])}."
    if found["lower"]:
        said += f" On the wrong side, but within chance: {_say_places(found['lower'])}."
    if len(looked_at) < len(SAMPLES):
        said += f" Nothing else was looked at than: {', '.join(_say_sample(key) for key in looked_at)}."
    return said


def _count_values(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each sample, how many values the personalized model is worse or better for, with no correction for many."""
    counted = []
    for key, sample in described.items():
        rows = [row["against_consensus"] for row in sample["by_value"] if row["against_consensus"]]
        if rows:
            counted.append(
                {"sample": key, "values": len(rows)}
                | {
                    f"{measure}_{direction}": sum(row[measure]["direction"] == direction for row in rows)
                    for measure in ("rho", "mae")
                    for direction in ("better", "worse")
                }
            )
    return counted


def _say_places(places: Sequence[dict[str, str]]) -> str:
    by_sample: dict[str, list[str]] = {}
    for place in places:
        by_sample.setdefault(place["sample"], []).append({"rho": "rho", "mae": "distance"}[place["measure"]])
    return "; ".join(
        f"{_say_sample(sample)} ({' and '.join(measures)})" for sample, measures in by_sample.items()
    )


def _say_sample(sample: str) -> str:
    name = SAMPLE_NAMES[sample]
    return name[0].lower() + name[1:].replace(", ", " on ")


def _list_others(data: EvaluationData) -> list[str]:
    """The consensus, no person, and the paper's forest: what the personalized model must be compared with."""
    return [data.consensus_name, data.consensus_name + NO_PERSON, FOREST]


def _list_absent(data: EvaluationData) -> list[dict[str, str]]:
    if not data.predictions:
        return []
    expected = [data.consensus_name, data.consensus_name + NO_PERSON, PERSON, PERMUTED, FOREST, PERSONALIZED]
    return [{"name": name, "reason": NOT_KEPT} for name in expected if name and name not in data.predictions]


def _measures_of(found: dict[str, Any]) -> dict[str, Any]:
    return {measure: found[measure] for measure in ("rho", "mae")}


def _sign(number: float | None) -> str:
    return "" if number is None else f"{number:+.3f}".replace("-", "\N{MINUS SIGN}")
