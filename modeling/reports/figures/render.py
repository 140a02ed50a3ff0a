"""PURE. A specification as the drawings that people take away: SVG, PDF and PNG. Nothing is fetched from anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

import vl_convert

from .figure import Spec
from .theme import WIDTH

PNG_SCALE = 2
_INVISIBLE = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')


@dataclass(frozen=True)
class Drawn:
    """One figure, drawn."""

    svg: str
    pdf: bytes
    png: bytes


def render(spec: Spec) -> Drawn:
    """Return the drawings of a figure's specification, `WIDTH` pixels wide.

    The PDF holds the fonts it needs; the PNG has two pixels for each. Raises ValueError for a specification that
    cannot be drawn or that asks for data from elsewhere.
    """
    fixed = spec | {
        "width": WIDTH,
        "autosize": {"type": "pad" if "usermeta" in spec else "fit-x", "contains": "padding"},
    }
    if "usermeta" in spec:
        fixed["height"] = WIDTH * spec["usermeta"]["aspect"]
    svg = vl_convert.vegalite_to_svg(fixed, allowed_base_urls=[])
    return Drawn(
        svg=_INVISIBLE.sub("", svg),
        pdf=vl_convert.svg_to_pdf(svg),
        png=vl_convert.svg_to_png(svg, scale=PNG_SCALE),
    )
