"""Whom personalizing helps."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.covariates import choose_covariates
from modeling.reports.gain import describe_gain, make_histogram
from modeling.stats.spearman import spearman_rows
from tests.modeling.reports.made_up import make_evaluation


def describe(data, *, seed=2):
    return describe_gain(data, choose_covariates(data.groups, data.numbers, data.n_raters), seed=seed)


@pytest.fixture(scope="module")
def data():
    return make_evaluation()


@pytest.fixture(scope="module")
def gain(data):
    return describe(data)


def gains_by_loop(data):
    ratings, raters = data.ratings[data.test_rows], data.raters[data.test_rows]
    differences = spearman_rows(ratings, data.predictions["personalized"]) - spearman_rows(
        ratings, data.predictions["text"]
    )
    by_rater = {
        rater: differences[(raters == rater) & ~np.isnan(differences)] for rater in range(data.n_raters)
    }
    return {rater: each.mean() for rater, each in by_rater.items() if len(each)}


def test_the_gain_is_the_mean_over_raters_of_the_difference_in_rho(data, gain):
    expected = gains_by_loop(data)
    assert gain["mean"] == pytest.approx(np.mean(list(expected.values())))
    assert gain["share_better"] == pytest.approx(np.mean([each > 0 for each in expected.values()]))
    assert (gain["n_raters"], gain["n_raters_left_out"]) == (len(expected), data.n_raters - len(expected))
    assert gain["interval"][0] < gain["mean"] < gain["interval"][1]
    assert sum(each["raters"] for each in gain["histogram"]) == gain["n_raters"]


def test_groups_are_named_with_their_question_and_those_who_did_not_say_are_none(data, gain):
    expected = gains_by_loop(data)
    assert {each["answer"] for each in gain["by_group"]} == {"left", "right"}
    for each in gain["by_group"]:
        own = [
            expected[rater] for rater, answer in enumerate(data.groups["party"]) if answer == each["answer"]
        ]
        assert (each["question"], each["label"], each["n"]) == ("party", "Which party?", len(own))
        assert each["mean"] == pytest.approx(np.mean(own))


def test_a_group_too_small_to_speak_of_is_counted(data):
    few = ["rare"] * 3 + ["frequent"] * (data.n_raters - 3)
    gain = describe(replace(data, groups={"party": few}))
    assert [each["answer"] for each in gain["by_group"]] == ["frequent"]
    assert gain["n_answers_in_small_groups"] == 3


def test_the_regression_names_its_terms_and_corrects_all_but_the_intercept(gain):
    terms = gain["regression"]["terms"]
    assert [(term["kind"], term["name"].split(":")[0]) for term in terms] == [
        ("intercept", "intercept"),
        ("number", "age"),
        ("group", "party"),
    ]
    assert terms[0]["p_holm"] is None
    assert all(term["p_holm"] >= term["p"] for term in terms[1:])


def test_of_raters_of_whom_nothing_is_known_there_is_a_mean_but_no_regression(data):
    gain = describe(replace(data, groups={}, numbers={}))
    assert gain["mean"] is not None
    assert gain["by_group"] == []
    assert gain["regression"] == {
        "reason": "nothing is known of most raters that they differ in",
        "terms": [],
        "n_raters": 0,
        "r_squared": None,
    }


@pytest.mark.parametrize("kept", [{"text"}, {"personalized"}, set()])
def test_without_two_models_there_is_no_gain(data, kept):
    predictions = {name: each for name, each in data.predictions.items() if name in kept}
    gain = describe(replace(data, predictions=predictions))
    assert gain["mean"] is None
    assert gain["reason"]


def test_raters_without_a_rank_order_have_no_gain(data):
    constant = replace(data, ratings=np.full(data.ratings.shape, 2.0))
    gain = describe(constant)
    assert gain["mean"] is None
    assert gain["n_raters_left_out"] == data.n_raters
    assert gain["reason"] == "no row has a rank correlation with both models"


@pytest.mark.parametrize(
    ("gains", "edges"),
    [
        ([0.0], [(0.0, 0.01)]),
        ([-0.005, 0.005, 0.01], [(-0.01, 0.0), (0.0, 0.01), (0.01, 0.02)]),
        ([-2.0, 2.0], [(-2.0, -1.8), (2.0, 2.2)]),
    ],
)
def test_bins_are_round_and_meet_at_zero(gains, edges):
    bins = make_histogram(np.array(gains))
    assert [(each["from"], each["to"]) for each in (bins[0], bins[-1])] == [edges[0], edges[-1]]
    assert len(bins) <= 24
    assert sum(each["raters"] for each in bins) == len(gains)
    assert all(one["to"] == other["from"] for one, other in itertools.pairwise(bins))


def test_an_edge_belongs_to_the_bin_above_it():
    # 0.29 / 0.01 is just below 29 in floating point.
    bins = make_histogram(np.array([0.29, 0.30]))
    assert [(each["from"], each["raters"]) for each in bins] == [(0.29, 1), (0.3, 1)]
