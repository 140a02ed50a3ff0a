"""How a report's numbers are written on the pages of results."""

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .figures import MISSING, fixed, interval
from .watching import share

register = template.Library()
register.filter(share)

COEFFICIENTS = ("percent_agreement", "fleiss_kappa", "gwet_ac2", "icc_1", "icc_k")


@register.filter
def two(number: float | None) -> str:
    """Two decimals; a dash where the number does not exist."""
    return MISSING if number is None or number == "" else _minus(f"{number:.2f}")


@register.filter
def p_value(number: float) -> str:
    """A p with its sign; what is too small for three decimals is not written as nothing."""
    return "< 0.001" if number < 0.001 else f"= {number:.3f}"


@register.filter
def coefficient_cells(row: dict[str, Any]) -> SafeString:
    """The cells of one value in the table of agreement: written in one go, since there are hundreds of them."""
    cells = [
        (fixed(row["ordinal"]["alpha"]), interval(row["ordinal"]["interval"])),
        (fixed(row["interval"]["alpha"]), interval(row["interval"]["interval"])),
        *((fixed(row[key]["estimate"]), interval(row[key]["interval"])) for key in COEFFICIENTS),
        (fixed(row["human_crowd"]), f"± {fixed(row['human_crowd_se'])}"),
        (two(row["mean"]), f"SD {two(row['sd'])}"),
        (share(row["share_zero"]), ""),
        (f"{row['n_ratings']:,}", _left_out(row["ordinal"]["left_out"])),
    ]
    return format_html_join(
        "",
        '<td class="number">{}{}</td>',
        (
            (_minus(number), format_html("<small>{}</small>", _minus(below)) if below else "")
            for number, below in cells
        ),
    )


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


def _left_out(n: int) -> str:
    return f"{n:,} left out" if n else ""
