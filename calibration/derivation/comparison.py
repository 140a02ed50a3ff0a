"""Which questions help most to forecast a new rater on new posts: by cross-validation in the pre-study itself.

Raters and posts are held out together. Questions are chosen from the other raters' ratings of the other posts; the
answers of the held-out raters to them are their own ratings of those cells, and what is forecast are their ratings of
the held-out posts. The consensus knows the other raters' ratings of the held-out posts, as a consensus model would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from .adaptive import choose_next, fit_mixture, learn
from .choosing import derive, draw_cells
from .coverage import NO_CONSTRAINT, Coverage
from .forecasting import forecast
from .selection import check_responses, count_axes

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Report = Callable[[int, int, str], None]

ADAPTIVE, RANDOM = "adaptive", "random"
N_DRAWS = 3  # random questionnaires per fold, so that the baseline is not one lucky draw
WITHIN = 0.5  # of an adaptive questionnaire: share of the covariance within a component
MOST_ANSWERS = 11  # points that stand for the answers that may come, where more have been given
FEWEST_RATERS, FEWEST_POSTS = 10, 3


@dataclass(frozen=True)
class Estimate:
    """A mean over raters with its bootstrap interval over raters (NaN below two raters who have the number)."""

    mean: float
    low: float
    high: float
    n_raters: int


@dataclass(frozen=True)
class Step:
    """What `n_questions` questions by one method are worth.

    Attributes
    ----------
    method : str
    n_questions : int
    gain : Estimate of the mean Spearman correlation with the rater's own ratings, minus that of the consensus
    error : Estimate of the mean absolute error, in rating units
    """

    method: str
    n_questions: int
    gain: Estimate
    error: Estimate


@dataclass(frozen=True)
class Verdict:
    """Whether the adaptive questionnaire wins over the best fixed one, at equal length.

    Attributes
    ----------
    n_questions : int
    rival : the fixed method with the largest gain at this length
    gain, error : Estimates of the paired differences, adaptive minus rival
    """

    n_questions: int
    rival: str
    gain: Estimate
    error: Estimate

    @property
    def is_won(self) -> bool:
        """Whether the gain is larger beyond its interval and the error no larger."""
        return self.gain.low > 0 and self.error.mean <= 0


@dataclass(frozen=True)
class Comparison:
    """Every method at every length, on the same held-out raters and posts.

    Attributes
    ----------
    steps : list of Step
    consensus_rho, consensus_error : Estimates for the consensus alone, which is what no question at all gives
    verdicts : list of Verdict, one for each length at which an adaptive questionnaire was tried
    n_raters, n_posts, n_values : size of the pre-study
    longest : the most questions that the posts and raters of a fold allowed
    n_undefined : (rater, post) pairs left out because the rater gave every value the same rating
    """

    steps: list[Step]
    consensus_rho: Estimate
    consensus_error: Estimate
    verdicts: list[Verdict]
    n_raters: int
    n_posts: int
    n_values: int
    longest: int
    n_undefined: int


def compare(
    responses: ArrayLike,
    n_questions: int,
    methods: Sequence[str],
    coverage: Coverage = NO_CONSTRAINT,
    *,
    rng: np.random.Generator,
    adaptive_lengths: Sequence[int] = (),
    n_rater_folds: int = 5,
    n_post_folds: int = 3,
    n_resamples: int = 1000,
    report: Report | None = None,
) -> Comparison:
    """Forecast held-out raters on held-out posts from their answers to 0, 1, ..., `n_questions` questions.

    Parameters
    ----------
    responses : array-like of shape (n_raters, n_posts, n_values)
        Ratings without gaps, all on one scale.
    n_questions : int
        The longest questionnaire. It is shortened to what every fold allows; `Comparison.longest` says to what.
    methods : names from `choosing.METHODS`; a random questionnaire is always compared too
    coverage : the constraints, which hold within the posts of each fold
    rng : numpy.random.Generator
        Deals the folds, draws the random questionnaires and the resamples.
    adaptive_lengths : lengths at which an adaptive questionnaire is tried; it takes far longer than all others
    n_rater_folds, n_post_folds, n_resamples : int
    report : called with what is done, what there is to do, and a note

    Returns
    -------
    Comparison
        Spearman's rho runs over the values of a post; a rater who gave all values of a post the same rating has none
        there, which leaves the pair out for every method. A forecast that is the same for all values counts as 0.

    Raises
    ------
    ValueError
        If the pre-study is too small to hold raters and posts out, or the constraints cannot be met in a fold.
    """
    cube = check_responses(responses)
    n_raters, n_posts, n_values = cube.shape
    if n_raters < FEWEST_RATERS or n_posts < FEWEST_POSTS or n_values < 2:
        raise ValueError(
            f"{n_raters} raters, {n_posts} posts and {n_values} values are too few to compare by holding raters and "
            f"posts out: at least {FEWEST_RATERS} raters, {FEWEST_POSTS} posts and 2 values are needed"
        )
    folds = _deal(cube, n_rater_folds, min(n_post_folds, n_posts), rng)
    longest = min(n_questions, *(_count_questions(fold, coverage) for fold in folds))
    adaptive_lengths = sorted({k for k in adaptive_lengths if 1 <= k <= longest})
    given = np.unique(cube)
    scale = given if len(given) <= MOST_ANSWERS else np.linspace(given[0], given[-1], MOST_ANSWERS)
    scores = _Scores(n_raters)
    for done, fold in enumerate(folds):
        if report:
            report(done, len(folds), "parts of the pre-study held out")
        scores.add("", 0, fold, np.broadcast_to(fold.consensus, fold.truth.shape))
        for method in methods:
            cells = derive(fold.shown, longest, method, coverage).cells
            for k in range(1, longest + 1):
                scores.add(method, k, fold, fold.forecast(cells[:k]))
        for _ in range(N_DRAWS):
            cells = draw_cells(fold.shown, longest, coverage, rng=rng)
            for k in range(1, longest + 1):
                scores.add(RANDOM, k, fold, fold.forecast(cells[:k]))
        for k, forecasts in _adapt(fold, adaptive_lengths, scale).items():
            scores.add(ADAPTIVE, k, fold, forecasts)
    return _conclude(scores, methods, longest, adaptive_lengths, cube, rng, n_resamples)


@dataclass(frozen=True, eq=False)
class _Fold:
    held_out: Ints  # raters
    shown: Floats  # (n_others, n_other_posts, n_values)
    answers: Floats  # (n_held_out, n_other_cells)
    known: Floats  # (n_others, n_cells of the held-out posts)
    truth: Floats  # (n_held_out, n_held_out_posts, n_values)
    scale: tuple[float, float]

    @property
    def consensus(self) -> Floats:
        return np.asarray(self.known.mean(axis=0).reshape(self.truth.shape[1:]))

    def forecast(self, cells: Sequence[int], raters: slice = slice(None)) -> Floats:
        """Ratings of the held-out posts by held-out raters, from their answers to these cells."""
        of_others = self.shown.reshape(len(self.shown), -1)[:, cells]
        forecasts = forecast(of_others, self.known, self.answers[raters][:, cells])
        return np.asarray(forecasts.reshape(-1, *self.truth.shape[1:]))


def _deal(cube: Floats, n_rater_folds: int, n_post_folds: int, rng: np.random.Generator) -> list[_Fold]:
    of_rater = rng.permutation(len(cube)) % n_rater_folds
    of_post = rng.permutation(cube.shape[1]) % n_post_folds
    folds = []
    for i in range(n_rater_folds):
        for j in range(n_post_folds):
            others, theirs = cube[of_rater != i], cube[of_rater == i]
            folds.append(
                _Fold(
                    np.flatnonzero(of_rater == i),
                    others[:, of_post != j],
                    theirs[:, of_post != j].reshape(len(theirs), -1),
                    others[:, of_post == j].reshape(len(others), -1),
                    theirs[:, of_post == j],
                    (float(cube.min()), float(cube.max())),
                )
            )
    return folds


def _count_questions(fold: _Fold, coverage: Coverage) -> int:
    varies = fold.shown.max(axis=0) > fold.shown.min(axis=0)
    room = varies.sum(axis=1)
    if coverage.most_per_post is not None:
        room = np.minimum(room, coverage.most_per_post)
    return min(int(room.sum()), count_axes(fold.shown.reshape(len(fold.shown), -1)))


def _adapt(fold: _Fold, lengths: Sequence[int], scale: Floats) -> dict[int, Floats]:
    """Ask each held-out rater what their own answers suggest; the forecasts at each length."""
    if not lengths:
        return {}
    shown = fold.shown.reshape(len(fold.shown), -1)
    varies = shown.max(axis=0) > shown.min(axis=0)
    start = fit_mixture(shown, WITHIN)
    forecasts = {k: np.empty(fold.truth.shape) for k in lengths}
    for rater, answers in enumerate(fold.answers):
        belief = start
        for k in range(1, max(lengths) + 1):
            cell = choose_next(belief, varies, varies, scale)
            belief = learn(belief, cell, answers[cell])
            if k in forecasts:
                forecasts[k][rater] = fold.forecast(belief.answered, slice(rater, rater + 1))[0]
    return forecasts


class _Scores:
    """Rho and absolute error of every rater, method and length, summed over the posts that were held out."""

    def __init__(self, n_raters: int) -> None:
        self.n_raters = n_raters
        self.sums: dict[tuple[str, int], Floats] = {}

    def add(self, method: str, n_questions: int, fold: _Fold, forecasts: Floats) -> None:
        rho = correlate(forecasts, fold.truth)
        sums = self.sums.setdefault((method, n_questions), np.zeros((4, self.n_raters)))
        sums[0, fold.held_out] += np.nansum(rho, axis=1)
        sums[1, fold.held_out] += (~np.isnan(rho)).sum(axis=1)
        # Confined to the scale for the error alone: there, forecasts beyond its end would become ties.
        sums[2, fold.held_out] += np.abs(np.clip(forecasts, *fold.scale) - fold.truth).sum(axis=(1, 2))
        sums[3, fold.held_out] += fold.truth[0].size

    def get(self, method: str, n_questions: int) -> tuple[Floats, Floats]:
        """Each rater's mean rho (NaN where none is defined) and mean absolute error."""
        rho, n_rho, error, n_error = self.sums[("", 0) if n_questions == 0 else (method, n_questions)]
        return np.where(n_rho > 0, rho / np.maximum(n_rho, 1), np.nan), error / n_error


def correlate(forecasts: Floats, truth: Floats) -> Floats:
    """Spearman's rho over the last axis; NaN where the truth is constant, 0 where only the forecast is.

    Examples
    --------
    >>> correlate(np.array([[1.0, 2, 3], [1, 1, 1], [3, 2, 1]]), np.array([[1.0, 5, 6], [1, 2, 3], [4, 4, 4]]))
    array([ 1.,  0., nan])
    """
    a, b = (rankdata(np.round(each, 9), axis=-1) for each in (forecasts, truth))
    a -= a.mean(axis=-1, keepdims=True)
    b -= b.mean(axis=-1, keepdims=True)
    of_truth = np.square(b).sum(axis=-1)
    product = np.sqrt(np.square(a).sum(axis=-1) * of_truth)
    rho = (a * b).sum(axis=-1) / np.where(product > 0, product, 1.0)
    return np.where(of_truth > 0, rho, np.nan)


def _conclude(
    scores: _Scores,
    methods: Sequence[str],
    longest: int,
    adaptive_lengths: Sequence[int],
    cube: Floats,
    rng: np.random.Generator,
    n_resamples: int,
) -> Comparison:
    drawn = rng.integers(
        0, len(cube), (n_resamples, len(cube))
    )  # the same for all: what is compared is paired
    base_rho, base_error = scores.get("", 0)
    steps = []
    for method in (*methods, RANDOM):
        for k in range(longest + 1):
            rho, error = scores.get(method, k)
            steps.append(Step(method, k, estimate(rho - base_rho, drawn), estimate(error, drawn)))
    verdicts = []
    for k in adaptive_lengths:
        rho, error = scores.get(ADAPTIVE, k)
        steps.append(Step(ADAPTIVE, k, estimate(rho - base_rho, drawn), estimate(error, drawn)))
        fixed = [step for step in steps if step.n_questions == k and step.method in methods]
        rival = max(fixed, key=lambda step: step.gain.mean).method
        rival_rho, rival_error = scores.get(rival, k)
        verdicts.append(
            Verdict(k, rival, estimate(rho - rival_rho, drawn), estimate(error - rival_error, drawn))
        )
    n_raters, n_posts, n_values = cube.shape
    return Comparison(
        steps,
        consensus_rho=estimate(base_rho, drawn),
        consensus_error=estimate(base_error, drawn),
        verdicts=verdicts,
        n_raters=n_raters,
        n_posts=n_posts,
        n_values=n_values,
        longest=longest,
        n_undefined=n_raters * n_posts - int(scores.sums["", 0][1].sum()),
    )


def estimate(per_rater: Floats, drawn: Ints) -> Estimate:
    """Mean over raters and its 95% percentile interval over the drawn resamples of raters (rows of indices)."""
    n_raters = int((~np.isnan(per_rater)).sum())
    if not n_raters:
        return Estimate(np.nan, np.nan, np.nan, 0)
    present = ~np.isnan(per_rater)
    values = np.where(present, per_rater, 0.0)
    counts = present[drawn].sum(axis=1)
    means = values[drawn].sum(axis=1)[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [0.025, 0.975]) if n_raters > 1 else (np.nan, np.nan)
    return Estimate(float(per_rater[present].mean()), float(low), float(high), n_raters)
