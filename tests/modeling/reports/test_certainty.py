"""How sure runs are, in a calibration report: from distributions, from samples, and where nothing says it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.calibration import describe_calibration
from modeling.reports.calibration_tables import say_certainty, tabulate_calibration
from modeling.reports.certainty import read_certainty
from modeling.reports.figures.calibration import draw_calibration_figures
from modeling.reports.tables import write_csv

from .test_calibration import N_POSTS, N_VALUES, THRESHOLD, draw_truth, make_data, make_run

POINTS = range(7)
NAN = float("nan")


def spread(truth, sure, rng, *, share_right):
    """Distributions that give `sure` to one side, which is that of experts in a share of the pairs."""
    is_right = rng.random(truth.shape) < share_right
    says = np.where(is_right, truth >= THRESHOLD, truth < THRESHOLD)
    found = np.zeros((*truth.shape, 7))
    found[..., 5] = np.where(says, sure, 1 - sure)
    found[..., 0] = 1 - found[..., 5]
    return found


def make_sure_run(number, distributions, **fields):
    ratings = distributions @ np.arange(7.0)
    certainty = read_certainty(ratings[None], distributions, POINTS, THRESHOLD)
    return replace(make_run(number, ratings, version=number), certainty=certainty, **fields)


@pytest.fixture
def world():
    rng = np.random.default_rng(3)
    truth = draw_truth(rng)
    shares = ((0.9, 0.9), (0.95, 0.7), (0.6, 0.9))
    runs = [
        make_sure_run(number, spread(truth, sure, rng, share_right=right))
        for number, (sure, right) in enumerate(shares, start=1)
    ]
    return make_data(truth, [*runs, make_run(9, truth, version=9)])


def test_an_honest_an_overconfident_and_an_underconfident_run_are_told_apart(world):
    measures = describe_calibration(world, seed=1)
    honest, over, under, silent = measures["runs"]
    verdicts = [run["certainty"]["verdict"] for run in (honest, over, under)]
    assert verdicts == ["neither", "overconfident", "underconfident"]
    assert over["certainty"]["confidence"] == pytest.approx(0.95)
    assert over["certainty"]["overconfidence"]["estimate"] == pytest.approx(0.25, abs=0.05)
    assert over["certainty"]["ece_p"] < 0.01
    assert over["certainty"]["ece"]["estimate"] > honest["certainty"]["ece"]["estimate"]
    assert "neither overconfident nor underconfident beyond chance" in say_certainty(honest)
    assert "95.0% sure on average" in say_certainty(over) and ": overconfident (+0.2" in say_certainty(over)
    assert silent["certainty"] is None and "cannot be told" in say_certainty(silent)
    json.dumps(measures, allow_nan=False)


def test_tables_and_figure_hold_every_run_that_says_how_sure_it_is(world):
    measures = describe_calibration(world, seed=1)
    tables = tabulate_calibration(measures)
    assert [row[7] for row in tables["calibration_certainty"].rows] == [
        "neither beyond chance",
        "overconfident",
        "underconfident",
    ]
    assert "Without probabilities: main, version 9" in tables["calibration_certainty"].caption
    assert sum(row[2] for row in tables["calibration_reliability"].rows) == 3 * N_POSTS * N_VALUES
    assert write_csv(tables["calibration_reliability"].as_json()).count("\r\n") == 7
    (figure,) = [each for each in draw_calibration_figures(measures) if each.key == "calibration_reliability"]
    drawn = [row for rows in figure.spec["datasets"].values() for row in rows if "series" in row]
    assert len(drawn) == 6 and len({row["series"] for row in drawn}) == 3


def test_a_report_without_any_probability_has_no_such_table_or_figure():
    truth = draw_truth(np.random.default_rng(2))
    measures = describe_calibration(make_data(truth, [make_run(1, truth)]), seed=1)
    assert not {"calibration_certainty", "calibration_reliability"} & set(tabulate_calibration(measures))
    for run in measures["runs"]:
        del run["certainty"]  # as reports were before
    assert "calibration_history" in tabulate_calibration(measures)
    assert "calibration_reliability" not in {figure.key for figure in draw_calibration_figures(measures)}


def test_posts_that_were_taught_and_values_that_are_open_do_not_count(world):
    reference = world.reference.copy()
    reference[:10] = NAN
    taught = np.arange(N_POSTS) >= 90
    run = replace(world.runs[1], taught=taught)
    found = describe_calibration(make_data(reference, [run]), seed=1)["runs"][0]["certainty"]
    assert (found["n_posts"], found["n_pairs"], found["n_left_out"]) == (80, 80 * N_VALUES, 20 * N_VALUES)


def test_the_share_of_samples_stands_in_where_there_are_three():
    ratings = np.array([[[5.0, NAN, 0.0]], [[3.0, 5.0, 0.0]], [[2.0, 5.0, 0.0]], [[NAN, NAN, 0.0]]])
    found = read_certainty(ratings, None, POINTS, THRESHOLD)
    assert (found.source, found.n_samples) == ("samples", 4)
    np.testing.assert_allclose(found.probability, [[2 / 3, NAN, 0]])
    np.testing.assert_allclose(found.spread, [[np.std([5, 3, 2]), NAN, 0]])
    assert "2 of the 3 samples" in read_certainty(ratings[:2], None, POINTS, THRESHOLD).reason
    assert "no post has 3" in read_certainty(np.full((3, 1, 1), NAN), None, POINTS, THRESHOLD).reason


def test_distributions_come_before_samples_and_faulty_ones_are_told():
    distributions = np.array([[[0.2, 0.2, 0.2, 0.4, 0, 0, 0]]])
    found = read_certainty(np.full((3, 1, 1), 5.0), distributions, POINTS, THRESHOLD)
    assert found.source == "distributions" and found.probability.item() == pytest.approx(0.4)
    faulty = read_certainty(np.full((3, 1, 1), 5.0), distributions * 2, POINTS, THRESHOLD)
    assert faulty.source == "" and "cannot be read" in faulty.reason
    assert np.isnan(faulty.probability).all()
