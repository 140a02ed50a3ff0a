import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from modeling.stats.consensus import mean_of_others, round_half_up, rounded_consensus

NAN = float("nan")


def test_halves_go_up_also_below_zero():
    assert_array_equal(round_half_up(np.array([0.5, 1.5, 2.5, -0.5, 0.49, NAN])), [1, 2, 3, 0, 0, NAN])


def test_a_half_that_float_error_pushed_down_still_goes_up():
    ratings = np.array([[1.4], [2.8], [0.3], [0.1]])  # the first three sum to 4.5 in exact arithmetic
    others = mean_of_others(ratings, np.zeros(4, dtype=int), 1)[3]
    assert others[0] < 1.5
    assert_array_equal(round_half_up(others), [2])
    assert_array_equal(rounded_consensus(ratings[:3], [0, 0, 0]), [[2]])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=40))
def test_whole_numbers_round_as_in_integer_arithmetic(ratings):
    expected = (2 * sum(ratings) + len(ratings)) // (2 * len(ratings))
    assert rounded_consensus([[r] for r in ratings], [0] * len(ratings))[0, 0] == expected


def test_consensus_counts_only_raters_who_have_the_value():
    ratings = [[0, NAN, 4], [3, NAN, NAN], [6, NAN, 6]]
    assert_array_equal(rounded_consensus(ratings, [0, 0, 2]), [[2, NAN, 4], [NAN] * 3, [6, NAN, 6]])


def test_mean_of_others_excludes_the_rater_alone():
    ratings = np.array([[0.0], [3.0], [6.0], [NAN], [5.0]])
    assert_array_equal(
        mean_of_others(ratings, np.array([0, 0, 0, 0, 1]), 2), [[4.5], [3.0], [1.5], [3.0], [NAN]]
    )


def test_no_posts_have_no_consensus():
    assert rounded_consensus(np.empty((0, 3)), []).shape == (0, 3)


def test_malformed_codes_are_refused():
    with pytest.raises(ValueError, match="one post code per row"):
        rounded_consensus([[1, 2]], [0, 1])
