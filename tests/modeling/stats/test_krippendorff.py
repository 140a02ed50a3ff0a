import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from modeling.stats import krippendorff as ours
from modeling.stats import spearman
from modeling.stats.krippendorff import LEVELS, bootstrap_alpha, krippendorff_alpha

NAN = float("nan")
# Few distinct numbers on three posts, so that lone ratings and values without disagreement are common.
gap_or_rating = st.sampled_from([NAN, NAN, 0.0, 1.0, 2.0, 3.0, 6.0])


@st.composite
def annotations(draw):
    n_rows = draw(st.integers(1, 12))
    ratings = draw(hnp.arrays(np.float64, (n_rows, 2), elements=gap_or_rating))
    return ratings, draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 3)))


def generator(seed=0):
    return np.random.default_rng(seed)


def sparse_study(seed, n_rows=120, n_posts=30, n_values=3):
    """Every row is another rater's, so that no two raters share a post's other rows."""
    rng = generator(seed)
    ratings = rng.choice([NAN, 0, 1, 2, 3, 6], size=(n_rows, n_values))
    return ratings, rng.integers(0, n_posts, n_rows)


def by_package(ratings, posts, level):
    """`krippendorff.alpha` of one value; NaN where it refuses, no two paired ratings differ or all are of one post."""
    paired = [ratings[(posts == p) & ~np.isnan(ratings)] for p in np.unique(posts)]
    paired = [of_post for of_post in paired if len(of_post) > 1]
    if len(paired) < 2 or len(np.unique(np.concatenate(paired))) < 2:
        return NAN
    table = np.full((len(ratings), posts.max() + 1), NAN)
    table[np.arange(len(ratings)), posts] = ratings
    return krippendorff.alpha(reliability_data=table, level_of_measurement=level)


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_four_observers_of_twelve_units_agree_as_published(level, published):
    # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C and its sections on levels.
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    alpha = krippendorff_alpha(np.reshape(observers, (-1, 1)), np.tile(np.arange(12), 4), level)
    assert alpha.krippendorff_alpha[0] == pytest.approx(published, abs=0.0006)
    assert (alpha.n_posts[0], alpha.n_ratings[0], alpha.n_left_out[0]) == (11, 40, 1)
    assert alpha.reasons == ("",)


@pytest.mark.parametrize("level", LEVELS)
@given(annotations())
def test_sparse_ratings_equal_the_package_krippendorff(level, data):
    ratings, posts = data
    alpha = krippendorff_alpha(ratings, posts, level, 4)
    expected = [by_package(of_value, posts, level) for of_value in ratings.T]
    assert_allclose(alpha.krippendorff_alpha, expected, atol=1e-10)
    assert [bool(reason) for reason in alpha.reasons] == list(np.isnan(expected))


@pytest.mark.parametrize("level", LEVELS)
def test_numbers_that_are_not_whole_equal_the_package(level):
    ratings, posts = sparse_study(1)
    for numbers in (ratings * 1.37 + 0.2, ratings * 1000, np.log1p(generator(2).random(ratings.shape))):
        alpha = krippendorff_alpha(numbers, posts, level).krippendorff_alpha
        assert_allclose(alpha, [by_package(v, posts, level) for v in numbers.T], atol=1e-10)


@pytest.mark.parametrize("level", LEVELS)
def test_order_of_rows_does_not_matter(level):
    ratings, posts = sparse_study(3)
    order = generator(4).permutation(len(posts))
    before, after = (
        krippendorff_alpha(ratings[rows], posts[rows], level) for rows in (np.arange(len(posts)), order)
    )
    assert_allclose(before.krippendorff_alpha, after.krippendorff_alpha, atol=1e-13)
    assert_array_equal(before.n_left_out, after.n_left_out)


def test_levels_ignore_what_they_are_blind_to():
    ratings, posts = sparse_study(5)
    stretched = np.where(ratings > 2, ratings * 10, ratings)
    swapped = np.where(ratings == 0, 6, np.where(ratings == 6, 0, ratings))
    for level, other in (("nominal", swapped), ("ordinal", stretched), ("interval", 3 - 2 * ratings)):
        assert_allclose(
            krippendorff_alpha(ratings, posts, level).krippendorff_alpha,
            krippendorff_alpha(other, posts, level).krippendorff_alpha,
            atol=1e-12,
        )


@pytest.mark.parametrize("level", LEVELS)
def test_ratings_without_a_partner_change_nothing(level):
    ratings, posts = sparse_study(6)
    more, more_posts = np.vstack([ratings, [[1, 2, 6]]]), np.append(posts, 30)
    before, after = krippendorff_alpha(ratings, posts, level, 31), krippendorff_alpha(more, more_posts, level)
    assert_array_equal(before.krippendorff_alpha, after.krippendorff_alpha)
    assert_array_equal(after.n_left_out, before.n_left_out + 1)


def test_undefined_values_say_why():
    # Nobody disagrees about the first value; the second is never rated twice; the third never at all.
    ratings = [[0, 1, NAN], [0, NAN, NAN], [0, 2, NAN], [0, NAN, NAN], [4, NAN, NAN]]
    alpha = krippendorff_alpha(ratings, [0, 0, 1, 1, 2], "ordinal")
    assert np.isnan(alpha.krippendorff_alpha).all()
    assert alpha.reasons == (
        "every rating that has a partner is 0, so nothing can be disagreed about",
        "no post has two ratings of this value",
        "no post has two ratings of this value",
    )
    assert_array_equal(alpha.n_posts, [2, 0, 0])
    assert_array_equal(alpha.n_left_out, [1, 2, 0])


def test_no_rows_have_no_alpha():
    alpha = krippendorff_alpha(np.empty((0, 2)), [], "nominal")
    assert np.isnan(alpha.krippendorff_alpha).all()
    interval = bootstrap_alpha(np.empty((0, 2)), [], ["nominal"], rng=generator())["nominal"]
    assert np.isnan(interval.low).all()


def test_on_one_post_observed_and_expected_disagreement_are_one_thing_and_there_is_no_alpha():
    for level in LEVELS:
        alpha = krippendorff_alpha([[1], [2], [2], [3]], [0, 0, 0, 1], level)
        assert np.isnan(alpha.krippendorff_alpha).all()
        assert "only one post has two ratings" in alpha.reasons[0]
        assert (alpha.n_posts[0], alpha.n_ratings[0], alpha.n_left_out[0]) == (1, 3, 1)


def test_one_post_has_no_interval():
    interval = bootstrap_alpha([[1], [2], [2]], [0, 0, 0], ["ordinal"], rng=generator())["ordinal"]
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.n_posts[0] == 1


@pytest.mark.parametrize("tabled", [0, 16])
def test_each_resample_has_the_alpha_of_its_posts(monkeypatch, tabled):
    # The extreme ends of all resamples are the least and greatest alpha of the studies that were drawn.
    monkeypatch.setattr(ours, "MAX_CATEGORIES_TABLED", tabled)
    n_posts = 6
    ratings, posts = sparse_study(7, n_rows=36, n_values=1)[0], np.arange(36) % n_posts
    assert krippendorff_alpha(ratings, posts, "ordinal").n_posts[0] == n_posts
    counts = ours.kernels.draw_counts(n_posts, 0, 20, generator(8).integers(2**64, dtype=np.uint64))
    drawn = []
    for times in counts:
        copies = [(post, copy) for post in range(n_posts) for copy in range(times[post])]
        rows = np.concatenate([ratings[posts == post] for post, _ in copies])
        of = np.concatenate([np.full((posts == post).sum(), k) for k, (post, _) in enumerate(copies)])
        drawn.append([by_package(rows[:, 0], of, level) for level in LEVELS])
    resampled = bootstrap_alpha(ratings, posts, LEVELS, rng=generator(8), n_resamples=20, ci_level=1 - 1e-12)
    for level, alphas in zip(LEVELS, np.transpose(drawn), strict=True):
        ends = [resampled[level].low[0], resampled[level].high[0]]
        assert_allclose(ends, [alphas.min(), alphas.max()], atol=1e-9)


def test_both_ways_to_resample_and_any_size_of_table_give_one_interval(monkeypatch):
    ratings, posts = sparse_study(9)
    options = {"n_resamples": 40}
    first = bootstrap_alpha(ratings, posts, LEVELS, rng=generator(), **options)
    monkeypatch.setattr(ours, "TABLE_SIZE", 500)
    monkeypatch.setattr(ours, "DRAWS_AT_ONCE", 100)
    in_parts = bootstrap_alpha(ratings, posts, LEVELS, rng=generator(), **options)
    monkeypatch.setattr(ours, "MAX_CATEGORIES_TABLED", 0)
    monkeypatch.setattr(spearman, "MAX_BINS", 0)
    by_runs = bootstrap_alpha(ratings, posts, LEVELS, rng=generator(), **options)
    for level in LEVELS:
        for other in (in_parts, by_runs):
            assert_allclose(other[level].low, first[level].low, atol=1e-12)
            assert_allclose(other[level].high, first[level].high, atol=1e-12)


def test_levels_share_the_draws_and_stand_in_the_order_given():
    ratings, posts = sparse_study(10)
    both = bootstrap_alpha(ratings, posts, ["ratio", "nominal"], rng=generator(), n_resamples=50)
    alone = bootstrap_alpha(ratings, posts, ["nominal"], rng=generator(), n_resamples=50)
    assert list(both) == ["ratio", "nominal"]
    assert_array_equal(both["nominal"].low, alone["nominal"].low)


def test_interval_covers_the_estimate_and_narrows_with_the_level():
    ratings, posts = sparse_study(11, n_rows=600, n_posts=150)
    estimate = krippendorff_alpha(ratings, posts, "interval").krippendorff_alpha
    wide, narrow = (
        bootstrap_alpha(ratings, posts, ["interval"], rng=generator(), ci_level=ci)["interval"]
        for ci in (0.99, 0.5)
    )
    assert (wide.low < narrow.low).all()
    assert (narrow.low < narrow.high).all()
    assert ((wide.low < estimate) & (estimate < wide.high)).all()


def test_resamples_without_an_alpha_are_counted():
    # Alpha exists when the second post is drawn: with two posts in 3 of 4 resamples.
    interval = bootstrap_alpha(
        [[0], [0], [0], [1]], [0, 0, 1, 1], ["nominal"], rng=generator(), n_resamples=4000
    )["nominal"]
    assert interval.n_undefined[0] == pytest.approx(1000, abs=120)
    assert interval.n_resamples == 4000
    assert not np.isnan(interval.low).any()


@pytest.mark.parametrize(
    ("ratings", "options", "message"),
    [
        ([[1], [2]], {"levels": ["Ordinal"]}, "level is 'Ordinal': give one of nominal"),
        ([[1], [-2]], {"levels": ["ratio"]}, "ratings holds -2"),
        ([[1.5], [-2.5]], {"levels": ["ratio"]}, "ratings holds -2.5"),
        ([[1], [np.inf]], {}, r"ratings\[1, 0\] is infinite"),
        ([[1], [2]], {"n_resamples": 0}, "n_resamples"),
        ([[1], [2]], {"ci_level": 95}, "ci_level is 95"),
    ],
)
def test_malformed_input_is_refused(ratings, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_alpha(ratings, [0, 0], **({"levels": ["nominal"], "rng": generator()} | options))


def test_alpha_of_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="level is 'metric'"):
        krippendorff_alpha([[1], [2]], [0, 0], "metric")
