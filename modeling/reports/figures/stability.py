"""PURE. Figures of stability: shares of posts in which a value is read differently, value by value."""

from __future__ import annotations

from modeling.reports.stability_tables import tabulate_stability
from modeling.reports.tables import Measures, Table

from .figure import Figure
from .marks import dots
from .reliability import LINES
from .theme import finish, rows_height, wrap

SHARE = 2  # column of the share drawn; its interval comes after it
DISAGREEMENT = 4
DRAWN = {
    "stability_repeats": (DISAGREEMENT, "Share of pairs of samples that differ"),
    "stability_wordings": (SHARE, "Share of paraphrases read otherwise"),
}


def draw_stability_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a stability report; one without any number is left out."""
    tables = tabulate_stability(measures)
    shown = {**measures, "models": [measures["run"]]}
    return [_draw(tables[key], shown, place, title) for key, (place, title) in DRAWN.items() if key in tables]


def _draw(table: Table, measures: Measures, place: int, title: str) -> Figure:
    floor = measures["wordings"]["noise_floor"] if table.key == "stability_wordings" else None
    values = [
        {
            "row": wrap(row[0]),
            "x": row[place],
            "low": row[place + 1][0],
            "high": row[place + 1][1],
            "posts": row[1],
        }
        for row in table.rows
        if row[place] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title=title,
        style=".1%",
        aim=floor,
        tooltip=[
            ("row", "Value", ""),
            ("x", "Share", ".1%"),
            ("low", "from", ".1%"),
            ("high", "to", ".1%"),
            ("posts", "Posts", ",d"),
        ],
    )
    note = LINES + (
        " The upright line is how often two samples of one wording differ." if floor is not None else ""
    )
    return finish(chart, table, measures, height=rows_height(labels), note=note)
