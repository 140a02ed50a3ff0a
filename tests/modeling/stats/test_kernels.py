from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from modeling.stats import kernels, spearman
from modeling.stats.agreement import human_consensus, human_consensus_by_size, human_human, human_model
from modeling.stats.consensus import rounded_consensus
from modeling.stats.crowd_error import human_crowd_mae, model_crowd_mae
from modeling.stats.spearman import centred_ranks, code_rows, spearman_rows

NAN = float("nan")
SEED = np.uint64(12345)


@st.composite
def annotations(draw):
    n_rows, n_values = draw(st.integers(1, 14)), draw(st.integers(1, 6))
    gap_or_rating = st.sampled_from([NAN, -1.0, 0.0, 1.0, 2.0, 3.0, 6.0, 9.0])
    ratings = draw(hnp.arrays(np.float64, (n_rows, n_values), elements=gap_or_rating))
    return ratings, draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 3)))


def every_measure(ratings, posts):
    """The arrays that all the functions of compiled loops return for one set of ratings."""
    model = np.random.default_rng(1).random((4, ratings.shape[1]))
    by_size = human_consensus_by_size(
        ratings, posts, [1, 2, 5], rng=np.random.default_rng(2), n_draws=3, n_posts=4
    )
    measures = [
        human_human(ratings, posts, 4),
        human_consensus(ratings, posts, 4),
        human_model(ratings, posts, model[posts], 4),
        *by_size.values(),
    ]
    return [
        *(np.append(measure.per_post, [measure.n_defined, measure.n_undefined]) for measure in measures),
        human_crowd_mae(ratings, posts, 4).per_post,
        model_crowd_mae(ratings, posts, model).per_post,
        rounded_consensus(ratings, posts, 4),
    ]


@given(annotations())
def test_small_whole_numbers_give_what_the_general_way_gives(data):
    ratings, posts = data
    assert code_rows(ratings).origin is not None
    counted = every_measure(ratings, posts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spearman, "MAX_BINS", 0)
        assert code_rows(ratings).origin is None
        general = every_measure(ratings, posts)
    for ours, theirs in zip(counted, general, strict=True):
        assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int64", "float32", "bool"])
def test_every_type_of_number_gives_what_floats_give(dtype):
    rng = np.random.default_rng(3)
    ratings, posts = (
        rng.integers(0, 2 if dtype == "bool" else 7, (40, 5)).astype(dtype),
        rng.integers(0, 4, 40),
    )
    expected = every_measure(ratings.astype(np.float64), posts)
    for ours, theirs in zip(every_measure(ratings, posts), expected, strict=True):
        assert_allclose(ours, theirs, atol=1e-12)


def test_layout_and_write_protection_do_not_matter():
    rng = np.random.default_rng(4)
    ratings, posts = rng.integers(0, 7, (40, 5)).astype(np.uint8), rng.integers(0, 4, 40)
    expected = every_measure(ratings, posts)
    locked = ratings.copy()
    locked.setflags(write=False)
    for other in (np.asfortranarray(ratings), np.repeat(ratings, 2, axis=0)[::2], locked):
        for ours, theirs in zip(every_measure(other, posts), expected, strict=True):
            assert_array_equal(ours, theirs)


def test_bytes_are_not_copied():
    ratings = np.random.default_rng(5).integers(0, 7, (10, 4)).astype(np.uint8)
    assert np.shares_memory(code_rows(ratings).codes, ratings)


@pytest.mark.parametrize(
    ("ratings", "origin", "n_bins"),
    [
        (np.array([[-100, -90]], dtype=np.int8), -100, 11),
        (np.array([[200, 255]], dtype=np.uint8), 200, 56),
        ([[1000.0, 1063.0]], 1000, 64),
        ([[0.0, NAN, 63.0]], 0, 64),
        ([[NAN, NAN]], 0, 1),
        ([[0.0, 64.0]], None, 2),
        ([[0.0, 255.0]], None, 2),
        ([[0.5, 1.5]], None, 2),
        ([[-np.inf, -np.inf]], None, 2),
        (np.array([[0, 64]]), None, 2),
    ],
)
def test_only_whole_numbers_of_a_narrow_scale_are_counted(ratings, origin, n_bins):
    matrix = np.asarray(ratings)
    coded = code_rows(matrix)
    assert (coded.origin, coded.n_bins) == (origin, n_bins)
    assert_array_equal(coded.codes < n_bins, ~np.isnan(matrix.astype(float)))
    if origin is not None:
        present = ~np.isnan(matrix.astype(float))
        assert_array_equal((coded.codes + coded.origin)[present], matrix[present])


@pytest.mark.parametrize("n_values", [3, 19, 255, 256, 300])
@pytest.mark.parametrize("n_ratings", [2, 7, 8, 64, 1000])
def test_ranks_of_any_width_and_scale_equal_scipy(n_values, n_ratings):
    rng = np.random.default_rng(n_values)
    a = rng.integers(0, n_ratings, (6, n_values)).astype(float)
    a[rng.random(a.shape) < 0.2] = NAN
    n_present = (~np.isnan(a)).sum(axis=1, keepdims=True)
    expected = 2 * stats.rankdata(a, axis=1, nan_policy="omit") - n_present - 1
    assert_array_equal(centred_ranks(a), np.nan_to_num(expected))


def test_infinite_numbers_have_a_rank_among_the_others():
    a = [[-np.inf, 3, np.inf, np.inf]]
    assert_array_equal(spearman_rows(a, [[0, 1, 2, 2]]), [1.0])


@given(st.integers(0, 5), st.lists(st.integers(0, 4), max_size=30))
def test_rows_are_sorted_by_post_in_their_own_order(n_more, posts):
    codes = np.array(posts, dtype=np.int64)
    order, starts = kernels.rows_by_post(codes, 5 + n_more)
    assert_array_equal(order, np.argsort(codes, kind="stable"))
    assert_array_equal(np.diff(starts), np.bincount(codes, minlength=5 + n_more))


def test_every_seating_of_a_post_is_equally_likely():
    order, starts = np.arange(5), np.array([0, 2, 5])
    seen = Counter(tuple(kernels.seat(order, starts, np.uint64(k)).tolist()) for k in range(6000))
    assert len(seen) == 2 * 6  # rows stay within their post
    assert stats.chisquare(list(seen.values())).pvalue > 0.001


def test_units_are_drawn_as_by_a_multinomial():
    counts = kernels.draw_counts(7, 0, 20000, SEED)
    assert (counts.sum(axis=1) == 7).all()
    assert stats.chisquare(counts.sum(axis=0)).pvalue > 0.001
    often = np.bincount(counts.ravel(), minlength=8)[:4]
    assert_allclose(often / counts.size, stats.binom.pmf(range(4), 7, 1 / 7), atol=0.005)
    # One unit's draws say nothing of the next resample's.
    assert abs(np.corrcoef(counts[:-1, 0], counts[1:, 0])[0, 1]) < 0.03


def test_draws_do_not_depend_on_how_many_are_made_at_once():
    whole = kernels.draw_counts(30, 0, 10, SEED)
    parts = [kernels.draw_counts(30, first, last, SEED) for first, last in ((0, 3), (3, 4), (4, 10))]
    assert_array_equal(np.vstack(parts), whole)


def test_resampled_means_are_those_of_the_units_drawn():
    values = np.random.default_rng(6).random((30, 2))
    counts = kernels.draw_counts(30, 0, 50, SEED)
    assert_allclose(kernels.resampled_means(values[:, 0].copy(), 50, SEED), counts @ values[:, 0] / 30)
    assert_allclose(kernels.resampled_column_means(values, 50, SEED), counts @ values / 30)
