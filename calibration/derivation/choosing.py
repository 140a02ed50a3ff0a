"""The ways of choosing questions, under the names by which commands and pages ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .coverage import NO_CONSTRAINT, Coverage, Picker
from .eigenraters import select_by_eigenraters
from .gaussian import select_by_expected_gain
from .pivoting import select_by_pivoting
from .selection import Selection, check_responses


class Method(Protocol):
    """A way of choosing `n_cells` cells from responses of shape (n_raters, n_posts, n_values)."""

    def __call__(self, responses: ArrayLike, n_cells: int, coverage: Coverage = ...) -> Selection: ...


METHODS: Mapping[str, Method] = MappingProxyType(
    {"eigenrater": select_by_eigenraters, "greedy": select_by_expected_gain, "qr": select_by_pivoting}
)


def derive(responses: ArrayLike, n_cells: int, method: str, coverage: Coverage = NO_CONSTRAINT) -> Selection:
    """Choose `n_cells` cells by one of `METHODS`.

    Raises ValueError for a method that does not exist, and as the method does.
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; there are {', '.join(METHODS)}")
    return METHODS[method](responses, n_cells, coverage)


def draw_cells(
    responses: ArrayLike, n_cells: int, coverage: Coverage = NO_CONSTRAINT, *, rng: np.random.Generator
) -> list[int]:
    """Draw cells on which raters differ at random, within the same constraints: what a method must do better than."""
    cube = check_responses(responses)
    varies: NDArray[np.bool_] = cube.max(axis=0) > cube.min(axis=0)
    picker = Picker(varies, n_cells, coverage)
    return [picker.take(rng.random(varies.size)) for _ in range(n_cells)]
