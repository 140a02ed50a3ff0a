"""The agreement measures against a loop over SciPy's own functions."""

import itertools
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench import Timing, bench, median_cpu_seconds
from modeling.stats.agreement import human_human

N_RATERS, POSTS_PER_RATER, N_POSTS, N_VALUES = 1079, 30, 5211, 19
N_POSTS_LOOPED = 150
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
    if not np.allclose(ours, theirs, rtol=0, atol=1e-12, equal_nan=True):
        raise ValueError(
            "human_human and the loop over scipy.stats.spearmanr disagree; timing them means nothing."
        )
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


def n_pairs(posts: NDArray[np.int64]) -> int:
    """Return the number of pairs of rows that are of one post."""
    sizes = np.bincount(posts)
    return int((sizes * (sizes - 1) // 2).sum())
