from dataclasses import replace

import numpy as np
import pytest

from modeling.estimators.consensus import GivenConsensus
from modeling.estimators.data import GivenReadings
from modeling.estimators.fitting import fit
from modeling.estimators.plan import plan_tasks
from modeling.estimators.prepared import hold_out, prepare, unpack
from tests.modeling.estimators.data import TINY, draw_data

NAME = "annotator: reader v1"


def say(data, *, taught=(), unread=(), notes=()):
    """What a reader says of each post: the mean of its raters and a little noise."""
    rng = np.random.default_rng(7)
    means = np.array([data.ratings[data.posts == post].mean(axis=0) for post in range(data.n_posts)])
    ratings = means + rng.normal(0, 0.3, means.shape)
    ratings[list(unread)] = np.nan
    marks = np.zeros(data.n_posts, dtype=bool)
    marks[list(taught)] = True
    return replace(data, given=GivenReadings(NAME, ratings, marks, notes))


@pytest.fixture(scope="module")
def data():
    return draw_data(n_posts=24)


def test_what_is_held_out_is_the_same_as_without_an_annotator_model(data):
    held_out = hold_out(data, TINY)
    np.testing.assert_array_equal(prepare(data, TINY).held_out, held_out)
    np.testing.assert_array_equal(prepare(say(data), TINY).held_out, held_out)
    assert not np.array_equal(hold_out(data, replace(TINY, seed=TINY.seed + 1)), held_out)


def test_the_consensus_of_a_row_is_what_was_said_of_its_post_within_the_scale(data):
    given = say(data)
    prepared = prepare(given, TINY)
    np.testing.assert_array_equal(prepared.consensus, np.clip(given.given.ratings, 0, 6)[data.posts])
    np.testing.assert_array_equal(prepared.consensus_apart, prepared.consensus)
    assert prepared.consensus_name == NAME
    assert prepared.reader == {}


def test_posts_that_the_model_was_taught_by_are_neither_fitted_nor_scored(data):
    to_fit = np.flatnonzero(prepare(data, TINY).to_fit)
    prepared = prepare(say(data, taught=to_fit[:3]), TINY)
    assert prepared.set_aside[to_fit[:3]].all() and not prepared.to_fit[to_fit[:3]].any()
    for task in plan_tasks(prepared, TINY).values():
        used = np.concatenate([prepared.posts[task.fit_rows], prepared.posts[task.predict_rows]])
        assert not np.isin(used, to_fit[:3]).any(), task.name
    n_rows = int(np.isin(data.posts, to_fit[:3]).sum())
    assert f"3 posts with {n_rows} annotations are neither fitted nor scored" in " ".join(prepared.notes)


def test_posts_without_a_reading_are_left_out_and_counted_wherever_they_lie(data):
    plain = prepare(data, TINY)
    held, fitted = np.flatnonzero(plain.held_out)[0], np.flatnonzero(plain.to_fit)[0]
    given = say(data, unread=[held])
    given.given.ratings[fitted, 1] = np.nan  # one value is missing
    prepared = prepare(given, TINY)
    assert not prepared.held_out[held] and not prepared.to_fit[fitted]
    assert prepared.held_out.sum() == plain.held_out.sum() - 1
    assert "2 posts with" in " ".join(prepared.notes) and "no reading of them" in " ".join(prepared.notes)


def test_a_model_that_was_taught_by_a_held_out_post_is_refused(data):
    held = np.flatnonzero(hold_out(data, TINY))[:2]
    with pytest.raises(ValueError, match=r"was itself taught by the raters of 2 of the \d+ posts"):
        prepare(say(data, taught=held), TINY)


def test_a_model_without_any_honest_reading_is_refused(data):
    with pytest.raises(ValueError, match="has no reading of any rated post"):
        prepare(say(data, unread=range(24)), TINY)


def test_readings_of_other_posts_or_values_are_refused(data):
    given = replace(data, given=GivenReadings(NAME, np.zeros((3, 2)), np.zeros(3, dtype=bool)))
    with pytest.raises(ValueError, match=r"shape \(3, 2\).*do not fit 24 posts and 3 values"):
        prepare(given, TINY)


def test_its_own_notes_are_told(data):
    notes = ("Stand-in: not from a real model.",)
    assert notes[0] in prepare(say(data, notes=notes), TINY).notes


def test_new_raters_are_judged_on_posts_that_no_model_met_since_an_annotator_reads_any_post(data):
    prepared = prepare(say(data), TINY)
    folds = [task for name, task in plan_tasks(prepared, TINY).items() if name.startswith("new_fold_")]
    assert folds
    for task in folds:
        assert not set(prepared.posts[task.fit_rows]) & set(prepared.posts[task.predict_rows])


def test_what_is_prepared_comes_back_from_plain_arrays(data):
    prepared = prepare(say(data, unread=[0]), TINY)
    again = unpack(prepared.pack())
    assert again.consensus_name == NAME
    np.testing.assert_array_equal(again.set_aside, prepared.set_aside)
    np.testing.assert_array_equal(again.post_scores, prepared.post_scores)


@pytest.mark.parametrize("has_answers", [True, False])
def test_a_fit_on_given_readings_predicts_every_held_out_row(has_answers):
    data = draw_data(n_posts=24, has_answers=has_answers)
    plain = prepare(data, TINY)
    taught = np.flatnonzero(plain.to_fit)[:2]
    result = fit(say(data, taught=taught), replace(TINY, method="forest", n_curve_trees=0))
    np.testing.assert_array_equal(np.unique(data.posts[result.test_rows]), np.flatnonzero(plain.held_out))
    assert {NAME, f"{NAME}_forest", "personalized"} <= set(result.predictions)
    assert np.isfinite(result.predictions["personalized"]).all()
    assert result.feature_names[0] == f"{NAME}: value_0"


def test_a_dense_study_keeps_its_stand_in_for_the_questionnaire_beside_what_is_left_out():
    data = draw_data(n_posts=24, has_answers=False, per_post=None)
    plain = prepare(data, TINY)
    left_out = np.flatnonzero(plain.to_fit)[:2]
    prepared = prepare(say(data, unread=left_out), TINY)
    np.testing.assert_array_equal(prepared.answers, plain.answers)
    assert prepared.set_aside.sum() == plain.set_aside.sum() + 2
    assert f"{int(plain.set_aside.sum())} posts were set aside as calibration" in " ".join(prepared.notes)


def test_the_name_is_that_of_the_readings():
    readings = GivenReadings(NAME, np.zeros((2, 3)), np.array([True, False]))
    consensus = GivenConsensus(readings).fit(2, 3, (0, 6))
    assert consensus.honest_.tolist() == [False, True]
    assert consensus.is_read_.all()
