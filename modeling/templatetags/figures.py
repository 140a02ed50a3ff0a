"""How numbers are written on a page; nothing is rounded before it gets here."""

from django import template

register = template.Library()

MISSING = "–"


@register.filter
def fixed(number: float | None) -> str:
    """Three decimals; a dash where the number does not exist."""
    return MISSING if number is None or number == "" else f"{number:.3f}"


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
