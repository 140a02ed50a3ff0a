import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.tree import DecisionTreeRegressor

from modeling.estimators.histogram.forest import HistogramForest

NAN = np.nan
ONE_TREE = {"n_trees": 1, "max_features": 1.0, "bootstrap": False}


def draw(n=300, n_features=6, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 7, (n, n_features)).astype(float)
    return features, np.clip(np.rint(features[:, 0] - features[:, 1] + rng.normal(2, 1, n)), 0, 6)


def fit(features, target, **settings):
    return HistogramForest(**{"n_trees": 20, "seed": 3} | settings).fit(features, target)


def same_trees(one, other):
    parts = ("starts", "split_features", "cuts", "lefts", "means")
    return all(np.array_equal(getattr(one.trees_, part), getattr(other.trees_, part)) for part in parts)


# ---- the rules


@pytest.mark.parametrize("min_rows", [1, 5, 40])
@pytest.mark.parametrize("kind", ["whole", "gaps", "decimals"])
def test_one_tree_on_all_rows_and_features_is_scikit_learns(kind, min_rows):
    # Both leave a node of at most `min_rows` rows whole, whatever the sizes of the sides of a split. Targets
    # are such that two splits gain the same only if they part the fitted rows alike.
    rng = np.random.default_rng(5)
    features = rng.integers(0, 7, (400, 8)).astype(float)
    if kind == "gaps":
        features = features**3 - 40  # from -40 to 176, most numbers between unused
    if kind == "decimals":
        features = features * 0.3 + 0.05
    target = features[:, 0] * features[:, 1] + rng.normal(0, 3, 400)
    ours = fit(features, target, min_rows_in_leaf=min_rows, **ONE_TREE)
    theirs = DecisionTreeRegressor(min_samples_split=min_rows + 1, random_state=0).fit(features, target)
    assert len(ours.trees_.cuts) == theirs.tree_.node_count
    assert_allclose(ours.predict(features), theirs.predict(features), rtol=2e-6, atol=1e-6)


def test_unseen_whole_numbers_fall_to_the_nearer_side_as_in_scikit_learn():
    rng = np.random.default_rng(8)
    features = rng.choice([0.0, 1, 5, 6, 11, 30], (500, 2))
    target = features @ [1.0, -0.37] + rng.normal(0, 4, 500)
    every = np.stack(np.meshgrid(np.arange(-3.0, 35), np.arange(-3.0, 35)), axis=-1).reshape(-1, 2)
    ours = fit(features, target, min_rows_in_leaf=30, **ONE_TREE)
    theirs = DecisionTreeRegressor(min_samples_split=31, random_state=0).fit(features, target)
    assert_allclose(ours.predict(every), theirs.predict(every), rtol=2e-6, atol=1e-6)


def test_rows_drawn_twice_count_twice_towards_the_size_of_a_node():
    features, target = np.arange(6.0)[:, None], np.arange(6.0)
    grown = fit(features, target, n_trees=200, min_rows_in_leaf=5)
    # Six draws hit six different rows once in 65 times; a node of six draws is split all the same.
    assert (np.diff(grown.trees_.starts) > 1).mean() > 0.95
    whole = fit(features, target, n_trees=200, min_rows_in_leaf=6)
    assert (np.diff(whole.trees_.starts) == 1).all()


def test_each_tree_draws_as_many_rows_as_there_are_with_replacement():
    target = np.arange(50.0)
    means = fit(np.zeros((50, 1)), target, n_trees=4000).trees_.means  # nothing to split on: one leaf a tree
    assert len(means) == 4000
    assert means.mean() == pytest.approx(24.5, abs=4 * np.sqrt(target.var() / 50 / 4000))
    assert means.var() == pytest.approx(target.var() / 50, rel=0.1)
    assert len(np.unique(means)) > 300


def test_features_are_drawn_anew_at_each_node_and_all_alike():
    rng = np.random.default_rng(1)
    features = rng.integers(0, 7, (200, 6)).astype(float)
    trees = fit(features, rng.integers(0, 7, 200), n_trees=1200, max_features=1 / 6).trees_
    at_root = np.bincount(trees.split_features[trees.starts[:-1]], minlength=6)
    assert abs(at_root - 200).max() < 4.5 * np.sqrt(200 * 5 / 6)
    below = [trees.split_features[start + 1] for start in trees.starts[:-1]]
    assert (np.array(below) != trees.split_features[trees.starts[:-1]]).mean() > 0.6


@pytest.mark.parametrize(("share", "n_tried"), [(1 / 3, 2), (0.01, 1), (1.0, 6)])
def test_the_share_of_features_tried_is_rounded_down_but_never_to_none(share, n_tried):
    # Feature 0 tells all, the others nothing: it is the root's unless it was not tried.
    rng = np.random.default_rng(2)
    features = rng.integers(0, 7, (80, 6)).astype(float)
    trees = fit(features, features[:, 0], n_trees=900, max_features=share).trees_
    found = (trees.split_features[trees.starts[:-1]] == 0).mean()
    assert found == pytest.approx(n_tried / 6, abs=0.06)


# ---- the whole forest


def test_the_number_of_threads_changes_no_bit():
    features, target = draw()
    alone = fit(features, target)
    for n_threads in (2, 5):
        other = fit(features, target, n_threads=n_threads)
        assert same_trees(alone, other)
        assert_array_equal(alone.decreases_, other.decreases_)
        many = np.tile(features, (5, 1))
        assert_array_equal(alone.predict(many), other.predict(many))


def test_a_seed_repeats_the_forest_and_another_gives_another():
    features, target = draw()
    assert same_trees(fit(features, target), fit(features, target))
    assert not same_trees(fit(features, target), fit(features, target, seed=4))


def test_more_trees_begin_with_the_same_trees():
    features, target = draw()
    few, many = fit(features, target, n_trees=3).trees_, fit(features, target, n_trees=9).trees_
    assert_array_equal(few.means, many.means[: few.starts[-1]])


def test_a_prediction_is_the_mean_of_the_leaves_a_row_reaches():
    features, target = draw(80)
    forest = fit(features, target, n_trees=7)
    trees = forest.trees_
    for row, predicted in zip(features[:10], forest.predict(features[:10]), strict=True):
        total = np.float32(0)
        for start in trees.starts[:-1]:
            node = start
            while trees.split_features[node] >= 0:
                goes_right = row[trees.split_features[node]] > trees.cuts[node]  # levels are 0 to 6 here
                node = start + trees.lefts[node] + int(goes_right)
            total += trees.means[node]
        assert predicted == total / np.float32(7)


def test_the_target_is_learnt_and_predictions_stay_within_it():
    features, target = draw(600)
    predicted = fit(features[:400], target[:400], n_trees=60).predict(features[400:])
    assert np.corrcoef(predicted, target[400:])[0, 1] > 0.8
    assert target.min() <= predicted.min() <= predicted.max() <= target.max()


@pytest.mark.parametrize("unit", [1, 0.1, -1e16])
def test_importances_are_the_squared_error_that_the_splits_removed(unit):
    features, target = draw()
    target = target * unit
    forest = fit(features, target, min_rows_in_leaf=20, **ONE_TREE)
    left = ((target - forest.predict(features)) ** 2).sum()
    assert forest.importances().sum() == pytest.approx(((target - target.mean()) ** 2).sum() - left, rel=1e-5)
    shares = fit(features, target).importances(normalized=True)
    assert shares.sum() == pytest.approx(1)
    assert set(np.argsort(shares)[-2:]) == {0, 1}


# ---- levels


def test_missing_lies_below_every_value_and_can_be_told_apart():
    features = np.array([NAN] * 10 + [0.0] * 10 + [3.0] * 10)[:, None]
    forest = fit(features, [5] * 10 + [0] * 10 + [1] * 10, **ONE_TREE)
    assert_array_equal(forest.predict([[NAN], [0], [3], [-9]]), [5, 0, 1, 0])


def test_missing_where_none_was_before_is_taken_as_the_lowest():
    forest = fit([[2.0]] * 10 + [[4.0]] * 10, [1] * 10 + [6] * 10, **ONE_TREE)
    assert_array_equal(forest.predict([[NAN], [3], [4]]), [1, 1, 6])


def test_a_feature_that_nobody_has_is_never_split_on():
    features, target = draw()
    features[:, 2] = NAN
    forest = fit(features, target)
    assert not (forest.trees_.split_features == 2).any()
    features[:, 2] = 4
    assert np.isfinite(forest.predict(features)).all()


def test_values_between_levels_go_to_the_nearer():
    forest = fit([[0.1]] * 10 + [[0.7]] * 10, [1] * 10 + [6] * 10, **ONE_TREE)
    assert_array_equal(forest.predict([[0.39], [0.41], [-5], [5]]), [1, 6, 1, 6])


def test_values_midway_between_levels_go_to_the_lower():
    forest = fit([[0.25]] * 10 + [[0.75]] * 10, [1] * 10 + [6] * 10, **ONE_TREE)
    assert_array_equal(forest.predict([[0.5]]), [1])


def test_at_most_255_values_are_told_apart():
    values = np.arange(255) / 3
    assert len(fit(values[:, None], values).levels_[0]) == 255
    too_many = np.arange(256) / 3
    with pytest.raises(ValueError, match="feature 1 has 256 different values"):
        fit(np.stack([too_many.round(), too_many], axis=1), too_many)


@pytest.mark.parametrize(("highest", "n_levels"), [(254, 255), (255, 2)])
def test_whole_numbers_have_those_between_as_levels_while_a_byte_can_hold_them(highest, n_levels):
    features = [[NAN]] * 8 + [[0.0]] * 8 + [[highest]] * 8
    forest = fit(features, [9] * 8 + [1] * 8 + [6] * 8, **ONE_TREE)
    assert len(forest.levels_[0]) == 1 + n_levels
    assert_array_equal(forest.predict([[NAN], [0], [highest / 2 - 1], [highest / 2 + 1]]), [9, 1, 1, 6])


def test_255_values_and_missing_ones_fit_a_byte():
    values = np.r_[NAN, np.arange(255) / 3]
    target = np.r_[500, np.arange(255)]
    forest = fit(values[:, None], target, min_rows_in_leaf=1, **ONE_TREE)
    assert_array_equal(forest.predict(values[:, None]), target)


def test_too_many_values_become_quantiles_on_request():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(2000, 2))
    forest = fit(features, features[:, 0], bins="quantiles", max_features=1.0)
    assert [len(levels) for levels in forest.levels_] == [255, 255]
    assert np.corrcoef(forest.predict(features), features[:, 0])[0, 1] > 0.98


# ---- what hardly is data


@pytest.mark.parametrize(
    ("features", "target", "expected"),
    [
        ([[0.0], [6.0], [3.0]], [2, 2, 2], 2),
        ([[4.0, NAN]], [5], 5),
        ([[2.0, 2.0]] * 8, [0, 6, 0, 6, 0, 6, 0, 6], 3),
        ([[0.0], [1.0], [2.0], [3.0], [4.0]], [0, 0, 0, 0, 5], 1),
        ([[0.0], [6.0]] * 4, [-(2.0**40)] * 8, -(2.0**40)),
    ],
    ids=["constant target", "one row", "constant features", "no more rows than a leaf", "constant and large"],
)
def test_where_nothing_can_be_split_the_mean_is_predicted(features, target, expected):
    forest = fit(features, target, bootstrap=False)
    assert_array_equal(forest.predict(features), np.float32(expected))
    assert (np.diff(forest.trees_.starts) == 1).all()
    assert np.isnan(forest.importances(normalized=True)).all()
    assert (forest.importances() == 0).all()


@pytest.mark.parametrize(
    ("features", "target", "message"),
    [
        ([[1.0], [2.0]], [1, NAN], "target is nan in row 1"),
        ([[1.0], [2.0]], [1, 2, 3], "target has shape"),
        ([[1.0], [np.inf]], [1, 2], "feature 0 is infinite in row 1"),
        ([1.0, 2.0], [1, 2], "1 dimensions"),
        (np.empty((0, 3)), [], "needs rows"),
        (np.empty((2, 0)), [1, 2], "needs rows"),
        ([[1.0], [2.0]], [0, 1e40], "rescale"),
        ([[1.0], [2.0]], [0, 1e-40], "rescale"),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, target, message):
    with pytest.raises(ValueError, match=message):
        fit(features, target)


@pytest.mark.parametrize(
    "setting",
    [
        {"n_trees": 0},
        {"max_features": 0},
        {"max_features": NAN},
        {"min_rows_in_leaf": 0},
        {"seed": -1},
        {"n_threads": 0},
        {"bins": "some"},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_by_name(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        HistogramForest(**setting)


@pytest.mark.parametrize("n_columns", [5, 7])
def test_other_columns_than_fitted_are_refused(n_columns):
    with pytest.raises(ValueError, match="fitted to 6"):
        fit(*draw(50)).predict(np.zeros((2, n_columns)))


def test_no_row_gives_no_prediction():
    assert fit(*draw(50)).predict(np.empty((0, 6))).shape == (0,)
