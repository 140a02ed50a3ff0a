"""Known raters on new posts and new raters by their answers alone, with leaks and losses that were planted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from modeling.reports.data import EvaluationData
from modeling.reports.evaluation import describe_evaluation
from modeling.reports.two_questions import LEAK, describe_questions
from modeling.stats.spearman import spearman_rows
from tests.modeling.reports.made_up import make_evaluation, make_personal

NEW_NAMES = {"text", "text_forest", "forest", "boosting", "mixed", "personalized"}


@pytest.fixture(scope="module")
def data():
    return make_personal()


@pytest.fixture(scope="module")
def questions(data):
    return describe_questions(data, seed=3)


def find(questions, sample, other):
    (row,) = [
        row for row in questions["rater_differences"] if (row["sample"], row["from"]) == (sample, other)
    ]
    return row


def by_rater(data: EvaluationData, rows, one, other):
    """Mean over raters of the mean over their rows, in loops."""
    ratings, raters = data.ratings[rows], data.raters[rows]
    rho = spearman_rows(ratings, one) - spearman_rows(ratings, other)
    mae = np.abs(ratings - one).mean(axis=1) - np.abs(ratings - other).mean(axis=1)
    return [
        float(np.mean([np.nanmean(found[raters == rater]) for rater in np.unique(raters)]))
        for found in (rho, mae)
    ]


def test_differences_are_means_over_raters_of_means_over_their_rows(data, questions):
    is_new = data.posts[data.new_rows] % 4 == 0
    for sample, rows, predictions in (
        ("known", data.test_rows, data.predictions),
        ("known_posts", data.new_rows[~is_new], {k: v[~is_new] for k, v in data.new_predictions.items()}),
        ("new_posts", data.new_rows[is_new], {k: v[is_new] for k, v in data.new_predictions.items()}),
    ):
        for other in ("text", "text_forest", "forest"):
            rho, mae = by_rater(data, rows, predictions["personalized"], predictions[other])
            found = find(questions, sample, other)
            assert found["rho"]["difference"] == pytest.approx(rho)
            assert found["mae"]["difference"] == pytest.approx(mae)
            for measure in ("rho", "mae"):
                low, high = found[measure]["interval"]
                assert low < found[measure]["difference"] < high
                assert found[measure]["raters"] == len(np.unique(data.raters[rows]))


def test_the_difference_from_the_consensus_is_the_gain(data):
    measures = describe_evaluation(data, seed=3)
    rho = find(measures, "known", "text")["rho"]
    assert rho["difference"] == pytest.approx(measures["gain"]["mean"])
    assert rho["interval"] == pytest.approx(measures["gain"]["interval"])


def test_every_condition_stands_beside_the_personalized_one(questions):
    known = [row["name"] for row in questions["controls"]["conditions"]]
    assert known == [
        "text", "text_forest", "person", "permuted", "forest", "boosting", "mixed", "personalized"
    ]  # fmt: skip
    for sample in ("known_posts", "new_posts"):
        rows = questions["cold_start"][sample]["conditions"]
        assert {row["name"] for row in rows} == NEW_NAMES
    assert questions["controls"]["absent"] == []


def test_known_and_new_posts_of_new_raters_are_told_apart(data, questions):
    cold = questions["cold_start"]
    is_new = data.posts[data.new_rows] % 4 == 0
    assert cold["reason"] == ""
    assert cold["n_raters"] == 20
    assert (cold["known_posts"]["n_rows"], cold["new_posts"]["n_rows"]) == ((~is_new).sum(), is_new.sum())
    assert cold["known_posts"]["n_posts"] == 30
    assert cold["new_posts"]["n_posts"] <= 10


def test_by_value_rho_is_over_rows_and_so_is_the_distance(data, questions):
    for place, row in enumerate(questions["controls"]["by_value"]):
        given = data.ratings[data.test_rows, place]
        for name, found in row["models"].items():
            predicted = data.predictions[name][:, place]
            assert found["rho"] == pytest.approx(spearmanr(given, predicted).statistic)
            assert found["mae"] == pytest.approx(np.abs(given - predicted).mean())
            assert found["interval"][0] < found["rho"] < found["interval"][1]
            assert found["mae_interval"][0] < found["mae"] < found["mae_interval"][1]
        against = row["against_consensus"]
        assert against["rho"]["difference"] == pytest.approx(
            row["models"]["personalized"]["rho"] - row["models"]["text"]["rho"]
        )
        assert against["mae"]["direction"] == "better"


def test_a_planted_leak_is_flagged_and_a_clean_control_is_not(questions):
    clean = questions["controls"]["permuted"]
    assert clean["is_leaking"] is False
    assert "gain nothing" in clean["sentence"]
    leaking = describe_questions(make_personal(leak=0.3), seed=3)["controls"]["permuted"]
    assert leaking["is_leaking"] is True
    assert leaking["rho"]["interval"][0] > 0
    assert leaking["sentence"].startswith(LEAK)


def test_a_leak_that_only_brings_predictions_nearer_is_flagged_too(data):
    # Half way to the mean of all values in a row: the same order, a smaller distance.
    ratings = data.ratings[data.test_rows]
    shift = (ratings - data.predictions["text_forest"]).mean(axis=1, keepdims=True)
    nearer = data.predictions | {"permuted": data.predictions["text_forest"] + shift}
    found = describe_questions(replace(data, predictions=nearer), seed=3)["controls"]["permuted"]
    assert found["rho"]["direction"] == "same"
    assert found["is_leaking"] is True


def test_where_it_is_better_the_verdict_says_so(questions):
    verdict = questions["verdict"]
    assert (verdict["is_worse"], verdict["worse"], verdict["lower"]) == (False, [], [])
    assert "nowhere worse than the consensus" in verdict["sentence"]
    assert len(verdict["better"]) == 6
    known = verdict["by_value"][0]
    assert (known["sample"], known["values"], known["mae_better"], known["mae_worse"]) == ("known", 6, 6, 0)


def test_a_planted_loss_is_named_with_whom_and_in_what():
    verdict = describe_questions(make_personal(gap=2.0), seed=3)["verdict"]
    assert verdict["is_worse"] is True
    assert {"sample": "known", "measure": "rho"} in verdict["worse"]
    assert "is worse than the consensus: known raters on new posts (rho and distance)" in verdict["sentence"]


def test_a_loss_within_chance_is_said_to_be_one(data):
    rng = np.random.default_rng(1)
    text = data.predictions["text"]
    blurred = data.predictions | {"personalized": text + rng.normal(0, 0.15, text.shape)}
    verdict = describe_questions(replace(data, predictions=blurred, new_rows=data.new_rows[:0],
                                         new_predictions={}, curves={}, intervals={}), seed=3)["verdict"]  # fmt: skip
    assert verdict["is_worse"] is False
    assert verdict["lower"]
    assert "On the wrong side, but within chance" in verdict["sentence"]
    assert "Nothing else was looked at than: known raters on new posts." in verdict["sentence"]


def test_the_same_predictions_are_the_same_and_not_worse():
    questions = describe_questions(make_personal(matters=0.0), seed=3)
    assert find(questions, "known", "text")["rho"]["direction"] == "same"
    assert questions["verdict"]["is_worse"] is False


def test_what_an_older_fit_lacks_is_stated():
    questions = describe_questions(make_evaluation(), seed=3)
    assert {row["name"] for row in questions["controls"]["absent"]} == {
        "text_forest", "person", "permuted", "forest"
    }  # fmt: skip
    assert questions["controls"]["permuted"]["is_leaking"] is None
    assert "was not checked" in questions["controls"]["permuted"]["sentence"]
    assert "set no raters apart" in questions["cold_start"]["reason"]
    assert questions["cold_start"]["new_posts"]["reason"]
    json.dumps(questions, allow_nan=False)


def test_without_a_personalized_model_there_is_no_verdict():
    questions = describe_questions(replace(make_evaluation(), predictions={}), seed=3)
    assert questions["verdict"]["is_worse"] is None
    assert "cannot be told" in questions["verdict"]["sentence"]


def test_one_rater_has_numbers_without_intervals(data):
    rows = np.flatnonzero(data.raters[data.test_rows] == 1)
    alone = replace(
        data,
        test_rows=data.test_rows[rows],
        predictions={name: each[rows] for name, each in data.predictions.items()},
        intervals={},
    )
    questions = describe_questions(alone, seed=3)
    found = find(questions, "known", "text")["rho"]
    assert found["difference"] is not None
    assert (found["interval"], found["direction"]) == ([None, None], "")
    assert questions["controls"]["permuted"]["is_leaking"] is None
    json.dumps(questions, allow_nan=False)
