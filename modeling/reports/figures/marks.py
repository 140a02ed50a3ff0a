"""PURE. The few shapes that the figures are made of: dots with intervals, bars, heat maps, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair

from .theme import CROWD, DIVERGING, GRID, INK, PAPER, PERSONALIZED, RAMP, SOFT, Drawing, rows_axis

Row = dict[str, Any]
Tip = tuple[str, str, str]  # field, what it is called, format ("" for a text)

FAINT = 0.25
HEADROOM = 1.15  # above the highest bar, for what is written there
AROUND = 0.05  # of a share that is aimed at: what is shown at least to each side
NUMBER = 40  # pixels that a number beside its mark needs


def chart_of(values: Sequence[Row]) -> altair.Chart:
    """Return a chart whose numbers are in its specification."""
    return altair.Chart(altair.InlineData(values=list(values)))


def tips(*fields: Tip) -> list[altair.Tooltip]:
    """Return what is shown of the mark under the pointer."""
    return [
        altair.Tooltip(field=field, title=title, type="quantitative", format=style)
        if style
        else altair.Tooltip(field=field, title=title, type="nominal")
        for field, title, style in fields
    ]


def stretch(values: Sequence[Row], *fields: str, zero: bool) -> list[float]:
    """Return the ends of an axis that holds these fields."""
    found = [row[field] for row in values for field in fields if row.get(field) is not None]
    if zero:
        found.append(0.0)
    low, high = min(found), max(found)
    span = (high - low) or abs(high) or 1.0
    return [low if zero and low == 0 else low - 0.03 * span, high + 0.03 * span]


def leave_room(domain: list[float], *, left: bool = False, right: bool = True) -> altair.Scale:
    """Return the scale of an axis with room for numbers beyond its ends, however narrow the figure is shown."""
    low, high = domain
    sides = left + right
    more = f"{high - low} * {NUMBER} / max(width - {sides * NUMBER}, {NUMBER})"
    return altair.Scale(
        domainMin={"expr": f"{low} - {more}"} if left else low,
        domainMax={"expr": f"{high} + {more}"} if right else high,
        nice=False,
        zero=False,
    )


def dots(
    values: Sequence[Row],
    labels: list[str],
    *,
    title: str,
    tooltip: Sequence[Tip],
    series: Mapping[str, str] | None = None,
    style: str = ".2f",
    zero: bool = True,
    aim: float | None = None,
) -> Drawing:
    """Return dots with thin intervals, one row for each label and one dot in it for each series.

    A value has `row`, `x`, `low`, `high` and, with `series` (names and their colours), `series`. Without series
    the number stands beside its dot. `aim` is a share at which an upright line stands.
    """
    around = [] if aim is None else [{"x": aim - AROUND}, {"x": aim + AROUND}]
    domain = stretch([*values, *around], "x", "low", "high", zero=zero)
    scale = leave_room(domain, right=not series)
    percents = {"format": style} if style.endswith("%") else {}
    axis = grid_axis(title, tickCount=5, grid=True, labelFlush=False, **percents)
    base = chart_of(values).encode(y=rows_axis(labels))
    hovered = altair.selection_point(name="hovered", fields=["row"], on="pointerover", clear="pointerout")
    opacity: Any = altair.when(hovered)
    colour: Any = altair.value(PERSONALIZED)
    if series:
        shown = altair.selection_point(name="shown", fields=["series"], bind="legend")
        opacity = altair.when(hovered & shown)
        colour = altair.Color(
            "series:N",
            scale=altair.Scale(domain=list(series), range=list(series.values())),
            legend=choose_legend(list(series)),
        )
        base = base.encode(
            yOffset=altair.YOffset(
                "series:N", sort=list(series), scale=altair.Scale(domain=list(series), paddingOuter=0.25)
            )
        )
    visible = opacity.then(altair.value(1)).otherwise(altair.value(FAINT))
    base = base.encode(color=colour, opacity=visible)
    spans = base.mark_rule(strokeWidth=1.25).encode(
        x=altair.X("low:Q", scale=scale, axis=axis), x2="high:Q", tooltip=tips(*tooltip)
    )
    points = (
        base.mark_circle(size=46 if series else 60, opacity=1)
        .encode(x=altair.X("x:Q", scale=scale, axis=axis), tooltip=tips(*tooltip))
        .add_params(hovered)
    )
    if series:
        spans = spans.add_params(shown)  # a legend answers to the first layer that has one
    layers = [spans, points]
    if domain[0] <= 0 <= domain[1]:
        layers.insert(0, cross(0.0))
    if aim is not None:
        layers.insert(0, cross(aim))
    if not series:
        layers.append(
            base.mark_text(align="left", dx=7)
            .encode(x="end:Q", text=altair.Text("x:Q", format=style), color=altair.value(INK))
            .transform_calculate(end="isValid(datum.high) ? datum.high : datum.x")
        )
    return altair.layer(*layers)


def cross(at: float) -> altair.Chart:
    """Return the upright line at a number, zero for the most part."""
    line: altair.Chart = chart_of([{}]).mark_rule(color=SOFT, strokeWidth=1).encode(x=altair.XDatum(at))
    return line


def choose_legend(names: Sequence[str], title: str | None = None) -> altair.Legend:
    """Return a legend above the figure, as many in a line as a telephone has room for."""
    longest = max(map(len, names), default=0)
    columns = 1 if longest > 20 else 2 if longest > 12 else 3
    return altair.Legend(
        title=title,
        orient="top",
        direction="horizontal",
        columns=min(columns, len(names)),
        symbolType="circle",
        offset=8,
        columnPadding=14,
    )


def heat(
    values: Sequence[Row],
    rows: list[str],
    columns: list[str],
    *,
    title: str,
    tooltip: Sequence[Tip],
    domain: tuple[float, float],
    style: str,
    is_diverging: bool = False,
    is_written: bool = False,
    column_labels: bool = True,
) -> Drawing:
    """Return a heat map of `row` and `column` by `x`, with a legend; `is_written` puts the numbers in the cells."""
    colour = altair.Color(
        "x:Q",
        scale=altair.Scale(domain=list(domain), range=list(DIVERGING if is_diverging else RAMP), clamp=True),
        legend=altair.Legend(
            title=title,
            orient="top",
            format=style,
            gradientLength=180,
            gradientThickness=10,
            tickCount=4,
            offset=8,
        ),
    )
    base = chart_of(values).encode(
        x=altair.X(
            "column:N",
            sort=columns,
            axis=altair.Axis(
                title=None,
                orient="top",
                labels=column_labels,
                labelAngle=-90,
                labelAlign="left",
                labelBaseline="middle",
                labelFontSize=10 if len(columns) > 24 else 11,
                labelLimit=190,
                labelOverlap=len(columns) > 24,
                ticks=False,
                domain=False,
            ),
        ),
        y=rows_axis(rows),
    )
    hovered = altair.selection_point(
        name="hovered", fields=["row", "column"], on="pointerover", clear="pointerout", empty=False
    )
    cells = (
        base.mark_rect(strokeWidth=1.5)
        .encode(
            color=colour,
            tooltip=tips(*tooltip),
            stroke=altair.when(hovered).then(altair.value(INK)).otherwise(altair.value(None)),
        )
        .add_params(hovered)
    )
    if not is_written:
        return altair.layer(cells)
    middle = domain[0] + 0.6 * (domain[1] - domain[0])
    ink = altair.when(f"datum.x > {middle}").then(altair.value(PAPER)).otherwise(altair.value(INK))
    return altair.layer(cells, base.mark_text().encode(text="text:N", color=ink))


def bars(
    values: Sequence[Row],
    labels: list[str],
    *,
    title: str,
    tooltip: Sequence[Tip],
    series: Mapping[str, str],
    style: str = ".3f",
    axis_style: str = ".2f",
) -> Drawing:
    """Return bars from zero with thin intervals and their numbers; `series` are the colours of the kinds of bars."""
    lowest = [row["x"] for row in values if row["x"] is not None and row["x"] < 0]
    domain = stretch(values, "x", "low", "high", zero=True)
    shown = altair.selection_point(name="shown", fields=["series"], bind="legend")
    hovered = altair.selection_point(name="hovered", fields=["row"], on="pointerover", clear="pointerout")
    visible = altair.when(hovered & shown).then(altair.value(1)).otherwise(altair.value(FAINT))
    base = chart_of(values).encode(y=rows_axis(labels), opacity=visible)
    scale = leave_room(domain, left=bool(lowest))
    drawn = (
        base.mark_bar(height={"band": 0.72})
        .encode(
            x=altair.X(
                "x:Q",
                scale=scale,
                axis=altair.Axis(title=title, tickCount=5, format=axis_style, domain=False, ticks=False),
            ),
            color=altair.Color(
                "series:N",
                scale=altair.Scale(domain=list(series), range=list(series.values())),
                legend=choose_legend(list(series)),
            ),
            tooltip=tips(*tooltip),
        )
        .add_params(hovered, shown)
    )
    spans = (
        base.mark_rule(color=INK, strokeWidth=1.25)
        .encode(x=altair.X("low:Q", scale=scale), x2="high:Q")
        .transform_filter("isValid(datum.low) && isValid(datum.high)")
    )
    numbers = (
        base.mark_text(align={"expr": "datum.x < 0 ? 'right' : 'left'"}, dx={"expr": "datum.x < 0 ? -6 : 6"})
        .encode(x="end:Q", text=altair.Text("x:Q", format=style))
        .transform_calculate(
            end="isValid(datum.high) ? (datum.x < 0 ? min(datum.x, datum.low) : max(datum.x, datum.high)) : datum.x"
        )
    )
    return altair.layer(drawn, spans, cross(0.0), numbers)


def columns(
    values: Sequence[Row],
    *,
    title: str,
    upright: str,
    tooltip: Sequence[Tip],
    style: str,
    colour: Any = None,
) -> altair.Chart:
    """Return upright bars from `from` to `to`, as high as `y`."""
    hovered = altair.selection_point(name="hovered", fields=["from"], on="pointerover", clear="pointerout")
    drawn: altair.Chart = (
        chart_of(values)
        .mark_bar(stroke=PAPER, strokeWidth=1)
        .encode(
            x=altair.X(
                "from:Q",
                axis=altair.Axis(
                    title=title, grid=False, format=style, tickCount=6, tickMinStep=1 if style == "d" else 0
                ),
                scale=altair.Scale(zero=False, nice=False),
            ),
            x2="to:Q",
            y=altair.Y(
                "y:Q",
                axis=grid_axis(upright, tickCount=4, tickMinStep=1, format=",d"),
                scale=altair.Scale(domain=[0, HEADROOM * max(row["y"] for row in values)], nice=False),
            ),
            y2=altair.Y2Datum(0),
            color=altair.value(CROWD) if colour is None else colour,
            opacity=altair.when(hovered).then(altair.value(1)).otherwise(altair.value(0.5)),
            tooltip=tips(*tooltip),
        )
        .add_params(hovered)
    )
    return drawn


def ribbon(base: altair.Chart, scale: altair.Scale, colour: str) -> altair.Chart:
    """Return the band between `low` and `high`."""
    band: altair.Chart = base.mark_area(color=colour, opacity=0.16).encode(
        y=altair.Y("low:Q", scale=scale), y2="high:Q"
    )
    return band


def grid_axis(title: str, **options: Any) -> altair.Axis:
    """Return a number axis with a quiet grid and no line of its own."""
    return altair.Axis(title=title, domain=False, ticks=False, gridColor=GRID, **options)
