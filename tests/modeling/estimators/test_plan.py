import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from modeling.estimators import plan, prepared
from modeling.estimators.plan import plan_tasks, select_rows
from modeling.estimators.prepared import prepare
from tests.modeling.estimators.data import TINY, draw_data


def plan_of(**data):
    ready = prepare(draw_data(**data), TINY)
    return ready, plan_tasks(ready, TINY)


@given(
    st.integers(0, 50),
    st.booleans(),
    st.booleans(),
    st.sampled_from([3, 5, None]),
    st.integers(6, 24),
)
@examples(max_examples=25)
def test_nobody_sees_what_is_to_be_predicted(seed, has_text, has_answers, per_post, n_raters):
    data = draw_data(
        n_raters=n_raters, per_post=per_post, has_text=has_text, has_answers=has_answers, seed=seed
    )
    settings = replace(TINY, seed=seed)
    ready = prepare(data, settings)
    tasks = plan_tasks(ready, settings)
    for task in tasks.values():
        rows = select_rows(ready, task)
        assert not ready.held_out[rows.posts].any()
        assert not ready.set_aside[rows.posts].any()
        assert not ready.set_aside[ready.posts[task.predict_rows]].any()
        assert not np.isin(task.predict_rows, task.fit_rows).any()
        if task.name.startswith(("known_fold", "main", "no_person", "person", "permuted")):
            assert not np.isin(ready.posts[task.predict_rows], rows.posts).any()
        if task.name.startswith("new_fold"):
            assert np.isin(ready.posts[task.predict_rows], rows.posts).any() != has_text
            assert not np.isin(ready.raters[task.predict_rows], rows.raters).any()
            assert not ready.set_apart[rows.raters].any()
            assert not ready.set_apart[ready.raters[task.predict_rows]].any()
            assert task.apart and not task.history
        if task.name.startswith(("cold", "answers", "raters")):
            assert not ready.set_apart[rows.raters].any()
            assert ready.set_apart[ready.raters[task.predict_rows]].all()
            assert task.apart and not task.history
    np.testing.assert_array_equal(tasks["main"].predict_rows, np.flatnonzero(ready.held_out[data.posts]))
    folds = [task.predict_rows for name, task in tasks.items() if name.startswith("known_fold")]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), tasks["main"].fit_rows)


def test_new_raters_are_judged_on_posts_that_others_rated_and_on_held_out_ones():
    ready, tasks = plan_of()
    judged = ready.posts[tasks["cold"].predict_rows]
    assert ready.held_out[judged].any() and (~ready.held_out[judged]).any()
    assert ready.set_apart.sum() == 3


def test_the_consensus_of_new_raters_owes_them_nothing():
    """With panels, what raters set apart say moves what others see, but never what is made without them."""
    data = draw_data(has_text=False)
    ready = prepare(data, TINY)
    changed = np.where(ready.set_apart[data.raters][:, None], 6 - data.ratings, data.ratings)
    again = prepare(replace(data, ratings=changed), TINY)
    np.testing.assert_array_equal(again.consensus_apart, ready.consensus_apart)
    assert not np.array_equal(again.consensus, ready.consensus)


def test_without_answers_nobody_is_set_apart_and_a_note_says_why():
    ready, tasks = plan_of(has_answers=False)
    assert not ready.set_apart.any()
    assert not any(name.startswith(("cold", "new", "answers", "main_new")) for name in tasks)
    assert "New raters cannot be judged: there are no calibration answers to know them by." in ready.notes


def test_too_few_raters_are_not_set_apart_either():
    ready, tasks = plan_of(n_raters=6)
    assert not ready.set_apart.any()
    assert "cold" not in tasks and "main_new" in tasks
    assert "New raters cannot be judged: 6 raters are too few to set some apart." in ready.notes


def test_the_curve_of_answers_shows_each_task_only_so_many():
    ready, tasks = plan_of()
    curve = {task.n_answers: task for name, task in tasks.items() if name.startswith("answers_")}
    assert sorted(curve) == [0, 1, 2, 3]
    for n_answers, task in curve.items():
        assert select_rows(ready, task).answers.shape == (10, n_answers)


def test_the_curve_of_raters_grows_by_adding_raters():
    ready, tasks = plan_of(n_raters=24)
    met = [set(ready.raters[task.fit_rows]) for name, task in tasks.items() if name.startswith("raters_")]
    assert [len(each) for each in met] == sorted(len(each) for each in met)
    for fewer, more in itertools.pairwise(met):
        assert fewer < more


def test_curves_can_be_left_out():
    ready = prepare(draw_data(), TINY)
    names = plan_tasks(ready, replace(TINY, n_curve_trees=0))
    assert not any(name.startswith(("answers", "raters")) for name in names)


def test_the_plan_is_the_same_wherever_it_is_made():
    ready, tasks = plan_of(has_text=False)
    arrays = {name: np.array(array) for name, array in ready.pack().items()}
    there = plan_tasks(prepared.unpack(arrays), TINY)
    assert tasks.keys() == there.keys()
    for name, task in tasks.items():
        np.testing.assert_array_equal(task.fit_rows, there[name].fit_rows)
        np.testing.assert_array_equal(task.predict_rows, there[name].predict_rows)


def test_a_prepared_study_survives_its_file():
    for data in ({}, {"has_text": False}, {"has_answers": False}):
        ready = prepare(draw_data(**data), TINY)
        again = prepared.unpack(ready.pack())
        for name, held in vars(ready).items():
            if name == "reader":
                assert again.reader.keys() == held.keys()
            elif isinstance(held, np.ndarray):
                np.testing.assert_array_equal(getattr(again, name), held)
            else:
                assert getattr(again, name) == held
        assert bool(ready.reader) == (ready.consensus_name == "text")


@pytest.mark.parametrize("has_text", [True, False])
def test_ratings_of_held_out_posts_move_nothing_that_is_fitted(has_text):
    data = draw_data(has_text=has_text)
    ready = prepare(data, TINY)
    changed = np.where(ready.held_out[data.posts][:, None], 6 - data.ratings, data.ratings)
    again = prepare(replace(data, ratings=changed), TINY)
    for name, task in plan_tasks(ready, TINY).items():
        one, other = select_rows(ready, task), select_rows(again, plan_tasks(again, TINY)[name])
        for part, held in vars(one).items():
            np.testing.assert_array_equal(getattr(other, part), held)


def test_a_value_that_nobody_rated_on_the_posts_to_fit_to_is_refused():
    data = draw_data(has_text=False)
    ratings = data.ratings.copy()
    ratings[prepare(data, TINY).to_fit[data.posts], 1] = np.nan
    with pytest.raises(ValueError, match="no post to fit to has a rating of value_1; load more ratings"):
        prepare(replace(data, ratings=ratings), TINY)


def test_names_of_tasks_say_what_they_are_for():
    _, tasks = plan_of()
    assert {task.purpose for task in tasks.values()} == {"serving", "weights", "cold", "control", "curve"}
    assert {plan.MAIN, plan.NO_PERSON, plan.PERSON, plan.PERMUTED, plan.COLD} <= tasks.keys()
