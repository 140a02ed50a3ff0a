"""How much readings change when nothing of substance does: between runs, and between wordings of the same post."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.classification import Score
from modeling.stats.consensus import check_matrix
from modeling.stats.over_posts import divide, mean_defined, score_mean, score_means
from modeling.stats.resampling import check_resamples
from modeling.stats.spearman import spearman_rows

Floats = NDArray[np.float64]
ONE_RUN = "a spread needs two runs with a reading of the same post"


@dataclass(frozen=True)
class ValueStability:
    """One value over the posts that at least two runs read.

    `flips` is the share of posts in which it is present in some runs and absent in others, `disagreement` the share of
    pairs of runs that say different things of a post, `spread` the mean standard deviation of its ratings over runs.
    """

    flips: Score
    disagreement: Score
    spread: Score
    n_posts: int
    n_left_out: int


@dataclass(frozen=True, eq=False)
class RunStability:
    """Repeated runs of one annotator model.

    Attributes
    ----------
    flips : share of pairs of post and value whose presence is not the same in all runs; grows with the number of runs
    disagreement : the same for two runs: the share of pairs of runs that differ. Compare this between models
    spread : mean standard deviation of the ratings over runs, in points of the scale
    per_value : one entry for each value
    per_post : ndarray of shape (n_posts,), the share of a post's values that flip; NaN where no two runs read it
    n_runs, n_posts, n_left_out : runs given; posts that two runs read, and the others
    n_cells, n_cells_left_out : the same for pairs of post and value
    reason : why there is nothing to tell; empty otherwise
    """

    flips: Score
    disagreement: Score
    spread: Score
    per_value: tuple[ValueStability, ...]
    per_post: Floats
    threshold: float
    n_runs: int
    n_posts: int
    n_left_out: int
    n_cells: int
    n_cells_left_out: int
    reason: str


@dataclass(frozen=True)
class ValueParaphrase:
    """One value: share of variants in which its presence is another than in the original, over originals."""

    flips: Score
    difference: Score
    n_posts: int


@dataclass(frozen=True)
class ParaphraseStability:
    """Readings of posts and of the same posts in other words.

    Attributes
    ----------
    flips : share of pairs of variant and value whose presence is another than in the original
    difference : mean absolute difference of the ratings, in points of the scale
    rho : mean Spearman's rho over the values, between a variant and its original
    per_value : one entry for each value
    n_originals, n_variants : that enter
    n_variants_left_out : variants without a reading that their original has too
    n_rho_undefined : variants of which one side is constant, or fewer than two values are shared
    noise_floor : share of presences that differ between two runs of the same wording; NaN if not given
    is_above_noise : whether the interval of `flips` lies above it; None where one of the two does not exist
    reason : why there is nothing to tell; empty otherwise
    """

    flips: Score
    difference: Score
    rho: Score
    per_value: tuple[ValueParaphrase, ...]
    threshold: float
    n_originals: int
    n_variants: int
    n_variants_left_out: int
    n_rho_undefined: int
    noise_floor: float
    is_above_noise: bool | None
    reason: str


def run_stability(
    samples: ArrayLike,
    threshold: float,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> RunStability:
    """Say how much an annotator model's readings differ between runs over the same posts.

    Parameters
    ----------
    samples : array-like of shape (n_runs, n_posts, n_values)
        Ratings; NaN where a run has none. A pair of post and value enters when two runs have it.
    threshold : float
        A value is present when its rating is at least this.
    rng : numpy.random.Generator
        The same state gives the same intervals.
    n_resamples : int
        Resamples of the posts, drawn with replacement.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    RunStability
        Over all values, a post counts with the mean over its values that two runs read, and posts weigh the same.
        Standard deviations divide by the number of runs less one. With one run everything is NaN.

    Raises
    ------
    ValueError
        If `samples` is not three-dimensional, has no value or holds an infinite number, or `threshold` is not finite.

    Examples
    --------
    >>> found = run_stability([[[0, 3]], [[0, 0]], [[0, 3]]], 1, rng=np.random.default_rng(0))
    >>> found.flips.estimate, round(found.disagreement.estimate, 4)
    (0.5, 0.3333)
    """
    check_resamples(n_resamples, level)
    given = np.asarray(samples, dtype=np.float64)
    if given.ndim != 3 or not given.shape[2]:
        raise ValueError(f"samples has shape {given.shape}: give (n_runs, n_posts, n_values)")
    if np.isinf(given).any():
        raise ValueError("samples holds an infinite number: use NaN for a reading that is missing")
    _check_threshold(threshold)
    n_runs, n_all, n_values = given.shape
    n_read = (~np.isnan(given)).sum(axis=0)
    n_present = (given >= threshold).sum(axis=0)
    has_two = n_read > 1
    flips = np.where(has_two, (n_present > 0) & (n_present < n_read), np.nan)
    pairs = np.where(has_two, n_read * (n_read - 1), 1)
    disagreement = np.where(has_two, 2 * n_present * (n_read - n_present) / pairs, np.nan)
    spread = np.where(has_two, _deviate(given, n_read), np.nan)

    per_post = mean_defined(flips)
    columns = [flips, disagreement, spread]
    columns += [mean_defined(each)[:, np.newaxis] for each in columns]
    scores = score_means(np.hstack(columns), rng=rng, n_resamples=n_resamples, level=level, reason=ONE_RUN)
    per_value = []
    for value in range(n_values):
        n = int(has_two[:, value].sum())
        parts = scores[value : 3 * n_values : n_values]
        per_value.append(ValueStability(parts[0], parts[1], parts[2], n, n_all - n))
    n_posts, n_cells = int(has_two.any(axis=1).sum()), int(has_two.sum())
    return RunStability(
        flips=scores[-3],
        disagreement=scores[-2],
        spread=scores[-1],
        per_value=tuple(per_value),
        per_post=per_post,
        threshold=float(threshold),
        n_runs=n_runs,
        n_posts=n_posts,
        n_left_out=n_all - n_posts,
        n_cells=n_cells,
        n_cells_left_out=n_all * n_values - n_cells,
        reason="" if n_posts else f"{n_runs} run(s): {ONE_RUN}",
    )


def paraphrase_stability(
    originals: ArrayLike,
    variants: ArrayLike,
    of: ArrayLike,
    threshold: float,
    *,
    rng: np.random.Generator,
    noise_floor: float | None = None,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> ParaphraseStability:
    """Say how much readings change when a post says the same in other words.

    Parameters
    ----------
    originals : array-like of shape (n_posts, n_values)
        Ratings of the posts; NaN where there is none.
    variants : array-like of shape (n_variants, n_values)
        Ratings of their other wordings.
    of : array-like of int, shape (n_variants,)
        The row in `originals` of which each variant is a wording.
    threshold : float
        A value is present when its rating is at least this.
    rng, n_resamples, level
        As for `run_stability`.
    noise_floor : float, optional
        Share of presences that differ between two runs of one wording, such as `RunStability.disagreement`: what
        would be seen if wording did not matter. It must come from readings of the same kind: single readings with
        single readings.

    Returns
    -------
    ParaphraseStability
        A post counts with the mean over its variants, and posts weigh the same; intervals are over posts.

    Raises
    ------
    ValueError
        If shapes do not fit, `of` names a row that is not there, `threshold` is not finite or `noise_floor` no share.

    Examples
    --------
    >>> found = paraphrase_stability([[0, 3], [2, 0]], [[0, 2], [0, 0]], [0, 1], 1, rng=np.random.default_rng(0))
    >>> found.flips.estimate, found.difference.estimate, found.rho.estimate, found.n_rho_undefined
    (0.25, 0.75, 1.0, 1)
    """
    check_resamples(n_resamples, level)
    first, second = check_matrix(originals, "originals"), check_matrix(variants, "variants")
    rows = np.asarray(of)
    if first.shape[1] != second.shape[1] or rows.shape != (len(second),):
        raise ValueError(
            f"originals has shape {first.shape}, variants {second.shape}, of {rows.shape}: give the same values in "
            "both, and one row of the originals per variant"
        )
    if len(rows) and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(first)):
        raise ValueError(f"of must hold rows of the originals, whole numbers from 0 to {len(first) - 1}")
    _check_threshold(threshold)
    if noise_floor is not None and not np.isnan(noise_floor) and not 0 <= noise_floor <= 1:
        raise ValueError(f"noise_floor is {noise_floor}: give a share from 0 to 1")
    rows = rows.astype(np.int64)
    against = first[rows]
    both = ~np.isnan(against) & ~np.isnan(second)
    flips = np.where(both, (against >= threshold) != (second >= threshold), np.nan)
    difference = np.abs(against - second)
    rho = spearman_rows(against, second)
    enters = both.any(axis=1)
    none = "no variant has a reading of a value that its original has too"

    def score(per_variant: Floats, reason: str = none) -> Score:
        per_post = _mean_by(per_variant, rows, len(first))
        return score_mean(per_post, rng=rng, n_resamples=n_resamples, level=level, reason=reason)

    per_value = []
    for value in range(first.shape[1]):
        flip = score(flips[:, value])
        per_value.append(ValueParaphrase(flip, score(difference[:, value]), flip.interval.n_units))
    joint = score(mean_defined(flips))
    floor = float("nan") if noise_floor is None else float(noise_floor)
    comparable = not np.isnan(floor) and not np.isnan(joint.interval.low)
    return ParaphraseStability(
        flips=joint,
        difference=score(mean_defined(difference)),
        rho=score(rho, "in every variant one side is constant" if enters.any() else none),
        per_value=tuple(per_value),
        threshold=float(threshold),
        n_originals=len(np.unique(rows[enters])),
        n_variants=int(enters.sum()),
        n_variants_left_out=int((~enters).sum()),
        n_rho_undefined=int((enters & np.isnan(rho)).sum()),
        noise_floor=floor,
        is_above_noise=bool(joint.interval.low > floor) if comparable else None,
        reason="" if enters.any() else none,
    )


def _deviate(samples: Floats, n_read: NDArray[np.int64]) -> Floats:
    """Standard deviation over the runs that have a reading."""
    present = ~np.isnan(samples)
    below = np.maximum(n_read, 1)
    means = np.where(present, samples, 0.0).sum(axis=0) / below
    squares = np.where(present, np.square(samples - means), 0.0).sum(axis=0)
    deviations: Floats = np.sqrt(squares / np.maximum(n_read - 1, 1))
    return deviations


def _mean_by(numbers: Floats, groups: NDArray[np.int64], n_groups: int) -> Floats:
    """Mean of the numbers that exist in each group; NaN where none does."""
    present = ~np.isnan(numbers)
    counts = np.bincount(groups[present], minlength=n_groups)
    totals = np.bincount(groups[present], numbers[present], minlength=n_groups)
    return divide(totals, counts)


def _check_threshold(threshold: float) -> None:
    if not np.isfinite(threshold):
        raise ValueError(f"threshold is {threshold}: give a rating from which on a value is present")
