import numpy as np
import pytest
from scipy.spatial import procrustes

from modeling.stats.circumplex import fit_circle, theoretical_angles, value_correlations
from modeling.stats.congruence import congruence_interval, congruence_test

NAN = float("nan")


def on_circle(rng, n_posts, n_values, noise=0.5):
    turns = rng.uniform(0, 2 * np.pi, (n_posts, 1))
    return np.cos(turns - np.radians(theoretical_angles(n_values))) + rng.normal(
        0, noise, (n_posts, n_values)
    )


def test_ratings_on_the_circle_fit_better_than_any_random_order():
    rng = np.random.default_rng(1)
    correlations = value_correlations(on_circle(rng, 300, 12)).correlations
    found = congruence_test(correlations, rng=rng, n_permutations=199)
    assert found.congruence == fit_circle(correlations).congruence > found.high
    assert found.p == 1 / 200


def test_the_range_is_that_of_fits_made_anew_with_the_values_in_other_orders():
    rng = np.random.default_rng(2)
    correlations = value_correlations(rng.normal(size=(60, 8))).correlations
    found = congruence_test(correlations, rng=rng, n_permutations=2000)
    anew = []
    for _ in range(400):
        order = rng.permutation(8)
        anew.append(fit_circle(correlations[np.ix_(order, order)]).congruence)
    assert found.expected == pytest.approx(np.mean(anew), abs=0.03)
    assert (found.low, found.high) == pytest.approx(np.quantile(anew, [0.025, 0.975]), abs=0.06)


def test_values_without_structure_seldom_seem_to_have_one():
    rng = np.random.default_rng(3)
    p = [
        congruence_test(
            value_correlations(rng.normal(size=(40, 7))).correlations, rng=rng, n_permutations=99
        ).p
        for _ in range(150)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.1


def test_the_congruence_is_scipys_also_where_values_are_left_out():
    rng = np.random.default_rng(4)
    ratings = on_circle(rng, 100, 7)
    ratings[:, 3] = 1
    fit = fit_circle(value_correlations(ratings).correlations)
    found = congruence_test(value_correlations(ratings).correlations, rng=rng, n_permutations=50)
    kept = np.delete(np.arange(7), 3)
    places = np.radians(theoretical_angles(7)[kept])
    disparity = procrustes(np.column_stack([np.cos(places), np.sin(places)]), fit.points[kept])[2]
    assert found.congruence == pytest.approx(np.sqrt(1 - disparity))
    assert found.n_values == 6


def test_below_four_values_there_is_no_test():
    found = congruence_test(np.eye(3), rng=np.random.default_rng(0))
    assert np.isnan(found.p)
    assert "from four" in found.reason


class TestInterval:
    def test_it_is_wider_with_fewer_posts_and_reaches_around_the_estimate(self):
        rng = np.random.default_rng(5)
        ratings = on_circle(rng, 400, 8, noise=1.5)
        many = congruence_interval(ratings, np.arange(400), rng=rng, n_resamples=60)
        few = congruence_interval(ratings[:40], np.arange(40), rng=rng, n_resamples=60)
        expected = fit_circle(value_correlations(ratings).correlations).congruence
        assert many.estimate == pytest.approx(expected, abs=1e-12)
        assert many.interval.low < many.estimate
        assert few.interval.high - few.interval.low > many.interval.high - many.interval.low

    def test_rows_of_a_post_are_drawn_together(self):
        rng = np.random.default_rng(6)
        ratings = on_circle(rng, 30, 6, noise=2)
        alone = congruence_interval(ratings, np.arange(30), rng=np.random.default_rng(1), n_resamples=80)
        tripled = np.repeat(ratings, 3, axis=0)
        together = congruence_interval(
            tripled, np.repeat(np.arange(30), 3), rng=np.random.default_rng(1), n_resamples=80
        )
        assert together.interval.low == pytest.approx(alone.interval.low)
        assert together.interval.n_units == 30

    def test_gaps_are_correlated_over_the_rows_that_have_both_values(self):
        rng = np.random.default_rng(8)
        ratings = np.round(on_circle(rng, 60, 6))
        ratings[rng.random(ratings.shape) < 0.1] = NAN
        found = congruence_interval(ratings, np.arange(60), rng=rng, n_resamples=20)
        assert found.estimate == fit_circle(value_correlations(ratings).correlations).congruence
        assert found.interval.low < found.estimate

    def test_few_posts_have_no_interval(self):
        rng = np.random.default_rng(7)
        found = congruence_interval(
            on_circle(rng, 30, 5), np.repeat(np.arange(3), 10), rng=rng, n_resamples=5
        )
        assert np.isnan(found.interval.low)
        assert "3 post(s)" in found.reason

    def test_one_post_per_row_is_asked_for(self):
        with pytest.raises(ValueError, match="one post for each of 2"):
            congruence_interval([[1, 2], [2, 1]], [0], rng=np.random.default_rng(0))
