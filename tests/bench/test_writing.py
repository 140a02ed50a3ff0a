"""What the writing bench holds its ways to."""

from dataclasses import replace

import numpy as np
import pytest

from bench.writing import N_ROWS, N_VALUES, POSTS_PER_RATER, STEPS, Writing, check_same, draw

ALL = Writing(wall_s=0.5, cpu_s=0.1, n_predictions=N_ROWS * N_VALUES, weighted_sum=7)


def test_the_same_predictions_pass_however_long_they_took():
    check_same([ALL, replace(ALL, wall_s=90.0)])


@pytest.mark.parametrize("change", [{"weighted_sum": 8}, {"n_predictions": 19}], ids=["sum", "number"])
def test_another_sum_or_number_of_predictions_ends_the_bench(change):
    with pytest.raises(ValueError, match="wrote different predictions"):
        check_same([ALL, replace(ALL, **change)])


def test_predictions_missing_from_all_ways_end_the_bench_too():
    few = replace(ALL, n_predictions=19)
    with pytest.raises(ValueError, match="all should have written 1000350"):
        check_same([few, few])


def test_a_million_numbers_are_drawn_each_pair_once_and_countable_in_steps():
    enrollment_ids, post_ids = list(range(1, N_ROWS // POSTS_PER_RATER + 1)), list(range(1, 101))
    raters, posts, ratings = draw(enrollment_ids, post_ids)
    assert len(set(zip(raters.tolist(), posts.tolist(), strict=True))) == N_ROWS
    assert ratings.size >= 1_000_000
    np.testing.assert_array_equal(np.rint(ratings * STEPS), ratings * STEPS)
