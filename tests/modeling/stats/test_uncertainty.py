import numpy as np
import pytest
from scipy.stats import entropy, spearmanr
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from modeling.stats.uncertainty import (
    calibration,
    error_uncertainty,
    probability_at_least,
    ranked_probability_score,
    summarize,
)

NAN = float("nan")
POINTS = np.arange(7.0)


def draw(seed, n_posts=40, n_values=3):
    return np.random.default_rng(seed).dirichlet(np.full(7, 0.5), (n_posts, n_values))


def calibrate(probability, presence, seed=0, **options):
    return calibration(probability, presence, rng=np.random.default_rng(seed), **options)


class TestDistributions:
    def test_summaries_are_those_of_many_draws_and_of_scipy(self):
        given = draw(1, 1, 1)
        found = summarize(given, POINTS)
        drawn = np.random.default_rng(2).choice(POINTS, 200_000, p=given[0, 0])
        assert found.means.item() == pytest.approx(drawn.mean(), abs=0.02)
        assert found.sds.item() == pytest.approx(drawn.std(), abs=0.02)
        assert found.entropies.item() == pytest.approx(entropy(given[0, 0], base=2))

    def test_certain_and_missing_distributions(self):
        given = np.array([[[0, 0, 1.0]], [[NAN] * 3]])
        found = summarize(given, [1, 2, 3])
        assert found.means[0] == 3
        assert (found.sds[0], found.entropies[0]) == (0, 0)
        assert np.isnan([found.means[1], found.sds[1], found.entropies[1]]).all()
        assert np.isnan(probability_at_least(given, [1, 2, 3], 2)[1])

    def test_the_probability_counts_the_threshold_itself(self):
        given = draw(3)
        assert probability_at_least(given, POINTS, 2) == pytest.approx(given[:, :, 2:].sum(axis=2))
        assert probability_at_least(given, POINTS, 0.5) == pytest.approx(given[:, :, 1:].sum(axis=2))
        assert (probability_at_least(given, POINTS, 9) == 0).all()

    def test_rounded_single_precision_distributions_are_accepted(self):
        given = draw(4).round(3).astype(np.float32)
        assert summarize(given, POINTS).means == pytest.approx(draw(4) @ POINTS, abs=0.02)

    @pytest.mark.parametrize(
        ("given", "points", "message"),
        [
            ([[[0.5, 0.4]]], [0, 1], r"distributions\[0, 0\]"),
            ([[[1.5, -0.5]]], [0, 1], "below 0"),
            ([[[0.5, NAN]]], [0, 1], "gap"),
            ([[[0.5, 0.5]]], [1, 0], "rising"),
            ([[0.5, 0.5]], [0, 1], "n_posts, n_values, 2"),
        ],
        ids=["sum", "negative", "gap", "points", "shape"],
    )
    def test_malformed_input_is_refused(self, given, points, message):
        with pytest.raises(ValueError, match=message):
            summarize(given, points)


class TestCalibration:
    def test_curve_and_brier_are_those_of_scikit_learn(self):
        rng = np.random.default_rng(1)
        chance = rng.random((300, 2))
        outcome = (rng.random(chance.shape) < chance**2).astype(float)
        found = calibrate(chance, outcome, n_resamples=100)
        observed, mean = calibration_curve(outcome.ravel(), chance.ravel(), n_bins=10)
        assert [each.observed for each in found.bins] == pytest.approx(observed)
        assert [each.mean_probability for each in found.bins] == pytest.approx(mean)
        assert found.brier.estimate == pytest.approx(brier_score_loss(outcome.ravel(), chance.ravel()))
        weights = np.array([each.n for each in found.bins]) / 600
        assert found.ece.estimate == pytest.approx(weights @ np.abs(observed - mean))
        assert found.ece.interval.low < found.ece.estimate < found.ece.interval.high
        assert found.p < 0.01

    def test_right_probabilities_seldom_show_a_fault(self):
        rng = np.random.default_rng(2)
        alarms, gaps = 0, []
        for seed in range(150):
            chance = rng.random((100, 2))
            found = calibrate(
                chance, (rng.random(chance.shape) < chance).astype(float), seed, n_resamples=199
            )
            alarms += found.p <= 0.05
            gaps.append(found.ece.estimate - found.ece_by_chance)
        assert alarms / 150 <= 0.1
        assert abs(np.mean(gaps)) < 0.01

    def test_overconfidence_shows_in_the_bins(self):
        rng = np.random.default_rng(3)
        chance = rng.choice([0.05, 0.95], 400)
        outcome = (rng.random(400) < np.where(chance > 0.5, 0.7, 0.3)).astype(float)
        found = calibrate(chance, outcome)
        assert found.bins[9].interval.high < 0.95
        assert found.ece.estimate == pytest.approx(0.25, abs=0.05)
        assert found.ece_by_chance < 0.05

    def test_gaps_are_left_out_and_counted(self):
        chance, outcome = np.array([[0.2, NAN], [0.4, 0.6]]), np.array([[0, 1], [NAN, 1.0]])
        found = calibrate(chance, outcome)
        assert (found.n_cells, found.n_posts, found.n_left_out) == (2, 2, 2)
        assert found.brier.estimate == pytest.approx((0.04 + 0.16) / 2)
        assert "no interval" in found.ece.reason
        assert np.isnan(found.bins[5].observed)

    def test_nothing_to_compare_gives_no_number_and_the_reason(self):
        found = calibrate([[NAN]], [[1.0]])
        assert np.isnan([found.ece.estimate, found.brier.estimate, found.p, found.base_rate]).all()
        assert found.ece.reason == "no pair of post and value has a probability and an outcome"
        assert np.isnan(calibrate(np.empty((0, 2)), np.empty((0, 2))).ece.estimate)

    def test_a_probability_of_one_falls_into_the_last_bin(self):
        assert calibrate([1.0, 0.0], [1, 0]).bins[9].n == 1

    @pytest.mark.parametrize(
        ("chance", "outcome", "message"),
        [([1.2], [1], "from 0 to 1"), ([0.2], [3], "compare ratings"), ([0.2], [1, 0], "give both")],
        ids=["probability", "presence", "shapes"],
    )
    def test_malformed_input_is_refused(self, chance, outcome, message):
        with pytest.raises(ValueError, match=message):
            calibrate(chance, outcome)


class TestRankedProbabilityScore:
    def test_it_is_the_sum_of_a_loop(self):
        given, ratings = draw(5), np.random.default_rng(6).integers(0, 7, (40, 3)).astype(float)
        found = ranked_probability_score(given, ratings)
        for post in range(40):
            for value in range(3):
                by_hand = sum(
                    (given[post, value, : k + 1].sum() - (ratings[post, value] <= k)) ** 2 for k in range(6)
                )
                assert found[post, value] == pytest.approx(by_hand / 6)

    def test_a_rating_and_the_distribution_that_is_sure_of_it_are_the_same_truth(self):
        given, ratings = draw(7), np.random.default_rng(8).integers(0, 7, (40, 3))
        sure = np.eye(7)[ratings]
        assert ranked_probability_score(given, sure) == pytest.approx(
            ranked_probability_score(given, ratings)
        )
        assert ranked_probability_score(given, given).max() == 0

    def test_the_far_end_is_worst_and_gaps_stay_gaps(self):
        given = np.array([[[1.0, 0, 0]], [[NAN] * 3], [[0, 1, 0]]])
        found = ranked_probability_score(given, [[3], [1], [NAN]], [1, 2, 3])
        assert found[0] == 1
        assert np.isnan(found[1:]).all()

    def test_a_rating_off_the_scale_is_refused(self):
        with pytest.raises(ValueError, match="truth holds 2.5"):
            ranked_probability_score(draw(9, 1, 1), [[2.5]])


class TestErrorsAndUncertainty:
    def test_it_is_what_scipy_computes(self):
        rng = np.random.default_rng(1)
        unsure = rng.random((80, 3)).round(1)
        errors = unsure + rng.random((80, 3)) * 2
        errors[rng.random(errors.shape) < 0.2] = NAN
        kept = ~np.isnan(errors)
        found = error_uncertainty(errors, unsure, rng=rng)
        assert found.rho.estimate == pytest.approx(spearmanr(errors[kept], unsure[kept])[0])
        assert 0 < found.rho.interval.low < found.rho.estimate < found.rho.interval.high
        assert found.n_cells + found.n_left_out == 240

    @pytest.mark.parametrize(
        ("errors", "unsure", "reason"),
        [
            ([1, 2], [1, 2], "2 pair(s) of post and value have both; an order needs three"),
            ([1, 1, 1], [1, 2, 3], "all errors are the same"),
            ([1, 2, 3], [1, 1, 1], "all uncertainties are the same"),
        ],
        ids=["few", "errors", "uncertainties"],
    )
    def test_no_order_is_no_number_and_the_reason(self, errors, unsure, reason):
        found = error_uncertainty(errors, unsure, rng=np.random.default_rng(0))
        assert np.isnan(found.rho.estimate)
        assert found.rho.reason == reason
