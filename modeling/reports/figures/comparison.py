"""PURE. Figures of annotator models side by side."""

from __future__ import annotations

import altair

from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import chart_of, choose_legend, dots, grid_axis, heat, tips
from .reliability import LINES
from .theme import SERIES, SOFT, finish, minus, rows_height, wrap

COST, RHO = 6, 10  # columns of the table of what reading posts takes; the interval of rho comes after it
MARGIN = 0.08  # of the highest cost, to each side
LEAST_TOP = 0.2  # of the scale of rho: what lies close to zero is not made to look like more


def draw_agreement(table: Table, measures: Measures) -> Figure:
    """Rho of people and models as dots with their intervals."""
    values = [
        {
            "row": wrap(row[0]),
            "x": row[2],
            "low": row[3][0],
            "high": row[3][1],
            "posts": row[5],
            "undefined": row[7],
        }
        for row in table.rows
        if row[2] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Mean Spearman's rho with a rater's own ratings",
        zero=False,
        tooltip=[
            ("row", "Compared with", ""),
            ("x", "Mean rho", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("posts", "Posts", ",d"),
            ("undefined", "Not defined", ",d"),
        ],
        style=".3f",
    )
    return finish(chart, table, measures, height=rows_height(labels, 26), note=LINES)


def draw_differences(table: Table, measures: Measures) -> Figure:
    """How far each model is from one other person, on the same posts."""
    values = [
        {"row": wrap(row[0]), "x": row[1], "low": row[2][0], "high": row[2][1], "posts": row[3]}
        for row in table.rows
        if row[1] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Rho minus that of one other person",
        style="+.3f",
        tooltip=[
            ("row", "Model", ""),
            ("x", "Difference", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("posts", "Posts", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 26), note=LINES)


def draw_errors(table: Table, measures: Measures) -> Figure:
    """Distance from the crowd of a person and of each model, value by value."""
    places = [place for place, column in enumerate(table.columns) if column.kind == "number"]
    top = max(row[place] for row in table.rows for place in places if row[place] is not None)
    return _draw_heat(
        table,
        measures,
        places,
        title="Distance, in scale points",
        tip=("x", "Distance", ".3f"),
        domain=(0.0, top or 1.0),
    )


def draw_correlations(table: Table, measures: Measures) -> Figure:
    """Rho of each value and model."""
    places = [place for place, column in enumerate(table.columns) if column.kind == "signed"]
    top = max(row[place] for row in table.rows for place in places if row[place] is not None)
    return _draw_heat(
        table,
        measures,
        places,
        title="Spearman's rho",
        tip=("x", "Rho", "+.3f"),
        domain=(0.0, max(top, LEAST_TOP)),
        style=".2f",
        note="What is below zero has the colour of zero.",
    )


def _draw_heat(
    table: Table,
    measures: Measures,
    places: list[int],
    *,
    title: str,
    tip: tuple[str, str, str],
    domain: tuple[float, float],
    style: str = ".1f",
    note: str = "",
) -> Figure:
    names = {place: table.columns[place].label.replace(", version ", " v") for place in places}
    labels = [wrap(row[0]) for row in table.rows]
    values = [
        {
            "row": wrap(row[0]),
            "column": names[place],
            "x": row[place],
            "text": minus(f"{round(row[place], 2) + 0.0:.2f}"),
        }
        for row in table.rows
        for place in places
        if row[place] is not None
    ]
    chart = heat(
        values,
        labels,
        list(names.values()),
        title=title,
        tooltip=[("row", "Value", ""), ("column", "Who", ""), tip],
        domain=domain,
        style=style,
        is_written=True,
    )
    return finish(chart, table, measures, height=rows_height(labels), note=note)


def has_costs(table: Table) -> bool:
    """Whether some model has both a cost and a rho, without which there is nothing to draw."""
    return any(row[COST] is not None and row[RHO] is not None for row in table.rows)


def draw_work(table: Table, measures: Measures) -> Figure:
    """What 1,000 posts cost against rho, for the models of which both are known."""
    values = [
        {"name": row[0], "x": row[COST], "y": row[RHO], "low": row[RHO + 1][0], "high": row[RHO + 1][1]}
        for row in table.rows
        if row[COST] is not None and row[RHO] is not None
    ]
    most = max(value["x"] for value in values) or 1.0
    series = dict(zip([value["name"] for value in values], SERIES * len(values), strict=False))
    base = chart_of(values).encode(
        x=altair.X(
            "x:Q",
            scale=altair.Scale(domain=[-MARGIN * most, most * (1 + MARGIN)], nice=False),
            axis=grid_axis("Dollars per 1,000 posts", tickCount=5),
        ),
        color=altair.Color(
            "name:N",
            scale=altair.Scale(domain=list(series), range=list(series.values())),
            legend=choose_legend(list(series)),
        ),
    )
    scale = altair.Scale(zero=False, nice=True)
    y = altair.Y("y:Q", scale=scale, axis=grid_axis("Mean rho", tickCount=5))
    spans = (
        base.mark_rule(strokeWidth=1.25)
        .encode(y=altair.Y("low:Q", scale=scale), y2="high:Q")
        .transform_filter("isValid(datum.low) && isValid(datum.high)")
    )
    points = base.mark_circle(size=80, opacity=1).encode(
        y=y,
        tooltip=tips(
            ("name", "Model", ""),
            ("x", "Dollars", ".3f"),
            ("y", "Mean rho", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
        ),
    )
    layers: list[altair.Chart] = [spans, points]
    human = measures["human_human"]["rho"]
    if human is not None:
        level = chart_of([{"y": human, "text": f"one other person: {human:.3f}"}]).encode(y=y)
        layers = [
            level.mark_rule(color=SOFT, strokeDash=[4, 3]),
            level.mark_text(align="right", dy=-8, dx=-4, color=SOFT).encode(
                x=altair.value("width"), text="text:N"
            ),
            *layers,
        ]
    return finish(altair.layer(*layers), table, measures, height=260, note="Lines are the intervals of rho.")
