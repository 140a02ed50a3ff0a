"""How dollars are written on a page."""

from decimal import Decimal
from typing import Any

from django import template

register = template.Library()

CENT = Decimal("0.01")


@register.filter
def dollars(amount: Any) -> str:
    """Cents from one cent on; below, two digits that are not 0; a dash for none."""
    if amount is None or amount == "":
        return "–"
    amount = Decimal(str(amount))
    if amount >= CENT or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if amount >= Decimal("0.0001") else "under $0.0001"
