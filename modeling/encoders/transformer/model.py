"""A transformer in torch, for training: the same arithmetic as `forward`, with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tokens import Ids
from .weights import Architecture, Weights

DROPPED = 0.1  # share of numbers left out while it learns
LAYER_SHARE = 0.9  # of a layer's learning rate, for the layer below


class TorchModel:
    """A transformer and its head, as torch's parameters.

    Parameters
    ----------
    torch : the package, which not every installation has
    architecture, weights : see `weights`, with "head" and "head_bias"
    met : the pieces that it will read, increasing. Only their numbers are parameters: others could not change, as
        embeddings are not drawn to zero, and are most of a small transformer
    device : "cpu" or "cuda"
    """

    def __init__(
        self, torch: Any, architecture: Architecture, weights: Weights, met: NDArray[np.int32], device: str
    ) -> None:
        self._torch, self._architecture, self.device = torch, architecture, device
        self._all_tokens, self._met = weights["tokens"], met
        self.parameters: Mapping[str, Any] = {
            name: torch.tensor(array, dtype=torch.float32, device=device).requires_grad_()
            for name, array in (weights | {"tokens": weights["tokens"][met]}).items()
        }

    def get_share(self, name: str) -> float:
        """Return the share of the uppermost layer's learning rate with which these weights learn."""
        place, dot, _ = name.partition(".")
        n_above = self._architecture.n_layers - (int(place) + 1 if dot else 0)
        return float(LAYER_SHARE**n_above)

    def to_arrays(self) -> Weights:
        """Return a copy of the weights as they are now."""
        arrays = {
            name: parameter.detach().cpu().numpy().copy() for name, parameter in self.parameters.items()
        }
        tokens = self._all_tokens.copy()
        tokens[self._met] = arrays["tokens"]
        return arrays | {"tokens": tokens}

    def is_product(self, name: str) -> bool:
        """Whether these weights are a matrix that states are multiplied by."""
        return self.parameters[name].ndim == 2 and name not in ("tokens", "positions")

    def read(self, ids: list[Ids], *, with_gradients: bool) -> Any:
        """Return the head's numbers for each text, shape (n_texts, n_values * n_points).

        Parameters
        ----------
        ids : of each text its pieces
        with_gradients : whether it learns from them, and so leaves some numbers out
        """
        with self._torch.set_grad_enabled(with_gradients):
            return self._read(ids, DROPPED if with_gradients else 0.0)

    def _read(self, ids: list[Ids], dropped: float) -> Any:
        torch, own = self._torch, self.parameters
        functions = torch.nn.functional
        lengths = np.array([len(text) for text in ids])
        padded = np.zeros((len(ids), lengths.max()), dtype=np.int64)
        is_text = np.arange(padded.shape[1]) < lengths[:, None]
        padded[is_text] = np.searchsorted(self._met, np.concatenate(ids))
        tokens = torch.from_numpy(padded).to(self.device)
        mask = torch.from_numpy(is_text).to(self.device)

        def drop(x: Any) -> Any:
            return functions.dropout(x, dropped) if dropped else x

        def normalize(x: Any, name: str) -> Any:
            scale, shift = own[f"{name}_scale"], own[f"{name}_shift"]
            return functions.layer_norm(x, scale.shape, scale, shift, self._architecture.norm_floor)

        states = functions.embedding(tokens, own["tokens"]) + own["positions"][: padded.shape[1]]
        states = drop(normalize(states, "norm"))
        for layer in range(self._architecture.n_layers):
            block = {name: own[f"{layer}.{name}"] for name in ("attend", "mix", "up", "down")}
            bias = {name: own[f"{layer}.{name}_bias"] for name in block}
            mixed = self._attend(states @ block["attend"] + bias["attend"], mask, drop)
            states = normalize(states + drop(mixed @ block["mix"] + bias["mix"]), f"{layer}.mix_norm")
            inner = functions.gelu(states @ block["up"] + bias["up"])
            states = normalize(states + drop(inner @ block["down"] + bias["down"]), f"{layer}.down_norm")
        weights = mask.to(states.dtype)
        means = (states * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
        return drop(means) @ own["head"] + own["head_bias"]

    def _attend(self, joined: Any, mask: Any, drop: Callable[[Any], Any]) -> Any:
        """Return what each token takes from its text; torch's ready-made attention is not repeatable everywhere."""
        n_texts, length, _ = joined.shape
        n_heads = self._architecture.n_heads
        parts = joined.reshape(n_texts, length, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts[0], parts[1], parts[2]
        scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])
        scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
        taken = drop(self._torch.softmax(scores, dim=3)) @ values
        return taken.transpose(1, 2).reshape(n_texts, length, -1)
