import numpy as np
import pytest

from modeling.encoders.labels import harden


def test_all_weight_goes_to_the_likeliest_rating():
    assert harden([[[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]]).tolist() == [[[0, 1, 0], [1, 0, 0]]]


def test_of_tied_ratings_the_one_nearest_to_the_mean_is_taken_then_the_lower():
    assert harden([0.4, 0.0, 0.0, 0.4, 0.2]).tolist() == [0, 0, 0, 1, 0]
    assert harden([0.5, 0.0, 0.0, 0.5]).tolist() == [1, 0, 0, 0]


def test_the_mean_is_taken_over_the_points_that_are_given():
    shares = [0.4, 0.4, 0.2]

    assert harden(shares, [0, 1, 2]).tolist() == [0, 1, 0]
    assert harden(shares, [0, 10, 11]).tolist() == [0, 1, 0]
    assert harden([0.4, 0.2, 0.4], [0, 1, 2.5]).tolist() == [1, 0, 0]


def test_what_has_no_label_stays_without():
    hard = harden([[np.nan, np.nan], [0.3, 0.7]])

    assert np.isnan(hard[0]).all()
    assert hard[1].tolist() == [0, 1]


def test_points_must_be_as_many_as_the_distributions_have():
    with pytest.raises(ValueError, match="3 points do not fit 2"):
        harden([0.2, 0.3, 0.5], [0, 1])
