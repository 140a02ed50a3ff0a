"""What a taught transformer is once it has been taught: it reads posts without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base import Arrays, Distributions, read_scale
from .forward import Transformer
from .tokens import Tokenizer
from .weights import Architecture, Weights, check_weights

FORMAT = "transformer"
WEIGHT = "weight_"  # before the names of the weights among packed arrays
TEXTS_AT_ONCE = 2048


class TransformerEncoder:
    """Reads posts with a transformer that was taught distributions over a scale.

    Parameters
    ----------
    architecture, weights : see `weights`; "head" of shape (width, n_values * n_points) and "head_bias" among them
    tokenizer : what cuts texts into pieces; its `max_tokens` is the most of a text that is read
    points : array-like of shape (n_points,), the scale, increasing
    facts : how it was taught, plain data: see `training.fit_transformer`

    Raises
    ------
    ValueError
        If weights are missing or of other shapes, or texts may be longer than the transformer takes.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: Weights,
        tokenizer: Tokenizer,
        points: ArrayLike,
        facts: Mapping[str, Any],
    ) -> None:
        check_weights(weights, architecture)
        self._points = np.asarray(points, dtype=np.float64)
        head, bias = weights.get("head"), weights.get("head_bias")
        if head is None or bias is None or head.ndim != 2 or bias.shape != head.shape[1:]:
            raise ValueError("the weights of the head are missing, or not of one shape")
        if head.shape[0] != architecture.width or head.shape[1] % len(self._points):
            raise ValueError(f"a head of shape {head.shape} does not fit {len(self._points)} points")
        if tokenizer.max_tokens > architecture.n_positions or tokenizer.n_tokens > architecture.n_tokens:
            raise ValueError(
                f"a tokenizer of {tokenizer.n_tokens} pieces and texts of {tokenizer.max_tokens} do not fit a "
                f"transformer of {architecture.n_tokens} and {architecture.n_positions}"
            )
        self.facts = dict(facts)
        self._architecture, self._weights, self._tokenizer = architecture, weights, tokenizer
        self._transformer = Transformer(architecture, weights)

    @property
    def points(self) -> NDArray[np.float64]:
        """The points of the scale, lowest first."""
        return self._points

    @property
    def n_values(self) -> int:
        """How many values it was taught."""
        return int(self._weights["head"].shape[1]) // len(self._points)

    def predict(self, texts: Sequence[str]) -> Distributions:
        """Return distributions of shape (n_texts, n_values, n_points); each sums to 1."""
        found = np.empty((len(texts), self.n_values, len(self._points)), dtype=np.float32)
        head, bias = self._weights["head"], self._weights["head_bias"]
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            ids, _ = self._tokenizer.encode(texts[first : first + TEXTS_AT_ONCE])
            logits = self._transformer.embed(ids) @ head + bias
            found[first : first + len(ids)] = soften(logits.reshape(len(ids), self.n_values, -1))
        return found

    def pack(self) -> Arrays:
        """Return plain arrays from which `unpack` makes the same encoder again."""
        return {
            "format": np.array(FORMAT),
            "points": self._points,
            "architecture": np.array(self._architecture.to_json()),
            "tokenizer": np.frombuffer(self._tokenizer.definition, dtype=np.uint8),
            "max_tokens": np.array(self._tokenizer.max_tokens),
            "facts": np.array(json.dumps(self.facts)),
        } | {
            f"{WEIGHT}{name}": array.astype(np.float16) if is_halved(name, array) else array
            for name, array in self._weights.items()
        }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> TransformerEncoder:
    """Return the encoder that `TransformerEncoder.pack` made these arrays of.

    Raises ValueError or KeyError when they are not such arrays, PackageMissing without the package tokenizers.
    """
    tokenizer = Tokenizer(np.asarray(arrays["tokenizer"], np.uint8).tobytes(), int(arrays["max_tokens"]))
    weights = {
        name.removeprefix(WEIGHT): np.asarray(array, dtype=np.float32)
        for name, array in arrays.items()
        if name.startswith(WEIGHT)
    }
    architecture = Architecture.from_json(str(arrays["architecture"]))
    return TransformerEncoder(
        architecture, weights, tokenizer, read_scale(arrays), json.loads(str(arrays["facts"]))
    )


def halve(weights: Weights) -> Weights:
    """Round the large matrices to half precision, so that what is packed predicts as what was taught."""
    return {
        name: array.astype(np.float16).astype(np.float32) if is_halved(name, array) else array
        for name, array in weights.items()
    }


def is_halved(name: str, array: NDArray[Any]) -> bool:
    """Whether these weights are packed in half precision: all matrices but the head."""
    return array.ndim == 2 and name != "head"


def soften(logits: NDArray[np.float32]) -> Distributions:
    """Return the distributions that logits stand for, along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float32)
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float32)
