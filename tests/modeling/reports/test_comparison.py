import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from modeling.reports.comparison import LEAST_COMMON, choose_common_posts, describe_comparison
from modeling.reports.comparison_tables import list_apart, tabulate_comparison
from modeling.reports.figures import draw_comparison_figures
from modeling.reports.figures.render import render
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import write_csv
from modeling.stats.consensus import rounded_consensus

from .compared import FAIR, GOOD, NOISE, POOR, make_comparison, make_reader
from .made_up import make_study

ALL_TABLES = ("agreement", "differences", "error", "correlation", "work")


def compare(data, seed=4):
    return describe_comparison(data, seed=seed)


def model_of(measures, key):
    return next(model for model in measures["models"] if model["key"] == key)


def rho_by_hand(data, key, posts):
    """Mean over posts of the mean over raters of SciPy's rho, leaving out what is undefined."""
    means = []
    for post in posts:
        rows = data.ratings[data.posts == post]
        said = data.scores[key][post]
        found = [spearmanr(row, said).statistic for row in rows if np.ptp(row) > 0 and np.ptp(said) > 0]
        if found:
            means.append(np.mean(found))
    return np.mean(means)


@pytest.fixture(scope="module")
def data():
    return make_comparison()


@pytest.fixture(scope="module")
def measures(data):
    return compare(data)


def test_a_better_reader_of_the_crowd_agrees_more_and_lies_closer(measures):
    good, fair, poor = (model_of(measures, key) for key in NOISE)
    assert good["rho"] > fair["rho"] > poor["rho"]
    assert good["error"]["mae"] < fair["error"]["mae"] < poor["error"]["mae"]
    assert measures["best"] == GOOD


def test_rho_and_distance_are_those_of_an_independent_count(data, measures):
    rated = np.unique(data.posts)
    crowd = rounded_consensus(data.ratings, data.posts, data.n_posts)[rated]
    for key in NOISE:
        model = model_of(measures, key)
        assert model["rho"] == pytest.approx(rho_by_hand(data, key, rated), abs=1e-12)
        by_value = np.abs(data.scores[key][rated] - crowd).mean(axis=0)
        assert [row["mae"] for row in model["error_by_value"]] == pytest.approx(list(by_value))
        assert model["error"]["mae"] == pytest.approx(by_value.mean())


def test_the_rho_of_one_value_is_over_all_annotations(data, measures):
    expected = [
        spearmanr(data.ratings[:, place], data.scores[FAIR][data.posts, place]).statistic
        for place in range(len(data.values))
    ]
    found = model_of(measures, FAIR)["correlation_by_value"]
    assert [row["rho"] for row in found] == pytest.approx(expected)
    assert all(row["interval"][0] < row["rho"] < row["interval"][1] for row in found)


def test_differences_are_paired_by_post(measures):
    good, poor = model_of(measures, GOOD), model_of(measures, POOR)
    assert good["from_best"] is None
    difference = poor["from_best"]
    assert difference["rho"] == pytest.approx(poor["rho"] - good["rho"], abs=0.02)
    assert difference["posts"] == min(poor["posts"], good["posts"])
    width = difference["interval"][1] - difference["interval"][0]
    alone = sum(model["interval"][1] - model["interval"][0] for model in (good, poor))
    assert difference["interval"][0] < difference["rho"] < difference["interval"][1] < 0
    assert width < alone
    human = good["from_human"]
    assert human["rho"] == pytest.approx(good["rho"] - measures["human_human"]["rho"], abs=0.02)
    assert human["posts"] <= measures["human_human"]["posts"]


def test_equal_models_differ_by_nothing_in_any_resample(data):
    twins = replace(data, scores=data.scores | {FAIR: data.scores[GOOD]})
    found = compare(twins)
    second = next(model for model in found["models"] if model["key"] in (GOOD, FAIR) and model["from_best"])
    assert second["from_best"]["rho"] == 0
    assert second["from_best"]["interval"] == [0, 0]


def test_no_model_is_judged_on_posts_that_any_of_them_was_trained_on(data):
    trained = np.arange(data.n_posts) < 20
    found = compare(replace(data, trained_on=data.trained_on | {GOOD: trained}))
    assert found["common"]["n_posts"] == np.count_nonzero(np.unique(data.posts) >= 20)
    for key in NOISE:
        expected = rho_by_hand(data, key, [post for post in np.unique(data.posts) if post >= 20])
        assert model_of(found, key)["rho"] == pytest.approx(expected)
    assert model_of(found, GOOD)["n_trained_on"] == np.count_nonzero(np.unique(data.posts) < 20)


def test_a_model_that_read_few_posts_is_judged_on_those_beside_the_people_who_rated_them():
    def leave_few(key, scores):
        scores[12 if key == POOR else 60 :] = np.nan
        return scores

    data = make_comparison(change=leave_few)
    measures = compare(data)
    poor = model_of(measures, POOR)
    rated = np.unique(data.posts)
    assert poor["is_apart"]
    assert poor["rho"] == pytest.approx(rho_by_hand(data, POOR, rated[rated < 12]))
    assert poor["human_human"]["posts"] <= 12
    assert poor["from_best"] is None
    assert measures["common"]["n_posts"] == len(rated)
    assert measures["common"]["n_models"] == 2
    assert f"fewer than {measures['common']['limit']:,} posts" in list_apart(measures)[0]


def test_only_held_out_posts_count_where_they_alone_are_asked_for(data):
    held_out = np.arange(data.n_posts) % 3 == 0
    found = compare(replace(data, held_out=held_out))
    expected = [post for post in np.unique(data.posts) if post % 3 == 0]
    assert found["holdout_only"]
    assert found["common"]["n_posts"] == len(expected)
    assert model_of(found, FAIR)["rho"] == pytest.approx(rho_by_hand(data, FAIR, expected))
    assert "held-out posts" in tabulate_comparison(found)["comparison_agreement"].caption


def test_a_model_that_says_the_same_of_every_value_has_no_rho_but_a_distance():
    data = make_comparison(change=lambda key, scores: scores * 0 + 2 if key == FAIR else scores)
    fair = model_of(compare(data), FAIR)
    assert fair["rho"] is None
    assert fair["interval"] == [None, None]
    assert fair["undefined"] == fair["compared"] == len(data.ratings)
    assert fair["reason"] == "every comparison is with ratings that are all alike"
    assert fair["error"]["mae"] > 0
    assert {row["reason"] for row in fair["correlation_by_value"]} == {
        "every prediction is the same, so there is no order to compare"
    }


def test_a_model_without_any_reading_is_named_and_has_no_number(data):
    nothing = np.full_like(data.scores[POOR], np.nan)
    measures = compare(replace(data, scores=data.scores | {POOR: nothing}))
    poor = model_of(measures, POOR)
    assert (poor["rho"], poor["error"]["mae"], poor["n_usable"]) == (None, None, 0)
    assert poor["reason"]
    tables = tabulate_comparison(measures)
    assert any(row[0] == f"{POOR}, on no post" for row in tables["comparison_agreement"].rows)
    json.dumps(measures, allow_nan=False)


def test_where_no_post_is_left_nothing_is_defined_and_no_figure_is_drawn(data):
    measures = compare(replace(data, held_out=np.zeros(data.n_posts, dtype=bool)))
    assert measures["common"]["n_posts"] == 0
    assert measures["best"] is None
    assert all(model["rho"] is None for model in measures["models"])
    assert draw_comparison_figures(measures | {"n_simulated": 0}) == []


def test_cost_latency_and_failures_are_those_of_the_run(data):
    reader = make_reader(FAIR, n_asked=50, n_read=45, n_readings=50, failures={"refused": 1, "not_json": 4})
    latencies = np.array([1.0, 2.0, 3.0, np.nan, 100.0])
    measures = compare(
        replace(data, readers=data.readers | {FAIR: reader}, latencies=data.latencies | {FAIR: latencies})
    )
    work = model_of(measures, FAIR)["work"]
    assert work["coverage"] == 0.9
    assert work["cost_per_thousand"] == pytest.approx(12)
    assert work["latency_median"] == 2.5
    assert work["latency_p95"] == pytest.approx(np.quantile([1, 2, 3, 100], 0.95))
    assert (work["failed"], list(work["failures"])) == (5, ["not_json", "refused"])
    row = next(row for row in tabulate_comparison(measures)["comparison_work"].rows if row[0] == FAIR)
    assert "not json 4, refused 1" in row


def test_a_cost_that_is_not_known_is_none_with_its_reason(data):
    reader = make_reader(FAIR, cost=None, cost_reason="no price is entered for it")
    measures = compare(
        replace(data, readers=data.readers | {FAIR: reader}, latencies=data.latencies | {FAIR: np.empty(0)})
    )
    work = model_of(measures, FAIR)["work"]
    assert (work["cost_per_thousand"], work["latency_median"]) == (None, None)
    row = next(row for row in tabulate_comparison(measures)["comparison_work"].rows if row[0] == FAIR)
    assert row[-1] == "No price is entered for it. No call was timed."


def test_no_cost_at_all_leaves_the_table_and_no_figure(data):
    readers = {key: make_reader(key, cost=None, cost_reason="unknown") for key in NOISE}
    measures = compare(replace(data, readers=readers)) | {"n_simulated": 0}
    keys = [figure.key for figure in draw_comparison_figures(measures)]
    assert "comparison_work" not in keys
    assert "comparison_work" in tabulate_comparison(measures)


def test_a_stand_in_is_marked_in_every_table_and_file(data):
    readers = data.readers | {GOOD: make_reader(GOOD, is_standin=True)}
    measures = compare(replace(data, readers=readers)) | {"n_simulated": 0}
    tables = tabulate_comparison(measures)
    assert set(tables) == {f"comparison_{name}" for name in ALL_TABLES}
    for table in tables.values():
        assert f"{SAYS_STANDIN.removesuffix('.')}: {GOOD}." in table.caption
        assert SAYS_STANDIN.removesuffix(".") in write_csv(table.as_json())
    for figure in draw_comparison_figures(measures):
        assert figure.spec["title"]["subtitle"] == "Some of the models are stand-ins"


def test_tables_go_into_files_with_every_row(measures):
    for table in tabulate_comparison(measures).values():
        lines = list(csv.reader(io.StringIO(write_csv(table.as_json()))))
        assert len(lines) == 1 + len(table.rows)
        assert len({len(line) for line in lines}) == 1


def test_every_figure_can_be_drawn(measures):
    figures = draw_comparison_figures(measures | {"n_simulated": 0})
    assert [figure.key for figure in figures] == [f"comparison_{name}" for name in ALL_TABLES]
    for figure in figures:
        assert "NaN" not in json.dumps(figure.spec)
        assert render(figure.spec).svg.startswith("<svg")


def test_the_same_seed_gives_the_same_numbers_and_another_other_intervals(data, measures):
    again, other = compare(data), compare(data, seed=5)
    assert {**again, "seconds": 0} == {**measures, "seconds": 0}
    assert other["models"][0]["rho"] == measures["models"][0]["rho"]
    assert other["models"][0]["interval"] != measures["models"][0]["interval"]


def test_a_study_of_one_post_has_numbers_and_no_intervals():
    study = make_study([[0, 1, 2, 3], [0, 2, 2, 5]], [0, 1], [0, 0])
    measures = compare(make_comparison(study))
    good = model_of(measures, GOOD)
    assert good["interval"] == [None, None]
    assert measures["human_human"]["rho"] is not None


def test_models_join_the_common_posts_as_long_as_enough_are_left():
    n_posts = 200
    everything = np.ones(n_posts, dtype=bool)
    usable = {
        "few": np.arange(n_posts) < LEAST_COMMON - 1,
        "most": everything,
        "half": np.arange(n_posts) % 2 == 0,
    }
    found = choose_common_posts(usable, everything)
    assert found.apart == ("few",)
    assert found.posts.tolist() == usable["half"].tolist()
    assert found.limit == LEAST_COMMON


def test_the_order_in_which_models_are_given_does_not_matter(data):
    turned = {key: data.readers[key] for key in reversed(data.readers)}
    scores = data.scores | {POOR: np.where(np.arange(60)[:, None] < 9, data.scores[POOR], np.nan)}
    ahead, back = (compare(replace(data, readers=each, scores=scores)) for each in (data.readers, turned))
    for key in NOISE:
        assert model_of(ahead, key) == model_of(back, key)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scores": {}}, "scores is about"),
        ({"latencies": {GOOD: np.empty(0)}}, "give each model in all of them"),
        ({"trained_on": dict.fromkeys(NOISE, np.zeros(3, dtype=bool))}, r"it must be \(60,\)"),
        ({"scores": dict.fromkeys(NOISE, np.zeros((60, 2)))}, r"it must be \(60, 5\)"),
        ({"held_out": np.zeros(4, dtype=bool)}, "held_out has shape"),
    ],
    ids=["no scores", "a model missing", "other posts", "other values", "other held-out posts"],
)
def test_what_does_not_fit_together_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_comparison(**fields)
