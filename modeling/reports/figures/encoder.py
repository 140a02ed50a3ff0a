"""PURE. Figures of encoders: reliability, value by value, and what is lost on other sources."""

from __future__ import annotations

from collections.abc import Mapping

import altair

from modeling.reports.encoder_tables import name_pair, tabulate_encoder, tabulate_transfer
from modeling.reports.tables import Measures, Table

from .drawing import Draw
from .figure import Figure
from .marks import chart_of, choose_legend, dots, grid_axis, heat, tips
from .theme import SERIES, SOFT, finish, rows_height, wrap

LINES = "Lines are the intervals."


def draw_encoder_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a training's report; one without any number is left out."""
    tables = tabulate_encoder(measures)
    return [draw(tables[key], measures) for key, draw in ENCODER.items() if key in tables]


def draw_transfer_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a transfer check's report; one without any number is left out."""
    tables = tabulate_transfer(measures)
    drawn = []
    for key, draw in TRANSFER.items():
        cells = [cell for cell in measures["cells"] if cell["macro_f1"]["estimate"] is not None]
        if key not in tables or not cells:
            continue
        if key == "transfer_losses" and not any(_has_loss(cell) for cell in cells):
            continue
        drawn.append(draw(tables[key], measures))
    return drawn


def draw_reliability(table: Table, measures: Measures) -> Figure:
    """What each encoder's probabilities turned out to be, beside the line on which they are right."""
    values = [
        {
            "series": row[0],
            "x": row[4],
            "y": row[5],
            "low": row[6][0],
            "high": row[6][1],
            "pairs": row[3],
        }
        for row in table.rows
    ]
    names = list(dict.fromkeys(value["series"] for value in values))
    series = dict(zip(names, SERIES, strict=False))
    scale = altair.Scale(domain=[0, 1], nice=False)
    base = chart_of(values).encode(
        x=altair.X("x:Q", scale=scale, axis=grid_axis("Probability that the encoder gives", tickCount=5)),
        color=altair.Color(
            "series:N",
            scale=altair.Scale(domain=names, range=list(series.values())),
            legend=choose_legend(names),
        ),
    )
    y = altair.Y("y:Q", scale=scale, axis=grid_axis("Share of the reference’s ratings", tickCount=5))
    spans = (
        base.mark_rule(strokeWidth=1.25)
        .encode(y=altair.Y("low:Q", scale=scale), y2="high:Q")
        .transform_filter("isValid(datum.low) && isValid(datum.high)")
    )
    right = (
        chart_of([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(color=SOFT, strokeDash=[4, 3], strokeWidth=1)
        .encode(x=altair.X("x:Q", scale=scale), y=y)
    )
    lines = base.mark_line(strokeWidth=1.5).encode(y=y)
    points = base.mark_circle(size=60, opacity=1).encode(
        y=y,
        tooltip=tips(
            ("series", "Encoder", ""),
            ("x", "Probability", ".3f"),
            ("y", "Share", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("pairs", "Pairs", ",d"),
        ),
    )
    return finish(
        altair.layer(right, lines, spans, points),
        table,
        measures,
        height=340,
        note=f"{LINES} On the broken line probabilities are right.",
    )


def draw_values(table: Table, measures: Measures) -> Figure:
    """F1 of each value, soft beside hard labels."""
    models = measures["models"]
    values = []
    labels = []
    for row in table.rows:
        for place, model in enumerate(models):
            estimate, interval = row[3 + 2 * place], row[4 + 2 * place]
            if estimate is None:
                continue
            labels.append(wrap(row[0]))
            values.append(
                {
                    "row": wrap(row[0]),
                    "series": model["label"],
                    "x": estimate,
                    "low": interval[0],
                    "high": interval[1],
                    "true": row[1],
                }
            )
    labels = list(dict.fromkeys(labels))
    chart = dots(
        values,
        labels,
        title="F1",
        series=dict(zip([model["label"] for model in models], SERIES, strict=False)),
        tooltip=[
            ("row", "Value", ""),
            ("series", "Encoder", ""),
            ("x", "F1", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("true", "Posts that express it", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 16 + 8 * len(models)), note=LINES)


def draw_losses(table: Table, measures: Measures) -> Figure:
    """Macro F1 that is lost on the posts of another source, pair by pair."""
    values = []
    for cell in measures["cells"]:
        if not _has_loss(cell):
            continue
        loss = cell["loss"]["macro_f1"]
        values.append(
            {
                "row": wrap(name_pair(cell)),
                "x": loss["estimate"],
                "low": loss["interval"][0],
                "high": loss["interval"][1],
                "posts": cell["n_posts"],
            }
        )
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Macro F1, own source less the other",
        style="+.3f",
        tooltip=[
            ("row", "Judged on, by", ""),
            ("x", "Lost", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("posts", "Posts", ",d"),
        ],
    )
    note = f"{LINES} Drawn is macro F1; the table has the other measures too."
    return finish(chart, table, measures, height=rows_height(labels, 26), note=note)


def draw_scores(table: Table, measures: Measures) -> Figure:
    """Macro F1 of every source judged by every encoder."""
    cells = [cell for cell in measures["cells"] if cell["macro_f1"]["estimate"] is not None]
    values = [
        {
            "row": wrap(cell["test"]),
            "column": cell["train"],
            "x": cell["macro_f1"]["estimate"],
            "text": f"{cell['macro_f1']['estimate']:.2f}",
        }
        for cell in cells
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    chart = heat(
        values,
        labels,
        list(dict.fromkeys(cell["train"] for cell in cells)),
        title="Macro F1",
        tooltip=[("row", "Judged on", ""), ("column", "Taught", ""), ("x", "Macro F1", ".3f")],
        domain=(0.0, 1.0),
        style=".1f",
        is_written=True,
    )
    return finish(
        chart, table, measures, height=rows_height(labels, 30), note="Rows are judged on, columns taught."
    )


def _has_loss(cell: Measures) -> bool:
    return bool(cell["loss"]) and cell["loss"]["macro_f1"]["estimate"] is not None


ENCODER: Mapping[str, Draw] = {"encoder_reliability": draw_reliability, "encoder_by_value": draw_values}
TRANSFER: Mapping[str, Draw] = {"transfer_losses": draw_losses, "transfer_scores": draw_scores}
