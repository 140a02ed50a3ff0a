"""A piece of a matrix is written whole or not at all, and rounded by no more than half a step."""

import numpy as np
import pytest

from modeling.scoring import pieces
from modeling.scoring.pieces import PieceWriter, choose_factor, open_piece, restore

SHAPE = (5, 7)


def draw(shape=SHAPE, seed=1):
    return np.random.default_rng(seed).uniform(0, 6, shape).astype(np.float32)


def write(path, *blocks, dtype="uint8", factor=42.5, shape=SHAPE):
    with PieceWriter(path, shape, dtype=dtype, factor=factor) as writer:
        for first_rater, first_post, block in blocks:
            writer.write(block, first_rater=first_rater, first_post=first_post)
    return open_piece(path, shape, dtype)


def test_bytes_hold_a_scale_from_end_to_end_within_half_a_step(tmp_path):
    factor = choose_factor((0, 6), "uint8")
    predictions = draw()
    predictions[0, :2] = 0, 6
    stored = write(tmp_path / "a.npy", (0, 0, predictions), factor=factor)
    assert (stored[0, 0], stored[0, 1]) == (0, 255)
    restored = restore(stored, factor)
    assert restored.dtype == np.float32
    assert np.abs(restored - predictions).max() <= 0.5 / factor + 1e-6
    assert (restored[0, 0], restored[0, 1]) == (0, 6)


def test_floats_come_back_bit_for_bit_and_may_be_missing(tmp_path):
    predictions = draw()
    predictions[2, 3] = np.nan
    stored = write(tmp_path / "a.npy", (0, 0, predictions), dtype="float32", factor=1.0)
    np.testing.assert_array_equal(restore(stored, 1.0), predictions)


def test_blocks_in_any_order_make_the_same_file_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "CELLS_AT_ONCE", 3)  # less than a row
    predictions = draw()
    write(tmp_path / "one.npy", (0, 0, predictions))
    write(
        tmp_path / "many.npy",
        (3, 0, predictions[3:]),
        (0, 4, predictions[:3, 4:]),
        (0, 0, predictions[:3, :4]),
    )
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "many.npy").read_bytes()
    assert np.load(tmp_path / "one.npy").tolist() == np.rint(predictions * 42.5).astype(int).tolist()


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([(0, 0, draw((5, 6)))], "5 of 35 predictions of this piece were not written"),
        ([], "35 of 35"),
        ([(0, 0, draw()), (4, 6, draw((1, 1)))], "raters from 4 and posts from 6 on are written twice"),
        ([(1, 0, draw())], "raters 1 to 5 and posts 0 to 6 do not lie within"),
        ([(-1, 0, draw((1, 7)))], "do not lie within"),
        ([(0, 0, draw((7,)))], r"not shape \(7,\)"),
        ([(0, 0, draw() + 1)], "not a number from 0 to 6"),
        ([(0, 0, draw() - 1)], "not a number from 0 to 6"),
        ([(0, 0, draw() * np.nan)], "store float32"),
    ],
    ids=["hole", "nothing", "twice", "beyond", "before", "vector", "high", "low", "missing"],
)
def test_a_faulty_piece_is_refused_and_leaves_no_file(tmp_path, blocks, words):
    with pytest.raises(ValueError, match=words):
        write(tmp_path / "a.npy", *blocks)
    assert not list(tmp_path.iterdir())


def test_infinite_floats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="infinite"):
        write(tmp_path / "a.npy", (0, 0, draw() + np.inf), dtype="float32", factor=1.0)


@pytest.mark.parametrize(
    ("shape", "dtype", "factor"),
    [((0, 7), "uint8", 42.5), (SHAPE, "int8", 42.5), (SHAPE, "uint8", 0)],
    ids=["empty", "type", "factor"],
)
def test_what_cannot_be_a_piece_is_refused(tmp_path, shape, dtype, factor):
    with pytest.raises(ValueError, match="cannot be"):
        PieceWriter(tmp_path / "a.npy", shape, dtype=dtype, factor=factor)


@pytest.mark.parametrize(("scale", "factor"), [((0, 6), 42.5), ((1, 5), 51.0), ((0, 1), 255.0)])
def test_the_highest_level_is_the_highest_byte(scale, factor):
    assert choose_factor(scale, "uint8") == factor
    assert choose_factor(scale, "float32") == 1


@pytest.mark.parametrize("scale", [(-3, 3), (0, 0)])
def test_scales_that_bytes_cannot_hold_are_refused(scale):
    with pytest.raises(ValueError, match="does not fit into bytes; store float32"):
        choose_factor(scale, "uint8")
    with pytest.raises(ValueError, match="not as 'float16'"):
        choose_factor((0, 6), "float16")


def test_a_file_of_another_shape_or_type_is_refused(tmp_path):
    write(tmp_path / "a.npy", (0, 0, draw()))
    with pytest.raises(ValueError, match=r"uint8 of shape \(5, 7\); uint8 of \(5, 8\) was expected"):
        open_piece(tmp_path / "a.npy", (5, 8), "uint8")
    with pytest.raises(ValueError, match="float32 of"):
        open_piece(tmp_path / "a.npy", SHAPE, "float32")


def test_objects_that_would_run_code_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError):
        open_piece(tmp_path / "a.npy", (1,), "uint8")
