"""What the reading bench holds its two ways to."""

from dataclasses import replace

import numpy as np
import pytest

from bench.reading import N_RATERS, N_VALUES, POSTS_PER_RATER, Reading, check_same, peak_mb, run, weigh
from tests.services import ServiceError

ALL = Reading(
    wall_s=0.5, cpu_s=0.3, peak_mb=90.0, n_ratings=N_RATERS * POSTS_PER_RATER * N_VALUES, weighted_sum=7
)


def test_readings_of_the_same_ratings_pass_however_long_they_took():
    check_same([ALL, replace(ALL, wall_s=9.0, peak_mb=2000.0)])


@pytest.mark.parametrize("change", [{"weighted_sum": 8}, {"n_ratings": 19}], ids=["sum", "number"])
def test_another_sum_or_number_of_ratings_ends_the_bench(change):
    with pytest.raises(ValueError, match="read different ratings"):
        check_same([ALL, replace(ALL, **change)])


def test_ratings_missing_from_both_ways_end_the_bench_too():
    few = replace(ALL, n_ratings=19)
    with pytest.raises(ValueError, match="all should have read 600"):
        check_same([few, few])


def test_the_sum_tells_whose_of_what_and_of_which_value_a_rating_is():
    raters, posts, ratings = np.array([1, 2]), np.array([5, 9]), np.array([3, 4])
    total = weigh(raters, posts, 0, ratings)
    assert weigh(raters[::-1], posts[::-1], np.zeros(2), ratings[::-1]) == total
    others = [(raters[::-1], posts, 0), (raters, posts[::-1], 0), (raters, posts, 1)]
    assert all(weigh(*other, ratings) != total for other in others)
    assert weigh(raters, posts, 0, ratings[::-1]) != total


def test_the_peak_is_that_of_this_process_after_what_it_held():
    before = peak_mb()
    held = np.ones(int(before + 40) << 17)  # as many MB again, and more than are held at this moment
    assert peak_mb() > before + 30
    del held
    assert peak_mb() > before + 30


def test_a_process_that_fails_says_why():
    with pytest.raises(ServiceError, match="no such thing"):
        run(["-c", "raise SystemExit('no such thing')"], {})
    assert run(["-c", "print('read')"], {}) == "read\n"
