import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from modeling.stats.crowd_error import human_crowd_mae, model_crowd_mae

NAN = float("nan")
gap_or_rating = st.sampled_from([NAN, 0.0, 1.0, 2.0, 5.0, 6.0])


@st.composite
def annotations(draw):
    n_rows = draw(st.integers(1, 12))
    ratings = draw(hnp.arrays(np.float64, (n_rows, 2), elements=gap_or_rating))
    return ratings, draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 3)))


def human_error_of_post(ratings):
    """Loop over the raters of one post and value."""
    given_ = [r for r in ratings if r == r]
    if len(given_) < 2:
        return NAN
    return np.mean([abs(r - np.mean(given_[:i] + given_[i + 1 :])) for i, r in enumerate(given_)])


def model_error_of_post(ratings, prediction):
    given_ = [r for r in ratings if r == r]
    return abs(prediction - np.floor(np.mean(given_) + 0.5)) if given_ else NAN


def assert_summarises(error, per_post):
    per_post = np.asarray(per_post)
    assert_allclose(error.per_post, per_post, atol=1e-12)
    for value in range(per_post.shape[1]):
        present = per_post[~np.isnan(per_post[:, value]), value]
        assert error.n_posts[value] == len(present)
        assert error.mae[value] == pytest.approx(present.mean() if len(present) else NAN, nan_ok=True)
        expected = stats.sem(present) if len(present) > 1 else NAN
        assert error.standard_error[value] == pytest.approx(expected, nan_ok=True)


def test_human_error_by_hand():
    # Post 0: 0, 3, 6 lie 4.5, 0, 4.5 from the others' means: 3. Post 1: 1 and 2 lie 1 apart: 1.
    error = human_crowd_mae([[0], [3], [6], [1], [2]], [0, 0, 0, 1, 1])
    assert_array_equal(error.per_post, [[3], [1]])
    assert_allclose(error.mae, [2])
    assert_allclose(error.standard_error, [np.sqrt(2) / np.sqrt(2)])
    assert_array_equal(error.n_posts, [2])


def test_model_error_by_hand_is_against_the_rounded_consensus():
    # Means 1.5 and 3 round to 2 and 3.
    error = model_crowd_mae([[1], [2], [3]], [0, 0, 1], [[2.25], [1]])
    assert_array_equal(error.per_post, [[0.25], [2]])
    assert_allclose(error.mae, [1.125])
    assert_allclose(error.standard_error, [0.875])


@given(annotations())
def test_human_error_equals_the_loop_over_raters(data):
    ratings, posts = data
    loop = [[human_error_of_post(list(ratings[posts == p, v])) for v in range(2)] for p in range(4)]
    assert_summarises(human_crowd_mae(ratings, posts, 4), loop)


@given(annotations())
def test_model_error_equals_the_loop_over_posts(data):
    ratings, posts = data
    model = np.array([[0.5, 3.0], [6.0, 0.0], [2.2, 2.2], [1.0, 5.0]])
    loop = [[model_error_of_post(ratings[posts == p, v], model[p, v]) for v in range(2)] for p in range(4)]
    assert_summarises(model_crowd_mae(ratings, posts, model), loop)


@given(annotations(), st.randoms(use_true_random=False))
def test_order_of_raters_does_not_matter(data, random):
    ratings, posts = data
    order = random.sample(range(len(posts)), len(posts))
    before, after = human_crowd_mae(ratings, posts, 4), human_crowd_mae(ratings[order], posts[order], 4)
    assert_allclose(before.per_post, after.per_post, atol=1e-12)


def test_overall_is_the_mean_over_values_with_the_error_of_the_posts_means():
    # Per post: (3, 0) and (1, 2), so means 1.5 and 1.5; per value 2 and 1.
    error = human_crowd_mae([[0, 4], [3, 4], [6, 4], [1, 0], [2, 2]], [0, 0, 0, 1, 1])
    assert_allclose(error.mae, [2, 1])
    assert error.overall == pytest.approx(1.5)
    assert error.overall_standard_error == pytest.approx(0.0)
    assert error.overall_n_posts == 2


def test_overall_leaves_out_values_without_error():
    error = human_crowd_mae([[0, NAN], [3, NAN]], [0, 0])
    assert_array_equal(error.n_posts, [1, 0])
    assert_array_equal(error.mae, [3, NAN])
    assert error.overall == 3.0
    assert np.isnan(error.standard_error).all()
    assert np.isnan(error.overall_standard_error)


def test_lone_raters_give_no_human_error():
    error = human_crowd_mae([[0, 1], [2, 3]], [0, 1])
    assert np.isnan(error.mae).all()
    assert np.isnan(error.overall)
    assert error.overall_n_posts == 0
    assert_array_equal(error.n_posts, [0, 0])


def test_posts_without_ratings_or_prediction_are_left_out_and_counted():
    error = model_crowd_mae([[1], [2]], [0, 1], [[4], [NAN], [5]])
    assert_array_equal(error.per_post, [[3], [NAN], [NAN]])
    assert_array_equal(error.n_posts, [1])


def test_a_model_that_does_not_fit_the_ratings_is_refused():
    with pytest.raises(ValueError, match="same values"):
        model_crowd_mae([[1, 2]], [0], [[1]])
    with pytest.raises(ValueError, match=r"posts\[0\] is 1"):
        model_crowd_mae([[1, 2]], [1], [[1, 2]])
