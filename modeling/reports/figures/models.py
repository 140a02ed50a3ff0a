"""PURE. Figures of people and models on the held-out posts."""

from __future__ import annotations

from typing import Any

from modeling.reports.evaluation_tables import tabulate_agreement
from modeling.reports.names import is_aside
from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import bars, dots, heat
from .reliability import LINES
from .theme import (
    BLUE,
    CROWD,
    HUMAN,
    MODEL,
    OCHRE,
    PERSONALIZED,
    PLUM,
    TEAL,
    finish,
    rows_height,
    wrap,
)

KINDS = {
    "human": "Another person",
    "crowd": "A consensus of people",
    "model": "A model that does not know the rater",
    "knows": "Another model that knows the rater",
    "control": "A control that must gain nothing",
    "personalized": "The personalized model",
}
COLOURS = {
    "human": HUMAN,
    "crowd": CROWD,
    "model": MODEL,
    "knows": OCHRE,
    "control": PLUM,
    "personalized": PERSONALIZED,
}
OTHERS = (TEAL, OCHRE, BLUE, PLUM, CROWD)
Z = 1.96  # standard errors to each side of a mean


def draw_conditions(table: Table, measures: Measures) -> Figure:
    """Rho of each condition as bars, in the manner of the paper's Figure 5."""
    rows = [row for row in tabulate_agreement(measures) if row.rho is not None]
    values = [
        {
            "row": wrap(row.label),
            "series": KINDS[row.kind],
            "x": row.rho,
            "low": row.low,
            "high": row.high,
            "posts": row.n_posts,
            "undefined": row.n_undefined,
        }
        for row in rows
    ]
    labels = [wrap(row.label) for row in rows]
    chart = bars(
        values,
        labels,
        title="Mean Spearman's rho with a rater's own ratings",
        series=_pick_kinds([row.kind for row in rows]),
        tooltip=[
            ("row", "Compared with", ""),
            ("x", "Mean rho", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("posts", "Posts", ",d"),
            ("undefined", "Not defined", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 26), note=LINES)


def _pick_kinds(kinds: list[str]) -> dict[str, str]:
    return {KINDS[kind]: colour for kind, colour in COLOURS.items() if kind in kinds}


def draw_improvement(table: Table, measures: Measures) -> Figure:
    """How much better than one other person each condition is."""
    kinds = {row.label: row.kind for row in tabulate_agreement(measures)}
    rows = [row for row in table.rows if row[1] is not None]
    values = [
        {
            "row": wrap(row[0]),
            "series": KINDS[kinds[row[0]]],
            "x": row[1],
            "low": None,
            "high": None,
            "rho": row[2],
            "difference": row[3],
            "posts": row[5],
        }
        for row in rows
    ]
    labels = [wrap(row[0]) for row in rows]
    chart = bars(
        values,
        labels,
        title="Improvement over one other person",
        series=_pick_kinds([kinds[row[0]] for row in rows]),
        style="+.0%",
        axis_style=".0%",
        tooltip=[
            ("row", "Compared with", ""),
            ("x", "Improvement", "+.1%"),
            ("rho", "Mean rho", ".3f"),
            ("difference", "Paired difference", "+.3f"),
            ("posts", "Posts", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 26))


def draw_crowd_errors(table: Table, measures: Measures) -> Figure:
    """How far a person and the consensus model are from the crowd, value by value."""
    series = {"A person": CROWD, "The consensus model": PERSONALIZED}
    values: list[dict[str, Any]] = []
    for row in table.rows:
        for place, name in zip((1, 3), series, strict=True):
            if row[place] is not None:
                values.append(
                    {
                        "row": wrap(row[0]),
                        "series": name,
                        **_spread(row[place], row[place + 1]),
                        "posts": row[5],
                    }
                )
    labels = list(dict.fromkeys(value["row"] for value in values))
    used = {
        name: colour for name, colour in series.items() if any(value["series"] == name for value in values)
    }
    chart = dots(
        values,
        labels,
        title="Mean absolute distance, in scale points",
        series=used,
        zero=False,
        tooltip=[
            ("row", "Value", ""),
            ("series", "Who", ""),
            ("x", "Distance", ".3f"),
            ("se", "Standard error", ".3f"),
            ("posts", "Posts", ",d"),
        ],
    )
    return finish(
        chart,
        table,
        measures,
        height=rows_height(labels, 24),
        note="Lines are 1.96 standard errors to each side.",
    )


def _spread(mean: float, error: float | None) -> dict[str, float | None]:
    return {
        "x": mean,
        "se": error,
        "low": None if error is None else mean - Z * error,
        "high": None if error is None else mean + Z * error,
    }


def draw_correlations(table: Table, measures: Measures) -> Figure:
    """How well each model predicts the ratings of each value."""
    names = [
        (place, column)
        for place, column in enumerate(table.columns)
        if column.kind == "signed" and not is_aside(column.key)
    ]
    others = iter(OTHERS * len(names))
    series = {
        wrap(column.label, 60): PERSONALIZED if column.key == "personalized" else next(others)
        for _, column in names
    }
    values = [
        {
            "row": wrap(row[0]),
            "series": column.label,
            "x": row[place],
            "low": (row[place + 1] or [None, None])[0],
            "high": (row[place + 1] or [None, None])[1],
            "rows": row[-2],
        }
        for row in table.rows
        for place, column in names
        if row[place] is not None
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    chart = dots(
        values,
        labels,
        title="Spearman's rho with the raters' ratings",
        series=series,
        tooltip=[
            ("row", "Value", ""),
            ("series", "Model", ""),
            ("x", "Rho", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("rows", "Ratings", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 8 * len(series) + 8), note=LINES)


def draw_importance(table: Table, measures: Measures) -> Figure:
    """Which features the model of each value uses."""
    names = [column.label for column in table.columns[1:]]
    labels = [wrap(row[0], 40) for row in table.rows]
    values = [
        {"row": wrap(row[0], 40), "column": name, "x": share}
        for row in table.rows
        for name, share in zip(names, row[1:], strict=True)
        if share is not None
    ]
    top = max(value["x"] for value in values) or 1.0
    chart = heat(
        values,
        labels,
        names,
        title="Share of the reduction in error",
        tooltip=[("row", "Value", ""), ("column", "Feature", ""), ("x", "Share", ".1%")],
        domain=(0.0, top),
        style=".0%",
    )
    return finish(chart, table, measures, height=18 * len(labels))


def draw_adjustment(table: Table, measures: Measures) -> Figure:
    """How far personalization moves the ratings of each value."""
    values = [
        {"row": wrap(row[0]), **_spread(row[1], row[2]), "rows": row[3]}
        for row in table.rows
        if row[1] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Adjustment, in scale points",
        zero=False,
        tooltip=[
            ("row", "Value", ""),
            ("x", "Adjustment", ".3f"),
            ("se", "Standard error", ".3f"),
            ("rows", "Ratings", ",d"),
        ],
    )
    return finish(
        chart,
        table,
        measures,
        height=rows_height(labels),
        note="Lines are 1.96 standard errors to each side.",
    )
