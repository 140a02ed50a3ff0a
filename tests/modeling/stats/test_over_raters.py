import itertools

import numpy as np
import pytest
from scipy import stats

from modeling.stats import kernels
from modeling.stats.agreement import human_human
from modeling.stats.over_raters import bootstrap_over_raters

NAN = np.nan


def draw(seed=0, n_raters=9, n_posts=7, per_rater=4, gaps=0.0):
    """Sparse ratings: no two raters share all their posts."""
    rng = np.random.default_rng(seed)
    posts = np.concatenate([rng.choice(n_posts, per_rater, replace=False) for _ in range(n_raters)])
    ratings = rng.choice(7, (len(posts), 5), p=(0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)).astype(float)
    ratings[rng.random(ratings.shape) < gaps] = NAN
    return ratings, posts, np.repeat(np.arange(n_raters), per_rater)


def by_loop(ratings, posts, raters, drawn):
    """Human-human agreement of the raters drawn, each pair counted as often as it can be made."""
    per_post = []
    for post in np.unique(posts):
        rhos = []
        for one, other in itertools.combinations(np.flatnonzero(posts == post), 2):
            both = ~np.isnan(ratings[one]) & ~np.isnan(ratings[other])
            a, b = ratings[one, both], ratings[other, both]
            if len(np.unique(a)) > 1 and len(np.unique(b)) > 1:
                rhos += [stats.spearmanr(a, b).statistic] * (drawn[raters[one]] * drawn[raters[other]])
        if rhos:
            per_post.append(np.mean(rhos))
    return np.mean(per_post) if per_post else NAN


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_each_resample_is_the_agreement_of_the_raters_drawn(monkeypatch, gaps):
    ratings, posts, raters = draw(gaps=gaps)
    rng = np.random.default_rng(5)
    found = []

    def remember(starts, firsts, seconds, rhos, n_raters, n_resamples, seed):
        found.append((starts, firsts, seconds, rhos))
        return np.zeros(n_resamples)

    monkeypatch.setattr(kernels, "resampled_pair_means", remember)
    bootstrap_over_raters(ratings, posts, raters, rng=rng)
    starts, firsts, seconds, rhos = found[0]
    for _ in range(20):
        drawn = np.bincount(rng.integers(9, size=9), minlength=9)
        weights = drawn[firsts] * drawn[seconds]
        per_post = [
            np.average(rhos[low:high], weights=weights[low:high])
            for low, high in itertools.pairwise(starts)
            if weights[low:high].sum()
        ]
        expected = by_loop(ratings, posts, raters, drawn)
        assert (np.mean(per_post) if per_post else NAN) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_the_extreme_resamples_are_those_of_some_draw_of_raters():
    ratings, posts = np.array([[0, 1, 2], [0, 2, 6], [2, 1, 0.0]]), [0, 0, 0]
    possible = {
        round(by_loop(ratings, np.zeros(3), np.arange(3), np.bincount(draw, minlength=3)), 9)
        for draw in itertools.product(range(3), repeat=3)
    }
    interval = bootstrap_over_raters(
        ratings, posts, [0, 1, 2], rng=np.random.default_rng(3), n_resamples=400, level=0.999999
    )
    ends = {round(interval.low, 9), round(interval.high, 9)}
    assert ends == {min(p for p in possible if p == p), max(p for p in possible if p == p)}


def test_the_interval_holds_the_estimate_and_repeats_with_its_seed():
    ratings, posts, raters = draw(n_raters=30, n_posts=12, per_rater=6)
    first, again, other = (
        bootstrap_over_raters(ratings, posts, raters, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.low < human_human(ratings, posts).rho < first.high
    assert (first.low, first.high) == (again.low, again.high) != (other.low, other.high)
    assert (first.n_units, first.n_units_left_out) == (30, 0)


def test_the_order_of_the_rows_changes_nothing():
    ratings, posts, raters = draw()
    order = np.random.default_rng(8).permutation(len(posts))
    one = bootstrap_over_raters(ratings, posts, raters, rng=np.random.default_rng(1))
    other = bootstrap_over_raters(ratings[order], posts[order], raters[order], rng=np.random.default_rng(1))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_raters_without_a_pair_are_left_out_and_counted():
    ratings, posts, raters = draw(n_raters=12, n_posts=6)
    ratings[raters == 2] = 0.0
    alone = np.append(posts, 6)
    interval = bootstrap_over_raters(
        np.vstack([ratings, ratings[:1]]), alone, np.append(raters, 12), rng=np.random.default_rng(1)
    )
    assert (interval.n_units, interval.n_units_left_out) == (11, 2)


@pytest.mark.parametrize("n_raters", [0, 1, 2])
def test_fewer_than_three_raters_have_no_interval(n_raters):
    ratings = np.arange(3.0 * n_raters).reshape(n_raters, 3)
    interval = bootstrap_over_raters(
        ratings,
        np.zeros(n_raters, dtype=int),
        np.arange(n_raters),
        rng=np.random.default_rng(1),
    )
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("raters", "message"),
    [
        ([0, 1], "one rater code per row"),
        ([0.0, 1.0, 2.0], "code the raters as integers"),
        ([0, -1, 2], r"raters\[1\] is -1"),
        ([0, 1, 1], "rater 1 has two rows for post 0"),
    ],
    ids=["length", "kind", "negative", "twice"],
)
def test_faulty_raters_are_refused(raters, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_over_raters(np.eye(3), [0, 0, 0], raters, rng=np.random.default_rng(1))
