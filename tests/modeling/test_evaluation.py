"""The report beside figures computed pair by pair, in plain loops, with SciPy's rank correlation."""

import itertools
import json
import math
import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr

from modeling.evaluation import Evaluation

MEASURE = {"rho", "interval", "posts", "undefined", "compared"}
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
