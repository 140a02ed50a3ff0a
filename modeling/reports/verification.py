"""PURE. What verification rules came to: how often each flags, how often it is right to, and what decisions change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.reports.numbers import ends, number
from modeling.stats.classification import Score
from modeling.stats.multilabel import compare_multilabel, multilabel_scores

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
OnProgress = Callable[[int, int, str], None]
FEWEST = 5  # decided posts below which a share has no interval
N_RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class RuleFacts:
    """One rule: its words, and what was counted when it was held against the corpus.

    `unknown` gives for each condition, by its place, its words and the number of posts of which it was unknown.
    """

    key: str
    title: str
    why: str
    n_flagged: int
    n_undecided: int
    unknown: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class VerificationData:
    """All that a report about a verification sees.

    Attributes
    ----------
    values : (key, name) of each value, in the study's order
    rules : in the order of their version
    n_posts, n_unread, n_test : posts held against the rules; of them without a reading; test posts left out
    threshold : from which rating on a value counts as expressed
    flagged_ids : ndarray of int, shape (n_flagged,)
    concerned : ndarray of bool, shape (n_rules, n_flagged, n_values)
        Which values each rule flags each post for.
    model, verified : ndarray of shape (n_flagged, n_values)
        What the model says, and what experts together say: NaN in every value of a post that nobody decided.
    n_experts, n_unsure, n_disputed : ndarray of int, shape (n_flagged,)
        Who decided each post, who could not, and values on which as many say one thing as the other.
    reference_ids : ndarray of int, increasing, or empty
        Development posts of the expert set that the run has looked at and its model was not taught.
    truth, said : ndarray of shape (n_reference, n_values)
        Of these posts, the experts' reference and what the model says; NaN where there is none.
    n_taught : development posts left out since the model was taught them
    n_without_reference : flagged posts that no development post of the set is
    notes : sentences about the reference
    """

    values: tuple[tuple[str, str], ...]
    rules: tuple[RuleFacts, ...]
    n_posts: int
    n_unread: int
    n_test: int
    threshold: float
    flagged_ids: NDArray[np.int64]
    concerned: Bools
    model: Floats
    verified: Floats
    n_experts: NDArray[np.int64]
    n_unsure: NDArray[np.int64]
    n_disputed: NDArray[np.int64]
    reference_ids: NDArray[np.int64]
    truth: Floats
    said: Floats
    n_taught: int = 0
    notes: tuple[str, ...] = ()
    has_reference: bool = True


def describe_verification(
    data: VerificationData, *, seed: int, report: OnProgress | None = None, n_resamples: int = N_RESAMPLES
) -> dict[str, Any]:
    """Return the measures of a verification, ready for JSON.

    Parameters
    ----------
    data : see there
    seed : of all resampling
    report : called with what is done and what there is to do
    n_resamples : of posts, for the intervals of F1

    Raises
    ------
    ValueError
        If arrays that are about the same posts or values differ in shape.
    """
    _check(data)
    report = report or (lambda done, total, note: None)
    is_decided = data.n_experts > 0
    changed = _find_changed(data, is_decided)
    rng = np.random.default_rng(seed)
    rules = []
    for place, rule in enumerate(data.rules):
        report(place, len(data.rules) + 1, "rules measured")
        flags = data.concerned[place].any(axis=1)
        rules.append(
            _describe_rule(data, rule, flags, data.concerned[place], is_decided, changed)
            | {"effect": _measure_effect(data, flags & is_decided, rng, n_resamples)}
        )
    report(len(data.rules), len(data.rules) + 1, "all rules together")
    every = np.ones(len(data.flagged_ids), dtype=bool)
    n_in_reference = int(np.isin(data.flagged_ids, data.reference_ids).sum())
    return {
        "seed": seed,
        "ci_level": LEVEL,
        "n_resamples": n_resamples,
        "threshold": data.threshold,
        "values": [{"key": key, "name": name} for key, name in data.values],
        "n_posts": data.n_posts,
        "n_unread": data.n_unread,
        "n_test": data.n_test,
        "n_flagged": len(data.flagged_ids),
        "load": number(_per_thousand(len(data.flagged_ids), data.n_posts)),
        "n_decided": int(is_decided.sum()),
        "n_corrected": int((changed.any(axis=1) & is_decided).sum()),
        "n_only_unsure": int((~is_decided & (data.n_unsure > 0)).sum()),
        "n_waiting": int((~is_decided & (data.n_unsure == 0)).sum()),
        "n_several": int((data.n_experts > 1).sum()),
        "n_disputed": int((data.n_disputed > 0).sum()),
        "has_reference": data.has_reference,
        "n_reference": len(data.reference_ids),
        "n_taught": data.n_taught,
        "n_flagged_in_reference": n_in_reference,
        "n_flagged_without_reference": len(data.flagged_ids) - n_in_reference,
        "rules": rules,
        "effect": _measure_effect(data, every & is_decided, rng, n_resamples),
        "by_value": [
            {
                "value": key,
                "n_changed": int(changed[is_decided, place].sum()),
                "n_added": int(
                    (changed[:, place] & is_decided & (data.verified[:, place] >= data.threshold)).sum()
                ),
            }
            for place, (key, _) in enumerate(data.values)
        ],
        "notes": list(data.notes),
    }


def wilson(n_yes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of a share; NaN ends below five trials.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22(158), 209-212.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if not 0 <= n_yes <= n:
        raise ValueError(f"{n_yes} of {n} is no share: give a number of trials and of those that came true")
    if n < FEWEST:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = n_yes / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def _describe_rule(
    data: VerificationData, rule: RuleFacts, flags: Bools, concerned: Bools, is_decided: Bools, changed: Bools
) -> dict[str, Any]:
    decided = flags & is_decided
    hits = decided & (changed & concerned).any(axis=1)
    elsewhere = decided & ~hits & changed.any(axis=1)
    n_decided, n_hits = int(decided.sum()), int(hits.sum())
    low, high = wilson(n_hits, n_decided)
    only = flags & (data.concerned.any(axis=2).sum(axis=0) == 1)
    return {
        "key": rule.key,
        "title": rule.title,
        "why": rule.why,
        "n_flagged": rule.n_flagged,
        "n_only": int(only.sum()),
        "load": number(_per_thousand(rule.n_flagged, data.n_posts)),
        "n_undecided": rule.n_undecided,
        "unknown": [{"place": place, "words": words, "n": n} for place, words, n in rule.unknown],
        "n_decided": n_decided,
        "n_unsure": int((flags & ~is_decided & (data.n_unsure > 0)).sum()),
        "n_corrected": n_hits,
        "n_elsewhere": int(elsewhere.sum()),
        "precision": number(n_hits / n_decided) if n_decided else None,
        "interval": [number(low), number(high)],
        "precision_reason": _say_few(n_decided),
    }


def _say_few(n_decided: int) -> str:
    if not n_decided:
        return "no flagged post is decided"
    if n_decided < FEWEST:
        return f"no interval: {n_decided} decided post{'s' if n_decided > 1 else ''}, fewer than {FEWEST}"
    return ""


def _measure_effect(
    data: VerificationData, taken: Bools, rng: np.random.Generator, n_resamples: int
) -> dict[str, Any]:
    """F1 against the reference before and after the decisions about the posts of `taken`."""
    found = data.flagged_ids[taken]
    known = np.isin(found, data.reference_ids)
    nothing = {
        "n_decided_in_reference": int(known.sum()),
        "n_decided_without_reference": int((~known).sum()),
        "before": None,
        "before_interval": [None, None],
        "after": None,
        "after_interval": [None, None],
        "difference": None,
        "interval": [None, None],
        "p": None,
        "n_posts": 0,
        "n_values": 0,
        "n_changed": 0,
        "n_better": 0,
        "n_worse": 0,
    }
    if not data.has_reference:
        return nothing | {"reason": "no expert set was named"}
    if not len(data.reference_ids):
        return nothing | {"reason": "the run has looked at no development post of the set"}
    truth, before = _presences(data.truth, data.threshold), _presences(data.said, data.threshold)
    after = before.copy()
    rows = np.searchsorted(data.reference_ids, found[known])
    after[rows] = _presences(data.verified[taken][known], data.threshold)
    scores_before = multilabel_scores(truth, before, rng=rng, n_resamples=n_resamples, level=LEVEL).macro_f1
    scores_after = multilabel_scores(truth, after, rng=rng, n_resamples=n_resamples, level=LEVEL).macro_f1
    told = nothing | {
        "before": number(scores_before.estimate),
        "before_interval": _ends(scores_before),
        "after": number(scores_after.estimate),
        "after_interval": _ends(scores_after),
        "n_posts": len(data.reference_ids),
    }
    if not known.any():
        return told | {"reason": "no flagged post with a reference is decided"}
    compared = compare_multilabel(truth, before, after, rng=rng, n_resamples=n_resamples, level=LEVEL)
    return told | {
        "difference": number(compared.difference.estimate),
        "interval": ends(compared.difference.interval),
        "p": number(compared.p),
        "n_posts": compared.n_posts,
        "n_values": compared.n_values,
        "n_changed": len(compared.changed),
        "n_better": len(compared.better),
        "n_worse": len(compared.worse),
        "reason": compared.reason,
    }


def _ends(score: Score) -> list[float | None]:
    return ends(score.interval)


def _presences(ratings: Floats, threshold: float) -> Floats:
    found: Floats = np.where(np.isnan(ratings), np.nan, (ratings >= threshold).astype(np.float64))
    return found


def _find_changed(data: VerificationData, is_decided: Bools) -> Bools:
    """Where experts say another presence than the model."""
    known = ~np.isnan(data.verified) & is_decided[:, None]
    # A model without a rating says that the value is not expressed no more than that it is.
    known &= ~np.isnan(data.model)
    found: Bools = known & ((data.verified >= data.threshold) != (data.model >= data.threshold))
    return found


def _per_thousand(part: int, whole: int) -> float:
    return 1000 * part / whole if whole else math.nan


def _check(data: VerificationData) -> None:
    n_flagged, n_values, n_rules = len(data.flagged_ids), len(data.values), len(data.rules)
    shapes: Mapping[str, tuple[Sequence[int], tuple[int, ...]]] = {
        "concerned": (data.concerned.shape, (n_rules, n_flagged, n_values)),
        "model": (data.model.shape, (n_flagged, n_values)),
        "verified": (data.verified.shape, (n_flagged, n_values)),
        "n_experts": (data.n_experts.shape, (n_flagged,)),
        "n_unsure": (data.n_unsure.shape, (n_flagged,)),
        "n_disputed": (data.n_disputed.shape, (n_flagged,)),
        "truth": (data.truth.shape, (len(data.reference_ids), n_values)),
        "said": (data.said.shape, (len(data.reference_ids), n_values)),
    }
    for name, (found, wanted) in shapes.items():
        if tuple(found) != wanted:
            raise ValueError(
                f"{name} has shape {tuple(found)}; give {wanted}, as the posts, rules and values are"
            )
