import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from modeling.stats.agreement import (
    human_consensus,
    human_consensus_by_size,
    human_human,
    human_model,
)

NAN = float("nan")
gap_or_rating = st.sampled_from([NAN, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
rating = st.sampled_from([0.0, 1.0, 2.0, 3.0, 6.0])


@st.composite
def annotations(draw, elements=gap_or_rating):
    """Rows of up to four posts in any order, some posts with one rater or none."""
    n_rows, n_values = draw(st.integers(1, 14)), draw(st.integers(1, 6))
    ratings = draw(hnp.arrays(np.float64, (n_rows, n_values), elements=elements))
    posts = draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 3)))
    return ratings, posts


def rho(x, y):
    shared = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[shared], y[shared]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return NAN
    return stats.spearmanr(x, y).statistic


def rounded(mean):
    return np.floor(mean + 0.5)


def consensus_of(rows):
    """Rounded mean of the rows per value, NaN where none has it."""
    columns = [column[~np.isnan(column)] for column in np.asarray(rows).T]
    return np.array([rounded(column.mean()) if len(column) else NAN for column in columns])


def naive(rhos_of_posts):
    """(mean of each post, defined, undefined) from the list of rhos of each post."""
    means = [np.mean([r for r in rhos if r == r] or [NAN]) for rhos in rhos_of_posts]
    every = np.array([r for rhos in rhos_of_posts for r in rhos])
    return means, int((~np.isnan(every)).sum()), int(np.isnan(every).sum())


def assert_equals_naive(measure, rhos_of_posts):
    means, n_defined, n_undefined = naive(rhos_of_posts)
    assert_allclose(measure.per_post, means, atol=1e-12)
    assert (measure.n_defined, measure.n_undefined) == (n_defined, n_undefined)
    assert measure.n_posts + measure.n_posts_undefined == len(rhos_of_posts)


def test_three_judges_of_six_applicants_agree_as_published():
    # Siegel (1956), Nonparametric Statistics, ch. 9: W = .16, pairwise .31, -.54, -.54, mean -.26.
    ranks = [[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]]
    kendall_w = 12 * 25.5 / (3**2 * (6**3 - 6))
    measure = human_human(ranks, [0, 0, 0])
    assert measure.rho == pytest.approx((3 * kendall_w - 1) / 2, abs=1e-12)
    assert measure.rho == pytest.approx(-0.26, abs=0.005)
    assert (measure.n_defined, measure.n_undefined, measure.n_posts) == (3, 0, 1)


@given(annotations(elements=rating))
def test_human_human_of_complete_ratings_equals_the_loop_over_pairs(data):
    ratings, posts = data
    loops = [[rho(x, y) for x, y in combinations(ratings[posts == p], 2)] for p in range(4)]
    assert_equals_naive(human_human(ratings, posts, 4), loops)


@given(annotations())
def test_human_human_of_sparse_ratings_equals_the_loop_over_pairs(data):
    ratings, posts = data
    loops = [[rho(x, y) for x, y in combinations(ratings[posts == p], 2)] for p in range(4)]
    assert_equals_naive(human_human(ratings, posts, 4), loops)


def test_human_human_of_many_raters_equals_the_loop_over_pairs():
    rng = np.random.default_rng(3)
    ratings, posts = rng.integers(0, 101, (240, 11)).astype(float), rng.integers(0, 3, 240)
    loops = [[rho(x, y) for x, y in combinations(ratings[posts == p], 2)] for p in range(3)]
    assert_equals_naive(human_human(ratings, posts), loops)


@given(annotations())
def test_human_consensus_equals_the_loop_over_raters(data):
    ratings, posts = data
    loops = []
    for post in range(4):
        rows = ratings[posts == post]
        loops.append([rho(row, consensus_of(np.delete(rows, i, axis=0))) for i, row in enumerate(rows)])
    assert_equals_naive(human_consensus(ratings, posts, 4), loops)


@given(annotations())
def test_human_model_equals_the_loop_over_rows(data):
    ratings, posts = data
    predictions = np.random.default_rng(len(ratings)).integers(0, 7, ratings.shape) / 7
    loops = [
        [rho(x, y) for x, y in zip(ratings[posts == p], predictions[posts == p], strict=True)]
        for p in range(4)
    ]
    assert_equals_naive(human_model(ratings, posts, predictions, 4), loops)


@given(annotations(), st.randoms(use_true_random=False))
def test_order_of_raters_does_not_matter(data, random):
    ratings, posts = data
    order = random.sample(range(len(posts)), len(posts))
    for measure in (human_human, human_consensus):
        before, after = measure(ratings, posts, 4), measure(ratings[order], posts[order], 4)
        assert_allclose(before.per_post, after.per_post, atol=1e-12)
        assert (before.n_defined, before.n_undefined) == (after.n_defined, after.n_undefined)


def test_consensus_of_the_others_is_rounded_half_up():
    # The first rater's others average (0.5, 1, 1.5), which is (1, 1, 2) rounded half up, and would be
    # (0, 1, 2) rounded half to even.
    ratings = [[0, 1, 2], [0, 1, 1], [1, 1, 2]]
    predictions = [[1, 1, 2], [1, 1, 2], [0, 1, 2]]
    assert human_consensus(ratings, [0, 0, 0]).rho == human_model(ratings, [0, 0, 0], predictions).rho


def test_every_rater_seeing_other_values_is_compared_over_what_they_share():
    # Nobody rated everything; wherever two raters overlap they agree in order.
    ratings = [[0, 1, 2, NAN], [NAN, 1, 2, 3], [0, NAN, 4, 5], [0, 5, NAN, 6]]
    measure = human_human(ratings, [0, 0, 0, 0])
    assert measure.n_defined == 6
    assert measure.rho == pytest.approx(1.0)


def test_values_shown_to_nobody_on_a_post_change_nothing():
    ratings = np.array([[0, 1, 3], [2, 1, 0], [0, 3, 1.0]])
    padded = np.insert(ratings, 1, NAN, axis=1)
    for measure in (human_human, human_consensus):
        assert measure(padded, [0, 0, 0]).rho == pytest.approx(measure(ratings, [0, 0, 0]).rho, abs=1e-12)


def test_perfect_agreement_never_passes_one():
    for n_raters in range(2, 40):
        ratings = np.tile([0.0, 1, 2, 2, 5, 6], (n_raters, 1))
        measure = human_human(ratings, [0] * n_raters)
        assert measure.rho == pytest.approx(1.0)
        assert measure.rho <= 1.0


def test_posts_weigh_the_same_however_many_raters_they_have():
    up, down = [0, 1, 2], [2, 1, 0]
    measure = human_human([up, up, up, up, up, down], [0, 0, 0, 0, 1, 1])
    assert_allclose(measure.per_post, [1, -1])
    assert measure.rho == pytest.approx(0.0)


def test_posts_without_any_rho_are_left_out_and_counted():
    ratings = [[3, 3, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    measure = human_human(ratings, [0, 0, 1, 2, 2], n_posts=5)
    assert_array_equal(np.isnan(measure.per_post), [True, True, False, True, True])
    assert (measure.n_defined, measure.n_undefined) == (1, 1)
    assert (measure.n_posts, measure.n_posts_undefined) == (1, 4)
    assert measure.rho == pytest.approx(1.0)


@pytest.mark.parametrize(("ratings", "posts"), [([[2, 2], [2, 2]], [0, 0]), (np.empty((0, 3)), [])])
def test_no_rho_at_all_is_nan_and_not_an_error(ratings, posts):
    for measure in (human_human(ratings, posts), human_consensus(ratings, posts)):
        assert np.isnan(measure.rho)
        assert (measure.n_defined, measure.n_posts) == (0, 0)


def test_a_lone_rater_counts_as_a_row_without_consensus():
    measure = human_consensus([[0, 1, 2]], [0])
    assert (measure.n_defined, measure.n_undefined, measure.n_posts_undefined) == (0, 1, 1)


@given(annotations(elements=rating))
def test_a_group_of_everyone_else_is_the_full_consensus(data):
    ratings, posts = data
    n_others = np.bincount(posts, minlength=4) - 1
    whole = human_consensus(ratings, posts, 4)
    sizes = range(1, int(n_others.max()) + 2)
    drawn = human_consensus_by_size(ratings, posts, sizes, rng=np.random.default_rng(0), n_draws=2, n_posts=4)
    for post in np.flatnonzero(n_others > 0):
        assert drawn[int(n_others[post])].per_post[post] == pytest.approx(
            whole.per_post[post], abs=1e-12, nan_ok=True
        )


def test_each_group_of_others_is_drawn_equally_often():
    # Row 0 is compared with one of three others, whose rho with it are 1, 0.5 and -1; all other pairs
    # are known too, so that many draws approach the mean over the ordered pairs.
    ratings = [[0, 1, 2], [0, 1, 2], [1, 0, 2], [2, 1, 0]]
    drawn = human_consensus_by_size(ratings, [0] * 4, [1], rng=np.random.default_rng(4), n_draws=4000)[1]
    assert drawn.rho == pytest.approx(human_human(ratings, [0] * 4).rho, abs=0.02)
    assert (drawn.n_defined, drawn.n_undefined) == (16000, 0)


def test_groups_of_two_average_over_every_pair_of_others():
    ratings = np.random.default_rng(5).integers(0, 7, (5, 4)).astype(float)
    every = [
        rho(ratings[i], consensus_of(ratings[list(pair)]))
        for i in range(5)
        for pair in combinations(sorted({0, 1, 2, 3, 4} - {i}), 2)
    ]
    drawn = human_consensus_by_size(ratings, [0] * 5, [2], rng=np.random.default_rng(6), n_draws=4000)[2]
    assert drawn.rho == pytest.approx(np.nanmean(every), abs=0.02)


def test_posts_with_too_few_raters_do_not_enter_a_size():
    up = [0, 1, 2]
    drawn = human_consensus_by_size(
        [up] * 5, [0, 0, 1, 1, 1], [2, 1, 7], rng=np.random.default_rng(7), n_draws=3
    )
    assert list(drawn) == [1, 2, 7]
    assert_array_equal(drawn[1].per_post, [1, 1])
    assert_array_equal(drawn[2].per_post, [NAN, 1])
    assert [drawn[g].n_defined for g in drawn] == [15, 9, 0]
    assert [drawn[g].n_undefined for g in drawn] == [0, 0, 0]
    assert np.isnan(drawn[7].rho)


def test_sizes_by_seed_can_be_repeated():
    rng = np.random.default_rng(8)
    ratings, posts = rng.integers(0, 7, (60, 5)).astype(float), rng.integers(0, 6, 60)
    first, again = (
        human_consensus_by_size(ratings, posts, [1, 3], rng=np.random.default_rng(9)) for _ in range(2)
    )
    assert_array_equal(first[3].per_post, again[3].per_post)


def test_sparse_groups_use_the_others_who_have_the_value():
    # With two raters the group of one is the other rater, compared over the values both have.
    ratings = [[0, 1, NAN, 5], [0, NAN, 2, 5]]
    drawn = human_consensus_by_size(ratings, [0, 0], [1], rng=np.random.default_rng(10), n_draws=2)[1]
    assert (drawn.rho, drawn.n_defined) == (1.0, 4)


def test_a_personalized_model_may_answer_each_rater_differently():
    ratings = np.array([[0, 1, 2], [2, 1, 0.0]])
    assert human_model(ratings, [0, 0], ratings).rho == 1.0
    assert human_model(ratings, [0, 0], ratings[[0, 0]]).rho == 0.0


@pytest.mark.parametrize(
    ("ratings", "posts", "message"),
    [
        ([[1, 2], [3, 4]], [0], "one post code per row"),
        ([[1, 2]], [0.0], "integers"),
        ([[1, 2], [3, 4]], [0, -1], r"posts\[1\] is -1"),
        ([1, 2], [0, 0], "two dimensions"),
        (np.empty((2, 0)), [0, 0], "at least one column"),
        ([[1, np.inf]], [0], r"ratings\[0, 1\] is infinite"),
    ],
)
def test_malformed_input_is_refused_with_its_place(ratings, posts, message):
    for measure in (human_human, human_consensus):
        with pytest.raises(ValueError, match=message):
            measure(ratings, posts)


def test_codes_beyond_the_number_of_posts_are_refused():
    with pytest.raises(ValueError, match=r"posts\[1\] is 2"):
        human_human([[1, 2], [3, 4]], [0, 2], n_posts=2)


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one prediction per rating"):
        human_model([[1, 2], [3, 4]], [0, 0], [[1, 2]])


@pytest.mark.parametrize(("sizes", "n_draws", "message"), [([0, 2], 1, "sizes"), ([1], 0, "n_draws")])
def test_impossible_draws_are_refused(sizes, n_draws, message):
    with pytest.raises(ValueError, match=message):
        human_consensus_by_size([[1, 2]], [0], sizes, rng=np.random.default_rng(0), n_draws=n_draws)


def test_a_study_of_thirty_thousand_annotations_takes_seconds():
    rng = np.random.default_rng(11)
    ratings, posts = rng.integers(0, 7, (32370, 19)).astype(float), np.repeat(np.arange(5395), 6)
    started = time.process_time()
    human_human(ratings, posts)
    human_consensus(ratings, posts)
    human_consensus_by_size(ratings, posts, [1, 2, 3, 4, 5], rng=rng)
    assert time.process_time() - started < 15  # about 2 s; a loop over rows or pairs takes minutes
