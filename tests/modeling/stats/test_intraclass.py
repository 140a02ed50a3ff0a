import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from modeling.stats.intraclass import intraclass

NAN = float("nan")
gap_or_rating = st.sampled_from([NAN, 0.0, 0.0, 1.0, 2.0, 5.0, 6.0])

# Shrout and Fleiss (1979), Psychological Bulletin 86(2), 420-428, Table 2: six targets, four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def long(table):
    return table.reshape(-1, 1), np.repeat(np.arange(len(table)), table.shape[1])


@st.composite
def annotations(draw):
    n_rows = draw(st.integers(1, 14))
    ratings = draw(hnp.arrays(np.float64, (n_rows, 2), elements=gap_or_rating))
    return ratings, draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 4)))


def test_shrout_and_fleiss_give_their_reliabilities():
    found = intraclass(*long(SHROUT_FLEISS))
    assert_allclose(found.icc1, [0.17], atol=5e-3)
    assert_allclose(found.icc_k, [0.44], atol=5e-3)
    assert_allclose(found.raters_per_post, [4])
    # Limits as psych::ICC prints them for these data.
    assert_allclose([found.icc1_low[0], found.icc1_high[0]], [-0.13, 0.72], atol=5e-3)
    assert_allclose([found.icc_k_low[0], found.icc_k_high[0]], [-0.88, 0.91], atol=5e-3)


@given(annotations())
def test_icc_follows_from_scipys_analysis_of_variance(data):
    ratings, posts = data
    found = intraclass(ratings, posts, n_posts=5)
    for value in range(2):
        given_ = ratings[:, value]
        groups = [given_[(posts == p) & ~np.isnan(given_)] for p in range(5)]
        groups = [g for g in groups if len(g)]
        sizes = np.array([len(g) for g in groups])
        assert found.n_posts[value] == len(groups)
        assert found.n_left_out[value] == 5 - len(groups)
        assert found.n_ratings[value] == sizes.sum()
        whole = np.concatenate([*groups, []])
        if len(groups) < 2 or sizes.max() < 2 or len(set(whole)) == 1:
            assert np.isnan(found.icc1[value])
            assert found.reasons[value]
            continue
        if all(len(set(g)) == 1 for g in groups):
            assert_allclose([found.icc1[value], found.icc1_low[value], found.icc_k[value]], 1)
            continue
        ratio = stats.f_oneway(*groups).statistic
        n0 = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
        assert found.raters_per_post[value] == pytest.approx(n0)
        assert found.icc1[value] == pytest.approx((ratio - 1) / (ratio + n0 - 1), abs=1e-9)
        if ratio > 1e-9:
            assert found.reasons[value] == ""
            assert found.icc_k[value] == pytest.approx(1 - 1 / ratio, rel=1e-6, abs=1e-9)
            low = ratio / stats.f.ppf(0.975, len(groups) - 1, sizes.sum() - len(groups))
            assert found.icc_k_low[value] == pytest.approx(1 - 1 / low, rel=1e-6, abs=1e-9)


@given(annotations(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(data, random):
    ratings, posts = data
    order = list(range(len(posts)))
    random.shuffle(order)
    a, b = intraclass(ratings, posts), intraclass(ratings[order], posts[order])
    assert_allclose(a.icc1, b.icc1, atol=1e-12)
    assert a.reasons == b.reasons


def test_icc_k_is_what_spearman_and_brown_expect_of_k_ratings():
    rng = np.random.default_rng(0)
    posts = rng.integers(0, 20, 90)
    ratings = rng.normal(size=(20, 1))[posts] + rng.normal(size=(90, 1))
    found = intraclass(ratings, posts)
    k = found.raters_per_post
    assert_allclose(found.icc_k, k * found.icc1 / (1 + (k - 1) * found.icc1), atol=1e-12)
    assert 1 < k[0] < 90 / found.n_posts[0]


def test_units_and_zero_of_the_scale_do_not_matter():
    rng = np.random.default_rng(1)
    posts = rng.integers(0, 20, 90)
    ratings = rng.integers(0, 7, (90, 2))
    assert_allclose(intraclass(ratings, posts).icc1, intraclass(1000 + 3 * ratings, posts).icc1, atol=1e-9)


def test_limits_cover_the_reliability_that_the_ratings_were_drawn_with():
    rng = np.random.default_rng(2)
    posts = np.repeat(np.arange(30), 4)
    values = np.sqrt(0.4) * rng.normal(size=(30, 1000))[posts] + np.sqrt(0.6) * rng.normal(size=(120, 1000))
    found = intraclass(values, posts, ci_level=0.9)
    covered = np.mean((found.icc1_low < 0.4) & (found.icc1_high > 0.4))
    assert covered == pytest.approx(0.9, abs=0.03)  # three standard errors of a share in 1,000
    assert found.ci_level == 0.9


@pytest.mark.parametrize(
    ("ratings", "posts", "reason"),
    [
        ([[0], [1], [2]], [0, 1, 2], "no post has two ratings of this value"),
        ([[NAN], [NAN]], [0, 0], "no post has two ratings of this value"),
        ([[0], [1], [2]], [0, 0, 0], "only one post has ratings of this value"),
        ([[0], [0], [0], [0]], [0, 0, 1, 1], "every rating is 0, so nothing can be disagreed about"),
    ],
    ids=["one rater", "no rating", "one post", "all zeros"],
)
def test_what_is_undefined_says_why(ratings, posts, reason):
    found = intraclass(ratings, posts)
    assert found.reasons == (reason,)
    for figure in (
        found.icc1,
        found.icc1_low,
        found.icc1_high,
        found.icc_k,
        found.icc_k_low,
        found.icc_k_high,
    ):
        assert_array_equal(figure, [NAN])


def test_posts_with_one_mean_have_icc_1_at_its_least_and_no_icc_k():
    found = intraclass([[0], [6], [0], [6], [0], [6]], [0, 0, 1, 1, 2, 2])
    assert_allclose(found.icc1, [-1])
    assert_array_equal(found.icc_k, [NAN])
    assert found.reasons == ("all posts have the same mean, so ICC(k) has no lower bound",)


def test_malformed_input_is_refused():
    with pytest.raises(ValueError, match="ci_level is 95"):
        intraclass([[0], [1]], [0, 0], ci_level=95)
    with pytest.raises(ValueError, match="one post code per row"):
        intraclass([[0], [1]], [0])
