import warnings
from itertools import combinations, permutations

import krippendorff
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import curve_fit

from modeling.stats.planning import alpha_precision, expected_consensus, plan

NAN = float("nan")
LEVELS = ["nominal", "ordinal", "interval"]


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rng(seed=0):
    return np.random.default_rng(seed)


def draw_studies(random, n_posts, n_raters, n_studies=1):
    """Ratings 0-6 of posts that differ in how high they are and in how much people differ on them."""
    shape = (n_studies, n_posts, 1)
    heights, spreads = random.normal(1.0, 1.5, shape), random.gamma(4.0, 0.33, shape)
    noise = random.normal(size=(n_studies, n_posts, n_raters))
    return np.clip(np.round(heights + spreads * noise), 0, 6)


def as_rows(study):
    n_posts, n_raters = study.shape
    return study.reshape(-1, 1), np.repeat(np.arange(n_posts), n_raters)


def sparse_rows(seed, n_posts=30):
    """Posts of 1 to 8 raters, in no order."""
    random = rng(seed)
    posts = np.repeat(np.arange(n_posts), random.integers(1, 9, n_posts))
    ratings = draw_studies(random, len(posts), 1)[0]
    ratings = np.clip(ratings + random.integers(-1, 3, n_posts)[posts, np.newaxis], 0, 6)
    order = random.permutation(len(posts))
    return ratings[order], posts[order]


def study_alpha(study, level):
    """Krippendorff's alpha of a complete study of shape (..., n_posts, n_raters), from its definition."""
    if level == "nominal":
        points = (study[..., np.newaxis] == np.arange(7)).astype(float)
    elif level == "ordinal":
        counts = (study[..., np.newaxis] == np.arange(7)).sum(axis=(-3, -2))
        ranks = np.cumsum(counts, axis=-1) - counts / 2
        points = np.take_along_axis(ranks[:, np.newaxis], study.astype(int), axis=-1)[..., np.newaxis]
    else:
        points = study[..., np.newaxis]
    within = points.var(axis=-2, ddof=1).mean(axis=-2).sum(axis=-1)
    flat = points.reshape(*points.shape[:-3], -1, points.shape[-1])
    return 1 - within / flat.var(axis=-2, ddof=1).sum(axis=-1)


def theory(g, single, shared):
    return single * np.sqrt(g / (1 + (g - 1) * shared))


def test_curve_through_exact_figures_is_the_formula_of_spearman_and_brown():
    # Every two raters correlate 0.25: a rater and the mean of g others correlate 0.25 sqrt(g / (1 + (g - 1) / 4)).
    sizes, wanted = [1, 2, 4], [1, 3, 9, 33]
    rhos = [0.25, 0.25 * np.sqrt(2 / 1.25), 0.25 * np.sqrt(4 / 1.75)]
    curve = expected_consensus(sizes, rhos, [90, 60, 30], wanted)
    assert (curve.single, curve.shared, curve.limit) == pytest.approx((0.25, 0.25, 0.5), abs=1e-6)
    assert [one.rho for one in curve.expected] == pytest.approx(
        [0.25, 0.25 * np.sqrt(2), 0.25 * np.sqrt(3), 0.25 * np.sqrt(33 / 9)], abs=1e-6
    )
    assert [one.extrapolated for one in curve.expected] == [False, False, True, True]


def test_formula_is_the_correlation_of_one_rater_with_the_mean_of_others():
    random = rng(1)
    ratings = np.sqrt(0.3) * random.normal(size=(200_000, 1)) + np.sqrt(0.7) * random.normal(
        size=(200_000, 7)
    )
    rhos = [np.corrcoef(ratings[:, 0], ratings[:, 1 : g + 1].mean(axis=1))[0, 1] for g in (1, 2, 6)]
    curve = expected_consensus([1, 2, 6], rhos, [1, 1, 1], [4])
    assert (curve.single, curve.shared) == pytest.approx((0.3, 0.3), abs=0.01)
    observed = np.corrcoef(ratings[:, 0], ratings[:, 1:5].mean(axis=1))[0, 1]
    assert curve.expected[0].rho == pytest.approx(observed, abs=0.005)


@pytest.mark.parametrize("seed", range(10))
def test_weighted_fit_equals_scipy(seed):
    random = rng(seed)
    sizes, weights = np.arange(1, 12), np.arange(110, 0, -10)
    rhos = theory(sizes, 0.2, random.uniform(0.1, 0.6)) + random.normal(0, 0.004, 11)
    curve = expected_consensus(sizes, rhos, weights, [5])
    found, _ = curve_fit(theory, sizes.astype(float), rhos, p0=[0.2, 0.3], sigma=1 / np.sqrt(weights))
    assert (curve.single, curve.shared) == pytest.approx(tuple(found), rel=1e-5)


def test_interval_holds_the_refitted_resamples():
    random, sizes = rng(2), np.array([1, 2, 3, 5, 8])
    truth = theory(sizes, 0.2, 0.3)
    curves = truth + random.normal(0, 0.01, (80, 5))
    curves[7, 2] = NAN
    curve = expected_consensus(sizes, truth, [50] * 5, [5, 30], curves=curves, ci_level=0.9)
    refitted = [
        expected_consensus(sizes, one, [50] * 5, [5, 30]).expected for one in np.delete(curves, 7, axis=0)
    ]
    for place, one in enumerate(curve.expected):
        ends = np.quantile([fit[place].rho for fit in refitted], [0.05, 0.95])
        assert (one.low, one.high) == pytest.approx(tuple(ends), abs=1e-6)
        assert one.low < one.rho < one.high
    assert (curve.n_resamples, curve.n_resamples_left_out) == (79, 1)


def test_sizes_without_rho_or_posts_do_not_enter_and_order_does_not_matter():
    rhos = theory(np.array([1, 2, 4]), 0.3, 0.4)
    whole = expected_consensus([1, 2, 4], rhos, [9, 9, 9], [3])
    gaps = expected_consensus([4, 7, 2, 9, 1], [rhos[2], NAN, rhos[1], 0.9, rhos[0]], [9, 9, 9, 0, 9], [3])
    assert gaps.n_sizes == 3
    assert gaps.expected[0].rho == pytest.approx(whole.expected[0].rho, abs=1e-9)


@pytest.mark.parametrize(
    ("rhos", "limit"),
    [([0.3, 0.25, 0.2], 0.25), ([0.0, 0.0, 0.0], 0.0), ([-0.1, -0.12, -0.13], None), ([0.4, 0.7, 0.99], 1.0)],
    ids=["falling", "nothing", "negative", "steep"],
)
def test_curves_that_no_crowd_gives_stay_within_bounds(rhos, limit):
    curve = expected_consensus([1, 2, 4], rhos, [1, 1, 1], [1, 1000])
    assert all(-1 <= one.rho <= 1 for one in curve.expected)
    assert -1.0000001 <= curve.limit <= 1.0000001
    assert 0 < curve.shared <= 1
    if limit is not None:
        assert curve.limit == pytest.approx(limit, abs=1e-3)


def test_one_size_gives_no_curve():
    curve = expected_consensus([1, 2], [0.2, NAN], [5, 5], [1, 4], curves=[[0.1, 0.2]])
    assert np.isnan([curve.single, curve.limit, *(one.rho for one in curve.expected)]).all()
    assert curve.reason == "1 group size(s) have a rho; the curve needs two"
    assert curve.n_resamples_left_out == 1


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_to_expect_comes_close_to_krippendorff(level):
    study = draw_studies(rng(3), 400, 5)[0]
    found = alpha_precision(*as_rows(study), raters_per_post=5, n_posts=400, level=level)
    theirs = krippendorff.alpha(study.T, level_of_measurement=level, value_domain=list(range(7)))
    assert found.expected_alpha[0] == pytest.approx(theirs, abs=0.002)
    assert study_alpha(study[np.newaxis], level)[0] == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("n_posts", "n_raters"), [(60, 2), (60, 3), (50, 4), (40, 9)])
def test_standard_error_is_the_spread_of_alpha_over_simulated_studies(level, n_posts, n_raters):
    random = rng(4)
    spread = study_alpha(draw_studies(random, n_posts, n_raters, 1200), level).std()
    pilot = as_rows(draw_studies(random, 3000, 6)[0])
    found = alpha_precision(*pilot, raters_per_post=n_raters, n_posts=n_posts, level=level)
    assert found.standard_error[0] == pytest.approx(spread, rel=0.1)
    assert found.half_width[0] == pytest.approx(1.959964 * found.standard_error[0], rel=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_small_pilots_of_another_design_foresee_it_without_bias(level):
    random = rng(5)
    spread = study_alpha(draw_studies(random, 80, 8, 800), level).std()
    found = [
        alpha_precision(*as_rows(pilot), raters_per_post=8, n_posts=80, level=level).standard_error[0]
        for pilot in draw_studies(random, 60, 5, 60)
    ]
    assert np.mean(found) == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("crowded", [False, True])
def test_for_the_pilots_own_design_it_is_the_jackknife_over_posts(level, crowded):
    random = rng(6)
    study = draw_studies(random, 250, 4)[0]
    if crowded:  # most ratings at the ends, where a rating moves the ranks of many
        heights = random.choice([0.0, 6.0], (250, 1), p=[0.8, 0.2])
        study = np.clip(np.round(heights + random.normal(0, 2.5, (250, 4))), 0, 6)
    without_each = study_alpha(np.stack([np.delete(study, post, axis=0) for post in range(250)]), level)
    found = alpha_precision(*as_rows(study), raters_per_post=4, n_posts=250, level=level)
    assert found.standard_error[0] == pytest.approx(without_each.std() * np.sqrt(249), rel=0.02)


@pytest.mark.parametrize("n_raters", [2, 3, 5])
def test_variance_equals_a_loop_over_pairs_and_pairs_of_pairs_of_raters(n_raters):
    ratings, posts = sparse_rows(7, n_posts=12)
    by_post = [ratings[posts == post, 0] for post in range(12)]
    by_post = [own for own in by_post if len(own) > 1]
    marginal = [(x, 1 / len(own) / len(by_post)) for own in by_post for x in own]
    observed = np.mean([np.mean([(x - y) ** 2 for x, y in combinations(own, 2)]) for own in by_post])
    expected = np.mean(
        [np.mean(np.subtract.outer(own, other) ** 2) for own, other in permutations(by_post, 2)]
    )
    ratio = observed / expected

    def kernel(x, y):
        return (x - y) ** 2 - ratio * sum(share * ((x - z) ** 2 + (y - z) ** 2) for z, share in marginal)

    enough = [own for own in by_post if len(own) >= min(4, n_raters)]
    own_means = [np.mean([kernel(x, y) for x, y in combinations(own, 2)]) for own in enough]
    square = np.mean([a * b for a, b in permutations(own_means, 2)])
    # Of all pairs of pairs of n_raters raters, so many share both raters, one, or none.
    pairs = list(combinations(range(n_raters), 2))
    shared = [len(set(a) & set(b)) for a in pairs for b in pairs]
    two = np.mean([np.mean([kernel(x, y) ** 2 for x, y in combinations(own, 2)]) for own in enough])
    one = none = 0.0
    if n_raters > 2:
        one = np.mean(
            [np.mean([kernel(x, y) * kernel(x, z) for x, y, z in permutations(own, 3)]) for own in enough]
        )
    if n_raters > 3:
        none = np.mean(
            [np.mean([kernel(w, x) * kernel(y, z) for w, x, y, z in permutations(own, 4)]) for own in enough]
        )
        assert two > one > none > square
    variance = np.dot([shared.count(n) for n in (2, 1, 0)], [two, one, none]) / len(shared) - square
    found = alpha_precision(ratings, posts, raters_per_post=n_raters, n_posts=70, level="interval")
    assert found.expected_alpha[0] == pytest.approx(1 - ratio)
    assert found.standard_error[0] == pytest.approx(np.sqrt(variance / 70) / expected, rel=1e-9)
    assert found.n_posts_used[0] == len(enough)


@pytest.mark.parametrize("level", LEVELS)
def test_order_of_rows_and_gaps_do_not_matter(level):
    ratings, posts = sparse_rows(8)
    order = rng().permutation(len(posts))
    before = alpha_precision(ratings, posts, raters_per_post=5, n_posts=100, level=level)
    with_gaps = np.vstack([ratings[order], [[NAN]] * 3])
    after = alpha_precision(with_gaps, [*posts[order], 0, 4, 4], raters_per_post=5, n_posts=100, level=level)
    assert_allclose(after.half_width, before.half_width, rtol=1e-12)


def test_ordinal_precision_depends_on_the_order_of_ratings_alone():
    ratings, posts = sparse_rows(9)
    designs = {"raters_per_post": 4, "n_posts": 100, "level": "ordinal"}
    assert_allclose(
        alpha_precision(ratings, posts, **designs).half_width,
        alpha_precision(np.exp(ratings), posts, **designs).half_width,
        rtol=1e-12,
    )


def test_more_raters_and_more_posts_never_widen_the_interval():
    ratings, posts = sparse_rows(10, n_posts=80)
    by_raters = [
        alpha_precision(ratings, posts, raters_per_post=k, n_posts=100).half_width[0] for k in range(4, 40)
    ]
    assert np.all(np.diff(by_raters) <= 0)
    quarter = alpha_precision(ratings, posts, raters_per_post=4, n_posts=400).half_width[0]
    assert quarter == pytest.approx(by_raters[0] / 2)


def test_values_whose_precision_cannot_be_foreseen_say_why():
    posts = np.repeat([0, 1, 2], 3)
    values = [
        [0, 1, 2, 3, 4, 5, 6, 5, 6],
        [0] * 9,
        [1, 1, 1, 2, 2, 2, 3, 3, 3],
        [NAN] * 9,
        [0, 1, NAN, NAN, NAN, NAN, 2, NAN, NAN],
    ]
    found = alpha_precision(np.array(values).T, posts, raters_per_post=4, n_posts=100)
    assert np.isnan(found.half_width).all()
    assert found.reasons == (
        "0 post(s) of the pilot have 4 ratings of this value; two are needed",
        "every rating of this value is the same",
        "no two raters of a post differ on this value, so nothing says how alpha would vary",
        "0 post(s) have two ratings of this value; its precision needs two such posts",
        "1 post(s) have two ratings of this value; its precision needs two such posts",
    )
    fewer = alpha_precision(np.array(values).T, posts, raters_per_post=3, n_posts=100)
    assert fewer.reasons[0] == ""
    assert fewer.half_width[0] > 0


def make_plan(**changes):
    ratings, posts = sparse_rows(11)
    ratings = np.column_stack([ratings, np.roll(ratings, 1), np.zeros(len(posts))])
    given = {
        "raters_per_post": [2, 5],
        "n_posts": [90, 30],
        "posts_per_rater": 40,
        "reward": 100,
        "fee": 0.1,
        "sizes": [1, 2, 3],
        "rhos": theory(np.array([1, 2, 3]), 0.2, 0.3),
        "size_posts": [20, 15, 12],
    }
    return plan(ratings, posts, **(given | changes)), ratings, posts


def test_a_plan_says_what_each_design_takes_costs_and_shows():
    rows, ratings, posts = make_plan()
    assert [(row.n_posts, row.raters_per_post) for row in rows] == [(90, 2), (90, 5), (30, 2), (30, 5)]
    # 180 / 40 = 4.5 raters, 450 / 40 = 11.25; with 30 posts nobody can read 40.
    assert [row.n_raters for row in rows] == [5, 12, 2, 5]
    assert [row.cost for row in rows] == [550, 1320, 220, 550]
    assert [row.human_consensus for row in rows[:2]] == pytest.approx([0.2, theory(4, 0.2, 0.3)], abs=1e-6)
    assert [row.extrapolated for row in rows[:2]] == [False, True]
    for row in rows:
        widths = alpha_precision(
            ratings, posts, raters_per_post=row.raters_per_post, n_posts=row.n_posts
        ).half_width
        assert row.half_width_median == pytest.approx(np.mean(widths[:2]))
        assert row.half_width_worst == widths[row.worst_value] == np.nanmax(widths)
        assert row.n_values_undefined == 1


def test_cost_is_rounded_up_to_whole_minor_units_and_open_without_a_reward():
    assert make_plan(reward=101, fee=1 / 3)[0][0].cost == 674
    assert make_plan(reward=None)[0][0].cost is None


def test_a_plan_from_nothing_is_undefined_throughout():
    rows = plan(
        [[NAN]],
        [0],
        raters_per_post=[3],
        n_posts=[10],
        posts_per_rater=5,
        reward=1,
        fee=0,
        sizes=[],
        rhos=[],
        size_posts=[],
    )
    assert np.isnan([rows[0].human_consensus, rows[0].half_width_median, rows[0].half_width_worst]).all()
    assert rows[0].worst_value is None
    assert rows[0].n_raters == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_consensus([1, 2], [0.1], [1, 1], [1]), "sizes has shape"),
        (lambda: expected_consensus([0, 2], [0.1, 0.2], [1, 1], [1]), "below 1"),
        (lambda: expected_consensus([1, 2], [0.1, 0.2], [1, 1], [0]), "below 1"),
        (lambda: expected_consensus([1, 1], [0.1, 0.2], [1, 1], [1]), "twice"),
        (lambda: expected_consensus([1, 2], [0.1, 2], [1, 1], [1]), "outside -1 to 1"),
        (lambda: expected_consensus([1, 2], [0.1, 0.2], [1, -1], [1]), "n_posts holds"),
        (lambda: expected_consensus([1, 2], [0.1, 0.2], [1, 1], [1], curves=[0.1, 0.2]), "curves has shape"),
        (lambda: alpha_precision([[1]], [0], raters_per_post=1, n_posts=9), "raters_per_post is 1"),
        (lambda: alpha_precision([[1]], [0], raters_per_post=2, n_posts=1), "n_posts is 1"),
        (
            lambda: alpha_precision([[1]], [0], raters_per_post=2, n_posts=9, level="ratio"),
            "level is 'ratio'",
        ),
        (lambda: make_plan(posts_per_rater=0), "posts_per_rater is 0"),
        (lambda: make_plan(fee=-0.1), "fee -0.1"),
        (lambda: make_plan(raters_per_post=[1]), "raters_per_post is 1"),
        (lambda: make_plan(level="ratio"), "level is 'ratio'"),
    ],
    ids=range(14),
)
def test_input_that_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_empty_pilot_has_no_precision():
    found = alpha_precision(np.empty((0, 2)), np.empty(0, dtype=int), raters_per_post=3, n_posts=10)
    assert_array_equal(found.half_width, [NAN, NAN])
