"""The forests here and R's randomForest (Liaw and Wiener 2002) are the same forest, but for chance.

R's predictions are stored, so that machines without R compare with them too; where it is installed (Debian:
r-cran-randomforest) it is asked again. To store them anew: python -m tests.modeling.estimators.histogram.test_against_r
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from modeling.estimators.histogram.forest import HistogramForest
from modeling.estimators.members.base import Rows
from modeling.estimators.members.forest import Forest

STORED = Path(__file__).parents[3] / "data" / "randomforest_predictions.csv"
N_FIT, N_HELD, N_FEATURES, N_TREES, N_FORESTS, N_STORED = 1500, 600, 12, 200, 8, 4
TOLERATED = 1.25  # times what chance alone moves
CODE = """
folder <- commandArgs(TRUE)[1]
suppressMessages(library(randomForest))
fitted <- as.matrix(read.csv(file.path(folder, "fit.csv"), header = FALSE))
held <- as.matrix(read.csv(file.path(folder, "held.csv"), header = FALSE))
p <- ncol(held)
said <- sapply(1:FORESTS, function(seed) {
  set.seed(seed)
  predict(randomForest(x = fitted[, 1:p], y = fitted[, p + 1], ntree = TREES), held)
})
write.table(said, file.path(folder, "said.csv"), row.names = FALSE, col.names = FALSE)
"""


def draw_study():
    """Features from 0 to 6 that act together, by steps and in turn, and ratings from 0 to 6."""
    rng = np.random.default_rng(2001)
    features = rng.integers(0, 7, (N_FIT + N_HELD, N_FEATURES)).astype(float)
    one, two, three, four, five, six = features.T[:6]
    exact = 1.5 + one * two / 6 + 0.8 * (three > 3) - 0.5 * four + (five - 3) * (six > 2) / 2
    target = np.clip(np.rint(exact + rng.normal(0, 1, len(features))), 0, 6)
    return features[:N_FIT], target[:N_FIT], features[N_FIT:], target[N_FIT:]


def ask_r(n_forests):
    """Return what R's forests of seeds 1 and up predict of the held-out rows, shape (n_forests, N_HELD)."""
    features, target, held, _ = draw_study()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savetxt(folder / "fit.csv", np.column_stack([features, target]), fmt="%d", delimiter=",")
        np.savetxt(folder / "held.csv", held, fmt="%d", delimiter=",")
        (folder / "fit.R").write_text(CODE.replace("FORESTS", str(n_forests)).replace("TREES", str(N_TREES)))
        subprocess.run(["Rscript", str(folder / "fit.R"), name], check=True, capture_output=True)
        return np.loadtxt(folder / "said.csv", ndmin=2).T


def grow(seed, **settings):
    features, target, held, _ = draw_study()
    return HistogramForest(n_trees=N_TREES, seed=seed, **settings).fit(features, target).predict(held)


def grow_member(seed):
    """The same by the member of a personalization: the first six features as a consensus, the others as answers."""
    features, target, held, _ = draw_study()
    ratings = np.full((N_FIT, 6), np.nan)
    ratings[:, 0] = target
    rows = Rows(
        consensus=features[:, :6],
        ratings=ratings,
        raters=np.arange(N_FIT),
        posts=np.arange(N_FIT),
        answers=features[:, 6:],
        scale=(0, 6),
    )
    fitted = Forest(n_trees=N_TREES, values=[0]).fit(rows, history=False, seed=seed)
    return fitted.predict(held[:, :6], fitted.describe(held[:, 6:]))[:, 0]


def squares_between(one, other):
    return float(np.square(one - other).mean())


def correlations(ones, others=None):
    """Mean correlation over all pairs of forests."""
    if others is None:
        return float(np.corrcoef(ones)[np.triu_indices(len(ones), 1)].mean())
    return float(np.corrcoef(ones, others)[: len(ones), len(ones) :].mean())


@pytest.fixture(scope="module")
def stored():
    """R's forests of seeds 1 to 4, and the mean of eight."""
    table = np.loadtxt(STORED, delimiter=",", skiprows=1).T
    return table[:N_STORED], table[N_STORED]


@pytest.fixture(scope="module")
def ours():
    return np.array([grow(seed) for seed in range(1, N_FORESTS + 1)])


@pytest.fixture(scope="module")
def members():
    return np.array([grow_member(seed) for seed in range(1, N_FORESTS + 1)])


@pytest.mark.parametrize("of", ["ours", "members"])
def test_held_out_rows_are_predicted_as_well_as_by_r(of, stored, request):
    said, target = request.getfixturevalue(of), draw_study()[3]
    differences = np.square(said[:N_STORED] - target).mean(axis=0) - np.square(stored[0] - target).mean(
        axis=0
    )
    assert abs(differences.mean()) < 2 * differences.std(ddof=1) / np.sqrt(N_HELD)


@pytest.mark.parametrize("of", ["ours", "members"])
def test_predictions_correlate_with_rs_as_rs_do_with_each_other(of, stored, request):
    assert correlations(request.getfixturevalue(of), stored[0]) > correlations(stored[0]) - 0.0004


@pytest.mark.parametrize("of", ["ours", "members"])
def test_the_mean_of_many_forests_is_rs_but_for_chance(of, stored, request):
    """What seeds leave to chance shrinks with their number; what two recipes differ in does not."""
    said = request.getfixturevalue(of)
    by_chance = 2 * said.var(axis=0, ddof=1).mean() / N_FORESTS
    assert squares_between(said.mean(axis=0), stored[1]) < TOLERATED * by_chance


@pytest.mark.parametrize(
    "other",
    [{"max_features": 0.25}, {"max_features": 0.5}, {"bootstrap": False}, {"min_rows_in_leaf": 12}],
    ids=str,
)
def test_another_recipe_would_be_seen(other, stored, ours):
    others = np.array([grow(seed, **other) for seed in range(1, 5)])
    by_chance = others.var(axis=0, ddof=1).mean() / 4 + ours.var(axis=0, ddof=1).mean() / N_FORESTS
    assert squares_between(others.mean(axis=0), stored[1]) > TOLERATED * by_chance


def test_what_is_stored_is_what_r_says(stored):
    if not shutil.which("Rscript"):
        pytest.skip("R is not installed; what it said is stored and was compared with")
    if subprocess.run(
        ["Rscript", "-e", "library(randomForest)"], capture_output=True, check=False
    ).returncode:
        pytest.skip("R has no randomForest (Debian: r-cran-randomforest); what it said is stored")
    np.testing.assert_allclose(ask_r(1)[0], stored[0][0], atol=6e-5)


if __name__ == "__main__":
    every = ask_r(N_FORESTS)
    names = [*(f"seed_{seed}" for seed in range(1, N_STORED + 1)), f"mean_of_{N_FORESTS}"]
    table = np.column_stack([*every[:N_STORED], every.mean(axis=0)])
    np.savetxt(STORED, table, fmt="%.4f", delimiter=",", header=",".join(names), comments="")
