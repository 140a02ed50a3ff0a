"""What a table of ratings refuses, and what it says."""

from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.data import fingerprint
from tests.modeling.reports.made_up import make_agreement, make_evaluation, make_personal, make_values


def change_rating(rating):
    ratings = make_agreement().ratings.copy()
    ratings[3, 2] = rating
    return {"ratings": ratings}


def repeat_post():
    study = make_agreement()
    posts = study.posts.copy()
    posts[1] = posts[0]
    return {"posts": posts}


WRONG = {
    "rating above the scale": (change_rating(7.0), r"ratings\[3\] of 'value_2' is 7.0, outside the scale"),
    "rating below the scale": (change_rating(-1.0), "outside the scale"),
    "infinite rating": (change_rating(np.inf), "outside the scale"),
    "two rows of one post": (repeat_post(), "rater 0 has more than one row of post"),
    "a value too few": ({"values": make_values(4)}, "one column per value"),
    "no value": ({"values": ()}, "at least one"),
    "unknown rater": ({"n_raters": 5}, r"raters\[30\] is 5: the numbers run from 0 to 4"),
    "unknown post": ({"n_posts": 3, "post_ids": (1, 2, 3), "post_keys": ("a", "b", "c")}, "posts"),
    "scale without a step": ({"scale": (3, 3)}, "above the first"),
    "a key too few": ({"post_keys": ("a",)}, "post_keys has 1 entries for 14 posts"),
    "own scores of others": ({"own_scores": np.zeros((3, 5))}, r"own_scores has shape \(3, 5\)"),
    "answers of others": ({"groups": {"party": ["left"]}}, "'party' has 1 answers for 24 raters"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_with_its_place(case):
    changes, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        replace(make_agreement(), **changes)


def test_predictions_of_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"predictions\['text'\] has shape \(2, 5\)"):
        replace(make_evaluation(), predictions={"text": np.zeros((2, 5))})


WRONG_OF_NEW = {
    "predictions": ({"new_predictions": {"text": np.zeros((2, 6))}}, r"new_predictions\['text'\] has shape"),
    "rows": ({"new_rows": np.array([9999])}, r"new_rows\[0\] is 9999"),
    "a curve": ({"curves": {"answers": {5: np.zeros((2, 6))}}}, r"curves\['answers'\]\[5\] has shape"),
    "an unknown curve": ({"curves": {"posts": {}}}, "curves has 'posts'; it may have answers and raters"),
    "an interval": (
        {"intervals": {"known": (np.zeros((2, 6)), np.ones((2, 6)))}},
        r"low end of intervals\['known'\] has shape",
    ),
    "a weight too few": ({"weights": {"new": np.zeros(3)}}, r"weights\['new'\] has shape \(3,\)"),
    "weights of nobody": ({"weights": {"all": np.zeros(4)}}, "weights has 'all'"),
    "a post that is not there": ({"held_out_posts": np.array([40])}, r"held_out_posts\[0\] is 40"),
}


@pytest.mark.parametrize("case", WRONG_OF_NEW)
def test_what_a_fit_left_of_new_raters_and_of_its_blend_must_fit(case):
    changes, words = WRONG_OF_NEW[case]
    with pytest.raises(ValueError, match=words):
        replace(make_personal(), **changes)


def test_an_interval_that_ends_before_it_begins_is_refused():
    data = make_personal()
    low, high = data.intervals["new"]
    with pytest.raises(ValueError, match="its low end comes first"):
        replace(data, intervals={"new": (high, low)})


def test_posts_are_held_out_that_the_fit_names_or_else_those_of_its_test_rows():
    data = make_personal()
    assert set(np.flatnonzero(data.is_held_out)) == set(range(0, 40, 4))
    assert set(np.flatnonzero(replace(data, held_out_posts=np.array([3])).is_held_out)) == {3}


@pytest.mark.parametrize("name", ["new_predictions", "intervals", "curves", "weights", "fit_notes", "method"])
def test_what_a_fit_left_is_in_the_fingerprint(name):
    data = make_personal()
    assert fingerprint(replace(data, **{name: type(getattr(data, name))()})) != fingerprint(data)


def test_each_end_of_an_interval_is_in_the_fingerprint():
    data = make_personal()
    low, high = data.intervals["new"]
    wider = {"known": data.intervals["known"], "new": (low, high + 0.1)}
    assert fingerprint(replace(data, intervals=wider)) != fingerprint(data)


def test_a_gap_is_no_rating_outside_the_scale():
    study = replace(make_agreement(), **change_rating(np.nan))
    assert np.isnan(study.ratings[3, 2])


CHANGES = {
    "a rating": change_rating(6.0),
    "an answer": {"groups": {"party": ["left"] * 24}},
    "a number": {"numbers": {"age": np.full(24, 30.0)}},
    "a question's name": {"numbers": {"years": make_agreement().numbers["age"]}},
    "the pay": {"reward": 700},
    "a screening score": {"screening": None},
    "an own score": {"own_scores": np.zeros((24, 5))},
    "a value's name": {"values": (*make_values(5)[:4], replace(make_values(5)[4], name="Another"))},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_report_sees_is_in_its_fingerprint(change):
    data = make_agreement()
    assert fingerprint(replace(data, **CHANGES[change])) != fingerprint(data)


def test_the_same_data_has_the_same_fingerprint_whatever_numbers_a_database_gave_its_posts():
    data = make_agreement()
    elsewhere = replace(make_agreement(), post_ids=tuple(number + 7 for number in data.post_ids))
    assert fingerprint(elsewhere) == fingerprint(data)
    assert fingerprint(make_evaluation()) == fingerprint(make_evaluation()) != fingerprint(data)
