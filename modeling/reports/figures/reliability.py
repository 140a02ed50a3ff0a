"""PURE. Figures of how far raters agree: with one another, with groups, value by value."""

from __future__ import annotations

import altair

from modeling.reports.agreement_tables import COEFFICIENTS
from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import chart_of, columns, dots, grid_axis, heat, ribbon, tips
from .theme import (
    INK,
    LEAST,
    PAPER,
    PERSONALIZED,
    RAMP,
    SOFT,
    finish,
    minus,
    rows_axis,
    rows_height,
    wrap,
)

LINES = "Lines are the intervals."


def draw_alpha(table: Table, measures: Measures) -> Figure:
    """Krippendorff's alpha of each value, the most agreed upon first."""
    values = [
        {
            "row": wrap(row[0]),
            "x": row[1],
            "low": row[2][0],
            "high": row[2][1],
            "posts": row[3],
            "ratings": row[4],
        }
        for row in table.rows
        if row[1] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Krippendorff's alpha, ordinal",
        tooltip=[
            ("row", "Value", ""),
            ("x", "Alpha", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("posts", "Posts", ",d"),
            ("ratings", "Ratings", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels), note=LINES)


def draw_coefficients(table: Table, measures: Measures) -> Figure:
    """Eight coefficients of each value side by side, with their numbers."""
    names = [label for _, label in COEFFICIENTS]
    labels = [wrap(row[0]) for row in table.rows]
    values = [
        {
            "row": wrap(row[0]),
            "column": name,
            "x": row[place],
            "low": (row[place + 1] or [None, None])[0],
            "high": (row[place + 1] or [None, None])[1],
            "text": _write_short(row[place]),
        }
        for row in table.rows
        for place, name in zip(range(1, len(row), 2), names, strict=True)
        if row[place] is not None
    ]
    chart = heat(
        values,
        labels,
        names,
        title="Coefficient",
        tooltip=[
            ("row", "Value", ""),
            ("column", "Coefficient", ""),
            ("x", "Estimate", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
        ],
        domain=(0.0, 1.0),
        style=".1f",
        is_written=True,
    )
    return finish(
        chart,
        table,
        measures,
        height=rows_height(labels),
        note="What is below zero has the colour of zero.",
    )


def _write_short(number: float) -> str:
    """Two decimals, without the zero before them.

    >>> _write_short(0.381), _write_short(-0.02), _write_short(1.0)
    ('.38', '−.02', '1.00')
    """
    written = f"{round(number, 2) + 0.0:.2f}"
    return minus(written.replace("0.", ".", 1) if abs(number) < 0.995 else written)


def draw_consensus(table: Table, measures: Measures) -> Figure:
    """Agreement with a group by its size, with all others as the line it comes near to."""
    *sizes, everyone = table.rows
    values = [
        {
            "size": int(row[0]),
            "rho": row[1],
            "low": row[2][0],
            "high": row[2][1],
            "posts": row[3],
            "undefined": row[4],
        }
        for row in sizes
        if row[1] is not None
    ]
    scale = altair.Scale(zero=False, nice=True)
    base = chart_of(values).encode(
        x=altair.X(
            "size:Q",
            axis=altair.Axis(
                title="Other raters in the group",
                values=[value["size"] for value in values],
                format="d",
                grid=False,
                tickSize=4,
            ),
            scale=altair.Scale(zero=False, nice=False, padding=14),
        )
    )
    y = altair.Y("rho:Q", scale=scale, axis=grid_axis("Mean rho", tickCount=5))
    hovered = altair.selection_point(
        name="hovered", fields=["size"], on="pointerover", clear="pointerout", nearest=True, empty=False
    )
    layers: list[altair.Chart] = [
        ribbon(base, scale, PERSONALIZED),
        base.mark_line(color=PERSONALIZED, strokeWidth=2).encode(y=y),
        base.mark_circle(color=PERSONALIZED, opacity=1)
        .encode(
            y=y,
            size=altair.when(hovered).then(altair.value(110)).otherwise(altair.value(55)),
            tooltip=tips(
                ("size", "Others", "d"),
                ("rho", "Mean rho", ".3f"),
                ("low", "from", ".3f"),
                ("high", "to", ".3f"),
                ("posts", "Posts", ",d"),
                ("undefined", "Not defined", ",d"),
            ),
        )
        .add_params(hovered),
    ]
    if everyone[1] is not None:
        level = chart_of([{"rho": everyone[1], "text": f"all others: {everyone[1]:.2f}"}]).encode(y=y)
        layers = [
            level.mark_rule(color=SOFT, strokeDash=[4, 3]),
            level.mark_text(align="left", dy=-8, color=SOFT).encode(x=altair.value(4), text="text:N"),
            *layers,
        ]
    return finish(altair.layer(*layers), table, measures, height=280, note="The band is the interval.")


def draw_ratings(table: Table, measures: Measures) -> Figure:
    """The shares of each level of the scale, or the mean where there are too many levels."""
    levels = [
        column for column in table.columns if column.key.startswith("share_") and column.key != "share_zero"
    ]
    labels = [wrap(row[0]) for row in table.rows]
    height = rows_height(labels)
    if not levels:
        values = [
            {
                "row": wrap(row[0]),
                "x": row[2],
                "low": row[2] - (row[3] or 0),
                "high": row[2] + (row[3] or 0),
                "n": row[1],
            }
            for row in table.rows
        ]
        chart = dots(
            values,
            labels,
            title="Mean rating",
            tooltip=[("row", "Value", ""), ("x", "Mean", ".3f"), ("n", "Ratings", ",d")],
        )
        return finish(
            chart, table, measures, height=height, note="Lines reach one standard deviation to each side."
        )
    first = len(table.columns) - len(levels)
    low = int(levels[0].key.removeprefix("share_"))
    values = [
        {"row": wrap(row[0]), "level": low + place, "share": row[first + place], "mean": row[2], "n": row[1]}
        for row in table.rows
        for place in range(len(levels))
        if row[first + place] is not None
    ]
    hovered = altair.selection_point(name="hovered", fields=["level"], on="pointerover", clear="pointerout")
    chart = (
        chart_of(values)
        .mark_bar(stroke=PAPER, strokeWidth=0.5)
        .encode(
            y=rows_axis(labels),
            x=altair.X(
                "share:Q",
                stack=True,
                scale=altair.Scale(domain=[0, 1]),
                axis=grid_axis("Share of ratings", format=".0%", tickCount=5, grid=False),
            ),
            order="level:Q",
            color=altair.Color(
                "level:Q",
                scale=altair.Scale(domain=[low, low + len(levels) - 1], range=[LEAST, *RAMP[1:]]),
                legend=altair.Legend(
                    title="Rating",
                    orient="top",
                    type="symbol",
                    symbolType="square",
                    values=list(range(low, low + len(levels))),
                    format="d",
                    columns=min(len(levels), 7),
                    direction="horizontal",
                    symbolStrokeColor=SOFT,
                    symbolStrokeWidth=0.5,
                    offset=8,
                ),
            ),
            opacity=altair.when(hovered).then(altair.value(1)).otherwise(altair.value(0.35)),
            tooltip=tips(
                ("row", "Value", ""),
                ("level", "Rating", "d"),
                ("share", "Share", ".1%"),
                ("mean", "Mean", ".3f"),
                ("n", "Ratings", ",d"),
            ),
        )
        .add_params(hovered)
    )
    return finish(chart, table, measures, height=height)


def draw_raters_per_post(table: Table, measures: Measures) -> Figure:
    """How many posts have so many raters."""
    values = [
        {"from": raters - 0.5, "to": raters + 0.5, "raters": raters, "y": posts}
        for raters, posts in table.rows
    ]
    base = columns(
        values,
        title="Raters of a post",
        upright="Posts",
        tooltip=[("raters", "Raters", "d"), ("y", "Posts", ",d")],
        style="d",
    )
    median = measures["raters_per_post"]["median"]
    middle = chart_of([{"x": median, "text": f"median {median:g}"}]).encode(x=altair.X("x:Q"))
    chart = altair.layer(
        base,
        middle.mark_rule(color=INK, strokeDash=[4, 3]),
        middle.mark_text(align="left", dx=5, baseline="top").encode(y=altair.value(2), text="text:N"),
    )
    return finish(chart, table, measures, height=220)
