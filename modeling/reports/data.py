"""What the reports are computed from: a study's ratings as arrays, and what is known of raters and posts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from .names import KNOWN, VIEWS

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

N_RESAMPLES = 1000
CI_LEVEL = 0.95
ACADEMIC_FEE = 1 / 3  # that Prolific adds to the pay in academic studies, before tax
INTERVAL_LEVEL = 0.8  # of the prediction intervals of a fit
CURVES = ("answers", "raters")
MOST_LEVELS = 20  # of a scale whose shares are listed level by level


@dataclass(frozen=True)
class ValueInfo:
    """One value of the system.

    Attributes
    ----------
    key, name, label : what it is called in data, by researchers, and before raters
    group : name of the branch above it; empty in a flat system
    """

    key: str
    name: str
    label: str
    group: str = ""


@dataclass(frozen=True, eq=False)
class RatingTable:
    """A study's ratings, one row per annotation.

    Attributes
    ----------
    ratings : ndarray of shape (n_rows, n_values), in scale points; NaN where a value was not shown
    raters, posts : ndarrays of int, shape (n_rows,), codes from 0
    n_raters, n_posts : int
    values : one per column, in the system's order
    scale : (lowest, highest) rating

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating lies outside the scale or is infinite, or a
        rater has two rows of one post.
    """

    ratings: Floats
    raters: Ints
    posts: Ints
    n_raters: int
    n_posts: int
    values: tuple[ValueInfo, ...]
    scale: tuple[int, int]

    def __post_init__(self) -> None:
        n_values = len(self.values)
        if not n_values or self.ratings.ndim != 2 or self.ratings.shape[1] != n_values:
            raise ValueError(
                f"ratings has shape {self.ratings.shape} for {n_values} values: give one column per value, and at "
                "least one"
            )
        _check_codes(self.raters, self.n_raters, len(self.ratings), "raters")
        _check_codes(self.posts, self.n_posts, len(self.ratings), "posts")
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale is {self.scale}: its second number must be above the first")
        for value, column in zip(self.values, self.ratings.T, strict=True):
            outside = (column < self.scale[0]) | (column > self.scale[1])
            if outside.any():
                row = int(outside.argmax())
                raise ValueError(
                    f"ratings[{row}] of '{value.key}' is {column[row]}, outside the scale {self.scale}: mend the "
                    "rating or the scale"
                )
        pairs = np.sort(self.raters.astype(np.int64) * self.n_posts + self.posts)
        twice = np.flatnonzero(pairs[1:] == pairs[:-1])
        if len(twice):
            rater, post = divmod(int(pairs[twice[0]]), self.n_posts)
            raise ValueError(
                f"rater {rater} has more than one row of post {post} ({len(twice)} such rows in all): keep one of them"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The values' keys, in order."""
        return tuple(value.key for value in self.values)


@dataclass(frozen=True, eq=False, kw_only=True)
class AgreementData(RatingTable):
    """What the agreement report sees beyond the ratings.

    Attributes
    ----------
    post_ids, post_keys : of each post
    own_scores : ndarray of shape (n_raters, n_values) or None
        How much each rater holds each value; NaN where unknown.
    own_scores_source : what they come from, or why there are none
    groups : question to the answer of each rater; None or empty where unknown
    numbers : question to an ndarray of shape (n_raters,); NaN where unknown
    labels : question to its wording
    screening : ndarray of shape (n_posts, n_values) or None
        The score by which posts were screened in or out; NaN where there is none.
    posts_per_rater : how many posts the study gives each rater; None where it is not set
    reward : pay of one rater in the currency's minor unit, or None
    currency : its code
    fee : what the recruiting platform adds, as a share of the pay
    """

    post_ids: tuple[int, ...]
    post_keys: tuple[str, ...]
    own_scores: Floats | None = None
    own_scores_source: str = ""
    groups: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    screening: Floats | None = None
    screened_by_standin: bool = False
    posts_per_rater: int | None = None
    reward: int | None = None
    currency: str = ""
    fee: float = ACADEMIC_FEE

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("post_ids", "post_keys"):
            if len(getattr(self, name)) != self.n_posts:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} entries for {self.n_posts} posts: give one each"
                )
        _check_shape(self.own_scores, (self.n_raters, len(self.values)), "own_scores")
        _check_shape(self.screening, (self.n_posts, len(self.values)), "screening")
        _check_facts(self.groups, self.numbers, self.n_raters)


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationData(RatingTable):
    """What the evaluation report sees beyond the ratings.

    Attributes
    ----------
    test_rows : ndarray of int, the rows of the held-out posts
    predictions : name to ndarray of shape (len(test_rows), n_values)
        The one named 'personalized' knows the rater, the others do not.
    consensus_name : the prediction that the personalized one starts from
    consensus_scores : ndarray of shape (n_posts, n_values) or None
        What that model says of each post; None where it is the crowd itself.
    importances : ndarray of shape (n_values, n_features) or None
        How much each feature served the personalized model, value by value.
    feature_names : of each feature
    held_out_posts : ndarray of int or None, the posts set aside before any fitting
        Those of `test_rows` where it is None.
    new_rows : ndarray of int, the rows of raters of whom a second fit saw their answers alone
    new_predictions : name to ndarray of shape (len(new_rows), n_values), by that second fit
    intervals : "known" or "new" to the (low, high) ends of the personalized prediction
        Arrays shaped as the predictions of test_rows or new_rows; INTERVAL_LEVEL of ratings should lie between.
    curves : "answers" or "raters" to count to ndarray of shape (len(new_rows), n_values)
        Predictions from that many answers of each new rater, or by a fit to that many raters.
    member_names : of what the personalized prediction blends
    weights : "known" or "new" to ndarray of shape (len(member_names),)
    method : what the personalized prediction comes from, by its name
    fit_notes : what the fit has to say of itself, such as what the model could see
    groups, numbers, labels : as for AgreementData
    """

    test_rows: Ints
    predictions: Mapping[str, Floats]
    consensus_name: str = ""
    consensus_scores: Floats | None = None
    importances: Floats | None = None
    feature_names: tuple[str, ...] = ()
    held_out_posts: Ints | None = None
    new_rows: Ints = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    new_predictions: Mapping[str, Floats] = field(default_factory=dict)
    intervals: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[int, Floats]] = field(default_factory=dict)
    member_names: tuple[str, ...] = ()
    weights: Mapping[str, Floats] = field(default_factory=dict)
    method: str = ""
    fit_notes: tuple[str, ...] = ()
    groups: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_codes(self.test_rows, len(self.ratings), len(self.test_rows), "test_rows")
        for name, predicted in self.predictions.items():
            _check_shape(predicted, (len(self.test_rows), len(self.values)), f"predictions['{name}']")
        _check_shape(self.consensus_scores, (self.n_posts, len(self.values)), "consensus_scores")
        _check_shape(self.importances, (len(self.values), len(self.feature_names)), "importances")
        _check_facts(self.groups, self.numbers, self.n_raters)
        self._check_new_raters()
        self._check_blend()

    def _check_new_raters(self) -> None:
        _check_codes(self.new_rows, len(self.ratings), len(self.new_rows), "new_rows")
        shape = (len(self.new_rows), len(self.values))
        for name, predicted in self.new_predictions.items():
            _check_shape(predicted, shape, f"new_predictions['{name}']")
        _check_names(self.curves, CURVES, "curves")
        for kind, curve in self.curves.items():
            for size, predicted in curve.items():
                _check_shape(predicted, shape, f"curves['{kind}'][{size}]")
        if self.held_out_posts is not None:
            _check_codes(self.held_out_posts, self.n_posts, len(self.held_out_posts), "held_out_posts")

    def _check_blend(self) -> None:
        _check_names(self.intervals, VIEWS, "intervals")
        for view, (low, high) in self.intervals.items():
            n_rows = len(self.test_rows if view == KNOWN else self.new_rows)
            for end, array in (("low", low), ("high", high)):
                _check_shape(array, (n_rows, len(self.values)), f"{end} end of intervals['{view}']")
            crossed = low > high
            if crossed.any():
                row, column = (int(place) for place in np.argwhere(crossed)[0])
                raise ValueError(
                    f"intervals['{view}'][{row}, {column}] runs from {low[row, column]} down to "
                    f"{high[row, column]}: its low end comes first"
                )
        _check_names(self.weights, VIEWS, "weights")
        for view, weights in self.weights.items():
            _check_shape(weights, (len(self.member_names),), f"weights['{view}']")

    @property
    def is_held_out(self) -> NDArray[np.bool_]:
        """Whether each post was set aside before any fitting; shape (n_posts,)."""
        found = np.zeros(self.n_posts, dtype=np.bool_)
        found[self.posts[self.test_rows] if self.held_out_posts is None else self.held_out_posts] = True
        return found


def fingerprint(data: RatingTable) -> str:
    """Return the SHA-256 of everything that a report saw: ratings, answers and pay alike.

    Numbers that a database gave to posts are left out: the same data elsewhere has the same fingerprint.
    """
    digest = hashlib.sha256()
    for each in fields(data):
        if each.name == "post_ids":
            continue
        digest.update(each.name.encode())
        _add(digest, getattr(data, each.name))
    return digest.hexdigest()


def _add(digest: hashlib._Hash, part: object) -> None:
    if isinstance(part, np.ndarray):
        digest.update(f"{part.dtype.kind} {part.shape}".encode())
        digest.update(
            np.ascontiguousarray(part, dtype=np.float64 if part.dtype.kind == "f" else np.int64).data
        )
    elif isinstance(part, Mapping):
        for name, held in part.items():
            digest.update(repr(name).encode())
            _add(digest, held)
    elif isinstance(part, tuple) and any(isinstance(held, np.ndarray) for held in part):
        for held in part:
            _add(digest, held)
    else:
        digest.update(repr(part).encode())


def _check_codes(codes: Ints, n_codes: int, n_rows: int, name: str) -> None:
    if codes.shape != (n_rows,):
        raise ValueError(f"{name} has shape {codes.shape} for {n_rows} rows: give one number per row")
    outside = (codes < 0) | (codes >= n_codes)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"{name}[{row}] is {codes[row]}: the numbers run from 0 to {n_codes - 1}")


def _check_names(given: Mapping[str, object], known: tuple[str, ...], name: str) -> None:
    for each in given:
        if each not in known:
            raise ValueError(f"{name} has '{each}'; it may have {' and '.join(known)}")


def _check_shape(array: Floats | None, shape: tuple[int, ...], name: str) -> None:
    if array is not None and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; it must be {shape}")


def _check_facts(
    groups: Mapping[str, Sequence[str | None]], numbers: Mapping[str, Floats], n_raters: int
) -> None:
    for question, facts in [*groups.items(), *numbers.items()]:
        if len(facts) != n_raters:
            raise ValueError(
                f"'{question}' has {len(facts)} answers for {n_raters} raters: give one each, None or NaN where unknown"
            )
