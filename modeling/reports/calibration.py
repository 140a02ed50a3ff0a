"""PURE. Runs of annotator models beside experts: F1, rank agreement, what versions gained, what experts reach.

Ready for JSON; a number that does not exist is None, with a reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.stats.classification import Score
from modeling.stats.multilabel import (
    MultilabelComparison,
    MultilabelScores,
    RankAgreement,
    compare_multilabel,
    multilabel_scores,
    rank_agreement,
)

from .certainty import Certainty, describe_certainty
from .expert_agreement import describe_experts, find_presences
from .numbers import ends, number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
OnProgress = Callable[[int, int, str], None]

DEVELOPMENT = "development"
N_RESAMPLES = 2000
CI_LEVEL = 0.95
SCORES, PAIRS, RANKS, CERTAINTY = 0, 1, 2, 3  # streams of the seed
UNKNOWN = "nothing is known of how sure it is"
NOTES = (
    "A value is expressed in a post when its rating is at or above the threshold; of several samples of a run, their "
    "mean counts.",
    "Macro F1 is the mean of the F1 of the values that have one. A value that experts never, or always, find "
    "expressed in these posts has none and is listed.",
    "A value of a post on which experts differ, and which nobody has settled, is left out of every measure and "
    "counted; so is a post that the model was taught, and a reading that failed.",
    "Rank agreement is Spearman's rho between the experts' and the model's ratings of a post over the values, "
    "averaged over posts; a post with ratings all alike has none.",
    "Two runs are compared on the posts that both have read. The p is two-sided, from swapping the two within posts at "
    "random; p values of single values are adjusted by Holm's method over the values.",
    "How sure a run is of a value of a post is the larger of two probabilities, that it is expressed and that it is "
    "not, by its distributions or samples. It is right where experts say what it holds likelier. Both are means over "
    "pairs of post and value.",
    "A difference is called within noise unless its p is below 5 % and its interval leaves out zero. Who tries many "
    "versions on the same posts will find one that gains by luck: the test posts, opened once, are what tells.",
)


@dataclass(frozen=True, eq=False)
class ReadRun:
    """A run of an annotator model on the posts of a reference.

    Attributes
    ----------
    run : its number; `label` names the annotator model
    line : what stays the same from one version to the next, such as the language model
    family, version : of the prompt; a local encoder is its own family
    ratings : ndarray of shape (n_posts, n_values), in scale points; NaN where there is no reading
    taught : ndarray of bool, shape (n_posts,): posts that the model was taught
    n_readings, n_failed : of these posts, one for each sample; `failures` are the latter by their kind
    certainty : how sure it is of each value of a post, None where nothing is known of it
    cost : dollars for all its readings, None where it is not known for `cost_reason`; `n_all` readings were made
    """

    run: int
    label: str
    line: str
    family: str
    version: int
    ratings: Floats
    taught: Bools
    finished: str = ""
    kind: str = ""
    is_standin: bool = False
    n_samples: int = 1
    n_readings: int = 0
    n_failed: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    certainty: Certainty | None = None
    cost: float | None = None
    cost_reason: str = ""
    n_all: int = 0


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Experts' reference for some posts, and the runs that read them.

    Attributes
    ----------
    values : (key, name) of each value, in the study's order
    post_ids, keys : of the posts
    reference : ndarray of shape (n_posts, n_values), in scale points; NaN where experts have settled nothing
    labels : ndarray of shape (n_experts, n_posts, n_values), what each expert said; NaN where nothing
    experts : their names
    threshold : from which rating on a value is expressed
    n_open : values of posts that experts differ on; `n_unlabeled` posts that nobody labeled
    runs : in the order of families and versions
    notes : what the reader of the reference should know

    Raises
    ------
    ValueError
        If shapes do not fit each other, or two runs have one number.
    """

    values: Sequence[tuple[str, str]]
    post_ids: Sequence[int]
    keys: Sequence[str]
    reference: Floats
    labels: Floats
    experts: Sequence[str]
    threshold: float
    runs: Sequence[ReadRun]
    scale: tuple[int, int] = (0, 6)
    n_open: int = 0
    n_unlabeled: int = 0
    split: str = DEVELOPMENT
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        shape = (len(self.post_ids), len(self.values))
        arrays = {"reference": self.reference} | {f"run {run.run}": run.ratings for run in self.runs}
        arrays |= {
            f"the certainty of run {run.run}": run.certainty.probability for run in self.runs if run.certainty
        }
        for name, array in arrays.items():
            if array.shape != shape:
                raise ValueError(
                    f"{name} has shape {array.shape}; give one row per post and column per value: {shape}"
                )
        if self.labels.shape != (len(self.experts), *shape):
            raise ValueError(
                f"labels has shape {self.labels.shape}; give one sheet per expert: {(len(self.experts), *shape)}"
            )
        numbers = [run.run for run in self.runs]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"runs has a run twice: {numbers}; give each once")


def describe_calibration(
    data: CalibrationData, *, seed: int, report: OnProgress = lambda done, total, note: None
) -> dict[str, Any]:
    """Compute how each run stands beside experts, what each version gained, and what experts reach themselves.

    Parameters
    ----------
    data : CalibrationData
    seed : int
        The same seed and data give the same numbers.
    report : callable
        Told (steps done, steps in all, what comes next).

    Returns
    -------
    dict
        Ready for JSON: see `modeling/reports/calibration_tables.py` for what is read of it.
    """
    truth = find_presences(data.reference, data.threshold)
    said = {run.run: find_presences(_without_taught(run), data.threshold) for run in data.runs}
    n_steps = 2 * len(data.runs) + 1
    report(0, n_steps, "experts beside each other")
    experts = describe_experts(
        data.labels, data.experts, data.threshold, [key for key, _ in data.values], seed=seed
    )
    runs: list[dict[str, Any]] = []
    for done, run in enumerate(data.runs, start=1):
        report(done, n_steps, "runs beside experts")
        scores = multilabel_scores(
            truth,
            said[run.run],
            rng=np.random.default_rng([seed, SCORES]),
            n_resamples=N_RESAMPLES,
            level=CI_LEVEL,
        )
        ranks = rank_agreement(data.reference, _without_taught(run), rng=np.random.default_rng([seed, RANKS]))
        runs.append(
            _describe_run(data, run, said[run.run], scores, ranks)
            | _measure_certainty(data, truth, run, seed)
        )
    best = find_best(runs)
    earlier = find_earlier(data.runs)
    for done, entry in enumerate(runs, start=1 + len(runs)):
        report(done, n_steps, "versions beside each other")
        number_of = entry["run"]
        entry["before"] = _compare(data, truth, said, earlier.get(number_of), number_of, seed)
        entry["from_best"] = (
            _compare(data, truth, said, best, number_of, seed) if best not in (None, number_of) else None
        )
    described = {
        **describe_reference(data, truth),
        "experts": experts,
        "runs": runs,
        "best": best,
        "newest": find_newest(data.runs),
        "n_standin": sum(run.is_standin for run in data.runs),
        "seed": seed,
        "n_resamples": N_RESAMPLES,
        "ci_level": CI_LEVEL,
    }
    if (
        data.split == DEVELOPMENT
    ):  # single test posts are told of nowhere: what was seen would shape the next prompt
        described["posts"] = [
            {
                "id": int(pk),
                "key": key,
                "truth": _list_present(row),
                "open": [int(place) for place in np.flatnonzero(np.isnan(row))],
            }
            for pk, key, row in zip(data.post_ids, data.keys, truth, strict=True)
        ]
        for entry in runs:
            entry["presences"] = [_list_present(row) for row in said[entry["run"]]]
    report(n_steps, n_steps, "done")
    return described


def describe_pair(data: CalibrationData, first: int, second: int, *, seed: int) -> dict[str, Any]:
    """Compare two runs, the second less the first.

    Raises
    ------
    ValueError
        If `data` does not hold both runs.
    """
    by_number = {run.run: run for run in data.runs}
    if missing := {first, second} - set(by_number):
        raise ValueError(f"there is no run {', '.join(map(str, sorted(missing)))} among {sorted(by_number)}")
    truth = find_presences(data.reference, data.threshold)
    said = {pk: find_presences(_without_taught(run), data.threshold) for pk, run in by_number.items()}
    pair = _compare(data, truth, said, first, second, seed)
    return {**describe_reference(data, truth), "pair": pair, "seed": seed, "ci_level": CI_LEVEL}


def describe_reference(data: CalibrationData, truth: Floats) -> dict[str, Any]:
    """Return what the posts and their reference are."""
    settled = ~np.isnan(truth)
    return {
        "values": [{"key": key, "name": name} for key, name in data.values],
        "threshold": data.threshold,
        "scale": list(data.scale),
        "split": data.split,
        "n_items": len(data.post_ids),
        "n_posts": int(settled.any(axis=1).sum()),
        "n_open": data.n_open,
        "n_unlabeled": data.n_unlabeled,
        "n_expressed": [int(n) for n in np.nansum(truth, axis=0)] if len(truth) else [0] * len(data.values),
        "notes": [*NOTES, *data.notes],
    }


def find_earlier(runs: Sequence[ReadRun]) -> dict[int, int]:
    """Return for each run the one with the version before it: the same family and line, of several the newest run.

    Examples
    --------
    >>> nothing = np.empty((0, 0)), np.empty(0, dtype=bool)
    >>> runs = [ReadRun(n, "", "small", "main", version, *nothing) for n, version in ((4, 1), (6, 1), (9, 3))]
    >>> find_earlier(runs)
    {9: 6}
    """
    found = {}
    for run in runs:
        lower = [
            (other.version, other.finished, other.run)
            for other in runs
            if (other.family, other.line) == (run.family, run.line) and other.version < run.version
        ]
        if lower:
            found[run.run] = max(lower)[2]
    return found


def find_newest(runs: Sequence[ReadRun]) -> int | None:
    """Return the run that ended last among those with an earlier version; without any such, the one that ended last."""
    earlier = find_earlier(runs)
    among = [run for run in runs if run.run in earlier] or list(runs)
    return max(among, key=lambda run: (run.finished, run.run)).run if among else None


def find_best(runs: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the run with the highest macro F1."""
    defined = [run for run in runs if run["f1"]["estimate"] is not None]
    return max(defined, key=lambda run: run["f1"]["estimate"])["run"] if defined else None


def _without_taught(run: ReadRun) -> Floats:
    return np.where(run.taught[:, None], np.nan, run.ratings)


def _measure_certainty(data: CalibrationData, truth: Floats, run: ReadRun, seed: int) -> dict[str, Any]:
    if run.certainty is None:
        return {"certainty": None, "certainty_reason": UNKNOWN}
    described, reason = describe_certainty(
        run.certainty,
        np.where(run.taught[:, None], np.nan, truth),
        np.abs(_without_taught(run) - data.reference),
        rng=np.random.default_rng([seed, CERTAINTY]),
        n_resamples=N_RESAMPLES,
        level=CI_LEVEL,
    )
    return {"certainty": described, "certainty_reason": reason}


def _list_present(row: Floats) -> list[int] | None:
    """Return which values a row holds expressed; None where it says nothing of any."""
    return None if np.isnan(row).all() else [int(place) for place in np.flatnonzero(row == 1)]


def _describe_run(
    data: CalibrationData, run: ReadRun, said: Floats, scores: MultilabelScores, ranks: RankAgreement
) -> dict[str, Any]:
    read = ~np.isnan(run.ratings).all(axis=1)
    settled = ~np.isnan(data.reference)
    keys = [key for key, _ in data.values]
    apart = dict(scores.left_out)
    return {
        "run": run.run,
        "label": run.label,
        "line": run.line,
        "family": run.family,
        "version": run.version,
        "kind": run.kind,
        "finished": run.finished,
        "is_standin": run.is_standin,
        "n_samples": run.n_samples,
        "n_posts": int((settled & ~np.isnan(said)).any(axis=1).sum()),
        "n_taught": int((run.taught & read).sum()),
        "n_unread": int((~read).sum()),
        "n_readings": run.n_readings,
        "n_failed": run.n_failed,
        "failures": dict(run.failures),
        "cost": number(run.cost),
        "cost_reason": run.cost_reason,
        "cost_per_1000": number(1000 * run.cost / run.n_all) if run.cost is not None and run.n_all else None,
        "precision": describe_score(scores.macro_precision),
        "recall": describe_score(scores.macro_recall),
        "f1": describe_score(scores.macro_f1),
        "micro_f1": describe_score(scores.micro_f1),
        "n_values": scores.n_values,
        "left_out": [{"value": keys[value], "reason": reason} for value, reason in scores.left_out],
        "by_value": [
            {
                "value": key,
                "precision": describe_score(found.precision),
                "recall": describe_score(found.recall),
                "f1": (
                    {"estimate": None, "interval": [None, None], "reason": apart[place]}
                    if place in apart
                    else describe_score(found.f1)
                ),
                "n_true": found.n_true,
                "n_predicted": found.n_predicted,
                "n_posts": found.n_posts,
                "n_left_out": found.n_left_out,
            }
            for place, (key, found) in enumerate(zip(keys, scores.per_value, strict=True))
        ],
        "rank": describe_ranks(ranks),
    }


def describe_score(score: Score) -> dict[str, Any]:
    """Return a measure with its interval and, where it does not exist, the reason."""
    return {"estimate": number(score.estimate), "interval": ends(score.interval), "reason": score.reason}


def describe_ranks(ranks: RankAgreement) -> dict[str, Any]:
    """Return the rank agreement on the scale of the study."""
    return {
        "estimate": number(ranks.mean.estimate),
        "interval": ends(ranks.mean.interval),
        "n_posts": ranks.n_posts,
        "n_undefined": ranks.n_undefined,
        "n_left_out": ranks.n_left_out,
        "reason": ranks.mean.reason,
    }


def _compare(
    data: CalibrationData,
    truth: Floats,
    said: Mapping[int, Floats],
    older: int | None,
    newer: int,
    seed: int,
) -> dict[str, Any] | None:
    if older is None:
        return None
    found = compare_multilabel(
        truth,
        said[older],
        said[newer],
        rng=np.random.default_rng([seed, PAIRS]),
        n_resamples=N_RESAMPLES,
        level=CI_LEVEL,
    )
    return {"other": older, "run": newer} | _describe_comparison(found, [key for key, _ in data.values])


def _describe_comparison(found: MultilabelComparison, keys: Sequence[str]) -> dict[str, Any]:
    interval = found.difference.interval
    return {
        "difference": number(found.difference.estimate),
        "interval": ends(interval),
        "p": number(found.p),
        "is_within_noise": found.is_within_noise or interval.low <= 0 <= interval.high,
        "n_posts": found.n_posts,
        "n_changed": len(found.changed),
        "n_better": len(found.better),
        "n_worse": len(found.worse),
        "reason": found.reason,
        "by_value": [
            {
                "value": key,
                "difference": number(each.difference),
                "interval": ends(each.interval),
                "p": number(each.p),
                "p_adjusted": number(each.p_adjusted),
            }
            for key, each in zip(keys, found.per_value, strict=True)
        ],
    }
