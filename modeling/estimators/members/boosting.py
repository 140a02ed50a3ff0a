"""One gradient boosting model for all values: what it learns of one value serves the others.

A row is a (rater, post, value), its target the rating minus the post's consensus on that value. What the model is
told of a post depends on the post and the value alone, and what it is told of a rater on the rater and the value
alone, so all pairs can be scored at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.estimators.histogram.boosting import (
    BoostSettings,
    as_forest,
    boost,
    encode,
    find_levels,
    squared_errors,
)
from modeling.estimators.histogram.files import pack_forest, unpack_forest
from modeling.estimators.histogram.forest import HistogramForest
from modeling.estimators.histogram.scoring import score_all_pairs
from modeling.estimators.members.base import Arrays, Floats, Rows, Singles
from modeling.estimators.splitting import deal_folds

N_FOLDS = 3  # to choose the number of trees
N_PROFILE_FOLDS = 5
MAX_ROUNDS = 400
PROFILE_ROWS = 4.0  # rows without a residual that a rater's mean residual counts beside their own
SETTINGS = BoostSettings()
N_POST_EXTRAS = 5


@dataclass(frozen=True, eq=False)
class FittedBoosting:
    """See the module; `Fitted` says what the methods do.

    Attributes
    ----------
    scale : (lowest, highest) rating; predictions are clipped to it
    centre : ndarray of shape (n_values,)
        Mean consensus; what the trees add to where a consensus is missing.
    n_questions : int
    with_history : bool
        Whether vectors end in a profile, see `_profile`.
    forest : HistogramForest
    known : ndarray of shape (n_raters, n_features) or None
    """

    scale: tuple[int, int]
    centre: Floats
    n_questions: int
    with_history: bool
    forest: HistogramForest
    known: Floats | None

    def describe(self, answers: Floats) -> Floats:
        """Return the answers, followed by the profile of an average rater where the model expects one."""
        n_more = len(self.centre) + 2 if self.with_history else 0
        return np.hstack([answers, np.zeros((len(answers), n_more))])

    def predict(self, consensus: Floats, vectors: Floats) -> Floats:
        """Predict n pairs of posts, shape (n, n_values), and raters, shape (n, n_features)."""
        n_values = len(self.centre)
        predicted = np.empty((len(consensus), n_values))
        for value in range(n_values):
            of_posts = describe_posts(consensus, value)
            of_raters = _of_value(vectors, value, self.n_questions, n_values)
            added = self.forest.predict(np.hstack([of_posts, of_raters]))
            predicted[:, value] = self._clip(self._base(consensus, value) + added)
        return predicted

    def score_all(self, value: int, consensus: Floats, vectors: Floats, *, n_threads: int = 1) -> Singles:
        """Predict one value for all pairs, shape (n_raters, n_posts)."""
        of_raters = _of_value(vectors, value, self.n_questions, len(self.centre))
        scores: Singles = score_all_pairs(
            self.forest, describe_posts(consensus, value), of_raters, n_threads=n_threads
        )
        scores += self._base(consensus, value)
        return self._clip(scores)

    def _base(self, consensus: Floats, value: int) -> Singles:
        own = consensus[:, value]
        return np.where(np.isnan(own), self.centre[value], own).astype(np.float32)

    def _clip(self, scores: Singles) -> Singles:
        return np.clip(scores, *(np.float32(end) for end in self.scale), out=scores)

    def pack(self) -> Arrays:
        """Return what `unpack` reads."""
        names = [str(k) for k in range(len(self.forest.levels_))]
        arrays: Arrays = {f"forest_{name}": array for name, array in pack_forest(self.forest, names).items()}
        arrays["scale"], arrays["centre"] = np.array(self.scale), self.centre
        arrays["rater_features"] = np.array([self.n_questions, int(self.with_history)])
        if self.known is not None:
            arrays["known"] = self.known
        return arrays


def unpack(arrays: Mapping[str, NDArray[Any]]) -> FittedBoosting:
    """Return the model that `pack` made arrays of.

    Raises ValueError, naming what is wrong, unless the arrays are a boosting model.
    """
    for name in ("scale", "centre", "rater_features"):
        if name not in arrays:
            raise ValueError(f"the boosting model has no {name}; restore the file, or fit again")
    prefix = "forest_"
    forest = unpack_forest(
        {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    ).forest
    scale, centre, of_raters = arrays["scale"], arrays["centre"], arrays["rater_features"]
    if scale.shape != (2,) or scale.dtype.kind != "i" or scale[0] >= scale[1]:
        raise ValueError("scale of the boosting model must be two whole numbers, the lower first")
    if centre.ndim != 1 or centre.dtype.kind != "f" or not np.isfinite(centre).all():
        raise ValueError("centre of the boosting model must be finite numbers, one for each value")
    if (
        of_raters.shape != (2,)
        or of_raters.dtype.kind != "i"
        or of_raters[0] < 0
        or of_raters[1] not in (0, 1)
    ):
        raise ValueError("rater_features of the boosting model must be a number of questions and 0 or 1")
    n_questions, with_history = int(of_raters[0]), bool(of_raters[1])
    n_expected = len(centre) + N_POST_EXTRAS + n_questions + 3 * with_history
    if len(forest.levels_) != n_expected:
        raise ValueError(f"the boosting model's trees have {len(forest.levels_)} features, not {n_expected}")
    known = arrays.get("known")
    width = n_questions + with_history * (len(centre) + 2)
    if known is not None and (known.dtype.kind != "f" or known.ndim != 2 or known.shape[1] != width):
        raise ValueError(f"known of the boosting model must be numbers in {width} columns")
    return FittedBoosting(
        (int(scale[0]), int(scale[1])), centre.astype(np.float64), n_questions, with_history, forest, known
    )


class PooledBoosting:
    """Fits the boosting model; the number of trees is chosen inside the rows by cross-validation.

    Folds are over posts where raters are known, and over raters where they are new: error is measured as it will
    be met. Folds over raters and posts at once, with fewer rows to fit to and to judge by, end too early.
    """

    name = "boosting"

    def fit(self, rows: Rows, *, history: bool, seed: int, n_threads: int = 1) -> FittedBoosting:
        """Fit to rows, see `Member`. One thread grows the trees, as each waits for those before it.

        Raises
        ------
        ValueError
            If no row has a rating.
        """
        if np.isnan(rows.ratings).all():
            raise ValueError("no row has a rating; load more ratings")
        n_rounds = _choose_rounds(rows, history, seed)
        features, target, centre, profile = _tabulate(rows, history, seed)
        levels = find_levels(features)
        codes = encode(features, levels)
        del features
        trees, decreases = boost(codes, levels, target, n_rounds, SETTINGS, seed)
        known = np.hstack([rows.answers, profile]) if history else None
        forest = as_forest(levels, trees, decreases, seed)
        return FittedBoosting(rows.scale, centre, rows.answers.shape[1], history, forest, known)


def describe_posts(consensus: Floats, value: int) -> Floats:
    """Return what the trees are told of posts when asked for a value, shape (n_posts, n_values + 5).

    The value, its own consensus, the mean and the highest consensus of the post, the share of values whose
    consensus is higher (half for those alike), and the consensus of each value.
    """
    own = consensus[:, [value]]
    present = ~np.isnan(consensus)
    n_present = np.maximum(present.sum(axis=1), 1)
    filled = np.where(present, consensus, 0.0)
    seen = present.any(axis=1)
    mean = np.where(seen, filled.sum(axis=1) / n_present, np.nan)
    highest = np.where(seen, np.where(present, consensus, -np.inf).max(axis=1), np.nan)
    above = ((consensus > own) + 0.5 * (consensus == own)).sum(axis=1) / n_present
    above = np.where(present[:, value], above, np.nan)
    return np.column_stack([np.full(len(own), float(value)), own, mean, highest, above, consensus])


def _of_value(vectors: Floats, value: int, n_questions: int, n_values: int) -> Floats:
    """Return what the trees are told of raters when asked for a value: answers and the value's part of the profile."""
    if vectors.shape[1] == n_questions:
        return vectors
    own = n_questions + value
    return np.hstack([vectors[:, :n_questions], vectors[:, [own]], vectors[:, n_questions + n_values :]])


def _profile(rows: Rows, residuals: Floats, centre: Floats, keep: NDArray[np.bool_]) -> Floats:
    """Return what the kept rows say of each rater, shape (n_raters, n_values + 2).

    Mean residual of each value, mean residual over all, and slope of residuals on the consensus, all drawn
    towards zero: an average rater.
    """
    n_raters, n_values = rows.n_raters, rows.n_values
    raters, left = rows.raters[keep], residuals[keep]
    present = ~np.isnan(left)
    left = np.where(present, left, 0.0)
    away = np.where(np.isnan(rows.consensus[keep]), 0.0, rows.consensus[keep] - centre) * present
    sums, counts = np.zeros((n_raters, n_values)), np.zeros((n_raters, n_values))
    np.add.at(sums, raters, left)
    np.add.at(counts, raters, present)
    overall = sums.sum(axis=1) / (counts.sum(axis=1) + PROFILE_ROWS)
    moved, spread = np.zeros(n_raters), np.zeros(n_raters)
    np.add.at(moved, raters, ((left - overall[raters][:, None]) * away).sum(axis=1))
    np.add.at(spread, raters, np.square(away).sum(axis=1))
    typical = spread.sum() / max(counts.sum(), 1) or 1.0
    slopes = moved / (spread + PROFILE_ROWS * n_values * typical)
    return np.column_stack([sums / (counts + PROFILE_ROWS), overall, slopes])


def _residuals(rows: Rows) -> tuple[Floats, Floats]:
    """Return ratings minus consensus, and the mean consensus of each value, which stands in where there is none."""
    present = ~np.isnan(rows.consensus)
    counts = present.sum(axis=0)
    sums = np.where(present, rows.consensus, 0.0).sum(axis=0)
    centre = np.where(counts > 0, sums / np.maximum(counts, 1), np.mean(rows.scale))
    return rows.ratings - np.where(present, rows.consensus, centre), centre


def _tabulate(rows: Rows, history: bool, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return features and targets of all (row, value), value by value, then centre and profile.

    A row's profile is made without the fold of posts in which its own lies.
    """
    residuals, centre = _residuals(rows)
    profile = _profile(rows, residuals, centre, np.ones(len(rows.raters), dtype=bool))
    vectors = rows.answers[rows.raters]
    if history:
        of_rows = np.zeros((len(rows.raters), profile.shape[1]))
        codes, place = np.unique(rows.posts, return_inverse=True)
        if len(codes) > 1:
            n_folds = min(N_PROFILE_FOLDS, len(codes))
            folds = deal_folds(len(codes), n_folds, rng=np.random.default_rng(seed))[place]
            for fold in range(n_folds):
                here = folds == fold
                of_rows[here] = _profile(rows, residuals, centre, ~here)[rows.raters[here]]
        vectors = np.hstack([vectors, of_rows])
    rated = [np.flatnonzero(~np.isnan(residuals[:, value])) for value in range(rows.n_values)]
    features = np.vstack(
        [
            np.hstack(
                [
                    describe_posts(rows.consensus[of_value], value),
                    _of_value(vectors[of_value], value, rows.answers.shape[1], rows.n_values),
                ]
            )
            for value, of_value in enumerate(rated)
        ]
    )
    target = np.concatenate([residuals[of_value, value] for value, of_value in enumerate(rated)])
    return features, target, centre, profile


def _choose_rounds(rows: Rows, history: bool, seed: int) -> int:
    """Return the number of trees of least squared error on folds not fitted to; none where none helps."""
    unit = rows.posts if history else rows.raters
    codes, place = np.unique(unit, return_inverse=True)
    if len(codes) < 2:
        return 0
    n_folds = min(N_FOLDS, len(codes))
    folds = deal_folds(len(codes), n_folds, rng=np.random.default_rng(seed))[place]
    errors = np.zeros(MAX_ROUNDS + 1)
    for fold in range(n_folds):
        seen, unseen = folds != fold, folds == fold
        if np.isnan(rows.ratings[seen]).all() or np.isnan(rows.ratings[unseen]).all():
            continue
        fitted_to = _take(rows, seen)
        features, target, centre, profile = _tabulate(fitted_to, history, seed)
        levels = find_levels(features)
        trees, _ = boost(encode(features, levels), levels, target, MAX_ROUNDS, SETTINGS, seed)
        vectors = np.hstack([rows.answers, profile]) if history else rows.answers
        checks, left = _pairs(_take(rows, unseen), vectors, centre)
        errors += squared_errors(encode(checks, levels), left, trees)
    return int(np.argmin(errors))


def _pairs(rows: Rows, vectors: Floats, centre: Floats) -> tuple[Floats, Floats]:
    """Return features and targets of rows that were not fitted to."""
    base = np.where(np.isnan(rows.consensus), centre, rows.consensus)
    residuals = rows.ratings - base
    features, targets = [], []
    for value in range(rows.n_values):
        rated = np.flatnonzero(~np.isnan(residuals[:, value]))
        of_raters = _of_value(vectors[rows.raters[rated]], value, rows.answers.shape[1], rows.n_values)
        features.append(np.hstack([describe_posts(rows.consensus[rated], value), of_raters]))
        targets.append(residuals[rated, value])
    return np.vstack(features), np.concatenate(targets)


def _take(rows: Rows, keep: NDArray[np.bool_]) -> Rows:
    return Rows(
        rows.consensus[keep],
        rows.ratings[keep],
        rows.raters[keep],
        rows.posts[keep],
        rows.answers,
        rows.scale,
    )
