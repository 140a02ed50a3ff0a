"""A random forest for features of few different values, such as ratings and answers from 0 to 6.

With so few values a histogram holds all that a search for the best split needs, so nothing is sorted and
nothing is approximated. The rules are those of R's randomForest for regression (Breiman 2001, Machine
Learning 45, 5-32; Liaw and Wiener 2002, R News 2/3, 18-22).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.estimators.histogram import kernels

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bytes = NDArray[np.uint8]

MAX_LEVELS = 255  # and one for missing: the codes of a byte
MAX_FEATURES = 32767
ROWS_AT_ONCE = 512  # their codes and sums stay in the processor's cache while all trees pass
# A node's count and sum share a signed number, and floats hold the sum exactly.
COUNT_AND_SUM_BITS, EXACT_BITS = 62, 52
STEPS_AT_LEAST = 2e6
LARGEST = 1e30  # a mean is stored as float32


@dataclass(frozen=True, eq=False)
class Trees:
    """All trees of a forest, one after the other, nodes breadth-first.

    Attributes
    ----------
    starts : ndarray of int64, shape (n_trees + 1,)
        The first node of each tree, and the number of all nodes.
    split_features : ndarray of int16, shape (n_nodes,)
        The feature that a node's test reads; -1 for a leaf.
    cuts : ndarray of uint8, shape (n_nodes,)
        The highest level, by its place, that goes left; 0 for a leaf.
    lefts : ndarray of int32, shape (n_nodes,)
        The left child, counted from the start of the tree; the right one follows it. 0 for a leaf.
    means : ndarray of float32, shape (n_nodes,)
        The mean target of the rows in a leaf; 0 for any other node.
    """

    starts: NDArray[np.int64]
    split_features: NDArray[np.int16]
    cuts: Bytes
    lefts: NDArray[np.int32]
    means: Singles


class HistogramForest:
    """Predicts the mean of many trees, each grown on a bootstrap sample of the rows.

    A tree splits where the squared error falls most, among features drawn anew at each node; of equal
    decreases the first drawn feature and the lowest threshold win. A threshold lies midway between the
    neighbouring values that rows of the node have.

    Parameters
    ----------
    n_trees : int
    max_features : float
        The share of the features tried at each node, rounded down, but at least one of them.
    min_rows_in_leaf : int
        R's `nodesize`: a node of at most so many rows, counted as often as they were drawn, is not split.
        As in R, splitting a larger node may leave a side with fewer.
    seed : int
        Zero or more. Repeats the fit exactly, whatever the number of threads.
    n_threads : int
        Threads over trees when fitting, over rows when predicting.
    bins : "exact" or "quantiles"
        What becomes of a feature of more than 255 different values: "exact" refuses it, "quantiles" takes each
        value as the nearest of 255 quantiles.
    bootstrap : bool
        False grows every tree on all rows, each once.

    Attributes
    ----------
    levels_ : list of ndarray
        The values of each feature that can be told apart, in increasing order. Whole numbers spanning fewer
        than 255 have all numbers between as well. NaN comes first where a fitted row lacked the feature: missing
        lies below every value. Values unseen are taken as the nearest level, midway as the lower; missing
        where none was missing before as the lowest.
    trees_ : Trees
    decreases_ : ndarray of shape (n_features,)
        See `importances`.
    """

    def __init__(
        self,
        *,
        n_trees: int = 500,
        max_features: float = 1 / 3,
        min_rows_in_leaf: int = 5,
        seed: int = 0,
        n_threads: int = 1,
        bins: Literal["exact", "quantiles"] = "exact",
        bootstrap: bool = True,
    ) -> None:
        for name, number, least in (
            ("n_trees", n_trees, 1),
            ("min_rows_in_leaf", min_rows_in_leaf, 1),
            ("seed", seed, 0),
            ("n_threads", n_threads, 1),
        ):
            if number < least:
                raise ValueError(f"{name} is {number}; it must be {least} or more")
        if not 0 < max_features <= 1:
            raise ValueError(f"max_features is {max_features}; it must be a share above 0 and up to 1")
        if bins not in ("exact", "quantiles"):
            raise ValueError(f"bins is {bins!r}; it must be 'exact' or 'quantiles'")
        self.n_trees = int(n_trees)
        self.max_features = float(max_features)
        self.min_rows_in_leaf = int(min_rows_in_leaf)
        self.seed = int(seed)
        self.n_threads = n_threads
        self.bins = bins
        self.bootstrap = bool(bootstrap)

    def fit(self, features: ArrayLike, target: ArrayLike) -> HistogramForest:
        """Grow the trees.

        Parameters
        ----------
        features : array-like of shape (n_rows, n_features)
            Missing ones are NaN.
        target : array-like of shape (n_rows,)
            Small whole numbers are summed exactly; others are rounded to steps of at most a millionth of their range.

        Raises
        ------
        ValueError
            If there is no row or no feature, lengths differ, the target has a NaN, something is infinite, or a
            feature has more values than `bins` allows.
        """
        table = _as_table(features)
        wanted = np.asarray(target, dtype=np.float64)
        if wanted.shape != table.shape[:1]:
            raise ValueError(f"target has shape {wanted.shape}, but features have {len(table)} rows")
        if not table.size or table.shape[1] > MAX_FEATURES:
            raise ValueError(
                f"features have shape {table.shape}; fit needs rows and 1 to {MAX_FEATURES} columns"
            )
        if not np.isfinite(wanted).all():
            row = int(np.flatnonzero(~np.isfinite(wanted))[0])
            raise ValueError(f"target is {wanted[row]} in row {row}; leave rows without a rating out")
        self.levels_ = [_find_levels(column, k, self.bins) for k, column in enumerate(table.T)]
        codes = self.encode(table)

        n_levels = np.array([len(levels) for levels in self.levels_])
        padded = np.zeros((len(n_levels), n_levels.max()))
        for row_of, levels in zip(padded, self.levels_, strict=True):
            row_of[: len(levels)] = levels
        sums, low, step, shift = _as_steps(wanted)
        n_tried = max(int(self.max_features * table.shape[1] + 1e-9), 1)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.n_trees, np.uint64)

        def grow(seed: np.uint64) -> tuple[NDArray[Any], ...]:
            grown = kernels.grow_tree(
                codes, sums, padded, n_levels, n_tried, self.min_rows_in_leaf, self.bootstrap, seed, shift
            )
            split_features, cuts, lefts, means, decreases = grown
            means = np.where(split_features == kernels.LEAF, low + means * step, 0.0).astype(np.float32)
            return split_features, cuts, lefts, means, decreases * step * step

        with ThreadPoolExecutor(self.n_threads) as pool:
            grown = list(pool.map(grow, seeds))
        starts = np.cumsum([0, *(len(tree[0]) for tree in grown)], dtype=np.int64)
        self.trees_ = Trees(starts, *(np.concatenate([tree[part] for tree in grown]) for part in range(4)))
        self.decreases_: Floats = np.mean([tree[4] for tree in grown], axis=0)
        return self

    def encode(self, features: ArrayLike, first: int = 0) -> Bytes:
        """Return the place of each value among the levels of its feature.

        Parameters
        ----------
        features : array-like of shape (n_rows, n_columns)
            Columns `first`, `first + 1` and so on of what was fitted.

        Raises
        ------
        ValueError
            If there are more columns than features, or a value is infinite.
        """
        table = _as_table(features)
        if first + table.shape[1] > len(self.levels_):
            raise ValueError(
                f"features end at column {first + table.shape[1]}, but the forest was fitted to {len(self.levels_)}"
            )
        codes = np.empty(table.shape, dtype=np.uint8)
        for column, out, levels in zip(table.T, codes.T, self.levels_[first:], strict=False):
            n_missing = int(np.isnan(levels[0]))
            present = levels[n_missing:]
            between = present[:-1] / 2 + present[1:] / 2
            places = np.searchsorted(between, column, side="left") + n_missing
            out[:] = np.where(np.isnan(column), 0, places)
        return codes

    def predict(self, features: ArrayLike) -> Singles:
        """Return the mean of the trees, float32 of shape (n_rows,), on the target's scale and not rounded.

        Raises
        ------
        ValueError
            If the columns are not those of `fit`, or a value is infinite.
        """
        codes = self.encode(features)
        if codes.shape[1] != len(self.levels_):
            raise ValueError(
                f"features have {codes.shape[1]} columns, but the forest was fitted to {len(self.levels_)}"
            )
        trees = self.trees_
        sums = np.zeros(len(codes), dtype=np.float32)

        def walk(start: int) -> None:
            rows = slice(start, start + ROWS_AT_ONCE)
            kernels.add_means(
                codes[rows],
                trees.starts,
                trees.split_features,
                trees.cuts,
                trees.lefts,
                trees.means,
                sums[rows],
            )

        with ThreadPoolExecutor(self.n_threads) as pool:
            list(pool.map(walk, range(0, len(codes), ROWS_AT_ONCE)))
        sums /= np.float32(self.n_trees)
        return sums

    def importances(self, *, normalized: bool = False) -> Floats:
        """Return how far the splits on each feature lowered the sum of squared errors.

        R's IncNodePurity: the decreases of a tree's nodes summed, and averaged over trees. When `normalized`
        they sum to one, or are NaN if no tree could split. Features of many values get more than their due.
        """
        if not normalized:
            return self.decreases_.copy()
        with np.errstate(invalid="ignore"):
            shares: Floats = self.decreases_ / self.decreases_.sum()
        return shares


def _as_table(features: ArrayLike) -> Floats:
    table = np.asarray(features, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"features have {table.ndim} dimensions; give them as rows by columns")
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0]
        raise ValueError(f"feature {column} is infinite in row {row}; give a number, or NaN for missing")
    return table


def _find_levels(column: Floats, index: int, bins: str) -> Floats:
    present = np.unique(column[~np.isnan(column)])
    if present.size and (present == np.floor(present)).all() and present[-1] - present[0] < MAX_LEVELS:
        levels = np.arange(present[0], present[-1] + 1)
    elif len(present) <= MAX_LEVELS:
        levels = present
    elif bins == "quantiles":
        shares = (np.arange(MAX_LEVELS) + 0.5) / MAX_LEVELS
        levels = np.unique(np.nanquantile(column, shares, method="inverted_cdf"))
    else:
        raise ValueError(
            f"feature {index} has {len(present)} different values and at most {MAX_LEVELS} can be told apart; "
            "round it, or set bins to 'quantiles'"
        )
    is_missing = np.isnan(column).any()
    return np.concatenate([np.full(int(is_missing), np.nan), levels])


def _as_steps(target: Floats) -> tuple[NDArray[np.int64], float, float, int]:
    """Return the target as steps above its lowest, the lowest, the size of a step, and the bits of a sum."""
    n_rows, low = len(target), float(target.min())
    shift = min(COUNT_AND_SUM_BITS - n_rows.bit_length(), EXACT_BITS)
    width, room = float(target.max()) - low, 2.0**shift / n_rows - 2
    if np.abs(target).max() > LARGEST or 0 < width < 1 / LARGEST:
        raise ValueError(f"target runs from {low} to {target.max()}; rescale it to ordinary numbers")
    step = 1.0
    if width > room or (width and (target != np.floor(target)).any()):
        if room < STEPS_AT_LEAST:
            raise ValueError(
                f"target has {n_rows} rows, too many to sum numbers that are not small and whole"
            )
        step = 2.0 ** np.ceil(np.log2(width / room))
    return np.rint((target - low) / step).astype(np.int64), low, step, shift
