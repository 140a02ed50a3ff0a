import numpy as np
import pytest

from modeling.encoders.folds import OutOfFold, assign_folds, digest_texts


class Remembers:
    """Says of a text it was taught exactly what it was taught, and of others what it was taught on average."""

    points = np.arange(2.0)

    def __init__(self, texts, targets):
        self.taught = dict(zip(texts, targets, strict=True))
        self.usual = np.mean(targets, axis=0)

    def predict(self, texts):
        return np.array([self.taught.get(text, self.usual) for text in texts], dtype=np.float32)

    def pack(self):
        return {"format": np.array("remembers")}


def make_lessons(n):
    rng = np.random.default_rng(0)
    shares = rng.random((n, 2))
    return [f"text {number}" for number in range(n)], np.stack([shares, 1 - shares], axis=2)


def test_a_taught_text_is_read_as_it_was_out_of_fold():
    texts, targets = make_lessons(40)
    encoder = OutOfFold(Remembers(texts, targets), digest_texts(texts), targets[::-1])

    assert encoder.predict(texts[5:7]) == pytest.approx(targets[::-1][5:7], abs=1e-6)


def test_another_text_is_read_by_the_encoder_that_saw_all():
    texts, targets = make_lessons(20)
    encoder = OutOfFold(Remembers(texts, targets), digest_texts(texts), targets[::-1])

    mixed = encoder.predict(["new", texts[3], "newer"])

    assert mixed[0] == pytest.approx(targets.mean(axis=0), abs=1e-6)
    assert mixed[1] == pytest.approx(encoder.predictions[3])
    assert mixed[2] == pytest.approx(mixed[0])


def test_copies_of_a_text_are_dealt_together_so_that_none_betrays_another():
    texts = ["same"] * 30 + [f"text {number}" for number in range(30)]

    folds = assign_folds(texts, 5, 1)

    assert len(set(folds[:30].tolist())) == 1
    assert set(folds.tolist()) == set(range(5))
    assert np.array_equal(folds, assign_folds(texts, 5, 1))
    assert not np.array_equal(folds[30:], assign_folds(texts, 5, 2)[30:])


@pytest.mark.parametrize(("n_texts", "n_folds"), [(3, 4), (10, 1)])
def test_more_folds_than_texts_are_refused(n_texts, n_folds):
    with pytest.raises(ValueError, match="cannot be dealt"):
        assign_folds([str(number) for number in range(n_texts)], n_folds, 1)


def test_digests_tell_texts_apart_even_broken_ones():
    digests = digest_texts(["a", "b", "\ud800", "a"])

    assert digests.shape == (4, 32)
    assert len({each.tobytes() for each in digests}) == 3


def test_predictions_of_other_texts_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        OutOfFold(Remembers(["a"], np.ones((1, 1, 1))), digest_texts(["a", "b"]), np.ones((1, 1, 2)))
