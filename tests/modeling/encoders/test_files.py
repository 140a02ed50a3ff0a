import io

import numpy as np
import pytest

from modeling.encoders.files import fit_encoder, unpack
from modeling.encoders.folds import OutOfFold, digest_texts
from modeling.encoders.labels import harden
from modeling.encoders.linear import fit_linear
from modeling.encoders.settings import EncoderSettings
from tests.modeling.encoders.worlds import POINTS, make_world

QUICK = {"buckets_log2": 12, "epochs": 4}


@pytest.fixture(scope="module")
def lessons():
    return make_world(80)


def store(arrays):
    """Through a file without pickles and back."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def test_an_encoder_that_reads_out_of_fold_comes_back_whole_from_its_file(lessons):
    texts, truth = lessons
    inside = fit_encoder(texts, truth, POINTS, EncoderSettings(linear=QUICK))
    encoder = OutOfFold(inside, digest_texts(texts), truth[::-1].astype(np.float32))

    again = unpack(store(encoder.pack()))

    asked = [*texts[:3], "something new"]
    assert np.abs(again.predict(asked) - encoder.predict(asked)).max() < 1e-6
    assert again.points.tolist() == POINTS.tolist()


def test_hard_labels_are_made_where_the_settings_ask_for_them(lessons):
    texts, truth = lessons
    hard = fit_encoder(texts, truth, POINTS, EncoderSettings(labels="hard", linear=QUICK))
    by_hand = fit_linear(texts, harden(truth), POINTS, EncoderSettings(linear=QUICK))

    assert np.array_equal(hard.predict(texts), by_hand.predict(texts))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"weights": np.ones(3)},
        {"format": np.array("oracle")},
        {"format": np.array("linear"), "weights": np.ones(3)},
        {"format": np.array("out_of_fold"), "digests": np.ones((2, 32))},
    ],
    ids=["empty", "unnamed", "unknown", "cut", "hollow"],
)
def test_other_arrays_are_no_encoder(arrays):
    with pytest.raises(ValueError, match="encoder"):
        unpack(arrays)
