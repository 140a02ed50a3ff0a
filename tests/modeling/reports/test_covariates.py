"""Which questions enter a regression."""

import numpy as np

from modeling.reports.covariates import choose_covariates

NAN = float("nan")


def test_questions_that_most_answered_and_differ_in_enter():
    chosen = choose_covariates(
        {"party": ["left", "", "right", None]}, {"age": np.array([20.0, NAN, 30.0, 40.0])}, 4
    )
    assert chosen.groups == {"party": ["left", None, "right", None]}
    assert list(chosen.numbers) == ["age"]
    assert (chosen.names, chosen.left_out, chosen.notes) == (["age", "party"], {}, [])


def test_questions_that_would_cost_most_raters_or_say_nothing_are_left_out_and_named():
    chosen = choose_covariates(
        {"party": ["left", None, None, None], "region": ["north"] * 4},
        {"age": np.array([NAN, NAN, NAN, 30.0]), "wave": np.ones(4)},
        4,
    )
    assert chosen.names == []
    assert chosen.left_out == {
        "party": "answered by 1 of 4 raters",
        "region": "everyone gave the same answer",
        "age": "answered by 1 of 4 raters",
        "wave": "everyone gave the same answer",
    }
    assert chosen.notes[0].startswith("Not in the regressions: 'party' (answered by 1 of 4 raters), 'region'")


def test_of_no_raters_nothing_is_known():
    assert choose_covariates({"party": []}, {"age": np.array([])}, 0).left_out == {
        "party": "answered by 0 of 0 raters",
        "age": "answered by 0 of 0 raters",
    }
