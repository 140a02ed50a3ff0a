"""Reading with a transformer by NumPy alone: no torch, the same numbers.

The tokens of a batch stand one after another without padding, shortest texts first. What concerns a token alone is
one product of matrices for the whole batch; attention goes by groups of texts of one length, which need no mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .kernels import add_and_normalize, add_and_rectify, normalize
from .tokens import Ids
from .weights import Architecture, Weights

Floats = NDArray[np.float32]
TOKENS_AT_ONCE = 2048  # of a batch: what is between the matrices stays in the processor's caches


class Transformer:
    """A transformer that turns a text into the mean of its tokens.

    Parameters
    ----------
    architecture, weights : see `weights`; the head's may be among them and are not used
    """

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self.architecture = architecture
        self._weights = {
            name: np.ascontiguousarray(array, dtype=np.float32) for name, array in weights.items()
        }

    def embed(self, ids: Sequence[Ids]) -> Floats:
        """Return the mean of the last block's tokens of each text, shape (n_texts, width).

        Parameters
        ----------
        ids : of each text its pieces, as `Tokenizer.encode` returns them: at least one

        Raises
        ------
        ValueError
            If a text has no pieces, more than the transformer takes, or one it does not know.
        """
        lengths = np.array([len(text) for text in ids], dtype=np.int64)
        if len(ids):
            self._check(ids, lengths)
        found = np.empty((len(ids), self.architecture.width), dtype=np.float32)
        order = np.argsort(lengths, kind="stable")
        for first, last in _cut(lengths[order]):
            batch = order[first:last]
            found[batch] = self._embed_batch(np.concatenate([ids[place] for place in batch]), lengths[batch])
        return found

    def _check(self, ids: Sequence[Ids], lengths: NDArray[np.int64]) -> None:
        most = self.architecture.n_positions
        if lengths.min() < 1 or lengths.max() > most:
            raise ValueError(
                f"a text has {lengths.min()} to {lengths.max()} pieces; it takes from 1 to {most}"
            )
        highest = max(int(text.max()) for text in ids)
        if highest >= self.architecture.n_tokens or min(int(text.min()) for text in ids) < 0:
            raise ValueError(
                f"a text holds piece number {highest}; the transformer knows {self.architecture.n_tokens}. Its "
                "tokenizer is another one's."
            )

    def _embed_batch(self, tokens: Ids, lengths: NDArray[np.int64]) -> Floats:
        """Return the means of texts whose tokens stand one after another, shorter texts first."""
        weights, floor = self._weights, np.float32(self.architecture.norm_floor)
        starts = np.cumsum(lengths) - lengths
        places = np.arange(len(tokens)) - np.repeat(starts, lengths)
        states: Floats = weights["tokens"][tokens] + weights["positions"][places]
        normalize(states, weights["norm_scale"], weights["norm_shift"], floor)
        groups = _group(lengths)
        for layer in range(self.architecture.n_layers):
            block = {name: weights[f"{layer}.{name}"] for name in _PRODUCTS}
            joined: Floats = states @ block["attend"]
            joined += weights[f"{layer}.attend_bias"]
            mixed = self._attend(joined, groups) @ block["mix"]
            self._end_half(states, mixed, f"{layer}.mix", floor)
            inner: Floats = states @ block["up"]
            add_and_rectify(inner, weights[f"{layer}.up_bias"])
            self._end_half(states, inner @ block["down"], f"{layer}.down", floor)
        means: Floats = np.add.reduceat(states, starts, axis=0)
        means /= lengths[:, None].astype(np.float32)
        return means

    def _end_half(self, states: Floats, change: Floats, name: str, floor: np.float32) -> None:
        weights = self._weights
        scale, shift = weights[f"{name}_norm_scale"], weights[f"{name}_norm_shift"]
        add_and_normalize(states, change, weights[f"{name}_bias"], scale, shift, floor)

    def _attend(self, joined: Floats, groups: list[tuple[int, int, int]]) -> Floats:
        """Return what each token takes from the tokens of its text; `joined` holds queries, keys and values."""
        n_heads, width = self.architecture.n_heads, self.architecture.width
        depth = width // n_heads
        taken = np.empty((len(joined), width), dtype=np.float32)
        scale = np.float32(1 / math.sqrt(depth))
        for first, n_texts, length in groups:
            last = first + n_texts * length
            # (3, n_texts, n_heads, length, depth)
            parts = joined[first:last].reshape(n_texts, length, 3, n_heads, depth).transpose(2, 0, 3, 1, 4)
            shares = (parts[0] * scale) @ parts[1].swapaxes(2, 3)
            shares -= shares.max(axis=3, keepdims=True)
            np.exp(shares, out=shares)
            shares /= shares.sum(axis=3, keepdims=True)
            target = taken[first:last].reshape(n_texts, length, n_heads, depth)
            target[:] = (shares @ parts[2]).transpose(0, 2, 1, 3)
        return taken


_PRODUCTS = ("attend", "mix", "up", "down")


def _cut(lengths: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut texts, shortest first, into batches of at most TOKENS_AT_ONCE tokens, or one text."""
    first, n_tokens = 0, 0
    for place, length in enumerate(lengths):
        if n_tokens and n_tokens + length > TOKENS_AT_ONCE:
            yield first, place
            first, n_tokens = place, 0
        n_tokens += int(length)
    if n_tokens:
        yield first, len(lengths)


def _group(lengths: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return of each length in a batch: its first token, how many texts have it, and the length."""
    found, counts = np.unique(lengths, return_counts=True)
    starts = np.cumsum(found * counts) - found * counts
    return [(int(first), int(n), int(length)) for first, n, length in zip(starts, counts, found, strict=True)]
