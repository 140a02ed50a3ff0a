"""PURE. The codebook, made from the description of the tables: as a table and to be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from .cells import guard
from .tables import TYPES, Table

COLUMNS = ("folder", "table", "column", "type", "meaning", "values", "empty_means")


def write_csv(groups: Mapping[str, Sequence[Table]]) -> str:
    """Return the codebook as CSV: one row per column of each table; `groups` are the tables by folder."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    for folder, tables in groups.items():
        for table in tables:
            for column in table.columns:
                writer.writerow(
                    map(
                        guard,
                        (
                            folder,
                            table.name,
                            column.name,
                            column.kind,
                            column.meaning,
                            column.values,
                            column.empty,
                        ),
                    )
                )
    return out.getvalue()


def write_markdown(groups: Mapping[str, Sequence[Table]]) -> str:
    """Return the codebook to be read."""
    lines = [
        "# Codebook",
        "",
        "Every column of every table. The same as a table: `codebook.csv`.",
        "",
        "## Types",
        "",
        *(f"- **{kind}**: {meaning}" for kind, meaning in TYPES.items()),
        "",
        "**Missing.** A missing entry is an empty cell in CSV files, without quotation marks, and null in Parquet "
        "files. No number stands for a missing one. The codebook says of each column what it means.",
        "",
        "**Formulas.** In CSV files a text that begins with `=`, `+`, `-`, `@`, a tab or a line break (also behind "
        "apostrophes, also as a full-width sign) has one apostrophe in front, so that no spreadsheet runs it. Take one "
        "off to get the text as it was. Parquet files hold the texts as they were.",
        "",
    ]
    for folder, tables in groups.items():
        for table in tables:
            name = table.name if folder != "for_load_study" else f"{folder}/{table.name}"
            lines += [
                f"## {name}",
                "",
                f"{table.meaning} A row is told apart by {', '.join(f'`{each}`' for each in table.key)}.",
                "",
                "| column | type | meaning | values | empty means |",
                "| --- | --- | --- | --- | --- |",
                *(
                    f"| `{column.name}` | {column.kind} | {column.meaning} | {column.values} | "
                    f"{column.empty} |"
                    for column in table.columns
                ),
                "",
            ]
    return "\n".join(lines)
