"""How the numbers of a running study are written; a dash where there is none."""

from django import template

from modeling.watching.times import Quartiles

from .figures import MISSING

register = template.Library()


@register.filter
def minutes(number: float | None) -> str:
    """Minutes with one decimal."""
    return MISSING if number is None or number == "" else f"{number:,.1f}"


@register.filter
def quartiles(found: Quartiles | None) -> str:
    """The first and the third quartile of minutes."""
    return MISSING if found is None else f"{found.low:,.1f} to {found.high:,.1f}"


@register.filter
def share(part: float | None) -> str:
    """A share as a whole percentage."""
    return MISSING if part is None else f"{part:.0%}".replace("%", "\u202f%")


@register.filter
def per_mille(part: int) -> str:
    """A number of thousandths as a percentage; what is there is never written as nothing."""
    return "< 1\u202f%" if 0 < part < 5 else f"{part / 10:.0f}\u202f%"


@register.filter
def mean(number: float | None) -> str:
    """A mean with two decimals."""
    return MISSING if number is None else f"{number:,.2f}"


@register.filter
def short(number: float) -> str:
    """A number with as many figures as it takes, four at most."""
    return f"{number:.4g}"


@register.filter
def plain(number: float) -> str:
    """A number without decimals where it has none, else with one."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"
