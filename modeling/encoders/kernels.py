"""The loops of the linear encoder, compiled by Numba. The functions that call them check what goes in.

Texts stand one after the other as code points, from `starts`; a post's terms are a row of a sparse matrix whose
entries stand from `rows`. `basis` turns the few numbers that the words of a post give for a value into a number for
each point of the scale: of shape (n_directions, n_points).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

CodePoints = NDArray[np.uint32]
Ints = NDArray[np.int64]
Columns = NDArray[np.int32]
Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SPACE = np.uint32(32)
FEWEST_LETTERS, MOST_LETTERS = 3, 5
# The FNV-1a hash, http://www.isthe.com/chongo/tech/comp/fnv/, and the last step of MurmurHash3 to spread it.
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
SPREAD = np.uint64(0xFF51AFD7ED558CCD)
HALF = np.uint64(33)
SMALLEST = np.float32(1e-6)
# Sums may be taken in any order; NaN, which stands for no label, stays NaN.
REORDERED = {"reassoc", "contract", "arcp", "nsz"}


@njit(cache=True, error_model="numpy")
def _hash(points: CodePoints, start: int, end: int, mark: int, n_bits: int) -> int:
    """The bucket of a stretch of text; `mark` tells kinds of terms apart."""
    found = FNV_START ^ np.uint64(mark)
    for place in range(start, end):
        found = (found ^ np.uint64(points[place])) * FNV_PRIME
    found = (found ^ (found >> HALF)) * SPREAD
    return int(np.int64(found >> np.uint64(64 - n_bits)))


@njit(cache=True, error_model="numpy")
def _find_terms(points: CodePoints, start: int, end: int, n_bits: int, found: Ints) -> int:
    """Write the buckets of all terms of a text, words with a space before and behind each; return how many.

    Words and pairs of words lie below 2**n_bits, parts of words above.
    """
    n_found = 0
    n_buckets = 1 << n_bits
    before = -1  # where the word before this one begins
    word = start + 1
    for place in range(start + 1, end):
        if points[place] != SPACE:
            continue
        found[n_found] = _hash(points, word, place, 1, n_bits)
        n_found += 1
        if before >= 0:
            found[n_found] = _hash(points, before, place, 2, n_bits)
            n_found += 1
        for length in range(FEWEST_LETTERS, MOST_LETTERS + 1):
            for first in range(word - 1, place + 2 - length):
                found[n_found] = n_buckets + _hash(points, first, first + length, 3, n_bits)
                n_found += 1
        before, word = word, place + 1
    return n_found


@njit(cache=True, nogil=True, error_model="numpy")
def count_terms(points: CodePoints, starts: Ints, n_bits: int) -> tuple[Ints, Ints, Singles]:
    """Return rows, buckets and counts of the terms of all texts; buckets of one text increase."""
    n_texts = len(starts) - 1
    rows = np.zeros(n_texts + 1, np.int64)
    room = 0
    for text in range(n_texts):
        room += (starts[text + 1] - starts[text]) * (MOST_LETTERS - FEWEST_LETTERS + 3) + 8
    buckets = np.empty(room, np.int64)
    counts = np.empty(room, np.float32)
    found = np.empty(room, np.int64)
    n_entries = 0
    for text in range(n_texts):
        n_found = _find_terms(points, starts[text], starts[text + 1], n_bits, found)
        ordered = np.sort(found[:n_found])
        for place in range(n_found):
            if place and ordered[place] == ordered[place - 1]:
                counts[n_entries - 1] += np.float32(1)
            else:
                buckets[n_entries] = ordered[place]
                counts[n_entries] = np.float32(1)
                n_entries += 1
        rows[text + 1] = n_entries
    return rows, buckets[:n_entries].copy(), counts[:n_entries].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def weigh_terms(
    rows: Ints, buckets: Ints, counts: Singles, column_of: Columns, idf: Singles, n_word_columns: int
) -> tuple[Ints, Columns, Singles]:
    """Keep the terms that have a column, weigh them, and bring words and parts of words to length 1 each."""
    kept_rows = np.zeros_like(rows)
    columns = np.empty(len(buckets), np.int32)
    weights = np.empty(len(buckets), np.float32)
    n_kept = 0
    for text in range(len(rows) - 1):
        first = n_kept
        of_words, of_parts = np.float32(0), np.float32(0)
        for entry in range(rows[text], rows[text + 1]):
            column = column_of[buckets[entry]]
            if column < 0:
                continue
            weight = (np.float32(1) + np.log(counts[entry])) * idf[column]
            columns[n_kept], weights[n_kept] = column, weight
            if column < n_word_columns:
                of_words += weight * weight
            else:
                of_parts += weight * weight
            n_kept += 1
        for entry in range(first, n_kept):
            length = of_words if columns[entry] < n_word_columns else of_parts
            weights[entry] /= np.sqrt(length)
        kept_rows[text + 1] = n_kept
    return kept_rows, columns[:n_kept].copy(), weights[:n_kept].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def _share_out(scores: Singles, biases: Singles, basis: Singles, value: int, probabilities: Singles) -> None:
    """Write the probabilities of one value's points."""
    n_directions, n_points = basis.shape
    highest = np.float32(-np.inf)
    for point in range(n_points):
        score = biases[value, point]
        for direction in range(n_directions):
            score += scores[value * n_directions + direction] * basis[direction, point]
        probabilities[point] = score
        highest = max(highest, score)
    total = np.float32(0)
    for point in range(n_points):
        probabilities[point] = np.exp(probabilities[point] - highest)
        total += probabilities[point]
    for point in range(n_points):
        probabilities[point] /= total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=REORDERED)
def go_through(
    rows: Ints,
    columns: Columns,
    terms: Singles,
    targets: Singles,
    order: Ints,
    basis: Singles,
    weights: Singles,
    biases: Singles,
    weight_squares: Singles,
    bias_squares: Singles,
    rate: float,
    decay: float,
) -> None:
    """Go through the posts once, in this order, changing weights and biases after each (AdaGrad).

    Each term has one step size for all its weights; `decay` is the ridge penalty over the number of posts. A weight
    is drawn to zero when its term comes up again, and at the end, by as many steps as went by.

    Source: Duchi, Hazan and Singer (2011), Journal of Machine Learning Research 12, 2121-2159.
    """
    n_outputs = weights.shape[1]
    n_directions, n_points = basis.shape
    n_values = n_outputs // n_directions
    seen = np.zeros(len(weights), np.int64)
    scores = np.empty(n_outputs, np.float32)
    slopes = np.empty(n_outputs, np.float32)
    probabilities = np.empty(n_points, np.float32)
    step = np.float32(rate)
    for turn in range(len(order)):
        post = order[turn]
        scores[:] = 0
        for entry in range(rows[post], rows[post + 1]):
            column = columns[entry]
            pull = step / np.sqrt(weight_squares[column] + SMALLEST) * decay
            keep = np.float32(np.exp(-pull * (turn - seen[column])))
            seen[column] = turn
            term = terms[entry]
            for output in range(n_outputs):
                weights[column, output] *= keep
                scores[output] += term * weights[column, output]
        length = np.float32(0)
        slopes[:] = 0
        for value in range(n_values):
            if np.isnan(targets[post, value, 0]):
                continue
            _share_out(scores, biases, basis, value, probabilities)
            for point in range(n_points):
                error = probabilities[point] - targets[post, value, point]
                bias_squares[value, point] += error * error
                biases[value, point] -= (
                    np.float32(0.5) * step * error / np.sqrt(bias_squares[value, point] + SMALLEST)
                )
                for direction in range(n_directions):
                    slopes[value * n_directions + direction] += error * basis[direction, point]
        for output in range(n_outputs):
            length += slopes[output] * slopes[output]
        length /= np.float32(n_outputs)
        for entry in range(rows[post], rows[post + 1]):
            column, term = columns[entry], terms[entry]
            weight_squares[column] += term * term * length
            size = step * term / np.sqrt(weight_squares[column] + SMALLEST)
            for output in range(n_outputs):
                weights[column, output] -= size * slopes[output]
    for column in range(len(weights)):
        pull = step / np.sqrt(weight_squares[column] + SMALLEST) * decay
        weights[column] *= np.float32(np.exp(-pull * (len(order) - seen[column])))


@njit(cache=True, nogil=True, error_model="numpy")
def predict(
    rows: Ints, columns: Columns, terms: Singles, basis: Singles, weights: Singles, biases: Singles
) -> Singles:
    """Return the distributions of all posts, of shape (n_posts, n_values, n_points)."""
    n_posts = len(rows) - 1
    n_values, n_points = biases.shape
    n_outputs = weights.shape[1]
    found = np.empty((n_posts, n_values, n_points), np.float32)
    scores = np.empty(n_outputs, np.float32)
    for post in range(n_posts):
        scores[:] = 0
        for entry in range(rows[post], rows[post + 1]):
            column, term = columns[entry], terms[entry]
            for output in range(n_outputs):
                scores[output] += term * weights[column, output]
        for value in range(n_values):
            _share_out(scores, biases, basis, value, found[post, value])
    return found
