"""Small drawings of how the ratings of one value lie on the scale, for pages."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe

LEVEL_WIDTH = 16
MOST_NUMBERED = 12  # levels that have room for their numbers
BARS_FROM, GROUND = 13, 37
LEVELS_AT = 48


@dataclass(frozen=True)
class Strip:
    """The bars of ratings over the levels of a scale as SVG paths, their numbers, and the same in words.

    The numbers are whole `<text>` elements: a page has hundreds of them, and nothing but numbers is in them.
    """

    width: int
    bars: str
    implied: str  # the part of the lowest level's bar that was implied
    numbers: SafeString
    text: str


def draw_strip(ratings: Iterable[float | None], scale: tuple[int, int], n_implied: int = 0) -> Strip:
    """Draw ratings, of which `n_implied` were implied, over the levels of a scale.

    Implied ratings are the lowest. Where the scale has more levels than there is room for, only its ends are named.
    """
    found = Counter(int(rating) for rating in ratings if rating is not None)
    levels = range(scale[0], scale[1] + 1)
    width = LEVEL_WIDTH * min(len(levels), MOST_NUMBERED)
    step, unit = width / len(levels), (GROUND - BARS_FROM) / max(found.values(), default=1)
    has_room = len(levels) <= MOST_NUMBERED
    bars, implied, numbers = [], "", []
    for place, level in enumerate(levels):
        n, left, middle = found[level], (place + 0.1) * step, f"{(place + 0.5) * step:.5g}"
        if n:
            top = GROUND - n * unit
            bars.append(_draw_bar(left, top, 0.8 * step, GROUND - top))
            if has_room:
                numbers.append(f'<text class="strip-count" x="{middle}" y="{top - 3:.4g}">{n:d}</text>')
            if n_implied and level == levels[0]:
                implied = _draw_bar(left, top, 0.8 * step, min(n_implied, n) * unit)
        if has_room or place in (0, len(levels) - 1):
            numbers.append(f'<text x="{middle}" y="{LEVELS_AT}">{level:d}</text>')
    shown = mark_safe("".join(numbers))  # noqa: S308 - nothing but numbers is in it
    return Strip(width, " ".join(bars), implied, shown, _speak(found, levels, n_implied))


def _draw_bar(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:.5g} {y:.4g}h{width:.4g}v{height:.4g}h-{width:.4g}z"


def _speak(found: Counter[int], levels: range, n_implied: int) -> str:
    words = [
        f"{level}: {found[level]}" + (f" ({n_implied} implied)" if n_implied and level == levels[0] else "")
        for level in levels
        if found[level]
    ]
    return f"Raters by rating: {', '.join(words)}" if words else "No ratings"
