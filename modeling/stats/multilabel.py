"""How well the values read in posts match the values that a reference says are expressed.

Each post has a set of values. Precision, recall and F1 are about one value over posts; macro measures are their means
over values. `rank_agreement` compares ratings before a threshold makes presences of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.classification import Score
from modeling.stats.consensus import check_matrix
from modeling.stats.multilabel_comparison import MultilabelComparison, ValueDifference, compare_multilabel
from modeling.stats.over_posts import divide, make_score, mean_defined, resample_sums, score_mean
from modeling.stats.presences import check_same_shape, find_one_class, read_presences
from modeling.stats.resampling import check_resamples
from modeling.stats.spearman import rank_rows, spearman_rows

__all__ = [
    "MultilabelComparison",
    "MultilabelScores",
    "RankAgreement",
    "ValueDifference",
    "ValueScores",
    "compare_multilabel",
    "multilabel_scores",
    "rank_agreement",
]

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class ValueScores:
    """One value over the posts that have both a reference and a reading of it.

    `n_true` and `n_predicted` count posts in which it is expressed by the reference and by the reading; `n_left_out`
    posts lack one of the two.
    """

    precision: Score
    recall: Score
    f1: Score
    n_true: int
    n_predicted: int
    n_posts: int
    n_left_out: int


@dataclass(frozen=True)
class MultilabelScores:
    """All values together.

    Attributes
    ----------
    per_value : one entry for each value, in order
    macro_precision, macro_recall, macro_f1 : means over values
    micro_f1 : F1 of all pairs of post and value counted together, over the same values
    n_values : values in macro_recall, macro_f1 and micro_f1
    n_values_precision : those of them that are predicted at all, over which macro_precision is
    left_out : (value, reason) of the values that enter none of these
    n_posts, n_left_out : posts with at least one value that has both sides, and the others
    """

    per_value: tuple[ValueScores, ...]
    macro_precision: Score
    macro_recall: Score
    macro_f1: Score
    micro_f1: Score
    n_values: int
    n_values_precision: int
    left_out: tuple[tuple[int, str], ...]
    n_posts: int
    n_left_out: int


@dataclass(frozen=True, eq=False)
class RankAgreement:
    """Spearman's rho between two sets of ratings.

    Attributes
    ----------
    mean : mean over posts of the rho over a post's values
    per_post : ndarray of shape (n_posts,), NaN where it does not exist
    n_posts : posts with a rho
    n_undefined : posts in which one side is constant, so that nothing is ordered
    n_left_out : posts with fewer than two values that both sides have
    per_value : rho over posts, for each value
    """

    mean: Score
    per_post: Floats
    n_posts: int
    n_undefined: int
    n_left_out: int
    per_value: tuple[Score, ...]


def multilabel_scores(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> MultilabelScores:
    """Precision, recall and F1 of each value and over all values, with intervals over posts.

    Parameters
    ----------
    truth, predicted : array-like of shape (n_posts, n_values)
        1 where the value is expressed, 0 where not, NaN where there is no reference or no reading. A pair of
        post and value enters when it has both.
    rng : numpy.random.Generator
        The same state gives the same intervals.
    n_resamples : int
        Resamples of the posts, drawn with replacement; one resample serves all values.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    MultilabelScores
        Precision does not exist where nothing is predicted, recall where nothing is true, F1 where neither is: NaN
        with the reason. A value that the reference says of no post, or of every post, is left out of the macro and
        micro measures. Intervals are percentiles; a measure that rests on fewer than five posts (of recall, posts in
        which the value is expressed; of precision, posts in which it is predicted) has none.

    Raises
    ------
    ValueError
        If the two differ in shape or hold anything else, `n_resamples` is below 1, or `level` is not between 0
        and 1.

    References
    ----------
    van Rijsbergen (1979), Information Retrieval, 2nd edition, chapter 7; Efron (1979), Annals of Statistics 7(1),
    1-26. The macro F1 is the mean of the values' F1: Opitz and Burst (2019), arXiv:1911.03347.

    Examples
    --------
    >>> found = multilabel_scores(
    ...     [[1, 0], [1, 1], [0, 0]], [[1, 0], [0, 1], [0, 1]], rng=np.random.default_rng(0)
    ... )
    >>> round(found.macro_f1.estimate, 4), found.n_values
    (0.6667, 2)
    """
    check_resamples(n_resamples, level)
    true, said = read_presences(truth, "truth"), read_presences(predicted, "predicted")
    check_same_shape(true, said, "predicted")
    both = ~np.isnan(true) & ~np.isnan(said)
    right, is_true, is_said = (true == 1) & (said == 1) & both, (true == 1) & both, (said == 1) & both
    n_values = true.shape[1]
    sums = np.hstack([right, is_true, is_said]).astype(np.float64)
    counts = sums.sum(axis=0).reshape(3, n_values)
    drawn = resample_sums(sums, rng=rng, n_resamples=n_resamples).reshape(-1, 3, n_values)
    n_posts = both.sum(axis=0)
    left_out = find_one_class(counts[1], n_posts)
    kept = np.setdiff1d(np.arange(n_values), [value for value, _ in left_out])

    per_value = []
    estimates, resampled = _measure(counts[np.newaxis]), _measure(drawn)
    behind = (counts[2], counts[1], np.maximum(counts[1], counts[2]))
    for value in range(n_values):
        scores = [
            make_score(
                float(estimates[k][0, value]),
                resampled[k][:, value],
                level=level,
                n_posts=int(behind[k][value]),
                n_left_out=len(true) - int(n_posts[value]),
                reason=reason,
            )
            for k, reason in enumerate(_find_reasons(counts[:, value], int(n_posts[value])))
        ]
        n_true, n_said, n = int(counts[1, value]), int(counts[2, value]), int(n_posts[value])
        per_value.append(ValueScores(scores[0], scores[1], scores[2], n_true, n_said, n, len(true) - n))

    n_any = int(both.any(axis=1).sum())
    none = "" if len(kept) else "no value has posts with it and posts without it"

    def score(estimate: float, draws: Floats, reason: str = none) -> Score:
        reason = reason if np.isnan(estimate) else ""
        return make_score(
            estimate, draws, level=level, n_posts=n_any, n_left_out=len(true) - n_any, reason=reason
        )

    macro = [
        score(float(mean_defined(whole[0, kept])), mean_defined(each[:, kept]))
        for whole, each in zip(estimates, _measure_true(drawn), strict=True)
    ]
    if len(kept) and np.isnan(macro[0].estimate):
        macro[0] = score(float("nan"), np.empty(0), "no value is predicted of any post")
    return MultilabelScores(
        per_value=tuple(per_value),
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=macro[2],
        micro_f1=score(float(_micro(counts[np.newaxis], kept)[0]), _micro(drawn, kept)),
        n_values=len(kept),
        n_values_precision=int((counts[2, kept] > 0).sum()),
        left_out=left_out,
        n_posts=n_any,
        n_left_out=len(true) - n_any,
    )


def rank_agreement(
    truth_ratings: ArrayLike,
    predicted_ratings: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> RankAgreement:
    """Spearman's rho of ratings within posts, over values, and within values, over posts.

    Parameters
    ----------
    truth_ratings, predicted_ratings : array-like of shape (n_posts, n_values)
        Any numbers; NaN where there is none.
    rng, n_resamples, level
        As for `multilabel_scores`.

    Returns
    -------
    RankAgreement
        Within posts every post weighs the same. In the intervals within values, ranks stay those among all posts.

    Raises
    ------
    ValueError
        If the two differ in shape, a number is infinite, or as for `multilabel_scores`.

    References
    ----------
    Spearman (1904), American Journal of Psychology 15(1), 72-101.

    Examples
    --------
    >>> found = rank_agreement([[0, 1, 5], [0, 0, 0]], [[0, 2, 3], [1, 0, 0]], rng=np.random.default_rng(0))
    >>> found.mean.estimate, found.n_posts, found.n_undefined
    (1.0, 1, 1)
    """
    check_resamples(n_resamples, level)
    true = check_matrix(truth_ratings, "truth_ratings")
    said = check_matrix(predicted_ratings, "predicted_ratings")
    check_same_shape(true, said, "predicted_ratings")
    both = ~np.isnan(true) & ~np.isnan(said)
    per_post = spearman_rows(true, said)
    has_two = both.sum(axis=1) > 1
    n_defined = int((~np.isnan(per_post)).sum())
    reason = "in every post one side is constant" if has_two.any() else "no post has two values of both sides"
    mean = score_mean(per_post, rng=rng, n_resamples=n_resamples, level=level, reason=reason)

    x = np.nan_to_num(rank_rows(np.where(both, true, np.nan).T)).T
    y = np.nan_to_num(rank_rows(np.where(both, said, np.nan).T)).T
    n = both.sum(axis=0)
    x, y = (np.where(both, ranks - (n + 1) / 2, 0.0) for ranks in (x, y))
    moments = np.hstack([both, x, y, x * x, y * y, x * y])
    n_values = true.shape[1]
    estimates = _correlate(moments.sum(axis=0).reshape(1, 6, n_values))
    drawn = _correlate(resample_sums(moments, rng=rng, n_resamples=n_resamples).reshape(-1, 6, n_values))
    # A constant side leaves moments of float error only.
    is_constant = (x == 0).all(axis=0) | (y == 0).all(axis=0)
    per_value = []
    for value in range(n_values):
        why = ""
        if is_constant[value]:
            why = (
                "one side gives every post the same"
                if n[value] > 1
                else f"{n[value]} post(s) have both sides"
            )
        per_value.append(
            make_score(
                float("nan") if why else float(estimates[0, value]),
                drawn[:, value],
                level=level,
                n_posts=int(n[value]),
                n_left_out=len(true) - int(n[value]),
                reason=why,
            )
        )
    return RankAgreement(
        mean=mean,
        per_post=per_post,
        n_posts=n_defined,
        n_undefined=int((has_two & np.isnan(per_post)).sum()),
        n_left_out=int((~has_two).sum()),
        per_value=tuple(per_value),
    )


def _find_reasons(counts: Floats, n_posts: int) -> tuple[str, str, str]:
    """Why precision, recall and F1 of one value do not exist; "" where they do."""
    if not n_posts:
        return ("no post has a reference and a reading of it",) * 3
    _, n_true, n_said = counts
    return (
        "" if n_said else "it is predicted of no post",
        "" if n_true else "the reference says it of no post",
        "" if n_true or n_said else "neither the reference nor the reading says it of any post",
    )


def _measure(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 from (n, 3, n_values) counts of right, true and predicted posts."""
    right, true, said = counts[:, 0], counts[:, 1], counts[:, 2]
    return divide(right, said), divide(right, true), divide(2 * right, true + said)


def _measure_true(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """As `_measure`, but nothing for a value that no post of the resample expresses: it would be one class."""
    is_one_class = counts[:, 1] == 0
    precision, recall, f1 = (np.where(is_one_class, np.nan, each) for each in _measure(counts))
    return precision, recall, f1


def _micro(counts: Floats, kept: Places) -> Floats:
    right, true, said = (counts[:, k, kept].sum(axis=1) for k in range(3))
    return divide(2 * right, true + said)


def _correlate(moments: Floats) -> Floats:
    """Correlations from (n, 6, n_values) sums of 1, x, y, xx, yy and xy."""
    n, x, y, xx, yy, xy = (moments[:, k] for k in range(6))
    spreads = [
        np.where(n * two - one * one > 1e-12 * n * two, n * two - one * one, 0.0)
        for one, two in ((x, xx), (y, yy))
    ]
    return np.clip(divide(n * xy - x * y, np.sqrt(spreads[0] * spreads[1])), -1.0, 1.0)
