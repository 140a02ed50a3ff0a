"""Reading posts that an encoder was taught, as one says of them that was not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, Distributions, Encoder

FORMAT = "out_of_fold"
WITHIN = "full_"  # before the names of the arrays of the encoder inside


def digest_texts(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return the SHA-256 of each text, shape (n_texts, 32)."""
    joined = b"".join(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32).copy()


def assign_folds(texts: Sequence[str], n_folds: int, seed: int) -> NDArray[np.intp]:
    """Deal texts into folds at random, the same texts into the same one; return the fold of each, from 0.

    Raises ValueError when there are fewer different texts than folds, or fewer than two folds.
    """
    _, first, place = np.unique(digest_texts(texts), axis=0, return_index=True, return_inverse=True)
    if not 2 <= n_folds <= len(first):
        raise ValueError(
            f"{len(first)} different texts cannot be dealt into {n_folds} folds; give from 2 to {len(first)} folds"
        )
    dealt = np.random.default_rng(seed).permutation(len(first)) % n_folds
    return np.asarray(dealt[place.reshape(-1)], dtype=np.intp)


class OutOfFold:
    """An encoder that says of a text it was taught what one says that was not taught it.

    Parameters
    ----------
    encoder : taught all texts
    digests : ndarray of uint8, shape (n, 32): SHA-256 of each text taught
    predictions : array of shape (n, n_values, n_points): of each text taught, by an encoder that was not taught it

    Raises
    ------
    ValueError
        If digests and predictions are not of the same texts.
    """

    def __init__(self, encoder: Encoder, digests: NDArray[np.uint8], predictions: Distributions) -> None:
        digests = np.ascontiguousarray(digests, dtype=np.uint8)
        if digests.shape != (len(predictions), 32) or predictions.ndim != 3:
            raise ValueError(
                f"digests of shape {digests.shape} do not fit predictions of shape {predictions.shape}"
            )
        self.encoder = encoder
        self.digests = digests
        self.predictions = np.asarray(predictions, dtype=np.float32)
        self._place = {digest.tobytes(): place for place, digest in enumerate(digests)}

    @property
    def points(self) -> NDArray[np.float64]:
        """The points of the scale, lowest first."""
        return self.encoder.points

    def predict(self, texts: Sequence[str]) -> Distributions:
        """Return distributions of shape (n_texts, n_values, n_points); each sums to 1."""
        found = np.empty((len(texts), *self.predictions.shape[1:]), dtype=np.float32)
        places = [self._place.get(digest.tobytes(), -1) for digest in digest_texts(texts)]
        is_taught = np.array(places, dtype=np.intp) >= 0
        found[is_taught] = self.predictions[[place for place in places if place >= 0]]
        if not is_taught.all():
            found[~is_taught] = self.encoder.predict(_pick(texts, ~is_taught))
        return found

    def pack(self) -> Arrays:
        """Return plain arrays from which `files.unpack` makes the same again."""
        inside = {f"{WITHIN}{name}": array for name, array in self.encoder.pack().items()}
        return {
            "format": np.array(FORMAT),
            "digests": self.digests,
            "predictions": self.predictions,
        } | inside


def unpack(
    arrays: Mapping[str, NDArray[Any]], unpack_inside: Callable[[Mapping[str, NDArray[Any]]], Encoder]
) -> OutOfFold:
    """Return the encoder that `OutOfFold.pack` made these arrays of. Raises KeyError or ValueError."""
    inside = {name[len(WITHIN) :]: array for name, array in arrays.items() if name.startswith(WITHIN)}
    return OutOfFold(unpack_inside(inside), arrays["digests"], arrays["predictions"])


def _pick(texts: Sequence[str], is_picked: NDArray[np.bool_]) -> list[str]:
    return [text for text, is_in in zip(texts, is_picked.tolist(), strict=True) if is_in]
