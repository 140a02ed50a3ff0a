import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

from modeling.stats.regression import INTERCEPT, dummies, most_frequent, ols

NAN = float("nan")
DATA = Path(__file__).parents[2] / "data"
FROM_R = json.loads((DATA / "reference_statistics.json").read_text())["r"]


def read_reference_rows():
    with (DATA / "reference_ratings.csv").open() as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name]) if row[name] else NAN for row in rows])


def numbers_of(fit, *attributes):
    return [[getattr(term, attribute) for term in fit.terms] for attribute in attributes]


def sparse_rows(seed):
    """Ratings in which no two raters share all posts: unequal numbers of rows, some of them missing."""
    rng = np.random.default_rng(seed)
    n, n_clusters = int(rng.integers(40, 120)), int(rng.integers(8, 20))
    clusters = np.concatenate([np.arange(n_clusters), rng.integers(n_clusters, size=n - n_clusters)])
    x = rng.normal(size=(n, 3)) * [1, 10, 0.5] + [0, 40, 1]
    y = x @ [0.3, 0.02, -2] + rng.normal(size=n_clusters)[clusters] + rng.normal(size=n)
    y[rng.random(n) < 0.1] = NAN
    x[rng.random((n, 3)) < 0.03] = NAN
    return y, x, clusters


def test_longley_data_give_the_figures_certified_by_nist():
    # NIST Statistical Reference Datasets, Longley: estimates, standard errors, R squared.
    data = sm.datasets.longley.load_pandas()
    fit = ols(data.endog.to_numpy(), data.exog.to_numpy(), list(data.exog.columns))
    estimates = [
        *(-3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683),
        *(-1.03322686717359, -0.511041056535807e-01, 1829.15146461355),
    ]
    errors = [
        *(890420.383607373, 84.9149257747669, 0.334910077722432e-01, 0.488399681651699),
        *(0.214274163161675, 0.226073200069370, 455.478499142212),
    ]
    found, found_errors = numbers_of(fit, "estimate", "standard_error")
    assert_allclose(found, estimates, rtol=1e-8)
    assert_allclose(found_errors, errors, rtol=1e-8)
    assert fit.r_squared == pytest.approx(0.995479004577296, rel=1e-10)
    assert (fit.n_rows, fit.n_clusters, fit.n_left_out, fit.reason) == (16, None, 0, "")


@pytest.mark.parametrize("value", range(6))
def test_clustered_fit_of_sparse_ratings_equals_r(value):
    rows, expected = read_reference_rows(), FROM_R["ols_clustered"][value]
    party, names = dummies([row["party"] for row in rows], reference="none")
    design = np.column_stack([column(rows, "score"), column(rows, "age"), party])
    raters = [int(row["rater"]) for row in rows]
    fit = ols(column(rows, f"value_{value + 1}"), design, ["score", "age", *names], clusters=raters)
    found = numbers_of(fit, "estimate", "standard_error", "statistic", "p", "low", "high")
    keys = ["coefficients", "standard_errors_cr1", "t", "p", "low", "high"]
    assert names == ("left", "right")
    assert_allclose(found, [expected[key] for key in keys], rtol=1e-9, atol=1e-11)
    assert fit.r_squared == pytest.approx(expected["r_squared"], abs=1e-12)
    assert (fit.n_rows, fit.n_clusters) == (expected["n_rows"], expected["n_clusters"])
    assert fit.n_left_out == len(rows) - fit.n_rows


@pytest.mark.parametrize("value", range(6))
def test_classical_fit_over_raters_equals_r(value):
    rows, expected = read_reference_rows(), FROM_R["ols"][value]
    people = {row["rater"]: row for row in rows}
    ratings, raters = column(rows, f"value_{value + 1}"), np.array([row["rater"] for row in rows])
    means = [np.nanmean(ratings[raters == rater]) for rater in people]
    party, names = dummies([row["party"] for row in people.values()], reference="none")
    design = np.column_stack([column(people.values(), "age"), party])
    fit = ols(means, design, ["age", *names])
    found = numbers_of(fit, "estimate", "standard_error", "statistic", "p", "low", "high")
    keys = ["coefficients", "standard_errors", "t", "p", "low", "high"]
    assert_allclose(found, [expected[key] for key in keys], rtol=1e-9, atol=1e-11)
    assert {term.df for term in fit.terms} == {expected["df"]}
    assert fit.r_squared == pytest.approx(expected["r_squared"], abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("clustered", [False, True])
def test_random_sparse_rows_give_what_statsmodels_gives(seed, clustered):
    y, x, clusters = sparse_rows(seed)
    fit = ols(y, x, ["a", "b", "c"], clusters=clusters if clustered else None, ci_level=0.9)
    kept = ~np.isnan(y) & ~np.isnan(x).any(axis=1)
    model = sm.OLS(y[kept], sm.add_constant(x[kept]))
    theirs = (
        model.fit(cov_type="cluster", cov_kwds={"groups": clusters[kept]}, use_t=True)
        if clustered
        else model.fit()
    )
    found = np.array(numbers_of(fit, "estimate", "standard_error", "statistic", "p", "low", "high"))
    expected = [theirs.params, theirs.bse, theirs.tvalues, theirs.pvalues, *theirs.conf_int(0.1).T]
    assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    assert fit.r_squared == pytest.approx(theirs.rsquared, abs=1e-10)
    assert fit.n_left_out == (~kept).sum()
    assert fit.n_clusters == (len(np.unique(clusters[kept])) if clustered else None)


def test_order_of_rows_and_names_of_clusters_do_not_matter():
    y, x, clusters = sparse_rows(99)
    order = np.random.default_rng(0).permutation(len(y))
    before = ols(y, x, ["a", "b", "c"], clusters=clusters)
    renamed = np.array([f"rater {100 - c}" for c in clusters])
    after = ols(y[order], x[order], ["a", "b", "c"], clusters=renamed[order])
    attributes = ("estimate", "standard_error", "p")
    assert_allclose(numbers_of(before, *attributes), numbers_of(after, *attributes), rtol=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_means_of_rows_with_one_design_give_the_fit_of_all_rows(clustered):
    random = np.random.default_rng(8)
    raters = np.repeat(np.arange(15), random.integers(1, 9, 15))
    own, y = random.normal(size=(15, 2)), random.integers(0, 7, len(raters)).astype(float)
    n_each = np.bincount(raters)
    means = np.bincount(raters, y) / n_each
    own[3, 0] = NAN
    own, means, n_each = np.vstack([own, own[:1]]), np.append(means, 4.0), np.append(n_each, 0)
    of_all = ols(y, own[raters], ["a", "b"], clusters=raters if clustered else None)
    of_means = ols(
        means,
        own,
        ["a", "b"],
        clusters=np.arange(16) if clustered else None,
        counts=n_each,
        squares=np.bincount(raters, (y - means[raters]) ** 2, 16),
    )
    attributes = ("estimate", "standard_error", "statistic", "df", "p", "low", "high")
    assert_allclose(numbers_of(of_means, *attributes), numbers_of(of_all, *attributes), rtol=1e-10)
    assert of_means.r_squared == pytest.approx(of_all.r_squared, abs=1e-12)
    assert (of_means.n_rows, of_means.n_left_out) == (of_all.n_rows, of_all.n_left_out)
    assert of_means.n_clusters == of_all.n_clusters


def test_fewer_designs_than_terms_are_redundant_however_many_rows_they_stand_for():
    fit = ols([1, 2], [[0, 1], [1, 3]], ["a", "b"], counts=[50, 50], squares=[3, 4])
    assert fit.reason.endswith(": 'b'")


def test_a_cluster_for_each_row_gives_hc1_errors():
    y, x, _ = sparse_rows(5)
    kept = ~np.isnan(y) & ~np.isnan(x).any(axis=1)
    fit = ols(y, x, ["a", "b", "c"], clusters=np.arange(len(y)))
    theirs = sm.OLS(y[kept], sm.add_constant(x[kept])).fit(cov_type="HC1")
    assert_allclose(numbers_of(fit, "standard_error")[0], theirs.bse, rtol=1e-9)


def test_no_column_leaves_the_mean_with_its_standard_error():
    fit = ols([1, 2, 6], np.empty((3, 0)), [])
    assert [term.name for term in fit.terms] == [INTERCEPT]
    assert fit.terms[0].estimate == pytest.approx(3)
    assert fit.terms[0].standard_error == pytest.approx(np.sqrt(7 / 3))
    assert fit.r_squared == pytest.approx(0)


@pytest.mark.parametrize(
    ("outcome", "design", "clusters", "reason"),
    [
        ([1, 2], [[0], [1]], None, r"2 complete row\(s\) for 2 term"),
        ([1, NAN, 2, 4], [[0], [1], [NAN], [2]], None, r"2 complete row\(s\) for 2 term"),
        ([1, 2, 4, 3], [[0], [1], [5], [2]], [0, 0, 1, 1], r"2 cluster\(s\) for 2 term"),
        ([2, 2, 2, 2], [[0], [1], [5], [2]], None, "outcome is the same"),
        ([0, 2, 4, 6], [[0], [1], [2], [3]], None, "every outcome exactly"),
        ([1, 2, 4, 3], [[7], [7], [7], [7]], None, "combination of the terms before it: 'x0'"),
        ([], np.empty((0, 1)), None, "0 complete row"),
    ],
    ids=["few_rows", "few_complete", "few_clusters", "constant", "exact", "constant_column", "empty"],
)
def test_what_cannot_be_fitted_is_nan_with_the_reason(outcome, design, clusters, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = ols(outcome, design, ["x0"], clusters=clusters)
    assert np.isnan(numbers_of(fit, "estimate", "standard_error", "p", "low")).all()
    assert np.isnan(fit.r_squared)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(fit.reason)


def test_all_redundant_columns_are_named():
    x = np.random.default_rng(0).normal(size=(20, 2))
    design = np.column_stack([x, x[:, 0] - 3 * x[:, 1], np.ones(20), x[:, 0] ** 2])
    fit = ols(x[:, 0] + x[:, 1] ** 2, design, ["a", "b", "both", "one", "square"])
    assert fit.reason.endswith(": 'both', 'one'")


def test_a_term_decided_by_one_cluster_has_an_estimate_but_no_error():
    # Only rater 3 has x = 1, and the fit passes through this rater's mean as if there were no other such rater.
    y = [1, 2, 2, 4, 3, 1, 5, 6]
    fit = ols(y, [[0], [0], [0], [0], [0], [0], [1], [1]], ["x"], clusters=[0, 0, 1, 1, 2, 2, 3, 3])
    assert fit.term("x").estimate == pytest.approx(5.5 - 13 / 6)
    assert np.isnan([fit.term("x").standard_error, fit.term("x").p, fit.term("x").low]).all()
    assert fit.term(INTERCEPT).standard_error > 0
    assert fit.reason.endswith(": 'x'")
    both = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    fit = ols([*y, 2, 7], both, ["x", "z"], clusters=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    assert fit.reason.endswith(": 'x', 'z'")


def test_clusters_that_do_not_differ_give_no_error():
    fit = ols([1, 2, 3, 1, 2, 3, 1, 2, 3], np.empty((9, 0)), [], clusters=[0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert fit.terms[0].estimate == pytest.approx(2)
    assert np.isnan(fit.terms[0].standard_error)
    assert fit.reason.endswith(f": '{INTERCEPT}'")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[1]], [[1]], ["x"]), {}, "outcome has shape"),
        (([1, np.inf], [[1], [2]], ["x"]), {}, "outcome"),
        (([1, 2], [[1]], ["x"]), {}, "design has shape"),
        (([1, 2], [[1], [np.inf]], ["x"]), {}, r"design\[1, 0\] is infinite"),
        (([1, 2], [[1], [2]], []), {}, "names has 0"),
        (([1, 2], [[1, 1], [2, 2]], ["x", "x"]), {}, "'x' twice"),
        (([1, 2], [[1], [2]], [INTERCEPT]), {}, "intercept"),
        (([1, 2], [[1], [2]], ["x"]), {"clusters": [1]}, "clusters has shape"),
        (([1, 2], [[1], [2]], ["x"]), {"clusters": [1.0, NAN]}, "dtype float64"),
        (([1, 2], [[1], [2]], ["x"]), {"counts": [1, -1]}, "counts has shape"),
        (([1, 2], [[1], [2]], ["x"]), {"squares": [1]}, "squares has shape"),
        (([1, 2], [[1], [2]], ["x"]), {"ci_level": 95}, "ci_level is 95"),
    ],
    ids=range(12),
)
def test_input_that_does_not_fit_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        ols(*arguments, **options)


def test_an_unknown_term_is_a_key_error():
    with pytest.raises(KeyError):
        ols([1, 2, 4], np.empty((3, 0)), []).term("age")


def test_dummies_compare_with_the_most_frequent_label_unless_told():
    labels = ["left", None, "right", "centre", "right"]
    matrix, names = dummies(labels)
    assert names == ("centre", "left")
    assert_allclose(matrix, [[0, 1], [NAN, NAN], [0, 0], [1, 0], [0, 0]])
    assert dummies(labels, "left")[1] == ("centre", "right")
    with pytest.raises(ValueError, match="'green', which no row has"):
        dummies(labels, "green")


def test_without_labels_there_is_no_column():
    matrix, names = dummies([None, None])
    assert (matrix.shape, names, most_frequent([None])) == ((2, 0), (), None)
