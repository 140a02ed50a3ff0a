import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from statsmodels.stats.multitest import multipletests

from modeling.stats.perception import (
    OWN_SCORE,
    adjustment,
    gain_by_group,
    gain_regression,
    holm,
    personalization_gain,
    rank_correlation,
    screening_effect,
    value_projection,
)
from modeling.stats.regression import ols

NAN = float("nan")
DATA = Path(__file__).parents[2] / "data"
FROM_R = json.loads((DATA / "reference_statistics.json").read_text())["r"]


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def reference():
    """Ratings, raters, posts and what is known of raters and posts, as R had them."""
    with (DATA / "reference_ratings.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratings = np.array([[float(row[f"value_{v}"] or NAN) for v in range(1, 7)] for row in rows])
    raters = np.array([int(row["rater"]) for row in rows])
    posts = np.array([int(row["post"]) for row in rows])
    return rows, ratings, raters - raters.min(), posts - posts.min()


def rng(seed=0):
    return np.random.default_rng(seed)


def sparse_study(seed, n_values=3):
    """Each rater has posts of their own choice, some values are not shown."""
    random = rng(seed)
    raters = np.repeat(np.arange(12), random.integers(1, 7, 12))
    posts = np.concatenate([random.permutation(15)[:n] for n in np.bincount(raters)])
    ratings = random.integers(0, 7, (len(raters), n_values)).astype(float)
    ratings[random.random(ratings.shape) < 0.15] = NAN
    return ratings, raters, posts, random


def test_adjustment_by_hand():
    # Differences 1, 0.5 and 3, of which the last is on a post of its own.
    found = adjustment([[1, 0], [1, 0], [2, NAN]], [[2, 0], [1.5, NAN], [5, 1]], [0, 0, 1])
    assert_allclose(found.mean_difference, [1.5, 0])
    assert_allclose(found.standard_error, [np.sqrt(2 * (1.5**2 + 1.5**2)) / 3, NAN])
    assert_array_equal(found.n_rows, [3, 1])
    assert_array_equal(found.n_posts, [2, 1])
    assert found.reasons == ("", "")


@pytest.mark.parametrize("seed", range(10))
def test_adjustment_is_a_mean_with_errors_clustered_by_post(seed):
    ratings, _, posts, random = sparse_study(seed)
    other = random.random(ratings.shape)
    found = adjustment(ratings, other, posts)
    order = random.permutation(len(posts))
    shuffled = adjustment(other[order], ratings[order], posts[order])
    for value in range(ratings.shape[1]):
        differences = np.abs(ratings - other)[:, value]
        fit = ols(differences, np.empty((len(posts), 0)), [], clusters=posts)
        assert found.mean_difference[value] == pytest.approx(np.nanmean(differences), abs=1e-12)
        assert found.standard_error[value] == pytest.approx(fit.terms[0].standard_error, abs=1e-12)
        assert (found.n_rows[value], found.n_posts[value]) == (fit.n_rows, fit.n_clusters)
    assert_allclose(found.standard_error, shuffled.standard_error, rtol=1e-10)


def test_a_value_without_predictions_has_no_adjustment():
    found = adjustment([[1, NAN]], [[2, 1]], [0])
    assert_array_equal(found.mean_difference, [1, NAN])
    assert_array_equal(found.standard_error, [NAN, NAN])
    assert found.reasons == ("", "no row has both predictions of this value")


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_over_values_equals_scipy_on_those_that_have_both(seed):
    a, b = rng(seed).integers(0, 9, (2, 19)).astype(float)
    a[[1, 4]], b[[4, 7]] = NAN, NAN
    kept = [v for v in range(19) if v not in (1, 4, 7)]
    found = rank_correlation(a, b)
    assert found.rho == pytest.approx(stats.spearmanr(a[kept], b[kept]).statistic, abs=1e-12)
    assert (found.n_values, found.n_left_out, found.reason) == (16, 3, "")


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [([1, 2, NAN], [1, 2, 3], "2 value"), ([1, 2, 3], [5, 5, 5], "same for every value")],
    ids=["few", "constant"],
)
def test_rank_correlation_that_does_not_exist_says_why(a, b, reason):
    found = rank_correlation(a, b)
    assert np.isnan(found.rho)
    assert reason in found.reason


@pytest.mark.parametrize("seed", range(10))
def test_gain_equals_a_loop_over_raters_with_scipy(seed):
    ratings, raters, _, random = sparse_study(seed, n_values=5)
    personal, common = random.random((2, *ratings.shape)).round(1)
    ratings[3] = 2.0
    common[5] = 0.5
    found = personalization_gain(ratings, raters, personal, common, 13, rng=rng())
    expected = []
    for rater in range(13):
        gains = []
        for row in np.flatnonzero(raters == rater):
            shown = ~np.isnan(ratings[row])
            vectors = ratings[row, shown], personal[row, shown], common[row, shown]
            if shown.sum() > 1 and all(len(set(vector)) > 1 for vector in vectors):
                rhos = [stats.spearmanr(vectors[0], vector).statistic for vector in vectors[1:]]
                gains.append(rhos[0] - rhos[1])
        assert found.n_rows[rater] == len(gains)
        assert found.n_rows[rater] + found.n_rows_left_out[rater] == (raters == rater).sum()
        expected.append(np.mean(gains) if gains else NAN)
    assert_allclose(found.per_rater, expected, atol=1e-12)
    assert found.mean == pytest.approx(np.nanmean(expected), abs=1e-12)
    assert found.interval.n_units_left_out == np.isnan(expected).sum()
    assert found.interval.low <= found.mean <= found.interval.high


def test_gain_does_not_depend_on_the_order_of_rows():
    ratings, raters, _, random = sparse_study(3, n_values=5)
    personal, common = random.random((2, *ratings.shape))
    order = random.permutation(len(raters))
    before = personalization_gain(ratings, raters, personal, common, rng=rng())
    after = personalization_gain(ratings[order], raters[order], personal[order], common[order], rng=rng())
    assert_allclose(before.per_rater, after.per_rater, atol=1e-12)


def test_raters_who_mark_nothing_have_no_gain():
    found = personalization_gain([[0, 0, 0]], [0], [[1, 2, 3]], [[3, 2, 1]], rng=rng())
    assert np.isnan(found.mean)
    assert np.isnan(found.per_rater).all()
    assert_array_equal(found.n_rows_left_out, [1])
    assert found.reason == "no row has a rank correlation with both models"


def test_gain_by_group_speaks_of_no_group_below_the_least():
    gain = [0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.8, 0.7, 0.6, NAN, 1.0]
    labels = ["a"] * 5 + ["b"] * 5 + [None]
    found = gain_by_group(gain, labels, rng=rng())
    assert [group.label for group in found.groups] == ["a"]
    assert found.groups[0].n_raters == found.groups[0].interval.n_units == 5
    assert found.groups[0].mean == pytest.approx(0.3)
    assert (found.n_small, found.n_unlabelled, found.n_without_gain) == (4, 1, 1)


def test_groups_come_largest_first_and_account_for_everyone():
    labels = ["b"] * 6 + ["c"] * 7 + ["a"] * 6 + ["d"] * 2 + [None] * 3
    found = gain_by_group(np.arange(24.0), labels, rng=rng())
    assert [(group.label, group.n_raters) for group in found.groups] == [("c", 7), ("a", 6), ("b", 6)]
    assert sum(group.n_raters for group in found.groups) + found.n_small + found.n_unlabelled == 24


def test_gain_regression_is_ols_against_the_most_frequent_answer():
    random = rng(4)
    gain, age = random.normal(size=(2, 40))
    gain[0], age[1] = NAN, NAN
    party = ["left"] * 18 + ["right"] * 15 + ["green"] * 6 + [None]
    found = gain_regression(gain, {"party": party}, {"age": age})
    columns = np.column_stack([age, [p == "green" for p in party], [p == "right" for p in party]])
    expected = ols(gain[:39], columns[:39], ["age", "party: green (not left)", "party: right (not left)"])
    assert found.terms == expected.terms
    assert found.n_left_out == 3
    assert found.term("party: right (not left)").df == 37 - 4


def test_answers_of_few_raters_are_left_out_of_the_regression_also_where_they_become_few():
    # "x" has 5 raters, one of whom has the rare answer "z" to the other question and leaves with it.
    one = ["w"] * 10 + ["x"] * 5 + ["y"] * 10
    other = ["p"] * 12 + ["q"] * 12 + ["z"]
    other[14], other[24] = "z", "q"
    found = gain_regression(rng(0).normal(size=25), {"one": one, "other": other}, {})
    assert [term.name for term in found.terms[1:]] == ["one: y (not w)", "other: q (not p)"]
    assert (found.n_rows, found.n_left_out) == (20, 5)


def test_a_question_with_one_answer_has_no_term_costs_nobody_and_is_named():
    found = gain_regression(
        rng(0).normal(size=12), {"party": ["left"] * 7 + ["right"] * 3 + [None] * 2}, {"age": np.arange(12)}
    )
    assert [term.name for term in found.terms] == ["intercept", "age"]
    assert found.n_rows == 12
    assert found.reason == "left out, as fewer than two answers are given by enough raters: party"


def test_value_projection_of_sparse_ratings_equals_r(reference):
    rows, ratings, raters, _ = reference
    people = {int(r): row for r, row in zip(raters, rows, strict=True)}
    score, age = (
        np.array([float(people[r][key] or NAN) for r in sorted(people)]) for key in ("score", "age")
    )
    party = [people[r]["party"] or None for r in sorted(people)]
    own = np.repeat(score[:, np.newaxis], 6, axis=1)
    # R was asked for differences from "none"; from "left", the most frequent answer, they follow by subtraction.
    fits = value_projection(ratings, raters, own, {"party": party}, {"age": age}, least=2)
    for fit, expected in zip(fits, FROM_R["ols_clustered"], strict=True):
        intercept, own_score, years, left, right = expected["coefficients"]
        found = {term.name: term.estimate for term in fit.terms}
        assert found.pop(OWN_SCORE) == pytest.approx(own_score, abs=1e-10)
        assert found == {
            "intercept": pytest.approx(intercept + left, abs=1e-10),
            "age": pytest.approx(years, abs=1e-10),
            "party: none (not left)": pytest.approx(-left, abs=1e-10),
            "party: right (not left)": pytest.approx(right - left, abs=1e-10),
        }
        for place, name in enumerate([OWN_SCORE, "age"], start=1):
            assert fit.term(name).standard_error == pytest.approx(
                expected["standard_errors_cr1"][place], abs=1e-10
            )
            assert fit.term(name).p == pytest.approx(expected["p"][place], abs=1e-10)
        assert fit.term("party: none (not left)").p == pytest.approx(expected["p"][3], abs=1e-10)
        assert (fit.n_rows, fit.n_clusters) == (expected["n_rows"], expected["n_clusters"])


def test_value_projection_says_for_each_value_why_it_cannot_be():
    ratings, raters, _, random = sparse_study(1, n_values=4)
    ratings[:, 3] = 0.0
    own = random.random((12, 4))
    own[:, 1], own[:, 2] = NAN, 3.0
    fits = value_projection(ratings, raters, own, {}, {})
    assert [fit.reason for fit in fits] == [
        "",
        "no rater has a score of their own for this value",
        f"the same in every row, or a combination of the terms before it: '{OWN_SCORE}'",
        "the outcome is the same in every row",
    ]
    assert [np.isnan(fit.term(OWN_SCORE).estimate) for fit in fits] == [False, True, True, True]


def test_raters_without_a_score_are_left_out_of_the_projection_and_counted():
    ratings, raters, _, random = sparse_study(2)
    own = random.random((12, 3))
    own[4] = NAN
    fit = value_projection(ratings, raters, own, {}, {})[0]
    assert fit.n_left_out == ((raters == 4) | np.isnan(ratings[:, 0])).sum()


def test_one_reference_serves_all_values():
    # Value 1 is rated by too few of the largest party to compare with, value 0 by all.
    ratings = rng(0).integers(0, 7, (40, 2)).astype(float)
    party = ["a"] * 14 + ["b"] * 13 + ["c"] * 13
    ratings[:3, 1] = NAN
    fits = value_projection(ratings, np.arange(40), rng(1).random((40, 2)), {"party": party}, {})
    assert [term.name for term in fits[0].terms] == [term.name for term in fits[1].terms]


def test_welch_on_the_sleep_data_of_student_1908():
    # R's t.test(extra ~ group, data = sleep): t = -1.8608, df = 17.776, p = 0.07939, -3.3654832 to 0.2054832.
    extra = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    extra += [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = screening_effect(np.reshape(extra, (20, 1)), np.arange(20), [[5.0]] * 10 + [[3.9]] * 10)
    assert found.mean_in[0] == pytest.approx(0.75)
    assert found.mean_out[0] == pytest.approx(2.33)
    assert found.statistic[0] == pytest.approx(-1.8608, abs=5e-5)
    assert found.df[0] == pytest.approx(17.776, abs=5e-4)
    assert found.p[0] == pytest.approx(0.07939, abs=5e-6)
    assert_allclose([found.low[0], found.high[0]], [-3.3654832, 0.2054832], atol=5e-8)


def test_screening_over_posts_equals_r(reference):
    rows, ratings, _, posts = reference
    screened = np.full((posts.max() + 1, 6), NAN)
    for post, row in zip(posts, rows, strict=True):
        screened[post] = 6 * int(row["screened"])
    found = screening_effect(ratings, posts, screened)
    theirs = [expected["over_posts"] for expected in FROM_R["welch"]]
    for ours, key in [
        *(
            (key, key)
            for key in ("mean_in", "mean_out", "difference", "low", "high", "df", "p", "n_in", "n_out")
        ),
        ("statistic", "t"),
    ]:
        assert_allclose(getattr(found, ours), [one[key] for one in theirs], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_screening_of_sparse_ratings_equals_scipy(seed):
    ratings, _, posts, random = sparse_study(seed)
    screening = random.integers(0, 7, (15, 3)).astype(float)
    screening[2] = NAN
    found = screening_effect(ratings, posts, screening, ci_level=0.9)
    for value in range(3):
        sides = {True: [], False: []}
        for post in range(15):
            given_ = ratings[(posts == post) & ~np.isnan(ratings[:, value]), value]
            if len(given_) and screening[post, value] == screening[post, value]:
                sides[bool(screening[post, value] >= 4)].append(given_.mean())
        test = stats.ttest_ind(sides[True], sides[False], equal_var=False)
        interval = test.confidence_interval(0.9)
        expected = [test.statistic, test.pvalue, test.df, interval.low, interval.high]
        ours = [getattr(found, name)[value] for name in ("statistic", "p", "df", "low", "high")]
        assert_allclose(ours, expected, rtol=1e-9)
        assert (found.n_in[value], found.n_out[value]) == (len(sides[True]), len(sides[False]))
        assert found.n_left_out[value] == 15 - len(sides[True]) - len(sides[False])


def test_screening_without_two_posts_or_variance_on_a_side_is_undefined_with_the_means_it_has():
    ratings = [[1, 2, 5], [2, 2, 5], [3, 4, 5]]
    screening = [[6, 0, 1], [6, 0, 2], [0, 6, 3]]
    found = screening_effect([*ratings, [3, 4, 5]], [0, 1, 2, 3], [*screening, [NAN, 6, NAN]])
    assert np.isnan([found.p, found.statistic, found.df, found.low]).all()
    assert_array_equal(found.difference, [-1.5, 2, NAN])
    assert found.reasons == (
        "2 post(s) screened in and 1 out: the test needs two of each",
        "all posts of one side have the same mean rating, and so have all of the other",
        "0 post(s) screened in and 3 out: the test needs two of each",
    )
    assert_array_equal(found.n_left_out, [1, 0, 1])


@pytest.mark.parametrize("seed", range(20))
def test_holm_equals_statsmodels_on_the_tests_there_are(seed):
    p_values = rng(seed).random(19).round(1 + seed % 3) ** 3
    p_values[rng(seed).random(19) < 0.2] = NAN
    found, tested = holm(p_values), ~np.isnan(p_values)
    assert_allclose(found[tested], multipletests(p_values[tested], method="holm")[1], atol=1e-15)
    assert_array_equal(np.isnan(found), ~tested)


def test_holm_by_hand():
    assert_allclose(holm([0.5, 0.01, NAN, 0.02, 0.6]), [1.0, 0.04, NAN, 0.06, 1.0])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adjustment([[1]], [[1], [2]], [0, 1]), "consensus has shape"),
        (lambda: rank_correlation([1, 2], [1]), "per_value has shape"),
        (lambda: personalization_gain([[1, 2]], [0], [[1]], [[1, 2]], rng=rng()), "personalized has shape"),
        (lambda: personalization_gain([[1, 2]], [3], [[1, 2]], [[1, 2]], 2, rng=rng()), r"raters\[0\] is 3"),
        (lambda: gain_by_group([[1.0]], ["a"], rng=rng()), "gain has 2 dimension"),
        (lambda: gain_by_group([1.0], [], rng=rng()), "labels has 0"),
        (lambda: gain_by_group([1.0], ["a"], rng=rng(), least=0), "least is 0"),
        (lambda: gain_regression([1.0], {"party": ["a", "b"]}, {}), r"groups\['party'\] has 2"),
        (lambda: gain_regression([1.0], {}, {"age": [1, 2]}), r"numbers\['age'\] has shape"),
        (lambda: value_projection([[1, 2]], [0], [[1]], {}, {}), "own_scores has 1 value"),
        (lambda: value_projection([[1]], [1], [[1]], {}, {}), r"raters\[0\] is 1"),
        (lambda: screening_effect([[1]], [0], [[1, 2]]), "screening has 2 value"),
        (lambda: screening_effect([[1]], [0], [[1]], ci_level=1), "ci_level is 1"),
        (lambda: holm([1.5]), "outside 0 to 1"),
    ],
    ids=range(14),
)
def test_input_that_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
