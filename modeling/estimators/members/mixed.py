"""A mixed model of what sets each rater apart from the consensus, fitted by EM.

A rater's rating of value v is the consensus, recalibrated, plus the rater's own shift for v, plus the rater's own
slope for v times how far the consensus of v lies from its mean, plus noise. Shifts and slopes of all values are
one normal vector per rater, whose mean is linear in the answers to the calibration questionnaire; noise is
normal and correlated over the values of a post. A rater's vector is its posterior mean, so a rater with few ratings
stays near what the answers say, and one with neither is an average rater (Henderson 1975, Biometrics 31,
423-447; Laird and Ware 1982, Biometrics 38, 963-974).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from modeling.estimators.members.base import Arrays, Floats, Ints, Rows, Singles
from modeling.estimators.splitting import deal_folds

N_FOLDS = 5
RECALIBRATION_PENALTIES = (0.01, 0.1, 1.0, 10.0)  # in units of the features' mean variance
ANSWER_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # in units of the number of raters
FIRST_SLOPE_VARIANCE = 0.1  # where EM begins; a slope of one is the consensus's own
MAX_ROUNDS = 60
TOLERANCE = 1e-3  # EM ends when the covariances change by less, relatively


@dataclass(frozen=True, eq=False)
class FittedMixed:
    """See the module; `Fitted` says what the methods do.

    Attributes
    ----------
    scale : (lowest, highest) rating; predictions are clipped to it
    centre : ndarray of shape (n_values,)
        Mean consensus; stands in where a consensus is missing.
    shift : ndarray of shape (n_values,)
    slopes : ndarray of shape (n_values, n_values)
        Column v is the change of value v's rating with the consensus of each value.
    answer_means, answer_spreads : ndarrays of shape (n_questions,)
        A missing answer is taken as the mean.
    effects : ndarray of shape (n_questions, 2 * n_values)
        Of standardized answers on a rater's shifts and slopes.
    known : ndarray of shape (n_raters, 2 * n_values) or None
        Shifts of all values, followed by slopes.
    """

    scale: tuple[int, int]
    centre: Floats
    shift: Floats
    slopes: Floats
    answer_means: Floats
    answer_spreads: Floats
    effects: Floats
    known: Floats | None

    def describe(self, answers: Floats) -> Floats:
        """Return the expected shifts and slopes of raters with these answers, shape (n, 2 * n_values)."""
        return _standardize(answers, self.answer_means, self.answer_spreads) @ self.effects

    def predict(self, consensus: Floats, vectors: Floats) -> Floats:
        """Predict n pairs of posts, shape (n, n_values), and raters, shape (n, 2 * n_values)."""
        away = _fill(consensus, self.centre) - self.centre
        n_values = len(self.centre)
        expected = self.centre + self.shift + away @ self.slopes
        own = vectors[:, :n_values] + vectors[:, n_values:] * away
        clipped: Floats = np.clip(expected + own, *self.scale)
        return clipped

    def score_all(self, value: int, consensus: Floats, vectors: Floats, *, n_threads: int = 1) -> Singles:
        """Predict one value for all pairs, shape (n_raters, n_posts): a product of two narrow matrices."""
        away = _fill(consensus, self.centre) - self.centre
        expected = self.centre[value] + self.shift[value] + away @ self.slopes[:, value]
        of_posts = np.stack([expected, np.ones(len(away)), away[:, value]])
        own = vectors[:, [value, len(self.centre) + value]]
        of_raters = np.hstack([np.ones((len(own), 1)), own])
        scores: Singles = of_raters.astype(np.float32) @ of_posts.astype(np.float32)
        return np.clip(scores, *self.scale, out=scores)

    def pack(self) -> Arrays:
        """Return what `unpack` reads."""
        arrays: Arrays = {name: getattr(self, name) for name in PARTS}
        arrays["scale"] = np.array(self.scale)
        if self.known is not None:
            arrays["known"] = self.known
        return arrays


PARTS = ("centre", "shift", "slopes", "answer_means", "answer_spreads", "effects")


def unpack(arrays: Mapping[str, NDArray[Any]]) -> FittedMixed:
    """Return the model that `pack` made arrays of.

    Raises ValueError, naming what is wrong, unless the arrays are a mixed model.
    """
    for name in (*PARTS, "scale"):
        if name not in arrays:
            raise ValueError(f"the mixed model has no {name}; restore the file, or fit again")
    n_values, n_questions = arrays["centre"].size, arrays["answer_means"].size
    shapes = {
        "centre": (n_values,),
        "shift": (n_values,),
        "slopes": (n_values, n_values),
        "answer_means": (n_questions,),
        "answer_spreads": (n_questions,),
        "effects": (n_questions, 2 * n_values),
    }
    if "known" in arrays:
        shapes["known"] = (len(arrays["known"]), 2 * n_values)
    parts: dict[str, Floats] = {}
    for name, shape in shapes.items():
        if arrays[name].dtype.kind != "f" or arrays[name].shape != shape:
            raise ValueError(f"{name} is {arrays[name].dtype} of shape {arrays[name].shape}, not {shape}")
        parts[name] = arrays[name].astype(np.float64)
        if not np.isfinite(parts[name]).all():
            raise ValueError(f"{name} of the mixed model holds numbers that are not finite")
    if (parts["answer_spreads"] <= 0).any():
        raise ValueError("answer_spreads of the mixed model must be above zero")
    scale = arrays["scale"]
    if scale.shape != (2,) or scale.dtype.kind != "i" or scale[0] >= scale[1]:
        raise ValueError("scale of the mixed model must be two whole numbers, the lower first")
    known = parts.pop("known", None)
    return FittedMixed(scale=(int(scale[0]), int(scale[1])), known=known, **parts)


class MixedEffects:
    """Fits the mixed model; all its penalties are chosen inside the rows by cross-validation."""

    name = "mixed"

    def fit(self, rows: Rows, *, history: bool, seed: int, n_threads: int = 1) -> FittedMixed:
        """Fit to rows, see `Member`.

        Raises
        ------
        ValueError
            If no row has a rating.
        """
        present = ~np.isnan(rows.ratings)
        if not present.any():
            raise ValueError("no row has a rating; load more ratings")
        centre = _mean_consensus(rows)
        away = _fill(rows.consensus, centre) - centre
        residuals = np.where(present, rows.ratings - centre - away, 0.0)
        shift, slopes = _recalibrate(away, residuals, present, rows.posts, np.random.default_rng(seed))
        residuals = np.where(present, residuals - shift - away @ slopes, 0.0)

        means = _mean(rows.answers, 0.0)
        spreads = _spread(rows.answers, means)
        answers = _standardize(rows.answers, means, spreads)
        design = _Design(rows.raters, rows.n_raters, away, residuals, present)
        covariances = design.first_covariances()
        nothing = np.zeros((answers.shape[1], 2 * away.shape[1]))
        covariances, effects = _expect_and_maximize(design, covariances, answers, nothing, np.inf)
        if answers.shape[1]:
            vectors = design.posterior(covariances, np.zeros((rows.n_raters, nothing.shape[1])))[0]
            penalty = _choose_answer_penalty(answers[design.seen], vectors[design.seen], away)
            if np.isfinite(penalty):
                covariances, effects = _expect_and_maximize(design, covariances, answers, effects, penalty)
        known = design.posterior(covariances, answers @ effects)[0] if history else None
        slopes = slopes + np.eye(away.shape[1])
        return FittedMixed(rows.scale, centre, shift, slopes, means, spreads, effects, known)


@dataclass(frozen=True, eq=False)
class _Covariances:
    """Of raters' vectors, shape (2 V, 2 V), and of the noise of a row, shape (V, V)."""

    vectors: Floats
    noise: Floats


class _Design:
    """Rows grouped by which values are missing, with the sums over a rater's rows that EM needs."""

    def __init__(
        self, raters: Ints, n_raters: int, away: Floats, residuals: Floats, present: NDArray[np.bool_]
    ) -> None:
        self.raters, self.n_raters = raters, n_raters
        self.away, self.residuals, self.present = away, residuals, present
        self.seen = np.flatnonzero(np.bincount(raters[present.any(axis=1)], minlength=n_raters))
        self.groups = []
        patterns, pattern_of = np.unique(present, axis=0, return_inverse=True)
        for k, shown in enumerate(patterns):
            if not shown.any():
                continue
            rows = np.flatnonzero(pattern_of.ravel() == k)
            own, place = np.unique(raters[rows], return_inverse=True)
            sums = sparse.csr_matrix(
                (np.ones(len(rows)), (place.ravel(), np.arange(len(rows)))), shape=(len(own), len(rows))
            )
            regressors = np.hstack([np.ones_like(away[rows]), away[rows]])
            products = np.stack(
                [regressors[place.ravel() == i].T @ regressors[place.ravel() == i] for i in range(len(own))]
            )
            self.groups.append((shown, rows, own, sums, products))

    def first_covariances(self) -> _Covariances:
        """Return half of the residuals' variance for shifts and half for noise, and small slopes."""
        n_values = self.residuals.shape[1]
        variance = np.square(self.residuals).sum(axis=0) / np.maximum(self.present.sum(axis=0), 1)
        half = np.maximum(variance / 2, 1e-3)
        return _Covariances(
            np.diag(np.concatenate([half, np.full(n_values, FIRST_SLOPE_VARIANCE)])), np.diag(half)
        )

    def posterior(self, covariances: _Covariances, means: Floats) -> tuple[Floats, Floats]:
        """Return means and covariances of all raters' vectors, given their rows and their prior means."""
        prior = _inverse(covariances.vectors)
        precision = np.repeat(prior[None], self.n_raters, axis=0)
        pull = means @ prior
        for shown, rows, own, sums, products in self.groups:
            weight = _inverse_of_shown(covariances.noise, shown)
            precision[own] += np.tile(weight, (2, 2)) * products
            weighted = self.residuals[rows] @ weight
            pull[own] += sums @ np.hstack([weighted, weighted * self.away[rows]])
        covariance = np.linalg.inv(precision).astype(np.float64, copy=False)
        means_given: Floats = np.einsum("ijk,ik->ij", covariance, pull)
        return means_given, covariance

    def noise(self, covariances: _Covariances, vectors: Floats, uncertainty: Floats) -> Floats:
        """Return the expected sum over rows of the noise's outer products."""
        n_values = self.away.shape[1]
        total = np.zeros((n_values, n_values))
        for shown, rows, own, _, products in self.groups:
            of_rows = vectors[self.raters[rows]]
            left = self.residuals[rows] - of_rows[:, :n_values] - of_rows[:, n_values:] * self.away[rows]
            left = np.where(shown, left, 0.0)
            spread = (uncertainty[own] * products).sum(axis=0)
            spread = spread.reshape(2, n_values, 2, n_values).sum(axis=(0, 2))
            weight = _inverse_of_shown(covariances.noise, shown)
            carry = covariances.noise @ weight  # what the shown values say of the others
            total += carry @ (left.T @ left + spread) @ carry.T
            total += len(rows) * (covariances.noise - carry @ covariances.noise)
        return total


def _expect_and_maximize(
    design: _Design, covariances: _Covariances, answers: Floats, effects: Floats, penalty: float
) -> tuple[_Covariances, Floats]:
    """Run EM to its end. An infinite penalty leaves the effects as they are.

    Both covariances are drawn towards one in which all values are alike, with the weight of as many raters or
    rows as they have columns: with few raters the shape of thousands of covariances cannot be told.
    """
    n_seen = len(design.seen)
    n_rows = sum(len(group[1]) for group in design.groups)
    n_values = len(covariances.noise)
    of_seen = answers[design.seen]
    gram = (
        of_seen.T @ of_seen + penalty * max(n_seen, 1) * np.eye(answers.shape[1])
        if np.isfinite(penalty)
        else None
    )
    for _ in range(MAX_ROUNDS):
        vectors, uncertainty = design.posterior(covariances, answers @ effects)
        if gram is not None:
            effects = np.asarray(np.linalg.solve(gram, of_seen.T @ vectors[design.seen]), np.float64)
        apart = (vectors - answers @ effects)[design.seen]
        between = (apart.T @ apart + uncertainty[design.seen].sum(axis=0)) / max(n_seen, 1)
        within = design.noise(covariances, vectors, uncertainty) / max(n_rows, 1)
        renewed = _Covariances(
            _draw_together(between, n_values, n_seen), _draw_together(within, n_values, n_rows)
        )
        change = max(
            np.abs(new - old).max() / np.abs(old).max()
            for new, old in (
                (renewed.vectors, covariances.vectors),
                (renewed.noise, covariances.noise),
            )
        )
        covariances = renewed
        if change < TOLERANCE:
            break
    return covariances, effects


def _draw_together(covariance: Floats, n_values: int, n_observed: int) -> Floats:
    """Return the covariance drawn towards its mean over all ways to rename the values."""
    n_blocks = len(covariance) // n_values
    alike = np.empty_like(covariance)
    for i in range(n_blocks):
        for j in range(n_blocks):
            at = np.s_[i * n_values : (i + 1) * n_values, j * n_values : (j + 1) * n_values]
            block = covariance[at]
            same = np.trace(block) / n_values
            other = (block.sum() - np.trace(block)) / max(n_values * (n_values - 1), 1)
            alike[at] = other + (same - other) * np.eye(n_values)
    share = len(covariance) / (len(covariance) + n_observed)
    drawn: Floats = (1 - share) * covariance + share * alike
    # A rating without noise, or raters all alike, would leave nothing to invert.
    return drawn + 1e-6 * np.eye(len(drawn))


def _recalibrate(
    away: Floats,
    residuals: Floats,
    present: NDArray[np.bool_],
    posts: Ints,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return shift and slopes that bring the consensus nearer to ratings of posts not fitted to, if any do.

    Ridge regressions of the residuals on the consensus of all values; one penalty for all, chosen by
    cross-validation over posts. Zeros where posts differ too much for any to help.
    """
    n_values = away.shape[1]
    nothing = np.zeros(n_values), np.zeros((n_values, n_values))
    codes, place = np.unique(posts, return_inverse=True)
    if len(codes) < 2:
        return nothing
    folds = deal_folds(len(codes), min(N_FOLDS, len(codes)), rng=rng)[place]
    candidates = (*RECALIBRATION_PENALTIES, np.inf)
    errors = np.zeros(len(candidates))
    for fold in range(folds.max() + 1):
        seen, unseen = folds != fold, folds == fold
        for k, penalty in enumerate(candidates):
            shift, slopes = _ridge(away[seen], residuals[seen], present[seen], penalty)
            left = residuals[unseen] - shift - away[unseen] @ slopes
            errors[k] += np.square(left[present[unseen]]).sum()
    best = int(np.argmin(errors))
    if errors[best] >= np.square(residuals[present]).sum():
        return nothing
    return _ridge(away, residuals, present, candidates[best])


def _ridge(
    away: Floats, residuals: Floats, present: NDArray[np.bool_], penalty: float
) -> tuple[Floats, Floats]:
    n_values = away.shape[1]
    shift, slopes = np.zeros(n_values), np.zeros((n_values, n_values))
    for value in range(n_values):
        shown = present[:, value]
        if not shown.any():
            continue
        features, target = away[shown], residuals[shown, value]
        middle = features.mean(axis=0)
        shift[value] = target.mean()
        if np.isinf(penalty):
            continue
        centred = features - middle
        gram = centred.T @ centred / len(target)
        strength = penalty * max(np.trace(gram) / n_values, 1e-9)
        slopes[:, value] = np.linalg.solve(
            gram + strength * np.eye(n_values), centred.T @ target / len(target)
        )
        shift[value] -= middle @ slopes[:, value]
    return shift, slopes


def _choose_answer_penalty(answers: Floats, vectors: Floats, away: Floats) -> float:
    """Return the ridge penalty under which raters' vectors are best foretold from the others', or infinity.

    Each rater is left out in turn, by the regression's own formula. A slope counts as much as it moves ratings.
    """
    moved = np.concatenate([np.ones(away.shape[1]), np.sqrt(np.square(away).mean(axis=0))])
    wanted = vectors * moved
    best, least = np.inf, float(np.square(wanted).sum())
    for penalty in ANSWER_PENALTIES:
        gram = answers.T @ answers + penalty * len(answers) * np.eye(answers.shape[1])
        hat = answers @ np.linalg.solve(gram, answers.T)
        left = (wanted - hat @ wanted) / (1 - np.diag(hat))[:, None]
        error = float(np.square(left).sum())
        if error < least:
            best, least = penalty, error
    return best


def _inverse(covariance: Floats) -> Floats:
    inverse = np.linalg.inv(covariance).astype(np.float64, copy=False)
    return (inverse + inverse.T) / 2


def _inverse_of_shown(covariance: Floats, shown: NDArray[np.bool_]) -> Floats:
    """Return the inverse of the shown part, zero elsewhere."""
    inverse = np.zeros_like(covariance)
    inverse[np.ix_(shown, shown)] = _inverse(covariance[np.ix_(shown, shown)])
    return inverse


def _mean_consensus(rows: Rows) -> Floats:
    """Mean consensus of each value; where there is none, the mean rating, or else the middle of the scale."""
    middle = (rows.scale[0] + rows.scale[1]) / 2
    ratings = np.array([_mean(column[:, None], middle)[0] for column in rows.ratings.T])
    means = _mean(rows.consensus, np.nan)
    filled: Floats = np.where(np.isnan(means), ratings, means)
    return filled


def _mean(table: Floats, otherwise: float) -> Floats:
    present = ~np.isnan(table)
    counts = present.sum(axis=0)
    sums = np.where(present, table, 0.0).sum(axis=0)
    means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), otherwise)
    return means


def _spread(table: Floats, means: Floats) -> Floats:
    spread = np.sqrt(_mean(np.square(table - means), 1.0))
    return np.where(spread > 0, spread, 1.0)


def _standardize(answers: Floats, means: Floats, spreads: Floats) -> Floats:
    return _fill(answers - means, np.zeros_like(means)) / spreads


def _fill(table: Floats, stand_in: Floats) -> Floats:
    filled: Floats = np.where(np.isnan(table), stand_in, table)
    return filled
