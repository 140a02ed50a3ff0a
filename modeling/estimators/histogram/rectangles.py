# mypy: disallow-untyped-decorators=False
"""Trees laid out for scoring all posts for all raters, and the kernel for it that runs anywhere.

In a tree every test reads the post or the rater, so a leaf is a rectangle: some posts by some raters. Who the
raters are does not change from post to post: `lay_out` sorts them into the leaves once, and leaves tests on
raters out. What remains of a tree is a list of tests on posts, and of leaves with their raters, in the order in
which a walk depth-first meets them; memory is then read from front to back.

A tile of 512 posts goes down a tree at once, as the 512 bits of a mask. A test splits the mask it is handed
in two, and what stands at the next level to that side is handed this half. At a leaf the mean is added for the
posts of its mask and the raters of its list.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from modeling.estimators.histogram.kernels import LEAF, Bytes, Children, Ints, Masks, Places, Singles, Smalls

TILE = 512  # posts; their sums for a thousand raters stay near the processor
BITS = 64  # posts in one word of a mask
N_WORDS = TILE // BITS
EIGHT, LOWEST_BYTE = np.uint64(8), np.uint64(255)

# slot: which mask comes here, 2 x level + side; those of the root are 0.
# test: the row of `goes_left`, or LEAF. size: of a test how many items it has beneath it and itself.
# n_raters, begin: of a leaf its part of the list of raters.
ITEM = np.dtype(
    [
        ("slot", np.int32),
        ("test", np.int32),
        ("size", np.int32),
        ("n_raters", np.int32),
        ("begin", np.int64),
        ("mean", np.float32),
    ]
)
Items = NDArray[np.void]


@njit(cache=True, nogil=True, error_model="numpy")
def lay_out(
    codes: Bytes,
    n_post_features: int,
    n_cuts: int,
    starts: Ints,
    split_features: Smalls,
    cuts: Bytes,
    lefts: Children,
    means: Singles,
    items: Items,
) -> tuple[Ints, Places, int, int]:
    """Write what is left of each tree for the raters of `codes` into `items`, which has one for each node.

    Returns the first item of each tree and the number of all; the raters, in lists that leaves share where they
    differ in the post alone; the number of slots; and the most leaves that a rater can reach in a tree. Test
    `feature * n_cuts + cut` sends left the posts of at most that code.
    """
    n_codes, n_trees = len(codes), len(starts) - 1
    raters = np.empty(max(64 * n_codes, 1024), np.uint16)
    for i in range(n_codes):
        raters[i] = i
    n_listed = n_codes
    n_nodes_most = 0
    for tree in range(n_trees):
        n_nodes_most = max(n_nodes_most, starts[tree + 1] - starts[tree])
    nodes, slots = np.empty(n_nodes_most + 1, np.int32), np.empty(n_nodes_most + 1, np.int32)
    begins, counts = np.empty(n_nodes_most + 1, np.int64), np.empty(n_nodes_most + 1, np.int64)
    firsts, n_reached = np.zeros(n_trees + 1, np.int64), np.empty(n_codes, np.int64)
    n_items, n_slots, n_reached_most = 0, 2, 0
    for tree in range(n_trees):
        start = starts[tree]
        n_reached[:] = 0
        nodes[0], slots[0], begins[0], counts[0] = 0, 0, 0, n_codes
        n_waiting = 1
        while n_waiting > 0:
            n_waiting -= 1
            at, slot = start + nodes[n_waiting], slots[n_waiting]
            begin, n = begins[n_waiting], counts[n_waiting]
            feature, cut, left = split_features[at], cuts[at], lefts[at]
            if feature < n_post_features:
                item = items[n_items]
                n_items += 1
                item["slot"], item["n_raters"], item["begin"], item["mean"] = slot, n, begin, means[at]
                if feature == LEAF:
                    item["test"], item["size"] = LEAF, 1
                    for i in range(begin, begin + n):
                        n_reached[raters[i]] += 1
                    continue
                item["test"] = feature * n_cuts + cut
                below = (slot // 2 + 1) * 2
                n_slots = max(n_slots, below + 2)
                for side in (1, 0):  # the left one is taken from the stack first
                    nodes[n_waiting], slots[n_waiting] = left + side, below + side
                    begins[n_waiting], counts[n_waiting] = begin, n
                    n_waiting += 1
                continue
            n_left = 0
            for i in range(begin, begin + n):
                n_left += codes[raters[i], feature - n_post_features] <= cut
            begin_left, begin_right = begin, begin
            if 0 < n_left < n:
                if n_listed + n > len(raters):
                    longer = np.empty(3 * len(raters) // 2 + n, np.uint16)
                    longer[:n_listed] = raters[:n_listed]
                    raters = longer
                begin_left, begin_right = n_listed, n_listed + n_left
                to_left, to_right = begin_left, begin_right
                for i in range(begin, begin + n):
                    if codes[raters[i], feature - n_post_features] <= cut:
                        raters[to_left] = raters[i]
                        to_left += 1
                    else:
                        raters[to_right] = raters[i]
                        to_right += 1
                n_listed += n
            for side, begin_side, n_side in ((1, begin_right, n - n_left), (0, begin_left, n_left)):
                if n_side > 0:
                    nodes[n_waiting], slots[n_waiting] = left + side, slot
                    begins[n_waiting], counts[n_waiting] = begin_side, n_side
                    n_waiting += 1
        firsts[tree + 1] = n_items
        for i in range(n_codes):
            n_reached_most = max(n_reached_most, n_reached[i])
        for i in range(n_items - 1, firsts[tree] - 1, -1):
            if items[i]["test"] != LEAF:
                end = i + 1
                while end < n_items and items[end]["slot"] // 2 > items[i]["slot"] // 2:
                    end += items[end]["size"]
                items[i]["size"] = end - i
    return firsts, raters[:n_listed].copy(), n_slots, n_reached_most


@njit(cache=True, nogil=True, error_model="numpy")
def add_means_to_pairs(
    goes_left: Masks,
    everyone: Masks,
    items: Items,
    firsts: Ints,
    raters: Places,
    n_slots: int,
    lanes: Singles,
    sums: Singles,
) -> None:
    """Add to `sums`, of shape (n_raters, TILE), what each tree says, tree after tree.

    `goes_left[test]` are the posts that a test sends left, N_WORDS words of them. At a leaf its mean is added
    for all posts of a word at once: zero to those that are not in the leaf, which changes no bit of a sum that
    began at zero. `lanes[byte]` are the eight bits of a byte as zeros and ones.
    """
    masks, is_empty = np.empty((n_slots, N_WORDS), np.uint64), np.zeros(n_slots, np.bool_)
    addends, columns = np.empty(TILE, np.float32), np.empty(N_WORDS, np.uint32)
    masks[0] = everyone
    for tree in range(len(firsts) - 1):
        i, end = firsts[tree], firsts[tree + 1]
        while i < end:
            item = items[i]
            slot, test = item["slot"], item["test"]
            if is_empty[slot]:
                i += item["size"]
                continue
            i += 1
            if test != LEAF:
                below = (slot // 2 + 1) * 2
                any_left, any_right = np.uint64(0), np.uint64(0)
                for w in range(N_WORDS):
                    to_left = masks[slot, w] & goes_left[test, w]
                    to_right = masks[slot, w] & ~goes_left[test, w]
                    masks[below, w], masks[below + 1, w] = to_left, to_right
                    any_left |= to_left
                    any_right |= to_right
                is_empty[below], is_empty[below + 1] = any_left == 0, any_right == 0
                continue
            mean, n_filled = item["mean"], 0
            for w in range(N_WORDS):
                word = masks[slot, w]
                if word == 0:
                    continue
                columns[n_filled] = w * BITS
                for b in range(8):
                    byte = (word >> (EIGHT * np.uint64(b))) & LOWEST_BYTE
                    for k in range(8):
                        addends[n_filled * BITS + b * 8 + k] = lanes[byte, k] * mean
                n_filled += 1
            for j in range(item["begin"], item["begin"] + item["n_raters"]):
                rater = raters[j]
                for w in range(n_filled):
                    first, begin = columns[w], w * BITS  # read once, or the loop could not be vectorized
                    for k in range(BITS):
                        sums[rater, first + k] += addends[begin + k]
