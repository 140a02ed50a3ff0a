"""The encoder that needs no download: hashed words and parts of words, and a linear head taught distributions.

For each value the points of the scale compete by a softmax whose scores are linear in the terms of a text. With the
loss "cross_entropy" each point has a weight per term of its own. With "ordinal" each value has two weights per term:
one moves its distribution up the scale, one draws it apart or together. Points keep a bias each. Both are taught by
the cross-entropy against the label's distribution; the second knows that points are in order and has fewer weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import kernels
from .base import Arrays, Distributions, Lessons, OnProgress, check_lessons, read_scale
from .features import Terms, Vocabulary, build_vocabulary, select
from .settings import ORDINAL, EncoderSettings

FORMAT = "linear"
PENALTIES = (0.03, 0.1, 0.3, 1.0, 4.0)
RATE = 0.25
MOST_TO_CHOOSE_BY = 10_000  # posts that penalties are tried on
FEWEST_TO_SPLIT = 10
PATIENCE = 3  # passes without a lower loss on the posts judged
PRIOR = 1.0  # posts' worth of an even distribution, with which biases begin
TEXTS_AT_ONCE = 20_000


class LinearEncoder:
    """Weights of terms, and biases of points, for each value.

    Parameters
    ----------
    vocabulary : which terms count
    weights : ndarray of float32, shape (n_terms, n_values * n_directions)
    biases : ndarray of float32, shape (n_values, n_points)
    basis : ndarray of float32, shape (n_directions, n_points)
    points : ndarray of shape (n_points,)
    choice : what was chosen and how good it was, for people to read

    Raises
    ------
    ValueError
        If their shapes do not fit one another, or a number is not finite.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        weights: NDArray[np.float32],
        biases: NDArray[np.float32],
        basis: NDArray[np.float32],
        points: NDArray[np.float64],
        choice: Mapping[str, float] | None = None,
    ) -> None:
        n_terms, n_outputs = len(vocabulary.buckets), biases.shape[0] * basis.shape[0]
        if weights.shape != (n_terms, n_outputs) or not biases.shape[1] == basis.shape[1] == len(points):
            raise ValueError(
                f"weights {weights.shape}, biases {biases.shape} and basis {basis.shape} do not fit "
                f"{n_terms} terms and {len(points)} points"
            )
        if not all(np.isfinite(each).all() for each in (weights, biases, basis, vocabulary.idf)):
            raise ValueError("a weight is not a finite number")
        self.vocabulary = vocabulary
        self.weights = weights
        self.biases = biases
        self.basis = basis
        self.points = points
        self.choice = dict(choice or {})

    def predict(self, texts: Sequence[str]) -> Distributions:
        """Return distributions of shape (n_texts, n_values, n_points); each sums to 1."""
        found = np.empty((len(texts), *self.biases.shape), dtype=np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            terms = self.vocabulary.weigh(texts[start : start + TEXTS_AT_ONCE])
            found[start : start + TEXTS_AT_ONCE] = _predict(terms, self.basis, self.weights, self.biases)
        return found

    def pack(self) -> Arrays:
        """Return plain arrays from which `unpack` makes the same encoder again."""
        return {
            "format": np.array(FORMAT),
            "n_bits": np.array(self.vocabulary.n_bits),
            "buckets": self.vocabulary.buckets,
            "idf": self.vocabulary.idf,
            "weights": self.weights.astype(np.float16),  # which they were rounded to when they were fitted
            "biases": self.biases,
            "basis": self.basis,
            "points": self.points,
        }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> LinearEncoder:
    """Return the encoder that `pack` made these arrays of. Raises KeyError or ValueError when they are not one's."""
    n_bits = int(arrays["n_bits"])
    if not 1 <= n_bits <= 24:
        raise ValueError(f"terms cannot be hashed into 2**{n_bits} buckets")
    vocabulary = Vocabulary(n_bits, arrays["buckets"].astype(np.int32), arrays["idf"].astype(np.float32))
    weights, biases, basis = (arrays[name].astype(np.float32) for name in ("weights", "biases", "basis"))
    return LinearEncoder(vocabulary, weights, biases, basis, read_scale(arrays))


def fit_linear(
    texts: Sequence[str],
    targets: NDArray[Any],
    points: ArrayLike,
    settings: EncoderSettings,
    dev: Lessons | None = None,
    report: OnProgress | None = None,
) -> LinearEncoder:
    """Fit a linear encoder; the same texts, targets and settings give the same one.

    How strongly weights are drawn to zero, and how often the posts are gone through, is chosen by the cross-entropy
    on the development posts. Where none are given, a share of the texts serves (`settings.dev_share`), and the
    encoder is then fitted to all texts as chosen.

    Parameters
    ----------
    texts : n strings
    targets : array of shape (n, n_values, n_points), NaN for a (post, value) without a label
    points : array-like of shape (n_points,), the scale, increasing
    dev : texts and targets by which to choose
    report : told of the progress; whatever it raises ends the fit

    Raises
    ------
    ValueError
        If labels are no distributions, or fewer than two texts have any.
    """
    scale = np.asarray(points, dtype=np.float64)
    labels = check_lessons(texts, targets, scale)
    labeled = np.flatnonzero((~np.isnan(labels[:, :, 0])).any(axis=1))
    if len(labeled) < 2:
        raise ValueError(f"{len(labeled)} text has a label; an encoder needs at least two")
    vocabulary = build_vocabulary(texts, settings.linear["buckets_log2"])
    basis = build_basis(scale, settings.loss)
    whole = Lesson(vocabulary.weigh(texts), labels)
    if len(labeled) < len(texts):
        whole = whole.select(labeled)
    taught, judged = whole, None
    if dev is not None:
        judged = Lesson(vocabulary.weigh(dev[0]), check_lessons(dev[0], dev[1], scale))
    elif len(labeled) >= FEWEST_TO_SPLIT:
        order = np.random.default_rng(settings.seed).permutation(len(labeled))[:MOST_TO_CHOOSE_BY]
        n_judged = max(1, round(settings.dev_share * len(order)))
        judged = whole.select(np.sort(order[:n_judged]))
        taught = whole.select(np.sort(order[n_judged:]))
    penalties = (settings.linear["penalty"],) if settings.linear["penalty"] else PENALTIES
    plans = [Plan(penalty, settings.linear["epochs"]) for penalty in penalties]
    n_fits = len(plans) * (judged is not None) + (dev is None)
    work = _Work(report, n_fits * settings.linear["epochs"])
    head = _Head(len(vocabulary.buckets), whole.targets, basis)
    plan, choice = plans[-1], dict[str, float]()
    if judged is not None:
        plan, head, choice = _choose(head, taught, judged, plans, settings.seed, work)
    if dev is None:
        head = _Head(len(vocabulary.buckets), whole.targets, basis)
        for _ in head.learn(whole, plan, settings.seed):
            work.tell()
    work.tell(work.n_passes)  # what was planned and not needed
    weights = head.weights.astype(np.float16).astype(np.float32)  # as they are stored
    return LinearEncoder(vocabulary, weights, head.biases, basis, scale, choice)


@dataclass(frozen=True)
class Plan:
    """How strongly weights are drawn to zero, and how often the posts are gone through."""

    penalty: float
    n_epochs: int


@dataclass(frozen=True, eq=False)
class Lesson:
    """Posts as terms, and the distributions wanted of them."""

    terms: Terms
    targets: Distributions

    def select(self, posts: NDArray[np.intp]) -> Lesson:
        """Return these posts, in their order."""
        return Lesson(select(self.terms, posts), self.targets[posts])


def build_basis(points: NDArray[np.float64], loss: str) -> NDArray[np.float32]:
    """Return what the numbers that a text gives for a value add to each point, shape (n_directions, n_points)."""
    if loss != ORDINAL:
        return np.eye(len(points), dtype=np.float32)
    place = (points - points.mean()) / points.std()
    if len(points) < 3:
        return np.asarray(place[None], dtype=np.float32)
    spread = place**2 - 1
    spread = spread - place * (spread @ place) / (place @ place)
    return np.stack([place, spread / spread.std()]).astype(np.float32)


def cross_entropy(predicted: Distributions, targets: Distributions) -> float:
    """Return the mean cross-entropy in nats over the (post, value) that have a label; NaN when none has."""
    has_label = ~np.isnan(targets[:, :, 0])
    if not has_label.any():
        return float("nan")
    logs = np.log(np.maximum(predicted[has_label], 1e-9))
    return float(-(targets[has_label] * logs).sum(axis=1).mean())


def _predict(
    terms: Terms, basis: NDArray[np.float32], weights: NDArray[np.float32], biases: NDArray[np.float32]
) -> Distributions:
    found: Distributions = kernels.predict(terms.rows, terms.columns, terms.weights, basis, weights, biases)
    return found


class _Work:
    """Counts passes over the posts and tells whoever asked."""

    def __init__(self, report: OnProgress | None, n_passes: int) -> None:
        self.report, self.n_passes, self.n_done = report, n_passes, 0

    def tell(self, n_passes: int = 1) -> None:
        """Count passes that are done, or that need not be done."""
        self.n_done = min(self.n_done + n_passes, self.n_passes)
        if self.report is not None:
            self.report(self.n_done, self.n_passes, "passes over the posts")


class _Head:
    """Weights and biases while they are taught."""

    def __init__(self, n_terms: int, targets: Distributions, basis: NDArray[np.float32]) -> None:
        n_values, n_points = targets.shape[1:]
        self.basis = basis
        self.weights = np.zeros((n_terms, n_values * len(basis)), dtype=np.float32)
        self.weight_squares = np.zeros(n_terms, dtype=np.float32)
        self.bias_squares = np.ones((n_values, n_points), dtype=np.float32)  # they begin near where they end
        mass = np.nansum(targets, axis=0, dtype=np.float64) + PRIOR / n_points
        self.biases = np.log(mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)

    def learn(self, lesson: Lesson, plan: Plan, seed: int) -> Iterator[int]:
        """Go through the posts as often as planned; yields after each time how often it was."""
        rng = np.random.default_rng(seed)
        n_posts = len(lesson.targets)
        for epoch in range(plan.n_epochs):
            kernels.go_through(
                lesson.terms.rows,
                lesson.terms.columns,
                lesson.terms.weights,
                lesson.targets,
                rng.permutation(n_posts),
                self.basis,
                self.weights,
                self.biases,
                self.weight_squares,
                self.bias_squares,
                RATE,
                plan.penalty / n_posts,
            )
            yield epoch + 1

    def predict(self, terms: Terms) -> Distributions:
        """Return what it says of posts as it is now."""
        return _predict(terms, self.basis, self.weights, self.biases)

    def copy(self) -> _Head:
        """Return one that learns on its own from here."""
        other = copy.copy(self)
        for name in ("weights", "biases", "weight_squares", "bias_squares"):
            setattr(other, name, getattr(self, name).copy())
        return other


def _choose(
    blank: _Head, taught: Lesson, judged: Lesson, plans: Sequence[Plan], seed: int, work: _Work
) -> tuple[Plan, _Head, dict[str, float]]:
    """Return the plan and the number of passes with the lowest loss on the judged posts, and what they gave."""
    best_loss, best = float("inf"), (plans[-1], blank)
    for plan in plans:
        head = blank.copy()
        lowest, n_worse = float("inf"), 0
        for n_passes in head.learn(taught, plan, seed):
            work.tell()
            loss = cross_entropy(head.predict(judged.terms), judged.targets)
            if loss < best_loss:
                best_loss, best = loss, (Plan(plan.penalty, n_passes), head.copy())
            n_worse = 0 if loss < lowest else n_worse + 1
            lowest = min(lowest, loss)
            if n_worse == PATIENCE:
                work.tell(plan.n_epochs - n_passes)
                break
    chosen, head = best
    return chosen, head, {"penalty": chosen.penalty, "n_epochs": chosen.n_epochs, "dev_loss": best_loss}
