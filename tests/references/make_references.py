"""Make the ratings of reference, and store what R and irrCAC say of them.

    python tests/references/make_references.py

needs Rscript with psych, and irrCAC (with pandas and tabulate) for Python, which is not among the
requirements of the project: run it from an environment of its own.
"""

from __future__ import annotations

import csv
import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from irrCAC.raw import CAC

HERE = Path(__file__).resolve().parent
RATINGS = HERE.parent / "data" / "reference_ratings.csv"
FIGURES = HERE.parent / "data" / "reference_statistics.json"
SCALE = list(range(7))
WEIGHTS = ["identity", "linear", "quadratic", "ordinal"]
N_VALUES = 6

ABOUT = {
    "data": (
        "tests/data/reference_ratings.csv: random, seeded; one row per (rater, post), 20 raters, 60 posts (post 17 "
        "has no row, some have one), scale 0-6, empty = not shown. age, score and party belong to the rater, "
        "screened (0/1) to the post. Lists run over the six values value_1..value_6; null = undefined."
    ),
    "made_by": "tests/references/make_references.py, which runs tests/references/make_references.R",
    "r.human_human": "loop over rater pairs of a post, cor(method='spearman') over the values both were shown",
    "r.human_consensus": "loop over rows, against the others' mean rounded half up",
    "r.krippendorff_alpha": "coincidence matrix by loops; a list over values for each level",
    "r.pairwise_kappa": "psych::cohen.kappa on the table 0..6 of every rater pair sharing 5 or more posts; "
    "mean by kind of weights over the pairs that have one",
    "r.intraclass": "anova(lm(y ~ factor(post))); n0 = (N - sum n_i^2 / N) / (posts - 1); 95% F limits. "
    "Posts with one rating are in",
    "r.shrout_fleiss": "psych::ICC(lmer=FALSE) of Shrout and Fleiss (1979), Table 2",
    "r.cronbach": "psych::alpha: the complete rows of the ratings (values are items); psych's lsat6; R's attitude; "
    "low and high are psych's feldt limits, 95%",
    "r.ols_clustered": "per value: rating ~ 1 + score + age + [party is left] + [party is right] in this order, "
    "by lm; clusters are raters; CR1 = CR0 * G/(G-1) * (N-1)/(N-K); t, p, low, high (95%) use CR1 and G-1 df",
    "r.ols": "per value: a rater's mean rating ~ 1 + age + [left] + [right], one row per rater, summary(lm), "
    "confint 95%",
    "r.welch": "per value: t.test(screened, not screened), over ratings and over the posts' means",
    "r.correlations": "cor(use='pairwise.complete.obs') between values over rows",
    "r.cmdscale": "cmdscale(k=2, eig=TRUE) of 1 - r, of sqrt(2(1 - r)) and of R's eurodist; axes have no sign",
    "irrcac": "irrCAC.raw.CAC(posts by raters, weights, categories=0..6): per kind of weights, lists over values of "
    "coefficient, standard error (over posts), pa and pe. percent_agreement is pa",
}


def main() -> None:
    write_ratings(RATINGS)
    said = subprocess.run(
        ["Rscript", str(HERE / "make_references.R"), str(RATINGS)],
        check=True,
        capture_output=True,
        text=True,
    )
    by_r = json.loads(said.stdout)
    versions = by_r.pop("versions") | {"irrCAC": version("irrCAC"), "python": platform.python_version()}
    figures = {"about": ABOUT, "versions": versions, "r": by_r, "irrcac": ask_irrcac()}
    FIGURES.write_text(one_line_per_figure(figures), encoding="utf-8")


def write_ratings(path: Path) -> None:
    """Unequal numbers of raters per post, raters of unequal diligence, gaps, ties and many zeros."""
    rng = np.random.default_rng(20240607)
    n_raters, n_posts = 20, 60
    diligence = rng.dirichlet(np.full(n_raters, 2.0))
    lean = rng.normal(0, 0.6, (n_raters, N_VALUES))
    age = rng.integers(18, 75, n_raters)
    score = rng.integers(0, 61, n_raters) / 10
    party = rng.choice(["left", "right", "none"], n_raters)
    expressed = rng.normal([2.5, -1.0, 1.0, 3.5, 0.0, 2.0], 1.6, (n_posts, N_VALUES))
    screened = (expressed[:, 0] + rng.normal(0, 1, n_posts) > 3).astype(int)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        names = [f"value_{value + 1}" for value in range(N_VALUES)]
        out.writerow(["rater", "post", "age", "score", "party", "screened", *names])
        rows = []
        for post in range(n_posts):
            if post == 17:
                continue
            for rater in rng.choice(n_raters, rng.integers(1, 9), replace=False, p=diligence):
                felt = expressed[post] + lean[rater] + 0.2 * (score[rater] - 3) + rng.normal(0, 1, N_VALUES)
                given = np.clip(np.round(felt), 0, 6).astype(int)
                if rng.random() < 0.06:
                    given[:] = 0
                cells = [
                    "" if gap else str(r) for r, gap in zip(given, rng.random(N_VALUES) < 0.1, strict=True)
                ]
                who = [rater, post, age[rater], score[rater], party[rater], screened[post]]
                rows.append([*who, *cells])
        for row in rng.permutation(len(rows)):
            out.writerow(rows[row])


def ask_irrcac() -> dict[str, dict[str, dict[str, list[float]]]]:
    data = pd.read_csv(RATINGS)
    said: dict[str, dict[str, dict[str, list[float]]]] = {}
    for method in ["fleiss", "gwet", "krippendorff"]:
        said[method] = {}
        for weights in WEIGHTS:
            figures: dict[str, list[float]] = {"coefficient": [], "standard_error": [], "pa": [], "pe": []}
            for value in range(N_VALUES):
                table = data.pivot(index="post", columns="rater", values=f"value_{value + 1}")
                asked = CAC(
                    table.astype(float), weights=weights, categories=[float(c) for c in SCALE], digits=15
                )
                estimate = getattr(asked, method)()["est"]
                figures["coefficient"].append(float(estimate["coefficient_value"]))
                for name in ["pa", "pe"]:
                    figures[name].append(float(estimate[name]))
                figures["standard_error"].append(float(estimate["se"]))
            said[method][weights] = figures
    return said


def one_line_per_figure(figures: dict[str, object]) -> str:
    """JSON with a line per entry of the two upper levels, so that a change shows as a small difference."""
    parts = []
    for name, group in figures.items():
        assert isinstance(group, dict)
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in group.items())
        parts.append(f"{json.dumps(name)}: {{\n{lines}\n}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
