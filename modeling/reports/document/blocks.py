"""What a document is made of, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NUMERIC = ("count", "number", "signed", "share", "p", "interval")
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Names with what they stand for, such as a hash."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture:
    """A drawing with its caption; `alternative` says in words what is drawn."""

    name: str
    svg: str
    title: str
    caption: str
    alternative: str


@dataclass(frozen=True)
class Grid:
    """A table whose cells are written out already."""

    title: str
    headings: tuple[str, ...]
    is_numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Points | Facts | Picture | Grid


@dataclass(frozen=True)
class Document:
    """A title, a line below it, and what follows."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]


def make_grid(title: str, table: dict[str, Any]) -> Grid:
    """Return a stored table (`modeling.reports.tables`) with its cells written out."""
    kinds = [column["kind"] for column in table["columns"]]
    return Grid(
        title=title,
        headings=tuple(column["label"] for column in table["columns"]),
        is_numeric=tuple(kind in NUMERIC for kind in kinds),
        rows=tuple(
            tuple(write_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))
            for row in table["rows"]
        ),
    )


def write_cell(cell: Any, kind: str) -> str:
    """Return a cell as a reader sees it; a number that does not exist is a dash.

    >>> [write_cell(*each) for each in [(0.1234, "number"), (-0.5, "signed"), (0.25, "share"), (None, "p")]]
    ['0.123', '\N{MINUS SIGN}0.500', '25 %', '\N{EN DASH}']
    """
    if cell is None:
        return NOTHING
    if kind == "interval":
        return f"{write_cell(cell[0], 'number')} to {write_cell(cell[1], 'number')}"
    if kind == "text" or isinstance(cell, str):
        return str(cell)
    if kind == "count":
        return f"{cell:,.0f}"
    if kind == "share":
        return f"{cell * 100:.0f} %".replace("-", MINUS)
    if kind == "p":
        return "< .001" if cell < 0.001 else f"{cell:.3f}"
    return f"{cell:{'+' if kind == 'signed' else ''}.3f}".replace("-", MINUS)
