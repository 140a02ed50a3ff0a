import numpy as np
import pytest

from modeling.encoders.features import build_vocabulary, select, split_words
from modeling.encoders.labels import harden
from modeling.encoders.linear import build_basis, cross_entropy, fit_linear, unpack
from modeling.encoders.settings import EncoderSettings
from tests.modeling.encoders.worlds import POINTS, draw_shares, make_world

QUICK = {"buckets_log2": 12, "epochs": 12}


def make_settings(**changes):
    return EncoderSettings(**{"linear": QUICK} | changes)


@pytest.fixture(scope="module")
def world():
    texts, truth = make_world(700)
    return texts[:400], truth[:400], texts[400:], truth[400:]


@pytest.mark.parametrize("loss", ["cross_entropy", "ordinal"])
def test_distributions_are_learned_from_words(world, loss):
    texts, truth, new_texts, new_truth = world

    predicted = fit_linear(texts, truth, POINTS, make_settings(loss=loss)).predict(new_texts)

    base = cross_entropy(np.broadcast_to(truth.mean(axis=0), new_truth.shape), new_truth)
    floor = cross_entropy(new_truth, new_truth)
    assert cross_entropy(predicted, new_truth) < base - 0.5 * (base - floor)
    assert predicted.dtype == np.float32
    assert np.allclose(predicted.sum(axis=2), 1, atol=1e-5)


def test_the_order_of_the_points_helps_where_posts_are_few():
    texts, truth = make_world(560, seed=4)
    few = slice(0, 60)
    found = {
        loss: cross_entropy(
            fit_linear(texts[few], truth[few], POINTS, make_settings(loss=loss)).predict(texts[60:]),
            truth[60:],
        )
        for loss in ("cross_entropy", "ordinal")
    }

    assert found["ordinal"] < found["cross_entropy"]


@pytest.mark.parametrize(("sharpness", "soft_is_better"), [(0.25, True), (60.0, False)])
def test_soft_labels_beat_hard_ones_where_the_truth_is_ambiguous_and_only_there(sharpness, soft_is_better):
    rng = np.random.default_rng(5)
    gains = []
    for seed in range(3):
        texts, truth = make_world(700, seed=seed, sharpness=sharpness)
        shares = draw_shares(truth, 8, rng)
        settings = make_settings(loss="ordinal", seed=seed)
        soft, hard = (
            fit_linear(texts[:300], labels[:300], POINTS, settings).predict(texts[300:])
            for labels in (shares, harden(shares))
        )
        gains.append(cross_entropy(hard, truth[300:]) - cross_entropy(soft, truth[300:]))

    if soft_is_better:
        assert min(gains) > 0.05
    else:
        assert max(map(abs, gains)) < 0.01


def test_the_same_seed_gives_the_same_encoder_and_it_survives_being_packed(world):
    texts, truth, new_texts, _ = world
    first, second = (fit_linear(texts, truth, POINTS, make_settings(seed=3)) for _ in range(2))

    again = unpack(first.pack())

    assert np.array_equal(first.predict(new_texts), second.predict(new_texts))
    assert np.abs(again.predict(new_texts) - first.predict(new_texts)).max() < 1e-6
    assert all(array.dtype != object for array in first.pack().values())


def test_values_without_labels_move_nothing(world):
    texts, truth, new_texts, _ = world
    gaps = np.where(np.arange(400)[:, None, None] % 2 == 0, truth, np.nan)
    gaps[:, 1:] = truth[:, 1:]
    noise = np.where(np.isnan(gaps), 0, gaps)
    noise[1::2, 0] = np.eye(7)[6]
    settings = make_settings(linear=QUICK | {"penalty": 0.3})

    without = fit_linear(texts, gaps, POINTS, settings).predict(new_texts)
    with_noise = fit_linear(texts, noise, POINTS, settings).predict(new_texts)

    assert without[:, 0, 6].mean() < 0.3
    assert with_noise[:, 0, 6].mean() > 0.4


def test_development_posts_decide_when_to_stop_and_are_not_learned(world):
    texts, truth, new_texts, new_truth = world
    settings = make_settings()

    fitted = fit_linear(texts, truth, POINTS, settings, (new_texts[:150], new_truth[:150]))

    assert fitted.choice["dev_loss"] == pytest.approx(
        cross_entropy(fitted.predict(new_texts[:150]), new_truth[:150]), abs=2e-3
    )
    shifted = fit_linear(texts, truth, POINTS, settings, (new_texts[:150], new_truth[:150][:, :, ::-1]))
    assert shifted.choice["n_epochs"] <= fitted.choice["n_epochs"]
    assert shifted.choice["dev_loss"] > fitted.choice["dev_loss"]


def test_progress_is_told_to_its_end_and_a_cancellation_leaves(world):
    texts, truth, _, _ = world
    told = []

    fit_linear(
        texts[:60], truth[:60], POINTS, make_settings(), report=lambda *progress: told.append(progress)
    )

    assert told[-1][0] == told[-1][1]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)

    class Cancelled(Exception):
        pass

    def cancel(done, total, note):
        raise Cancelled

    with pytest.raises(Cancelled):
        fit_linear(texts[:60], truth[:60], POINTS, make_settings(), report=cancel)


def test_a_text_without_a_known_word_has_the_usual_distribution(world):
    texts, truth, _, _ = world
    encoder = fit_linear(texts, truth, POINTS, make_settings(linear=QUICK | {"buckets_log2": 20}))

    strange, blank = encoder.predict(["zzzz qqqq", ""])

    assert np.array_equal(strange, blank)
    assert np.abs(blank - truth.mean(axis=0)).max() < 0.15
    assert encoder.predict([]).shape == (0, 3, 7)


def test_a_handful_of_posts_is_learned_without_development_posts():
    texts, truth = make_world(3, seed=1)

    assert fit_linear(texts, truth, POINTS, make_settings()).predict(texts).shape == (3, 3, 7)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda labels: labels[:2], "do not fit"),
        (lambda labels: labels * 2, "no distribution"),
        (lambda labels: np.full_like(labels, np.nan), "nothing to teach"),
        (lambda labels: np.where(np.arange(7) == 3, np.nan, labels), "some points"),
        (lambda labels: np.where(np.arange(5)[:, None, None] > 0, np.nan, labels), "at least two"),
    ],
    ids=["shape", "sum", "none", "gaps", "one"],
)
def test_labels_that_cannot_be_learned_are_refused(spoil, message):
    texts, truth = make_world(5)

    with pytest.raises(ValueError, match=message):
        fit_linear(texts, spoil(truth), POINTS, make_settings())


def test_arrays_that_do_not_fit_one_another_are_no_encoder(world):
    texts, truth, _, _ = world
    arrays = fit_linear(texts[:40], truth[:40], POINTS, make_settings()).pack()

    with pytest.raises(ValueError, match="do not fit"):
        unpack(arrays | {"weights": arrays["weights"][1:]})
    with pytest.raises(ValueError, match="finite"):
        unpack(arrays | {"biases": arrays["biases"] * np.nan})
    with pytest.raises(KeyError):
        unpack({name: array for name, array in arrays.items() if name != "idf"})


def test_directions_of_the_ordinal_head_are_level_and_spread():
    level, spread = build_basis(np.array([0.0, 1, 2, 3, 4]), "ordinal")

    assert (np.diff(level) > 0).all()
    assert spread[0] == pytest.approx(spread[-1]) == spread.max()
    assert level @ spread == pytest.approx(0, abs=1e-6)
    assert build_basis(np.array([0.0, 1]), "ordinal").shape == (1, 2)


def test_words_are_the_same_however_they_are_written():
    assert split_words("ＣＡＦÉ") == split_words("cafe\u0301") == " café "
    assert split_words("see https://x.org/a?b @anna!") == " see @ ! "
    assert split_words("don’t 🎉🎉") == " don’t 🎉 🎉 "
    assert split_words("\ud800") == " \ud800 "


def test_terms_count_that_two_posts_share_and_each_kind_has_length_one():
    texts = ["red fish", "red bird", "blue whale"]
    vocabulary = build_vocabulary(texts, 16)
    terms = vocabulary.weigh([*texts, "red red fish", ""])

    lengths = [
        np.square(terms.weights[start:end]).sum()
        for start, end in zip(terms.rows, terms.rows[1:], strict=False)
    ]
    assert lengths[0] == pytest.approx(2)  # words, and parts of words
    assert lengths[2] == pytest.approx(0)  # "blue whale" shares nothing
    assert lengths[4] == 0
    again = select(terms, np.array([3, 0]))
    assert np.array_equal(again.columns[: again.rows[1]], terms.columns[terms.rows[3] : terms.rows[4]])
