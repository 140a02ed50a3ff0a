"""PURE. Figures for whoever plans: what more raters per post would bring."""

from __future__ import annotations

import altair

from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import chart_of, grid_axis, ribbon, tips
from .theme import CROWD, OCHRE, PERSONALIZED, TEAL, finish


def draw_expected_consensus(table: Table, measures: Measures) -> Figure:
    """The curve through what was observed and beyond it."""
    values = [
        {"size": row[0], "rho": row[1], "low": row[2][0], "high": row[2][1], "from": row[3]}
        for row in table.rows
        if row[1] is not None
    ]
    scale = altair.Scale(zero=False, nice=True)
    base = chart_of(values).encode(
        x=altair.X(
            "size:Q",
            axis=altair.Axis(
                title="Other raters in the consensus", format="d", grid=False, tickMinStep=1, tickCount=8
            ),
            scale=altair.Scale(zero=False, nice=False, padding=14),
        )
    )
    y = altair.Y("rho:Q", scale=scale, axis=grid_axis("Mean rho", tickCount=5))
    hovered = altair.selection_point(
        name="hovered", fields=["size"], on="pointerover", clear="pointerout", nearest=True, empty=False
    )
    points = (
        base.mark_point(filled=True, opacity=1, strokeWidth=1.5)
        .encode(
            y=y,
            color=altair.Color(
                "from:N",
                scale=altair.Scale(domain=["observed", "expected"], range=[PERSONALIZED, CROWD]),
                legend=altair.Legend(
                    title=None, orient="top", direction="horizontal", symbolType="circle", offset=8
                ),
            ),
            size=altair.when(hovered).then(altair.value(110)).otherwise(altair.value(50)),
            tooltip=tips(
                ("size", "Others", "d"),
                ("rho", "Mean rho", ".3f"),
                ("low", "from", ".3f"),
                ("high", "to", ".3f"),
                ("from", "Where from", ""),
            ),
        )
        .add_params(hovered)
    )
    chart = altair.layer(
        ribbon(base, scale, PERSONALIZED),
        base.mark_line(color=CROWD, strokeWidth=1.5, strokeDash=[5, 3]).encode(y=y),
        points,
    )
    return finish(chart, table, measures, height=280, note="The band is the interval.")


def draw_precision(table: Table, measures: Measures) -> Figure:
    """Half the width of alpha's interval by raters per post, for each number of posts."""
    sizes = sorted({row[0] for row in table.rows})
    names = {size: f"{size:,} posts" for size in sizes}
    colours = dict(zip(names.values(), (OCHRE, PERSONALIZED, TEAL, CROWD) * len(sizes), strict=False))
    values = [
        {
            "series": names[row[0]],
            "per_post": row[1],
            "raters": row[2],
            "cost": row[3],
            "rho": row[4],
            "y": row[5],
            "worst": row[6],
            "value": row[7],
        }
        for row in table.rows
        if row[5] is not None
    ]
    currency = measures["planning"]["currency"]
    cost = (
        [("cost", f"Cost ({currency})", ",d")] if any(value["cost"] is not None for value in values) else []
    )
    hovered = altair.selection_point(
        name="hovered", fields=["per_post"], on="pointerover", clear="pointerout", nearest=True, empty=False
    )
    shown = altair.selection_point(name="shown", fields=["series"], bind="legend")
    visible = altair.when(shown).then(altair.value(1)).otherwise(altair.value(0.12))
    base = chart_of(values).encode(
        x=altair.X(
            "per_post:Q",
            axis=altair.Axis(title="Raters per post", format="d", grid=False, tickMinStep=1, tickCount=8),
            scale=altair.Scale(zero=False, nice=False, padding=14),
        ),
        y=altair.Y(
            "y:Q",
            scale=altair.Scale(zero=True, nice=True),
            axis=grid_axis("Half width of alpha's interval", tickCount=5, format=".2f"),
        ),
        color=altair.Color(
            "series:N",
            scale=altair.Scale(domain=list(colours), range=list(colours.values())),
            legend=altair.Legend(
                title=None, orient="top", direction="horizontal", columns=3, symbolType="circle", offset=8
            ),
        ),
        opacity=visible,
    )
    points = (
        base.mark_circle(opacity=1)
        .encode(
            size=altair.when(hovered).then(altair.value(90)).otherwise(altair.value(32)),
            tooltip=tips(
                ("series", "With", ""),
                ("per_post", "Raters per post", "d"),
                ("raters", "Raters", ",d"),
                *cost,
                ("y", "Half width, middle value", ".3f"),
                ("worst", "widest value", ".3f"),
                ("value", "which is", ""),
                ("rho", "Rho with the others' consensus", ".3f"),
            ),
        )
        .add_params(hovered)
    )
    chart = altair.layer(base.mark_line(strokeWidth=1.75).add_params(shown), points)
    return finish(chart, table, measures, height=280)
