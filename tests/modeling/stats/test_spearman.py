import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from modeling.stats.spearman import MAX_VALUES_COUNTED, centred_ranks, rank_rows, spearman_rows

NAN = float("nan")
# Few distinct numbers, so that ties, constant rows and gaps are common.
sparse_ratings = st.sampled_from([NAN, NAN, 0.0, 1.0, 2.0, 3.0, 6.0, 37.5, 100.0])


@st.composite
def two_matrices(draw):
    shape = (draw(st.integers(0, 6)), draw(st.integers(1, 7)))
    return tuple(draw(hnp.arrays(np.float64, shape, elements=sparse_ratings)) for _ in range(2))


def rho_by_scipy(x, y):
    shared = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[shared], y[shared]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return NAN
    return stats.spearmanr(x, y).statistic


def test_the_textbook_example_of_intelligence_and_television_hours():
    # The worked example of the Wikipedia article on Spearman's coefficient: -29/165.
    iq = [[106, 100, 86, 101, 99, 103, 97, 113, 112, 110]]
    hours = [[7, 27, 2, 50, 28, 29, 20, 12, 6, 17]]
    assert_allclose(spearman_rows(iq, hours), [-29 / 165], atol=1e-15)


def test_ties_share_the_mean_of_their_ranks():
    # Ranks 1.5, 1.5, 3 against 1, 2, 3: covariance 1.5, variances 1.5 and 2.
    assert_array_equal(rank_rows([[4, 4, 9]]), [[1.5, 1.5, 3]])
    assert_allclose(spearman_rows([[4, 4, 9]], [[1, 2, 3]]), [1.5 / np.sqrt(1.5 * 2)], atol=1e-15)


@given(two_matrices())
def test_every_row_equals_a_loop_over_scipy(matrices):
    a, b = matrices
    expected = [rho_by_scipy(x, y) for x, y in zip(a, b, strict=True)]
    assert_allclose(spearman_rows(a, b), expected, atol=1e-12)


@given(two_matrices())
def test_ranks_equal_scipy_over_the_values_present(matrices):
    a, _ = matrices
    expected = stats.rankdata(a, axis=1, nan_policy="omit") if len(a) else a
    assert_array_equal(rank_rows(a), expected)


@given(hnp.arrays(np.float64, (4, 6), elements=sparse_ratings))
def test_wide_rows_have_the_same_ranks_as_narrow_ones(narrow):
    wide = np.full((4, MAX_VALUES_COUNTED + 10), NAN)
    columns = np.random.default_rng(0).permutation(wide.shape[1])[:6]
    wide[:, columns] = narrow
    assert_array_equal(centred_ranks(wide)[:, columns], centred_ranks(narrow))
    assert not np.delete(centred_ranks(wide), columns, axis=1).any()


def test_wide_rows_equal_a_loop_over_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 7, (2, 20, 150)).astype(float)
    a[rng.random(a.shape) < 0.3] = NAN
    expected = [rho_by_scipy(x, y) for x, y in zip(a, b, strict=True)]
    assert_allclose(spearman_rows(a, b), expected, atol=1e-12)


def test_values_that_one_side_misses_do_not_shape_the_ranks_of_the_other():
    # Without the third value the rest runs 1, 2, 3 against 5, 6, 7.
    assert_array_equal(spearman_rows([[1, 2, 9, 3]], [[5, 6, NAN, 7]]), [1.0])


def test_rho_is_undefined_where_a_side_is_constant_over_the_shared_values():
    a = [[2, 2, 2], [1, 2, NAN], [1, NAN, NAN], [NAN, NAN, NAN]]
    b = [[1, 2, 3], [4, 4, 9], [1, 2, 3], [1, 2, 3]]
    assert np.isnan(spearman_rows(a, b)).all()


def test_equal_and_reversed_rows_give_exactly_one_and_minus_one():
    a = np.random.default_rng(2).random((200, 19))
    assert_array_equal(spearman_rows(a, a), np.ones(200))
    assert_array_equal(spearman_rows(a, -a), -np.ones(200))


def test_matrices_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="same"):
        spearman_rows([[1, 2]], [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="dimension"):
        rank_rows([1, 2, 3])
