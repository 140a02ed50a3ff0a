"""What a document says of personalization: the two questions, what stands beside them, and why one is not answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modeling.reports.names import KNOWN_POSTS, KNOWN_RATERS, NEW_POSTS, PERSONALIZED, VIEWS, name_model
from modeling.reports.personal_tables import VIEW_NAMES, list_samples, tabulate_weights

from .blocks import Block, Heading, Paragraph, Points, make_grid, write_cell

Measures = Mapping[str, Any]

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("A. Known raters on new posts", ("controls", "values_known")),
    ("B. New raters who only answered the questionnaire", ("cold_start", "values_new")),
    ("What must be beaten", ("rater_differences",)),
    (
        "How much there is to learn from",
        ("learning_answers", "learning_answers_error", "learning_raters", "learning_raters_error"),
    ),
    ("Prediction intervals", ("interval_coverage",)),
)
BY_RATER = (
    "gain_distribution",
    "gain_by_group",
    "gain_regression",
    "adjustment_by_value",
    "variable_importance",
)
ASKED = {
    KNOWN_RATERS: "For raters with a history, on held-out posts",
    KNOWN_POSTS: "For raters of whom only the answers are known, on posts that others had rated",
    NEW_POSTS: "For raters of whom only the answers are known, on held-out posts",
}
METHODS = {
    "": "one random forest for each value, from the consensus model's prediction for the post and the rater's "
    "calibration to that rater's rating",
    "blend": "a weighted mean of several predictors, the plain consensus among them; the weights were chosen on "
    "predictions for posts, and for new raters also raters, that the predictors had not seen, and fall back to the "
    "consensus where nothing beats it",
    "boosting": "boosted trees pooled over the values",
    "mixed": "a model of mixed effects of raters on the values",
}
METHODS["forest"] = METHODS[""]


def say_method(measures: Measures) -> str:
    """Return what the personalized predictions come from, as the end of a sentence."""
    method = measures.get("method", "")
    return METHODS.get(method, f"what is called '{method}'")


def show_cautions(measures: Measures) -> Iterable[Block]:
    """Yield what must be read first: where it is worse, whether something leaks, what the model could see."""
    if "verdict" not in measures:
        return
    verdict, permuted = measures["verdict"], measures["controls"]["permuted"]
    yield Paragraph(verdict["sentence"], is_warning=bool(verdict["is_worse"]))
    yield Paragraph(permuted["sentence"], is_warning=bool(permuted["is_leaking"]))
    if measures["could_see"]:
        yield Heading("What the model could see", level=3)
        yield Points(tuple(measures["could_see"]))


def list_gains(measures: Measures) -> Iterable[str]:
    """Yield for each kind of raters and posts what personalization changes, in rho and in distance."""
    samples = list_samples(measures)
    for row in measures.get("rater_differences") or []:
        if row["from"] != measures["consensus"] or row["rho"]["difference"] is None:
            continue
        sample = samples[row["sample"]]
        rho = next(each["rho"] for each in sample["conditions"] if each["name"] == PERSONALIZED)
        yield (
            f"{ASKED[row['sample']]}, the mean rho is {write_cell(rho, 'number')}, a change of "
            f"{say_difference(row['rho'])} against the consensus; the distance from their ratings changes by "
            f"{say_difference(row['mae'])} scale points ({row['rho']['raters']:,} raters)."
        )


def say_difference(found: Mapping[str, Any]) -> str:
    """Return a difference with its interval."""
    low, high = (write_cell(end, "signed") for end in found["interval"])
    return f"{write_cell(found['difference'], 'signed')} ({low} to {high})"


def list_reasons(measures: Measures) -> dict[str, list[str]]:
    """Return for each section why parts of it are missing."""
    if "verdict" not in measures:
        return {}
    known, new, beaten, learning, intervals = (title for title, _ in SECTIONS)
    cold, coverage = measures["cold_start"], measures["coverage"]
    return {
        known: [measures["controls"]["reason"]]
        + [f"{name_model(row['name'])}: {row['reason']}" for row in measures["controls"]["absent"]],
        new: [cold["reason"]]
        if cold["reason"]
        else [
            f"{text}: {cold[key]['reason']}"
            for key, text in ((KNOWN_POSTS, "known posts"), (NEW_POSTS, "new posts"))
            if cold[key]["reason"]
        ],
        beaten: [] if measures["rater_differences"] else ["there is nothing to compare"],
        learning: [curve["reason"] for curve in measures["curves"].values()],
        intervals: [
            f"{VIEW_NAMES[view].lower()}: {coverage[view]['reason']}"
            for view in VIEWS
            if coverage[view]["reason"]
        ],
    }


def show_reasons(reasons: Iterable[str]) -> Iterable[Block]:
    """Yield why something is missing, each reason once."""
    given = dict.fromkeys(reason for reason in reasons if reason)
    if given:
        yield Points(tuple(f"Missing: {reason}." for reason in given))


def show_weights(measures: Measures) -> Iterable[Block]:
    """Yield the weights of the blend, or why there are none."""
    if "weights" not in measures:
        return
    yield Heading("What is blended")
    table = tabulate_weights(measures)
    if table is None:
        yield Points((f"Missing: {measures['weights']['reason']}.",))
    else:
        yield Paragraph(table.caption)
        yield make_grid(table.title, table.as_json())
