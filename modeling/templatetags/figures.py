"""How numbers are written on a page; nothing is rounded before it gets here."""

from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

MISSING = "–"


@register.filter
def fixed(number: float | None) -> str:
    """Three decimals; a dash where the number does not exist."""
    return MISSING if number is None or number == "" else f"{number:.3f}".replace("-", "\u2212")


@register.filter
def signed(number: float | None) -> str:
    """Three decimals with their sign."""
    return MISSING if number is None or number == "" else f"{number:+.3f}".replace("-", "\u2212")


@register.filter
def percent(share: float | None) -> str:
    """A signed whole percentage."""
    return (
        "" if share is None or share == "" else f"{share:+.0%}".replace("-", "\u2212").replace("%", "\u202f%")
    )


@register.filter
def interval(ends: list[float | None] | None) -> str:
    """Both ends of an interval."""
    return f"{fixed(ends[0])} to {fixed(ends[1])}" if ends else MISSING


def _write_number(number: float) -> str:
    return f"{number:.3f}".replace("-", "\u2212")


WRITERS = {
    "count": lambda number: f"{number:,.0f}".replace("-", "\u2212"),
    "number": _write_number,
    "signed": lambda number: f"{number:+.3f}".replace("-", "\u2212"),
    "share": lambda number: f"{number:.1%}".replace("-", "\u2212").replace("%", "\u202f%"),
    "p": lambda number: "< 0.001" if number < 0.001 else f"{number:.3f}",
}


@register.filter
def cell(found: Any, kind: str) -> str:
    """A cell of a stored table, as its column's kind is written; a dash where there is no number."""
    if kind == "text":
        return str(found or "")
    if kind == "interval":
        low, high = found or (None, None)
        if low is None and high is None:
            return MISSING
        return " to ".join(MISSING if end is None else _write_number(end) for end in (low, high))
    return MISSING if found is None else WRITERS[kind](found)


@register.filter
def as_table(table: dict[str, Any]) -> SafeString:
    """A stored table. Written in one go: there may be thousands of cells."""
    kinds = [column["kind"] for column in table["columns"]]
    marks = ["" if kind == "text" else ' class="number"' for kind in kinds]
    head = "".join(
        f'<th scope="col"{mark}>{escape(column["label"])}</th>'
        for column, mark in zip(table["columns"], marks, strict=True)
    )
    body = []
    for row in table["rows"]:
        first, *rest = (escape(cell(found, kind)) for found, kind in zip(row, kinds, strict=True))
        cells = "".join(f"<td{mark}>{text}</td>" for text, mark in zip(rest, marks[1:], strict=True))
        body.append(f'<tr><th scope="row"{marks[0]}>{first}</th>{cells}</tr>')
    return mark_safe(  # noqa: S308 - each text was escaped above
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )
