"""What NumPy knows and JSON does not."""

import json
import math

import numpy as np
import pytest

from modeling.reports.numbers import ends, median, number, numbers, plain
from modeling.stats.resampling import Interval


@pytest.mark.parametrize("absent", [math.nan, math.inf, -math.inf, np.float32("nan"), None])
def test_a_number_that_does_not_exist_is_none(absent):
    assert number(absent) is None


@pytest.mark.parametrize("given", [np.float64(0.5), np.float32(0.5), 0.5])
def test_a_number_is_a_plain_float(given):
    assert number(given) == 0.5
    assert type(number(given)) is float


def test_rows_of_numbers_are_strict_json():
    assert json.dumps(numbers(np.array([1.0, np.nan, -2.5])), allow_nan=False) == "[1.0, null, -2.5]"


def test_an_interval_is_its_two_ends():
    assert ends(Interval(0.1, 0.2, 0.95, 5, 1000)) == [0.1, 0.2]
    assert ends(Interval(math.nan, math.nan, 0.95, 1, 1000)) == ends(None) == [None, None]


def test_a_whole_rating_is_an_int_and_another_one_a_float():
    assert [type(plain(each)) for each in (np.float64(3), 2.5)] == [int, float]


def test_the_median_is_of_the_numbers_that_exist():
    assert median([3.0, math.nan, 1.0, 2.0]) == 2.0
    assert median([math.nan]) is None
