import numpy as np
import pytest

from modeling.stats.over_posts import make_score, resample_sums, score_mean
from modeling.stats.resampling import bootstrap_mean

NAN = float("nan")


def test_the_columns_of_a_resample_are_over_the_same_posts():
    columns = np.random.default_rng(1).integers(0, 9, (50, 1)) * np.array([[1, 2]])
    sums = resample_sums(columns, rng=np.random.default_rng(2), n_resamples=30)
    assert sums[:, 1] == pytest.approx(2 * sums[:, 0])
    assert len(np.unique(sums[:, 0])) > 5


def test_the_interval_of_a_mean_is_that_of_the_bootstrap():
    numbers = np.random.default_rng(3).normal(size=200)
    found = score_mean(
        [*numbers, NAN], rng=np.random.default_rng(4), n_resamples=4000, level=0.9, reason="none"
    )
    other = bootstrap_mean(numbers, rng=np.random.default_rng(5), n_resamples=4000, level=0.9)
    assert found.estimate == pytest.approx(numbers.mean())
    assert (found.interval.low, found.interval.high) == pytest.approx((other.low, other.high), abs=0.02)
    assert (found.interval.n_units, found.interval.n_units_left_out) == (200, 1)


def test_nothing_to_average_keeps_the_reason():
    found = score_mean([NAN], rng=np.random.default_rng(0), n_resamples=5, level=0.9, reason="why not")
    assert np.isnan(found.estimate)
    assert (found.reason, found.interval.n_resamples) == ("why not", 0)


def test_resamples_without_the_measure_are_not_counted():
    found = make_score(0.5, np.array([0.4, NAN, 0.6]), level=0.5, n_posts=9)
    assert found.interval.n_resamples == 2
    assert found.reason == ""
