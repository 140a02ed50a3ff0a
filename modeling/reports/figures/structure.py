"""PURE. Figures of a structure report: a small circle for each who read, and how well each forms one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import altair

from modeling.reports.structure_tables import FIT, PLACES, name_of, tabulate_structure
from modeling.reports.tables import Measures, Table, has_numbers, name_values

from .figure import Figure
from .marks import chart_of, choose_legend, dots, tips
from .theme import CROWD, GRID, INK, PERSONALIZED, SERIES, SOFT, finish, rows_height, wrap

IN_A_ROW = 2
WIDE, HIGH = 2.9, 3.35  # of one small circle, whose ring has the radius 1
FARTHEST = 0.92  # from the centre to the outermost value
FOUND, CHANCE = "What they say", "The values’ order dealt anew (95 %)"
TITLE_AT = 1.55  # above the centre


def draw_places(table: Table, measures: Measures) -> Figure:
    """A circle for each source: where the values lie, joined with their places in theory, which bear their numbers."""
    names = name_values(measures)
    groups = {value["key"]: value["group"] or "All values" for value in measures["values"]}
    shown = [source for source in measures["sources"] if any(p["x"] is not None for p in source["points"])]
    places, rings, titles = [], [], []
    for number, source in enumerate(shown):
        right, down = number % IN_A_ROW * WIDE, -(number // IN_A_ROW) * HIGH
        placed = [point for point in source["points"] if point["x"] is not None]
        reach = max(math.hypot(point["x"], point["y"]) for point in placed) or 1.0
        congruence = source["congruence"]
        titles.append(
            {
                "x": right,
                "y": down + TITLE_AT,
                "text": wrap(name_of(source), 30),
                "fit": "" if congruence is None else f"congruence {congruence:.2f}",
                "under": down - TITLE_AT + 0.12,
            }
        )
        rings += [
            {
                "ring": number,
                "turn": turn,
                "x": right + math.cos(math.tau * turn / 60),
                "y": down + math.sin(math.tau * turn / 60),
            }
            for turn in range(61)
        ]
        for place, point in enumerate(source["points"], start=1):
            if point["x"] is None:
                continue
            ring = math.radians(point["theory_angle"])
            places.append(
                {
                    "who": name_of(source),
                    "row": names[point["value"]],
                    "number": place,
                    "group": groups[point["value"]],
                    "x": right + FARTHEST * point["x"] / reach,
                    "y": down + FARTHEST * point["y"] / reach,
                    "ring_x": right + math.cos(ring),
                    "ring_y": down + math.sin(ring),
                    "label_x": right + 1.15 * math.cos(ring),
                    "label_y": down + 1.15 * math.sin(ring),
                    "angle": point["angle"],
                    "theory": point["theory_angle"],
                    "error": point["error"],
                }
            )
    n_rows = -(-len(shown) // IN_A_ROW)
    scales = (
        altair.Scale(domain=[-WIDE / 2, (IN_A_ROW - 0.5) * WIDE], nice=False),
        altair.Scale(domain=[-(n_rows - 1) * HIGH - 1.6, 1.85], nice=False),
    )

    def at(x: str, y: str) -> dict[str, Any]:
        return {
            "x": altair.X(f"{x}:Q", scale=scales[0], axis=None),
            "y": altair.Y(f"{y}:Q", scale=scales[1], axis=None),
        }

    shown_groups = list(dict.fromkeys(groups.values()))
    colours = [(PERSONALIZED, *SERIES)[place % (1 + len(SERIES))] for place in range(len(shown_groups))]
    hovered = altair.selection_point(name="hovered", fields=["row"], on="pointerover", clear="pointerout")
    base = chart_of(places).encode(
        color=altair.Color(
            "group:N",
            scale=altair.Scale(domain=shown_groups, range=colours),
            legend=choose_legend(shown_groups) if len(shown_groups) > 1 else None,
        ),
        opacity=altair.when(hovered).then(altair.value(1)).otherwise(altair.value(0.2)),
    )
    told = tips(
        ("who", "", ""),
        ("row", "Value", ""),
        ("angle", "Angle", ".0f"),
        ("theory", "In theory", ".0f"),
        ("error", "Difference", "+.0f"),
    )
    words = chart_of(titles)
    chart = altair.layer(
        chart_of(rings)
        .mark_line(color=GRID, strokeWidth=1.5)
        .encode(**at("x", "y"), order="turn:Q", detail="ring:N"),
        base.mark_rule(strokeWidth=1).encode(**at("x", "y"), x2="ring_x:Q", y2="ring_y:Q"),
        base.mark_circle(size=34, opacity=1).encode(**at("x", "y"), tooltip=told).add_params(hovered),
        base.mark_text(fontSize=9).encode(
            **at("label_x", "label_y"), text="number:Q", color=altair.value(INK), tooltip=told
        ),
        words.mark_text(fontWeight="bold", baseline="middle", lineBreak="\n", lineHeight=13).encode(
            **at("x", "y"), text="text:N"
        ),
        words.mark_text(fontSize=10, color=SOFT).encode(
            **at("x", "under"), text="fit:N", color=altair.value(SOFT)
        ),
    )
    listed = ", ".join(f"{place} {name}" for place, name in enumerate(names.values(), start=1))
    return finish(
        chart,
        table,
        measures,
        height=round(300 * n_rows),
        aspect=(n_rows * HIGH + 0.1) / (IN_A_ROW * WIDE),
        note=f"A number on the ring is a value at its place in theory; a line joins it with its place in the readings. "
        f"{listed}.",
    )


def draw_fit(table: Table, measures: Measures) -> Figure:
    """The congruence of each source with its interval, beside what chance reaches."""
    values = []
    for source in measures["sources"]:
        if source["congruence"] is None:
            continue
        row = wrap(name_of(source))
        low, high = source["interval"]
        values.append({"row": row, "series": FOUND, "x": source["congruence"], "low": low, "high": high})
        if source["by_chance"] is not None:
            low, high = source["chance"]
            values.append({"row": row, "series": CHANCE, "x": source["by_chance"], "low": low, "high": high})
    labels = list(dict.fromkeys(value["row"] for value in values))
    chart = dots(
        values,
        labels,
        title="Congruence with the theory’s circle",
        series={FOUND: PERSONALIZED, CHANCE: CROWD},
        tooltip=[
            ("row", "Who", ""),
            ("series", "", ""),
            ("x", "Congruence", ".3f"),
            ("low", "from", ".3f"),
            ("high", "to", ".3f"),
        ],
    )
    return finish(chart, table, measures, height=rows_height(labels, 36))


STRUCTURE: Mapping[str, Callable[[Table, Measures], Figure]] = {FIT: draw_fit, PLACES: draw_places}


def draw_structure_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a structure report; one without any number is left out."""
    tables = tabulate_structure(measures)
    return [
        draw(tables[key], measures)
        for key, draw in STRUCTURE.items()
        if key in tables and has_numbers(tables[key].rows, 1 if key == FIT else 5)
    ]
