"""The report beside figures computed pair by pair, in plain loops, with SciPy's rank correlation."""

import itertools
import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from modeling.reports.evaluation import (
    COULD_SEE,
    CROWD_NOTE,
    Evaluation,
    describe_evaluation,
    list_could_see,
)
from tests.modeling.reports.made_up import make_evaluation, make_personal, make_study

MEASURE = {"rho", "interval", "posts", "posts_undefined", "undefined", "compared"}
PEOPLE = {"human_human", "human_consensus", "human_consensus_by_size"}
KEYS = ("a", "b", "c", "d", "e")
N_POSTS = 9


def rho_of(one, other):
    """Spearman's rho over what both have, or None where a vector is constant."""
    both = [(x, y) for x, y in zip(one, other, strict=True) if not (math.isnan(x) or math.isnan(y))]
    if len({x for x, _ in both}) < 2 or len({y for _, y in both}) < 2:
        return None
    return spearmanr(*zip(*both, strict=True)).statistic


def mean(numbers):
    numbers = [number for number in numbers if number is not None and not math.isnan(number)]
    return sum(numbers) / len(numbers) if numbers else math.nan


def half_up(number):
    return math.nan if math.isnan(number) else math.floor(number + 0.5)


class Naive:
    """Every measure as docs define it, one comparison at a time."""

    def __init__(self, ratings, posts):
        self.groups = {
            post: [list(ratings[i]) for i in np.flatnonzero(posts == post)] for post in sorted(set(posts))
        }

    def crowd_of(self, vectors):
        return [mean(column) for column in zip(*vectors, strict=True)]

    def human_human(self):
        return {
            post: [rho_of(one, other) for one, other in itertools.combinations(vectors, 2)]
            for post, vectors in self.groups.items()
        }

    def human_consensus(self):
        return {
            post: [
                rho_of(one, [half_up(x) for x in self.crowd_of(vectors[:i] + vectors[i + 1 :])])
                if len(vectors) > 1
                else None
                for i, one in enumerate(vectors)
            ]
            for post, vectors in self.groups.items()
        }

    def human_crowd(self, value):
        errors = []
        for vectors in self.groups.values():
            column = [vector[value] for vector in vectors if not math.isnan(vector[value])]
            if len(column) > 1:
                errors.append(
                    mean([abs(x - mean(column[:i] + column[i + 1 :])) for i, x in enumerate(column)])
                )
        return errors

    def model_crowd(self, value, model):
        errors = [
            abs(model[post][value] - half_up(self.crowd_of(vectors)[value]))
            for post, vectors in self.groups.items()
        ]
        return [error for error in errors if not math.isnan(error)]


def assert_measure(described, rhos):
    """`rhos`: the rho, or None, of each comparison of each post."""
    by_post = [mean(each) for each in rhos.values()]
    flat = [rho for each in rhos.values() for rho in each]
    assert described["rho"] == pytest.approx(mean(by_post), abs=1e-12)
    assert described["posts"] == sum(not math.isnan(number) for number in by_post)
    assert described["undefined"] == sum(rho is None for rho in flat)
    assert described["compared"] == len(flat)
    low, high = described["interval"]
    assert low < described["rho"] < high


def assert_error(rows, name, errors):
    se = float(np.std(errors, ddof=1)) / math.sqrt(len(errors))
    assert rows[name] == pytest.approx(mean(errors), abs=1e-12)
    assert rows[f"{name}_se"] == pytest.approx(se, abs=1e-12)


@pytest.fixture(scope="module", params=[False, True], ids=["complete", "with values not shown"])
def study(request):
    """Ratings of unequally many raters a post, one constant vector, one post with a single rater, and predictions."""
    rng = np.random.default_rng(8)
    posts = np.repeat(np.arange(N_POSTS), [5, 3, 4, 6, 2, 5, 1, 3, 4])
    rng.shuffle(posts)
    ratings = np.clip(
        rng.normal(3, 2, (N_POSTS, 5))[posts] + rng.normal(0, 1.5, (len(posts), 5)), 0, 6
    ).round()
    ratings[3] = 2
    if request.param:
        ratings[rng.random(ratings.shape) < 0.15] = np.nan
    test_rows = np.flatnonzero(np.isin(posts, [0, 3, 5, 6, 7, 8]))
    model = np.clip(rng.normal(3, 1.5, (N_POSTS, 5)), 0, 6)
    predictions = {
        "text": model[posts[test_rows]],
        "personalized": np.nan_to_num(ratings[test_rows], nan=3) + rng.normal(0, 2, (len(test_rows), 5)),
    }
    return ratings, posts, test_rows, model, predictions


@pytest.fixture(scope="module")
def evaluation(study):
    ratings, posts, *_ = study
    return Evaluation(ratings, posts, N_POSTS, KEYS, seed=7)


@pytest.mark.parametrize("held_out", [False, True])
def test_people_agree_as_plain_loops_say(study, evaluation, held_out):
    ratings, posts, test_rows, *_ = study
    people = evaluation.describe_people(test_rows if held_out else None)
    naive = Naive(ratings[test_rows], posts[test_rows]) if held_out else Naive(ratings, posts)
    assert people.keys() == PEOPLE
    assert people["human_human"].keys() == people["human_consensus"].keys() == MEASURE
    assert_measure(people["human_human"], naive.human_human())
    assert_measure(people["human_consensus"], naive.human_consensus())


def test_a_group_of_all_others_is_the_consensus_and_a_group_of_one_is_another_person(study):
    ratings, posts, *_ = study
    kept = np.flatnonzero(np.isin(posts, [1, 7]))  # three raters each
    evaluation = Evaluation(ratings, posts, N_POSTS, KEYS, seed=7)
    people = evaluation.describe_people(kept)
    one, two = people["human_consensus_by_size"]
    assert (one["size"], two["size"]) == (1, 2)
    assert one.keys() == two.keys() == MEASURE | {"size"}
    assert two["rho"] == pytest.approx(people["human_consensus"]["rho"], abs=1e-12)
    assert one["rho"] == pytest.approx(people["human_human"]["rho"], abs=0.1)
    assert one["compared"] == 10 * 6


def test_a_size_that_no_post_has_raters_for_is_not_listed(evaluation):
    sizes = [entry["size"] for entry in evaluation.describe_people()["human_consensus_by_size"]]
    assert sizes == [1, 2, 3, 4, 5]
    assert [entry["posts"] for entry in evaluation.describe_people()["human_consensus_by_size"]][-1] == 1


def test_models_agree_with_people_as_plain_loops_say(study, evaluation):
    ratings, posts, test_rows, _, predictions = study
    described = evaluation.describe_predictions(test_rows, predictions)
    assert described.keys() == {"models", "personalized", "differences"}
    assert described["models"].keys() == {"text"}
    by_name = {**described["models"], "personalized": described["personalized"]}
    per_post = {}
    for name, predicted in predictions.items():
        rhos, errors = {}, {}
        for row, vector in zip(test_rows, predicted, strict=True):
            rhos.setdefault(posts[row], []).append(rho_of(ratings[row], vector))
            errors.setdefault(posts[row], []).extend(np.abs(ratings[row] - vector))
        assert by_name[name].keys() == MEASURE | {"mae"}
        assert_measure(by_name[name], rhos)
        expected = mean([mean(each) for each in errors.values()])
        assert by_name[name]["mae"]["mae"] == pytest.approx(expected, abs=1e-12)
        low, high = by_name[name]["mae"]["interval"]
        assert low < expected < high
        per_post[name] = {post: mean(each) for post, each in rhos.items()}
    naive = Naive(ratings[test_rows], posts[test_rows]).human_human()
    per_post["human_human"] = {post: mean(each) for post, each in naive.items()}
    assert [(row["of"], row["from"]) for row in described["differences"]] == [
        ("text", "human_human"),
        ("personalized", "human_human"),
        ("personalized", "text"),
    ]
    for row in described["differences"]:
        of, other = per_post[row["of"]], per_post[row["from"]]
        paired = [of[post] - other[post] for post in of if not math.isnan(of[post] - other[post])]
        assert row["rho"] == pytest.approx(mean(paired), abs=1e-12)
        assert row["posts"] == len(paired)
        assert row["interval"][0] < row["rho"] < row["interval"][1]


def test_distances_from_the_crowd_are_as_plain_loops_say(study, evaluation):
    ratings, posts, test_rows, model, _ = study
    naive = Naive(ratings[test_rows], posts[test_rows])
    described = evaluation.describe_crowd_errors(test_rows, model)
    assert described.keys() == {"mae_by_value", "mae_overall"}
    assert [row["value"] for row in described["mae_by_value"]] == list(KEYS)
    for value, row in enumerate(described["mae_by_value"]):
        assert row.keys() == {
            "value", "human_crowd", "human_crowd_se", "model_crowd", "model_crowd_se", "posts"
        }  # fmt: skip
        human = naive.human_crowd(value)
        assert row["posts"] == len(human)
        assert_error(row, "human_crowd", human)
        assert_error(row, "model_crowd", naive.model_crowd(value, model))


def test_without_a_model_of_the_crowd_its_distance_is_none_and_peoples_remains(study, evaluation):
    described = evaluation.describe_crowd_errors(study[2], None)
    for row in [*described["mae_by_value"], described["mae_overall"]]:
        assert row["model_crowd"] is row["model_crowd_se"] is None
        assert row["human_crowd"] > 0


def test_the_seed_alone_decides_intervals_and_draws(study):
    ratings, posts, test_rows, _, predictions = study

    def describe(seed):
        evaluation = Evaluation(ratings, posts, N_POSTS, KEYS, seed=seed)
        return evaluation.describe_people() | evaluation.describe_predictions(test_rows, predictions)

    one, again, other = describe(1), describe(1), describe(2)
    assert one == again
    assert one["human_human"]["rho"] == other["human_human"]["rho"]
    assert one["human_human"]["interval"] != other["human_human"]["interval"]


def describe_all(ratings, posts, keys, test_rows, model):
    evaluation = Evaluation(ratings, posts, int(posts.max()) + 1, keys, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return (
            evaluation.describe_people()
            | evaluation.describe_predictions(test_rows, {"text": model[posts[test_rows]]})
            | evaluation.describe_crowd_errors(test_rows, model)
        )


@pytest.mark.parametrize("case", ["one value", "constant", "nothing shown", "one rater each"])
def test_what_does_not_exist_is_none_with_its_count_and_strict_json(case):
    rng = np.random.default_rng(0)
    posts = np.arange(6) if case == "one rater each" else np.repeat(np.arange(3), 3)
    ratings = rng.integers(0, 7, (len(posts), 1 if case == "one value" else 3)).astype(float)
    if case == "constant":
        ratings[:] = 4
    elif case == "nothing shown":
        ratings[:, :] = np.nan
    model = rng.uniform(0, 6, (int(posts.max()) + 1, ratings.shape[1]))
    described = describe_all(ratings, posts, KEYS[: ratings.shape[1]], np.arange(len(posts)), model)
    json.dumps(described, allow_nan=False)
    people = described["human_human"]
    assert (people["rho"], people["interval"], people["posts"]) == (None, [None, None], 0)
    assert people["undefined"] == people["compared"] == (0 if case == "one rater each" else 9)
    assert described["personalized"] is None
    if case == "one value":
        assert described["mae_by_value"][0]["human_crowd"] is not None
        assert described["models"]["text"]["mae"]["mae"] is not None


# --- the whole report


KEYS_OF_THE_WHOLE = PEOPLE | {
    "schema", "n_raters", "n_posts", "n_annotations", "n_ratings", "n_values", "scale", "values", "models",
    "personalized", "differences", "holdout", "mae_by_value", "mae_overall", "correlation_by_value", "importance",
    "adjustment", "gain", "best", "controls", "cold_start", "rater_differences", "verdict", "curves", "coverage",
    "weights", "method", "consensus", "could_see", "notes", "seed", "n_resamples", "ci_level", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    data = make_evaluation()
    ratings = data.ratings.copy()
    ratings[np.random.default_rng(6).random(ratings.shape) < 0.1] = np.nan
    data = replace(data, ratings=ratings)
    return data, describe_evaluation(data, seed=7)


def test_the_whole_has_every_key_and_is_strict_json(whole):
    _, measures = whole
    assert measures.keys() == KEYS_OF_THE_WHOLE
    assert json.loads(json.dumps(measures, allow_nan=False)) == measures


def test_the_whole_repeats_what_its_parts_say(whole):
    data, measures = whole
    parts = Evaluation(data.ratings, data.posts, data.n_posts, data.keys, seed=7)
    expected = (
        parts.describe_people()
        | parts.describe_predictions(data.test_rows, data.predictions)
        | parts.describe_crowd_errors(data.test_rows, data.consensus_scores)
    )
    assert {key: measures[key] for key in expected} == expected
    assert measures["holdout"] == parts.describe_people(data.test_rows) | {"n_posts": 7}
    assert measures["holdout"]["human_human"]["posts_undefined"] == 0  # posts not held out are not left out


def test_each_value_has_a_correlation_with_each_model(whole):
    data, measures = whole
    for place, row in enumerate(measures["correlation_by_value"]):
        assert row["value"] == f"value_{place}"
        for name, predicted in data.predictions.items():
            given = data.ratings[data.test_rows, place]
            shown = ~np.isnan(given)
            found = row["models"][name]
            assert found["rho"] == pytest.approx(spearmanr(given[shown], predicted[shown, place]).statistic)
            assert (found["rows"], found["posts"], found["reason"]) == (shown.sum(), 7, "")
            assert found["interval"][0] < found["rho"] < found["interval"][1]


def test_importances_are_shares_of_each_value(whole):
    data, measures = whole
    importance = measures["importance"]
    assert importance["features"] == list(data.feature_names)
    for row, weights in zip(importance["rows"], data.importances, strict=True):
        assert row["shares"] == pytest.approx(weights / weights.sum())


@pytest.mark.parametrize("importances", [None, np.zeros((5, 4))], ids=["not kept", "all zero"])
def test_importances_that_say_nothing_have_a_reason(whole, importances):
    names = () if importances is None else whole[0].feature_names
    measures = describe_evaluation(replace(whole[0], importances=importances, feature_names=names), seed=7)
    assert measures["importance"]["reason"]
    assert not any(share for row in measures["importance"]["rows"] for share in row["shares"])


def test_the_adjustment_is_the_mean_distance_between_the_two_models(whole):
    data, measures = whole
    distances = np.abs(data.predictions["text"] - data.predictions["personalized"])
    found = measures["adjustment"]
    assert [row["delta"] for row in found["by_value"]] == pytest.approx(distances.mean(axis=0))
    assert {row["rows"] for row in found["by_value"]} == {len(data.test_rows)}
    crowd = [row["human_crowd"] for row in measures["mae_by_value"]]
    assert found["rank_correlation_with_human_crowd"] == pytest.approx(
        spearmanr(distances.mean(axis=0), crowd).statistic
    )


def test_the_best_is_the_model_with_the_highest_rho(whole):
    _, measures = whole
    assert measures["personalized"]["rho"] > measures["models"]["text"]["rho"]
    assert measures["best"] == {
        "name": "personalized",
        "rho": measures["personalized"]["rho"],
        "interval": measures["personalized"]["interval"],
    }


def test_a_consensus_of_the_crowd_has_no_distance_from_it_and_a_note_says_so(whole):
    measures = describe_evaluation(replace(whole[0], consensus_scores=None), seed=7)
    assert measures["mae_overall"]["model_crowd"] is None
    assert CROWD_NOTE in measures["notes"]
    assert CROWD_NOTE not in whole[1]["notes"]


def test_the_seed_decides_the_whole(whole):
    data, measures = whole
    told = []
    again = describe_evaluation(data, seed=7, report=lambda done, total, note: told.append((done, total)))
    assert again | {"seconds": 0} == measures | {"seconds": 0}
    assert told == [(done, told[0][1]) for done in range(told[0][1] + 1)]


def test_shuffled_raters_are_never_called_the_best():
    data = make_personal(leak=1.0)
    measures = describe_evaluation(data, seed=1)
    assert measures["models"]["permuted"]["rho"] > measures["personalized"]["rho"]
    assert measures["best"]["name"] != "permuted"


def test_what_the_model_could_see_is_what_the_fit_marked_so():
    measures = describe_evaluation(make_personal(), seed=1)
    assert measures["could_see"] == ["ratings of 30 posts and the answers."]
    of_new = "What the models of new raters could see: of 20 raters set apart, the answers."
    assert list_could_see(["A note.", COULD_SEE + "Ratings.", of_new]) == ["Ratings.", of_new]
    assert list_could_see(["A note.", "Another one."]) == ["A note.", "Another one."]


def test_weights_are_those_of_the_fit_and_missing_ones_have_a_reason():
    data = make_personal()
    weights = describe_evaluation(data, seed=1)["weights"]
    assert weights == {
        "reason": "",
        "members": ["text", "forest", "boosting", "mixed"],
        "known": [0.1, 0.2, 0.3, 0.4],
        "new": [0.5, 0.0, 0.0, 0.5],
    }
    none = describe_evaluation(replace(data, weights={}, member_names=()), seed=1)["weights"]
    assert none["reason"]
    assert (none["members"], none["known"], none["new"]) == ([], None, None)


def few(ratings, raters, posts):
    return make_evaluation(make_study(ratings, raters, posts))


def everyone(n_raters, n_posts, n_values):
    raters, posts = (codes.ravel() for codes in np.indices((n_raters, n_posts)))
    return few(np.random.default_rng(1).integers(0, 7, (len(raters), n_values)), raters, posts)


DEGENERATE = {
    "one rater": everyone(1, 6, 4),
    "one post": everyone(5, 1, 4),
    "one value": everyone(4, 6, 1),
    "all zero": few(np.zeros((12, 3)), np.repeat(range(3), 4), np.tile(range(4), 3)),
    "nothing shown": few(np.full((12, 3), np.nan), np.repeat(range(3), 4), np.tile(range(4), 3)),
    "no model": replace(everyone(4, 6, 4), predictions={}),
    "no prediction": replace(
        everyone(4, 6, 4),
        predictions={name: np.full((12, 4), np.nan) for name in ("text", "personalized")},
        consensus_scores=None,
    ),
    "constant predictions": replace(
        everyone(4, 6, 4), predictions={name: np.ones((12, 4)) for name in ("text", "personalized")}
    ),
    "nothing held out": replace(
        everyone(4, 6, 4),
        test_rows=np.array([], dtype=np.intp),
        predictions={name: np.zeros((0, 4)) for name in ("text", "personalized")},
    ),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_of_a_degenerate_study_the_whole_is_none_where_nothing_exists(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measures = describe_evaluation(DEGENERATE[case], seed=1)
    assert measures.keys() == KEYS_OF_THE_WHOLE
    json.dumps(measures, allow_nan=False)
    for row in measures["correlation_by_value"]:
        for found in row["models"].values():
            assert (found["rho"] is None) == bool(found["reason"])
    assert (measures["gain"]["mean"] is None) == bool(measures["gain"]["reason"])
    if case in (
        "one value",
        "all zero",
        "nothing shown",
        "no model",
        "no prediction",
        "constant predictions",
    ):
        assert measures["best"] == {"name": None, "rho": None, "interval": [None, None]}
