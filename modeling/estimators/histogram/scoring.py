"""Scores of all posts for all raters at once, without predicting one pair at a time.

In a tree every test reads the post or the rater, so a leaf is a rectangle: some posts by some raters. One
walk per tree finds the rectangles of a whole tile of posts; a leaf's mean is then added where it belongs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from modeling.estimators.histogram import kernels
from modeling.estimators.histogram.forest import Bytes, HistogramForest

Ints = NDArray[np.intp]

POSTS_AT_ONCE = 512  # a multiple of the 64 in a word; their sums for all raters stay near the processor
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
) -> NDArray[Any]:
    """Predict every post for every rater, to the bit as `forest.predict` would.

    Posts of equal features are scored once, and so are raters. Beyond `out` it needs room for the raters that
    may reach each node (about 0.1 MB a tree for 1,000 raters) and 8 MB a thread per 1,000 raters.

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

    Returns
    -------
    ndarray of shape (n_raters, n_posts)
        `out`, or a new array.

    Raises
    ------
    ValueError
        If the columns are not those of the forest, `out` or `dtype` does not fit, or uint8 cannot hold what the
        forest predicts.
    """
    posts, raters = np.asarray(post_features, np.float64), np.asarray(rater_features, np.float64)
    if posts.ndim != 2 or raters.ndim != 2 or posts.shape[1] + raters.shape[1] != len(forest.levels_):
        raise ValueError(
            f"features of posts {posts.shape} and of raters {raters.shape} must be two tables whose columns together "
            f"are the {len(forest.levels_)} that the forest was fitted to"
        )
    if n_threads < 1:
        raise ValueError(f"n_threads is {n_threads}; it must be 1 or more")
    if out is None:
        out = np.empty((len(raters), len(posts)), dtype=dtype)
    if out.shape != (len(raters), len(posts)) or out.dtype not in (np.float32, np.uint8):
        raise ValueError(
            f"the scores are float32 or uint8 of shape {(len(raters), len(posts))}, not {out.dtype} of {out.shape}"
        )
    if out.dtype == np.uint8:
        _check_range(forest, scale)

    distinct_posts, columns = _find_distinct(forest.encode(posts), _by_importance(forest, posts.shape[1]))
    distinct_raters, rows = _find_distinct(forest.encode(raters, posts.shape[1]), range(raters.shape[1]))
    for first in range(0, len(distinct_raters), RATERS_AT_ONCE):
        block = distinct_raters[first : first + RATERS_AT_ONCE]
        _score_raters(
            forest, distinct_posts, columns, block, rows[first : first + len(block)], out, scale, n_threads
        )
    return out


def _check_range(forest: HistogramForest, scale: float) -> None:
    is_leaf = forest.trees_.split_features == kernels.LEAF
    low, high = (float(end(forest.trees_.means[is_leaf])) for end in (np.min, np.max))
    if not (scale > 0 and low >= 0 and np.rint(high * scale) <= TOP_BYTE):
        raise ValueError(
            f"the forest predicts from {low:g} to {high:g}, which times {scale:g} leaves the 0 to {TOP_BYTE} of uint8; "
            "choose another scale, or float32"
        )


def _by_importance(forest: HistogramForest, n_features: int) -> list[int]:
    return [int(k) for k in np.argsort(-forest.decreases_[:n_features], kind="stable")]


def _find_distinct(codes: Bytes, columns: list[int] | range) -> tuple[Bytes, list[Ints]]:
    """Return the distinct rows, sorted by `columns`, and where each of them occurs.

    Sorted by what matters most, the posts of a tile go the same way for longer.
    """
    order = np.lexsort([codes[:, k] for k in reversed(columns)]) if len(columns) else np.arange(len(codes))
    is_new = np.ones(len(codes), dtype=bool)
    is_new[1:] = (codes[order[1:]] != codes[order[:-1]]).any(axis=1)
    firsts = np.flatnonzero(is_new)
    return codes[order[firsts]], np.split(order, firsts[1:]) if len(firsts) else []


def _score_raters(
    forest: HistogramForest,
    posts: Bytes,
    columns: list[Ints],
    raters: Bytes,
    rows: list[Ints],
    out: NDArray[Any],
    scale: float,
    n_threads: int,
) -> None:
    trees = forest.trees_
    n_post_features, n_cuts = posts.shape[1], int(trees.cuts.max()) + 1
    reached = kernels.sort_raters(
        raters, n_post_features, trees.starts, trees.split_features, trees.cuts, trees.lefts
    )
    all_rows = np.concatenate(rows)
    rows_from = np.repeat(np.arange(len(rows)), [len(of_rater) for of_rater in rows])

    def score(first: int) -> None:
        tile = posts[first : first + POSTS_AT_ONCE]
        of_tile = columns[first : first + len(tile)]
        everyone = np.zeros((1, 1, POSTS_AT_ONCE), dtype=bool)
        everyone[..., : len(tile)] = True
        goes_left = np.zeros((n_post_features, n_cuts, POSTS_AT_ONCE), dtype=bool)
        goes_left[..., : len(tile)] = tile.T[:, None, :] <= np.arange(n_cuts)[:, None]
        sums = np.zeros((len(raters), POSTS_AT_ONCE), dtype=np.float32)
        kernels.add_means_to_pairs(
            _as_words(goes_left),
            _as_words(everyone)[0, 0],
            n_post_features,
            trees.starts,
            trees.split_features,
            trees.cuts,
            trees.lefts,
            trees.means,
            *reached,
            LANES,
            sums,
        )
        scores = sums[:, : len(tile)] / np.float32(forest.n_trees)
        if out.dtype == np.uint8:
            scores = np.rint(scores * np.float32(scale)).astype(np.uint8)
        columns_from = np.repeat(np.arange(len(tile)), [len(of_post) for of_post in of_tile])
        out[np.ix_(all_rows, np.concatenate(of_tile))] = scores[np.ix_(rows_from, columns_from)]

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(score, range(0, len(posts), POSTS_AT_ONCE)))


def _as_words(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    packed = np.packbits(flags, axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64)
