import numpy as np
import pytest

from modeling.estimators.consensus import TextConsensus
from modeling.estimators.reader import unpack
from tests.modeling.estimators.data import draw_data


def fit_reader(**data):
    data = draw_data(**data)
    to_fit = np.arange(data.n_posts) < 12
    consensus = TextConsensus(n_folds=3, rng=np.random.default_rng(1)).fit(
        data.texts, data.ratings, data.posts, to_fit, data.scale
    )
    return data, consensus


@pytest.mark.parametrize("n_values", [1, 3])
def test_a_reader_says_of_new_posts_what_the_consensus_says(n_values):
    data, consensus = fit_reader(n_values=n_values)
    read = consensus.reader_.read(data.texts[12:])
    np.testing.assert_allclose(read, consensus.post_scores_[12:], atol=1e-5)


def test_a_reader_survives_its_file_without_any_object_in_it():
    data, consensus = fit_reader()
    arrays = consensus.reader_.pack()
    assert not any(array.dtype.hasobject for array in arrays.values())
    texts = ["A river by the church", "", "Zß 日本 market party", *data.texts]
    np.testing.assert_array_equal(unpack(arrays).read(texts), consensus.reader_.read(texts))


def test_a_text_of_unknown_words_is_read_as_no_text_at_all():
    _, consensus = fit_reader()
    nothing, unknown = consensus.reader_.read(["", "qqqq xxxx"])
    np.testing.assert_array_equal(nothing, unknown)
    assert ((nothing >= 0) & (nothing <= 6)).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays: arrays.pop("weights"), "no reader of texts"),
        (lambda arrays: arrays.update(weights=arrays["weights"][:, :-1]), "do not fit 3 values"),
        (lambda arrays: arrays.update(words_idf=arrays["words_idf"][1:]), "words has"),
        (
            lambda arrays: arrays.update(words_terms=arrays["words_terms"][:-40]),
            "no reader of texts|do not fit",
        ),
        (lambda arrays: arrays.update(intercepts=arrays["intercepts"][:1]), "do not fit 1 values"),
    ],
)
def test_damaged_files_are_refused(damage, message):
    arrays = dict(fit_reader()[1].reader_.pack())
    damage(arrays)
    with pytest.raises(ValueError, match=message):
        unpack(arrays)
