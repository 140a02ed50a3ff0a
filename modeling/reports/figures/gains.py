"""PURE. Figures of who gains from personalization, and how much."""

from __future__ import annotations

import altair

from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import chart_of, columns, cross, dots
from .reliability import LINES
from .theme import CROWD, INK, PERSONALIZED, finish, minus, rows_height, wrap

GAIN = "Gain in mean rho"


def draw_gain_by_group(table: Table, measures: Measures) -> Figure:
    """The mean gain of each group of raters."""
    values = [
        {
            "row": wrap(_name_group(row[0], row[1]), 34),
            "n": row[2],
            "x": row[3],
            "low": row[4][0],
            "high": row[4][1],
        }
        for row in table.rows
        if row[3] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title=GAIN,
        style="+.3f",
        tooltip=[
            ("row", "Group", ""),
            ("n", "Raters", ",d"),
            ("x", "Gain", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 24), note=LINES)


def _name_group(question: str, answer: str) -> str:
    return f"{question} {answer}" if question.endswith("?") else f"{question}: {answer}"


def draw_gains(table: Table, measures: Measures) -> Figure:
    """How many raters gain or lose how much."""
    taken = [place for place, row in enumerate(table.rows) if row[2]]
    values = [
        {"from": low, "to": high, "y": raters, "text": f"{_write_end(low)} to {_write_end(high)}"}
        for low, high, raters in table.rows[taken[0] : taken[-1] + 1]
    ]
    colour = (
        altair.when("datum.from + datum.to > 0")
        .then(altair.value(PERSONALIZED))
        .otherwise(altair.value(CROWD))
    )
    base = columns(
        values,
        title=GAIN,
        upright="Raters",
        tooltip=[("text", "Gain", ""), ("y", "Raters", ",d")],
        style="+.2f",
        colour=colour,
    )
    mean = measures["gain"]["mean"]
    layers: list[altair.Chart] = [base, cross(0.0)]
    if mean is not None:
        middle = chart_of([{"x": mean, "text": minus(f"mean {mean:+.3f}")}]).encode(x=altair.X("x:Q"))
        layers += [
            middle.mark_rule(color=INK, strokeDash=[4, 3]),
            middle.mark_text(align="left", dx=5, baseline="top").encode(y=altair.value(2), text="text:N"),
        ]
    return finish(altair.layer(*layers), table, measures, height=240)


def _write_end(gain: float) -> str:
    return minus(f"{round(gain, 6) + 0.0:+.2f}")


def draw_gain_regression(table: Table, measures: Measures) -> Figure:
    """The coefficients of the gain, without the intercept."""
    terms = measures["gain"]["regression"]["terms"]
    intercepts = {term["name"] for term in terms if term["kind"] == "intercept"}
    values = [
        {
            "row": wrap(row[0], 34),
            "x": row[1],
            "low": row[3][0],
            "high": row[3][1],
            "p": row[4],
            "p_holm": row[5],
        }
        for row in table.rows
        if row[1] is not None and row[0] not in intercepts
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Coefficient, in rho",
        style="+.3f",
        tooltip=[
            ("row", "Goes with", ""),
            ("x", "Coefficient", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("p", "p", ".3f"),
            ("p_holm", "p (Holm)", ".3f"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 24), note=LINES)
