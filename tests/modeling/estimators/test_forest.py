import numpy as np
import pytest

from modeling.estimators.forest import ForestPerValue

NAN = np.nan


def draw_features(n=60, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.uniform(0, 6, (n, 4))
    return features, np.round(features[:, :2] * 0.8 + rng.uniform(0, 1, (n, 2)))


def fit_predict(features, ratings, wanted, **settings):
    return ForestPerValue(**{"n_trees": 15, "seed": 2} | settings).fit_predict(features, ratings, wanted)


def test_each_value_is_learnt_from_the_features_and_stays_within_what_was_rated():
    features, ratings = draw_features(300)
    (predicted,) = fit_predict(features[:200], ratings[:200], [features[200:]], n_trees=40)
    assert predicted.shape == (100, 2)
    for value in range(2):
        assert np.corrcoef(predicted[:, value], ratings[200:, value])[0, 1] > 0.8
    assert ratings.min() <= predicted.min() <= predicted.max() <= ratings.max()


def test_the_number_of_threads_does_not_change_one_bit():
    features, ratings = draw_features()
    wanted = np.random.default_rng(9).uniform(0, 6, (2500, 4))  # more than one thread's share of rows
    alone = ForestPerValue(n_jobs=1, n_trees=30)
    first = alone.fit_predict(features, ratings, [wanted])[0]
    for n_jobs in (2, 3, 8, -1, 8):
        forest = ForestPerValue(n_jobs=n_jobs, n_trees=30)
        np.testing.assert_array_equal(forest.fit_predict(features, ratings, [wanted])[0], first)
        np.testing.assert_array_equal(forest.importances_, alone.importances_)


def test_another_seed_gives_another_forest():
    features, ratings = draw_features()
    one, other = (fit_predict(features, ratings, [features], seed=seed)[0] for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_a_value_is_fitted_to_the_rows_that_have_it():
    features, ratings = draw_features()
    ratings[:25, 1] = NAN
    forest = ForestPerValue(n_trees=5)
    both, nothing = forest.fit_predict(features, ratings, [features, features[:0]])
    assert forest.n_rows_ == [60, 35]
    assert not np.isnan(both).any()
    assert nothing.shape == (0, 2)
    again = ForestPerValue(n_trees=5).fit_predict(features[25:], ratings[25:], [features])[0]
    np.testing.assert_array_equal(again[:, 1], both[:, 1])


def test_a_value_that_nobody_rated_is_refused():
    features, ratings = draw_features()
    ratings[:, 1] = NAN
    with pytest.raises(ValueError, match="value 1 has no rating"):
        fit_predict(features, ratings, [features])


@pytest.mark.parametrize("fitted_with_gaps", [True, False])
def test_missing_features_get_a_prediction_whether_or_not_any_were_missing_before(fitted_with_gaps):
    features, ratings = draw_features()
    gaps = features.copy()
    gaps[::3, 0] = NAN
    gaps[:, 3] = NAN  # an answer that nobody gave
    (predicted,) = fit_predict(gaps if fitted_with_gaps else features, ratings, [gaps])
    assert not np.isnan(predicted).any()


def test_progress_is_reported_value_by_value():
    features, ratings = draw_features()
    told = []
    ForestPerValue(n_trees=2).fit_predict(
        features, ratings, [features], report=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 2), (2, 2)]


def test_constant_ratings_are_predicted_as_they_are():
    features, ratings = draw_features()
    (predicted,) = fit_predict(features, np.full_like(ratings, 3), [features])
    assert (predicted == 3).all()


def test_importance_goes_to_the_features_that_a_value_follows():
    features, ratings = draw_features(200)
    forest = ForestPerValue(n_trees=20)
    forest.fit_predict(features, ratings, [features[:1]])
    assert forest.importances_.shape == (2, 4)
    assert (forest.importances_ >= 0).all()
    np.testing.assert_allclose(forest.importances_.sum(axis=1), 1)
    assert list(forest.importances_.argmax(axis=1)) == [0, 1]
    assert (forest.importances_.max(axis=1) > 0.5).all()


def test_where_no_tree_can_split_no_feature_has_an_importance():
    features, ratings = draw_features()
    ratings[:, 1] = 3
    forest = ForestPerValue(n_trees=5)
    forest.fit_predict(features, ratings, [features])
    assert np.isnan(forest.importances_[1]).all()
    assert forest.importances_[0].sum() == pytest.approx(1)
