"""Scores of all posts for all raters at once, without predicting one pair at a time.

In a tree every test reads the post or the rater, so a leaf is a rectangle: some posts by some raters. One
walk per tree finds the rectangles of a whole tile of posts; a leaf's mean is then added where it belongs. Of two
kernels that do so, `rectangles` runs anywhere and `wide` where the processor has AVX-512.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from modeling.estimators.histogram import kernels, rectangles, wide
from modeling.estimators.histogram.forest import Bytes, HistogramForest, Singles
from modeling.estimators.histogram.kernels import Masks
from modeling.estimators.histogram.lanes import has_wide_registers
from modeling.estimators.histogram.rectangles import TILE

Ints = NDArray[np.intp]

RATERS_AT_ONCE = 2048  # a rater's place among them fits sixteen bits
TOP_BYTE = 255
LANES = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.float32)


def score_all_pairs(
    forest: HistogramForest,
    post_features: ArrayLike,
    rater_features: ArrayLike,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike = np.float32,
    *,
    scale: float = 42.5,
    n_threads: int = 1,
    kernel: Literal["fastest", "portable", "wide"] = "fastest",
) -> NDArray[Any]:
    """Predict every post for every rater, to the bit as `forest.predict` would.

    Posts of equal features are scored once, and so are raters. Beyond `out` it needs room for the raters that
    may reach each leaf (about 0.4 MB a tree for 1,000 raters) and 10 MB a thread per 1,000 raters.

    Parameters
    ----------
    forest : HistogramForest
        Fitted to the columns of `post_features` followed by those of `rater_features`.
    post_features : array-like of shape (n_posts, n_post_features)
    rater_features : array-like of shape (n_raters, n_rater_features)
        Either may have no column; missing features are NaN.
    out : ndarray of shape (n_raters, n_posts), optional
        Where to write, such as a memory map; `dtype` is then its own.
    dtype : float32 or uint8
        uint8 holds the score times `scale`, rounded to the nearest whole number, halves to even: divide by
        `scale` to have it back to within half a step.
    scale : float
        Only for uint8. The default spreads scores from 0 to 6 over 0 to 255.
    n_threads : int
        Threads over tiles of posts; they do not change a bit.
    kernel : "fastest", "portable" or "wide"
        The kernels give the same bits. "wide" needs a processor with AVX-512, where it is the fastest.

    Returns
    -------
    ndarray of shape (n_raters, n_posts)
        `out`, or a new array.

    Raises
    ------
    ValueError
        If the columns are not those of the forest, `out` or `dtype` does not fit, uint8 cannot hold what the
        forest predicts, or there is no such kernel here.
    """
    posts, raters = np.asarray(post_features, np.float64), np.asarray(rater_features, np.float64)
    if posts.ndim != 2 or raters.ndim != 2 or posts.shape[1] + raters.shape[1] != len(forest.levels_):
        raise ValueError(
            f"features of posts {posts.shape} and of raters {raters.shape} must be two tables whose columns together "
            f"are the {len(forest.levels_)} that the forest was fitted to"
        )
    if n_threads < 1:
        raise ValueError(f"n_threads is {n_threads}; it must be 1 or more")
    if kernel not in ("fastest", "portable", "wide") or (kernel == "wide" and not has_wide_registers()):
        raise ValueError(
            f"kernel is {kernel!r}; it must be 'fastest' or 'portable', or 'wide' where Numba compiles for AVX-512"
        )
    is_wide = kernel != "portable" and has_wide_registers()
    if out is None:
        out = np.empty((len(raters), len(posts)), dtype=dtype)
    if out.shape != (len(raters), len(posts)) or out.dtype not in (np.float32, np.uint8):
        raise ValueError(
            f"the scores are float32 or uint8 of shape {(len(raters), len(posts))}, not {out.dtype} of {out.shape}"
        )
    if out.dtype == np.uint8:
        _check_range(forest, scale)

    distinct_posts, which_post = _find_distinct(
        forest.encode(posts), _by_importance(forest, 0, posts.shape[1])
    )
    distinct_raters, which_rater = _find_distinct(
        forest.encode(raters, posts.shape[1]), _by_importance(forest, posts.shape[1], len(forest.levels_))
    )
    by_rater = np.argsort(which_rater, kind="stable")
    rows = np.split(by_rater, np.flatnonzero(np.diff(which_rater[by_rater])) + 1)
    for first in range(0, len(distinct_raters), RATERS_AT_ONCE):
        block = distinct_raters[first : first + RATERS_AT_ONCE]
        rows_of_block = rows[first : first + len(block)]
        first_rows = np.array([own[0] for own in rows_of_block])
        _score_raters(forest, distinct_posts, block, first_rows, out, scale, n_threads, is_wide=is_wide)
        for own in rows_of_block:  # what the distinct posts got stands at the beginning of the first row
            out[own] = out[own[0], : len(distinct_posts)][which_post]
    return out


def _check_range(forest: HistogramForest, scale: float) -> None:
    is_leaf = forest.trees_.split_features == kernels.LEAF
    low, high = (float(end(forest.trees_.means[is_leaf])) for end in (np.min, np.max))
    if not (scale > 0 and low >= 0 and np.rint(high * scale) <= TOP_BYTE):
        raise ValueError(
            f"the forest predicts from {low:g} to {high:g}, which times {scale:g} leaves the 0 to {TOP_BYTE} of uint8; "
            "choose another scale, or float32"
        )


def _by_importance(forest: HistogramForest, first: int, end: int) -> list[int]:
    return [int(k) for k in np.argsort(-forest.decreases_[first:end], kind="stable")]


def _find_distinct(codes: Bytes, columns: list[int]) -> tuple[Bytes, Ints]:
    """Return the distinct rows, sorted by `columns`, and which of them each row is.

    Sorted by what matters most, the posts of a tile go the same way for longer, and the raters of a leaf stand
    together.
    """
    order = np.lexsort([codes[:, k] for k in reversed(columns)]) if len(columns) else np.arange(len(codes))
    is_new = np.ones(len(codes), dtype=bool)
    is_new[1:] = (codes[order[1:]] != codes[order[:-1]]).any(axis=1)
    which = np.empty(len(codes), dtype=np.intp)
    which[order] = np.cumsum(is_new) - 1
    return codes[order[is_new]], which


def _score_raters(
    forest: HistogramForest,
    posts: Bytes,
    raters: Bytes,
    rows: Ints,
    out: NDArray[Any],
    scale: float,
    n_threads: int,
    *,
    is_wide: bool,
) -> None:
    """Write the scores of distinct posts for distinct raters into the first columns of `rows`."""
    trees = forest.trees_
    n_post_features, n_cuts = posts.shape[1], int(trees.cuts.max()) + 1
    items = np.empty(len(trees.cuts), rectangles.ITEM)
    firsts, reached_by, n_slots, n_reached = rectangles.lay_out(
        raters,
        n_post_features,
        n_cuts,
        trees.starts,
        trees.split_features,
        trees.cuts,
        trees.lefts,
        trees.means,
        items,
    )

    def add_up(goes_left: Masks, everyone: Masks) -> Singles:
        sums = np.zeros((len(raters), TILE), dtype=np.float32)
        if not is_wide:
            rectangles.add_means_to_pairs(
                goes_left, everyone, items, firsts, reached_by, n_slots, LANES, sums
            )
            return sums
        wide.add_means_to_pairs(
            goes_left.ravel().view(np.uint32),
            everyone.view(np.uint32),
            items,
            firsts,
            reached_by,
            n_slots,
            n_reached,
            len(raters),
            sums.ravel(),
        )
        return sums

    def score(first: int) -> None:
        tile = posts[first : first + TILE]
        flags = np.zeros((n_post_features * n_cuts + 1, TILE), dtype=bool)
        flags[:-1, : len(tile)] = (tile.T[:, None, :] <= np.arange(n_cuts)[:, None]).reshape(-1, len(tile))
        flags[-1, : len(tile)] = True
        words = np.packbits(flags, axis=-1, bitorder="little").view("<u8").astype(np.uint64)
        scores = add_up(words[:-1], words[-1])
        scores /= np.float32(forest.n_trees)
        if out.dtype == np.uint8:
            scores *= np.float32(scale)
            scores = np.rint(scores, out=scores).astype(np.uint8)
        places = wide.PLACE_OF_SUM[: len(tile)] if is_wide else slice(len(tile))
        out[rows, first : first + len(tile)] = scores[:, places]

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(score, range(0, len(posts), TILE)))
