"""Intervals over raters beside loops that draw whole raters."""

import numpy as np
import pytest
from scipy.stats import rankdata

from modeling.reports.by_rater import RaterSample
from modeling.reports.people import RESAMPLING, make_rng
from modeling.stats.resampling import bootstrap_mean

RATERS = np.array([7, 7, 2, 2, 2, 9, 4, 4, 9, 9])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (10, 3))
    rows[0, 0] = rows[2:5, 1] = np.nan
    return rows


@pytest.fixture
def sample():
    return RaterSample(RATERS, seed=5)


def draw(sample):
    """For each resample, the rows of the raters drawn, as often as they were."""
    for counts in sample.draws.astype(int):
        yield (
            np.concatenate(
                [
                    np.tile(np.flatnonzero(code == RATERS), n)
                    for code, n in zip(sample.codes, counts, strict=True)
                ]
            ),
            counts,
        )


def test_a_mean_over_raters_is_that_of_their_means(sample, rows):
    found = sample.average(rows)
    for column in range(3):
        means = [np.nanmean(rows[code == RATERS, column]) if code != 2 or column != 1 else np.nan
                 for code in sample.codes]  # fmt: skip
        assert found.value[column] == pytest.approx(np.nanmean(means))
        for (_, counts), resampled in zip(draw(sample), found.resampled[:, column], strict=True):
            there = ~np.isnan(means) & (counts > 0)
            expected = np.average(np.array(means)[there], weights=counts[there]) if there.any() else np.nan
            assert resampled == pytest.approx(expected, nan_ok=True)
    assert list(found.n_raters) == [4, 3, 4]


def test_its_interval_is_that_of_a_bootstrap_of_the_raters_means(sample, rows):
    means = [rows[code == RATERS, 2].mean() for code in sample.codes]
    expected = bootstrap_mean(means, rng=make_rng(5, RESAMPLING))
    low, high = sample.average(rows).find_ends()
    assert (low[2], high[2]) == pytest.approx((expected.low, expected.high))


def test_a_mean_over_rows_weighs_each_the_same(sample, rows):
    found = sample.average_rows(rows)
    assert found.value == pytest.approx(np.nanmean(rows, axis=0))
    for (drawn, _), resampled in zip(draw(sample), found.resampled[:, 2], strict=True):
        assert resampled == pytest.approx(rows[drawn, 2].mean())


def test_a_correlation_keeps_its_ranks_in_every_resample(sample, rows):
    x, y = rows[:, 2], rows[:, 2] + np.arange(10) % 3
    found, reasons = sample.correlate(x[:, np.newaxis], y[:, np.newaxis])
    a, b = rankdata(x), rankdata(y)
    assert reasons == [""]
    assert found.value[0] == pytest.approx(np.corrcoef(a, b)[0, 1])
    for (drawn, _), resampled in list(zip(draw(sample), found.resampled[:, 0], strict=True))[:50]:
        assert resampled == pytest.approx(np.corrcoef(a[drawn], b[drawn])[0, 1])


def test_columns_without_an_order_have_a_reason_and_leave_the_others_alone(sample, rows):
    x = np.stack([rows[:, 2], np.ones(10)], axis=1)
    found, reasons = sample.correlate(x, rows[:, [2, 2]])
    assert found.value[0] == pytest.approx(1.0)
    assert np.isnan(found.value[1])
    assert reasons == ["", "every rating is the same, so there is no order to compare"]
    assert found.describe()[1] == (None, [None, None], 0)


def test_differences_are_paired_draw_by_draw(sample, rows):
    found = sample.average(rows[:, 2:])
    low, high = found.minus(found).find_ends()
    assert (low[0], high[0]) == (0.0, 0.0)


def test_nobody_has_no_number():
    sample = RaterSample(np.array([], dtype=np.intp), seed=1)
    assert sample.average(np.empty((0, 2))).describe() == [(None, [None, None], 0)] * 2
