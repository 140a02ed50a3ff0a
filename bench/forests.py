"""The exact forest, its scores of all pairs and its file, against scikit-learn's, R's and joblib's.

Ratings are made up, at the scale of the founding paper: 1,079 raters, 25 calibration answers each, and a
consensus of 19 values for each post, all from 0 to 6; a forest predicts one value.
"""

import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble, tree

from bench import RUNS, CannotRun, Timing, bench, median_cpu_seconds
from modeling.estimators.histogram.few import ReadyForests
from modeling.estimators.histogram.files import load_forest, save_forest
from modeling.estimators.histogram.forest import HistogramForest
from modeling.estimators.histogram.lanes import has_wide_registers
from modeling.estimators.histogram.scoring import score_all_pairs

Floats = NDArray[np.float64]

N_RATERS, N_VALUES, N_ANSWERS, N_FIT_POSTS, N_HELD_POSTS, N_SCORED_POSTS = 1079, 19, 25, 3000, 1500, 87_446
N_FIT_ROWS, N_HELD_ROWS, N_PAIRS_CHECKED = 18_574, 9_366, 20_000
N_TREES, N_TREES_FITTED, N_TREES_SCORED, N_TREES_IN_R = 500, 100, 50, 20
MIN_ROWS = 5
KERNELS: tuple[Literal["portable"], Literal["wide"]] = ("portable", "wide")
VALUE = 7

FIT_IN_R = """
folder <- commandArgs(TRUE)[1]
suppressMessages(library(randomForest))
fitted <- as.matrix(read.csv(file.path(folder, "fit.csv"), header = FALSE))
held <- as.matrix(read.csv(file.path(folder, "held.csv"), header = FALSE))
p <- ncol(held)
for (run in 1:RUNS) {
  set.seed(run)
  begun <- sum(proc.time()[1:2])
  forest <- randomForest(x = fitted[, 1:p], y = fitted[, p + 1], ntree = TREES)
  cat(sum(proc.time()[1:2]) - begun, "\\n")
}
write.table(predict(forest, held), file.path(folder, "said.csv"), row.names = FALSE, col.names = FALSE)
"""


@dataclass(frozen=True)
class Study:
    """Features and one value's ratings of the rows to fit to and of those held out, posts to score, raters."""

    features: Floats
    target: Floats
    held_features: Floats
    held_target: Floats
    posts: Floats
    raters: Floats


@bench("fit_vs_sklearn")
def fit_vs_sklearn() -> Timing:
    """One forest of 100 trees, scaled to 19 of 500, against scikit-learn's RandomForestRegressor.

    Raises ValueError, before anything is timed, unless held-out posts are predicted as well as by
    scikit-learn's trees fitted to rows drawn as R draws them. Its own forest draws by weights, counts a row
    that was drawn twice as one towards the size of a node, and so stops at larger nodes: less to do. That one
    is timed; how its error differs from ours is reported, negative where ours is the smaller.
    """
    study = made_up_study()
    ours = fit_ours(study, N_TREES_FITTED)
    said = ours.predict(study.held_features)
    check_as_accurate(
        said, by_sklearn_trees(study, N_TREES_FITTED), study.held_target, "scikit-learn's trees"
    )
    theirs = fit_sklearn(study, N_TREES_FITTED)
    difference, error = paired_difference(said, theirs.predict(study.held_features), study.held_target)
    scale = N_VALUES * N_TREES / N_TREES_FITTED
    own_seconds = median_cpu_seconds(lambda: fit_ours(study, N_TREES_FITTED)) * scale
    their_seconds = median_cpu_seconds(lambda: fit_sklearn(study, N_TREES_FITTED)) * scale
    return Timing(
        ratio=their_seconds / own_seconds,
        reference=f"scikit-learn RandomForestRegressor, one forest of {N_TREES_FITTED} trees scaled x{scale:.0f}",
        medians={"ours": own_seconds, "reference": their_seconds},
        more={
            "nodes_per_tree": [
                round(len(ours.trees_.cuts) / N_TREES_FITTED),
                round(sum(each.tree_.node_count for each in theirs.estimators_) / N_TREES_FITTED),
            ],
            "mse_difference": round(difference, 4),
            "standard_error": round(error, 4),
        },
    )


@bench("fit_vs_r", on_request=True)
def fit_vs_r() -> Timing:
    """One forest of 20 trees, scaled to 19 of 500, against R's randomForest, fitted in a process of its own.

    Raises ValueError, once both were timed, unless both predict held-out posts equally well.
    """
    if not shutil.which("Rscript") or run_r("-e", "library(randomForest)").returncode:
        raise CannotRun("R and its randomForest are needed (Debian: apt-get install r-cran-randomforest).")
    study = made_up_study()
    scale = N_VALUES * N_TREES / N_TREES_IN_R
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted = np.column_stack([study.features, study.target])
        np.savetxt(folder / "fit.csv", fitted, fmt="%d", delimiter=",")
        np.savetxt(folder / "held.csv", study.held_features, fmt="%d", delimiter=",")
        code = FIT_IN_R.replace("RUNS", str(RUNS)).replace("TREES", str(N_TREES_IN_R))
        (folder / "fit.R").write_text(code)
        told = run_r(str(folder / "fit.R"), name)
        told.check_returncode()
        r_seconds = float(np.median([float(line) for line in told.stdout.split()])) * scale
        said_by_r = np.loadtxt(folder / "said.csv")
    own_seconds = median_cpu_seconds(lambda: fit_ours(study, N_TREES_IN_R)) * scale
    said = fit_ours(study, N_TREES_IN_R).predict(study.held_features)
    difference, error = check_as_accurate(said, said_by_r, study.held_target, "R's randomForest")
    return Timing(
        ratio=r_seconds / own_seconds,
        reference=f"R randomForest, one forest of {N_TREES_IN_R} trees scaled x{scale:.0f}",
        medians={"ours": own_seconds, "reference": r_seconds},
        more={"mse_difference": round(difference, 4), "standard_error": round(error, 4)},
    )


@bench("score_vs_sklearn")
def score_vs_sklearn() -> Timing:
    """All 87,446 posts by 1,079 raters, as bytes, by a forest of 50 trees, against scikit-learn's `predict`.

    Each kernel that runs here is timed; the ratio is the fastest one's. Scikit-learn predicts 20,000 pairs;
    medians are microseconds per pair. Raises ValueError, before it is timed, unless a kernel's scores of those
    pairs are those of plain prediction to the bit.
    """
    study = made_up_study()
    ours, theirs = fit_ours(study, N_TREES_SCORED), fit_sklearn(study, N_TREES_SCORED)
    rng = np.random.default_rng(5)
    posts, raters = (
        rng.integers(N_SCORED_POSTS, size=N_PAIRS_CHECKED),
        rng.integers(N_RATERS, size=N_PAIRS_CHECKED),
    )
    pairs = np.hstack([study.posts[posts], study.raters[raters]]).astype(np.float32)
    some = score_all_pairs(ours, study.posts[posts[:2000]], study.raters)
    if (some[raters[:2000], np.arange(2000)] != ours.predict(pairs[:2000])).any():
        raise ValueError("score_all_pairs and predict differ; timing them means nothing.")
    out = np.empty((N_RATERS, N_SCORED_POSTS), dtype=np.uint8)
    expected = np.rint(ours.predict(pairs) * np.float32(42.5))
    own_seconds = {}
    for kernel in KERNELS if has_wide_registers() else KERNELS[:1]:
        score = partial(score_all_pairs, ours, study.posts, study.raters, out, kernel=kernel)
        score()
        if (out[raters, posts] != expected).any():
            raise ValueError(f"the {kernel} scores in bytes and predict differ; timing them means nothing.")
        own_seconds[kernel] = median_cpu_seconds(score) / out.size
    their_seconds = median_cpu_seconds(lambda: theirs.predict(pairs)) / N_PAIRS_CHECKED
    fastest = min(own_seconds.values())
    return Timing(
        ratio=their_seconds / fastest,
        reference=f"scikit-learn RandomForestRegressor.predict, {N_PAIRS_CHECKED} pairs, {N_TREES_SCORED} trees",
        medians={"ours": fastest * 1e6, "reference": their_seconds * 1e6},
        unit="us",
        more={
            "ratio_of_kernel": {name: round(their_seconds / own) for name, own in own_seconds.items()},
            "ns_per_tree": {name: round(own / N_TREES_SCORED * 1e9, 3) for name, own in own_seconds.items()},
            "distinct_posts": len(np.unique(study.posts, axis=0)),
        },
    )


@bench("fit_and_score_whole", on_request=True)
def fit_and_score_whole() -> Timing:
    """Fit 500 trees for each of three values and score all 87,446 posts by 1,079 raters, in a process of its own.

    Scores are bytes in a memory-mapped file. The medians are CPU seconds for a value, `minutes` those of 19
    values; compilation, which happens once, is not in them. The reference is scikit-learn's prediction alone,
    20,000 pairs of it by 50 trees, scaled up. Raises ValueError unless 20,000 pairs are those of plain
    prediction to the bit.
    """
    told = subprocess.run(
        [sys.executable, "-c", "from bench.forests import fit_and_score_values; fit_and_score_values()"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    study = made_up_study()
    theirs = fit_sklearn(study, N_TREES_SCORED)
    pairs = np.hstack([study.posts[:N_PAIRS_CHECKED], study.raters[np.arange(N_PAIRS_CHECKED) % N_RATERS]])
    pairs = pairs.astype(np.float32)
    their_seconds = median_cpu_seconds(lambda: theirs.predict(pairs)) / N_PAIRS_CHECKED
    their_seconds *= N_TREES / N_TREES_SCORED * N_RATERS * N_SCORED_POSTS
    own_seconds = float(np.median(found["fit_s"]) + np.median(found["score_s"]))
    return Timing(
        ratio=their_seconds / own_seconds,
        reference="scikit-learn's predict alone, without its fit, scaled from 20,000 pairs and 50 trees",
        medians={
            "ours": own_seconds,
            "reference": their_seconds,
            "fit": float(np.median(found["fit_s"])),
            "score": float(np.median(found["score_s"])),
        },
        more={
            "minutes": round(own_seconds * N_VALUES / 60, 2),
            "peak_mb": found["peak_mb"],
            "kernel": "wide" if has_wide_registers() else "portable",
        },
    )


def fit_and_score_values() -> None:
    """Print, as JSON, what it took to fit and score each of three values, and this process's peak memory."""
    study = made_up_study()
    rng = np.random.default_rng(6)
    posts = rng.integers(N_SCORED_POSTS, size=N_PAIRS_CHECKED)
    raters = rng.integers(N_RATERS, size=N_PAIRS_CHECKED)
    compiled = HistogramForest(n_trees=2).fit(study.features[:300], study.target[:300])
    score_all_pairs(compiled, study.posts[:600], study.raters, dtype=np.uint8)
    found: dict[str, list[float]] = {"fit_s": [], "score_s": []}
    peak_mb, forests, scores = 0.0, [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(RUNS):
            begun = time.process_time()
            forest = HistogramForest(n_trees=N_TREES, min_rows_in_leaf=MIN_ROWS, seed=run)
            forest.fit(study.features, study.target)
            fitted = time.process_time()
            out = np.lib.format.open_memmap(
                Path(folder) / f"{run}.npy", mode="w+", dtype=np.uint8, shape=(N_RATERS, N_SCORED_POSTS)
            )
            score_all_pairs(forest, study.posts, study.raters, out)
            out.flush()
            found["fit_s"].append(fitted - begun)
            found["score_s"].append(time.process_time() - fitted)
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            forests.append(forest)
            scores.append(out[raters, posts])
            del out
    pairs = np.hstack([study.posts[posts], study.raters[raters]])
    for forest, own in zip(forests, scores, strict=True):
        if (own != np.rint(forest.predict(pairs) * np.float32(42.5))).any():
            raise ValueError("the scores in the file and predict differ; timing them means nothing.")
    print(json.dumps(found | {"peak_mb": round(peak_mb)}))


@bench("score_few_pairs")
def score_few_pairs() -> Timing:
    """One rater by 100 posts with 19 forests of 500 trees in memory, against plain prediction of these pairs.

    The forests are one, 19 times over, each at a place of its own. Raises ValueError unless both give the same
    bits. `more` has the milliseconds of other numbers of raters and posts.
    """
    study = made_up_study()
    forest = fit_ours(study, N_TREES)
    ready = ReadyForests([forest] * N_VALUES)
    rng = np.random.default_rng(8)

    def draw(n_raters: int, n_posts: int) -> tuple[Floats, Floats]:
        return study.posts[rng.integers(N_SCORED_POSTS, size=n_posts)], study.raters[
            rng.integers(N_RATERS, size=n_raters)
        ]

    posts, raters = draw(1, 100)
    pairs = np.hstack([posts, np.tile(raters, (100, 1))])
    if (ready.score(posts, raters)[:, 0] != forest.predict(pairs)).any():
        raise ValueError("ReadyForests and predict differ; timing them means nothing.")
    own_ms = median_cpu_seconds(lambda: ready.score(*draw(1, 100))) * 1e3
    their_ms = median_cpu_seconds(lambda: [forest.predict(pairs) for _ in range(N_VALUES)]) * 1e3
    return Timing(
        ratio=their_ms / own_ms,
        reference="HistogramForest.predict of each forest",
        medians={"ours": own_ms, "reference": their_ms},
        unit="ms",
        more={
            "ms_1_rater_1_post": round(median_cpu_seconds(lambda: ready.score(*draw(1, 1))) * 1e3, 2),
            "ms_1000_raters_1_post": round(median_cpu_seconds(lambda: ready.score(*draw(1000, 1))) * 1e3, 1),
            "mb": round(ready.n_bytes / 1e6),
            "bytes_per_node": round(ready.n_bytes / len(forest.trees_.cuts) / N_VALUES, 2),
        },
    )


@bench("model_file_vs_joblib")
def model_file_vs_joblib() -> Timing:
    """The file of a forest of 50 trees against `joblib.dump` of scikit-learn's; medians are megabytes.

    Raises ValueError unless the forest read back predicts the same bits.
    """
    study = made_up_study()
    ours, theirs = fit_ours(study, N_TREES_SCORED), fit_sklearn(study, N_TREES_SCORED)
    own_file, their_file = io.BytesIO(), io.BytesIO()
    names = [f"feature {k}" for k in range(study.features.shape[1])]
    save_forest(own_file, ours, names)
    joblib.dump(theirs, their_file)
    back = load_forest(io.BytesIO(own_file.getvalue())).forest
    if (back.predict(study.held_features) != ours.predict(study.held_features)).any():
        raise ValueError("the forest read back predicts something else; its size means nothing.")
    own_size, their_size = len(own_file.getvalue()), len(their_file.getvalue())
    return Timing(
        ratio=their_size / own_size,
        reference=f"joblib.dump of scikit-learn's forest of {N_TREES_SCORED} trees",
        medians={"ours": own_size / 1e6, "reference": their_size / 1e6},
        unit="MB",
        more={
            "bytes_per_node": round(own_size / len(ours.trees_.cuts), 2),
            "save_s": round(median_cpu_seconds(lambda: save_forest(io.BytesIO(), ours, names)), 4),
            "load_s": round(median_cpu_seconds(lambda: load_forest(io.BytesIO(own_file.getvalue()))), 4),
        },
    )


def fit_ours(study: Study, n_trees: int) -> HistogramForest:
    return HistogramForest(n_trees=n_trees, min_rows_in_leaf=MIN_ROWS, seed=1).fit(
        study.features, study.target
    )


def run_r(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own commands
        ["Rscript", *arguments],  # noqa: S607
        capture_output=True,
        check=False,
        text=True,
    )


def fit_sklearn(study: Study, n_trees: int) -> Any:
    """Fit scikit-learn's forest, whose nodes of at most MIN_ROWS different rows are leaves."""
    forest = ensemble.RandomForestRegressor(
        n_estimators=n_trees, max_features=1 / 3, min_samples_split=MIN_ROWS + 1, random_state=1
    )
    return forest.fit(study.features.astype(np.float32), study.target)


def by_sklearn_trees(study: Study, n_trees: int) -> Floats:
    """Return the mean of scikit-learn's trees, each fitted to rows drawn and repeated as R does."""
    rng = np.random.default_rng(1)
    said = np.zeros(len(study.held_features))
    for seed in range(n_trees):
        drawn = rng.integers(len(study.features), size=len(study.features))
        grower = tree.DecisionTreeRegressor(
            max_features=1 / 3, min_samples_split=MIN_ROWS + 1, random_state=seed
        )
        said += grower.fit(study.features[drawn], study.target[drawn]).predict(study.held_features)
    return said / n_trees


def paired_difference(ours: Floats, theirs: Floats, target: Floats) -> tuple[float, float]:
    """Return our mean squared error less theirs, and the standard error of that."""
    differences = (ours - target) ** 2 - (theirs - target) ** 2
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def check_as_accurate(ours: Floats, theirs: Floats, target: Floats, reference: str) -> tuple[float, float]:
    """Return the paired difference, or raise ValueError if it is beyond two standard errors."""
    difference, error = paired_difference(ours, theirs, target)
    if abs(difference) > 2 * error:
        raise ValueError(
            f"Our squared error on held-out posts less that of {reference} is {difference:.4f}, with a standard error "
            f"of {error:.4f}: they are not the same forest, and timing them means nothing."
        )
    return difference, error


def made_up_study() -> Study:
    """Return a seeded study in which posts, raters and chance all move the ratings, most of them zero."""
    rng = np.random.default_rng(2024)
    n_posts = N_FIT_POSTS + N_HELD_POSTS
    leanings = rng.normal(0, 0.6, (N_VALUES, 4))  # how each of four traits of a rater moves what they see
    asked = leanings[rng.integers(N_VALUES, size=N_ANSWERS)] * 1.6
    traits = rng.normal(size=(N_RATERS, 4))
    answers = to_scale(
        2 + rng.normal(0, 1.3, N_ANSWERS) + traits @ asked.T + rng.normal(0, 1.3, (N_RATERS, N_ANSWERS))
    )

    def draw_posts(n: int) -> tuple[Floats, Floats]:
        """Return how strongly each post expresses each value, and the consensus predicted of it."""
        topics = np.repeat(rng.random((n, 6)) < 0.35, [3, 3, 3, 3, 3, 4], axis=1)
        strength = np.where(topics & (rng.random((n, N_VALUES)) < 0.55), rng.gamma(3, 0.8, (n, N_VALUES)), 0)
        slips = rng.normal(0, 0.9, strength.shape) * (strength > 0) + (rng.random(strength.shape) < 0.03) * 2
        return strength, to_scale(strength + slips - 0.4)

    strength, consensus = draw_posts(n_posts)

    def draw_rows(n: int, first: int, last: int) -> tuple[Floats, Floats]:
        posts, raters = rng.integers(first, last, n), rng.integers(N_RATERS, size=n)
        said, sway = strength[posts, VALUE], traits[raters] @ leanings[VALUE]
        noticed = 0.4 + 0.14 * said + 0.15 * sway + rng.normal(0, 0.36, n) > 0.6
        rating = to_scale(said + sway + 0.8 + rng.normal(0, 1.3, n))
        return np.hstack([consensus[posts], answers[raters]]), np.where(noticed, rating, 0)

    fitted, held = draw_rows(N_FIT_ROWS, 0, N_FIT_POSTS), draw_rows(N_HELD_ROWS, N_FIT_POSTS, n_posts)
    return Study(*fitted, *held, draw_posts(N_SCORED_POSTS)[1], answers)


def to_scale(numbers: Floats) -> Floats:
    return np.clip(np.rint(numbers), 0, 6)
