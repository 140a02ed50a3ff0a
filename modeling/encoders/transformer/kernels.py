"""The loops between the products of matrices, compiled by Numba: each goes over its numbers once, in place."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.special import erf

Floats = NDArray[np.float32]

# erf(x) / x as a polynomial of x * x, for |x| up to FAR, beyond which erf is 1 in single precision. Chebyshev's form
# keeps its accuracy in single precision, where powers of x would not; vector instructions know no other erf.
FAR = 4.0
N_TERMS = 16


def _approximate() -> NDArray[np.float32]:
    def divided(place: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.sqrt(np.maximum((place + 1) * (FAR * FAR / 2), 1e-30))
        return np.asarray(erf(x) / x)

    return np.asarray(chebyshev.chebinterpolate(divided, N_TERMS - 1), dtype=np.float32)  # type: ignore[type-var]


TERMS = _approximate()
ONE, TWO, HALF = np.float32(1), np.float32(2), np.float32(0.5)
ROOT_HALF = np.float32(math.sqrt(0.5))
TO_PLACE = np.float32(2 / (FAR * FAR))
LIMIT = np.float32(FAR)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def add_and_rectify(states: Floats, bias: Floats) -> None:
    """Replace each number x of `states`, with the bias of its column, by x times the normal distribution at x."""
    n_rows, width = states.shape
    for i in range(n_rows):
        for j in range(width):
            x = states[i, j] + bias[j]
            y = min(max(x * ROOT_HALF, -LIMIT), LIMIT)
            place = y * y * TO_PLACE - ONE
            twice = place + place
            older = np.float32(0)
            newer = TERMS[N_TERMS - 1]
            for k in range(N_TERMS - 2, 0, -1):
                older, newer = newer, twice * newer - older + TERMS[k]
            states[i, j] = HALF * x * (ONE + y * (place * newer - older + TERMS[0]))


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def add_and_normalize(
    states: Floats, change: Floats, bias: Floats, scale: Floats, shift: Floats, floor: np.float32
) -> None:
    """Add a change and its bias to `states` and bring each row to mean 0 and variance 1, scaled and shifted."""
    n_rows, width = states.shape
    for i in range(n_rows):
        for j in range(width):
            states[i, j] += change[i, j] + bias[j]
        _normalize_row(states[i], scale, shift, floor)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def normalize(states: Floats, scale: Floats, shift: Floats, floor: np.float32) -> None:
    """Bring each row of `states` to mean 0 and variance 1, scaled and shifted."""
    for i in range(len(states)):
        _normalize_row(states[i], scale, shift, floor)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"}, inline="always")
def _normalize_row(row: Floats, scale: Floats, shift: Floats, floor: np.float32) -> None:
    width = len(row)
    total = np.float32(0)
    for j in range(width):
        total += row[j]
    mean = total / np.float32(width)
    squares = np.float32(0)
    for j in range(width):
        away = row[j] - mean
        squares += away * away
    factor = ONE / np.sqrt(squares / np.float32(width) + floor)
    for j in range(width):
        row[j] = (row[j] - mean) * factor * scale[j] + shift[j]
