from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.estimators.calibration import from_answers, from_dense_posts, from_residuals, is_dense
from tests.modeling.estimators.data import draw_data

NAN = np.nan


def describe_by_residuals(data, consensus, to_fit, seed=0):
    return from_residuals(
        data.raters,
        data.posts,
        data.ratings,
        consensus,
        to_fit,
        data.value_keys,
        rng=np.random.default_rng(seed),
    )


def describe_by_posts(data, posts, n_cells=4):
    return from_dense_posts(
        data.raters, data.posts, data.ratings, np.array(posts), n_cells=n_cells, value_keys=data.value_keys
    )


def test_answers_go_with_their_rater_and_gaps_stay_gaps():
    features = from_answers(np.array([[1, 2], [3, NAN]]), ("a", "b"), np.array([1, 0, 1]))
    np.testing.assert_array_equal(features.per_row, [[3, NAN], [1, 2], [3, NAN]])
    np.testing.assert_array_equal(features.per_rater, [[1, 2], [3, NAN]])
    assert features.names == ("a", "b")
    assert "questionnaire of 2 questions" in features.source


def test_a_study_is_dense_when_everyone_rated_every_value_of_every_post():
    dense = draw_data(n_raters=3, n_posts=4, per_post=None)
    assert is_dense(dense.raters, dense.posts, dense.ratings)
    assert not is_dense(dense.raters[1:], dense.posts[1:], dense.ratings[1:])
    gap = dense.ratings.copy()
    gap[5, 1] = NAN
    assert not is_dense(dense.raters, dense.posts, gap)


def test_chosen_cells_belong_to_the_posts_set_aside_and_hold_the_raters_own_ratings():
    data = draw_data(n_raters=8, n_posts=9, per_post=None, has_answers=False)
    features = describe_by_posts(data, [2, 5, 7])
    assert features.per_rater.shape == (8, 4)
    for column, name in enumerate(features.names):
        post, value = name.removeprefix("post ").split(": ")
        assert int(post) in {2, 5, 7}
        for rater in range(8):
            row = (data.raters == rater) & (data.posts == int(post))
            assert features.per_rater[rater, column] == data.ratings[row, data.value_keys.index(value)]
    np.testing.assert_array_equal(features.per_row, features.per_rater[data.raters])


def test_ratings_of_other_posts_do_not_matter_to_the_chosen_cells():
    data = draw_data(n_raters=8, n_posts=9, per_post=None)
    changed = np.where(np.isin(data.posts, [2, 5])[:, None], data.ratings, 6 - data.ratings)
    before, after = describe_by_posts(data, [2, 5]), describe_by_posts(replace(data, ratings=changed), [2, 5])
    assert before.names == after.names
    np.testing.assert_array_equal(before.per_rater, after.per_rater)


def test_there_are_never_more_cells_than_axes_along_which_raters_differ():
    data = draw_data(n_raters=6, n_posts=6, per_post=None)
    assert len(describe_by_posts(data, [0, 1], n_cells=25).names) == 5
    twins = data.ratings.copy()
    for rater in (1, 2):  # three raters answer alike
        for post in range(6):
            model = (data.raters == 0) & (data.posts == post)
            twins[(data.raters == rater) & (data.posts == post)] = data.ratings[model]
    assert len(describe_by_posts(replace(data, ratings=twins), [0, 1], n_cells=25).names) == 3


def test_raters_whom_nothing_tells_apart_are_refused_with_the_reason():
    data = draw_data(n_raters=4, n_posts=6, per_post=None)
    same = np.ones_like(data.ratings) * 5
    with pytest.raises(ValueError, match="the same ratings to the 2 posts set aside"):
        describe_by_posts(replace(data, ratings=same), [0, 1])


@given(st.integers(0, 79), st.integers(0, 6), st.integers(0, 20))
def test_a_row_to_fit_to_does_not_meet_its_own_rating_in_the_residuals(row, rating, seed):
    data = draw_data()
    to_fit = np.arange(16) < 11
    consensus = np.full_like(data.ratings, 3.0)
    changed = data.ratings.copy()
    changed[row] = rating
    before = describe_by_residuals(data, consensus, to_fit, seed).per_row
    after = describe_by_residuals(replace(data, ratings=changed), consensus, to_fit, seed).per_row
    np.testing.assert_array_equal(after[row], before[row])


@given(st.integers(11, 15), st.integers(0, 20))
def test_ratings_of_held_out_posts_are_in_nobodys_residuals(post, seed):
    data = draw_data()
    to_fit = np.arange(16) < 11
    consensus = np.full_like(data.ratings, 3.0)
    changed = data.ratings.copy()
    changed[data.posts == post] = 6
    before = describe_by_residuals(data, consensus, to_fit, seed)
    after = describe_by_residuals(replace(data, ratings=changed), consensus, to_fit, seed)
    np.testing.assert_array_equal(after.per_row, before.per_row)
    np.testing.assert_array_equal(after.per_rater, before.per_rater)


def test_residuals_are_means_over_the_other_half_and_over_both_for_any_other_post():
    data = draw_data(n_raters=4, n_posts=8, per_post=None)
    to_fit = np.arange(8) < 6
    consensus = np.random.default_rng(1).uniform(0, 6, data.ratings.shape)
    features = describe_by_residuals(data, consensus, to_fit)
    residuals = data.ratings - consensus
    for rater in range(4):
        mine = data.raters == rater
        of_both = residuals[mine & (data.posts < 6)].mean(axis=0)
        np.testing.assert_allclose(features.per_rater[rater], of_both)
        np.testing.assert_allclose(features.per_row[mine & (data.posts >= 6)], [of_both] * 2)
        shown = features.per_row[mine & (data.posts < 6)]
        halves = np.unique(shown, axis=0)
        assert len(halves) == 2
        for half in halves:  # those who are shown this half lie in the other one
            rows = np.flatnonzero(mine & (data.posts < 6))[(shown != half).any(axis=1)]
            np.testing.assert_allclose(residuals[rows].mean(axis=0), half)


def test_a_rater_without_a_post_in_the_other_half_has_gaps_and_no_warning(recwarn):
    features = from_residuals(
        np.array([0, 1]),
        np.array([0, 1]),
        np.array([[2.0], [4.0]]),
        np.array([[1.0], [1.0]]),
        np.array([True, False]),
        ("only",),
        rng=np.random.default_rng(0),
    )
    np.testing.assert_array_equal(features.per_row, [[NAN], [NAN]])
    np.testing.assert_array_equal(features.per_rater, [[1], [NAN]])
    assert not list(recwarn)
