"""PURE. The tables of a structure report. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from typing import Any

from .names import SAYS_STANDIN
from .tables import Column, Measures, Table, count, has_numbers, name_values, say_level, say_simulated

FIT, PLACES = "structure_fit", "structure_places"
STANDIN_MARK = " (stand-in)"


def tabulate_structure(measures: Measures) -> dict[str, Table]:
    """Return the tables of a structure report by their keys; places only where some source has any."""
    tables = (_tabulate_fit(measures), _tabulate_places(measures))
    return {table.key: table for table in tables if table is not None}


def name_of(source: Measures) -> str:
    """Return what a source is called: who read, and which posts.

    >>> name_of({"label": "Zero", "is_standin": True, "posts_are": "development posts"})
    'Zero (stand-in), development posts'
    """
    return f"{source['label']}{STANDIN_MARK if source['is_standin'] else ''}, {source['posts_are']}"


def say_reason(source: Measures) -> str:
    """Return what is missing of a source and why, what was sampled, and which values have no place."""
    placed = sum(point["x"] is not None for point in source["points"])
    n_without = len(source["points"]) - placed
    drawn_from = source["n_posts_drawn_from"]
    parts = [
        source["reason"],
        source["interval_reason"],
        f"{count(n_without, 'value has', 'values have')} no place"
        if n_without and not source["reason"]
        else "",
        f"a sample of {drawn_from:,} posts" if drawn_from else "",
        SAYS_STANDIN.removesuffix(".") if source["is_standin"] else "",
    ]
    return "; ".join(part for part in parts if part)


def _tabulate_fit(measures: Measures) -> Table | None:
    rows: list[list[Any]] = [
        [
            name_of(source),
            source["congruence"],
            source["interval"],
            source["by_chance"],
            source["chance"],
            source["p"],
            source["order_correlation"],
            source["order_p"],
            source["stress"],
            source["mean_error"],
            source["n_values"] if not source["reason"] else None,
            source["n_posts"],
            source["n_rows"],
            say_reason(source),
        ]
        for source in measures["sources"]
    ]
    if not rows:
        return None
    caption = (
        "Congruence is the Procrustes correlation of the values' places, scaled from their correlations, with the "
        "theory's circle: 1 is a perfect circle in the theory's order. By chance: the same places under names dealt "
        f"anew ({measures['n_permutations']:,} times), with the range of 95\u202f% of them and the one-sided p. "
        f"Intervals ({say_level(measures)}) are from {measures['n_resamples']:,} bootstrap resamples of posts; noise "
        "lowers a congruence, so that most of an interval lies below its estimate. The correlation of the order "
        "is Spearman's rho between dissimilarity and distance on the circle. Stress is 0 where a plane holds all "
        "dissimilarities." + say_simulated(measures)
    )
    columns = (
        Column("source", "Who, on which posts", "text"),
        Column("congruence", "Congruence"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("by_chance", "By chance"),
        Column("chance", "95\u202f% of orders", "interval"),
        Column("p", "p", "p"),
        Column("order_correlation", "Order", "signed"),
        Column("order_p", "Its p", "p"),
        Column("stress", "Stress"),
        Column("mean_error", "Mean error, degrees"),
        Column("values", "Values", "count"),
        Column("posts", "Posts", "count"),
        Column("rows", "Rows", "count"),
        Column("note", "Note", "text"),
    )
    return Table(FIT, "How far each reading forms the circle of values", caption, columns, rows)


def _tabulate_places(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows: list[list[Any]] = [
        [
            name_of(source),
            names[point["value"]],
            point["angle"],
            point["theory_angle"],
            point["error"],
            point["x"],
            point["y"],
            point["reason"],
        ]
        for source in measures["sources"]
        for point in source["points"]
    ]
    if not has_numbers(rows, 5):
        return None
    caption = (
        "Where each value lies in the plane of its correlations with the others, turned to meet the theory's circle; "
        "the error is the angle from its place there. A value that does not vary has no place."
        + say_simulated(measures)
    )
    columns = (
        Column("source", "Who, on which posts", "text"),
        Column("value", "Value", "text"),
        Column("angle", "Angle"),
        Column("theory_angle", "In theory"),
        Column("error", "Error, degrees", "signed"),
        Column("x", "x", "signed"),
        Column("y", "y", "signed"),
        Column("reason", "Why it has no place", "text"),
    )
    return Table(PLACES, "The circle of values by who read", caption, columns, rows)
