"""The posts that raters read most differently, against plain loops."""

import itertools
import math

import numpy as np
import pytest

from modeling.reports.disputed import N_LISTED, list_disputed, mean_difference
from tests.modeling.reports.made_up import make_agreement, make_study, shuffle_rows


def find_differences(study, post):
    """Every difference between two raters of a post, over the values both rated."""
    rows = study.ratings[study.posts == post]
    return [
        abs(x - y)
        for one, other in itertools.combinations(rows, 2)
        for x, y in zip(one, other, strict=True)
        if not (math.isnan(x) or math.isnan(y))
    ]


@pytest.mark.parametrize("scale", [(0, 6), (0, 100), (-3, 3)])
def test_the_difference_is_the_mean_over_pairs_and_values(scale):
    study = make_agreement(scale=scale)
    study.ratings[np.random.default_rng(1).random(study.ratings.shape) < 0.2] = np.nan
    for post, found in enumerate(mean_difference(study)):
        assert found == pytest.approx(np.mean(find_differences(study, post)), abs=1e-12)


def build_few(ratings, posts):
    """A study of the ratings given, a rater for every row."""
    return make_study(ratings, np.arange(len(posts)), posts)


def test_the_most_disputed_post_stands_first_with_its_most_disputed_values():
    study = build_few(
        [[3, 0, 0, 1], [3, 1, 6, 1], [3, 2, 0, 2], [1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 1]],
        [0, 0, 0, 1, 1, 1],
    )
    first, second = list_disputed(study, np.array([0.25, np.nan]))
    assert (first["key"], first["rho"], first["n_raters"]) == ("p0", 0.25, 3)
    assert first["difference"] == pytest.approx((12 + 4 + 2) / 12)
    assert [entry["value"] for entry in first["by_value"]] == ["value_2", "value_1", "value_3"]
    assert first["by_value"][0] == {
        "value": "value_2",
        "mean": 2.0,
        "sd": pytest.approx(math.sqrt(12)),
        "ratings": [0, 0, 6],
    }
    assert (second["key"], second["rho"]) == ("p1", None)


def test_two_who_differ_are_no_dispute_where_other_posts_have_three():
    ratings = [[0, 6], [6, 0], [1, 2], [2, 1], [1, 1]]
    assert [each["key"] for each in list_disputed(build_few(ratings, [0, 0, 1, 1, 1]), np.zeros(2))] == ["p1"]
    assert [each["key"] for each in list_disputed(build_few(ratings[:4], [0, 0, 1, 1]), np.zeros(2))] == [
        "p0",
        "p1",
    ]


def test_posts_without_two_ratings_of_one_value_are_not_listed():
    nan = math.nan
    assert list_disputed(build_few([[1, nan], [nan, 2]], [0, 0]), np.zeros(1)) == []
    assert list_disputed(build_few([[1, 2], [3, 4]], [0, 1]), np.zeros(2)) == []


def test_the_list_ends_at_sixty_and_does_not_depend_on_the_order_of_rows():
    study = make_agreement(n_raters=60, n_posts=90, per_rater=12)
    rho = np.linspace(0, 1, 90)
    listed = list_disputed(study, rho)
    assert len(listed) == N_LISTED
    assert [each["difference"] for each in listed] == sorted(
        (each["difference"] for each in listed), reverse=True
    )
    assert list_disputed(shuffle_rows(study), rho) == listed
