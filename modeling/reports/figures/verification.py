"""PURE. Figures of a verification: how often rules are right, and what decisions change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modeling.reports.tables import Measures, Table, has_numbers
from modeling.reports.verification_tables import tabulate_verification

from .figure import Figure
from .marks import dots
from .reliability import LINES
from .theme import finish, rows_height, wrap

ROW = 26  # pixels
PRECISION, DIFFERENCE = 8, 1  # columns of the two tables; their intervals come after them


def draw_rules(table: Table, measures: Measures) -> Figure:
    """Precision of each rule with its interval, for the rules of which a post is decided."""
    return _draw(
        table,
        measures,
        PRECISION,
        title="Share of decided posts that the rule is right about",
        style=".0%",
        decided=6,
    )


def draw_effects(table: Table, measures: Measures) -> Figure:
    """Change of macro F1 by the decisions about each rule's posts."""
    return _draw(table, measures, DIFFERENCE, title="Change of macro F1", style="+.3f", decided=4)


VERIFICATION: Mapping[str, tuple[Callable[[Table, Measures], Figure], int]] = {
    "verification_rules": (draw_rules, PRECISION),
    "verification_effect": (draw_effects, DIFFERENCE),
}


def draw_verification_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a verification's report; one without any number is left out."""
    tables = tabulate_verification(measures)
    return [
        draw(tables[key], measures)
        for key, (draw, column) in VERIFICATION.items()
        if key in tables and has_numbers(tables[key].rows, column)
    ]


def _draw(table: Table, measures: Measures, column: int, *, title: str, style: str, decided: int) -> Figure:
    values = [
        {
            "row": wrap(row[0]),
            "x": row[column],
            "low": row[column + 1][0],
            "high": row[column + 1][1],
            "decided": row[decided],
        }
        for row in table.rows
        if row[column] is not None
    ]
    labels = [value["row"] for value in values]
    chart = dots(
        values,
        labels,
        title=title,
        style=style,
        tooltip=[
            ("row", "Rule", ""),
            ("x", title, style),
            ("low", "from", style),
            ("high", "to", style),
            ("decided", "Decided posts", ",d"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, ROW), note=LINES)
