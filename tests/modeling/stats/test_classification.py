import doctest
import math

import numpy as np
import pytest
import sklearn.metrics
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from modeling.stats import classification
from modeling.stats.categorical import cohen_kappa
from modeling.stats.classification import (
    MEASURES,
    Confusion,
    balance,
    binary_scores,
    majority_labels,
    unanimous_labels,
)

NAN = float("nan")


def spread(true_yes, false_yes, false_no, true_no):
    """Labels that have these counts."""
    cells = [(1, 1)] * true_yes + [(0, 1)] * false_yes + [(1, 0)] * false_no + [(0, 0)] * true_no
    truth, predicted = np.array(cells, dtype=float).reshape(-1, 2).T
    return truth, predicted


def compare(truth, predicted, seed=0, **options):
    return binary_scores(truth, predicted, rng=np.random.default_rng(seed), **options)


def estimates(scores):
    return {name: getattr(scores, name).estimate for name in MEASURES}


def draw(rng, n=60):
    truth = (rng.random(n) < rng.uniform(0.1, 0.9)).astype(float)
    return truth, np.where(rng.random(n) < 0.7, truth, rng.integers(0, 2, n))


class TestScores:
    def test_the_examples_of_the_docstrings_give_what_they_show(self):
        outcome = doctest.testmod(classification)
        assert outcome.attempted > 0
        assert outcome.failed == 0

    @pytest.mark.parametrize("seed", range(8))
    def test_they_are_what_scikit_learn_and_statsmodels_compute(self, seed):
        truth, predicted = draw(np.random.default_rng(seed))
        found = estimates(compare(truth, predicted))
        assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
        assert found["recall"] == pytest.approx(sklearn.metrics.recall_score(truth, predicted))
        assert found["precision"] == pytest.approx(sklearn.metrics.precision_score(truth, predicted))
        assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(truth, predicted))
        assert found["kappa"] == pytest.approx(sklearn.metrics.cohen_kappa_score(truth, predicted))
        table = to_table(np.stack([truth, predicted], axis=1).astype(int), bins=2)[0]
        assert found["kappa"] == pytest.approx(cohens_kappa(table).kappa)

    def test_kappa_is_that_of_the_statistics_of_several_categories(self):
        truth, predicted = draw(np.random.default_rng(5))
        predicted[:7] = NAN
        found = compare(truth, predicted)
        assert found.kappa.estimate == pytest.approx(cohen_kappa(truth, predicted).estimate)
        assert found.n_left_out == 7

    @pytest.mark.parametrize(
        ("n_same", "n_posts", "accuracy", "kappa"),
        [
            (186, 200, 0.930, 0.86),  # the second researcher and the safety classifier
            (169, 199, 0.849, 0.70),  # the first
            (111, 158, 0.703, 0.405),  # comprehensibility, labels by majority
            (71, 96, 0.740, 0.479),  # and by unanimity
        ],
    )
    def test_accuracies_and_kappas_of_the_published_study_fit_each_other(
        self, n_same, n_posts, accuracy, kappa
    ):
        """The study's appendix, Table A1 and its text: one side is balanced there, so that kappa is 2 accuracy - 1."""
        half, n_apart = n_posts // 2, n_posts - n_same
        false_yes = n_apart // 2
        false_no = n_apart - false_yes
        found = compare(*spread(half - false_no, false_yes, false_no, n_posts - half - false_yes))
        assert found.accuracy.estimate == pytest.approx(accuracy, abs=0.0006)
        assert found.kappa.estimate == pytest.approx(kappa, abs=0.005)

    @pytest.mark.parametrize(("precision", "recall", "f1"), [(0.722, 0.695, 0.708), (0.813, 0.709, 0.757)])
    def test_f1_follows_from_the_published_precision_and_recall(self, precision, recall, f1):
        true_yes = 70_000
        false_yes, false_no = (round(true_yes / share) - true_yes for share in (precision, recall))
        found = compare(*spread(true_yes, false_yes, false_no, 80_000), n_resamples=1)
        assert found.f1.estimate == pytest.approx(f1, abs=0.0006)

    def test_the_confusion_tells_who_was_wrong(self):
        found = compare([1, 1, 1, 0, 0, NAN], [1, 1, 0, 1, 0, 1])
        assert found.confusion == Confusion(true_yes=2, false_yes=1, false_no=1, true_no=1)
        assert (found.confusion.n_posts, found.n_left_out) == (5, 1)

    def test_swapping_the_two_swaps_precision_and_recall_and_nothing_else(self):
        truth, predicted = draw(np.random.default_rng(2))
        one, other = estimates(compare(truth, predicted)), estimates(compare(predicted, truth))
        assert (one["precision"], one["recall"]) == (other["recall"], other["precision"])
        assert [one[name] for name in ("accuracy", "kappa", "f1")] == pytest.approx(
            [other[name] for name in ("accuracy", "kappa", "f1")]
        )

    def test_the_order_of_posts_does_not_matter(self):
        truth, predicted = draw(np.random.default_rng(3))
        order = np.random.default_rng(4).permutation(len(truth))
        assert compare(truth, predicted) == compare(truth[order], predicted[order])


class TestUndefined:
    def test_nothing_exists_without_a_post(self):
        for pair in (([], []), ([NAN, 1], [0, NAN])):
            found = compare(*pair)
            assert all(math.isnan(number) for number in estimates(found).values())
            assert {getattr(found, name).reason for name in MEASURES} == {"no post has both labels"}

    @pytest.mark.parametrize(
        ("counts", "missing"),
        [
            ((0, 0, 4, 3), {"precision": "no post is predicted to be yes"}),
            ((0, 4, 0, 3), {"recall": "no post is labeled yes"}),
            ((5, 0, 0, 0), {"kappa": "both give every post one and the same label"}),
            (
                (0, 0, 0, 5),
                {
                    "kappa": "both give every post one and the same label",
                    "recall": "no post is labeled yes",
                    "precision": "no post is predicted to be yes",
                    "f1": "no post is labeled or predicted to be yes",
                },
            ),
        ],
    )
    def test_what_does_not_exist_says_why_and_has_no_interval(self, counts, missing):
        found = compare(*spread(*counts))
        for name in MEASURES:
            score = getattr(found, name)
            assert score.reason == missing.get(name, "")
            assert math.isnan(score.estimate) == (name in missing)
            assert math.isnan(score.interval.low) == (name in missing)

    def test_one_post_has_an_accuracy_but_no_interval(self):
        found = compare([1], [1])
        assert found.accuracy.estimate == 1
        assert math.isnan(found.accuracy.interval.low)
        assert found.accuracy.interval.n_units == 1

    @pytest.mark.parametrize(
        ("truth", "predicted", "says"),
        [
            ([1, 0], [1], "truth has 2 label"),
            ([[1]], [1], "truth has 2 dimension"),
            ([1, 2], [1, 0], r"truth\[1\] is 2"),
            ([1, 0], [1, math.inf], r"predicted\[1\] is inf"),
        ],
    )
    def test_malformed_labels_are_refused_with_their_place(self, truth, predicted, says):
        with pytest.raises(ValueError, match=says):
            compare(truth, predicted)

    def test_resamples_and_level_are_checked(self):
        with pytest.raises(ValueError, match="n_resamples is 0"):
            compare([1], [1], n_resamples=0)
        with pytest.raises(ValueError, match="level is 1"):
            compare([1], [1], level=1)


class TestIntervals:
    def test_the_seed_decides_them(self):
        truth, predicted = draw(np.random.default_rng(1))
        assert compare(truth, predicted, 7) == compare(truth, predicted, 7)
        assert compare(truth, predicted, 7) != compare(truth, predicted, 8)

    def test_drawing_counts_is_drawing_posts(self):
        truth, predicted = draw(np.random.default_rng(6), n=80)
        found = compare(truth, predicted, n_resamples=4000)
        rng = np.random.default_rng(9)
        drawn = []
        for _ in range(4000):
            places = rng.integers(0, len(truth), len(truth))
            t, p = truth[places], predicted[places]
            expected = t.mean() * p.mean() + (1 - t.mean()) * (1 - p.mean())
            drawn.append(((t == p).mean() - expected) / (1 - expected))
        assert [found.kappa.interval.low, found.kappa.interval.high] == pytest.approx(
            np.quantile(drawn, [0.025, 0.975]), abs=0.03
        )

    def test_they_cover_the_truth_about_as_often_as_they_say(self):
        rng = np.random.default_rng(10)
        n_hit = 0
        for _ in range(300):
            truth = (rng.random(120) < 0.5).astype(float)
            predicted = np.where(rng.random(120) < 0.8, truth, 1 - truth)
            interval = binary_scores(truth, predicted, rng=rng, n_resamples=300).kappa.interval
            n_hit += interval.low <= 0.6 <= interval.high
        assert 0.91 <= n_hit / 300 <= 0.98

    def test_resamples_without_the_measure_are_left_out_and_counted(self):
        found = compare(*spread(1, 0, 0, 3))
        assert found.precision.interval.n_resamples < found.accuracy.interval.n_resamples == 1000


class TestJointLabels:
    def test_a_tie_is_no_majority(self):
        found = majority_labels([[1, 1, 0, NAN], [0, 1, 0, NAN]])
        assert np.array_equal(found.labels, [NAN, 1, 0, NAN], equal_nan=True)
        assert (found.n_yes, found.n_no, found.n_apart, found.n_unlabeled) == (1, 1, 1, 1)

    def test_three_raters_always_have_a_majority_and_are_seldom_unanimous(self):
        labels = np.random.default_rng(0).integers(0, 2, (3, 50))
        majority, unanimous = majority_labels(labels), unanimous_labels(labels)
        assert (majority.n_apart, majority.n_yes + majority.n_no) == (0, 50)
        agreed = ~np.isnan(unanimous.labels)
        assert np.array_equal(unanimous.labels[agreed], majority.labels[agreed])
        assert np.array_equal(agreed, labels.min(axis=0) == labels.max(axis=0))
        assert unanimous.n_apart == 50 - agreed.sum() > 0

    def test_raters_who_skipped_a_post_have_no_say_in_it(self):
        found = unanimous_labels([[1, NAN], [NAN, 0], [1, 1]])
        assert np.array_equal(found.labels, [1, NAN], equal_nan=True)

    def test_the_order_of_raters_does_not_matter(self):
        labels = np.random.default_rng(1).integers(0, 2, (4, 30)).astype(float)
        for join in (majority_labels, unanimous_labels):
            assert np.array_equal(join(labels).labels, join(labels[::-1]).labels, equal_nan=True)

    def test_anything_but_a_table_of_labels_is_refused(self):
        with pytest.raises(ValueError, match="one row per rater"):
            majority_labels([1, 0])
        with pytest.raises(ValueError, match=r"labels\[1, 0\] is 3"):
            unanimous_labels([[1], [3]])


class TestBalance:
    def test_the_commoner_label_is_drawn_down_to_the_rarer_as_in_the_published_study(self):
        labels = np.array([1.0] * 121 + [0.0] * 79)
        places = balance(labels, rng=np.random.default_rng(0))
        assert len(places) == 158
        assert labels[places].sum() == 79
        assert set(range(121, 200)) <= set(places)
        assert (np.diff(places) > 0).all()

    def test_the_seed_decides_who_stays_and_everybody_can(self):
        labels = [1.0] * 6 + [0.0] * 3 + [NAN]
        drawn = [tuple(balance(labels, rng=np.random.default_rng(seed))) for seed in range(40)]
        assert drawn[0] == tuple(balance(labels, rng=np.random.default_rng(0)))
        assert set().union(*drawn) == set(range(9))

    def test_without_one_of_the_labels_nothing_stays(self):
        assert len(balance([1.0, 1.0, NAN], rng=np.random.default_rng(0))) == 0
