"""PURE. The tables of an evaluation report: people and models on the held-out posts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .names import NAMES, Kind, name_model, order_names, tell_kind
from .personal_tables import PERSONAL
from .tables import (
    Column,
    Measures,
    Table,
    count,
    has_numbers,
    name_values,
    say_left_out,
    say_level,
    say_resampling,
    say_sample,
)

UNDEFINED = (
    "A comparison with ratings that are all alike is not defined and left out: the table says how many."
)


@dataclass(frozen=True)
class AgreementRow:
    """One condition: whom or what a rater is compared with, and how far the two agree."""

    key: str  # a model's name, "human_human" or "human_consensus" with the group's size
    label: str
    kind: Kind
    rho: float | None
    low: float | None
    high: float | None
    n_posts: int
    n_undefined: int
    n_compared: int
    improvement: float | None


def tabulate_agreement(measures: Measures) -> list[AgreementRow]:
    """Return every condition on the held-out posts, people first, as in the paper's Figure 5 and Table 2.

    Without a holdout the human measures are those of all posts. The improvement is relative to
    human-human on the same posts.
    """
    people = measures.get("holdout") or measures
    baseline = people["human_human"]["rho"]
    rows = [_row("human_human", NAMES["human_human"], "human", people["human_human"], None)]
    rows += [
        _row(
            f"human_consensus_{entry['size']}",
            f"Consensus of {entry['size']} others",
            "crowd",
            entry,
            baseline,
        )
        for entry in people["human_consensus_by_size"]
        if entry["size"] > 1
    ]
    crowd = people["human_consensus"]
    rows.append(_row("human_consensus", "Consensus of all others", "crowd", crowd, baseline))
    models = measures.get("models") or {}
    rows += [
        _row(name, name_model(name), tell_kind(name), models[name], baseline) for name in order_names(models)
    ]
    if measures.get("personalized"):
        personalized = measures["personalized"]
        rows.append(_row("personalized", NAMES["personalized"], "personalized", personalized, baseline))
    return rows


def _row(
    key: str,
    label: str,
    kind: Kind,
    entry: dict[str, Any],
    baseline: float | None,
) -> AgreementRow:
    rho = entry["rho"]
    return AgreementRow(
        key=key,
        label=label,
        kind=kind,
        rho=rho,
        low=entry["interval"][0],
        high=entry["interval"][1],
        n_posts=entry["posts"],
        n_undefined=entry["undefined"],
        n_compared=entry["compared"],
        improvement=None if rho is None or not baseline else (rho - baseline) / baseline,
    )


def tabulate_evaluation_report(measures: Measures) -> dict[str, Table]:
    """Return the tables of an evaluation report by their keys, those without any number left out.

    Beside those of the figures there is "differences": the paired differences between conditions.
    """
    makers: tuple[Callable[[Measures], Table | None], ...] = (
        _tabulate_conditions,
        _tabulate_improvement,
        _tabulate_differences,
        _tabulate_crowd_errors,
        _tabulate_correlations,
        _tabulate_importance,
        _tabulate_adjustment,
        _tabulate_gain_by_group,
        _tabulate_gains,
        _tabulate_gain_regression,
        *PERSONAL,
    )
    tables = (make(measures) for make in makers)
    return {table.key: table for table in tables if table is not None}


def _say_held_out(measures: Measures) -> str:
    held_out = measures.get("holdout") or measures
    return say_sample(measures, **{"posts": None, "held-out posts": held_out["n_posts"], "ratings": None})


def _tabulate_conditions(measures: Measures) -> Table | None:
    conditions = tabulate_agreement(measures)
    errors = dict(measures.get("models") or {}) | {"personalized": measures.get("personalized") or {}}
    rows = []
    for condition in conditions:
        error = errors.get(condition.key, {}).get("mae", {})
        rows.append(
            [
                condition.label,
                condition.rho,
                [condition.low, condition.high],
                condition.n_posts,
                condition.n_undefined,
                condition.n_compared,
                error.get("mae"),
                error.get("interval"),
            ]
        )
    if not has_numbers(rows, 1):
        return None
    missing = [row[0] for row in rows if row[1] is None]
    caption = (
        "Mean Spearman's rho between a rater's ratings of a post and each condition, within a post, then over the "
        f"held-out posts. {_say_held_out(measures)} {say_resampling(measures)} {UNDEFINED}"
        + say_left_out(missing, "Not defined")
    )
    columns = (
        Column("condition", "A rater compared with", "text"),
        Column("rho", "Rho"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("posts", "Posts", "count"),
        Column("undefined", "Not defined", "count"),
        Column("compared", "Comparisons", "count"),
        Column("mae", "Distance in scale points"),
        Column("mae_interval", "Its interval", "interval"),
    )
    title = "How far people agree with one another and with models"
    return Table("agreement_by_condition", title, caption, columns, rows)


def _tabulate_improvement(measures: Measures) -> Table | None:
    differences = {entry["of"]: entry for entry in measures["differences"] if entry["from"] == "human_human"}
    rows = []
    for condition in tabulate_agreement(measures):
        if condition.kind in ("human", "control"):
            continue
        found = differences.get(condition.key)
        rows.append(
            [
                condition.label,
                condition.improvement,
                condition.rho,
                found["rho"] if found else None,
                found["interval"] if found else None,
                condition.n_posts,
            ]
        )
    if not has_numbers(rows, 1):
        return None
    missing = [str(row[0]) for row in rows if row[1] is None]
    caption = (
        "Rho of each condition relative to that of one other person, on the held-out posts. The table has the paired "
        f"differences of the models. {_say_held_out(measures)} {say_resampling(measures)}"
        + say_left_out(missing, "Not defined")
    )
    columns = (
        Column("condition", "A rater compared with", "text"),
        Column("improvement", "Improvement", "share"),
        Column("rho", "Rho"),
        Column("difference", "Paired difference", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("posts", "Posts", "count"),
    )
    return Table("improvement", "How much better than one other person", caption, columns, rows)


def _tabulate_differences(measures: Measures) -> Table | None:
    rows = [
        [
            f"{name_model(entry['of'])} \u2212 {name_model(entry['from'])}",
            entry["rho"],
            entry["interval"],
            entry["posts"],
        ]
        for entry in measures["differences"]
    ]
    if not has_numbers(rows, 1):
        return None
    caption = (
        f"Differences of rho on the same held-out posts. {_say_held_out(measures)} {say_resampling(measures)}"
    )
    columns = (
        Column("difference", "Difference", "text"),
        Column("rho", "Of rho", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("posts", "Posts", "count"),
    )
    return Table("differences", "Paired differences between conditions", caption, columns, rows)


def _tabulate_crowd_errors(measures: Measures) -> Table | None:
    names = name_values(measures)
    keys = ("human_crowd", "human_crowd_se", "model_crowd", "model_crowd_se")
    rows = [
        [names[entry["value"]], *(entry[key] for key in keys), entry["posts"]]
        for entry in measures["mae_by_value"]
    ]
    if not has_numbers(rows, 1, 3):
        return None
    rows.sort(key=lambda row: -(row[1] or 0.0))
    overall = measures["mae_overall"]
    rows.append(["All values", *(overall[key] for key in keys), None])
    model = (
        ""
        if has_numbers(rows, 3)
        else " The consensus here is made of the crowd itself, so it has no distance from the crowd."
    )
    caption = (
        "Mean absolute distance, in scale points, of a rater from the mean of the others, and of the consensus model "
        f"from the rounded mean of all; standard errors are over posts. {_say_held_out(measures)}{model}"
    )
    columns = (
        Column("value", "Value", "text"),
        Column("human_crowd", "A person"),
        Column("human_crowd_se", "Standard error"),
        Column("model_crowd", "The consensus model"),
        Column("model_crowd_se", "Standard error"),
        Column("posts", "Posts", "count"),
    )
    return Table(
        "crowd_error_by_value", "How far from the crowd a person and a model are", caption, columns, rows
    )


def _tabulate_correlations(measures: Measures) -> Table | None:
    names = name_values(measures)
    entries = measures["correlation_by_value"]
    models = order_names(dict.fromkeys(name for entry in entries for name in entry["models"]))
    rows: list[list[Any]] = []
    for entry in entries:
        found = [entry["models"].get(name, {}) for name in models]
        row: list[Any] = [names[entry["value"]]]
        for model in found:
            row += [model.get("rho"), model.get("interval")]
        n_rows = max((model.get("rows", 0) for model in found), default=0)
        reasons = "; ".join(dict.fromkeys(model["reason"] for model in found if model.get("reason")))
        rows.append([*row, n_rows, reasons])
    places = range(1, 1 + 2 * len(models), 2)
    if not has_numbers(rows, *places):
        return None
    last = 2 * len(models) - 1
    rows.sort(key=lambda row: (row[last] is None, -(row[last] or 0.0)))
    missing = [row[0] for row in rows if any(row[place] is None for place in places)]
    caption = (
        "Spearman's rho between the raters' ratings of a value and a model's, over all held-out ratings of it. "
        f"{_say_held_out(measures)} {say_resampling(measures)}" + say_left_out(missing, "Not defined")
    )
    columns = [Column("value", "Value", "text")]
    for name in models:
        columns += [
            Column(name, name_model(name), "signed"),
            Column(f"{name}_interval", "Interval", "interval"),
        ]
    columns += [Column("rows", "Ratings", "count"), Column("reason", "Why not defined", "text")]
    title = "How well models predict the ratings of each value"
    return Table("correlation_by_value", title, caption, tuple(columns), rows)


def _tabulate_importance(measures: Measures) -> Table | None:
    found = measures["importance"]
    names = name_values(measures)
    rows = [[names[entry["value"]], *entry["shares"]] for entry in found["rows"]]
    if not found["features"] or not has_numbers(rows, *range(1, 1 + len(found["features"]))):
        return None
    caption = (
        "Share of the reduction in error that the personalized model of a value (a row) owes to each feature (a "
        f"column); a row sums to 100\u202f%. {say_sample(measures, posts=None, ratings=None)}"
    )
    columns = (
        Column("value", "Value", "text"),
        *(Column(feature, name_feature(feature, names), "share") for feature in found["features"]),
    )
    return Table("variable_importance", "What the personalized model uses", caption, columns, rows)


def name_feature(feature: str, names: dict[str, str]) -> str:
    """Return a feature's name with the value's own: 'calibration: post-3 / care' as 'Answer: Caring (post-3)'."""
    source, _, rest = feature.partition(": ")
    if source == "calibration":
        post, _, value = rest.partition(" / ")
        return f"Answer: {names.get(value, value)} ({post})"
    return f"Consensus: {names[rest]}" if rest in names else feature


def _tabulate_adjustment(measures: Measures) -> Table | None:
    found = measures["adjustment"]
    names = name_values(measures)
    rows = [
        [names[entry["value"]], entry["delta"], entry["se"], entry["rows"]] for entry in found["by_value"]
    ]
    if not has_numbers(rows, 1):
        return None
    rows.sort(key=lambda row: (row[1] is None, -(row[1] or 0.0)))
    rank = found["rank_correlation_with_human_crowd"]
    with_people = (
        ""
        if rank is None
        else f" Rank correlation with how far people are from the crowd: {rank:.2f}.".replace("-", "\u2212")
    )
    missing = [row[0] for row in rows if row[1] is None]
    caption = (
        "Mean absolute difference, in scale points, between what the consensus model and the personalized model say of "
        f"a held-out rating. {_say_held_out(measures)}{with_people}" + say_left_out(missing, "Not defined")
    )
    columns = (
        Column("value", "Value", "text"),
        Column("delta", "Adjustment"),
        Column("se", "Standard error"),
        Column("rows", "Ratings", "count"),
    )
    return Table("adjustment_by_value", "How far personalization moves each value", caption, columns, rows)


def _say_gain(measures: Measures) -> str:
    left_out = measures["gain"]["n_raters_left_out"]
    return say_sample(measures, raters=measures["gain"]["n_raters"], posts=None, ratings=None) + (
        f" Left out: {count(left_out, 'rater', 'raters')} without a defined gain." if left_out else ""
    )


def _tabulate_gain_by_group(measures: Measures) -> Table | None:
    found = measures["gain"]
    rows = [
        [entry["label"], entry["answer"], entry["n"], entry["mean"], entry["interval"]]
        for entry in found["by_group"]
    ]
    if not has_numbers(rows, 3):
        return None
    small = found["n_answers_in_small_groups"]
    caption = (
        "A rater's mean rho with the personalized model minus that with the consensus model, by the rater's answers. "
        f"{_say_gain(measures)} {say_resampling(measures, 'raters')}"
        + (f" {count(small, 'answer', 'answers')} of groups under five raters left out." if small else "")
    )
    columns = (
        Column("question", "Question", "text"),
        Column("answer", "Answer", "text"),
        Column("n", "Raters", "count"),
        Column("mean", "Gain", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
    )
    return Table("gain_by_group", "Who gains from personalization", caption, columns, rows)


def _tabulate_gains(measures: Measures) -> Table | None:
    found = measures["gain"]
    rows = [[entry["from"], entry["to"], entry["raters"]] for entry in found["histogram"]]
    if not any(row[2] for row in rows):
        return None
    mean = found["mean"]
    low, high = found["interval"]
    centre = "" if mean is None else f" Mean gain {_sign(mean)}"
    centre += "" if mean is None or low is None else f" ({_sign(low)} to {_sign(high)})"
    better = found["share_better"]
    centre += "." if centre else ""
    centre += "" if better is None else f" Better off: {better:.0%} of raters.".replace("%", "\u202f%")
    caption = (
        "A rater's mean rho with the personalized model minus that with the consensus model."
        f"{centre} {_say_gain(measures)} {say_resampling(measures, 'raters')}"
    )
    columns = (
        Column("from", "Gain from", "signed"),
        Column("to", "to", "signed"),
        Column("raters", "Raters", "count"),
    )
    return Table(
        "gain_distribution", "How much each rater gains from personalization", caption, columns, rows
    )


def _sign(number: float) -> str:
    return f"{number:+.3f}".replace("-", "\u2212")


def _tabulate_gain_regression(measures: Measures) -> Table | None:
    found = measures["gain"]["regression"]
    rows = [
        [
            term["name"],
            term["estimate"],
            term["se"],
            [term["low"], term["high"]],
            term["p"],
            term.get("p_holm"),
        ]
        for term in found["terms"]
    ]
    if all(term["estimate"] is None or term["kind"] == "intercept" for term in found["terms"]):
        return None
    r_squared = "" if found["r_squared"] is None else f" R\u00b2 {found['r_squared']:.3f}."
    caption = (
        "Least squares of a rater's gain on the rater's answers; "
        f"{say_level(measures)} intervals from the regression.{r_squared} "
        f"{say_sample(measures, raters=found['n_raters'], posts=None, ratings=None)}"
    )
    columns = (
        Column("term", "Goes with", "text"),
        Column("estimate", "Coefficient", "signed"),
        Column("se", "Standard error"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("p", "p", "p"),
        Column("p_holm", "p (Holm)", "p"),
    )
    return Table("gain_regression", "What a rater's gain goes with", caption, columns, rows)
