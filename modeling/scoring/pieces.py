"""One value's predictions for all raters (rows) and some posts (columns), as a file that is never whole in memory.

A number is a byte where memory counts, the prediction times a factor, rounded; else a float32.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

BYTE, FLOAT = "uint8", "float32"
DTYPES = (BYTE, FLOAT)
HIGHEST_BYTE = 255
CELLS_AT_ONCE = 1 << 20


def choose_factor(scale: tuple[int, int], dtype: str) -> float:
    """Return what a prediction is multiplied with when it is stored: 1 for floats.

    Raises ValueError for bytes on a scale that goes below zero or has no level above it.
    """
    if dtype not in DTYPES:
        raise ValueError(f"predictions are stored as {' or '.join(DTYPES)}, not as {dtype!r}")
    if dtype == FLOAT:
        return 1.0
    lowest, highest = scale
    if lowest < 0 or highest <= 0:
        raise ValueError(f"a scale from {lowest} to {highest} does not fit into bytes; store {FLOAT}")
    return HIGHEST_BYTE / highest


def restore(stored: NDArray[Any], factor: float) -> Singles:
    """Return predictions from what was stored; bytes are off by at most half a step, 0.5 / factor."""
    if stored.dtype == np.float32:
        return np.array(stored)  # not the file's own memory
    predictions: Singles = np.divide(stored, factor, dtype=np.float32)
    return predictions


class PieceWriter:
    """Writes a piece into a new .npy file, block by block in any order, and refuses to end with a hole.

    Parameters
    ----------
    path : Path
        File to make; removed again when the block of `with` is left by an error.
    shape : (n_raters, n_posts)
    dtype : "uint8" or "float32"
    factor : float
        As from `choose_factor`.

    Raises
    ------
    ValueError
        On leaving, if not every rater and post was written.
    """

    def __init__(self, path: Path, shape: tuple[int, int], *, dtype: str, factor: float) -> None:
        if dtype not in DTYPES or len(shape) != 2 or min(shape) < 1 or not factor > 0:
            raise ValueError(
                f"a piece of shape {shape}, type {dtype!r} and factor {factor} cannot be: it takes at least one rater "
                f"and one post, {' or '.join(DTYPES)}, and a factor above zero"
            )
        self.path, self.shape, self.dtype, self.factor = path, shape, dtype, factor
        self._blocks: list[tuple[int, int, int, int]] = []
        self._map: NDArray[Any] = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.dtype(dtype), shape=shape
        )

    def write(self, predictions: NDArray[Any], *, first_rater: int = 0, first_post: int = 0) -> None:
        """Write predictions of shape (n, m) for raters from `first_rater` and posts from `first_post` on.

        Raises ValueError when they do not lie within the piece, were written before, or do not fit the type: for
        bytes they must be numbers from 0 to 255 / factor, for floats not infinite.
        """
        block = np.asarray(predictions)
        if block.ndim != 2:
            raise ValueError(
                f"predictions must have raters as rows and posts as columns, not shape {block.shape}"
            )
        top, left = first_rater, first_post
        bottom, right = top + block.shape[0], left + block.shape[1]
        if top < 0 or left < 0 or bottom > self.shape[0] or right > self.shape[1]:
            raise ValueError(
                f"raters {top} to {bottom - 1} and posts {left} to {right - 1} do not lie within a piece of "
                f"{self.shape[0]} raters and {self.shape[1]} posts"
            )
        for t, b, l, r in self._blocks:  # noqa: E741 - left
            if top < b and t < bottom and left < r and l < right:
                raise ValueError(
                    f"raters from {max(top, t)} and posts from {max(left, l)} on are written twice"
                )
        self._map[top:bottom, left:right] = self._encode(block)
        self._blocks.append((top, bottom, left, right))

    def _encode(self, block: NDArray[Any]) -> NDArray[Any]:
        if self.dtype == FLOAT:
            if np.isinf(block).any():
                raise ValueError("a prediction is infinite; give NaN where there is none")
            return block.astype(np.float32, copy=False)
        steps: Singles = np.multiply(block, self.factor, dtype=np.float32)
        np.rint(steps, out=steps)
        # NaN compares as false, so it is refused here too.
        if not ((steps >= 0) & (steps <= HIGHEST_BYTE)).all():
            raise ValueError(
                f"a prediction is not a number from 0 to {HIGHEST_BYTE / self.factor:g}, which is what fits into "
                f"bytes; keep it on the scale, or store {FLOAT}"
            )
        stored: NDArray[np.uint8] = steps.astype(np.uint8)
        return stored

    def __enter__(self) -> PieceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written = sum((bottom - top) * (right - left) for top, bottom, left, right in self._blocks)
        missing = self.shape[0] * self.shape[1] - written
        if isinstance(self._map, np.memmap):
            self._map.flush()
        self._map = np.empty(0)
        if kind is not None or missing:
            self.path.unlink(missing_ok=True)
        if kind is None and missing:
            raise ValueError(
                f"{missing} of {self.shape[0] * self.shape[1]} predictions of this piece were not written"
            )


def open_piece(path: Path, shape: tuple[int, int], dtype: str) -> NDArray[Any]:
    """Return a piece mapped into memory, to be read only. Raises ValueError when the file is another one."""
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if mapped.shape != shape or mapped.dtype != np.dtype(dtype):
        raise ValueError(
            f"{path.name} holds {mapped.dtype} of shape {mapped.shape}; {dtype} of {shape} was expected"
        )
    return mapped
