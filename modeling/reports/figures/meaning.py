"""PURE. Figures of what the ratings mean: the circle of values, what goes with them, where people part."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import altair

from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import chart_of, dots, grid_axis, heat, tips
from .reliability import LINES
from .theme import (
    CROWD,
    GRID,
    INK,
    PERSONALIZED,
    SERIES,
    finish,
    rows_axis,
    rows_height,
    wrap,
)

N_DISPUTED = 20
N_TERMS = 6
PER = 10  # units of a number, such as years: one of them moves a rating too little to be seen
ROOM = (1.75, 1.3)  # half the width and height of the circle's figure; its ring has the radius 1
FARTHEST = 0.92  # from the centre to the outermost value, the ring being at 1


def draw_circumplex(table: Table, measures: Measures) -> Figure:
    """The place of each value in the data, joined with its place on the theory's ring."""
    groups = {value["name"]: value["group"] for value in measures["values"]}
    placed = [row for row in table.rows if row[4] is not None]
    reach = max(math.hypot(row[4], row[5]) for row in placed) or 1.0
    values = []
    for row in placed:
        ring = math.radians(row[2])
        values.append(
            {
                "row": row[0],
                "label": wrap(row[0], 14),
                "group": groups.get(row[0], "") or "All values",
                "x": FARTHEST * row[4] / reach,
                "y": FARTHEST * row[5] / reach,
                "ring_x": math.cos(ring),
                "ring_y": math.sin(ring),
                "label_x": 1.06 * math.cos(ring),
                "label_y": 1.06 * math.sin(ring),
                "angle": row[1],
                "theory": row[2],
                "error": row[3],
            }
        )
    shown_groups = list(dict.fromkeys(value["group"] for value in values))
    colours = [(PERSONALIZED, *SERIES)[place % (1 + len(SERIES))] for place in range(len(shown_groups))]
    legend = altair.Legend(title=None, orient="top", direction="horizontal", columns=1, offset=4)
    colour: Any = altair.Color(
        "group:N",
        scale=altair.Scale(domain=shown_groups, range=colours),
        legend=legend if len(shown_groups) > 1 else None,
    )
    hovered = altair.selection_point(name="hovered", fields=["row"], on="pointerover", clear="pointerout")
    shown = altair.selection_point(name="shown", fields=["group"], bind="legend")
    visible = altair.when(hovered & shown).then(altair.value(1)).otherwise(altair.value(0.2))
    wide, high = (altair.Scale(domain=[-half, half], nice=False) for half in ROOM)

    def at(x: str, y: str) -> dict[str, Any]:
        return {
            "x": altair.X(f"{x}:Q", scale=wide, axis=None),
            "y": altair.Y(f"{y}:Q", scale=high, axis=None),
        }

    turns = [
        {"turn": turn, "x": math.cos(math.tau * turn / 120), "y": math.sin(math.tau * turn / 120)}
        for turn in range(121)
    ]
    base = chart_of(values).encode(color=colour, opacity=visible)
    tooltip = tips(
        ("row", "Value", ""),
        ("group", "Group", ""),
        ("angle", "Angle", ".0f"),
        ("theory", "In theory", ".0f"),
        ("error", "Difference", "+.0f"),
    )
    chart = altair.layer(
        chart_of(turns).mark_line(color=GRID, strokeWidth=1.5).encode(**at("x", "y"), order="turn:Q"),
        base.mark_rule(strokeWidth=1).encode(**at("x", "y"), x2="ring_x:Q", y2="ring_y:Q").add_params(shown),
        base.mark_point(size=26, filled=False, strokeWidth=1.5).encode(
            **at("ring_x", "ring_y"), tooltip=tooltip
        ),
        base.mark_circle(size=80, opacity=1).encode(**at("x", "y"), tooltip=tooltip).add_params(hovered),
        base.mark_text(
            align={"expr": "abs(datum.ring_x) < 0.2 ? 'center' : datum.ring_x < 0 ? 'right' : 'left'"},
            baseline={"expr": "datum.ring_y > 0.8 ? 'bottom' : datum.ring_y < -0.8 ? 'top' : 'middle'"},
            lineBreak="\n",
            lineHeight=11,
        ).encode(**at("label_x", "label_y"), text="label:N", color=altair.value(INK)),
    )
    return finish(
        chart,
        table,
        measures,
        height=400,
        aspect=ROOM[1] / ROOM[0],
        note="On the ring: the order of the theory. A line joins each value with its place in the ratings.",
    )


def draw_correlations(table: Table, measures: Measures) -> Figure:
    """The correlation of every two values, in the system's order."""
    names = [column.label for column in table.columns[1:]]
    values = [
        {"row": wrap(row[0], 40), "column": names[place], "x": number}
        for across, row in enumerate(table.rows)
        for place, number in enumerate(row[1:])
        if number is not None and place != across
    ]
    labels = [wrap(row[0], 40) for row in table.rows]
    reach = max(0.2, math.ceil(10 * max(abs(value["x"]) for value in values)) / 10)
    chart = heat(
        values,
        labels,
        names,
        title="Correlation",
        tooltip=[("row", "Value", ""), ("column", "with", ""), ("x", "Correlation", "+.3f")],
        domain=(-reach, reach),
        style=".1f",
        is_diverging=True,
    )
    return finish(chart, table, measures, height=18 * len(labels))


def draw_projection(table: Table, measures: Measures) -> Figure:
    """The coefficients of each value: the rater's own score first, then the groups."""
    numbers = {
        term["name"]
        for entry in measures["projection"]["by_value"]
        for term in entry["terms"]
        if term["kind"] == "number"
    }
    often = Counter(row[1] for row in table.rows)
    terms = [term for term, _ in often.most_common(N_TERMS)]
    terms.sort(key=[row[1] for row in table.rows].index)
    shown = {term: f"{term}, per {PER}" if term in numbers else term for term in terms}
    values = []
    for row in table.rows:
        if row[1] not in shown or row[2] is None:
            continue
        times = PER if row[1] in numbers else 1
        low, high = (None if end is None else end * times for end in row[4])
        values.append(
            {
                "row": wrap(row[0]),
                "series": shown[row[1]],
                "x": row[2] * times,
                "low": low,
                "high": high,
                "p": row[5],
                "p_holm": row[6],
            }
        )
    labels = list(dict.fromkeys(value["row"] for value in values))
    chart = dots(
        values,
        labels,
        title="Coefficient, in scale points",
        series=dict(zip(shown.values(), (PERSONALIZED, *SERIES), strict=False)),
        tooltip=[
            ("row", "Value", ""),
            ("series", "Goes with", ""),
            ("x", "Coefficient", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("p", "p", ".3f"),
            ("p_holm", "p (Holm)", ".3f"),
        ],
    )
    note = LINES
    if numbers & set(terms):
        note += f" A coefficient per {PER} is ten times that of the table."
    if len(often) > len(terms):
        note += f" The table has {len(often) - len(terms)} more."
    height = rows_height(labels, least=9 * len(terms) + 8)
    return finish(chart, table, measures, height=height, note=note)


def draw_disputed(table: Table, measures: Measures) -> Figure:
    """How the ratings of the most disputed value of each post lie on the scale."""
    values = []
    labels = []
    for row in table.rows[:N_DISPUTED]:
        label = f"{wrap(row[0])}\n{wrap(row[4])}" if row[4] else wrap(row[0])
        labels.append(label)
        ratings = [pair.split(": ") for pair in row[7].split(", ") if pair]
        values += [
            {
                "row": label,
                "post": row[0],
                "value": row[4],
                "rating": float(rating),
                "raters": int(n),
                "mean": row[5],
                "sd": row[6],
                "difference": row[2],
            }
            for rating, n in ratings
        ]
    low, high = measures["scale"]
    most = max((value["raters"] for value in values), default=1)
    hovered = altair.selection_point(name="hovered", fields=["row"], on="pointerover", clear="pointerout")
    visible = altair.when(hovered).then(altair.value(1)).otherwise(altair.value(0.25))
    tooltip = tips(
        ("post", "Post", ""),
        ("value", "Value", ""),
        ("rating", "Rating", "~g"),
        ("raters", "Raters", "d"),
        ("mean", "Mean", ".2f"),
        ("sd", "Standard deviation", ".2f"),
        ("difference", "Mean difference over all values", ".2f"),
    )
    ticks = list(range(int(low), int(high) + 1)) if high - low <= 20 else None
    axis: dict[str, Any] = {"format": "~g"} | ({"values": ticks} if ticks else {})
    x = altair.X(
        "rating:Q",
        scale=altair.Scale(domain=[low, high], padding=14, nice=False),
        axis=grid_axis("Rating of the most disputed value", **axis),
    )
    base = chart_of(values).encode(
        y=rows_axis(labels, labelFontSize=11, grid=True, gridDash=[1, 3], domain=False), opacity=visible
    )
    means = base.transform_aggregate(mean="max(mean)", groupby=["row"]) if values else base
    chart = altair.layer(
        base.mark_circle(color=PERSONALIZED)
        .encode(
            x=x,
            size=altair.Size(
                "raters:Q",
                scale=altair.Scale(domain=[0, most], range=[0, 420]),
                legend=altair.Legend(
                    title="Raters",
                    orient="top",
                    direction="horizontal",
                    format="d",
                    values=sorted({1, math.ceil(most / 2), most}),
                    symbolFillColor=CROWD,
                    symbolStrokeWidth=0,
                    offset=8,
                ),
            ),
            tooltip=tooltip,
        )
        .add_params(hovered),
        means.mark_tick(color=INK, thickness=2, size=16).encode(x=altair.X("mean:Q")),
    )
    shown = min(len(table.rows), N_DISPUTED)
    note = f"Shown are the first {shown} of {len(table.rows)}. The upright stroke is the mean."
    return finish(chart, table, measures, height=rows_height(labels, least=34), note=note)


def draw_screening(table: Table, measures: Measures) -> Figure:
    """What raters saw more in the posts that were chosen for a value."""
    values = [
        {
            "row": wrap(row[0]),
            "x": row[1],
            "low": row[2][0],
            "high": row[2][1],
            "in": row[3],
            "out": row[4],
            "p": row[7],
            "n_in": row[8],
            "n_out": row[9],
        }
        for row in table.rows
        if row[1] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Difference in the mean rating",
        style="+.2f",
        tooltip=[
            ("row", "Value", ""),
            ("x", "Difference", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("in", "Screened in", ".3f"),
            ("out", "Others", ".3f"),
            ("p", "p", ".3f"),
            ("n_in", "Posts screened in", ",d"),
            ("n_out", "Other posts", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels), note=LINES)
