"""PURE. Tables of a report: columns, rows, what they show, and the same as a CSV file.

A table travels as JSON: `{"columns": [{"key", "label", "kind"}], "rows": [[...]]}`. A cell is a text, a number,
None where the number does not exist, or, in a column of intervals, its two ends.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from modeling.export.cells import clean, guard

Kind = Literal["text", "count", "number", "signed", "share", "p", "interval"]
Measures = Mapping[str, Any]

MOST_NAMED = 6


@dataclass(frozen=True)
class Column:
    """One column: its name in files, its heading, and how its numbers are written."""

    key: str
    label: str
    kind: Kind = "number"


@dataclass(frozen=True)
class Table:
    """Numbers of a report, with what has to be known to read them."""

    key: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: list[list[Any]]

    def as_json(self) -> dict[str, Any]:
        """Return columns and rows as they are stored."""
        return {"columns": [asdict(column) for column in self.columns], "rows": self.rows}


def write_csv(table: Mapping[str, Any]) -> str:
    """Return a stored table as CSV; an interval becomes two columns, and no text can be taken for a formula.

    >>> columns = [{"key": "value", "kind": "text"}, {"key": "interval", "kind": "interval"}]
    >>> write_csv({"columns": columns, "rows": [["=A1", [0.1, None]], ["care", None]]}).splitlines()
    ['value,interval_low,interval_high', "'=A1,0.1,", 'care,,']
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    columns = table["columns"]
    writer.writerow(
        guard(clean(name))
        for column in columns
        for name in (
            (f"{column['key']}_low", f"{column['key']}_high")
            if column["kind"] == "interval"
            else (column["key"],)
        )
    )
    for row in table["rows"]:
        writer.writerow(
            guard(clean(cell)) if isinstance(cell, str) else cell
            for column, found in zip(columns, row, strict=True)
            for cell in ((found or (None, None)) if column["kind"] == "interval" else (found,))
        )
    return file.getvalue()


def name_values(measures: Measures) -> dict[str, str]:
    """Return the name of each value by its key, in the system's order; the key stands with a name that two have."""
    values = measures["values"]
    often = Counter(value["name"] for value in values)
    return {
        value["key"]: value["name"] if often[value["name"]] == 1 else f"{value['name']} ({value['key']})"
        for value in values
    }


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun.

    >>> count(1, "pair is", "pairs are"), count(2000, "pair is", "pairs are")
    ('1 pair is', '2,000 pairs are')
    """
    return f"{number:,} {one if number == 1 else many}"


def say_sample(measures: Measures, **counts: int | None) -> str:
    """Return who and what the numbers rest on; `counts` replace or add to those of the whole report."""
    whole = {
        "raters": measures.get("n_raters"),
        "posts": measures.get("n_posts"),
        "ratings": measures.get("n_ratings"),
    }
    parts = [
        count(number, word.removesuffix("s"), word)
        for word, number in (whole | counts).items()
        if number is not None
    ]
    return f"{', '.join(parts)}.{say_simulated(measures)}"


def say_simulated(measures: Measures) -> str:
    """Return how many raters are no people, with a space before it; nothing when all are people."""
    simulated, whole = measures.get("n_simulated", 0), measures.get("n_raters")
    if not simulated:
        return ""
    return " Simulated raters." if simulated == whole else f" Simulated raters: {simulated:,} of {whole:,}."


def say_resampling(measures: Measures, unit: str = "posts") -> str:
    """Return what the intervals come from."""
    n_resamples = measures.get("n_resamples")
    draws = f"{n_resamples:,} bootstrap resamples" if n_resamples else "bootstrap resamples"
    return f"Intervals ({say_level(measures)}) are from {draws} of {unit}."


def say_level(measures: Measures) -> str:
    """Return the level of the intervals."""
    return f"{measures.get('ci_level', 0.95):.0%}".replace("%", "\u202f%")


def say_left_out(names: Sequence[str], what: str) -> str:
    """Return which rows have no number, with a space before it; nothing when all have one."""
    if not names:
        return ""
    shown = ", ".join(names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f" {what}: {shown}{more}."


def has_numbers(rows: Iterable[Sequence[Any]], *positions: int) -> bool:
    """Whether any row has a number in any of these places."""
    return any(row[position] is not None for row in rows for position in positions)
