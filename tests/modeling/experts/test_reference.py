import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.experts.reference import are_same, find_disputed, settle

NONE = math.nan
THRESHOLD = 3
ratings = st.one_of(st.just(NONE), st.integers(0, 6).map(float))


@st.composite
def worlds(draw):
    n_values = draw(st.integers(1, 4))
    row = st.lists(ratings, min_size=n_values, max_size=n_values)
    return draw(st.lists(row, max_size=5)), draw(row)


def settle_one(given_ratings, resolved=NONE):
    found = settle([[rating] for rating in given_ratings], [resolved], THRESHOLD)
    return found.ratings[0], found.is_open[0], found.how[0]


class TestSettling:
    @pytest.mark.parametrize(
        ("said", "resolved", "rating", "how"),
        [
            ([5, 4], NONE, 4, "agreed"),
            ([3, 6, 5], NONE, 5, "agreed"),
            ([0, 2], NONE, 0, "agreed"),
            ([0, 3], 4, 4, "resolved"),
            ([5, 5], 0, 5, "agreed"),
            ([2, NONE], NONE, 2, "single"),
            ([2, NONE], 6, 2, "single"),
        ],
    )
    def test_a_value_comes_to_what_the_experts_or_the_resolution_say(self, said, resolved, rating, how):
        assert settle_one(said, resolved) == (rating, False, how)

    def test_a_difference_without_a_resolution_is_open_and_has_no_rating(self):
        rating, is_open, how = settle_one([2, 3])
        assert (math.isnan(rating), is_open, how) == (True, True, "open")

    @pytest.mark.parametrize("said", [[], [NONE, NONE]])
    def test_what_nobody_rated_is_missing_and_not_open(self, said):
        rating, is_open, how = settle_one(said, 4)
        assert (math.isnan(rating), is_open, how) == (True, False, "missing")

    @given(worlds())
    def test_the_order_of_experts_does_not_matter(self, world):
        labels, resolution = world
        one, other = settle(labels, resolution, THRESHOLD), settle(labels[::-1], resolution, THRESHOLD)
        assert one.how == other.how
        assert are_same(one.ratings, other.ratings)

    @given(worlds())
    def test_a_rating_is_always_one_that_somebody_gave(self, world):
        labels, resolution = world
        found = settle(labels, resolution, THRESHOLD)
        for value, (rating, how) in enumerate(zip(found.ratings, found.how, strict=True)):
            said = [label[value] for label in labels]
            if how in ("agreed", "single"):
                assert rating in said
            elif how == "resolved":
                assert rating == resolution[value]
            else:
                assert math.isnan(rating)

    @given(worlds())
    def test_open_values_are_those_in_dispute_that_nothing_resolves(self, world):
        labels, resolution = world
        disputed = find_disputed(labels, THRESHOLD)
        is_open = settle(labels, resolution, THRESHOLD).is_open
        assert [value for value, each in enumerate(is_open) if each] == [
            value for value in disputed if math.isnan(resolution[value])
        ]

    @given(worlds(), st.integers(0, 6))
    def test_settled_presence_is_that_of_every_expert_where_they_agree(self, world, threshold):
        labels, resolution = world
        found = settle(labels, resolution, threshold)
        for value, how in enumerate(found.how):
            if how == "agreed":
                sides = {label[value] >= threshold for label in labels if not math.isnan(label[value])}
                assert sides == {found.ratings[value] >= threshold}

    def test_rows_of_another_length_are_refused(self):
        with pytest.raises(ValueError, match="row 1 has 1 ratings, the resolution 2"):
            settle([[1, 2], [1]], [NONE, NONE], THRESHOLD)

    def test_a_threshold_that_is_no_number_is_refused(self):
        with pytest.raises(ValueError, match="threshold is nan"):
            settle([], [NONE], NONE)
