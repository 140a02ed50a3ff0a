"""PURE. What all figures have in common: colours, letters, and how a chart becomes a specification.

A page shows a specification as wide as its place, with the colours of `static/js/charts.js` in the dark; a drawing
is `WIDTH` pixels wide. Every colour here has its counterpart there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import altair

from modeling.reports.tables import Measures, Table

from .figure import Figure, Spec

Drawing = altair.Chart | altair.LayerChart | altair.FacetChart

WIDTH = 560  # pixels of a drawing
FONT = "Liberation Sans, Arial, sans-serif"
INK, SOFT, GRID, PAPER = "#1d2730", "#55626e", "#e8e6e1", "#ffffff"
HUMAN, CROWD, MODEL, PERSONALIZED = "#b9c0c6", "#8d98a3", "#d9a28f", "#b34a2a"
TEAL, OCHRE, BLUE, PLUM = "#0f5f63", "#c08a1e", "#5a6fa8", "#7d4b73"
SERIES = (TEAL, OCHRE, BLUE, PLUM, CROWD)  # told apart by the colour-blind too: light and dark alternate
LEAST = "#e9e6de"  # of a scale whose end must be seen on paper
RAMP = ("#f7f3ec", "#eccdb9", "#d8997b", "#b85a37", "#7a2a12")
DIVERGING = ("#0d5356", "#7db3b1", "#f6f4ef", "#d69a80", "#9b3a1b")
LINE = 14  # pixels of a line of a label
LONGEST = 28  # letters of a label's line
CONFIG: Spec = {
    "font": FONT,
    "background": PAPER,
    "axis": {
        "labelColor": INK,
        "labelFontSize": 12,
        "titleColor": SOFT,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": GRID,
        "domainColor": SOFT,
        "tickColor": SOFT,
    },
    "axisX": {"titleAnchor": "end"},  # a long title has the room of the rows' names
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 320,
        "titleColor": SOFT,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "symbolStrokeWidth": 2,
    },
    "text": {"color": INK, "fontSize": 11},
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "color": INK,
        "fontSize": 15,
        "fontWeight": "bold",
        "offset": 14,
        "subtitleColor": SOFT,
        "subtitleFontSize": 12,
    },
    "view": {"stroke": None},
}


def finish(
    chart: Drawing,
    table: Table,
    measures: Measures,
    *,
    height: float,
    aspect: float | None = None,
    note: str = "",
) -> Figure:
    """Return the figure of a table: one layout, one set of letters, its words in the drawing too.

    `aspect` is the height of a figure, as a share of its width, that must keep its shape; `note` says how to read
    the marks.
    """
    spec: Spec = chart.to_dict(validate=False)
    title: Spec = {"text": textwrap.wrap(table.title, 62)}
    warnings = list(_list_warnings(measures))
    if warnings:
        title["subtitle"] = ". ".join(warnings)
    spec |= {
        "config": CONFIG,
        "title": title,
        "description": table.title,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": 5,
    }
    if aspect is not None:
        spec["usermeta"] = {"aspect": aspect}
    caption = f"{table.caption} {note}".strip()
    return Figure(table.key, table.title, caption, spec, table.as_json())


def _list_warnings(measures: Measures) -> Iterator[str]:
    """What a drawing must say of itself wherever it is taken."""
    if simulated := measures.get("n_simulated", 0):
        yield "Simulated raters" if simulated == measures["n_raters"] else "Some of the raters are simulated"
    if standin := measures.get("n_standin", 0):
        yield (
            "Stand-in: not from a real model"
            if standin == len(measures["models"])
            else "Some of the models are stand-ins"
        )


def wrap(label: str, longest: int = LONGEST) -> str:
    """Return the label in lines."""
    return "\n".join(textwrap.wrap(label, longest) or [label])


def measure_step(labels: list[str], least: int = 22) -> int:
    """Return the pixels that each row needs for its label."""
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    return max(least, LINE * lines + 6)


def rows_axis(labels: list[str], **axis: Any) -> altair.Y:
    """Return the axis of named rows, in the order given; a label may have several lines."""
    options: Spec = {
        "labelExpr": "split(datum.label, '\\n')",
        "labelLimit": 0,
        "labelPadding": 8,
        # several lines stand in the middle of their row, as one does
        "labelOffset": {
            "condition": [
                {"test": f"length(split(datum.label, '\\n')) == {n}", "value": -LINE * (n - 1) / 2}
                for n in (2, 3, 4)
            ],
            "value": 0,
        },
        "labelLineHeight": LINE,
        "ticks": False,
        "domain": False,
        "title": None,
        "minExtent": 40,
    }
    return altair.Y("row:N", sort=labels, title=None, axis=altair.Axis(**(options | axis)))


def rows_height(labels: list[str], least: int = 22) -> int:
    """Return the height of named rows, in pixels."""
    return len(labels) * measure_step(labels, least)


def minus(text: str) -> str:
    """Return the text with a proper minus sign."""
    return text.replace("-", "\u2212")
