"""The agreement report: every number in its place, and none where there is nothing to tell."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.agreement import describe_agreement
from modeling.stats.categorical import fleiss_kappa, gwet_ac, percent_agreement
from modeling.stats.crowd_error import human_crowd_mae
from modeling.stats.intraclass import intraclass
from modeling.stats.krippendorff import krippendorff_alpha
from modeling.stats.perception import screening_effect, value_projection
from tests.modeling.reports.made_up import make_agreement, make_study, shuffle_rows

KEYS = {
    "schema", "n_raters", "n_posts", "n_annotations", "n_ratings", "n_values", "scale", "values", "raters_per_post",
    "posts_per_rater", "human_human", "human_human_over_raters", "human_consensus", "human_consensus_by_size",
    "by_value", "alpha_range",
    "circumplex", "projection", "screening", "screened_by_standin", "disputed", "planning", "notes", "seed",
    "n_resamples", "ci_level", "seconds",
}  # fmt: skip
MEASURE = {"rho", "interval", "posts", "posts_undefined", "undefined", "compared"}
COEFFICIENT = {"estimate", "interval", "posts", "reason"}
BY_VALUE = {
    "value", "n_ratings", "mean", "sd", "share_zero", "shares", "ordinal", "interval", "nominal", "percent_agreement",
    "fleiss_kappa", "gwet_ac2", "icc_1", "icc_k", "human_crowd", "human_crowd_se", "human_crowd_posts",
}  # fmt: skip


@pytest.fixture(scope="module")
def study():
    data = make_agreement()
    ratings = data.ratings.copy()
    ratings[np.random.default_rng(8).random(ratings.shape) < 0.1] = np.nan
    return replace(data, ratings=ratings)


@pytest.fixture(scope="module")
def measures(study):
    return describe_agreement(study, seed=7)


def without_seconds(measures):
    return {key: each for key, each in measures.items() if key != "seconds"}


def test_every_key_of_the_contract_is_there_and_the_whole_is_strict_json(measures):
    assert measures.keys() == KEYS
    assert measures["human_human"].keys() == measures["human_consensus"].keys() == MEASURE
    for row in measures["by_value"]:
        assert row.keys() == BY_VALUE
        assert row["percent_agreement"].keys() == row["icc_1"].keys() == COEFFICIENT
        assert row["icc_k"].keys() == COEFFICIENT | {"k"}
    assert json.loads(json.dumps(measures, allow_nan=False)) == measures


def test_counts_tell_the_size_of_the_study(study, measures):
    assert measures["n_annotations"] == len(study.ratings) == 144
    assert measures["n_ratings"] == int((~np.isnan(study.ratings)).sum())
    assert measures["posts_per_rater"] == {"min": 6, "median": 6.0, "max": 6}
    per_post = measures["raters_per_post"]
    assert per_post["mean"] == pytest.approx(144 / 14)
    assert sum(entry["posts"] for entry in per_post["histogram"]) == 14
    assert sum(entry["posts"] * entry["raters"] for entry in per_post["histogram"]) == 144
    assert per_post["histogram"][0]["raters"] == per_post["min"]


def test_each_value_has_its_own_coefficients(study, measures):
    args = study.ratings, study.posts
    alphas = {level: krippendorff_alpha(*args, level) for level in ("ordinal", "interval", "nominal")}
    coefficients = {
        "percent_agreement": percent_agreement(*args, scale=(0, 6)),
        "fleiss_kappa": fleiss_kappa(*args, scale=(0, 6)),
        "gwet_ac2": gwet_ac(*args, "quadratic", scale=(0, 6)),
    }
    icc, crowd = intraclass(*args), human_crowd_mae(*args)
    for place, row in enumerate(measures["by_value"]):
        given = study.ratings[:, place][~np.isnan(study.ratings[:, place])]
        assert row["value"] == f"value_{place}"
        assert (row["n_ratings"], row["mean"]) == (len(given), pytest.approx(given.mean()))
        assert row["sd"] == pytest.approx(np.std(given, ddof=1))
        assert row["shares"] == pytest.approx([(given == level).mean() for level in range(7)])
        assert row["share_zero"] == row["shares"][0]
        for level, alpha in alphas.items():
            assert row[level]["alpha"] == alpha.krippendorff_alpha[place]
            assert row[level]["interval"][0] < row[level]["alpha"] < row[level]["interval"][1]
            assert row[level]["ratings"] + row[level]["left_out"] == len(given)
        for name, coefficient in coefficients.items():
            assert row[name]["estimate"] == coefficient.estimate[place]
            assert row[name]["interval"][0] < row[name]["estimate"] < row[name]["interval"][1]
        assert row["icc_1"]["estimate"] == icc.icc1[place]
        assert (row["icc_k"]["estimate"], row["icc_k"]["k"]) == (icc.icc_k[place], icc.raters_per_post[place])
        assert (row["human_crowd"], row["human_crowd_se"]) == (crowd.mae[place], crowd.standard_error[place])


def test_the_range_of_alpha_names_the_values_at_its_ends(measures):
    alphas = {row["value"]: row["ordinal"]["alpha"] for row in measures["by_value"]}
    span = measures["alpha_range"]
    assert span["lowest"] == {"value": min(alphas, key=alphas.get), "alpha": min(alphas.values())}
    assert span["highest"] == {"value": max(alphas, key=alphas.get), "alpha": max(alphas.values())}
    assert span["median"] == pytest.approx(np.median(list(alphas.values())))


def test_the_projection_names_its_terms_and_corrects_over_the_values(study, measures):
    projection = measures["projection"]
    assert (projection["source"], projection["covariates"]) == (
        "a questionnaire",
        ["own score", "age", "party"],
    )
    groups = {"party": [answer or None for answer in study.groups["party"]]}
    fits = value_projection(study.ratings, study.raters, study.own_scores, groups, study.numbers)
    for row, fit in zip(projection["by_value"], fits, strict=True):
        assert [term["kind"] for term in row["terms"]] == ["intercept", "own_value", "number", "group"]
        assert (row["n_ratings"], row["n_raters"]) == (fit.n_rows, 22)
        own = row["terms"][1]
        assert (own["name"], own["estimate"], own["p"]) == (
            "own score",
            fit.terms[1].estimate,
            fit.terms[1].p,
        )
        assert own["low"] < own["estimate"] < own["high"]
    p = sorted((row["terms"][1]["p"], row["terms"][1]["p_holm"]) for row in projection["by_value"])
    assert p[0][1] == pytest.approx(min(1, 5 * p[0][0]))
    assert all(adjusted >= raw for raw, adjusted in p)


def test_a_question_that_few_answered_is_left_out_of_the_projection_and_named(study):
    measures = describe_agreement(
        replace(study, numbers={"age": np.where(np.arange(24) < 3, 30.0, np.nan)}), seed=1
    )
    assert measures["projection"]["covariates"] == ["own score", "party"]
    assert {row["n_raters"] for row in measures["projection"]["by_value"]} == {22}
    assert "Not in the regressions: 'age' (answered by 3 of 24 raters)." in measures["notes"]


def test_screening_compares_posts_screened_in_and_out(study, measures):
    effect = screening_effect(study.ratings, study.posts, study.screening)
    for place, row in enumerate(measures["screening"]):
        assert row["difference"] == pytest.approx(effect.difference[place])
        assert (row["n_in"], row["n_out"]) == (effect.n_in[place], effect.n_out[place])
        assert row["in_mean"] - row["out_mean"] == pytest.approx(row["difference"])


def test_the_circle_has_a_place_and_a_row_of_correlations_for_each_value(measures):
    circle = measures["circumplex"]
    assert [point["value"] for point in circle["points"]] == [f"value_{place}" for place in range(5)]
    assert [point["theory_angle"] for point in circle["points"]] == [0, 72, 144, 216, 288]
    assert [len(row) for row in circle["correlations"]] == [5] * 5
    assert circle["n_compared"] + circle["n_no_direction"] == 144
    assert 0 < circle["same_direction"] < 1


def test_raters_who_see_one_value_only_point_the_same_way_or_the_opposite_one():
    ratings = [[6, 0, 0, 0], [3, 0, 0, 0], [1, 0, 0, 0], [0, 0, 5, 0], [0, 0, 0, 0]]
    circle = describe_agreement(make_study(ratings, range(5), [0, 0, 1, 1, 1]), seed=1)["circumplex"]
    assert (circle["same_direction"], circle["opposite_direction"]) == (0.5, 0.5)
    assert (circle["n_compared"], circle["n_no_direction"]) == (4, 1)


def test_a_scale_that_starts_above_zero_points_by_what_lies_above_its_start():
    ratings = np.array([[6, 0, 0, 0], [3, 0, 0, 0], [0, 0, 5, 0], [0, 0, 4, 0]])
    low, high = (
        describe_agreement(
            make_study(ratings + start, range(4), [0, 0, 1, 1], scale=(start, start + 6)), seed=1
        )
        for start in (-3, 1)
    )
    assert low["circumplex"]["same_direction"] == high["circumplex"]["same_direction"] == 1.0


def test_the_same_seed_says_the_same_and_another_one_changes_no_point_value(study, measures):
    again, other = describe_agreement(study, seed=7), describe_agreement(study, seed=8)
    assert without_seconds(again) == without_seconds(measures)
    assert other["human_human"]["rho"] == measures["human_human"]["rho"]
    assert other["human_human"]["interval"] != measures["human_human"]["interval"]


def assert_close(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_close(a, b)
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
    else:
        assert one == other


def test_the_order_of_rows_changes_drawn_groups_alone(study, measures):
    drawn = {"human_consensus_by_size", "planning", "seconds"}
    shuffled = describe_agreement(shuffle_rows(study), seed=7)
    assert_close(
        {key: each for key, each in shuffled.items() if key not in drawn},
        {key: each for key, each in measures.items() if key not in drawn},
    )


def test_progress_is_told_from_the_first_step_to_the_last(study):
    told = []
    describe_agreement(study, seed=7, report=lambda done, total, note: told.append((done, total, note)))
    assert [done for done, _, _ in told] == list(range(told[0][1] + 1))
    assert all(note for _, _, note in told)


def test_without_own_scores_and_screening_the_report_says_so(study):
    measures = describe_agreement(
        replace(study, own_scores=None, own_scores_source="", screening=None), seed=1
    )
    assert measures["projection"]["by_value"] == measures["screening"] == []
    assert measures["projection"]["reason"] == "the raters' own values are not known"


def tile(ratings, n_raters, n_posts):
    """Everyone rates every post, all with the ratings given."""
    raters, posts = (codes.ravel() for codes in np.indices((n_raters, n_posts)))
    return make_study(np.broadcast_to(ratings, (len(raters), len(ratings))).copy(), raters, posts)


def draw(n_raters, n_posts, n_values, *, scale=(0, 6), gaps=0.0):
    raters, posts = (codes.ravel() for codes in np.indices((n_raters, n_posts)))
    rng = np.random.default_rng(1)
    ratings = rng.integers(scale[0], scale[1] + 1, (len(raters), n_values)).astype(float)
    ratings[rng.random(ratings.shape) < gaps] = np.nan
    return make_study(ratings, raters, posts, scale=scale)


DEGENERATE = {
    "one rater": draw(1, 5, 4),
    "one post": draw(5, 1, 4),
    "one rater and one post": draw(1, 1, 4),
    "two raters of one post": draw(2, 1, 4),
    "one value": draw(4, 5, 1),
    "two values": draw(4, 5, 2),
    "one rater a post": make_study(np.arange(12).reshape(4, 3) % 7, range(4), range(4)),
    "nobody": make_study(np.zeros((0, 3)), [], []),
    "all zero": tile([0, 0, 0, 0], 4, 5),
    "everyone says the same of everything": tile([3, 1, 0, 6], 4, 5),
    "all constant vectors": tile([2, 2, 2, 2], 4, 5),
    "nothing shown": tile([math.nan] * 4, 4, 5),
    "one value never shown": tile([1, math.nan, 3, 0], 4, 5),
    "mostly gaps": draw(4, 5, 4, gaps=0.85),
    "three values from 0 to 100": draw(6, 8, 3, scale=(0, 100), gaps=0.1),
    "a scale too fine to count": draw(5, 6, 3, scale=(0, 1000)),
    "a scale of two": draw(5, 6, 3, scale=(0, 1)),
    "ratings between whole numbers": make_study(
        draw(4, 5, 4).ratings / 2, *(draw(4, 5, 4).__dict__[k] for k in ("raters", "posts"))
    ),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_what_does_not_exist_is_none_with_a_reason(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measures = describe_agreement(DEGENERATE[case], seed=1)
    assert measures.keys() == KEYS
    json.dumps(measures, allow_nan=False)
    assert len(measures["by_value"]) == len(measures["values"])
    for row in measures["by_value"]:
        for name, estimate in (
            ("ordinal", "alpha"), ("interval", "alpha"), ("nominal", "alpha"), ("percent_agreement", "estimate"),
            ("fleiss_kappa", "estimate"), ("gwet_ac2", "estimate"), ("icc_1", "estimate"), ("icc_k", "estimate"),
        ):  # fmt: skip
            assert (row[name][estimate] is None) == bool(row[name]["reason"]), name
    for part in ("circumplex", "planning"):
        missing = measures[part].get("stress", measures[part].get("curve")) in (None, [])
        assert missing == bool(measures[part]["reason"]), part
    if measures["human_human"]["rho"] is None:
        assert measures["human_human"]["interval"] == [None, None]
        assert measures["human_human"]["posts_undefined"] == measures["n_posts"]


@pytest.mark.parametrize("case", ["all zero", "all constant vectors", "nothing shown", "one rater", "nobody"])
def test_people_who_cannot_be_compared_have_no_agreement(case):
    measures = describe_agreement(DEGENERATE[case], seed=1)
    assert measures["human_human"]["rho"] is measures["human_consensus"]["rho"] is None
    assert measures["alpha_range"] == {"lowest": None, "highest": None, "median": None}


def test_a_fine_scale_has_no_shares_by_level():
    measures = describe_agreement(DEGENERATE["three values from 0 to 100"], seed=1)
    assert [row["shares"] for row in measures["by_value"]] == [[], [], []]
    assert measures["by_value"][0]["gwet_ac2"]["estimate"] is not None
    assert (
        "101 levels"
        in describe_agreement(DEGENERATE["a scale too fine to count"], seed=1)["by_value"][0]["fleiss_kappa"][
            "reason"
        ]
    )


def test_a_study_of_very_many_pairs_has_fewer_resamples_over_raters(monkeypatch):
    data = make_agreement()
    assert describe_agreement(data, seed=1)["human_human_over_raters"]["resamples"] == 1000
    monkeypatch.setattr("modeling.reports.people.MOST_PAIRS_VISITED", 100_000)
    over_raters = describe_agreement(data, seed=1)["human_human_over_raters"]
    assert 200 <= over_raters["resamples"] < 1000
    assert over_raters["raters"] == data.n_raters
