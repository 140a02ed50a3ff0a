"""Calibration reports from arrays: gains are told from noise, and what cannot be measured is said."""

import json
from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.calibration import (
    CalibrationData,
    ReadRun,
    describe_calibration,
    describe_pair,
    find_newest,
)
from modeling.reports.calibration_tables import (
    find_run,
    name_run,
    say_gain,
    say_left_out_of,
    say_noise,
    tabulate_calibration,
)
from modeling.reports.expert_agreement import describe_experts, measure_ceiling
from modeling.reports.figures.calibration import draw_calibration_figures
from modeling.reports.tables import name_values, write_csv

NAN = float("nan")
N_POSTS, N_VALUES, THRESHOLD = 100, 6, 3


def draw_truth(rng, n_posts=N_POSTS):
    return np.where(rng.random((n_posts, N_VALUES)) < 0.3, 5.0, 0.0)


def misread(truth, rate, rng):
    """What a model says that takes each value of a post wrongly at a rate."""
    return np.where(rng.random(truth.shape) < rate, 5.0 - truth, truth)


def make_run(number, ratings, *, version=1, taught=None, **fields):
    return ReadRun(
        run=number,
        label=f"Reader, version {number}",
        line="small",
        family="prompt: main",
        version=version,
        ratings=ratings,
        taught=np.zeros(len(ratings), dtype=bool) if taught is None else taught,
        finished=f"2026-01-{number:02d}T10:00:00",
        n_readings=len(ratings),
        **fields,
    )


def make_data(truth, runs, *, labels=None, **fields):
    labels = np.stack([truth, truth]) if labels is None else labels
    return CalibrationData(
        values=[(f"v{value}", f"Value {value}") for value in range(truth.shape[1])],
        post_ids=list(range(10, 10 + len(truth))),
        keys=[f"p{post}" for post in range(len(truth))],
        reference=truth,
        labels=labels,
        experts=[f"expert {number}" for number in range(len(labels))],
        threshold=THRESHOLD,
        runs=runs,
        **fields,
    )


@pytest.fixture
def world():
    """A prompt that errs in a fifth of the values, its repair that errs in a twentieth, and a rewording of it."""
    rng = np.random.default_rng(5)
    truth = draw_truth(rng)
    runs = [
        make_run(number, misread(truth, rate, rng), version=number)
        for number, rate in ((1, 0.2), (2, 0.05), (3, 0.05))
    ]
    return make_data(truth, runs)


@pytest.fixture
def measures(world):
    return describe_calibration(world, seed=1)


def test_a_repaired_prompt_shows_its_gain_and_a_mere_rewording_is_within_noise(measures):
    first, repaired, reworded = measures["runs"]
    assert first["before"] is None
    assert say_noise(repaired["before"]) == "better"
    assert repaired["before"]["p"] < 0.01
    assert "more than noise" in say_gain(repaired["before"])
    assert repaired["before"]["n_better"] > repaired["before"]["n_worse"]
    assert say_noise(reworded["before"]) == "within noise"
    assert (reworded["before"]["other"], measures["newest"]) == (2, 3)


def test_rewordings_are_called_more_than_noise_no_more_often_than_stated():
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = draw_truth(rng, 60)
        runs = [make_run(number, misread(truth, 0.1, rng), version=number) for number in (1, 2)]
        found += not describe_pair(make_data(truth, runs), 1, 2, seed=seed)["pair"]["is_within_noise"]
    assert found <= 6  # of 40 at 5 %: more has a probability below 2 %


def test_a_perfect_run_scores_one_and_says_so_for_every_value():
    truth = draw_truth(np.random.default_rng(2))
    run = describe_calibration(make_data(truth, [make_run(1, truth)]), seed=1)["runs"][0]
    assert run["f1"]["estimate"] == run["precision"]["estimate"] == run["recall"]["estimate"] == 1
    assert run["rank"]["estimate"] == pytest.approx(1)
    assert [row["f1"]["estimate"] for row in run["by_value"]] == [1] * N_VALUES
    assert run["rank"]["n_undefined"] == int((truth == truth[:, :1]).all(axis=1).sum())


def test_posts_that_a_model_was_taught_are_left_out_and_counted(world):
    taught = np.arange(N_POSTS) < 30
    run = replace(world.runs[0], taught=taught, ratings=np.where(taught[:, None], 0.0, world.reference))
    found = describe_calibration(make_data(world.reference, [run]), seed=1)
    (entry,) = found["runs"]
    assert (entry["n_taught"], entry["n_posts"], entry["f1"]["estimate"]) == (30, 70, 1)
    assert say_left_out_of(entry, name_values(found))[0] == "30 posts left out that the model was taught."


def test_a_value_that_experts_never_find_has_no_f1_and_a_reason(world):
    truth = world.reference.copy()
    truth[:, 2] = 0
    found = describe_calibration(make_data(truth, [make_run(1, world.runs[0].ratings)]), seed=1)
    (entry,) = found["runs"]
    assert entry["by_value"][2]["f1"]["estimate"] is None
    assert entry["by_value"][2]["f1"]["reason"]
    assert [each["value"] for each in entry["left_out"]] == ["v2"]
    assert entry["n_values"] == N_VALUES - 1
    assert any("Value 2" in line for line in say_left_out_of(entry, name_values(found)))


def test_open_and_absent_values_and_failed_readings_are_counted_and_never_guessed(world):
    reference, ratings = world.reference.copy(), world.reference.copy()
    reference[:10, 0] = NAN
    reference[:, 1] = NAN
    ratings[5:15] = NAN
    run = make_run(1, ratings, n_failed=10, failures={"no_json": 10})
    found = describe_calibration(make_data(reference, [run], n_open=10, n_unlabeled=0), seed=1)
    (entry,) = found["runs"]
    assert entry["by_value"][0]["n_left_out"] == 15
    assert entry["by_value"][1]["f1"]["estimate"] is None
    assert entry["n_posts"] == 90
    told = " ".join(say_left_out_of(entry, name_values(found)))
    assert "10 posts have no reading" in told
    assert "10 of 100 readings failed (no_json: 10)" in told
    assert found["posts"][0]["open"] == [0, 1]
    assert entry["presences"][5] is None
    json.dumps(found, allow_nan=False)


def test_too_few_posts_give_a_number_without_an_interval_and_the_reason():
    truth = np.array([[5.0, 0.0], [0.0, 5.0]])
    found = describe_calibration(make_data(truth, [make_run(1, truth)]), seed=1)
    (entry,) = found["runs"]
    assert entry["f1"]["interval"] == [None, None]
    assert entry["f1"]["reason"]
    assert tabulate_calibration(found)["calibration_history"].rows[0][-1]


def test_the_same_seed_gives_the_same_report(world, measures):
    assert describe_calibration(world, seed=1) == measures


def test_single_test_posts_are_told_of_nowhere(world):
    found = describe_calibration(replace(world, split="test"), seed=1)
    assert "posts" not in found
    assert not any("presences" in run for run in found["runs"])
    assert not any(key in json.dumps(found) for key in ('"p1"', '"p42"'))


def test_a_stand_in_is_named_in_every_table_about_models(world):
    runs = [replace(run, is_standin=True) for run in world.runs]
    found = describe_calibration(replace(world, runs=runs), seed=1)
    for key, table in tabulate_calibration(found).items():
        assert ("Stand-in: not from a real model" in table.caption) == (key != "calibration_experts")


def test_every_table_becomes_a_file_and_every_figure_a_drawing_with_the_experts_line(measures):
    tables = tabulate_calibration(measures)
    assert set(tables) == {
        "calibration_history",
        "calibration_best",
        "calibration_newest",
        "calibration_experts",
        "calibration_values",
    }
    assert all("From 3" in table.caption or "from 3 on" in table.caption for table in tables.values())
    assert len(write_csv(tables["calibration_values"].as_json()).splitlines()) == 1 + 3 * N_VALUES
    figures = draw_calibration_figures(measures)
    assert [figure.key for figure in figures] == [
        "calibration_history",
        "calibration_newest",
        "calibration_best",
    ]
    assert "an expert" in json.dumps(figures[0].spec)


def test_the_best_is_the_run_with_the_highest_f1_and_the_others_are_held_against_it(measures):
    best = find_run(measures, measures["best"])
    assert best["f1"]["estimate"] == max(run["f1"]["estimate"] for run in measures["runs"])
    assert best["from_best"] is None
    assert all(run["from_best"]["other"] == best["run"] for run in measures["runs"] if run is not best)
    assert all(run["from_best"]["difference"] <= 0 for run in measures["runs"] if run is not best)


def test_a_version_is_held_against_the_one_before_it_by_the_same_model_in_its_family(world):
    nothing = world.runs[0]
    others = [
        replace(nothing, run=7, line="large", version=2, finished="2026-02-01"),
        replace(nothing, run=8, family="prompt: other", version=4, finished="2026-02-02"),
    ]
    found = describe_calibration(replace(world, runs=[*world.runs, *others]), seed=1)
    assert [run["before"] and run["before"]["other"] for run in found["runs"]] == [None, 1, 2, None, None]
    assert find_newest([*world.runs, *others]) == 3


def test_a_pair_needs_both_runs(world):
    with pytest.raises(ValueError, match="no run 9"):
        describe_pair(world, 1, 9, seed=1)


@pytest.mark.parametrize("shape", [(3, 2), (N_POSTS, 2)], ids=["posts", "values"])
def test_shapes_that_do_not_fit_are_named(world, shape):
    with pytest.raises(ValueError, match="reference"):
        replace(world, reference=np.zeros(shape))
    with pytest.raises(ValueError, match="labels"):
        replace(world, labels=np.zeros((2, *shape)))


def test_without_a_run_there_are_experts_alone(world):
    found = describe_calibration(replace(world, runs=[]), seed=1)
    assert (found["runs"], found["best"], found["newest"]) == ([], None, None)
    assert found["experts"]["ceiling"]["f1"] == 1


def test_a_run_given_twice_is_refused(world):
    with pytest.raises(ValueError, match="twice"):
        replace(world, runs=[world.runs[0], world.runs[0]])


def test_an_expert_is_scored_against_the_majority_of_the_others():
    """Expert 0 finds value 0 in posts 0 and 1; the others find it in posts 0 and 2: one hit of 2 and 2, F1 a half."""
    others = [[5.0], [0.0], [5.0], [0.0]]
    labels = np.array([[[5.0], [5.0], [0.0], [0.0]], others, others])
    found = measure_ceiling(labels, ["a", "b", "c"], THRESHOLD, rng=np.random.default_rng(0))
    assert found["by_expert"][0]["f1"] == pytest.approx(0.5)
    # For the others, expert 0 and the third are split on posts 1 and 2: only posts 0 and 3 count, both right.
    assert [each["f1"] for each in found["by_expert"][1:]] == [1, 1]
    assert found["f1"] == pytest.approx((0.5 + 1 + 1) / 3)


def test_experts_who_agree_reach_one_and_a_lone_expert_has_no_ceiling():
    truth = draw_truth(np.random.default_rng(3))
    keys = [f"v{value}" for value in range(N_VALUES)]
    both = describe_experts(np.stack([truth, truth]), ["a", "b"], THRESHOLD, keys, seed=1)
    assert both["ceiling"]["f1"] == 1
    assert both["mean_alpha"] == pytest.approx(1)
    assert both["mean_kappa"] == pytest.approx(1)
    alone = describe_experts(truth[None], ["a"], THRESHOLD, keys, seed=1)
    assert alone["ceiling"]["f1"] is None
    assert "two experts" in alone["ceiling"]["reason"]
    assert alone["mean_alpha"] is None
    assert all(row["reason"] and row["kappa_reason"] for row in alone["by_value"])
    nobody = describe_experts(np.empty((0, 4, 2)), [], THRESHOLD, ["v0", "v1"], seed=1)
    assert nobody["ceiling"]["f1"] is None
    assert nobody["by_value"][0]["reason"] == "nobody has labeled a post"


def test_a_run_is_named_with_its_stand_in():
    named = {"family": "prompt: main", "version": 2, "line": "small", "run": 4, "is_standin": True}
    assert name_run(named) == "main, version 2, by small (stand-in), run 4"
