"""PURE. Figures of a calibration: macro F1 over versions with what experts reach, F1 value by value, reliability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import altair

from modeling.reports.calibration_tables import name_run, name_version, tabulate_calibration
from modeling.reports.tables import Measures, Table, has_numbers

from .figure import Figure
from .marks import chart_of, choose_legend, dots, grid_axis, tips
from .reliability import LINES
from .theme import CROWD, SERIES, SOFT, TEAL, finish, rows_height, wrap

Draw = Callable[[Table, Measures], Figure]
HEIGHT = 300
GAIN = 1  # column of the difference to the best
OBSERVED = 4  # column of the share expressed
MOST_LINES = len(SERIES)


def draw_calibration_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a calibration report; one without any number is left out."""
    tables = tabulate_calibration(measures)
    shown = {**measures, "models": measures["runs"]}
    drawn = []
    for key, (place, draw) in CALIBRATION.items():
        table = tables.get(key)
        if table is not None and has_numbers(table.rows, place):
            drawn.append(draw(table, shown))
    return drawn


def draw_history(table: Table, measures: Measures) -> Figure:
    """Macro F1 over the versions, one line for each model; experts' own F1 lies across."""
    runs = [run for run in measures["runs"] if run["f1"]["estimate"] is not None]
    several = len({run["family"] for run in runs}) > 1
    versions = {(run["family"], run["version"]): name_version(run, in_family=several) for run in runs}
    lines = list(dict.fromkeys(run["line"] for run in runs))
    colours = [SERIES[place % len(SERIES)] for place in range(len(lines))]
    values = [
        {
            "version": versions[run["family"], run["version"]],
            "line": run["line"],
            "track": f"{run['line']} {run['family']}",
            "y": run["f1"]["estimate"],
            "low": run["f1"]["interval"][0],
            "high": run["f1"]["interval"][1],
            "posts": run["n_posts"],
            "run": run["run"],
        }
        for run in runs
    ]
    ceiling = measures["experts"]["ceiling"]
    scale = altair.Scale(domain=[0, 1], nice=False)
    y = altair.Y("y:Q", scale=scale, axis=grid_axis("Macro F1", tickCount=5))
    axis = altair.Axis(title=None, labelAngle=0, labelExpr="split(datum.label, ', ')", ticks=False)
    x = altair.X("version:N", sort=list(versions.values()), axis=axis, scale=altair.Scale(paddingOuter=0.3))
    shown = altair.selection_point(name="shown", fields=["line"], bind="legend")
    visible: Any = altair.when(shown).then(altair.value(1)).otherwise(altair.value(0.25))
    base = chart_of(values).encode(
        x=x,
        xOffset=altair.XOffset("line:N", sort=lines, scale=altair.Scale(domain=lines, paddingOuter=0.3)),
        opacity=visible,
        color=altair.Color(
            "line:N", scale=altair.Scale(domain=lines, range=colours), legend=choose_legend(lines)
        ),
    )
    spans = (
        base.mark_rule(strokeWidth=1.25)
        .encode(y=altair.Y("low:Q", scale=scale, axis=grid_axis("Macro F1", tickCount=5)), y2="high:Q")
        .transform_filter("isValid(datum.low) && isValid(datum.high)")
        .add_params(shown)
    )
    tracks = base.mark_line(strokeWidth=1.5).encode(y=y, detail="track:N")
    points = base.mark_circle(size=70, opacity=1).encode(
        y=y,
        tooltip=tips(
            ("version", "Version", ""),
            ("line", "Model", ""),
            ("y", "Macro F1", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("posts", "Posts", ",d"),
            ("run", "Run", "d"),
        ),
    )
    layers: list[Any] = [spans, tracks, points]
    note = LINES
    if ceiling["f1"] is not None:
        low, high = ceiling["interval"]
        level = chart_of(
            [{"y": ceiling["f1"], "low": low, "high": high, "text": f"an expert: {ceiling['f1']:.3f}"}]
        )
        across = [
            level.mark_rule(color=SOFT, strokeDash=[4, 3]).encode(y=y),
            level.mark_text(align="right", dy=-8, dx=-4, color=SOFT).encode(
                x=altair.value("width"), y=y, text="text:N"
            ),
        ]
        if low is not None:
            across.insert(
                0,
                level.mark_rect(color=CROWD, opacity=0.16).encode(
                    y=altair.Y("low:Q", scale=scale), y2="high:Q", x=altair.value(0), x2=altair.value("width")
                ),
            )
        layers = [*across, *layers]
        note += " The dashed line is what one expert reaches against the others, the band its interval."
    return finish(altair.layer(*layers), table, measures, height=HEIGHT, note=note)


def draw_newest(table: Table, measures: Measures) -> Figure:
    """F1 of each value: the newest version, and the one before it."""
    names = {2: table.columns[2].label, 4: table.columns[4].label}
    has_before = has_numbers(table.rows, 4)
    values = [
        {
            "row": wrap(row[0]),
            "series": names[place],
            "x": row[place],
            "low": row[place + 1][0],
            "high": row[place + 1][1],
            "posts": row[1],
        }
        for row in table.rows
        for place in ((4, 2) if has_before else (2,))
        if row[place] is not None
    ]
    labels = list(dict.fromkeys(value["row"] for value in values))
    chart = dots(
        values,
        labels,
        title="F1",
        series={names[4]: CROWD, names[2]: TEAL} if has_before else None,
        tooltip=[
            ("row", "Value", ""),
            ("series", "Version", ""),
            ("x", "F1", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("posts", "Posts that express it", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 30 if has_before else 24), note=LINES)


def draw_best(table: Table, measures: Measures) -> Figure:
    """Each run less the best one."""
    values = [
        {"row": wrap(row[0]), "x": row[1], "low": row[2][0], "high": row[2][1], "p": row[3], "posts": row[5]}
        for row in table.rows
        if row[1] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title="Macro F1 less that of the best run",
        style="+.3f",
        tooltip=[
            ("row", "Run", ""),
            ("x", "Difference", "+.3f"),
            ("low", "from", "+.3f"),
            ("high", "to", "+.3f"),
            ("p", "p", ".3f"),
            ("posts", "Posts", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 30), note=LINES)


def draw_certainty(table: Table, measures: Measures) -> Figure:
    """What the probabilities of each run turned out to be, one line for each run; beside it, where they are right."""
    sure = [run for run in measures["runs"] if run.get("certainty")]
    newest = sorted(sure, key=lambda run: (run["finished"], run["run"]))[-MOST_LINES:]
    names = [name_run(run) for run in sure if run in newest]
    values = [
        {"series": row[0], "pairs": row[2], "x": row[3], "y": row[4], "low": row[5][0], "high": row[5][1]}
        for row in table.rows
        if row[0] in names
    ]
    scale = altair.Scale(domain=[0, 1], nice=False)
    shown = altair.selection_point(name="shown", fields=["series"], bind="legend")
    visible: Any = altair.when(shown).then(altair.value(1)).otherwise(altair.value(0.2))
    x = altair.X("x:Q", scale=scale, axis=grid_axis("Probability that it is expressed", tickCount=5))
    y = altair.Y("y:Q", scale=scale, axis=grid_axis("Share in which it is", tickCount=5))
    colours = altair.Scale(domain=names, range=list(SERIES[: len(names)]))
    base = chart_of(values).encode(
        x=x,
        opacity=visible,
        color=altair.Color("series:N", scale=colours, legend=choose_legend(names)),
    )
    right = (
        chart_of([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(color=SOFT, strokeDash=[4, 3], strokeWidth=1)
        .encode(x=x, y=y)
    )
    spans = (
        base.mark_rule(strokeWidth=1.25)
        .encode(y=altair.Y("low:Q", scale=scale), y2="high:Q")
        .transform_filter("isValid(datum.low) && isValid(datum.high)")
        .add_params(shown)
    )
    points = base.mark_circle().encode(
        y=y,
        size=altair.Size("pairs:Q", scale=altair.Scale(range=[20, 240]), legend=None),
        tooltip=tips(
            ("series", "Run", ""),
            ("x", "Probability", ".3f"),
            ("y", "Share", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
            ("pairs", "Pairs", ",d"),
        ),
    )
    note = (
        f"{LINES} Larger points stand for more pairs. On the broken line probabilities are right; a run whose line is "
        "flatter is surer than it is right."
    )
    if len(sure) > MOST_LINES:
        note += f" Drawn are the {MOST_LINES} runs that ended last; the table holds all."
    lines = base.mark_line(strokeWidth=1.5).encode(y=y)
    return finish(altair.layer(right, lines, spans, points), table, measures, height=360, note=note)


# By key of the table: the column without whose numbers there is no figure, and what draws it.
CALIBRATION: Mapping[str, tuple[int, Draw]] = {
    "calibration_history": (7, draw_history),
    "calibration_newest": (2, draw_newest),
    "calibration_best": (GAIN, draw_best),
    "calibration_reliability": (OBSERVED, draw_certainty),
}
