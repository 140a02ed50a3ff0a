import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from modeling.estimators.blending import Medians, choose_blend, prediction_intervals
from modeling.stats.spearman import spearman_rows

NAN = np.nan


def draw(n_raters=40, n_rows_each=20, seed=0):
    """A truth, ratings around it, and predictors that err by as much as is asked for."""
    rng = np.random.default_rng(seed)
    n = n_raters * n_rows_each
    truth = rng.normal(3, 1, (n, 6))
    ratings = np.clip(np.rint(truth + rng.normal(0, 0.5, truth.shape)), 0, 6)
    raters, posts = np.repeat(np.arange(n_raters), n_rows_each), rng.integers(0, 60, n)
    return ratings, raters, posts, lambda sd: truth + rng.normal(0, sd, truth.shape)


def choose(predictions, ratings, raters, posts, seed=1):
    return choose_blend(predictions, ratings, raters, posts, rng=np.random.default_rng(seed))


# ---- weights


def test_predictors_that_err_apart_share_the_weight_and_beat_each_of_them():
    ratings, raters, posts, err = draw()
    blend = choose({"text": err(1.5), "one": err(0.8), "other": err(0.8)}, ratings, raters, posts)
    assert blend.weights[1:] == pytest.approx([0.45, 0.45], abs=0.1)
    assert blend.weights.sum() == pytest.approx(1)
    assert blend.rho[-1] > blend.rho[:-1].max()
    assert blend.mae[-1] < blend.mae[:-1].min()
    assert blend.names == ("text", "one", "other")


def test_the_consensus_stands_alone_where_nothing_is_better():
    ratings, raters, posts, err = draw()
    consensus = err(0.2)
    blend = choose({"text": consensus, "forest": consensus + err(1) - 3}, ratings, raters, posts)
    assert blend.weights[0] > 0.95
    worse = choose({"text": consensus, "forest": consensus + 2}, ratings, raters, posts)
    assert_array_equal(worse.weights, [1, 0])
    assert worse.reason.startswith("The consensus alone")


def test_a_predictor_that_knows_the_level_but_ranks_badly_is_kept_from_spoiling_the_order():
    # It errs less by squares, as it tells lenient raters from strict ones.
    ratings, raters, posts, err = draw()
    level = np.random.default_rng(3).normal(0, 3, 40)[raters][:, None]
    blend = choose({"text": err(0.6), "level": level + err(1.8)}, ratings + level, raters, posts)
    assert 0 < blend.weights[1] < 0.8
    assert "back to the consensus" in blend.reason
    assert blend.rho[2] > blend.rho[1] + 0.1
    assert blend.mse[2] < blend.mse[0]


def test_the_same_rng_gives_the_same_blend_and_rows_may_come_in_any_order():
    ratings, raters, posts, err = draw()
    members = {"text": err(1.2), "forest": err(0.9)}
    one = choose(members, ratings, raters, posts)
    order = np.random.default_rng(5).permutation(len(ratings))
    other = choose({k: p[order] for k, p in members.items()}, ratings[order], raters[order], posts[order])
    assert_allclose(one.weights, other.weights)
    assert_allclose(one.rho, other.rho)


def test_missing_numbers_are_left_out_and_counted():
    ratings, raters, posts, err = draw()
    members = {"text": err(1.5), "forest": err(0.8)}
    ratings[0] = 3  # no order
    ratings[1:5, 2] = NAN
    members["text"][7] = NAN
    blend = choose(members, ratings, raters, posts)
    assert np.isfinite(blend.weights).all()
    assert blend.n_rows == 800
    assert blend.n_undefined >= 2
    blended = blend.predict(members)
    assert_allclose(blended[7], blend.medians.apply(members["forest"][7]))
    nobody = blend.predict({name: np.full((1, 6), NAN) for name in members})
    assert np.isnan(nobody).all()


def test_without_a_shared_rating_or_another_member_the_consensus_is_served():
    ratings, raters, posts, err = draw()
    nothing = np.full_like(ratings, NAN)
    for members in ({"text": err(1)}, {"text": err(1), "forest": nothing}):
        blend = choose(members, ratings, raters, posts)
        assert blend.weights[0] == 1
        assert blend.reason.startswith("The consensus alone")


def test_a_single_rater_is_no_ground_to_leave_the_consensus():
    ratings, _, posts, err = draw()
    blend = choose({"text": err(2), "forest": err(0.1)}, ratings, np.zeros(800, int), posts)
    assert_array_equal(blend.weights, [1, 0])


def test_rows_that_do_not_fit_are_refused():
    ratings, raters, posts, err = draw()
    with pytest.raises(ValueError, match="same rows"):
        choose({"text": err(1)[:5]}, ratings, raters, posts)
    with pytest.raises(ValueError, match="at least one member"):
        choose({}, ratings, raters, posts)


# ---- medians


def test_medians_lower_the_absolute_error_of_ratings_that_are_mostly_zero_and_keep_the_order():
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.2, 3, (600, 8))
    ratings = np.where(rng.random(mean.shape) < 0.7 - 0.2 * mean, 0, np.rint(mean * 1.5))
    blend = choose({"text": mean}, ratings, np.repeat(np.arange(60), 10), np.tile(np.arange(10), 60))
    assert len(blend.medians.means) > 1
    medians = blend.medians.apply(mean)
    assert np.abs(medians - ratings).mean() < 0.9 * np.abs(mean - ratings).mean()
    assert_allclose(spearman_rows(medians, mean), 1)


def test_without_knots_means_are_left_as_they_are():
    predicted = np.array([[1.0, NAN]])
    assert Medians(np.zeros(0), np.zeros(0)).apply(predicted) is predicted


# ---- intervals


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_intervals_cover_the_share_of_new_ratings_they_promise(coverage):
    rng = np.random.default_rng(0)
    predicted = rng.uniform(0, 50, 4000)
    ratings = predicted + rng.normal(0, 1 + predicted / 10)
    intervals = prediction_intervals(predicted[:2000], ratings[:2000], scale=(-100, 100), coverage=coverage)
    low, high = intervals.apply(predicted[2000:])
    inside = (low <= ratings[2000:]) & (ratings[2000:] <= high)
    assert inside.mean() == pytest.approx(coverage, abs=0.03)
    # Where ratings scatter more the intervals are wider, so both ends are covered alike.
    assert inside[predicted[2000:] > 40].mean() == pytest.approx(coverage, abs=0.08)


def test_few_ratings_share_one_interval_and_too_few_have_the_whole_scale():
    rng = np.random.default_rng(1)
    some = prediction_intervals(rng.random(60), rng.random(60), scale=(0, 6))
    assert some.starts.size == 0
    few = prediction_intervals(np.full(3, 2.0), np.array([1.0, 2, 3]), scale=(0, 6))
    low, high = few.apply(np.array([2.0, NAN]))
    assert_array_equal(low, [0, NAN])
    assert_array_equal(high, [6, NAN])


def test_missing_ratings_do_not_move_intervals():
    rng = np.random.default_rng(2)
    predicted, ratings = rng.random(500), rng.random(500)
    gaps = np.r_[ratings, np.full(50, NAN)], np.r_[predicted, rng.random(50)]
    one = prediction_intervals(predicted, ratings, scale=(0, 1))
    other = prediction_intervals(gaps[1], gaps[0], scale=(0, 1))
    assert_array_equal(one.below, other.below)


def test_equal_predictions_share_a_bin():
    predicted = np.repeat([1.0, 2.0], 500)
    intervals = prediction_intervals(predicted, predicted + np.tile([-1.0, 1.0], 500), scale=(0, 6))
    assert_array_equal(intervals.starts, [2.0])


def test_a_coverage_out_of_range_is_refused():
    with pytest.raises(ValueError, match="coverage"):
        prediction_intervals(np.zeros(3), np.zeros(3), scale=(0, 6), coverage=80)
    with pytest.raises(ValueError, match="shape"):
        prediction_intervals(np.zeros(3), np.zeros(4), scale=(0, 6))


def test_what_ranks_as_the_consensus_and_errs_less_is_fallen_back_on():
    rng = np.random.default_rng(3)
    raters, posts = np.repeat(np.arange(40), 10), np.tile(np.arange(10), 40)
    consensus = rng.uniform(1, 5, (10, 5))[posts]
    level = rng.normal(0, 1, 40)[raters][:, None]
    ratings = consensus + level + rng.normal(0, 0.5, consensus.shape)
    moved = consensus + 0.9 * level
    disordered = ratings.mean(axis=1, keepdims=True) + rng.normal(0, 0.3, consensus.shape)
    predictions = {"plain": consensus, "disordered": disordered, "moved": moved}
    blend = choose_blend(predictions, ratings, raters, posts, rng=np.random.default_rng(1), alike="moved")
    rho = dict(zip((*blend.names, "blend"), blend.rho, strict=True))
    assert rho["blend"] >= rho["plain"]
    assert blend.mse[-1] < blend.mse[0]
    worse = {"plain": consensus, "disordered": consensus[:, ::-1] + level, "moved": moved}
    alone = choose_blend(worse, ratings, raters, posts, rng=np.random.default_rng(1), alike="moved")
    np.testing.assert_allclose(alone.rho[-1], alone.rho[0])
