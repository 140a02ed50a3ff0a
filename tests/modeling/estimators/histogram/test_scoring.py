import numpy as np
import pytest
from numpy.testing import assert_array_equal

from modeling.estimators.histogram import scoring
from modeling.estimators.histogram.forest import HistogramForest
from modeling.estimators.histogram.lanes import has_wide_registers
from modeling.estimators.histogram.scoring import score_all_pairs

NAN = np.nan


@pytest.fixture(params=["portable", "wide"])
def kernel(request):
    if request.param == "wide" and not has_wide_registers():
        pytest.skip("this processor has no AVX-512, or Numba does not compile for it")
    return request.param


def draw(n_post_features, n_rater_features, *, n_posts=300, n_raters=9, seed=0):
    rng = np.random.default_rng(seed)
    posts = rng.integers(0, 7, (n_posts, n_post_features)).astype(float)
    raters = rng.integers(0, 7, (n_raters, n_rater_features)).astype(float)
    return posts, raters


def fit(n_features, *, n_trees=12, seed=0):
    rng = np.random.default_rng(seed + 100)
    features = rng.integers(0, 7, (400, n_features)).astype(float)
    features[rng.random(features.shape) < 0.05] = NAN
    target = np.nan_to_num(features[:, :1] + features[:, -1:]).sum(axis=1) / 2 + rng.integers(0, 2, 400)
    return HistogramForest(n_trees=n_trees, seed=seed).fit(features, np.floor(np.clip(target, 0, 6)))


def pair_by_pair(forest, posts, raters):
    pairs = [np.hstack([posts, np.tile(rater, (len(posts), 1))]) for rater in raters]
    return np.stack([forest.predict(pair) for pair in pairs])


@pytest.mark.parametrize(
    ("n_post_features", "n_rater_features"), [(19, 0), (19, 2), (19, 25), (1, 25), (0, 25)], ids=str
)
def test_every_pair_is_scored_to_the_bit_as_one_by_one(n_post_features, n_rater_features, kernel):
    posts, raters = draw(n_post_features, n_rater_features)
    if n_post_features:
        posts[3, 0] = NAN
    forest = fit(n_post_features + n_rater_features)
    scores = score_all_pairs(forest, posts, raters, kernel=kernel)
    assert scores.dtype == np.float32
    assert_array_equal(scores, pair_by_pair(forest, posts, raters))


def test_means_of_either_sign_and_of_zero_are_summed_to_the_bit(kernel):
    rng = np.random.default_rng(4)
    features = rng.integers(0, 3, (200, 4)).astype(float)
    forest = HistogramForest(n_trees=9).fit(features, rng.choice([-1.3, 0.0, 1.3], 200))
    posts, raters = features[:, :2], features[:20, 2:]
    expected = pair_by_pair(forest, posts, raters)
    scores = score_all_pairs(forest, posts, raters, kernel=kernel)
    assert (expected < 0).any() and (expected > 0).any()
    assert_array_equal(scores.view(np.uint32), expected.view(np.uint32))


def test_posts_and_raters_are_told_apart_by_levels_of_their_own(kernel):
    rng = np.random.default_rng(7)
    posts, raters = rng.integers(0, 7, (300, 2)) / 8, rng.integers(-9, 30, (300, 2)).astype(float)
    raters[::7, 1] = NAN
    target = np.where(raters[:, 0] > 10, 4, 0) + (posts[:, 0] > 0.4)
    forest = HistogramForest(n_trees=8).fit(np.hstack([posts, raters]), target)
    scores = score_all_pairs(forest, posts, raters, kernel=kernel)
    assert scores.max() - scores.min() > 4
    assert_array_equal(scores, pair_by_pair(forest, posts, raters))


@pytest.mark.parametrize("n_posts", [0, 1, 63, 64, 512, 513])
def test_tiles_need_not_be_full(n_posts, kernel):
    posts, raters = draw(4, 3, n_posts=n_posts, seed=n_posts)
    forest = fit(7)
    assert_array_equal(
        score_all_pairs(forest, posts, raters, kernel=kernel),
        pair_by_pair(forest, posts, raters).reshape(9, -1),
    )


@pytest.mark.parametrize("n_levels", [9, 200])
def test_a_rater_may_reach_any_number_of_leaves(kernel, n_levels):
    """Of a tile's posts up to 512 are told apart by a tree, which is more than one list of 31 leaves holds."""
    rng = np.random.default_rng(n_levels)
    features = rng.integers(0, n_levels, (900, 4)).astype(float)
    target = rng.integers(0, 7, 900)
    forest = HistogramForest(n_trees=7, min_rows_in_leaf=1, max_features=1.0).fit(features, target)
    for n_post_features in (1, 3, 4):
        posts, raters = features[:, :n_post_features], features[:5, n_post_features:]
        scores = score_all_pairs(forest, posts, raters, kernel=kernel)
        assert_array_equal(scores, pair_by_pair(forest, posts, raters))


def test_the_number_of_threads_changes_no_bit(kernel):
    posts, raters = draw(4, 3, n_posts=1500)
    forest = fit(7)
    alone = score_all_pairs(forest, posts, raters, kernel=kernel)
    for n_threads in (2, 5):
        assert_array_equal(score_all_pairs(forest, posts, raters, n_threads=n_threads, kernel=kernel), alone)


def test_raters_beyond_one_block_are_scored_too(monkeypatch, kernel):
    posts, raters = draw(4, 6, n_raters=50)
    forest = fit(10)
    at_once = score_all_pairs(forest, posts, raters, kernel=kernel)
    monkeypatch.setattr(scoring, "RATERS_AT_ONCE", 7)
    assert_array_equal(score_all_pairs(forest, posts, raters, kernel=kernel), at_once)


def test_alike_posts_and_raters_are_scored_once_and_written_everywhere(kernel):
    posts, raters = draw(2, 2, n_posts=600, n_raters=80)  # at most 49 of each differ
    forest = fit(4)
    assert_array_equal(
        score_all_pairs(forest, posts, raters, kernel=kernel), pair_by_pair(forest, posts, raters)
    )


def test_a_forest_of_single_leaves_scores_all_alike(kernel):
    forest = HistogramForest(n_trees=3).fit(np.zeros((5, 4)), np.full(5, 2))
    assert (score_all_pairs(forest, np.zeros((70, 2)), np.zeros((3, 2)), kernel=kernel) == 2).all()


def test_no_rater_gives_no_score(kernel):
    assert score_all_pairs(fit(7), np.zeros((5, 4)), np.zeros((0, 3)), kernel=kernel).shape == (0, 5)


def test_bytes_hold_the_score_times_the_scale(kernel):
    posts, raters = draw(4, 3)
    forest = fit(7)
    exact = score_all_pairs(forest, posts, raters, kernel=kernel)
    for scale in (42.5, 20.0):
        scores = score_all_pairs(forest, posts, raters, dtype=np.uint8, scale=scale, kernel=kernel)
        assert scores.dtype == np.uint8
        assert abs(scores / scale - exact).max() <= 0.5 / scale + 1e-6


def test_scores_can_be_written_into_a_file(tmp_path):
    posts, raters = draw(4, 3)
    forest = fit(7)
    out = np.lib.format.open_memmap(tmp_path / "scores.npy", mode="w+", dtype=np.uint8, shape=(9, 300))
    assert score_all_pairs(forest, posts, raters, out) is out
    out.flush()
    assert_array_equal(
        np.load(tmp_path / "scores.npy"), score_all_pairs(forest, posts, raters, dtype=np.uint8)
    )


def test_without_wide_registers_the_portable_kernel_scores(monkeypatch):
    posts, raters = draw(4, 3)
    forest = fit(7)
    expected = score_all_pairs(forest, posts, raters, kernel="portable")
    monkeypatch.setattr(scoring, "has_wide_registers", lambda: False)
    monkeypatch.setattr(scoring.wide, "add_means_to_pairs", None)
    assert_array_equal(score_all_pairs(forest, posts, raters), expected)
    with pytest.raises(ValueError, match="where Numba compiles for AVX-512"):
        score_all_pairs(forest, posts, raters, kernel="wide")


@pytest.mark.parametrize("scale", [43.0, 0.0, -1.0, NAN])
def test_scores_that_a_byte_cannot_hold_are_refused(scale):
    rng = np.random.default_rng(0)
    features = rng.integers(0, 7, (60, 2)).astype(float)
    forest = HistogramForest(n_trees=2, min_rows_in_leaf=1).fit(features, np.full(60, 6))
    with pytest.raises(ValueError, match="leaves the 0 to 255"):
        score_all_pairs(forest, features[:, :1], features[:, 1:], dtype=np.uint8, scale=scale)


def test_scores_below_zero_are_refused_as_bytes():
    forest = HistogramForest(n_trees=2).fit(np.zeros((9, 2)), np.full(9, -1))
    with pytest.raises(ValueError, match="another scale"):
        score_all_pairs(forest, np.zeros((2, 1)), np.zeros((2, 1)), dtype=np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"post_features": np.zeros((5, 5))}, "the 7 that the forest"),
        ({"rater_features": np.zeros(3)}, "two tables"),
        ({"out": np.zeros((5, 2), np.float32)}, r"shape \(2, 5\)"),
        ({"out": np.zeros((2, 5), np.int32)}, "float32 or uint8"),
        ({"dtype": np.float64}, "float32 or uint8"),
        ({"n_threads": 0}, "n_threads"),
        ({"kernel": "wider"}, "'fastest' or 'portable'"),
    ],
    ids=["columns", "dimensions", "shape", "out type", "dtype", "threads", "kernel"],
)
def test_what_does_not_fit_together_is_refused(change, message):
    inputs = {"post_features": np.zeros((5, 4)), "rater_features": np.zeros((2, 3))} | change
    with pytest.raises(ValueError, match=message):
        score_all_pairs(fit(7), **inputs)
