# mypy: disallow-untyped-decorators=False
"""The kernel that scores all posts for all raters where the processor has registers of 512 bits.

It does what `rectangles.add_means_to_pairs` does, to the bit, with fewer instructions: the leaves of a tree that
one rater can reach with the posts of a tile, ten or so, share these posts between them, so what the tree adds
for a post is known once the leaf's place in the rater's list is. One pass per tree and rater then does for a
list what the other kernel does leaf by leaf.

1. Walk the tree for the tile. At a leaf with posts, put its mask and mean on the list of each of its raters.
2. Per rater, write every post's place in the list as five bits. Bit b is set for the posts of all leaves whose
   place has bit b: a few unions of masks give one mask per bit (`_encode`).
3. Turn these five masks of 512 bits into 512 places of one byte, by exchanging bits between neighbours, then
   pairs, then fours, as one transposes a small matrix (`_encode`, its end).
4. Look the means up, sixteen posts an instruction, and add them to the sums: one addition per post, rater and
   tree, in the order of the trees. Four trees are done at once, so that sums are fetched and put back less often.

Place 0 of a list is kept for the posts of no leaf in it, with a mean of zero: a list longer than 32 continues in
another, and each post is in a leaf of one of them. Adding zero changes no bit of a sum that began at zero.

After step 3 the places are not in the order of the posts. Byte n of mask b holds the bit of posts 8n to 8n + 7;
the j-th of these has its place in byte n of row j, which `look_up` reads as byte n % 4 of word n // 4. So the
sum of post 32 w + 8 s + j stands at (4 j + s) * 16 + w, which is `PLACE_OF_SUM`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from modeling.estimators.histogram.kernels import LEAF, Ints, Places, Singles
from modeling.estimators.histogram.lanes import (
    WIDTH,
    add,
    both,
    choose,
    either,
    has_bits,
    load_floats,
    load_words,
    look_up,
    odd_ones,
    shift_left,
    shift_right,
    store,
    without,
    zeros,
)
from modeling.estimators.histogram.rectangles import TILE, Items

Words = NDArray[np.uint32]
Entries = NDArray[np.uint64]

TREES_AT_ONCE = 4
LIST = 32  # places that five bits tell apart
ROWS = 8  # of a tile's places, each of 64 bytes
LINE = 64  # bytes that the processor fetches at once
HALF = np.uint64(32)

_POST = np.arange(TILE)
PLACE_OF_SUM = (_POST % 8 * 4 + _POST // 8 % 4) * WIDTH + _POST // 32


@njit(cache=True, nogil=True, error_model="numpy")
def _aligned(n_words: int) -> Words:
    """Zeros from the start of a cache line on."""
    room = np.zeros(n_words + LINE // 4, np.uint32)
    begin = (-np.int64(room.ctypes.data) % LINE) // 4
    return room[begin : begin + n_words]


@njit(cache=True, nogil=True, error_model="numpy")
def _list_leaves(
    items: Items,
    first: int,
    end: int,
    raters: Places,
    goes_left: Words,
    masks: Words,
    mask_in: Ints,
    n_masks: int,
    means_and_masks: Entries,
    stride: int,
    lengths: Ints,
) -> int:
    """Step 1. An entry is the mean's bits above the number of the mask; mask 0 is empty. Returns `n_masks`."""
    lengths[:] = 1
    i = first
    while i < end:
        item = items[i]
        mask, test = mask_in[item["slot"]], item["test"]
        if mask == 0:
            i += item["size"]
            continue
        i += 1
        if test != LEAF:
            here, left = load_words(masks, mask * WIDTH), load_words(goes_left, test * WIDTH)
            to_left, to_right = both(here, left), without(here, left)
            store(masks, n_masks * WIDTH, to_left)
            store(masks, (n_masks + 1) * WIDTH, to_right)
            below = (item["slot"] // 2 + 1) * 2
            mask_in[below] = n_masks if has_bits(to_left) else 0
            mask_in[below + 1] = n_masks + 1 if has_bits(to_right) else 0
            n_masks += 2
            continue
        bits = np.float32(item["mean"]).view(np.uint32)
        entry = (np.uint64(bits) << HALF) | np.uint64(mask)
        for k in range(item["begin"], item["begin"] + item["n_raters"]):
            rater = raters[k]
            n = lengths[rater]
            means_and_masks[rater * stride + n] = entry
            lengths[rater] = n + (2 if (n + 1) % LIST == 0 else 1)
    return n_masks


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _unite_eight(masks: Words, entries: Words, at: int) -> Any:
    """Return the union of the masks of eight entries, and of those whose place has its lowest bits set."""
    m0 = load_words(masks, np.int64(entries[at]) * WIDTH)
    m1 = load_words(masks, np.int64(entries[at + 2]) * WIDTH)
    m2 = load_words(masks, np.int64(entries[at + 4]) * WIDTH)
    m3 = load_words(masks, np.int64(entries[at + 6]) * WIDTH)
    m4 = load_words(masks, np.int64(entries[at + 8]) * WIDTH)
    m5 = load_words(masks, np.int64(entries[at + 10]) * WIDTH)
    m6 = load_words(masks, np.int64(entries[at + 12]) * WIDTH)
    m7 = load_words(masks, np.int64(entries[at + 14]) * WIDTH)
    m13, m57, m37, m26 = either(m1, m3), either(m5, m7), either(m3, m7), either(m2, m6)
    upper = either(either(m4, m6), m57)
    return either(upper, either(either(m0, m2), m13)), either(m13, m57), either(m26, m37), upper


@njit(cache=True, nogil=True, error_model="numpy")
def _encode(masks: Words, entries: Words, begin: int, end: int, places: Words, to: int) -> None:
    """Steps 2 and 3 for one list, its entries from `begin` to `end` padded with empty masks to sixteen."""
    bit0, bit1, bit2, bit3, bit4 = zeros(), zeros(), zeros(), zeros(), zeros()
    for k in range(begin, end, 16):
        any0, low0, mid0, top0 = _unite_eight(masks, entries, 2 * k)
        any1, low1, mid1, top1 = _unite_eight(masks, entries, 2 * k + 16)
        bit0, bit1 = either(bit0, either(low0, low1)), either(bit1, either(mid0, mid1))
        bit2, bit3 = either(bit2, either(top0, top1)), either(bit3, any1)
        if k > begin:
            bit4 = either(any0, any1)
    even01, odd01 = choose(0x55, bit0, shift_left(bit1, 1)), choose(0x55, shift_right(bit0, 1), bit1)
    even23, odd23 = choose(0x55, bit2, shift_left(bit3, 1)), choose(0x55, shift_right(bit2, 1), bit3)
    pair0, pair2 = choose(0x33, even01, shift_left(even23, 2)), choose(0x33, shift_right(even01, 2), even23)
    pair1, pair3 = choose(0x33, odd01, shift_left(odd23, 2)), choose(0x33, shift_right(odd01, 2), odd23)
    store(places, to, choose(0x0F, pair0, shift_left(bit4, 4)))
    store(places, to + 16, choose(0x0F, pair1, shift_left(bit4, 3)))
    store(places, to + 32, choose(0x0F, pair2, shift_left(bit4, 2)))
    store(places, to + 48, choose(0x0F, pair3, shift_left(bit4, 1)))
    store(places, to + 64, choose(0x0F, shift_right(pair0, 4), bit4))
    store(places, to + 80, choose(0x0F, shift_right(pair1, 4), shift_right(bit4, 1)))
    store(places, to + 96, choose(0x0F, shift_right(pair2, 4), shift_right(bit4, 2)))
    store(places, to + 112, choose(0x0F, shift_right(pair3, 4), shift_right(bit4, 3)))


@njit(cache=True, nogil=True, error_model="numpy")
def _add_looked_up(places: Words, tables: Singles, n_lists: int, sums: Singles, rater: int) -> None:
    """Step 4: two rows, which are 128 posts, at a time through all lists."""
    for row in range(0, ROWS, 2):
        at = rater * TILE + row * 64
        sum0, sum1 = load_floats(sums, at), load_floats(sums, at + 16)
        sum2, sum3 = load_floats(sums, at + 32), load_floats(sums, at + 48)
        sum4, sum5 = load_floats(sums, at + 64), load_floats(sums, at + 80)
        sum6, sum7 = load_floats(sums, at + 96), load_floats(sums, at + 112)
        for k in range(n_lists):
            low, high = load_floats(tables, k * LIST), load_floats(tables, k * LIST + WIDTH)
            one = load_words(places, (k * ROWS + row) * WIDTH)
            two = load_words(places, (k * ROWS + row + 1) * WIDTH)
            sum0 = add(sum0, look_up(one, low, high))
            sum1 = add(sum1, look_up(shift_right(one, 8), low, high))
            sum2 = add(sum2, look_up(shift_right(one, 16), low, high))
            sum3 = add(sum3, look_up(shift_right(one, 24), low, high))
            sum4 = add(sum4, look_up(two, low, high))
            sum5 = add(sum5, look_up(shift_right(two, 8), low, high))
            sum6 = add(sum6, look_up(shift_right(two, 16), low, high))
            sum7 = add(sum7, look_up(shift_right(two, 24), low, high))
        store(sums, at, sum0)
        store(sums, at + 16, sum1)
        store(sums, at + 32, sum2)
        store(sums, at + 48, sum3)
        store(sums, at + 64, sum4)
        store(sums, at + 80, sum5)
        store(sums, at + 96, sum6)
        store(sums, at + 112, sum7)


@njit(cache=True, nogil=True, error_model="numpy")
def add_means_to_pairs(
    goes_left: Words,
    everyone: Words,
    items: Items,
    firsts: Ints,
    raters: Places,
    n_slots: int,
    n_reached: int,
    n_raters: int,
    sums: Singles,
) -> None:
    """Add to `sums` what each tree says, tree after tree.

    Of `sums`, TILE floats belong to a rater, post p of the tile at PLACE_OF_SUM[p]. `goes_left` has WIDTH words
    for each test, and `n_reached` is the most leaves that a rater can reach in a tree.
    """
    n_trees, n_items_most = len(firsts) - 1, 0
    for tree in range(n_trees):
        n_items_most = max(n_items_most, firsts[tree + 1] - firsts[tree])
    masks = _aligned((TREES_AT_ONCE * n_items_most * 2 + 2) * WIDTH)
    store(masks, WIDTH, load_words(everyone, 0))
    mask_in = np.zeros(n_slots, np.int64)
    mask_in[0] = 1
    # Leaves with posts of the tile, place 0 of each list, and room to pad. Were they an even number of cache lines
    # apart, lists would compete for the same few lines of the cache.
    longest = min(n_reached, TILE)
    stride = (longest + longest // (LIST - 1) + 1 + WIDTH + 7) // 16 * 16 + 8
    words = _aligned(2 * TREES_AT_ONCE * n_raters * stride + 2 * LIST)
    entries = words.view(np.uint64)
    lengths = np.empty((TREES_AT_ONCE, n_raters), np.int64)
    n_lists_most = TREES_AT_ONCE * (stride // LIST + 1)
    places = _aligned(n_lists_most * ROWS * WIDTH)
    table_words = _aligned(n_lists_most * LIST)
    tables = table_words.view(np.float32)
    for first in range(0, n_trees, TREES_AT_ONCE):
        n_together, n_masks = min(TREES_AT_ONCE, n_trees - first), 2
        for t in range(n_together):
            begin, end = firsts[first + t], firsts[first + t + 1]
            own = entries[t * n_raters * stride :]
            n_masks = _list_leaves(
                items, begin, end, raters, goes_left, masks, mask_in, n_masks, own, stride, lengths[t]
            )
        for rater in range(n_raters):
            n_lists = 0
            for t in range(n_together):
                begin = (t * n_raters + rater) * stride
                end = begin + lengths[t, rater]
                store(words, 2 * end, zeros())
                store(words, 2 * end + WIDTH, zeros())
                for at in range(begin, end, LIST):
                    _encode(masks, words, at, min(at + LIST, end), places, n_lists * ROWS * WIDTH)
                    for half in range(2):
                        some = load_words(words, 2 * at + 2 * WIDTH * half)
                        more = load_words(words, 2 * at + 2 * WIDTH * half + WIDTH)
                        store(table_words, n_lists * LIST + half * WIDTH, odd_ones(some, more))
                    n_lists += 1
            _add_looked_up(places, tables, n_lists, sums, rater)
