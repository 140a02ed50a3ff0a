import numpy as np
import pytest
from sklearn.metrics import f1_score

from modeling.stats.multilabel import compare_multilabel, multilabel_scores

NAN = float("nan")


def compare(truth, a, b, seed=0, n_resamples=400):
    return compare_multilabel(truth, a, b, rng=np.random.default_rng(seed), n_resamples=n_resamples)


def draw(rng, n_posts=120, n_values=5):
    return (rng.random((n_posts, n_values)) < 0.25).astype(float)


def f1(truth, predicted):
    return 2 * (truth * predicted).sum() / (truth.sum() + predicted.sum())


def blur(rng, truth, share):
    return np.where(rng.random(truth.shape) < share, 1 - truth, truth)


def test_the_difference_is_that_of_the_macro_f1_of_both():
    rng = np.random.default_rng(1)
    truth = draw(rng)
    a, b = blur(rng, truth, 0.2), blur(rng, truth, 0.1)
    found = compare(truth, a, b)
    expected = f1_score(truth, b, average="macro") - f1_score(truth, a, average="macro")
    assert found.difference.estimate == pytest.approx(expected)
    assert found.f1_b - found.f1_a == pytest.approx(expected)
    for value in range(5):
        each = f1_score(truth[:, value], b[:, value]) - f1_score(truth[:, value], a[:, value])
        assert found.per_value[value].difference == pytest.approx(each)
    alone = multilabel_scores(truth, a, rng=rng, n_resamples=1)
    assert found.f1_a == pytest.approx(alone.macro_f1.estimate)


def test_a_true_gain_is_not_noise_and_the_changed_posts_are_named():
    rng = np.random.default_rng(2)
    truth = draw(rng)
    a = blur(rng, truth, 0.25)
    b = a.copy()
    b[:60] = truth[:60]
    b[100, 0] = 1 - b[100, 0]
    found = compare(truth, a, b)
    assert found.p < 0.01
    assert not found.is_within_noise
    assert found.difference.interval.low > 0
    assert found.changed.tolist() == np.flatnonzero((a != b).any(axis=1)).tolist()
    by_hand = (b == truth).sum(axis=1) - (a == truth).sum(axis=1)
    assert found.better.tolist() == np.flatnonzero(by_hand > 0).tolist()
    assert found.worse.tolist() == np.flatnonzero(by_hand < 0).tolist()


def test_the_same_reading_twice_differs_in_nothing():
    truth = draw(np.random.default_rng(3))
    found = compare(truth, truth, truth)
    assert found.difference.estimate == 0
    assert found.p == 1
    assert found.is_within_noise
    assert len(found.changed) == 0


def test_two_equally_good_readings_seldom_differ():
    rng = np.random.default_rng(4)
    false_alarms = 0
    for seed in range(200):
        truth = draw(rng, n_posts=60, n_values=4)
        found = compare(truth, blur(rng, truth, 0.15), blur(rng, truth, 0.15), seed, n_resamples=199)
        false_alarms += not found.is_within_noise
    assert false_alarms / 200 <= 0.09


def test_p_is_that_of_all_swaps_where_these_can_be_counted():
    truth = np.array([[1.0], [1], [1], [1], [0], [0], [0]])
    a, b = np.array([[0.0], [0], [1], [1], [1], [0], [0]]), np.array([[1.0], [1], [1], [1], [0], [0], [0]])
    gaps = []
    for pattern in range(2**7):
        swap = ((pattern >> np.arange(7)) & 1)[:, np.newaxis] == 1
        first, second = np.where(swap, b, a), np.where(swap, a, b)
        gaps.append(abs(f1(truth, second) - f1(truth, first)))
    exact = np.mean(np.array(gaps) >= abs(f1(truth, b) - f1(truth, a)) - 1e-12)
    assert compare(truth, a, b, n_resamples=10_000).p == pytest.approx(exact, abs=0.015)


def test_only_pairs_that_all_three_have_enter():
    rng = np.random.default_rng(5)
    truth = draw(rng)
    a, b = blur(rng, truth, 0.2), blur(rng, truth, 0.2)
    full = compare(truth[10:], a[10:], b[10:])
    a[:10] = NAN
    found = compare(truth, a, b)
    assert found.difference.estimate == pytest.approx(full.difference.estimate)
    assert (found.n_posts, found.n_left_out, found.n_cells) == (110, 10, 550)
    assert found.changed.min() >= 10


def test_no_common_post_gives_no_number_and_the_reason():
    truth = np.array([[1.0, 0], [0, 1]])
    found = compare(truth, [[NAN, NAN], [0, 1]], [[1, 0], [NAN, NAN]])
    assert np.isnan(found.difference.estimate)
    assert np.isnan(found.p)
    assert found.is_within_noise
    assert found.reason == "no post has a reference and both readings"


def test_a_value_that_no_post_expresses_has_no_difference_and_no_test():
    rng = np.random.default_rng(6)
    truth = draw(rng)
    truth[:, 2] = 0
    found = compare(truth, blur(rng, truth, 0.2), blur(rng, truth, 0.2))
    assert np.isnan(found.per_value[2].p_adjusted)
    assert found.per_value[2].reason == "the reference says it of no post"
    assert found.left_out[0][0] == 2
    assert found.n_values == 4
