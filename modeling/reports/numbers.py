"""From NumPy to what JSON can hold: a number that does not exist becomes None."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np


class HasEnds(Protocol):
    """Whatever runs from `low` to `high`, NaN where it does not exist."""

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


def number(value: float | np.floating[Any] | np.integer[Any] | None) -> float | None:
    """Return a plain float; None for None, NaN and the infinities."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def numbers(values: Iterable[float]) -> list[float | None]:
    """Return plain floats, None where one does not exist."""
    return [number(value) for value in values]


def ends(interval: HasEnds | None) -> list[float | None]:
    """Return [low, high]; [None, None] where there is no interval."""
    return [None, None] if interval is None else [number(interval.low), number(interval.high)]


def plain(value: float) -> int | float | None:
    """Return a whole number as an int, another one as a float: a rating as it was given."""
    found = number(value)
    return int(found) if found is not None and found.is_integer() else found


def median(values: Iterable[float]) -> float | None:
    """Return the median of the numbers that exist; None if there is none."""
    present = [value for value in values if math.isfinite(value)]
    return float(np.median(present)) if present else None
