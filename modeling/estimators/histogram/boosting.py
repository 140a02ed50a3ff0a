"""Gradient boosting of small trees on binned features (Friedman 2001, Annals of Statistics 29, 1189-1232).

The result is a forest like any other: the sum over trees is written as a mean, so that whatever predicts, stores
or scores forests does so with boosted ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from modeling.estimators.histogram.forest import HistogramForest, Trees
from modeling.estimators.histogram.kernels import LEAF, add_means

Bytes = NDArray[np.uint8]
Children = NDArray[np.int32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
Smalls = NDArray[np.int16]

MAX_BINS = 64  # the histograms of a tree's features then stay in the processor's first cache
COUNT_AND_SUM_BITS, STEP_BITS = 62, 30


@dataclass(frozen=True)
class BoostSettings:
    """How trees are grown.

    Attributes
    ----------
    shrinkage : share of its leaves' means that a tree adds
    n_leaves : most leaves of a tree; the leaf whose split lowers the squared error most is split next
    min_rows_in_leaf : fewest drawn rows of a leaf
    row_share, feature_share : shares of rows and of features drawn anew, without replacement, for each tree
    penalty : rows of residual zero that each leaf's mean counts beside its own
    """

    shrinkage: float = 0.05
    n_leaves: int = 16
    min_rows_in_leaf: int = 20
    row_share: float = 0.5
    feature_share: float = 0.5
    penalty: float = 20.0


def find_levels(features: Floats) -> list[Floats]:
    """Return what each feature's values are told apart by: its values, or quantiles of them, NaN first if any."""
    return [_levels_of(column) for column in features.T]


def _levels_of(column: Floats) -> Floats:
    present = column[~np.isnan(column)]
    levels = np.unique(present)
    if len(levels) >= MAX_BINS:
        shares = (np.arange(MAX_BINS - 1) + 0.5) / (MAX_BINS - 1)
        levels = np.unique(np.quantile(present, shares, method="inverted_cdf"))
    is_missing = len(present) < len(column)
    return np.concatenate([np.full(int(is_missing), np.nan), levels])


def encode(features: Floats, levels: list[Floats]) -> Bytes:
    """Return the place of each value among the levels of its feature."""
    forest = HistogramForest()
    forest.levels_ = levels
    return forest.encode(features)


def as_forest(levels: list[Floats], trees: Trees, decreases: Floats, seed: int) -> HistogramForest:
    """Return boosted trees as a forest of that sum: its predictions are means, so leaves are made larger."""
    n_trees = max(len(trees.starts) - 1, 1)
    forest = HistogramForest(n_trees=n_trees, seed=seed, bins="quantiles", bootstrap=False)
    forest.levels_, forest.decreases_ = levels, decreases / n_trees
    if len(trees.starts) == 1:  # no tree: one that says zero
        trees = Trees(
            np.array([0, 1]),
            np.full(1, LEAF, np.int16),
            np.zeros(1, np.uint8),
            np.zeros(1, np.int32),
            np.zeros(1, np.float32),
        )
    means = trees.means * np.float32(n_trees)
    forest.trees_ = Trees(trees.starts, trees.split_features, trees.cuts, trees.lefts, means)
    return forest


def boost(
    codes: Bytes, levels: list[Floats], target: Floats, n_rounds: int, settings: BoostSettings, seed: int
) -> tuple[Trees, Floats]:
    """Grow trees one after the other, each on what those before it left of the target.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
        Places among `levels`, see `HistogramForest.encode`.
    levels : list of ndarray
    target : ndarray of shape (n_rows,), finite
    n_rounds : int
        How many trees.
    seed : int

    Returns
    -------
    trees : Trees
        Their sum foretells the target; see `as_forest`.
    decreases : ndarray of shape (n_features,)
        How far splits on each feature lowered the squared error, summed over trees.
    """
    n_rows, n_features = codes.shape
    rng = np.random.default_rng(seed)
    n_levels = np.array([len(of_feature) for of_feature in levels])
    n_drawn = max(round(settings.row_share * n_rows), min(n_rows, 1))
    n_tried = max(round(settings.feature_share * n_features), 1)
    shift = min(COUNT_AND_SUM_BITS - max(n_drawn, 1).bit_length(), 52)
    most = 2.0 ** min(shift - max(n_drawn, 1).bit_length(), STEP_BITS) - 2
    predicted = np.zeros(n_rows, np.float32)
    decreases = np.zeros(n_features)
    grown = []
    for _ in range(n_rounds):
        rows = np.sort(rng.permutation(n_rows)[:n_drawn]) if n_drawn < n_rows else np.arange(n_rows)
        tried = np.sort(rng.permutation(n_features)[:n_tried])
        left = target[rows] - predicted[rows]
        low, width = float(left.min()), float(np.ptp(left))
        step = max(width / most, 1e-12)
        weights = (np.int64(1) << shift) + np.rint((left - low) / step).astype(np.int64)
        split_features, cuts, lefts, means, gains = grow_small_tree(
            np.ascontiguousarray(codes[rows][:, tried]),
            weights,
            n_levels[tried],
            settings.n_leaves,
            settings.min_rows_in_leaf,
            settings.penalty,
            low,
            step,
            shift,
        )
        read = np.where(split_features == LEAF, LEAF, tried[split_features]).astype(np.int16)
        added = (settings.shrinkage * means).astype(np.float32)
        decreases[tried] += gains
        add_means(codes, np.array([0, len(added)]), read, cuts, lefts, added, predicted)
        grown.append((read, cuts, lefts, added))
    starts = np.cumsum([0, *(len(tree[0]) for tree in grown)], dtype=np.int64)
    if not grown:
        grown = [
            (np.zeros(0, np.int16), np.zeros(0, np.uint8), np.zeros(0, np.int32), np.zeros(0, np.float32))
        ]
    return Trees(starts, *(np.concatenate([tree[part] for tree in grown]) for part in range(4))), decreases


def squared_errors(codes: Bytes, target: Floats, trees: Trees) -> Floats:
    """Return the sum of squared errors on other rows after no tree, one tree, two and so on."""
    predicted = np.zeros(len(target), np.float32)
    errors = [float(np.square(target).sum())]
    for tree in range(len(trees.starts) - 1):
        add_means(
            codes,
            trees.starts[tree : tree + 2],
            trees.split_features,
            trees.cuts,
            trees.lefts,
            trees.means,
            predicted,
        )
        errors.append(float(np.square(target - predicted).sum()))
    return np.array(errors)


@njit(cache=True, nogil=True, error_model="numpy")
def _find_split(
    histogram: Ints, n_levels: Ints, min_rows: int, penalty: float, low: float, step: float, shift: int
) -> tuple[float, int, int]:
    """Return the largest decrease of the penalized squared error, and the feature and cut that give it."""
    low_bits = (np.int64(1) << shift) - 1
    best_gain, best_feature, best_cut = 0.0, -1, 0
    total = np.int64(0)
    for x in range(n_levels[0]):
        total += histogram[0, x]
    n = total >> shift
    whole = low * n + step * (total & low_bits)
    before = whole * whole / (n + penalty)
    for f in range(len(n_levels)):
        left = np.int64(0)
        for x in range(n_levels[f] - 1):
            if histogram[f, x] == 0:
                continue
            left += histogram[f, x]
            n_left = left >> shift
            if n_left < min_rows:
                continue
            if n - n_left < min_rows:
                break
            of_left = low * n_left + step * (left & low_bits)
            of_right = whole - of_left
            gain = (
                of_left * of_left / (n_left + penalty) + of_right * of_right / (n - n_left + penalty) - before
            )
            if gain > best_gain:
                best_gain, best_feature, best_cut = gain, f, x
    return best_gain, best_feature, best_cut


@njit(cache=True, nogil=True, error_model="numpy")
def grow_small_tree(
    codes: Bytes,
    weights: Ints,
    n_levels: Ints,
    n_leaves: int,
    min_rows: int,
    penalty: float,
    low: float,
    step: float,
    shift: int,
) -> tuple[Smalls, Bytes, Children, Floats, Floats]:
    """Grow one tree, best split first; its nodes stand breadth-first, two children side by side.

    A weight is 2**shift plus a row's target in steps above `low`, so that one addition counts and sums. Of two
    children only the smaller one's histograms are made; the other's are what is left of the parent's.
    """
    n_rows, n_features = codes.shape
    size = 2 * n_leaves
    low_bits = (np.int64(1) << shift) - 1
    histograms = np.zeros((size, n_features, n_levels.max()), np.int64)
    rows, aside = np.arange(n_rows).astype(np.uint32), np.empty(n_rows, np.uint32)
    begins, ends = np.zeros(size, np.int64), np.zeros(size, np.int64)
    features, cuts = np.full(size, LEAF, np.int16), np.zeros(size, np.uint8)
    lefts, means, slots = np.zeros(size, np.int32), np.zeros(size), np.zeros(size, np.int64)
    gains, split_on = np.zeros(size), np.zeros(size, np.int64)
    split_at = np.zeros(size, np.int64)
    decreases = np.zeros(n_features)
    total = np.int64(0)
    for i in range(n_rows):
        total += weights[i]
        for f in range(n_features):
            histograms[0, f, codes[i, f]] += weights[i]
    ends[0] = n_rows
    means[0] = (low * n_rows + step * (total & low_bits)) / (n_rows + penalty)
    gains[0], split_on[0], split_at[0] = _find_split(
        histograms[0], n_levels, min_rows, penalty, low, step, shift
    )
    n_nodes, n_slots = 1, 1
    while n_nodes < 2 * n_leaves - 1:
        node = -1
        for k in range(n_nodes):
            if features[k] == LEAF and gains[k] > 0 and (node < 0 or gains[k] > gains[node]):
                node = k
        if node < 0:
            break
        feature, cut, begin, end = split_on[node], split_at[node], begins[node], ends[node]
        features[node], cuts[node], lefts[node] = feature, cut, n_nodes
        decreases[feature] += gains[node]
        to_left, to_right = begin, 0
        for i in range(begin, end):
            r = rows[i]
            goes_right = codes[r, feature] > cut
            rows[to_left] = r
            aside[to_right] = r
            to_left += 1 - goes_right
            to_right += goes_right
        for i in range(to_right):
            rows[to_left + i] = aside[i]
        left, right = n_nodes, n_nodes + 1
        begins[left], ends[left], begins[right], ends[right] = begin, to_left, to_left, end
        smaller, larger = (left, right) if to_left - begin <= end - to_left else (right, left)
        slots[larger], slots[smaller] = slots[node], n_slots
        n_slots += 1
        made, rest = histograms[slots[smaller]], histograms[slots[larger]]
        for i in range(begins[smaller], ends[smaller]):
            r = rows[i]
            for f in range(n_features):
                made[f, codes[r, f]] += weights[r]
        for f in range(n_features):
            for x in range(n_levels[f]):
                rest[f, x] -= made[f, x]
        n_nodes += 2
        for child in (left, right):
            total = np.int64(0)
            for x in range(n_levels[0]):
                total += histograms[slots[child], 0, x]
            n = total >> shift
            means[child] = (low * n + step * (total & low_bits)) / (n + penalty)
            gains[child], split_on[child], split_at[child] = _find_split(
                histograms[slots[child]], n_levels, min_rows, penalty, low, step, shift
            )

    ordered_features, ordered_cuts = np.empty(n_nodes, np.int16), np.zeros(n_nodes, np.uint8)
    ordered_lefts, ordered_means = np.zeros(n_nodes, np.int32), np.zeros(n_nodes)
    queue = np.zeros(n_nodes, np.int64)
    n_queued = 1
    for k in range(n_nodes):
        node = queue[k]
        ordered_features[k] = features[node]
        if features[node] == LEAF:
            ordered_means[k] = means[node]
        else:
            ordered_cuts[k], ordered_lefts[k] = cuts[node], n_queued
            queue[n_queued], queue[n_queued + 1] = lefts[node], lefts[node] + 1
            n_queued += 2
    return ordered_features, ordered_cuts, ordered_lefts, ordered_means, decreases
