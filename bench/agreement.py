"""The agreement measures against loops over the functions of SciPy, pandas and the package krippendorff."""

import importlib
import itertools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench import CannotRun, Timing, bench, median_cpu_seconds
from modeling.stats.agreement import human_human
from modeling.stats.krippendorff import bootstrap_alpha, krippendorff_alpha

N_RATERS, POSTS_PER_RATER, N_POSTS, N_VALUES = 1079, 30, 5211, 19
N_POSTS_LOOPED = 150
N_RESAMPLES, N_RESAMPLES_LOOPED = 1000, 10
# Seven ratings, most of them "not expressed": the shape of real annotations.
SHARES = (0.70, 0.06, 0.06, 0.06, 0.05, 0.04, 0.03)


@bench("spearman_vs_scipy")
def spearman_vs_scipy() -> Timing:
    """Human-human agreement of a whole study, against one `spearmanr` call per pair of raters.

    The loop runs on 150 posts; its time is scaled up by the number of pairs. Raises ValueError, before
    anything is timed, unless both ways agree on those posts to within 1e-12.
    """
    ratings, posts = made_up_study()
    few = posts < N_POSTS_LOOPED
    ours = human_human(ratings[few], posts[few], N_POSTS_LOOPED).per_post
    theirs = human_human_by_loop(ratings[few], posts[few], N_POSTS_LOOPED)
    _check_equal(ours, theirs, "the loop over scipy.stats.spearmanr")
    scale = n_pairs(posts) / n_pairs(posts[few])
    own_seconds = median_cpu_seconds(lambda: human_human(ratings, posts, N_POSTS))
    loop_seconds = (
        median_cpu_seconds(lambda: human_human_by_loop(ratings[few], posts[few], N_POSTS_LOOPED)) * scale
    )
    return Timing(
        ratio=loop_seconds / own_seconds,
        reference=f"scipy.stats.spearmanr per pair, {N_POSTS_LOOPED} posts scaled by pairs x{scale:.1f}",
        medians={"ours": own_seconds, "reference": loop_seconds},
    )


@bench("spearman_vs_pandas")
def spearman_vs_pandas() -> Timing:
    """Human-human agreement of a whole study, against one `DataFrame.corr(method="spearman")` per post.

    Both run on the whole study. Raises ValueError, before anything is timed, unless both ways agree to
    within 1e-12.
    """
    pandas = installed("pandas")
    ratings, posts = made_up_study()
    table = pandas.DataFrame(ratings)
    reference = "pandas groupby and DataFrame.corr('spearman') per post"
    ours = human_human(ratings, posts, N_POSTS).per_post
    _check_equal(ours, human_human_by_pandas(table, posts, N_POSTS), reference)
    own_seconds = median_cpu_seconds(lambda: human_human(ratings, posts, N_POSTS))
    loop_seconds = median_cpu_seconds(lambda: human_human_by_pandas(table, posts, N_POSTS))
    return Timing(
        ratio=loop_seconds / own_seconds,
        reference=reference,
        medians={"ours": own_seconds, "reference": loop_seconds},
    )


@bench("alpha_bootstrap_vs_krippendorff")
def alpha_bootstrap_vs_krippendorff() -> Timing:
    """Intervals of ordinal alpha, 19 values by 1,000 resamples of the posts, against `krippendorff.alpha`.

    The loop calls it with the value counts of the posts drawn, for 10 resamples; its time is scaled up to
    1,000. Raises ValueError, before anything is timed, unless alpha is the same for every value to 1e-10.
    """
    krippendorff = installed("krippendorff")
    ratings, posts = made_up_study()
    counts = value_counts(ratings, posts)

    def by_package(drawn: NDArray[np.int64]) -> list[float]:
        return [
            krippendorff.alpha(
                value_counts=of_value[drawn],
                value_domain=np.arange(len(SHARES)),
                level_of_measurement="ordinal",
            )
            for of_value in counts
        ]

    ours = krippendorff_alpha(ratings, posts, "ordinal", N_POSTS).krippendorff_alpha
    if not np.allclose(ours, by_package(np.arange(N_POSTS)), rtol=0, atol=1e-10):
        raise ValueError("krippendorff_alpha and krippendorff.alpha disagree; timing them means nothing.")

    rng = np.random.default_rng(7)
    draws = rng.integers(N_POSTS, size=(N_RESAMPLES_LOOPED, N_POSTS))
    own_seconds = median_cpu_seconds(
        lambda: bootstrap_alpha(
            ratings, posts, ["ordinal"], rng=rng, n_resamples=N_RESAMPLES, n_posts=N_POSTS
        )
    )
    scale = N_RESAMPLES / N_RESAMPLES_LOOPED
    loop_seconds = median_cpu_seconds(lambda: [by_package(drawn) for drawn in draws]) * scale
    return Timing(
        ratio=loop_seconds / own_seconds,
        reference=f"krippendorff.alpha of value counts, {N_RESAMPLES_LOOPED} resamples scaled x{scale:.0f}",
        medians={"ours": own_seconds, "reference": loop_seconds},
    )


def _check_equal(ours: NDArray[np.float64], theirs: NDArray[np.float64], reference: str) -> None:
    if not np.allclose(ours, theirs, rtol=0, atol=1e-12, equal_nan=True):
        raise ValueError(f"human_human and {reference} disagree; timing them means nothing.")


def installed(package: str) -> Any:
    """Import a package that only benches and tests need."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise CannotRun(f"{package} is not installed; run `make setup-dev`.") from None


def made_up_study() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return seeded ratings of shape (32,370, 19) and the post of each row; a rater sees no post twice."""
    rng = np.random.default_rng(20240)
    posts = np.concatenate([rng.choice(N_POSTS, POSTS_PER_RATER, replace=False) for _ in range(N_RATERS)])
    ratings = rng.choice(len(SHARES), size=(len(posts), N_VALUES), p=SHARES).astype(np.float64)
    return ratings, posts


def human_human_by_loop(
    ratings: NDArray[np.float64], posts: NDArray[np.int64], n_posts: int
) -> NDArray[np.float64]:
    """Return each post's mean rho over its pairs of raters; NaN where no pair has one."""
    per_post = np.full(n_posts, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        for post in range(n_posts):
            pairs = itertools.combinations(ratings[posts == post], 2)
            rhos = np.array([stats.spearmanr(first, second).statistic for first, second in pairs])
            defined = rhos[~np.isnan(rhos)]
            if len(defined):
                per_post[post] = defined.mean()
    return per_post


def human_human_by_pandas(table: Any, posts: NDArray[np.int64], n_posts: int) -> NDArray[np.float64]:
    """Return each post's mean rho over its pairs of raters, from one table of correlations per post."""
    per_post = np.full(n_posts, np.nan)
    for post, of_post in table.groupby(posts):
        rhos = of_post.T.corr(method="spearman").to_numpy()
        rhos = rhos[np.tril_indices(len(rhos), -1)]
        defined = rhos[~np.isnan(rhos)]
        if len(defined):
            per_post[post] = defined.mean()
    return per_post


def value_counts(ratings: NDArray[np.float64], posts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each post was given each rating, of shape (n_values, n_posts, n_ratings)."""
    counts = np.zeros((N_VALUES, N_POSTS, len(SHARES)), dtype=np.int64)
    for value, of_value in enumerate(ratings.T.astype(np.int64)):
        np.add.at(counts[value], (posts, of_value), 1)
    return counts


def n_pairs(posts: NDArray[np.int64]) -> int:
    """Return the number of pairs of rows that are of one post."""
    sizes = np.bincount(posts)
    return int((sizes * (sizes - 1) // 2).sum())
