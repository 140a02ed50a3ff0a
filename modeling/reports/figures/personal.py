"""PURE. Figures of the two questions of personalization, of its learning curves and of its intervals."""

from __future__ import annotations

from dataclasses import replace

import altair

from modeling.reports.names import (
    FOREST,
    KNOWN_POSTS,
    KNOWN_RATERS,
    NEW_POSTS,
    PERSONALIZED,
    SAMPLE_NAMES,
    name_model,
)
from modeling.reports.personal_tables import POSTS, VIEW_NAMES, list_samples
from modeling.reports.tables import Measures, Table

from . import theme
from .figure import Figure
from .marks import Row, chart_of, dots, grid_axis, ribbon, tips
from .reliability import LINES
from .theme import CROWD, OCHRE, TEAL, finish, rows_height, wrap

MINUS = " \u2212 "
SAMPLE_COLOURS = {KNOWN_RATERS: theme.PERSONALIZED, KNOWN_POSTS: TEAL, NEW_POSTS: OCHRE}
RHO_TIPS = [("x", "Mean rho", ".3f"), ("low", "from", ".3f"), ("high", "to", ".3f"), ("n", "Raters", ",d")]


def draw_controls(table: Table, measures: Measures) -> Figure:
    """Rho of known raters with everything that they can be predicted from."""
    values = [
        {"row": wrap(row[0]), "knows": row[1], **_span(row[2], row[3]), "n": row[7]}
        for row in table.rows
        if row[2] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Mean rho with the rater’s own ratings",
        style=".3f",
        zero=False,
        tooltip=[("row", "Predicted from", ""), ("knows", "It knows", ""), *RHO_TIPS],
    )
    return finish(chart, table, measures, height=rows_height(labels, 26), note=LINES)


def draw_cold_start(table: Table, measures: Measures) -> Figure:
    """The same of new raters, on known posts and on new ones."""
    colours = {"Known": SAMPLE_COLOURS[KNOWN_POSTS], "New": SAMPLE_COLOURS[NEW_POSTS]}
    values = [
        {"row": wrap(row[0]), "series": f"{row[1]} posts", **_span(row[2], row[3]), "n": row[7]}
        for row in table.rows
        if row[2] is not None
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    series = {
        f"{name} posts": colours[name]
        for name in POSTS.values()
        if any(value["series"] == f"{name} posts" for value in values)
    }
    chart = dots(
        values,
        labels,
        title="Mean rho with the rater’s own ratings",
        series=series,
        zero=False,
        tooltip=[("row", "Predicted from", ""), ("series", "On", ""), *RHO_TIPS],
    )
    return finish(chart, table, measures, height=rows_height(labels, 30), note=LINES)


def draw_rater_differences(table: Table, measures: Measures) -> Figure:
    """What personalization adds to rho, against each of what it must beat."""
    values = [
        {
            "row": wrap(row[1].partition(MINUS)[2]),
            "series": row[0],
            **_span(row[2], row[3]),
            "reading": row[4],
            "n": row[8],
        }
        for row in table.rows
        if row[2] is not None
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    there = {value["series"] for value in values}
    chart = dots(
        values,
        labels,
        title="Personalized minus the other, in rho",
        series={name: SAMPLE_COLOURS[key] for key, name in SAMPLE_NAMES.items() if name in there},
        tooltip=[
            ("row", "Personalized minus", ""),
            ("series", "Of", ""),
            ("x", "Difference", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("reading", "Reading", ""),
            ("n", "Raters", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 36), note=LINES)


def draw_values_known(table: Table, measures: Measures) -> Figure:
    """Distance of known raters from what is predicted, value by value."""
    return _draw_values(table, measures, KNOWN_RATERS)


def draw_values_new(table: Table, measures: Measures) -> Figure:
    """The same of new raters, on new posts where there are any."""
    there = list_samples(measures)
    sample = NEW_POSTS if NEW_POSTS in there else KNOWN_POSTS
    return _draw_values(table, measures, sample)


def _draw_values(table: Table, measures: Measures, sample: str) -> Figure:
    """Of the consensus, the paper's forest and the personalized model alone: the table has the others too."""
    colours = {measures["consensus"]: CROWD, FOREST: OCHRE, PERSONALIZED: theme.PERSONALIZED}
    series = {name_model(name): colour for name, colour in colours.items()}
    values = [
        {"row": wrap(row[0]), "series": row[2], **_span(row[5], row[6]), "n": row[7]}
        for row in table.rows
        if row[1] == SAMPLE_NAMES[sample] and row[2] in series and row[5] is not None
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    there = {value["series"] for value in values}
    chart = dots(
        values,
        labels,
        title="Mean distance, in scale points",
        series={name: colour for name, colour in series.items() if name in there},
        zero=False,
        tooltip=[
            ("row", "Value", ""),
            ("series", "Predicted from", ""),
            ("x", "Distance", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("n", "Ratings", ",d"),
        ],
    )
    note = f"Drawn: {SAMPLE_NAMES[sample].lower()}. {LINES}"
    return finish(chart, table, measures, height=rows_height(labels, 32), note=note)


def draw_learning(table: Table, measures: Measures) -> Figure:
    """The gain in rho by what there is to learn from."""
    return _draw_curve(table, measures, 1, "Gain in rho over the consensus", "+.3f")


def draw_learning_error(table: Table, measures: Measures) -> Figure:
    """The change in distance by what there is to learn from."""
    named = replace(table, key=f"{table.key}_error", title=f"{table.title}, in scale points")
    return _draw_curve(named, measures, 3, "Change in distance, scale points", "+.3f")


def _draw_curve(table: Table, measures: Measures, place: int, title: str, style: str) -> Figure:
    values = [
        {"count": row[0], **_span(row[place], row[place + 1]), "n": row[5]}
        for row in table.rows
        if row[place] is not None
    ]
    scale = altair.Scale(zero=True, nice=True)
    base = chart_of(values).encode(
        x=altair.X(
            "count:Q",
            axis=altair.Axis(
                title=table.columns[0].label, format=",d", grid=False, tickMinStep=1, tickCount=8
            ),
            scale=altair.Scale(zero=False, nice=False, padding=14),
        )
    )
    y = altair.Y("x:Q", scale=scale, axis=grid_axis(title, tickCount=5, format="+.3~f"))
    hovered = altair.selection_point(
        name="hovered", fields=["count"], on="pointerover", clear="pointerout", nearest=True, empty=False
    )
    points = (
        base.mark_circle(color=theme.PERSONALIZED, opacity=1)
        .encode(
            y=y,
            size=altair.when(hovered).then(altair.value(110)).otherwise(altair.value(50)),
            tooltip=tips(
                ("count", table.columns[0].label, ",d"),
                ("x", title, style),
                ("low", "from", style),
                ("high", "to", style),
                ("n", "New raters", ",d"),
            ),
        )
        .add_params(hovered)
    )
    zero = chart_of([{}]).mark_rule(color=theme.SOFT, strokeWidth=1).encode(y=altair.YDatum(0.0))
    chart = altair.layer(
        zero,
        ribbon(base, scale, theme.PERSONALIZED),
        base.mark_line(color=theme.PERSONALIZED, strokeWidth=1.75).encode(y=y),
        points,
    )
    return finish(chart, table, measures, height=260, note="The band is the interval at each point.")


def draw_coverage(table: Table, measures: Measures) -> Figure:
    """Coverage of each value beside what it should be."""
    colours = {VIEW_NAMES["known"]: theme.PERSONALIZED, VIEW_NAMES["new"]: TEAL}
    values: list[Row] = [
        {
            "row": wrap(row[0]),
            "series": name,
            **_span(row[place], row[place + 1]),
            "width": row[place + 2],
            "n": row[place + 3],
        }
        for row in table.rows
        for place, name in zip((1, 5), colours, strict=True)
        if row[place] is not None
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    there = {value["series"] for value in values}
    chart = dots(
        values,
        labels,
        title="Share of ratings within the interval",
        series={name: colour for name, colour in colours.items() if name in there},
        zero=False,
        style=".0%",
        aim=measures["coverage"]["level"],
        tooltip=[
            ("row", "Value", ""),
            ("series", "Of", ""),
            ("x", "Within", ".1%"),
            ("low", "from", ".1%"),
            ("high", "to", ".1%"),
            ("width", "Mean width", ".2f"),
            ("n", "Ratings", ",d"),
        ],
    )
    return finish(
        chart,
        table,
        measures,
        height=rows_height(labels, 26),
        note=f"{LINES} The upright line is what is aimed at.",
    )


def _span(x: float | None, ends: list[float | None] | None) -> dict[str, float | None]:
    low, high = ends or (None, None)
    return {"x": x, "low": low, "high": high}
