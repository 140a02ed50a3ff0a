"""Decisions of several experts about one post, put together."""

import math

import pytest

from modeling.rules.deciding import put_together

NAN = float("nan")


def test_more_experts_on_one_side_decide_and_their_lower_median_counts():
    found = put_together([4, 0], [("corrected", [0, 3]), ("corrected", [1, 0]), ("confirmed", None)], 2)
    assert found.ratings == (0, 0)
    assert (found.n_experts, found.n_unsure) == (3, 0)


def test_where_as_many_say_one_thing_as_the_other_the_model_stays_and_it_is_told():
    found = put_together([4, 0], [("corrected", [0, 0]), ("confirmed", None)], 2)
    assert (found.ratings, found.disputed) == ((4, 0), (0,))


def test_who_is_unsure_says_nothing():
    found = put_together([4], [("unsure", None)], 2)
    assert (found.ratings, found.n_experts, found.n_unsure) == (None, 0, 1)
    assert put_together([4], [("unsure", None), ("corrected", [1])], 2).ratings == (1,)


def test_a_value_that_nobody_rated_stays_without_rating():
    found = put_together([NAN, 1], [("corrected", [NAN, 5])], 2)
    assert found.disputed == ()
    assert math.isnan(found.ratings[0]) and found.ratings[1] == 5


@pytest.mark.parametrize(
    "decision", [("wrong", None), ("corrected", [1, 2, 3]), ("corrected", None)], ids=str
)
def test_what_is_no_decision_is_refused(decision):
    with pytest.raises(ValueError, match="give confirmed"):
        put_together([4], [decision], 2)
