import numpy as np
import pytest
from numpy.testing import assert_array_equal

from modeling.estimators.histogram import few
from modeling.estimators.histogram.few import ReadyForests
from modeling.estimators.histogram.forest import HistogramForest

NAN = np.nan


def draw(n_rows, n_features, *, n_levels=7, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, n_levels, (n_rows, n_features)).astype(float)
    return features, rng.integers(0, 7, n_rows)


def fit(features, target, *, seed=0, n_trees=70):
    return HistogramForest(n_trees=n_trees, seed=seed).fit(features, target)


def one_by_one(forest, posts, raters):
    return np.stack([forest.predict(np.hstack([posts, np.tile(rater, (len(posts), 1))])) for rater in raters])


@pytest.mark.parametrize(
    ("n_posts", "n_raters"), [(1, 1), (100, 1), (1, 300), (65, 3), (0, 2), (3, 0)], ids=str
)
def test_each_forest_predicts_to_the_bit_as_by_itself(n_posts, n_raters):
    features, target = draw(400, 9)
    forests = [fit(features, np.roll(target, k), seed=k, n_trees=70 + k) for k in range(3)]
    posts, raters = draw(n_posts, 5, seed=1)[0], draw(n_raters, 4, seed=2)[0]
    scores = ReadyForests(forests).score(posts, raters)
    assert scores.dtype == np.float32
    assert scores.shape == (3, n_raters, n_posts)
    for forest, own in zip(forests, scores, strict=True):
        for rater in range(min(n_raters, 20)):
            assert_array_equal(own[[rater]], one_by_one(forest, posts, raters[[rater]]))


@pytest.mark.parametrize("n_post_features", [0, 4])
def test_either_side_may_have_no_feature(n_post_features):
    features, target = draw(300, 4)
    forest = fit(features, target)
    posts, raters = features[:7, :n_post_features], features[:3, n_post_features:]
    assert_array_equal(ReadyForests([forest]).score(posts, raters)[0], one_by_one(forest, posts, raters))


def test_forests_may_tell_values_apart_differently():
    features, target = draw(300, 4)
    lacking = np.where(features > 5, NAN, features)
    forests = [fit(features, target), fit(lacking, target), fit(features / 3, target)]
    posts, raters = lacking[:50, :2], lacking[:4, 2:]
    scores = ReadyForests(iter(forests)).score(posts, raters)
    for forest, own in zip(forests, scores, strict=True):
        assert_array_equal(own, one_by_one(forest, posts, raters))


def test_means_of_either_sign_and_many_levels_are_summed_to_the_bit():
    features, target = draw(600, 5, n_levels=250)
    forest = fit(features, (target - 3.0) * 1.3)
    posts, raters = features[:90, :2], features[:3, 2:]
    scores = ReadyForests([forest]).score(posts, raters)[0]
    expected = one_by_one(forest, posts, raters)
    assert (expected < 0).any() and (expected > 0).any()
    assert_array_equal(scores.view(np.uint32), expected.view(np.uint32))


def test_trees_too_large_for_small_nodes_have_larger_ones(monkeypatch):
    features, target = draw(500, 6)
    forest = fit(features, target)
    small = ReadyForests([forest])
    monkeypatch.setattr(few, "SMALL_BITS", 12)
    large = ReadyForests([forest])
    assert large.n_bytes > 1.9 * small.n_bytes
    posts, raters = features[:70, :3], features[:2, 3:]
    assert_array_equal(large.score(posts, raters)[0], one_by_one(forest, posts, raters))


def test_a_node_takes_four_bytes():
    features, target = draw(2000, 6)
    forest = fit(features, target)
    assert 4 <= ReadyForests([forest]).n_bytes / len(forest.trees_.cuts) < 4.2


def test_what_does_not_fit_together_is_refused():
    features, target = draw(50, 4)
    ready = ReadyForests([fit(features, target)])
    with pytest.raises(ValueError, match="the 4 that the forests"):
        ready.score(features[:, :3], features[:, :3])
    with pytest.raises(ValueError, match="two tables"):
        ready.score(features[:, :3], features[:, 3])
    with pytest.raises(ValueError, match="infinite"):
        ready.score(features[:, :3], np.array([[np.inf]]))
    with pytest.raises(ValueError, match="at least one"):
        ReadyForests([])
    with pytest.raises(ValueError, match="4 features, another 3"):
        ReadyForests([fit(features, target), fit(features[:, :3], target)])
