import math

import numpy as np
import pytest
from scipy.special import erf

from modeling.encoders.transformer import forward
from modeling.encoders.transformer.forward import Transformer
from modeling.encoders.transformer.kernels import add_and_normalize, add_and_rectify

from .tiny import ARCHITECTURE, make_weights


def draw_texts(n: int, longest: int = 40, seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, size=n)
    return [rng.integers(0, ARCHITECTURE.n_tokens, size=length).astype(np.int32) for length in lengths]


def embed_plainly(text: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """One text in double precision, head of attention by head of attention."""
    own = {name: array.astype(float) for name, array in weights.items()}

    def normalize(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + ARCHITECTURE.norm_floor)
        return centred / spread * own[f"{name}_scale"] + own[f"{name}_shift"]

    x = normalize(own["tokens"][text] + own["positions"][: len(text)], "norm")
    for layer in range(ARCHITECTURE.n_layers):
        joined = x @ own[f"{layer}.attend"] + own[f"{layer}.attend_bias"]
        queries, keys, values = np.split(joined, 3, axis=1)
        taken = []
        for head in np.split(np.arange(ARCHITECTURE.width), ARCHITECTURE.n_heads):
            scores = np.exp(queries[:, head] @ keys[:, head].T / math.sqrt(len(head)))
            taken.append(scores / scores.sum(axis=1, keepdims=True) @ values[:, head])
        mixed = np.concatenate(taken, axis=1) @ own[f"{layer}.mix"] + own[f"{layer}.mix_bias"]
        x = normalize(x + mixed, f"{layer}.mix_norm")
        inner = x @ own[f"{layer}.up"] + own[f"{layer}.up_bias"]
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        x = normalize(x + inner @ own[f"{layer}.down"] + own[f"{layer}.down_bias"], f"{layer}.down_norm")
    return x.mean(axis=0)


def test_texts_of_all_lengths_are_read_as_the_plain_formulas_say():
    texts, weights = draw_texts(50), make_weights()
    found = Transformer(ARCHITECTURE, weights).embed(texts)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([embed_plainly(text, weights) for text in texts]), abs=1e-5)


def test_a_text_is_read_alike_in_whatever_company_and_batch(monkeypatch):
    texts = draw_texts(30)
    transformer = Transformer(ARCHITECTURE, make_weights())
    together = transformer.embed(texts)
    alone = np.concatenate([transformer.embed([text]) for text in texts])
    monkeypatch.setattr(forward, "TOKENS_AT_ONCE", 45)
    assert together == pytest.approx(alone, abs=2e-6)
    assert transformer.embed(texts) == pytest.approx(alone, abs=2e-6)


def test_no_texts_give_no_rows():
    assert Transformer(ARCHITECTURE, make_weights()).embed([]).shape == (0, ARCHITECTURE.width)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [([], "from 1 to 40"), ([1] * 41, "from 1 to 40"), ([1, 148], "piece number 148"), ([-1], "tokenizer")],
    ids=["empty", "too_long", "unknown_piece", "negative"],
)
def test_texts_it_cannot_read_are_refused(text, complaint):
    transformer = Transformer(ARCHITECTURE, make_weights())
    with pytest.raises(ValueError, match=complaint):
        transformer.embed([np.array([1], dtype=np.int32), np.array(text, dtype=np.int32)])


def test_the_compiled_activation_is_exact_in_single_precision():
    x = np.linspace(-12, 12, 100_001, dtype=np.float32).reshape(1, -1)
    found = x.copy()
    add_and_rectify(found, np.zeros(x.shape[1], dtype=np.float32))
    wide = x.astype(float)
    assert np.abs(found - wide * (1 + erf(wide / math.sqrt(2))) / 2).max() < 2e-6


def test_the_compiled_norm_adds_first_and_then_brings_rows_to_mean_and_spread():
    rng = np.random.default_rng(5)
    states, change = (rng.normal(size=(7, 33)).astype(np.float32) for _ in range(2))
    bias, scale, shift = (rng.normal(size=33).astype(np.float32) for _ in range(3))
    total = (states + change + bias).astype(float)
    wanted = (total - total.mean(axis=1, keepdims=True)) / total.std(axis=1, keepdims=True) * scale + shift
    add_and_normalize(states, change, bias, scale, shift, np.float32(1e-12))
    assert states == pytest.approx(wanted, abs=1e-5)
