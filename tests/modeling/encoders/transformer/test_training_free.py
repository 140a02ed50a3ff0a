import sys

import numpy as np
import pytest

from modeling.encoders.files import unpack
from modeling.encoders.transformer.tokens import Tokenizer, define_by_vocabulary
from modeling.encoders.transformer.training_free import TransformerEncoder, halve

from .tiny import ARCHITECTURE, PIECES, WORDS, make_weights

POINTS = np.arange(7.0)
TEXTS = ["baba bade", "", "lulu metavovo fi", "baba " * 60]


def make_encoder(max_tokens: int = 20, **changes) -> TransformerEncoder:
    rng = np.random.default_rng(2)
    head = {
        "head": rng.normal(size=(32, 3 * 7)).astype(np.float32),
        "head_bias": rng.normal(size=21).astype(np.float32),
    }
    tokenizer = Tokenizer(define_by_vocabulary(PIECES + WORDS, lowercase=True), max_tokens)
    weights = halve(make_weights() | head | changes)
    return TransformerEncoder(ARCHITECTURE, weights, tokenizer, POINTS, {"encoder": "tiny"})


def test_it_gives_each_value_a_distribution():
    found = make_encoder().predict(TEXTS)
    assert found.shape == (4, 3, 7)
    assert found.dtype == np.float32
    assert found.min() > 0
    assert found.sum(axis=2) == pytest.approx(np.ones((4, 3)), abs=1e-6)
    assert np.abs(found[0] - found[2]).max() > 0.01


def test_it_is_the_same_after_packing_and_its_large_matrices_take_half_the_room():
    encoder = make_encoder()
    arrays = encoder.pack()
    again = unpack(arrays)
    assert arrays["weight_tokens"].dtype == arrays["weight_0.up"].dtype == np.float16
    assert not any(array.dtype.hasobject for array in arrays.values())
    assert again.predict(TEXTS).tolist() == encoder.predict(TEXTS).tolist()
    assert again.points.tolist() == POINTS.tolist()
    assert again.facts == {"encoder": "tiny"}


def test_it_reads_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert unpack(make_encoder().pack()).predict(["baba"]).shape == (1, 3, 7)


def test_no_texts_give_no_rows():
    assert make_encoder().predict([]).shape == (0, 3, 7)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("weight_1.down", None),
        ("weight_1.down", np.zeros((3, 3))),
        ("weight_head", None),
        ("weight_head", np.zeros((32, 20))),
        ("tokenizer", np.zeros(4, dtype=np.uint8)),
        ("architecture", np.array("{}")),
        ("points", np.array([1.0, 0.0])),
        ("max_tokens", np.array(41)),
    ],
    ids=["gone", "misshapen", "headless", "wrong_head", "tokenizer", "sizes", "points", "too_long"],
)
def test_arrays_that_are_not_an_encoders_are_refused(name, array):
    arrays = make_encoder().pack()
    del arrays[name]
    if array is not None:
        arrays[name] = array
    with pytest.raises(ValueError):
        unpack(arrays)
