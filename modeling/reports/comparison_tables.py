"""PURE. The tables of a comparison of annotator models. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .names import SAYS_STANDIN
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
    say_simulated,
)

ONE_OTHER, ALL_OTHERS = "One other person", "Consensus of all others"
A_PERSON = "A person"
STANDIN_MARK = " (stand-in)"


def tabulate_comparison(measures: Measures) -> dict[str, Table]:
    """Return the tables of a comparison by their keys, those without any number left out."""
    makers: tuple[Callable[[Measures], Table | None], ...] = (
        _tabulate_agreement,
        _tabulate_differences,
        _tabulate_errors,
        _tabulate_correlations,
        _tabulate_work,
    )
    tables = (make(measures) for make in makers)
    return {table.key: table for table in tables if table is not None}


def name_annotator(model: Measures) -> str:
    """Return what a model is called in tables and figures; a stand-in is named so wherever it stands.

    >>> name_annotator({"label": "Zero, version 1", "is_standin": True, "is_apart": True, "n_usable": 9})
    'Zero, version 1 (stand-in), on posts of its own'
    """
    name: str = model["label"] + (STANDIN_MARK if model["is_standin"] else "")
    if not model["is_apart"]:
        return name
    return f"{name}, on posts of its own" if model["n_usable"] else f"{name}, on no post"


def order_models(measures: Measures) -> list[Measures]:
    """Return the models that are compared on the common posts, best first, then those apart."""
    return sorted(
        measures["models"],
        key=lambda model: (model["is_apart"], model["rho"] is None, -(model["rho"] or 0.0)),
    )


def say_standin(measures: Measures) -> str:
    """Return which models are none, with a space before it; nothing where all are real."""
    names = [model["label"] for model in measures["models"] if model["is_standin"]]
    return f" {SAYS_STANDIN.removesuffix('.')}: {'; '.join(names)}." if names else ""


def say_common(measures: Measures) -> str:
    """Return which posts the numbers rest on."""
    common = measures["common"]
    kind = "held-out posts with ratings" if measures["holdout_only"] else "posts with ratings"
    return (
        f"{common['n_posts']:,} of {common['n_among']:,} {kind}, which every model compared on them has read and none "
        f"was trained on; {common['n_annotations']:,} annotations."
    )


def list_apart(measures: Measures) -> list[str]:
    """Say of each model that stands apart on which posts it is judged, and why."""
    return [
        f"{model['label']}: {count(model['n_usable'], 'post', 'posts')} that it has read and was not trained on "
        f"({count(model['n_rated_read'], 'post', 'posts')} read, {model['n_trained_on']:,} trained on). With it, fewer "
        f"than {measures['common']['limit']:,} posts would be left to compare the models on."
        for model in measures["models"]
        if model["is_apart"]
    ]


def _caption(measures: Measures, *sentences: str) -> str:
    said = " ".join(sentence for sentence in (*sentences, say_common(measures)) if sentence)
    return said + say_simulated(measures) + say_standin(measures)


def _note(model: Measures) -> str:
    return SAYS_STANDIN if model["is_standin"] else ""


def _tabulate_agreement(measures: Measures) -> Table | None:
    base = measures["human_human"]["rho"]
    crowd = measures["human_crowd"]
    rows = [
        _row(ONE_OTHER, "People", measures["human_human"], None, crowd, ""),
        _row(ALL_OTHERS, "People", measures["human_consensus"], base, {}, ""),
    ]
    for model in order_models(measures):
        own_base = model["human_human"]["rho"] if model["is_apart"] else base
        rows.append(_row(name_annotator(model), model["kind"], model, own_base, model["error"], _note(model)))
    if not has_numbers(rows, 2):
        return None
    caption = _caption(
        measures,
        "Spearman's rho with a rater's own ratings; against one other person on the same posts; distance from the "
        "crowd in scale points.",
        say_resampling(measures),
        "A comparison with ratings that are all alike is not defined and left out: the table says how many."
        + say_left_out([row[0] for row in rows if row[2] is None], "Without a rho"),
    )
    columns = (
        Column("compared_with", "Compared with", "text"),
        Column("kind", "What it is", "text"),
        Column("rho", "Mean rho"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("improvement", "Against one other person", "share"),
        Column("posts", "Posts", "count"),
        Column("annotations", "Comparisons", "count"),
        Column("undefined", "Not defined", "count"),
        Column("mae", "Distance"),
        Column("mae_se", "Its standard error"),
        Column("note", "Note", "text"),
    )
    return Table(
        "comparison_agreement", "How far each model agrees with people", caption, columns, list(rows)
    )


def _row(label: str, kind: str, entry: Measures, base: float | None, error: Measures, note: str) -> list[Any]:
    rho = entry["rho"]
    better = None if rho is None or not base or base < 0 else (rho - base) / base
    return [
        label,
        kind,
        rho,
        entry["interval"],
        better,
        entry["posts"],
        entry["compared"],
        entry["undefined"],
        error.get("mae"),
        error.get("se"),
        note or entry.get("reason", ""),
    ]


def _tabulate_differences(measures: Measures) -> Table | None:
    labels = {model["key"]: name_annotator(model) for model in measures["models"]}
    best = labels.get(measures["best"])
    nothing = {"rho": None, "interval": None, "posts": None}
    rows = []
    for model in order_models(measures):
        human, other = model["from_human"] or nothing, model["from_best"] or nothing
        rows.append(
            [labels[model["key"]]]
            + [found[key] for found in (human, other) for key in ("rho", "interval", "posts")]
            + [_note(model)]
        )
    if not has_numbers(rows, 1, 4):
        return None
    caption = _caption(
        measures,
        "Differences in rho, post by post: from one other person"
        + (f", and from the model that agrees best on the common posts ({best})." if best else "."),
        say_resampling(measures),
    )
    columns = (
        Column("model", "Model", "text"),
        Column("from_human", "Minus one other person", "signed"),
        Column("from_human_interval", f"{say_level(measures)} interval", "interval"),
        Column("from_human_posts", "Posts", "count"),
        Column("from_best", "Minus the best model", "signed"),
        Column("from_best_interval", f"{say_level(measures)} interval", "interval"),
        Column("from_best_posts", "Posts", "count"),
        Column("note", "Note", "text"),
    )
    return Table("comparison_differences", "Paired differences", caption, columns, rows)


def _tabulate_errors(measures: Measures) -> Table | None:
    models = order_models(measures)
    names = name_values(measures)
    person = {entry["value"]: entry for entry in measures["human_crowd"]["by_value"]}
    of_models = [{entry["value"]: entry for entry in model["error_by_value"]} for model in models]
    rows = [
        [names[key], person[key]["mae"], person[key]["posts"], *(found[key]["mae"] for found in of_models)]
        for key in names
    ]
    if not has_numbers(rows, *range(3, 3 + len(models))):
        return None
    overall = [measures["human_crowd"], *(model["error"] for model in models)]
    rows.append(
        ["All values", overall[0]["mae"], overall[0]["posts"], *(each["mae"] for each in overall[1:])]
    )
    caption = _caption(
        measures,
        "Mean absolute distance in scale points: of a model from the rounded mean of a post's raters, of a person "
        "from the mean of the others.",
    )
    columns = (
        Column("value", "Value", "text"),
        Column("person", A_PERSON),
        Column("posts", "Posts", "count"),
        *(Column(_name_column("mae", model), name_annotator(model)) for model in models),
    )
    return Table("comparison_error", "Distance from the crowd, value by value", caption, columns, rows)


def _tabulate_correlations(measures: Measures) -> Table | None:
    models = order_models(measures)
    names = name_values(measures)
    of_models = [{entry["value"]: entry for entry in model["correlation_by_value"]} for model in models]
    rows = []
    for key in names:
        row: list[Any] = [names[key]]
        for found in of_models:
            row += [found[key]["rho"], found[key]["interval"]]
        reasons = dict.fromkeys(found[key]["reason"] for found in of_models if found[key]["reason"])
        rows.append([*row, "; ".join(reasons)])
    places = range(1, 1 + 2 * len(models), 2)
    if not has_numbers(rows, *places):
        return None
    n_missing = sum(row[place] is None for row in rows for place in places)
    caption = _caption(
        measures,
        "Spearman's rho between all ratings of a value and what the model says of their posts. Intervals are from "
        "resamples of posts, without new ranks.",
        f"{count(n_missing, 'rho is', 'rhos are')} not defined." if n_missing else "",
    )
    columns = [Column("value", "Value", "text")]
    for model in models:
        columns += [
            Column(_name_column("rho", model), name_annotator(model), "signed"),
            Column(_name_column("interval", model), "Interval", "interval"),
        ]
    columns.append(Column("reason", "Why not defined", "text"))
    return Table(
        "comparison_correlation", "Which values each model ranks as people do", caption, tuple(columns), rows
    )


def _name_column(measure: str, model: Measures) -> str:
    """Return a column's name in files, which says too when a model is none."""
    mark = f" [{SAYS_STANDIN.removesuffix('.')}]" if model["is_standin"] else ""
    return f"{measure}: {model['label']}{mark}"


def _tabulate_work(measures: Measures) -> Table | None:
    rows = []
    for model in order_models(measures):
        work = model["work"]
        failures = ", ".join(f"{fault.replace('_', ' ')} {n:,}" for fault, n in work["failures"].items())
        rows.append(
            [
                name_annotator(model),
                work["asked"],
                work["read"],
                work["coverage"],
                work["failed"],
                failures,
                work["cost_per_thousand"],
                work["latency_median"],
                work["latency_p95"],
                work["latency_calls"],
                model["rho"],
                model["interval"],
                " ".join(
                    dict.fromkeys(
                        each
                        for each in (
                            _note(model),
                            _end(work["cost_reason"]),
                            _end(work["latency_reason"]),
                        )
                        if each
                    )
                ),
            ]
        )
    if not rows:
        return None
    caption = (
        "Posts that each model's newest finished run was about and those it has ratings of; readings that failed, by "
        "the kind of fault; dollars for the calls of 1,000 posts; seconds from asking to the answer."
        + say_standin(measures)
    )
    columns = (
        Column("model", "Model", "text"),
        Column("asked", "Posts asked", "count"),
        Column("read", "Posts read", "count"),
        Column("coverage", "Coverage", "share"),
        Column("failed", "Readings failed", "count"),
        Column("failures", "Why", "text"),
        Column("dollars_per_1000_posts", "Dollars per 1,000 posts"),
        Column("latency_median_seconds", "Median seconds"),
        Column("latency_p95_seconds", "95th percentile, seconds"),
        Column("timed_calls", "Calls timed", "count"),
        Column("rho", "Mean rho"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("note", "Note", "text"),
    )
    return Table("comparison_work", "What reading posts takes", caption, columns, rows)


def _end(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:].rstrip('.')}." if reason else ""
