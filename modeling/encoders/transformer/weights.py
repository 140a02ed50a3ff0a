"""A transformer's numbers, in the one form in which they are taught, kept and used.

What differs between BERT and RoBERTa (names, an offset of the positions, kinds of tokens) is gone here: positions
start at 0 and hold the embedding of the only kind of token. Matrices stand as `x @ matrix` needs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]

LAYER = (
    "attend",  # queries, keys and values in one matrix
    "attend_bias",
    "mix",
    "mix_bias",
    "mix_norm_scale",
    "mix_norm_shift",
    "up",
    "up_bias",
    "down",
    "down_bias",
    "down_norm_scale",
    "down_norm_shift",
)


@dataclass(frozen=True)
class Architecture:
    """The sizes of a transformer.

    Attributes
    ----------
    n_layers, n_heads : blocks, and heads of attention in each
    width, inner_width : numbers of a token between blocks, and inside their second half
    n_tokens, n_positions : pieces of text it knows, and how many of them one text may have
    norm_floor : added to variances
    """

    n_layers: int
    n_heads: int
    width: int
    inner_width: int
    n_tokens: int
    n_positions: int
    norm_floor: float = 1e-12

    def __post_init__(self) -> None:
        sizes = asdict(self)
        if any(not isinstance(size, int) or size < 1 for name, size in sizes.items() if name != "norm_floor"):
            raise ValueError(f"the sizes of a transformer are whole numbers from 1 on: {sizes}")
        if self.width % self.n_heads:
            raise ValueError(f"a width of {self.width} cannot be shared by {self.n_heads} heads")

    def to_json(self) -> str:
        """Return plain text of which `from_json` makes the same again."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read what `to_json` wrote. Raises ValueError when it is something else."""
        try:
            return cls(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"these are not the sizes of a transformer: {text:.100}") from error

    def list_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array but the head's, by name; those of a block are 'block.name'."""
        width, inner = self.width, self.inner_width
        shapes: dict[str, tuple[int, ...]] = {
            "tokens": (self.n_tokens, width),
            "positions": (self.n_positions, width),
            "norm_scale": (width,),
            "norm_shift": (width,),
        }
        sizes = {
            "attend": (width, 3 * width),
            "mix": (width, width),
            "up": (width, inner),
            "down": (inner, width),
        }
        for layer in range(self.n_layers):
            for name in LAYER:
                wide = sizes.get(name.removesuffix("_bias"), (width, width))
                shapes[f"{layer}.{name}"] = sizes.get(name, wide[1:])
        return shapes


def check_weights(weights: Mapping[str, NDArray[Any]], architecture: Architecture) -> None:
    """Raise ValueError, naming the first misfit, unless all weights of this architecture are there and finite."""
    for name, shape in architecture.list_shapes().items():
        if name not in weights:
            raise ValueError(f"the weights '{name}' are missing")
        if weights[name].shape != shape:
            raise ValueError(f"the weights '{name}' are of shape {weights[name].shape}, not {shape}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"the weights '{name}' hold what is not a number")
