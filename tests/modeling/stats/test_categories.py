import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from modeling.stats.categories import agreement_weights, count_places, find_categories, places_among

NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "first_row"),
    [
        ("identity", [1, 0, 0, 0]),
        ("linear", [1, 2 / 3, 1 / 3, 0]),
        ("quadratic", [1, 8 / 9, 5 / 9, 0]),
        ("ordinal", [1, 5 / 6, 1 / 2, 0]),
    ],
)
def test_weights_fall_from_one_to_zero_at_the_ends(kind, first_row):
    weights = agreement_weights([1, 2, 3, 4], kind)
    assert_allclose(weights[0], first_row)
    assert_allclose(weights, weights.T)
    assert_allclose(weights[::-1, ::-1], weights)


def test_ordinal_weights_know_places_where_linear_weights_know_distances():
    assert_allclose(agreement_weights([0, 1, 6], "ordinal")[0], [1, 2 / 3, 0])
    assert_allclose(agreement_weights([0, 1, 6], "linear")[0], [1, 5 / 6, 0])


def test_categories_are_the_scale_or_what_is_found():
    ratings = np.array([[3.0, NAN], [0.0, 6.0]])
    assert_array_equal(find_categories(ratings, (0, 6)), range(7))
    assert_array_equal(find_categories(ratings, None), [0, 3, 6])
    assert_array_equal(find_categories(np.array([[NAN]]), None), [])


@pytest.mark.parametrize("rating", [7.0, -1.0, 2.5])
def test_a_rating_outside_the_scale_is_refused(rating):
    with pytest.raises(ValueError, match=r"ratings\[1, 0\] is .*whole numbers from 0 to 6"):
        find_categories(np.array([[0.0], [rating]]), (0, 6))


def test_measurements_are_not_categories():
    with pytest.raises(ValueError, match="there are 200 categories"):
        find_categories(np.linspace(0, 1, 200)[:, np.newaxis], None)


def test_places_and_their_counts_leave_gaps_out():
    for steps, placed in (([1.0, 2.0, 3.0], [2, -1, 0]), ([1.0, 1.5, 3.0], [2, -1, 0]), ([3.0], [0])):
        given = [steps[place] if place >= 0 else NAN for place in placed]
        assert places_among(np.array(steps), np.array(given)).tolist() == placed
    places = places_among(np.array([0.0, 3.0, 6.0]), np.array([6.0, NAN, 0.0, 6.0]))
    assert_array_equal(places, [2, -1, 0, 2])
    assert_array_equal(count_places(np.array([0, 0, 1]), places[[0, 2, 3]], 2, 3), [[1, 0, 1], [0, 0, 1]])
