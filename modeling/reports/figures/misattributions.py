"""PURE. Figures of an error report: what a model gives where experts see what."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modeling.reports.misattribution_tables import (
    MATRIX,
    PAIRS,
    list_recurrent,
    name_source,
    tabulate_misattributions,
)
from modeling.reports.tables import Measures, Table, name_values

from .figure import Figure
from .marks import dots, heat
from .theme import CROWD, PERSONALIZED, finish, rows_height, wrap

LEAST_TOP = 0.2  # of the scale of rates: what is rare is not made to look frequent
MOST_DRAWN = 15  # recurrent pairs of the figure; the table has them all
MODEL_GIVES, BY_CHANCE = "Where experts see the other value", "Where they see neither (chance)"


def draw_matrix(table: Table, measures: Measures) -> Figure:
    """The rate of each confusion, values in circumplex order; recurrent ones bear their number."""
    names = name_values(measures)
    recurrent = {(pair["given"], pair["instead_of"]) for pair in list_recurrent(measures)}
    values = []
    for row in measures["matrix"]:
        for cell in row["cells"]:
            is_drawn = cell["n"] >= measures["fewest_chances"] and cell["given"] != row["seen"]
            is_recurrent = (cell["given"], row["seen"]) in recurrent
            values.append(
                {
                    "row": wrap(name_source(names, row["seen"]), 40),
                    "column": names[cell["given"]],
                    "x": cell["rate"] if is_drawn else None,  # its row keeps its place
                    "given": cell["n_given"],
                    "n": cell["n"],
                    "text": f"{100 * cell['rate']:.0f}" if is_recurrent else "",
                }
            )
    labels = [wrap(row[0], 40) for row in table.rows]
    top = max((value["x"] for value in values if value["x"] is not None), default=0.0)
    chart = heat(
        values,
        labels,
        list(names.values()),
        title="Share of posts",
        tooltip=[
            ("row", "Experts see", ""),
            ("column", "The model gives", ""),
            ("x", "Share", ".1%"),
            ("given", "Posts", ",d"),
            ("n", "of", ",d"),
        ],
        domain=(0.0, max(top, LEAST_TOP)),
        style=".0%",
        is_written=True,
    )
    return finish(
        chart,
        table,
        measures,
        height=20 * len(labels),
        note="A number, in percent, stands where the confusion is told from chance. The diagonal is left to the table, "
        f"and so is what fewer than {measures['fewest_chances']} posts could show.",
    )


def draw_pairs(table: Table, measures: Measures) -> Figure:
    """The rate of each recurrent misattribution beside the rate by chance."""
    names = name_values(measures)
    values = []
    for pair in list_recurrent(measures)[:MOST_DRAWN]:
        row = wrap(
            f"{names[pair['given']]} where experts see {_lower(name_source(names, pair['instead_of']))}"
        )
        for series, name in ((MODEL_GIVES, "rate"), (BY_CHANCE, "expected")):
            if pair[name] is not None:
                values.append({"row": row, "series": series, "x": pair[name], "low": None, "high": None})
    labels = list(dict.fromkeys(value["row"] for value in values))
    chart = dots(
        values,
        labels,
        title="Share of posts in which the model gives the value",
        series={MODEL_GIVES: PERSONALIZED, BY_CHANCE: CROWD},
        tooltip=[("row", "", ""), ("series", "", ""), ("x", "Share", ".1%")],
        style=".0%",
    )
    return finish(chart, table, measures, height=rows_height(labels, 34))


def _lower(name: str) -> str:
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


ERRORS: Mapping[str, Callable[[Table, Measures], Figure]] = {PAIRS: draw_pairs, MATRIX: draw_matrix}


def draw_error_figures(measures: Measures) -> list[Figure]:
    """Return the figures of an error report; one without anything to draw is left out."""
    tables = tabulate_misattributions(measures)
    drawn = []
    for key, draw in ERRORS.items():
        if key in tables and (key != PAIRS or list_recurrent(measures)):
            drawn.append(draw(tables[key], measures))
    return drawn
