from dataclasses import replace

import numpy as np
import pytest

from modeling.estimators.calibration import from_dense_posts, is_dense
from tests.modeling.estimators.data import draw_data

NAN = np.nan


def answer_by_posts(data, posts, n_cells=4, chosen_by=None):
    """Answers and the names of their cells."""
    return from_dense_posts(
        data.raters,
        data.posts,
        data.ratings,
        np.array(posts),
        n_cells=n_cells,
        value_keys=data.value_keys,
        chosen_by=np.ones(data.n_raters, bool) if chosen_by is None else chosen_by,
    )[:2]


def test_a_study_is_dense_when_everyone_rated_every_value_of_every_post():
    dense = draw_data(n_raters=3, n_posts=4, per_post=None)
    assert is_dense(dense.raters, dense.posts, dense.ratings)
    assert not is_dense(dense.raters[1:], dense.posts[1:], dense.ratings[1:])
    gap = dense.ratings.copy()
    gap[5, 1] = NAN
    assert not is_dense(dense.raters, dense.posts, gap)


def test_chosen_cells_belong_to_the_posts_set_aside_and_hold_the_raters_own_ratings():
    data = draw_data(n_raters=8, n_posts=9, per_post=None, has_answers=False)
    answers, names = answer_by_posts(data, [2, 5, 7])
    assert answers.shape == (8, 4)
    for column, name in enumerate(names):
        post, value = name.removeprefix("post ").split(": ")
        assert int(post) in {2, 5, 7}
        for rater in range(8):
            row = (data.raters == rater) & (data.posts == int(post))
            assert answers[rater, column] == data.ratings[row, data.value_keys.index(value)]


def test_ratings_of_other_posts_do_not_matter_to_the_chosen_cells():
    data = draw_data(n_raters=8, n_posts=9, per_post=None)
    changed = np.where(np.isin(data.posts, [2, 5])[:, None], data.ratings, 6 - data.ratings)
    before, after = answer_by_posts(data, [2, 5]), answer_by_posts(replace(data, ratings=changed), [2, 5])
    assert before[1] == after[1]
    np.testing.assert_array_equal(before[0], after[0])


def test_raters_set_apart_have_no_say_in_which_cells_are_chosen():
    data = draw_data(n_raters=8, n_posts=9, per_post=None)
    others = np.arange(8) < 6
    changed = np.where((data.raters >= 6)[:, None], 6 - data.ratings, data.ratings)
    before = answer_by_posts(data, [2, 5], chosen_by=others)
    after = answer_by_posts(replace(data, ratings=changed), [2, 5], chosen_by=others)
    assert before[1] == after[1]
    np.testing.assert_array_equal(before[0][:6], after[0][:6])
    assert not np.array_equal(before[0][6:], after[0][6:])


def test_there_are_never_more_cells_than_axes_along_which_raters_differ():
    data = draw_data(n_raters=6, n_posts=6, per_post=None)
    assert len(answer_by_posts(data, [0, 1], n_cells=25)[1]) == 5
    twins = data.ratings.copy()
    for rater in (1, 2):  # three raters answer alike
        for post in range(6):
            model = (data.raters == 0) & (data.posts == post)
            twins[(data.raters == rater) & (data.posts == post)] = data.ratings[model]
    assert len(answer_by_posts(replace(data, ratings=twins), [0, 1], n_cells=25)[1]) == 3


def test_raters_whom_nothing_tells_apart_are_refused_with_the_reason():
    data = draw_data(n_raters=4, n_posts=6, per_post=None)
    same = np.ones_like(data.ratings) * 5
    with pytest.raises(ValueError, match="the same ratings to the 2 posts set aside"):
        answer_by_posts(replace(data, ratings=same), [0, 1])
