"""What a post's raters together say: sums and means by post, and the rounded consensus.

Everywhere in this room a row is one rater's annotation of one post: `ratings` holds its values,
`posts` the code of its post, and rows come in any order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats import kernels
from modeling.stats.spearman import CodedRows, as_matrix, code_rows

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

# Summed ratings carry float error; a mean this close below a half is the half. Means of whole
# numbers lie further apart than this for any count of raters below a thousand million.
HALF_TOLERANCE = 1e-10


def rounded_consensus(ratings: ArrayLike, posts: ArrayLike, n_posts: int | None = None) -> Matrix:
    """Mean rating of each post over all its raters, rounded half up to an integer.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One annotation per row, in the scale's units; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded 0..n_posts-1.
    n_posts : int, optional
        Number of posts; the largest code plus one if not given.

    Returns
    -------
    ndarray of shape (n_posts, n_values)
        Whole numbers; NaN where nobody rated the value on the post.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, or a rating is infinite.

    Examples
    --------
    >>> rounded_consensus([[1, 0], [2, 0]], [0, 0])
    array([[2., 0.]])
    """
    rows, codes, n = code_ratings(ratings, posts, n_posts)
    if rows.origin is not None:
        totals, counts = kernels.totals_by_post(rows.codes, rows.n_bins, codes, n)
        return round_half_up(mean_of(totals, counts)) + rows.origin
    totals, counts = totals_by_post(as_floats(ratings), codes, n)
    return round_half_up(mean_of(totals, counts))


def check_ratings(
    ratings: ArrayLike, posts: ArrayLike, n_posts: int | None = None
) -> tuple[Matrix, Codes, int]:
    """Return `ratings` as floats, `posts` as int64 codes and the number of posts, or say what is wrong.

    Raises
    ------
    ValueError
        If `ratings` is not of shape (n_rows, n_values) with at least one value, holds an infinite
        number, or `posts` is not one whole number from 0 to n_posts - 1 per row.
    """
    rows = check_matrix(ratings, "ratings")
    return rows, *check_posts(posts, len(rows), n_posts)


def code_ratings(
    ratings: ArrayLike, posts: ArrayLike, n_posts: int | None = None
) -> tuple[CodedRows, Codes, int]:
    """Check as `check_ratings` does, but return the ratings coded, see `CodedRows`, without a copy as floats."""
    rows = code_matrix(ratings, "ratings")
    return rows, *check_posts(posts, len(rows.codes), n_posts)


def code_matrix(values: ArrayLike, name: str) -> CodedRows:
    """Check as `check_matrix` does, but return the values coded, see `CodedRows`."""
    matrix = np.asarray(values)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        check_matrix(matrix, name)
    coded = code_rows(as_matrix(matrix, name))
    if coded.origin is None:  # only then may a number be infinite
        check_matrix(matrix, name)
    return coded


def as_floats(checked: ArrayLike) -> Matrix:
    """Return a matrix that `code_matrix` let pass as contiguous floats, for numbers that codes cannot hold."""
    return np.ascontiguousarray(checked, dtype=np.float64)


def check_posts(posts: ArrayLike, n_rows: int, n_posts: int | None) -> tuple[Codes, int]:
    """Return `posts` as int64 codes, not copied if they are, and the number of posts.

    Raises
    ------
    ValueError
        If `posts` is not one whole number from 0 to n_posts - 1 per row.
    """
    codes = np.asarray(posts)
    if codes.shape != (n_rows,):
        raise ValueError(
            f"posts has shape {codes.shape}, ratings has {n_rows} row(s): give one post code per row"
        )
    if codes.size and not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"posts has dtype {codes.dtype}: code the posts as integers 0..n_posts-1")
    codes = np.require(codes, np.int64, ["C", "W"])
    lowest, highest = (int(codes.min()), int(codes.max())) if codes.size else (0, -1)
    if n_posts is None:
        n_posts = highest + 1
    if lowest < 0 or highest >= n_posts:
        row = int(((codes < 0) | (codes >= n_posts)).argmax())
        raise ValueError(f"posts[{row}] is {codes[row]}: codes run from 0 to n_posts - 1 = {n_posts - 1}")
    return codes, n_posts


def check_raters(raters: ArrayLike, n_rows: int, n_raters: int | None = None) -> Codes:
    """Return `raters` as int64 codes, one per row, or say what is wrong.

    Raises
    ------
    ValueError
        If `raters` is not one whole number per row, from 0 to n_raters - 1 where that is given.
    """
    codes = np.asarray(raters)
    if codes.shape != (n_rows,):
        raise ValueError(
            f"raters has shape {codes.shape}, ratings has {n_rows} row(s): give one rater code per row"
        )
    if codes.size and not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"raters has dtype {codes.dtype}: code the raters as integers 0..n_raters-1")
    outside = codes < 0 if n_raters is None else (codes < 0) | (codes >= n_raters)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"raters[{row}] is {codes[row]}: codes run from 0 to n_raters - 1")
    return codes.astype(np.int64)


def pair_rows(posts: Codes, raters: Codes) -> tuple[Codes, Codes]:
    """Row of the lower rater and row of the higher, for every two rows of one post.

    Raises ValueError if a rater has two rows of one post.
    """
    order = np.lexsort((raters, posts))
    post, rater = posts[order], raters[order]
    repeated = (post[1:] == post[:-1]) & (rater[1:] == rater[:-1])
    if repeated.any():
        k = int(repeated.argmax())
        raise ValueError(f"rater {rater[k]} has two rows for post {post[k]}: give one row per rater and post")
    first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for lag in range(1, int(np.bincount(post).max(initial=0))):
        starts = np.flatnonzero(post[lag:] == post[:-lag])
        first.append(order[starts])
        second.append(order[starts + lag])
    return np.concatenate(first), np.concatenate(second)


def check_matrix(values: ArrayLike, name: str) -> Matrix:
    """Return `values` as a float matrix, or say what is wrong.

    Raises
    ------
    ValueError
        If `values` is not two-dimensional, has no column, or holds an infinite number.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"{name} has shape {matrix.shape}: give two dimensions with at least one column")
    with np.errstate(invalid="ignore", over="ignore"):
        total = matrix.sum()  # one pass without a copy; a NaN or an overflow asks for the second look
    if not np.isfinite(total):
        infinite = np.isinf(matrix)
        if infinite.any():
            row, column = (int(k) for k in np.argwhere(infinite)[0])
            raise ValueError(f"{name}[{row}, {column}] is infinite: use NaN for a value that is missing")
    return matrix


def totals_by_post(ratings: Matrix, posts: Codes, n_posts: int) -> tuple[Matrix, Matrix]:
    """Sum and count of the ratings present, per post and value; each of shape (n_posts, n_values)."""
    totals, counts = kernels.totals_by_post(ratings, np.inf, posts, n_posts)
    return totals, counts


def sum_by_post(rows: NDArray[np.float64] | NDArray[np.bool_], posts: Codes, n_posts: int) -> Matrix:
    """Sum the rows of each post; shape (n_posts, n_values). `rows` holds no NaN."""
    columns = [np.bincount(posts, weights=column, minlength=n_posts) for column in rows.T]
    return np.stack(columns, axis=1).astype(np.float64)


def mean_of_others(ratings: Matrix, posts: Codes, n_posts: int) -> Matrix:
    """For each row, the unrounded mean of its post's other rows; NaN where no other row has the value."""
    totals, counts = totals_by_post(ratings, posts, n_posts)
    present = ~np.isnan(ratings)
    return mean_of(totals[posts] - np.where(present, ratings, 0.0), counts[posts] - present)


def mean_of(totals: Matrix, counts: Matrix) -> Matrix:
    """Divide sums by counts; NaN where the count is zero."""
    means: Matrix = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    return means


def round_half_up(means: Matrix) -> Matrix:
    """Round to whole numbers, halves towards plus infinity; NaN stays NaN."""
    tolerance = HALF_TOLERANCE * np.maximum(1.0, np.abs(means))
    rounded: Matrix = np.floor(means + 0.5 + tolerance)
    return rounded
