# mypy: disallow-untyped-decorators=False
"""Forests held ready in memory, to score a few pairs within milliseconds.

`scoring` sorts all raters into all leaves first, which pays for thousands of posts. Here one rater meets a
handful of posts, or one post many raters, with the forests of all values at once. What costs then is to fetch
nodes from memory, so a node is made small, four bytes, and stands where it is needed next: a left child right
after its parent. One side of the pair, the more numerous one, goes down a tree as the bits of masks, and the
other decides on the way which branch its tests need: one walk per tree, to 20 or 60 leaves of 3,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from modeling.estimators.histogram.forest import HistogramForest
from modeling.estimators.histogram.kernels import LEAF, Bytes, Children, Ints, Masks, Singles, Smalls
from modeling.estimators.histogram.lanes import lowest_bit, prefetch

Nodes = NDArray[Any]

CUTS = 256  # of a feature, whose codes are bytes
BITS = 64
SMALL_BITS = 32  # of a node, unless that is too few
N_WORDS = 4  # of the more numerous side's masks
AT_ONCE = N_WORDS * BITS
TREES_AT_ONCE = 64
ALL = np.uint64(2**64 - 1)
KIND, FEATURE, CUT = np.uint64(1), np.uint64(9), np.uint64(1)  # where a node has what, from the lowest bit


class ReadyForests:
    """Several forests fitted to the same columns, such as one for each value.

    Parameters
    ----------
    forests : iterable of HistogramForest
        At least one; they are read one at a time and not kept.

    Attributes
    ----------
    n_forests, n_features : int
    n_bytes : int
        Of memory, 4 a node, or 8 if a tree has more nodes than fit.

    Raises
    ------
    ValueError
        If there is no forest, or they differ in their number of features.
    """

    def __init__(self, forests: Iterable[HistogramForest]) -> None:
        self._encoders: list[HistogramForest] = []
        self._encoder_of: list[int] = []
        sizes, kept = [], []
        means = np.empty(0, np.uint32)
        for forest in forests:
            trees = forest.trees_
            is_leaf = trees.split_features == LEAF
            distinct = np.unique(trees.means[is_leaf].view(np.uint32))  # by bits: 0.0 and -0.0 stay apart
            codes = np.zeros(len(is_leaf), np.uint32)
            codes[is_leaf] = np.searchsorted(distinct, trees.means[is_leaf].view(np.uint32)) + len(means)
            feature_bits = np.uint64(len(forest.levels_).bit_length())
            nodes = np.empty(len(is_leaf), np.uint64)
            pack_trees(
                trees.starts,
                trees.split_features,
                trees.cuts,
                trees.lefts,
                codes,
                feature_bits,
                nodes,
            )
            is_small = int(nodes.max()) < 2**SMALL_BITS
            kept.append(nodes.astype(np.uint32) if is_small else nodes)
            sizes.append(np.diff(trees.starts))
            means = np.concatenate([means, distinct])
            self._encoder_of.append(self._find_encoder(forest))
        if not kept:
            raise ValueError("there is no forest to make ready; give at least one")
        self.n_forests, self.n_features = len(kept), len(self._encoders[0].levels_)
        self._nodes: Nodes = np.concatenate(kept)
        self._means: Singles = means.view(np.float32)
        self._tree_starts = np.cumsum([0, *np.concatenate(sizes)], dtype=np.int64)
        self._forest_starts = np.cumsum([0, *(len(each) for each in sizes)], dtype=np.int64)

    def _find_encoder(self, forest: HistogramForest) -> int:
        """Return which of the forests met so far tells values apart as this one does."""
        for k, other in enumerate(self._encoders):
            if len(other.levels_) != len(forest.levels_):
                raise ValueError(
                    f"one forest has {len(other.levels_)} features, another {len(forest.levels_)}; "
                    "only forests fitted to the same columns are scored together"
                )
            if all(map(_are_same, other.levels_, forest.levels_)):
                return k
        encoder = HistogramForest(n_trees=1)
        encoder.levels_ = forest.levels_
        self._encoders.append(encoder)
        return len(self._encoders) - 1

    @property
    def n_bytes(self) -> int:
        return self._nodes.nbytes + self._means.nbytes + self._tree_starts.nbytes

    def score(self, post_features: ArrayLike, rater_features: ArrayLike) -> Singles:
        """Predict every post for every rater, to the bit as each forest's `predict` would.

        Parameters
        ----------
        post_features : array-like of shape (n_posts, n_post_features)
        rater_features : array-like of shape (n_raters, n_rater_features)
            Either may have no column; missing features are NaN.

        Returns
        -------
        ndarray of float32, shape (n_forests, n_raters, n_posts)

        Raises
        ------
        ValueError
            If the columns are not those of the forests, or a value is infinite.
        """
        posts, raters = np.asarray(post_features, np.float64), np.asarray(rater_features, np.float64)
        if posts.ndim != 2 or raters.ndim != 2 or posts.shape[1] + raters.shape[1] != self.n_features:
            raise ValueError(
                f"features of posts {posts.shape} and of raters {raters.shape} must be two tables whose columns "
                f"together are the {self.n_features} that the forests were fitted to"
            )
        n_post_features = posts.shape[1]
        many_are_posts = len(posts) >= len(raters)
        many_first = 0 if many_are_posts else n_post_features
        sums = np.zeros(
            (self.n_forests, min(len(posts), len(raters)), max(len(posts), len(raters))), dtype=np.float32
        )
        for k, encoder in enumerate(self._encoders):
            of_posts, of_raters = encoder.encode(posts), encoder.encode(raters, n_post_features)
            many, few = (of_posts, of_raters) if many_are_posts else (of_raters, of_posts)
            own = np.flatnonzero(np.equal(self._encoder_of, k))
            n_cuts = max(len(levels) for levels in encoder.levels_)
            for first in range(0, len(many), AT_ONCE):
                some = many[first : first + AT_ONCE]
                add_means_of_few(
                    _sort_by_tests(some, many_first, self.n_features, n_cuts),
                    few,
                    n_post_features if many_are_posts else 0,
                    self._nodes,
                    self._tree_starts,
                    self._forest_starts,
                    own,
                    np.uint64(self.n_features.bit_length()),
                    self._means,
                    sums[:, :, first : first + len(some)],
                )
        sums /= np.diff(self._forest_starts).astype(np.float32)[:, None, None]
        return sums if many_are_posts else np.ascontiguousarray(sums.transpose(0, 2, 1))


def _are_same(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def _sort_by_tests(codes: Bytes, first: int, n_features: int, n_cuts: int) -> Masks:
    """Return which rows go left at each cut of their columns, from `first` on, and last all rows, in words."""
    goes_left = np.empty((n_features * CUTS + 1, N_WORDS), np.uint64)
    flags = np.zeros((codes.shape[1], n_cuts, AT_ONCE), dtype=bool)
    flags[..., : len(codes)] = codes.T[:, None, :] <= np.arange(n_cuts)[:, None]
    own = goes_left[:-1].reshape(n_features, CUTS, N_WORDS)[first : first + codes.shape[1], :n_cuts]
    own[:] = np.packbits(flags, axis=-1, bitorder="little").view("<u8")
    everyone = np.arange(AT_ONCE) < len(codes)
    goes_left[-1] = np.packbits(everyone, bitorder="little").view("<u8")
    return goes_left


@njit(cache=True, nogil=True, error_model="numpy")
def pack_trees(
    starts: Ints,
    split_features: Smalls,
    cuts: Bytes,
    lefts: Children,
    mean_codes: NDArray[np.uint32],
    feature_bits: np.uint64,
    nodes: Masks,
) -> None:
    """Write each tree depth-first. A node is odd for a leaf, above it the code of its mean; for a split there
    follow the cut, the feature, and how many nodes further the right child stands."""
    n_nodes_most = 0
    for tree in range(len(starts) - 1):
        n_nodes_most = max(n_nodes_most, starts[tree + 1] - starts[tree])
    stack, parents = np.empty(n_nodes_most + 1, np.int64), np.empty(n_nodes_most + 1, np.int64)
    for tree in range(len(starts) - 1):
        start = place = starts[tree]
        stack[0], parents[0] = start, -1
        n_waiting = 1
        while n_waiting > 0:
            n_waiting -= 1
            node, parent = stack[n_waiting], parents[n_waiting]
            if parent >= 0:
                nodes[parent] |= np.uint64(place - parent) << (FEATURE + feature_bits)
            if split_features[node] == LEAF:
                nodes[place] = (np.uint64(mean_codes[node]) << KIND) | KIND
            else:
                nodes[place] = (np.uint64(split_features[node]) << FEATURE) | (np.uint64(cuts[node]) << CUT)
                stack[n_waiting], parents[n_waiting] = start + lefts[node] + 1, place
                stack[n_waiting + 1], parents[n_waiting + 1] = start + lefts[node], -1
                n_waiting += 2
            place += 1


@njit(cache=True, nogil=True, error_model="numpy")
def add_means_of_few(
    goes_left: Masks,
    few: Bytes,
    few_first: int,
    nodes: Nodes,
    tree_starts: Ints,
    forest_starts: Ints,
    forests: Ints,
    feature_bits: np.uint64,
    means: Singles,
    sums: Singles,
) -> None:
    """Add to `sums`, of shape (n_forests, len(few), many), what each tree of the `forests` says, tree after tree.

    Row CUTS * feature + cut of `goes_left` are those that go left, all features from `many_first` on being given;
    the rows of the others are filled here, from the columns of `few`, with all or none. So both kinds of tests are
    one computation, and which kind is met need not be guessed by the processor. Some trees go down level by level
    together: the nodes of the next level are asked for while others are at work.
    """
    n_many = sums.shape[2]
    right_from, test_mask = FEATURE + feature_bits, (np.uint64(CUTS) << feature_bits) - np.uint64(1)
    n_most = TREES_AT_ONCE * AT_ONCE + 2  # a lane is at one node of a tree
    at, next_at = np.empty(n_most, np.int64), np.empty(n_most, np.int64)
    trees, next_trees = np.empty(n_most, np.int64), np.empty(n_most, np.int64)
    masks, next_masks = np.empty((n_most, N_WORDS), np.uint64), np.empty((n_most, N_WORDS), np.uint64)
    said = np.empty((TREES_AT_ONCE, AT_ONCE), np.float32)
    everyone = goes_left[-1].copy()
    for one in range(len(few)):
        for column in range(few.shape[1]):
            for cut in range(CUTS):
                goes = ALL if few[one, column] <= cut else np.uint64(0)
                goes_left[(few_first + column) * CUTS + cut] = goes
        for forest in forests:
            for first in range(forest_starts[forest], forest_starts[forest + 1], TREES_AT_ONCE):
                n_trees = min(TREES_AT_ONCE, forest_starts[forest + 1] - first)
                for t in range(n_trees):
                    at[t], trees[t] = tree_starts[first + t], t
                    masks[t] = everyone
                    prefetch(nodes, tree_starts[first + t])
                n_here = n_trees
                while n_here > 0:
                    n_next = 0
                    for i in range(n_here):
                        tree, node = trees[i], np.uint64(nodes[at[i]])
                        if node & KIND:
                            mean = means[node >> KIND]
                            for w in range(N_WORDS):
                                word = masks[i, w]
                                while word != 0:
                                    said[tree, w * BITS + lowest_bit(word)] = mean
                                    word &= word - np.uint64(1)
                            continue
                        test, right = (node >> CUT) & test_mask, at[i] + np.int64(node >> right_from)
                        # Read before anything is written: the four are then worked on at once.
                        m0, m1, m2, m3 = masks[i, 0], masks[i, 1], masks[i, 2], masks[i, 3]
                        l0, l1 = m0 & goes_left[test, 0], m1 & goes_left[test, 1]
                        l2, l3 = m2 & goes_left[test, 2], m3 & goes_left[test, 3]
                        r0, r1, r2, r3 = m0 ^ l0, m1 ^ l1, m2 ^ l2, m3 ^ l3
                        next_at[n_next], next_trees[n_next] = at[i] + 1, tree
                        next_masks[n_next, 0], next_masks[n_next, 1] = l0, l1
                        next_masks[n_next, 2], next_masks[n_next, 3] = l2, l3
                        n_next += (l0 | l1 | l2 | l3) != 0
                        next_at[n_next], next_trees[n_next] = right, tree
                        next_masks[n_next, 0], next_masks[n_next, 1] = r0, r1
                        next_masks[n_next, 2], next_masks[n_next, 3] = r2, r3
                        n_next += (r0 | r1 | r2 | r3) != 0
                        prefetch(nodes, right)
                    at, next_at, trees, next_trees = next_at, at, next_trees, trees
                    masks, next_masks, n_here = next_masks, masks, n_next
                for t in range(n_trees):
                    for k in range(n_many):
                        sums[forest, one, k] += said[t, k]
