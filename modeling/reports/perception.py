"""Who sees what: raters' own values in their ratings, the posts' screening, and the circle of values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from modeling.stats.perception import OWN_SCORE, holm, screening_effect, value_projection
from modeling.stats.regression import INTERCEPT, Regression

from .covariates import Covariates
from .data import CI_LEVEL, AgreementData
from .numbers import number

BESIDE_OWN_SCORE = ("age", "party")  # the questions that the founding paper holds constant
NO_OWN_SCORES = "the raters' own values are not known"


def describe_projection(data: AgreementData, covariates: Covariates) -> dict[str, Any]:
    """Return the regression of each value's ratings on the raters' own score for it, their age and their party.

    Age and party are the questions with these keys, in whichever questionnaire; without them the own score stands
    alone. Holm's correction runs over the values, term by term.
    """
    groups = {name: answers for name, answers in covariates.groups.items() if _is_beside(name)}
    numbers = {name: given for name, given in covariates.numbers.items() if _is_beside(name)}
    described: dict[str, Any] = {
        "source": data.own_scores_source,
        "reason": "",
        "covariates": [OWN_SCORE, *numbers, *groups],
        "by_value": [],
    }
    if data.own_scores is None or np.isnan(data.own_scores).all():
        return described | {"reason": NO_OWN_SCORES, "covariates": []}
    fits = value_projection(
        data.ratings,
        data.raters,
        data.own_scores,
        groups,
        numbers,
        ci_level=CI_LEVEL,
    )
    names = dict.fromkeys(term.name for fit in fits for term in fit.terms)
    p = {name: holm([_find_p(fit, name) for fit in fits]) for name in names}
    described["by_value"] = [
        {
            "value": key,
            "reason": fit.reason,
            "n_ratings": fit.n_rows,
            "n_raters": fit.n_clusters,
            "r_squared": number(fit.r_squared),
            "terms": describe_terms(fit, [p[term.name][place] for term in fit.terms], numbers),
        }
        for place, (key, fit) in enumerate(zip(data.keys, fits, strict=True))
    ]
    return described


def _is_beside(question: str) -> bool:
    return question.rpartition(".")[2] in BESIDE_OWN_SCORE


def describe_terms(
    fit: Regression, p_holm: Sequence[float], numbers: Collection[str]
) -> list[dict[str, Any]]:
    """Return a regression's terms; `numbers` names those that are numbers, the others are groups."""
    return [
        {
            "name": term.name,
            "kind": _name_kind(term.name, numbers),
            "estimate": number(term.estimate),
            "se": number(term.standard_error),
            "low": number(term.low),
            "high": number(term.high),
            "p": number(term.p),
            "p_holm": number(adjusted),
        }
        for term, adjusted in zip(fit.terms, p_holm, strict=True)
    ]


def describe_screening(data: AgreementData) -> list[dict[str, Any]]:
    """Return, value by value, the mean rating of posts screened in and out; empty without screening scores."""
    if data.screening is None or np.isnan(data.screening).all():
        return []
    effect = screening_effect(data.ratings, data.posts, data.screening, ci_level=CI_LEVEL)
    return [
        {
            "value": key,
            "in_mean": number(effect.mean_in[place]),
            "out_mean": number(effect.mean_out[place]),
            "difference": number(effect.difference[place]),
            "low": number(effect.low[place]),
            "high": number(effect.high[place]),
            "t": number(effect.statistic[place]),
            "df": number(effect.df[place]),
            "p": number(effect.p[place]),
            "n_in": int(effect.n_in[place]),
            "n_out": int(effect.n_out[place]),
            "reason": effect.reasons[place],
        }
        for place, key in enumerate(data.keys)
    ]


def _find_p(fit: Regression, name: str) -> float:
    return next((term.p for term in fit.terms if term.name == name), float("nan"))


def _name_kind(name: str, numbers: Collection[str]) -> str:
    if name == INTERCEPT:
        return "intercept"
    if name == OWN_SCORE:
        return "own_value"
    return "number" if name in numbers else "group"
