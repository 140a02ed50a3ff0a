"""How well yes-or-no decisions match what people say: accuracy, precision, recall, F1 and Cohen's kappa.

People's labels of a post become one by majority or by unanimity. The measures are functions of the four counts of a
confusion table, so that resampling posts is drawing these counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.resampling import Interval, check_resamples

Floats = NDArray[np.float64]
MEASURES = ("accuracy", "kappa", "recall", "precision", "f1")


@dataclass(frozen=True)
class Confusion:
    """How many posts have each pair of labels: the true one and the predicted one."""

    true_yes: int
    false_yes: int
    false_no: int
    true_no: int

    @property
    def n_posts(self) -> int:
        """All posts that have both labels."""
        return self.true_yes + self.false_yes + self.false_no + self.true_no


@dataclass(frozen=True)
class Score:
    """A measure with its interval over posts; NaN with a `reason` where it does not exist."""

    estimate: float
    interval: Interval
    reason: str = ""


@dataclass(frozen=True)
class BinaryScores:
    """All measures of one comparison.

    Attributes
    ----------
    accuracy : share of posts with the same label
    kappa : Cohen's kappa
    recall, precision, f1 : about "yes"; recall is the share of true yes that is predicted, precision the share of
        predicted yes that is true, F1 their harmonic mean
    confusion : the counts they come from
    n_left_out : posts that lack one of the two labels
    """

    accuracy: Score
    kappa: Score
    recall: Score
    precision: Score
    f1: Score
    confusion: Confusion
    n_left_out: int


@dataclass(frozen=True, eq=False)
class JointLabels:
    """One label for each post from those of several raters.

    Attributes
    ----------
    labels : ndarray of shape (n_posts,)
        1 for yes, 0 for no, NaN where the raters give none.
    n_yes, n_no : int
        Posts with each label.
    n_apart : int
        Posts without one, since the raters say different things: of a majority, as many yes as no.
    n_unlabeled : int
        Posts that nobody labeled.
    """

    labels: Floats
    n_yes: int
    n_no: int
    n_apart: int
    n_unlabeled: int


def majority_labels(labels: ArrayLike) -> JointLabels:
    """Return what more than half of a post's raters say.

    Parameters
    ----------
    labels : array-like of shape (n_raters, n_posts)
        1 for yes, 0 for no, NaN where a rater did not label the post.

    Returns
    -------
    JointLabels
        A tie, which only an even number of raters can have, is no majority and counted as `n_apart`.

    Raises
    ------
    ValueError
        If `labels` is not two-dimensional or holds anything else.

    Examples
    --------
    >>> majority_labels([[1, 1, 0], [1, 0, 0], [0, 1, 0]]).labels
    array([1., 1., 0.])
    """
    return _join(labels, needs_all=False)


def unanimous_labels(labels: ArrayLike) -> JointLabels:
    """Return what all raters of a post say alike.

    Parameters
    ----------
    labels : array-like of shape (n_raters, n_posts)
        As for `majority_labels`.

    Returns
    -------
    JointLabels
        Over the raters who labeled the post; `n_apart` counts the posts on which they differ.

    Raises
    ------
    ValueError
        As for `majority_labels`.

    Examples
    --------
    >>> unanimous_labels([[1, 1, 0], [1, 0, 0], [1, 1, 0]]).labels
    array([ 1., nan,  0.])
    """
    return _join(labels, needs_all=True)


def balance(labels: ArrayLike, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw posts so that as many are labeled yes as no; the rarer label keeps all of its posts.

    Parameters
    ----------
    labels : array-like of shape (n_posts,)
        1 for yes, 0 for no, NaN without a label.
    rng : numpy.random.Generator
        Decides which posts of the commoner label stay; the same state gives the same posts.

    Returns
    -------
    ndarray of int
        Places of the posts that stay, in rising order; none where one of the labels has no post.

    Raises
    ------
    ValueError
        If `labels` is not one-dimensional or holds anything else.

    Examples
    --------
    >>> balance([0, 1, float("nan"), 0], rng=np.random.default_rng(1)).tolist()
    [0, 1]
    """
    given = _read_labels(labels, "labels", 1)
    yes, no = np.flatnonzero(given == 1), np.flatnonzero(given == 0)
    n_each = min(len(yes), len(no))
    kept = [rng.choice(places, n_each, replace=False) for places in (yes, no)]
    return np.sort(np.concatenate(kept)).astype(np.int64)


def binary_scores(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = 0.95,
) -> BinaryScores:
    """Compare predicted labels with true ones, post by post. Accuracy and kappa do not depend on which is which.

    Parameters
    ----------
    truth, predicted : array-like of shape (n_posts,)
        1 for yes, 0 for no, NaN without a label; a post enters when it has both.
    rng : numpy.random.Generator
        The same state gives the same intervals.
    n_resamples : int
        Resamples of the posts, drawn with replacement.
    level : float
        Coverage aimed at, between 0 and 1.

    Returns
    -------
    BinaryScores
        Intervals are percentiles over posts. They are NaN below two posts; a resample without the measure is left
        out of its interval's `n_resamples`. Undefined are precision where nothing is predicted yes, recall where
        nothing is yes, F1 where neither is, kappa where both have one and the same label throughout, and all
        of them without a post.

    Raises
    ------
    ValueError
        If the two differ in length or hold anything else, `n_resamples` is below 1, or `level` is not between 0
        and 1.

    References
    ----------
    Cohen (1960), Educational and Psychological Measurement 20(1), 37-46; Efron (1979), Annals of Statistics 7(1),
    1-26; van Rijsbergen (1979), Information Retrieval, 2nd edition, chapter 7.

    Examples
    --------
    >>> found = binary_scores([1, 1, 1, 0], [1, 1, 0, 0], rng=np.random.default_rng(0))
    >>> found.accuracy.estimate, found.kappa.estimate, found.precision.estimate
    (0.75, 0.5, 1.0)
    """
    check_resamples(n_resamples, level)
    true, said = _read_labels(truth, "truth", 1), _read_labels(predicted, "predicted", 1)
    if true.shape != said.shape:
        raise ValueError(
            f"truth has {len(true)} label(s), predicted {len(said)}: give both for the same posts in one order"
        )
    both = ~np.isnan(true) & ~np.isnan(said)
    true, said = true[both] == 1, said[both] == 1
    cells = [np.count_nonzero(cell) for cell in (true & said, ~true & said, true & ~said, ~true & ~said)]
    confusion = Confusion(*(int(cell) for cell in cells))
    n = confusion.n_posts
    counts = np.array([cells], dtype=np.float64)
    estimates = _measure(counts)
    # Posts are exchangeable within a cell: drawing n posts with replacement is drawing the four counts.
    drawn = _measure(rng.multinomial(n, counts[0] / n, size=n_resamples)) if n > 1 else None
    reasons = _find_reasons(confusion)
    scores = {}
    for name in MEASURES:
        resampled = np.empty(0) if drawn is None else drawn[name][~np.isnan(drawn[name])]
        low = high = float("nan")
        if len(resampled) and not reasons[name]:
            low, high = (float(end) for end in np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]))
        interval = Interval(low, high, level, n, len(resampled), len(both) - n)
        scores[name] = Score(float(estimates[name][0]), interval, reasons[name])
    return BinaryScores(**scores, confusion=confusion, n_left_out=len(both) - n)


def _measure(counts: ArrayLike) -> dict[str, Floats]:
    """All measures of tables of counts; of shape (n_tables, 4), in the order of `Confusion`."""
    cells = np.asarray(counts, dtype=np.float64)
    true_yes, false_yes, false_no, true_no = cells.T
    n = cells.sum(axis=1)
    observed = _divide(true_yes + true_no, n)
    truths, predictions = true_yes + false_no, true_yes + false_yes
    expected = _divide(truths * predictions + (n - truths) * (n - predictions), n * n)
    return {
        "accuracy": observed,
        "kappa": _divide(observed - expected, 1 - expected),
        "recall": _divide(true_yes, truths),
        "precision": _divide(true_yes, predictions),
        "f1": _divide(2 * true_yes, truths + predictions),
    }


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    quotients: Floats = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotients, where=denominator > 0)
    return quotients


def _find_reasons(confusion: Confusion) -> dict[str, str]:
    """Why each measure does not exist; "" where it does."""
    if not confusion.n_posts:
        return dict.fromkeys(MEASURES, "no post has both labels")
    truths = confusion.true_yes + confusion.false_no
    predictions = confusion.true_yes + confusion.false_yes
    is_constant = truths == predictions and truths in (0, confusion.n_posts)
    return {
        "accuracy": "",
        "kappa": "both give every post one and the same label" if is_constant else "",
        "recall": "" if truths else "no post is labeled yes",
        "precision": "" if predictions else "no post is predicted to be yes",
        "f1": "" if truths or predictions else "no post is labeled or predicted to be yes",
    }


def _join(labels: ArrayLike, *, needs_all: bool) -> JointLabels:
    given = _read_labels(labels, "labels", 2)
    n_yes, n_no = np.count_nonzero(given == 1, axis=0), np.count_nonzero(given == 0, axis=0)
    n_labels = n_yes + n_no
    is_yes = (n_labels > 0) & (n_no == 0) if needs_all else n_yes > n_no
    is_no = (n_labels > 0) & (n_yes == 0) if needs_all else n_no > n_yes
    joint = np.full(given.shape[1], np.nan)
    joint[is_yes], joint[is_no] = 1.0, 0.0
    return JointLabels(
        labels=joint,
        n_yes=int(is_yes.sum()),
        n_no=int(is_no.sum()),
        n_apart=int(((n_labels > 0) & ~is_yes & ~is_no).sum()),
        n_unlabeled=int((n_labels == 0).sum()),
    )


def _read_labels(labels: ArrayLike, name: str, n_dimensions: int) -> Floats:
    given = np.asarray(labels, dtype=np.float64)
    if given.ndim != n_dimensions:
        what = "one label per post" if n_dimensions == 1 else "one row per rater, one column per post"
        raise ValueError(f"{name} has {given.ndim} dimension(s): give {what}")
    wrong = ~(np.isnan(given) | (given == 0) | (given == 1))
    if wrong.any():
        place = ", ".join(str(int(each)) for each in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}[{place}] is {given[wrong][0]:g}: a label is 1 for yes, 0 for no, or NaN for none"
        )
    return given
