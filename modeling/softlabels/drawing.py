"""Distributions as small bars, in plain Python: the pages that show them load no arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STEP, HEIGHT, TOP = 12, 30, 2
FEWEST_SHOWN = 0.005  # a share below is not spoken of


@dataclass(frozen=True)
class Bars:
    """A distribution's bars as an SVG path, and the same in words."""

    width: int
    path: str
    text: str
    mean: float


def draw_shares(shares: Sequence[float] | None, lowest: int) -> Bars | None:
    """Draw how likely each rating is; a full bar is certain. None where there is nothing to draw.

    Parameters
    ----------
    shares : of the points of the scale, lowest first
    lowest : the rating of the lowest point

    Examples
    --------
    >>> draw_shares([0.25, 0.75], 0).text
    '0: 25%, 1: 75%'
    """
    if shares is None:
        return None
    bars = []
    for place, share in enumerate(shares):
        if share > 0:
            left, width, height = (place + 0.1) * STEP, 0.8 * STEP, HEIGHT * share
            bars.append(f"M{left:.4g} {TOP + HEIGHT - height:.4g}h{width:.4g}v{height:.4g}h-{width:.4g}z")
    numbered = list(enumerate(shares, lowest))
    words = [f"{rating}: {share:.0%}" for rating, share in numbered if share >= FEWEST_SHOWN]
    mean = sum(rating * share for rating, share in numbered)
    return Bars(STEP * len(shares), " ".join(bars), ", ".join(words), mean)
