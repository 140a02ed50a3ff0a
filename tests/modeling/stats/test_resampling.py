import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modeling.stats.resampling import bootstrap_difference, bootstrap_mean, bootstrap_means

NAN = float("nan")


def generator(seed=0):
    return np.random.default_rng(seed)


def test_two_units_have_the_quartered_distribution():
    # Resamples of (0, 1) average 0, 1/2, 1 with chances 1/4, 1/2, 1/4.
    wide = bootstrap_mean([0, 1], rng=generator(), n_resamples=4000, level=0.6)
    narrow = bootstrap_mean([0, 1], rng=generator(), n_resamples=4000, level=0.4)
    assert (wide.low, wide.high) == (0, 1)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_many_units_approach_the_normal_interval():
    values = generator(1).normal(2, 3, 2000)
    interval = bootstrap_mean(values, rng=generator(2), n_resamples=4000)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(2000)
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)


def test_interval_equals_scipy_within_its_own_error():
    values = generator(3).exponential(size=40)
    interval = bootstrap_mean(values, rng=generator(4), n_resamples=20000, level=0.9)
    other = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, confidence_level=0.9, method="percentile", rng=generator(5)
    ).confidence_interval
    assert (interval.low, interval.high) == pytest.approx((other.low, other.high), abs=0.02)


@given(st.lists(st.floats(-100, 100) | st.just(NAN), max_size=20))
def test_interval_lies_within_the_units_and_counts_them(values):
    present = [v for v in values if v == v]
    interval = bootstrap_mean(values, rng=generator(), n_resamples=50)
    assert (interval.n_units, interval.n_units_left_out) == (len(present), len(values) - len(present))
    if len(present) > 1:
        assert min(present) - 1e-9 <= interval.low <= interval.high <= max(present) + 1e-9
    else:
        assert np.isnan(interval.low)
        assert np.isnan(interval.high)


def test_units_without_a_value_do_not_move_the_interval():
    padded = bootstrap_mean([0.1, NAN, 0.4, 0.9, NAN], rng=generator())
    plain = bootstrap_mean([0.1, 0.4, 0.9], rng=generator())
    assert (padded.low, padded.high) == (plain.low, plain.high)


def test_every_resample_draws_as_often_as_there_are_units():
    # Means of 0 and 1 over three units are thirds; a resample of another size would give other fractions.
    interval = bootstrap_mean([0, 0, 1], rng=generator(6), n_resamples=2000, level=0.5)
    assert interval.low in (0, 1 / 3)
    assert interval.high in (1 / 3, 2 / 3)


def test_same_seed_gives_the_same_interval():
    values = generator(7).random(30)
    assert bootstrap_mean(values, rng=generator(8)) == bootstrap_mean(values, rng=generator(8))


def test_difference_is_paired_by_unit():
    # The units differ widely, the difference is 0.1 in each: pairing leaves no uncertainty.
    a = generator(9).random(50) * 100
    difference = bootstrap_difference(a + 0.1, a, rng=generator())
    assert difference.estimate == pytest.approx(0.1)
    assert difference.interval.low == pytest.approx(0.1)
    assert difference.interval.high == pytest.approx(0.1)


def test_difference_uses_the_units_that_have_both():
    difference = bootstrap_difference([3, 2, NAN, 9], [1, 0, 5, NAN], rng=generator())
    assert difference.estimate == 2.0
    assert (difference.interval.n_units, difference.interval.n_units_left_out) == (2, 2)


def test_difference_without_a_shared_unit_is_undefined():
    difference = bootstrap_difference([1, NAN], [NAN, 1], rng=generator())
    assert np.isnan(difference.estimate)
    assert difference.interval.n_units == 0


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([[1, 2]], {}, "one number per unit"),
        ([1, np.inf], {}, r"per_unit\[1\] is infinite"),
        ([1, 2], {"n_resamples": 0}, "n_resamples"),
        ([1, 2], {"level": 95}, "level"),
    ],
)
def test_malformed_input_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(values, rng=generator(), **options)


def test_difference_of_unequal_lengths_is_refused():
    with pytest.raises(ValueError, match="same units"):
        bootstrap_difference([1, 2], [1], rng=generator())


def test_measures_share_the_draws():
    # Drawn apart, a measure and its shifted copy would have ends that differ by more or less than the shift.
    values = generator(10).random((60, 1))
    first, second = bootstrap_means(np.hstack([values, values + 5]), rng=generator())
    assert (second.low, second.high) == pytest.approx((first.low + 5, first.high + 5), abs=1e-12)


def test_several_means_approach_the_interval_of_one():
    values = generator(11).normal(size=(400, 2))
    for column, interval in enumerate(bootstrap_means(values, rng=generator(), n_resamples=8000)):
        alone = bootstrap_mean(values[:, column], rng=generator(1), n_resamples=8000)
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high), abs=0.01)


def test_gaps_of_one_measure_do_not_reach_another():
    values = generator(12).random(50)
    gaps = np.where(np.arange(50) % 2 == 0, values, NAN)
    alone, beside = (
        bootstrap_means(columns, rng=generator())[0]
        for columns in (values[:, np.newaxis], np.column_stack([values, gaps]))
    )
    assert alone == beside
    assert bootstrap_means(np.column_stack([values, gaps]), rng=generator())[1].n_units == 25


def test_resamples_without_a_mean_are_left_out_and_counted():
    # A resample of four misses both units that have the measure with chance 1/16.
    whole, half = bootstrap_means([[1, 1], [1, 2], [1, NAN], [1, NAN]], rng=generator(), n_resamples=4000)
    assert whole.n_resamples == 4000
    assert half.n_resamples == pytest.approx(4000 * 15 / 16, abs=60)
    assert (half.n_units, half.n_units_left_out) == (2, 2)


def test_a_measure_of_one_unit_has_no_interval():
    _, lone, none = bootstrap_means([[1, 5, NAN], [2, NAN, NAN]], rng=generator())
    assert np.isnan([lone.low, lone.high, none.low, none.high]).all()
    assert (lone.n_units, none.n_units) == (1, 0)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1, 2], {}, "one row per unit"),
        ([[1, 2], [3, np.inf]], {}, r"per_unit\[1, 1\] is infinite"),
        ([[1], [2]], {"n_resamples": 0}, "n_resamples"),
        ([[1], [2]], {"level": 0}, "level"),
    ],
)
def test_malformed_measures_are_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_means(values, rng=generator(), **options)
