"""One value's ratings and predictions over all rows, against SciPy."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from modeling.reports.correlation import correlate_over_rows


def draw(n_rows=120, n_posts=20, gaps=0.1):
    rng = np.random.default_rng(4)
    ratings = rng.integers(0, 7, n_rows).astype(float)
    predicted = ratings + rng.normal(0, 3, n_rows)
    predicted[rng.random(n_rows) < gaps] = np.nan
    ratings[rng.random(n_rows) < gaps] = np.nan
    return ratings, predicted, rng.integers(0, n_posts, n_rows)


def test_rho_is_that_of_the_rows_that_have_both():
    ratings, predicted, posts = draw()
    found = correlate_over_rows(ratings, predicted, posts, rng=np.random.default_rng(0))
    both = ~np.isnan(ratings) & ~np.isnan(predicted)
    assert found.rho == pytest.approx(spearmanr(ratings[both], predicted[both]).statistic, abs=1e-12)
    assert (found.n_rows, found.n_posts, found.reason) == (both.sum(), len(set(posts[both])), "")
    assert found.low < found.rho < found.high


def test_the_interval_is_that_of_a_loop_over_resampled_posts():
    ratings, predicted, posts = draw(gaps=0)
    found = correlate_over_rows(ratings, predicted, posts, rng=np.random.default_rng(9))
    rng, rhos = np.random.default_rng(9), []
    ranks = np.argsort(np.argsort(predicted)), spearman_ranks(ratings)
    names = np.unique(posts)
    for _ in range(1000):
        rows = np.concatenate(
            [np.flatnonzero(posts == names[k]) for k in rng.integers(len(names), size=len(names))]
        )
        rhos.append(np.corrcoef(ranks[0][rows], ranks[1][rows])[0, 1])
    assert (found.low, found.high) == pytest.approx(np.quantile(rhos, [0.025, 0.975]), abs=1e-9)


def spearman_ranks(numbers):
    """Average ranks, by counting."""
    return np.array([(numbers < x).sum() + (numbers == x).sum() / 2 for x in numbers])


@pytest.mark.parametrize(
    ("ratings", "predicted", "words"),
    [
        ([1, 2], [1, 2], "2 row"),
        ([1, 2, math.nan, math.nan], [1, math.nan, 3, 4], "1 row"),
        ([3, 3, 3], [1, 2, 3], "every rating is the same"),
        ([1, 2, 3], [2, 2, 2], "every prediction is the same"),
        ([], [], "0 row"),
    ],
)
def test_without_an_order_there_is_no_rho_but_a_reason(ratings, predicted, words):
    arrays = np.array(ratings, dtype=float), np.array(predicted, dtype=float)
    found = correlate_over_rows(*arrays, np.zeros(len(ratings), dtype=int), rng=np.random.default_rng(0))
    assert math.isnan(found.rho)
    assert words in found.reason


def test_one_post_has_a_rho_but_no_interval():
    found = correlate_over_rows(
        np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), np.zeros(3, dtype=int), rng=np.random.default_rng(0)
    )
    assert found.rho == -1.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_order_of_rows_does_not_matter():
    ratings, predicted, posts = draw()
    order = np.random.default_rng(1).permutation(len(ratings))
    one, other = (
        correlate_over_rows(ratings[rows], predicted[rows], posts[rows], rng=np.random.default_rng(3))
        for rows in (slice(None), order)
    )
    assert (one.rho, one.low, one.high) == pytest.approx((other.rho, other.low, other.high), abs=1e-12)
