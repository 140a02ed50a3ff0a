"""Figures of reference: R and irrCAC, stored with their versions (see the top of reference_statistics.json).

Where two tools compute one thing on their own, their stored figures are also compared with each other.
"""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from statsmodels.regression.linear_model import OLS

from modeling.stats.agreement import human_consensus, human_human
from modeling.stats.categorical import fleiss_kappa, gwet_ac, percent_agreement, weighted_kappa
from modeling.stats.internal_consistency import cronbach_alpha
from modeling.stats.intraclass import intraclass

TESTS = Path(__file__).resolve().parents[2]
RATINGS = TESTS / "data" / "reference_ratings.csv"
SCRIPT = TESTS / "references" / "make_references.R"
REFERENCES = json.loads((TESTS / "data" / "reference_statistics.json").read_text(encoding="utf-8"))
BY_R, BY_IRRCAC = REFERENCES["r"], REFERENCES["irrcac"]
SCALE = (0, 6)
KINDS = ["identity", "linear", "quadratic", "ordinal"]

with RATINGS.open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
ratings = np.array([[float(row[f"value_{v}"] or "nan") for v in range(1, 7)] for row in ROWS])
posts = np.array([int(row["post"]) for row in ROWS])
raters = np.array([int(row["rater"]) for row in ROWS])


def as_floats(numbers):
    return np.array([np.nan if number is None else number for number in numbers])


def covariates(name):
    return np.array([float(row[name]) for row in ROWS])


@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_and_their_standard_errors_are_those_of_irrcac(kind):
    for coefficient, said in [(fleiss_kappa, BY_IRRCAC["fleiss"]), (gwet_ac, BY_IRRCAC["gwet"])]:
        found = coefficient(ratings, posts, kind, scale=SCALE)
        assert_allclose(found.estimate, said[kind]["coefficient"], atol=1e-12)
        assert_allclose(found.standard_error, said[kind]["standard_error"], atol=1e-12)
    percent = percent_agreement(ratings, posts, kind, scale=SCALE)
    assert_allclose(percent.estimate, BY_IRRCAC["gwet"][kind]["pa"], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_mean_kappa_over_pairs_of_raters_is_that_of_psych(kind):
    found = weighted_kappa(ratings, posts, raters, kind, scale=SCALE, min_shared=5)
    said = BY_R["pairwise_kappa"]
    assert_allclose(found.estimate, [entry["mean"][kind] for entry in said], atol=1e-12)
    assert_array_equal(found.n_pairs, [entry["n_pairs_defined"] for entry in said])
    assert_array_equal(found.n_pairs_undefined, [entry["n_pairs_undefined"] for entry in said])
    assert found.n_pairs_undefined.sum() > 0


def test_intraclass_correlations_are_those_of_rs_analysis_of_variance():
    found = intraclass(ratings, posts)
    names = ["icc1", "icc1_low", "icc1_high", "icc_k", "icc_k_low", "icc_k_high"]
    for name in names:
        said = [entry[name] for entry in BY_R["intraclass"]]
        assert_allclose(getattr(found, name), said, atol=1e-11)
    assert_allclose(found.raters_per_post, [entry["n0"] for entry in BY_R["intraclass"]], atol=1e-11)


def test_cronbachs_alpha_and_its_interval_are_those_of_psych():
    found, said = cronbach_alpha(ratings), BY_R["cronbach"]["ratings"]
    assert_allclose(
        [found.cronbach_alpha, found.low, found.high],
        [said["cronbach_alpha"], said["low"], said["high"]],
        atol=1e-11,
    )
    assert (found.n_people, found.n_items) == (said["n_people"], said["n_items"])


@pytest.mark.parametrize(
    ("measure", "name"), [(human_human, "human_human"), (human_consensus, "human_consensus")]
)
def test_rank_agreement_is_that_of_a_loop_in_r(measure, name):
    found, said = measure(ratings, posts), BY_R[name]
    assert_allclose(found.per_post, as_floats(said["per_post"]), atol=1e-12)
    assert found.rho == pytest.approx(said["rho"], abs=1e-12)
    assert (found.n_defined, found.n_undefined) == (said["n_defined"], said["n_undefined"])


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_krippendorffs_alpha_of_r_is_that_of_the_krippendorff_package(level):
    for value in range(6):
        table = np.full((20, 60), np.nan)
        table[raters, posts] = ratings[:, value]
        said = krippendorff.alpha(table, level_of_measurement=level)
        assert BY_R["krippendorff_alpha"][level][value] == pytest.approx(said, abs=1e-12)


def test_krippendorffs_alpha_of_r_is_that_of_irrcac_but_for_the_ordinal_level():
    for level, kind in [("nominal", "identity"), ("interval", "quadratic")]:
        assert_allclose(
            BY_R["krippendorff_alpha"][level], BY_IRRCAC["krippendorff"][kind]["coefficient"], atol=1e-11
        )
    # irrCAC's ordinal weights count the categories between two ratings, Krippendorff's the ratings.
    ordinal = BY_IRRCAC["krippendorff"]["ordinal"]["coefficient"]
    assert np.abs(np.subtract(BY_R["krippendorff_alpha"]["ordinal"], ordinal)).max() > 0.01


def test_clustered_regression_of_r_is_that_of_statsmodels():
    party = np.array([row["party"] for row in ROWS])
    design = np.column_stack(
        [np.ones(len(ROWS)), covariates("score"), covariates("age"), party == "left", party == "right"]
    )
    for value, said in enumerate(BY_R["ols_clustered"]):
        present = ~np.isnan(ratings[:, value])
        fit = OLS(ratings[present, value], design[present]).fit(
            cov_type="cluster", cov_kwds={"groups": raters[present]}, use_t=True
        )
        assert_allclose(fit.params, said["coefficients"], atol=1e-10)
        assert_allclose(fit.bse, said["standard_errors_cr1"], atol=1e-10)
        assert_allclose(fit.pvalues, said["p"], atol=1e-10)


def test_welchs_test_of_r_is_that_of_scipy():
    screened = covariates("screened") == 1
    for value, said in enumerate(BY_R["welch"]):
        given_ = ratings[:, value]
        present = ~np.isnan(given_)
        test = stats.ttest_ind(given_[present & screened], given_[present & ~screened], equal_var=False)
        found = [test.statistic, test.df, test.pvalue, *test.confidence_interval()]
        over_ratings = [said["over_ratings"][name] for name in ("t", "df", "p", "low", "high")]
        assert_allclose(found, over_ratings, rtol=1e-9)


def run_r():
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    asked = subprocess.run(["Rscript", "-e", "library(psych)"], capture_output=True, check=False)
    if asked.returncode:
        pytest.skip("R has no package psych")
    said = subprocess.run(["Rscript", str(SCRIPT), str(RATINGS)], capture_output=True, check=True, text=True)
    return json.loads(said.stdout)


def assert_same(found, stored, where):
    if isinstance(stored, dict):
        assert found.keys() == stored.keys(), where
        for key in stored:
            assert_same(found[key], stored[key], f"{where}.{key}")
    elif isinstance(stored, list):
        assert len(found) == len(stored), where
        for k, (a, b) in enumerate(zip(found, stored, strict=True)):
            assert_same(a, b, f"{where}[{k}]")
    elif stored is None:
        assert found is None, where
    else:
        assert found == pytest.approx(stored, rel=1e-9, abs=1e-9), where


def without_signs(scaling):
    """The axes of a scaling point either way: turn them so that the first point is positive."""
    points = np.array(scaling["points"])
    return scaling | {"points": (points * np.sign(points[0])).tolist()}


def test_r_still_says_what_is_stored():
    live = run_r()
    del live["versions"]
    for name, stored in BY_R["cmdscale"].items():
        assert_same(without_signs(live["cmdscale"][name]), without_signs(stored), f"cmdscale.{name}")
    for name in BY_R.keys() - {"cmdscale"}:
        assert_same(live[name], BY_R[name], name)
    assert live.keys() == BY_R.keys()
