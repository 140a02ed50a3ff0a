"""Prediction intervals that keep what they promise, and others that do not."""

from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.coverage import describe_coverage
from tests.modeling.reports.made_up import make_evaluation, make_personal


@pytest.fixture(scope="module")
def data():
    return make_personal(n_raters=120)


def test_calibrated_intervals_hold_four_of_five_ratings(data):
    found = describe_coverage(data, seed=1)
    assert found["level"] == 0.8
    for view, n_raters in (("known", 120), ("new", 40)):
        assert found[view]["coverage"] == pytest.approx(0.8, abs=0.03)
        assert found[view]["interval"][0] < 0.8 < found[view]["interval"][1]
        assert found[view]["width"] == pytest.approx(2 * 1.2816 * 0.85)
        assert found[view]["raters"] == n_raters


def test_coverage_is_a_share_of_ratings_counted_one_by_one(data):
    low, high = data.intervals["known"]
    ratings = data.ratings[data.test_rows]
    inside = (ratings >= low) & (ratings <= high)
    found = describe_coverage(data, seed=1)["known"]
    assert found["coverage"] == pytest.approx(inside.mean())
    assert found["ratings"] == inside.size
    for place, row in enumerate(found["by_value"]):
        assert row["coverage"] == pytest.approx(inside[:, place].mean())
        assert row["interval"][0] < row["coverage"] < row["interval"][1]


def test_narrow_intervals_are_found_out(data):
    low, high = data.intervals["new"]
    narrow = {"new": (low + 0.6, high - 0.6)}
    found = describe_coverage(replace(data, intervals=narrow), seed=1)["new"]
    assert found["interval"][1] < 0.8


def test_the_ends_belong_to_an_interval(data):
    ratings = data.ratings[data.test_rows]
    exact = {"known": (np.float32(ratings - 0).astype(float), ratings)}
    assert describe_coverage(replace(data, intervals=exact), seed=1)["known"]["coverage"] == 1.0


def test_ratings_that_are_missing_are_left_out(data):
    ratings = data.ratings.copy()
    ratings[:, 0] = np.nan
    found = describe_coverage(replace(data, ratings=ratings), seed=1)["known"]
    assert found["by_value"][0]["coverage"] is None
    assert found["by_value"][0]["ratings"] == 0
    assert found["ratings"] == len(data.test_rows) * 5


def test_intervals_that_are_not_there_have_a_reason():
    found = describe_coverage(make_evaluation(), seed=1)
    for view in ("known", "new"):
        assert found[view]["reason"]
        assert (found[view]["coverage"], found[view]["interval"], found[view]["by_value"]) == (
            None,
            [None, None],
            [],
        )
