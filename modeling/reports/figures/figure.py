"""PURE. One figure of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure's words, its Vega-Lite specification, and its numbers as they are stored."""

    key: str
    title: str
    caption: str
    spec: Spec
    table: dict[str, Any]
