import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import HistGradientBoostingRegressor

from modeling.estimators.histogram.boosting import (
    MAX_BINS,
    BoostSettings,
    as_forest,
    boost,
    encode,
    find_levels,
    squared_errors,
)
from modeling.estimators.histogram.files import pack_forest, unpack_forest

ALL = BoostSettings(row_share=1.0, feature_share=1.0, penalty=0.0)


def draw(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 7, (n, 6)).astype(float)
    target = features[:, 0] - 0.5 * features[:, 1] * (features[:, 2] > 3) + rng.normal(0, 1, n)
    return features, target


def fit(features, target, n_rounds=80, settings=ALL, seed=1):
    levels = find_levels(features)
    trees, decreases = boost(encode(features, levels), levels, target, n_rounds, settings, seed)
    return as_forest(levels, trees, decreases, seed), trees, levels


def test_one_tree_is_the_one_that_lowers_the_error_most_split_by_split():
    # Two splits: the first on feature 0, where the means differ most, the second within its right side.
    features = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10, float)
    target = np.array([0, 0, 4, 6] * 10, float)
    forest, trees, _ = fit(features, target, 1, BoostSettings(1.0, 3, 1, 1.0, 1.0, 0.0))
    assert_array_equal(trees.split_features, [0, -1, 1, -1, -1])
    assert_allclose(forest.predict(features), target, atol=1e-6)


def test_held_out_error_is_that_of_scikit_learns_boosting():
    features, target = draw(3000)
    new = slice(2000, None)
    forest, _, _ = fit(
        features[:2000], target[:2000], n_rounds=30, settings=BoostSettings(0.2, 8, 20, 1.0, 1.0, 0.0)
    )
    theirs = HistGradientBoostingRegressor(
        learning_rate=0.2, max_iter=30, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False
    ).fit(features[:2000], target[:2000])
    errors = [np.square(model.predict(features[new]) - target[new]) for model in (forest, theirs)]
    difference = errors[0] - errors[1]
    assert abs(difference.mean()) < 2 * difference.std() / np.sqrt(1000) + 0.002
    assert errors[0].mean() < 1.15  # of noise with variance one


def test_more_trees_never_fit_the_rows_worse():
    features, target = draw(500)
    forest, trees, levels = fit(features, target, 40)
    errors = squared_errors(encode(features, levels), target, trees)
    assert (np.diff(errors) < 1e-6).all()
    assert errors[0] == pytest.approx(np.square(target).sum())
    assert errors[-1] == pytest.approx(np.square(target - forest.predict(features)).sum(), rel=1e-4)


def test_leaves_keep_the_fewest_rows_and_trees_the_most_leaves():
    features, target = draw(400)
    _, trees, levels = fit(features, target, 5, BoostSettings(0.1, 6, 50, 1.0, 1.0, 0.0))
    codes = encode(features, levels)
    for tree in range(5):
        nodes = np.zeros(400, int) + trees.starts[tree]
        for _ in range(6):
            split = trees.split_features[nodes]
            right = codes[np.arange(400), np.maximum(split, 0)] > trees.cuts[nodes]
            nodes = np.where(split < 0, nodes, trees.starts[tree] + trees.lefts[nodes] + right)
        assert 2 <= len(np.unique(nodes)) <= 6
        assert np.bincount(nodes)[np.unique(nodes)].min() >= 50


def test_the_penalty_draws_leaves_towards_zero():
    features, target = draw(400)
    free, bound = (
        fit(features, target + 5, 1, BoostSettings(1.0, 2, 1, 1.0, 1.0, p))[0] for p in (0.0, 400.0)
    )
    assert 0 < bound.predict(features).mean() < 0.6 * free.predict(features).mean()


def test_a_seed_repeats_the_trees_and_another_changes_them():
    features, target = draw(500)
    one, same, other = (
        fit(features, target, 20, BoostSettings(), seed)[0].predict(features) for seed in (1, 1, 2)
    )
    assert_array_equal(one, same)
    assert (one != other).any()


def test_missing_values_are_told_apart_from_the_lowest():
    features, target = draw(2000)
    features[::3, 3] = np.nan
    target = target + 3 * np.isnan(features[:, 3])
    forest, _, _ = fit(features, target, 100)
    residuals = target - forest.predict(features)
    assert abs(residuals[::3].mean()) < 0.1


def test_many_different_values_are_taken_as_quantiles():
    rng = np.random.default_rng(0)
    levels = find_levels(np.column_stack([rng.normal(size=1000), np.where(np.arange(1000) < 9, np.nan, 1.0)]))
    assert len(levels[0]) == MAX_BINS - 1
    assert np.isnan(levels[1][0]) and len(levels[1]) == 2


def test_no_rounds_say_zero_and_a_boosted_forest_survives_its_file():
    features, target = draw(300)
    nothing, _, _ = fit(features, target, 0)
    assert_array_equal(nothing.predict(features), 0)
    forest, _, _ = fit(features, target, 10)
    names = list("abcdef")
    for each in (nothing, forest):
        again = unpack_forest(pack_forest(each, names)).forest
        assert_array_equal(again.predict(features), each.predict(features))


def test_a_constant_target_and_a_single_row_are_fitted():
    features, _ = draw(50)
    forest, _, _ = fit(features, np.full(50, 2.0), 30, BoostSettings(0.5, 4, 1, 1.0, 1.0, 0.0))
    assert_allclose(forest.predict(features), 2.0, atol=1e-5)
    fit(features[:1], np.ones(1), 2)
