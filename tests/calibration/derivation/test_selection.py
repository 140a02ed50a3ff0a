"""What all ways of choosing have in common, and what sets them apart on planted raters."""

import doctest
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.linalg import qr

from calibration.derivation.choosing import METHODS, derive, draw_cells
from calibration.derivation.coverage import Coverage
from calibration.derivation.gaussian import condition, estimate_covariance, select_by_expected_gain
from calibration.derivation.pivoting import select_by_pivoting
from calibration.deriving import METHOD_LABELS
from tests.calibration.derivation.raters import draw_factor_raters

every_method = pytest.mark.parametrize("method", list(METHODS))


def spread_of(cells, n_values):
    return [cell // n_values for cell in cells], [cell % n_values for cell in cells]


@pytest.mark.parametrize(
    "module", ["eigenraters", "pivoting", "forecasting", "comparison"], ids=lambda module: module
)
def test_examples_in_docstrings_give_what_they_show(module):
    outcome = doctest.testmod(import_module(f"calibration.derivation.{module}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_pages_offer_every_method():
    assert list(METHOD_LABELS) == list(METHODS)


@pytest.mark.parametrize("method", ["greedy", "qr", "eigenrater"])
def test_two_questions_find_both_of_two_planted_factors(method):
    selection = derive(draw_factor_raters(), 2, method)
    posts, values = spread_of(selection.cells, 4)
    assert {post % 2 for post in posts} == {0, 1}
    assert values == [0, 0]  # the value in which the factors are loudest
    assert selection.captured[0] < 0.65
    assert selection.captured[1] > 0.95


def test_a_noisy_cell_tells_pivoting_most_and_expected_gain_least():
    responses = draw_factor_raters()
    responses[:, 5, 3] += 9 * np.random.default_rng(3).standard_normal(len(responses))
    noisy = 5 * 4 + 3
    assert select_by_pivoting(responses, 1).cells == [noisy]
    assert noisy not in select_by_expected_gain(responses, 6).cells


def test_pivots_are_those_of_lapack():
    responses = np.random.default_rng(4).random((9, 3, 4))
    matrix = responses.reshape(9, -1)
    _, _, pivots = qr(matrix - matrix.mean(axis=0), mode="economic", pivoting=True)
    assert select_by_pivoting(responses, 7).cells == pivots[:7].tolist()


def test_the_expected_gain_is_the_fall_of_the_conditional_variances_of_other_posts():
    responses = np.random.default_rng(5).normal(3, 2, (30, 3, 2))
    matrix = responses.reshape(30, -1)
    covariance = estimate_covariance(matrix - matrix.mean(axis=0))
    posts = np.repeat(np.arange(3), 2)
    fall = []
    for cell in range(6):
        others = posts != posts[cell]
        block = covariance[np.ix_(others, [cell])]
        left = covariance[np.ix_(others, others)] - block @ block.T / covariance[cell, cell]
        fall.append((np.trace(covariance[np.ix_(others, others)]) - np.trace(left)) / 6)
    selection = select_by_expected_gain(responses, 1)
    assert selection.cells == [int(np.argmax(fall))]
    assert_allclose(selection.criterion, max(fall))


def test_an_answer_that_is_less_sure_gains_less():
    responses = draw_factor_raters()
    sure, unsure = (select_by_expected_gain(responses, 2, retest_variance=each) for each in (0.0, 5.0))
    assert unsure.criterion[0] < 0.6 * sure.criterion[0]
    with pytest.raises(ValueError, match="variance is 0 or more"):
        select_by_expected_gain(responses, 2, retest_variance=-1)


def test_an_answered_cell_is_no_longer_in_doubt():
    covariance = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert_allclose(condition(covariance, 0), [[0, 0], [0, 2.5]])


@every_method
def test_order_of_raters_does_not_matter(method):
    responses = np.random.default_rng(6).integers(0, 7, (20, 6, 4))
    order = np.random.default_rng(7).permutation(20)
    before, after = (derive(each, 10, method) for each in (responses, responses[order]))
    assert before.cells == after.cells
    assert_allclose(before.criterion, after.criterion, rtol=1e-6)
    assert_allclose(before.captured, after.captured)


@every_method
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 3), n_cells=st.integers(4, 10))
def test_constraints_hold_whatever_the_ratings(method, seed, most, n_cells):
    responses = np.random.default_rng(seed).integers(0, 7, (16, 10, 4))
    selection = derive(responses, n_cells, method, Coverage(every_value=True, most_per_post=most))
    posts, values = spread_of(selection.cells, 4)
    assert len(set(selection.cells)) == n_cells
    assert set(values) == {0, 1, 2, 3}
    assert max(np.bincount(posts)) <= most
    assert (np.diff(selection.captured) > 0).all()


def test_without_constraints_a_loud_value_may_take_every_question():
    responses = draw_factor_raters(noise=0.5)
    responses[:, :, 0] += 5 * np.random.default_rng(8).standard_normal((60, 8))
    free = derive(responses, 5, "qr")
    spread = derive(responses, 5, "qr", Coverage(every_value=True))
    assert {cell % 4 for cell in free.cells} == {0}
    assert {cell % 4 for cell in spread.cells} == {0, 1, 2, 3}


def test_a_value_that_only_one_post_tells_apart_is_kept_room_for():
    # Value 2 differs at post 0 alone, whose other cells are far louder; with one question per post it must wait.
    responses = np.random.default_rng(9).normal(3, 1, (12, 3, 3))
    responses[:, 1:, 2] = 4
    responses[:, 0, :2] *= 50
    selection = derive(responses, 3, "qr", Coverage(every_value=True, most_per_post=1))
    assert 2 in selection.cells
    assert {cell // 3 for cell in selection.cells} == {0, 1, 2}


@every_method
@pytest.mark.parametrize(
    ("coverage", "n_cells", "message"),
    [
        (Coverage(most_per_post=2), 13, "13 questions were asked for, but 6 .* at most 2 per post offer 12"),
        (Coverage(every_value=True), 3, "3 .* cannot cover 4 values: ask at least 4"),
        (Coverage(), 0, "at least 1"),
        (Coverage(), 20, "20 rater.* vary along 19"),
    ],
    ids=["room", "values", "none", "axes"],
)
def test_what_cannot_be_met_is_refused_with_the_numbers(method, coverage, n_cells, message):
    responses = np.random.default_rng(10).integers(0, 7, (20, 6, 4))
    with pytest.raises(ValueError, match=message):
        derive(responses, n_cells if n_cells != 20 else 20, method, coverage)


def test_a_value_on_which_all_agree_cannot_be_covered():
    responses = np.random.default_rng(11).integers(0, 7, (20, 6, 4)).astype(float)
    responses[:, :, 1] = 3
    with pytest.raises(ValueError, match="only 3 of 4 values can be covered"):
        derive(responses, 8, "greedy", Coverage(every_value=True))


@every_method
def test_gaps_are_refused_with_how_many_raters_have_them(method):
    responses = np.ones((5, 2, 3))
    responses[[1, 1, 4], [0, 1, 1], [0, 2, 2]] = np.nan
    with pytest.raises(ValueError, match="3 of 30 responses are missing, of 2 of 5 raters"):
        derive(responses, 1, method)


def test_unknown_methods_and_limits_are_refused():
    with pytest.raises(ValueError, match="there is no method 'best'"):
        derive(np.ones((3, 2, 2)), 1, "best")
    with pytest.raises(ValueError, match="at least 1 question per post"):
        Coverage(most_per_post=0)


def test_a_random_questionnaire_keeps_to_the_constraints_and_to_its_seed():
    responses = np.random.default_rng(12).integers(0, 7, (16, 10, 4))
    drawn = [
        draw_cells(responses, 10, Coverage(True, 1), rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({cell // 4 for cell in drawn[0]}) == 10
    assert {cell % 4 for cell in drawn[0]} == {0, 1, 2, 3}
