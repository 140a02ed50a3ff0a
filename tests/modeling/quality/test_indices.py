"""Figures of the R package careless are from its own tests and from the papers these name."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modeling.quality.indices import (
    correlation,
    even_odd_consistency,
    find_synonyms,
    longest_run,
    lower_quantile,
    response_sd,
    robust_z,
    synonym_consistency,
    z_scores,
)

answers = st.lists(st.integers(1, 6), min_size=2, max_size=40)
numbers = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=3, max_size=30)


@pytest.mark.parametrize("n_same", range(10, 100, 10))
def test_long_strings_are_those_of_the_careless_packages_test_data(n_same):
    """100 answers: the first n the same, then 0 and 1 in turn."""
    assert longest_run([1] * n_same + [0, 1] * ((100 - n_same) // 2)) == n_same


def test_a_long_string_ends_where_the_answer_changes():
    assert longest_run(([1] * 10 + [0] * 10) * 5) == 10
    assert longest_run([]) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [([3] * 10, 0), ([1, 2, 3, 4, 5] * 2, 1.490712), ([1] * 5 + [5] * 5, 2.108185)],
)
def test_response_variability_of_the_three_patterns_of_curran(given, expected):
    """Curran (2016), Journal of Experimental Social Psychology 66, 4-19; also the test of careless::irv."""
    assert response_sd(given) == pytest.approx(expected, abs=1e-6)


def test_one_answer_varies_in_no_way():
    assert math.isnan(response_sd([4]))


def test_the_median_deviation_is_that_of_the_worked_example():
    """Leys et al. (2013): of 1, 3, 3, 6, 8, 10, 10, 1000 the median is 7 and the scaled MAD 5.1891."""
    assert robust_z([1, 3, 3, 6, 8, 10, 10, 1000])[-1] == pytest.approx(993 / 5.1891, abs=1e-9)


@given(numbers)
def test_robust_z_is_that_of_scipy(values):
    spread = stats.median_abs_deviation(values) * 1.4826
    expected = (np.array(values) - np.median(values)) / spread if spread else np.full(len(values), np.nan)
    np.testing.assert_allclose(robust_z(values), expected, atol=1e-9)


@given(numbers)
def test_z_is_that_of_scipy(values):
    if np.ptp(values) == 0:
        assert all(math.isnan(z) for z in z_scores(values))
    else:
        np.testing.assert_allclose(z_scores(values), stats.zscore(values, ddof=1), atol=1e-6)


def test_nobody_can_lie_three_deviations_from_the_mean_of_ten():
    assert min(z_scores([0.0] + [100.0] * 9)) > -3
    assert min(z_scores([0.0] + [100.0] * 10)) < -3


@given(answers)
def test_a_correlation_is_that_of_numpy(xs):
    ys = xs[::-1]
    ours = correlation(xs, ys)
    if len(set(xs)) == 1:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(np.corrcoef(xs, ys)[0, 1], abs=1e-9)


def test_a_correlation_of_unequal_sides_is_refused():
    with pytest.raises(ValueError, match="2 values on one side, 3 on the other"):
        correlation([1, 2], [1, 2, 3])


def evenodd_of_careless(scales):
    """careless::evenodd 1.2.2, followed step by step; its sign turned back."""
    pairs = np.array([[np.mean(scale[1::2]), np.mean(scale[0::2])] for scale in scales])
    r = np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1]
    return max(-1.0, 2 * r / (1 + r))


def test_even_odd_consistency_worked_by_hand():
    """Halves (1, 2), (4, 4), (6, 5): r = 23/sqrt(532) = .99718; stepped up 2r/(1+r) = .99859."""
    assert even_odd_consistency([[1, 2], [4, 4], [6, 5]]) == pytest.approx(0.998587, abs=1e-6)


@given(st.lists(st.lists(st.integers(1, 6), min_size=2, max_size=5), min_size=3, max_size=10))
def test_even_odd_consistency_is_that_of_the_careless_package(scales):
    ours = even_odd_consistency(scales)
    odd, even = [np.mean(s[::2]) for s in scales], [np.mean(s[1::2]) for s in scales]
    if len(set(odd)) == 1 or len(set(even)) == 1:
        assert math.isnan(ours)
    elif np.corrcoef(odd, even)[0, 1] > -0.999:
        assert ours == pytest.approx(evenodd_of_careless(scales), abs=1e-9)
    else:
        assert ours == -1


def test_halves_need_three_scales_of_two_items():
    assert math.isnan(even_odd_consistency([[1, 2], [3, 4]]))
    assert math.isnan(even_odd_consistency([[1, 2], [3, 4], [5]]))
    assert math.isnan(even_odd_consistency([[3, 3]] * 5))


def test_synonyms_are_the_pairs_above_the_critical_correlation():
    rng = np.random.default_rng(3)
    base = rng.integers(1, 7, 60)
    people = [
        {"a": int(x), "b": int(min(6, x + (n % 5 == 0))), "c": int(rng.integers(1, 7))}
        for n, x in enumerate(base)
    ]
    assert find_synonyms(people, 0.6, 20) == [("a", "b")]
    assert find_synonyms(people[:19], 0.6, 20) == []


def test_synonyms_of_many_items_are_those_numpy_finds():
    rng = np.random.default_rng(5)
    table = np.clip(np.round(rng.normal(3.5, 1, (80, 1)) + rng.normal(0, 0.8, (80, 8))), 1, 6)
    people = [{f"i{n}": float(x) for n, x in enumerate(row)} for row in table]
    r = np.corrcoef(table.T)
    expected = [(f"i{a}", f"i{b}") for a in range(8) for b in range(a + 1, 8) if r[a, b] > 0.6]
    assert 3 <= len(expected) < 28
    assert find_synonyms(people, 0.6, 20) == expected
    one = people[0]
    mine = [(one[a], one[b]) for a, b in expected]
    assert synonym_consistency(one, expected) == pytest.approx(
        np.corrcoef(np.array(mine).T)[0, 1], nan_ok=True
    )


def test_two_pairs_say_nothing():
    pairs = [("a", "b"), ("c", "d"), ("e", "f")]
    answers = {"a": 1, "b": 2, "c": 3, "d": 3, "e": 6, "f": 5}
    assert synonym_consistency(answers, pairs) > 0.9
    assert math.isnan(synonym_consistency({k: v for k, v in answers.items() if k != "f"}, pairs))
    assert math.isnan(synonym_consistency(dict.fromkeys("abcdef", 4), pairs))


@given(numbers, st.floats(0, 1))
def test_a_quantile_is_that_of_numpy(values, share):
    assert lower_quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-9)


def test_a_quantile_of_nothing_does_not_exist_and_a_share_has_bounds():
    assert math.isnan(lower_quantile([], 0.5))
    with pytest.raises(ValueError, match="between 0 and 1"):
        lower_quantile([1.0], 1.5)


@given(st.permutations(range(12)))
def test_the_order_of_people_changes_nobodys_figure(order):
    values = [math.log(3 + n * n) for n in range(12)]
    shuffled = robust_z([values[n] for n in order])
    assert dict(zip(order, shuffled, strict=True)) == pytest.approx(dict(enumerate(robust_z(values))))
