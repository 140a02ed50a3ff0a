import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import precision_recall_fscore_support

from modeling.stats.multilabel import multilabel_scores, rank_agreement

NAN = float("nan")


def score(truth, predicted, seed=0, **options):
    return multilabel_scores(truth, predicted, rng=np.random.default_rng(seed), **options)


def agree(truth, predicted, seed=0, **options):
    return rank_agreement(truth, predicted, rng=np.random.default_rng(seed), **options)


def draw(seed, n_posts=80, n_values=6):
    rng = np.random.default_rng(seed)
    truth = (rng.random((n_posts, n_values)) < 0.2).astype(float)
    return truth, np.where(rng.random(truth.shape) < 0.8, truth, 1 - truth)


class TestScores:
    @pytest.mark.parametrize("seed", range(5))
    def test_they_are_what_scikit_learn_computes(self, seed):
        truth, predicted = draw(seed)
        found = score(truth, predicted, n_resamples=50)
        each = precision_recall_fscore_support(truth, predicted, average=None)
        for k, name in enumerate(("precision", "recall", "f1")):
            ours = [getattr(value, name).estimate for value in found.per_value]
            assert ours == pytest.approx(each[k])
            macro = precision_recall_fscore_support(truth, predicted, average="macro")[k]
            assert getattr(found, f"macro_{name}").estimate == pytest.approx(macro)
        micro = precision_recall_fscore_support(truth, predicted, average="micro")[2]
        assert found.micro_f1.estimate == pytest.approx(micro)
        assert [value.n_true for value in found.per_value] == truth.sum(axis=0).tolist()

    def test_a_pair_without_reference_or_reading_does_not_enter(self):
        truth, predicted = draw(1)
        gaps = np.random.default_rng(2).random(truth.shape) < 0.3
        found = score(np.where(gaps, NAN, truth), predicted)
        turned = score(truth, np.where(gaps, NAN, predicted))
        for value in range(truth.shape[1]):
            kept = ~gaps[:, value]
            expected = precision_recall_fscore_support(
                truth[kept, value], predicted[kept, value], average="binary"
            )
            for scores in (found.per_value[value], turned.per_value[value]):
                assert scores.f1.estimate == pytest.approx(expected[2])
                assert scores.n_left_out == gaps[:, value].sum()

    def test_a_value_of_one_class_is_left_out_of_the_macro_measures_and_named(self):
        truth, predicted = draw(3, n_values=5)
        truth[:, 1], truth[:, 2], truth[:, 3] = 0, 1, NAN
        found = score(truth, predicted)
        assert [value for value, _ in found.left_out] == [1, 2, 3]
        assert "none of 80" in found.left_out[0][1]
        assert "all 80" in found.left_out[1][1]
        assert found.n_values == 2
        kept = precision_recall_fscore_support(truth[:, [0, 4]], predicted[:, [0, 4]], average="macro")
        assert found.macro_f1.estimate == pytest.approx(kept[2])
        assert np.isnan(found.per_value[1].recall.estimate)
        assert found.per_value[1].recall.reason == "the reference says it of no post"

    def test_a_value_that_is_never_predicted_has_no_precision_and_counts_as_missed(self):
        truth, predicted = draw(4, n_values=2)
        predicted[:, 1] = 0
        found = score(truth, predicted)
        assert np.isnan(found.per_value[1].precision.estimate)
        assert found.per_value[1].f1.estimate == 0
        assert found.macro_precision.estimate == found.per_value[0].precision.estimate
        assert (found.n_values, found.n_values_precision) == (2, 1)
        assert found.macro_f1.estimate == pytest.approx(found.per_value[0].f1.estimate / 2)

    def test_a_measure_on_too_few_posts_has_no_interval_and_says_so(self):
        truth, predicted = np.zeros((40, 1)), np.zeros((40, 1))
        truth[:3] = predicted[2:12] = 1
        scores = score(truth, predicted).per_value[0]
        assert np.isnan(scores.recall.interval.low)
        assert "3 post(s)" in scores.recall.reason
        assert scores.precision.interval.high > 0
        assert scores.precision.reason == ""

    def test_without_a_post_nothing_exists(self):
        found = score(np.empty((0, 3)), np.empty((0, 3)))
        assert np.isnan(found.macro_f1.estimate)
        assert found.macro_f1.reason
        assert len(found.left_out) == 3

    def test_intervals_cover_the_truth_about_as_often_as_they_say(self):
        truth, predicted = draw(9, n_posts=20_000, n_values=4)
        goal = score(truth, predicted, n_resamples=1).macro_f1.estimate
        covered = 0
        rng = np.random.default_rng(5)
        for seed in range(150):
            taken = rng.integers(len(truth), size=150)
            interval = score(truth[taken], predicted[taken], seed, n_resamples=300).macro_f1.interval
            covered += interval.low <= goal <= interval.high
        assert 0.88 <= covered / 150 <= 0.99

    def test_the_same_seed_gives_the_same_intervals(self):
        truth, predicted = draw(5)
        assert score(truth, predicted, 7) == score(truth, predicted, 7)

    @pytest.mark.parametrize(
        ("truth", "predicted", "message"),
        [
            ([[2]], [[1]], r"truth\[0, 0\] is 2"),
            ([[1, 0]], [[1]], "give both for the same posts and values"),
            ([1, 0], [1, 0], "two dimensions"),
        ],
        ids=["no presence", "shapes", "vector"],
    )
    def test_malformed_input_is_refused(self, truth, predicted, message):
        with pytest.raises(ValueError, match=message):
            score(truth, predicted)


class TestRanks:
    def test_they_are_what_scipy_computes(self):
        rng = np.random.default_rng(1)
        truth, predicted = (
            rng.integers(0, 7, (40, 8)).astype(float),
            rng.integers(0, 7, (40, 8)).astype(float),
        )
        predicted[rng.random(predicted.shape) < 0.2] = NAN
        found = agree(truth, predicted)
        for post in range(40):
            kept = ~np.isnan(predicted[post])
            assert found.per_post[post] == pytest.approx(
                spearmanr(truth[post, kept], predicted[post, kept])[0]
            )
        for value in range(8):
            kept = ~np.isnan(predicted[:, value])
            expected = spearmanr(truth[kept, value], predicted[kept, value])[0]
            assert found.per_value[value].estimate == pytest.approx(expected)
        assert found.mean.estimate == pytest.approx(np.mean(found.per_post))
        assert found.mean.interval.low < found.mean.estimate < found.mean.interval.high

    def test_posts_that_order_nothing_are_counted_apart_from_those_without_values(self):
        found = agree([[0, 0, 0], [1, 2, 3], [1, NAN, NAN]], [[1, 2, 3], [1, 2, 3], [1, 2, 3]])
        assert (found.n_posts, found.n_undefined, found.n_left_out) == (1, 1, 1)
        assert found.mean.estimate == pytest.approx(1)
        assert "no interval" in found.mean.reason

    def test_a_value_rated_alike_throughout_has_no_rho(self):
        found = agree([[0, 1], [0, 2], [0, 3]], [[1, 1], [2, 2], [3, 3]])
        assert np.isnan(found.per_value[0].estimate)
        assert found.per_value[0].reason == "one side gives every post the same"
        assert found.per_value[1].estimate == pytest.approx(1)

    def test_nothing_to_compare_is_said(self):
        found = agree([[NAN, NAN]], [[1, 2]])
        assert np.isnan(found.mean.estimate)
        assert found.mean.reason == "no post has two values of both sides"
