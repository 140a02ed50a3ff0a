"""The loops of the forest, compiled by Numba. The functions that call them check what goes in.

`codes` are features as places among their levels, one byte each. A tree is four arrays with one entry per
node: the feature its test reads (LEAF for none), the highest code that goes left, the left child (the right
one follows it) and the mean. Nodes stand breadth-first, so the children of the k-th splitting node are
nodes 2k + 1 and 2k + 2. In a forest the trees stand one after the other from `starts`; children count from
the start of their tree.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Smalls = NDArray[np.int16]
Children = NDArray[np.int32]
Places = NDArray[np.uint16]
Masks = NDArray[np.uint64]

LEAF = -1

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): number i of a stream is a bijection of seed + i * STEP.
STEP, MIX_A, MIX_B = (np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
SHIFT_A, SHIFT_B, SHIFT_C, HALF = (np.uint64(k) for k in (30, 27, 31, 32))


@njit(cache=True, error_model="numpy", forceinline=True)
def _drawn_below(n: int, state: np.uint64) -> int:
    """A whole number from 0 to n - 1, for n below 2**32."""
    x = (state ^ (state >> SHIFT_A)) * MIX_A
    x = (x ^ (x >> SHIFT_B)) * MIX_B
    x = (x ^ (x >> SHIFT_C)) >> HALF
    return int(np.int64((x * np.uint64(n)) >> HALF))


@njit(cache=True, nogil=True, error_model="numpy")
def grow_tree(
    codes: Bytes,
    target: Ints,
    levels: Floats,
    n_levels: Ints,
    n_tried: int,
    min_rows: int,
    bootstrap: bool,
    seed: np.uint64,
    shift: int,
) -> tuple[Smalls, Bytes, Children, Floats, Floats]:
    """Grow one tree; its means, and the decrease of squared error by feature, are in units of `target`.

    `target` is zero or more. Rows drawn and the sum of their targets share a number, the count above
    `shift` bits: one addition per row and feature makes a histogram, from which every split is known.
    Nodes are split depth-first, as their rows then stay in the processor's cache.
    """
    n_rows, n_features = codes.shape
    state = seed
    times = np.ones(n_rows, np.int64)
    if bootstrap:
        times[:] = 0
        for _ in range(n_rows):
            state += STEP
            times[_drawn_below(n_rows, state)] += 1
    n_distinct = 0
    for i in range(n_rows):
        n_distinct += times[i] > 0

    drawn = np.empty((n_distinct, n_features), np.uint8)
    weights = np.empty(n_distinct, np.int64)
    rows = np.empty(n_distinct, np.uint32)
    aside = np.empty(n_distinct, np.uint32)
    size = 2 * n_distinct
    begins, ends, totals = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    split_features, cuts = np.empty(size, np.int16), np.zeros(size, np.uint8)
    lefts, stack = np.zeros(size, np.int32), np.empty(size, np.int32)
    r = 0
    totals[0] = 0
    for i in range(n_rows):
        if times[i] > 0:
            for f in range(n_features):
                drawn[r, f] = codes[i, f]
            weights[r] = (times[i] << shift) | (times[i] * target[i])
            totals[0] += weights[r]
            rows[r] = r
            r += 1
    begins[0], ends[0], stack[0] = 0, n_distinct, 0
    n_nodes, n_waiting = 1, 1

    low_bits = (np.int64(1) << shift) - 1
    order = np.arange(n_features)
    tried = np.empty(n_tried, np.uint32)
    # Features run along the last axis, so that the search below works on several at once.
    histogram = np.empty((levels.shape[1], n_tried), np.int64)
    left_of, left_best = np.empty(n_tried, np.int64), np.empty(n_tried, np.int64)
    place_best, gain_best = np.empty(n_tried, np.int64), np.empty(n_tried)
    decreases = np.zeros(n_features)
    while n_waiting > 0:
        n_waiting -= 1
        node = stack[n_waiting]
        begin, end, total = begins[node], ends[node], totals[node]
        split_features[node] = LEAF
        n, whole = np.float64(total >> shift), np.float64(total & low_bits)
        if n <= min_rows or end - begin < 2:
            continue

        n_bins = 0
        for j in range(n_tried):
            state += STEP
            k = j + _drawn_below(n_features - j, state)
            order[j], order[k] = order[k], order[j]
            tried[j] = order[j]
            n_bins = max(n_bins, n_levels[order[j]])
        histogram[:n_bins] = 0
        for i in range(begin, end):
            r, weight = rows[i], weights[rows[i]]
            for j in range(n_tried):
                histogram[drawn[r, tried[j]], j] += weight

        # The decrease of squared error, times n, without a branch: an empty side makes it zero.
        left_of[:] = 0
        gain_best[:] = 0.0
        for x in range(n_bins - 1):
            for j in range(n_tried):
                left = left_of[j] + histogram[x, j]
                left_of[j] = left
                n_left, sum_left = np.float64(left >> shift), np.float64(left & low_bits)
                lead = sum_left * n - whole * n_left
                gain = lead * lead / max(n_left * (n - n_left), 1.0)
                better = gain > gain_best[j]
                gain_best[j] = gain if better else gain_best[j]
                place_best[j] = x if better else place_best[j]
                left_best[j] = left if better else left_best[j]
        best, best_gain = -1, 0.0
        for j in range(n_tried):
            if gain_best[j] > best_gain:
                best, best_gain = j, gain_best[j]
        if best < 0:
            continue

        feature, place, left = tried[best], place_best[best], left_best[best]
        to_left, to_right = begin, 0
        for i in range(begin, end):
            r = rows[i]
            goes_right = drawn[r, feature] > place
            rows[to_left] = r
            aside[to_right] = r
            to_left += 1 - goes_right
            to_right += goes_right
        for i in range(to_right):
            rows[to_left + i] = aside[i]
        # Levels without a row here go to the nearer side: the threshold lies midway, as in R.
        following = place + 1
        while histogram[following, best] == 0:
            following += 1
        midway = levels[feature, place] / 2 + levels[feature, following] / 2
        cut = place
        while cut + 1 < following and levels[feature, cut + 1] <= midway:
            cut += 1
        split_features[node], cuts[node], lefts[node] = feature, cut, n_nodes
        decreases[feature] += best_gain / n
        for child, first, last, part in (
            (n_nodes, begin, to_left, left),
            (n_nodes + 1, to_left, end, total - left),
        ):
            begins[child], ends[child], totals[child] = first, last, part
            stack[n_waiting + 1 - (child - n_nodes)] = child
        n_waiting += 2
        n_nodes += 2

    ordered_features, ordered_cuts = np.empty(n_nodes, np.int16), np.zeros(n_nodes, np.uint8)
    ordered_lefts, means = np.zeros(n_nodes, np.int32), np.empty(n_nodes)
    queue = stack[:n_nodes]
    queue[0] = 0
    n_queued = 1
    for k in range(n_nodes):
        node = queue[k]
        ordered_features[k] = split_features[node]
        means[k] = np.float64(totals[node] & low_bits) / np.float64(totals[node] >> shift)
        if split_features[node] != LEAF:
            ordered_cuts[k] = cuts[node]
            ordered_lefts[k] = n_queued
            queue[n_queued], queue[n_queued + 1] = lefts[node], lefts[node] + 1
            n_queued += 2
    return ordered_features, ordered_cuts, ordered_lefts, means, decreases


@njit(cache=True, nogil=True, error_model="numpy")
def add_means(
    codes: Bytes,
    starts: Ints,
    split_features: Smalls,
    cuts: Bytes,
    lefts: Children,
    means: Singles,
    sums: Singles,
) -> None:
    """Add to `sums` what each tree says of each row, tree after tree, by walking from its root to a leaf."""
    for tree in range(len(starts) - 1):
        start = starts[tree]
        for i in range(len(codes)):
            node = start
            while split_features[node] != LEAF:
                goes_right = codes[i, split_features[node]] > cuts[node]
                node = start + lefts[node] + goes_right
            sums[i] += means[node]
