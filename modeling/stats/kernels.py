"""The loops of this room, compiled by Numba. The functions that call them check what goes in.

`codes` is a ratings matrix as small whole numbers, a row being one rater's annotation of one post: of
equal order to the ratings within every row, below `n_bins` where there is a rating, and `n_bins` or more
where there is none. A row of so few different numbers is ranked by counting them. Rows of one post are
found through `order` and `starts`, see `rows_by_post`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Codes = NDArray[np.unsignedinteger]
Floats = NDArray[np.float64]
Rows = NDArray[np.unsignedinteger] | Floats
Ints = NDArray[np.int64]

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): number i of a stream is a bijection of seed + i * STEP.
STEP, MIX_A, MIX_B = (np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
SHIFT_A, SHIFT_B, SHIFT_C, SHIFT_UNIT = (np.uint64(k) for k in (30, 27, 31, 11))
UNIT = 2.0**-53
ONE, EIGHT, LOWEST_COUNTER = np.uint64(1), np.uint64(8), np.uint64(255)

NOMINAL, ORDINAL, INTERVAL, RATIO = range(4)


@njit(cache=True, error_model="numpy", forceinline=True)
def _drawn_below(n: int, seed: np.uint64, i: int) -> int:
    """Number i of the stream of `seed`, as a whole number from 0 to n - 1."""
    x = seed + np.uint64(i) * STEP
    x = (x ^ (x >> SHIFT_A)) * MIX_A
    x = (x ^ (x >> SHIFT_B)) * MIX_B
    x = (x ^ (x >> SHIFT_C)) >> SHIFT_UNIT
    return int(np.float64(np.int64(x)) * UNIT * n)


# ---- ratings as codes


@njit(cache=True, error_model="numpy")
def code_whole_numbers(numbers: Floats, low: float, codes: Codes) -> bool:
    """Write each number less `low` into `codes`, 255 for NaN; False unless they are whole, from 0 to 254."""
    n_misfits = np.int32(0)  # no branch in the loop, and small types: it runs on vector instructions
    for i in range(len(numbers)):
        x = numbers[i] - low
        present = not np.isnan(numbers[i])
        code = np.int32(min(max(x, 0.0), 254.0)) if present else np.int32(255)
        codes[i] = np.uint8(code)
        n_misfits |= np.int32(present and np.float64(code) != x)
    return bool(n_misfits == 0)


@njit(cache=True, error_model="numpy")
def code_by_order(matrix: Floats, by_counting: bool, codes: Codes) -> int:
    """Write how many numbers of its row are smaller than each, the highest code for NaN; return n_missing."""
    n_rows, n_values = matrix.shape
    absent_code = np.iinfo(codes.dtype).max
    n_missing = 0
    row = np.empty(n_values)
    for i in range(n_rows):
        row[:] = matrix[i]
        if by_counting:
            for j in range(n_values):
                n_smaller = 0
                for k in range(n_values):
                    n_smaller += row[k] < row[j]
                codes[i, j] = n_smaller
        else:
            places = np.argsort(row)
            n_smaller = 0
            for place in range(n_values):
                j = places[place]
                if place == 0 or row[j] != row[places[place - 1]]:
                    n_smaller = place
                codes[i, j] = n_smaller
        for j in range(n_values):
            if np.isnan(row[j]):
                codes[i, j] = absent_code
                n_missing += 1
    return n_missing


@njit(cache=True, error_model="numpy")
def rows_by_post(posts: Ints, n_posts: int) -> tuple[Ints, Ints]:
    """Rows sorted by post: those of post p are ``order[starts[p]:starts[p + 1]]``, in their own order."""
    starts = np.zeros(n_posts + 1, np.int64)
    for i in range(len(posts)):
        starts[posts[i] + 1] += 1
    for p in range(n_posts):
        starts[p + 1] += starts[p]
    order = np.empty(len(posts), np.int64)
    nexts = starts.copy()
    for i in range(len(posts)):
        order[nexts[posts[i]]] = i
        nexts[posts[i]] += 1
    return order, starts


# ---- rank correlation


@njit(cache=True, error_model="numpy", forceinline=True)
def _count(codes: Codes, i: int, n_bins: int, table: Ints) -> None:
    """Write how often row i has each code into `table`, of length n_bins + 1; the last counts the missing."""
    n_values = codes.shape[1]
    if n_bins < 8 and n_values < 256:
        # Eight counters of eight bits in one number: adding to it waits for no memory.
        packed, last = np.uint64(0), np.uint8(n_bins)
        for j in range(n_values):
            packed += ONE << (EIGHT * np.uint64(min(codes[i, j], last)))
        for x in range(n_bins + 1):
            table[x] = (packed >> (EIGHT * np.uint64(x))) & LOWEST_COUNTER
        return
    table[:] = 0
    for j in range(n_values):
        table[min(codes[i, j], n_bins)] += 1


@njit(cache=True, error_model="numpy", forceinline=True)
def _to_centred_ranks(counts: Ints, n_bins: int, n_present: int) -> int:
    """Turn the counts of a row into the centred rank of each bin; return the sum of their squares."""
    below = 0
    squares = 0
    for x in range(n_bins):
        count = counts[x]
        rank = 2 * below + count - n_present
        below += count
        counts[x] = rank
        squares += count * rank * rank
    return squares


@njit(cache=True, error_model="numpy")
def _quotient(products: int, squares_a: int, squares_b: int) -> float:
    # One root of the whole product: for equal rows it is exact, and rho exactly 1.
    rho = products / np.sqrt(float(squares_a) * float(squares_b))
    return float(min(1.0, max(-1.0, rho)))


@njit(cache=True, error_model="numpy")
def centred_ranks(codes: Codes, n_bins: int) -> Floats:
    """How many of the row are smaller less how many are larger; 0 where there is no rating."""
    n_rows, n_values = codes.shape
    ranks = np.zeros((n_rows, n_values))
    table = np.zeros(n_bins + 1, np.int64)
    for i in range(n_rows):
        _count(codes, i, n_bins, table)
        n_present = n_values - table[n_bins]
        _to_centred_ranks(table, n_bins, n_present)
        table[n_bins] = 0
        for j in range(n_values):
            ranks[i, j] = table[min(codes[i, j], n_bins)]
    return ranks


@njit(cache=True, error_model="numpy")
def _rho(
    a: Codes, i: int, n_bins_a: int, b: Codes, k: int, n_bins_b: int, table_a: Ints, table_b: Ints
) -> float:
    """Spearman's rho of row i of `a` and row k of `b` over what both have; NaN where there is none."""
    n_values = a.shape[1]
    table_a[:] = 0
    table_b[:] = 0
    n_shared = 0
    for j in range(n_values):
        if a[i, j] < n_bins_a and b[k, j] < n_bins_b:
            table_a[a[i, j]] += 1
            table_b[b[k, j]] += 1
            n_shared += 1
    squares_a = _to_centred_ranks(table_a, n_bins_a, n_shared)
    squares_b = _to_centred_ranks(table_b, n_bins_b, n_shared)
    if squares_a == 0 or squares_b == 0:
        return np.nan
    products = 0
    for j in range(n_values):
        if a[i, j] < n_bins_a and b[k, j] < n_bins_b:
            products += table_a[a[i, j]] * table_b[b[k, j]]
    return _quotient(products, squares_a, squares_b)


@njit(cache=True, error_model="numpy")
def rho_of_rows(a: Codes, n_bins_a: int, b: Codes, n_bins_b: int) -> Floats:
    """Spearman's rho of each row of `a` and the same row of `b`."""
    rho = np.empty(len(a))
    table_a, table_b = np.empty(n_bins_a, np.int64), np.empty(n_bins_b, np.int64)
    for i in range(len(a)):
        rho[i] = _rho(a, i, n_bins_a, b, i, n_bins_b, table_a, table_b)
    return rho


@njit(cache=True, error_model="numpy")
def rho_of_pairs(
    codes: Codes, n_bins: int, complete: bool, posts: Ints, n_posts: int
) -> tuple[Floats, Ints, NDArray[np.bool_]]:
    """Sum and count of the rhos over the pairs of rows of each post, and which posts differ.

    Rows that have the same values have ranks over the same values, so that the sum of their unit vectors
    holds every pair: |sum z|^2 = n + 2 * (sum of rho over pairs). A post differs where its rows do not have
    the same values: its sum and count mean nothing, see `rho_of_differing_pairs`.
    """
    n_rows, n_values = codes.shape
    totals = np.zeros((n_posts, n_values))
    n_varying = np.zeros(n_posts, np.int64)
    differs = np.zeros(n_posts, np.bool_)
    first_row = np.full(n_posts, -1)
    table, unit = np.zeros(n_bins + 1, np.int64), np.zeros(n_bins + 1)
    for i in range(n_rows):
        p = posts[i]
        _count(codes, i, n_bins, table)
        n_present = n_values - table[n_bins]
        if not complete:
            if first_row[p] < 0:
                first_row[p] = i
            first = first_row[p]
            for j in range(n_values):
                differs[p] |= (codes[i, j] < n_bins) != (codes[first, j] < n_bins)
        squares = _to_centred_ranks(table, n_bins, n_present)
        if squares > 0:
            n_varying[p] += 1
            scale = 1.0 / np.sqrt(float(squares))
            for x in range(n_bins):
                unit[x] = table[x] * scale
            for j in range(n_values):
                totals[p, j] += unit[min(codes[i, j], n_bins)]
    sums = np.zeros(n_posts)
    for p in range(n_posts):
        squared = 0.0
        for j in range(n_values):
            squared += totals[p, j] * totals[p, j]
        sums[p] = (squared - n_varying[p]) / 2
    return sums, n_varying * (n_varying - 1) // 2, differs


@njit(cache=True, error_model="numpy")
def rho_of_differing_pairs(
    codes: Codes, n_bins: int, order: Ints, starts: Ints, chosen: Ints
) -> tuple[Floats, Ints]:
    """Sum and count of the rhos of each chosen post, every pair ranked over the values it shares."""
    sums, counts = np.zeros(len(chosen)), np.zeros(len(chosen), np.int64)
    table_a, table_b = np.empty(n_bins, np.int64), np.empty(n_bins, np.int64)
    for c in range(len(chosen)):
        begin, end = starts[chosen[c]], starts[chosen[c] + 1]
        for s in range(begin, end):
            for t in range(begin, s):
                rho = _rho(codes, order[s], n_bins, codes, order[t], n_bins, table_a, table_b)
                if not np.isnan(rho):
                    sums[c] += rho
                    counts[c] += 1
    return sums, counts


# ---- what the others say


@njit(cache=True, error_model="numpy")
def totals_by_post(values: Rows, limit: float, posts: Ints, n_posts: int) -> tuple[Floats, Floats]:
    """Sum and count by post, per column, of what lies below `limit`: codes below n_bins, numbers below inf."""
    n_rows, n_values = values.shape
    totals, counts = np.zeros((n_posts, n_values)), np.zeros((n_posts, n_values))
    for i in range(n_rows):
        p = posts[i]
        for j in range(n_values):
            present = values[i, j] < limit
            totals[p, j] += values[i, j] if present else 0.0
            counts[p, j] += present
    return totals, counts


@njit(cache=True, error_model="numpy")
def distance_from_others(values: Rows, limit: float, posts: Ints, n_posts: int) -> Floats:
    """Mean over a post's rows of the distance from the mean of the others; NaN below two rows of a value."""
    totals, counts = totals_by_post(values, limit, posts, n_posts)
    distances = np.zeros(totals.shape)
    for i in range(len(values)):
        p = posts[i]
        for j in range(values.shape[1]):
            if values[i, j] < limit:
                own = np.float64(values[i, j])
                distances[p, j] += abs(own - (totals[p, j] - own) / (counts[p, j] - 1.0))
    for p in range(n_posts):
        for j in range(values.shape[1]):
            distances[p, j] = distances[p, j] / counts[p, j] if counts[p, j] > 1.0 else np.nan
    return distances


@njit(cache=True, error_model="numpy", forceinline=True)
def _rounded_mean(total: float, count: float) -> int:
    # The mean of whole codes is a multiple of 1 / count: the small term undoes float error and no more.
    return int(total / count + (0.5 + 1e-10))


@njit(cache=True, error_model="numpy")
def rho_with_consensus(codes: Codes, n_bins: int, posts: Ints, n_posts: int) -> tuple[Floats, Ints]:
    """Sum and count by post of the rhos of each row with the rounded mean of the post's other rows."""
    n_rows, n_values = codes.shape
    totals, counts = totals_by_post(codes, n_bins, posts, n_posts)
    sums, n_defined = np.zeros(n_posts), np.zeros(n_posts, np.int64)
    consensus = np.empty((1, n_values), codes.dtype)
    table_a, table_b = np.empty(n_bins, np.int64), np.empty(n_bins, np.int64)
    for i in range(n_rows):
        p = posts[i]
        for j in range(n_values):
            present = codes[i, j] < n_bins
            n_others = counts[p, j] - present
            total = totals[p, j] - (codes[i, j] if present else 0.0)
            consensus[0, j] = _rounded_mean(total, n_others) if n_others > 0.0 else n_bins
        rho = _rho(codes, i, n_bins, consensus, 0, n_bins, table_a, table_b)
        if not np.isnan(rho):
            sums[p] += rho
            n_defined[p] += 1
    return sums, n_defined


@njit(cache=True, error_model="numpy")
def seat(order: Ints, starts: Ints, seed: np.uint64) -> Ints:
    """Shuffle the rows of each post: every order of them is equally likely."""
    seats = order.copy()
    for p in range(len(starts) - 1):
        for s in range(starts[p + 1] - 1, starts[p], -1):
            t = starts[p] + _drawn_below(s - starts[p] + 1, seed, s)
            seats[s], seats[t] = seats[t], seats[s]
    return seats


@njit(cache=True, error_model="numpy")
def rho_with_neighbours(
    codes: Codes,
    n_bins: int,
    complete: bool,
    seats: Ints,
    starts: Ints,
    sizes: Ints,
    sums: Floats,
    counts: Ints,
) -> None:
    """Add, by size g and post, the rhos of each row with the rounded mean of the g rows seated after it.

    `sizes` ascend; the seats of a post are a circle. `sums` and `counts` have shape (n_sizes, n_posts).
    """
    n_values = codes.shape[1]
    ranks = np.empty(n_values, np.int64)
    totals, n_shown = np.empty(n_values, np.int64), np.empty(n_values, np.int64)
    consensus = np.empty((1, n_values), codes.dtype)
    table_a, table_b = np.empty(n_bins + 1, np.int64), np.empty(n_bins, np.int64)
    for p in range(len(starts) - 1):
        begin, n_seats = starts[p], starts[p + 1] - starts[p]
        for s in range(n_seats):
            i = seats[begin + s]
            own_squares = 0
            if complete:
                _count(codes, i, n_bins, table_a)
                own_squares = _to_centred_ranks(table_a, n_bins, n_values)
                if own_squares == 0:
                    continue
                for j in range(n_values):
                    ranks[j] = table_a[codes[i, j]]
            totals[:] = 0
            n_shown[:] = 0
            size = 0
            for g in range(len(sizes)):
                if sizes[g] >= n_seats:
                    break
                while size < sizes[g]:
                    size += 1
                    k = seats[begin + (s + size) % n_seats]
                    for j in range(n_values):
                        present = codes[k, j] < n_bins
                        totals[j] += np.int64(codes[k, j]) if present else 0
                        n_shown[j] += present
                if complete:
                    rho = _rho_with_mean(ranks, own_squares, totals, size, n_bins, table_a, table_b)
                else:
                    for j in range(n_values):
                        consensus[0, j] = _rounded_mean(totals[j], n_shown[j]) if n_shown[j] > 0 else n_bins
                    rho = _rho(codes, i, n_bins, consensus, 0, n_bins, table_a, table_b)
                if not np.isnan(rho):
                    sums[g, p] += rho
                    counts[g, p] += 1


@njit(cache=True, error_model="numpy", forceinline=True)
def _rho_with_mean(
    ranks: Ints, squares: int, totals: Ints, size: int, n_bins: int, counts: Ints, rank_sums: Ints
) -> float:
    """Spearman's rho of centred ranks and the rounded mean of `size` complete rows, in one pass over the row."""
    counts[:] = 0
    rank_sums[:] = 0
    n_values = len(ranks)
    share = 1.0 / size
    for j in range(n_values):
        x = int(totals[j] * share + (0.5 + 1e-10))
        counts[x] += 1
        rank_sums[x] += ranks[j]
    mean_squares = _to_centred_ranks(counts, n_bins, n_values)
    if mean_squares == 0:
        return np.nan
    products = 0
    for x in range(n_bins):
        products += counts[x] * rank_sums[x]
    return _quotient(products, squares, mean_squares)


# ---- Krippendorff's alpha


@njit(cache=True, error_model="numpy")
def used_codes(codes: Codes, n_bins: int) -> NDArray[np.bool_]:
    """Which codes below n_bins occur."""
    used = np.zeros(n_bins + 1, np.bool_)
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            used[min(codes[i, j], n_bins)] = True
    return used[:n_bins]


@njit(cache=True, error_model="numpy")
def pairable(
    codes: Codes, n_bins: int, order: Ints, starts: Ints
) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:
    """Per value: posts with two or more ratings, ratings on them, ratings elsewhere; and which posts have such."""
    n_values = codes.shape[1]
    n_paired_posts, n_paired = np.zeros(n_values, np.int64), np.zeros(n_values, np.int64)
    n_alone = np.zeros(n_values, np.int64)
    pairs = np.zeros(len(starts) - 1, np.bool_)
    n_here = np.empty(n_values, np.int64)
    for p in range(len(starts) - 1):
        n_here[:] = 0
        for s in range(starts[p], starts[p + 1]):
            for j in range(n_values):
                n_here[j] += codes[order[s], j] < n_bins
        for j in range(n_values):
            if n_here[j] > 1:
                n_paired_posts[j] += 1
                n_paired[j] += n_here[j]
                pairs[p] = True
            else:
                n_alone[j] += n_here[j]
    return n_paired_posts, n_paired, n_alone, pairs


@njit(cache=True, error_model="numpy")
def add_coincidences(
    codes: Codes, n_bins: int, order: Ints, starts: Ints, chosen: Ints, by_post: bool, table: Floats
) -> None:
    """Add the coincidences of the chosen posts to the rows of `table`, one row each or all to the first.

    A row holds for each value how often each category occurs among the ratings that have a partner, then
    for each two categories c < k the number of c times that of k over the number of ratings less one.
    """
    n_values = codes.shape[1]
    width = n_bins * (n_bins + 1) // 2
    counts = np.zeros((n_values, n_bins), np.int64)
    for c in range(len(chosen)):
        row = c if by_post else 0
        counts[:] = 0
        for s in range(starts[chosen[c]], starts[chosen[c] + 1]):
            for j in range(n_values):
                if codes[order[s], j] < n_bins:
                    counts[j, codes[order[s], j]] += 1
        for j in range(n_values):
            n = 0
            for x in range(n_bins):
                n += counts[j, x]
            if n < 2:
                continue
            at = j * width + n_bins
            for x in range(n_bins):
                if counts[j, x] > 0:
                    table[row, j * width + x] += counts[j, x]
                    for y in range(x + 1, n_bins):
                        table[row, at + y - x - 1] += counts[j, x] * counts[j, y] / (n - 1.0)
                at += n_bins - x - 1


@njit(cache=True, error_model="numpy")
def _distance(level: int, x: float, y: float) -> float:
    if level == NOMINAL:
        return 1.0 if x != y else 0.0
    if level == RATIO:
        return ((x - y) / (x + y)) ** 2 if x != y else 0.0
    return (x - y) ** 2


@njit(cache=True, error_model="numpy")
def _score(level: int, marginals: Floats, domain: Floats, scores: Floats) -> None:
    """Put each category where its level measures distances: at its number, or ordinal, at its mean rank."""
    below = 0.0
    for x in range(len(domain)):
        scores[x] = below + marginals[x] / 2 if level == ORDINAL else domain[x]
        below += marginals[x]


@njit(cache=True, error_model="numpy")
def _alpha(level: int, marginals: Floats, scores: Floats, observed: float) -> float:
    """1 less observed over expected disagreement; NaN where all ratings that have a partner are one category.

    `observed` is the sum over c < k of coincidences times distances.
    """
    n_used, n, first_moment, squares = 0, 0.0, 0.0, 0.0
    for x in range(len(scores)):
        n_used += marginals[x] > 0.0
        n += marginals[x]
        first_moment += marginals[x] * scores[x]
        squares += marginals[x] * marginals[x]
    if n_used < 2:
        return np.nan
    expected = 0.0
    if level == NOMINAL:
        expected = (n * n - squares) / 2
    elif level == RATIO:
        for x in range(len(scores)):
            for y in range(x if marginals[x] > 0.0 else 0):
                expected += marginals[x] * marginals[y] * _distance(RATIO, scores[x], scores[y])
    else:
        for x in range(len(scores)):
            expected += marginals[x] * (scores[x] - first_moment / n) ** 2
        expected *= n
    return 1.0 - (n - 1.0) * observed / expected


@njit(cache=True, error_model="numpy")
def alpha_of_coincidences(table: Floats, n_values: int, domain: Floats, level: int) -> Floats:
    """Alpha of each row of coincidences and each value, see `add_coincidences`."""
    n_bins = len(domain)
    width = n_bins * (n_bins + 1) // 2
    alphas = np.empty((len(table), n_values))
    scores = np.empty(n_bins)
    for r in range(len(table)):
        for j in range(n_values):
            at = j * width
            marginals = table[r, at : at + n_bins]
            _score(level, marginals, domain, scores)
            at += n_bins
            observed = 0.0
            for x in range(n_bins):
                for y in range(x + 1, n_bins):
                    observed += table[r, at] * _distance(level, scores[x], scores[y])
                    at += 1
            alphas[r, j] = _alpha(level, marginals, scores, observed)
    return alphas


@njit(cache=True, error_model="numpy")
def runs_of_ratings(
    codes: Codes, n_bins: int, order: Ints, starts: Ints, chosen: Ints, value: int
) -> tuple[Ints, Ints, Ints]:
    """Runs of equal ratings of one value: those of chosen post c are from ``run_starts[c]`` on, ascending.

    Returns run_starts, and the category and length of each run. A post with fewer than two ratings has none.
    """
    run_starts = np.zeros(len(chosen) + 1, np.int64)
    categories, lengths = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    n_runs = 0
    for c in range(len(chosen)):
        begin, end = starts[chosen[c]], starts[chosen[c] + 1]
        present = np.empty(end - begin, np.int64)
        n = 0
        for s in range(begin, end):
            if codes[order[s], value] < n_bins:
                present[n] = codes[order[s], value]
                n += 1
        if n > 1:
            ascending = np.sort(present[:n])
            for s in range(n):
                if s == 0 or ascending[s] != ascending[s - 1]:
                    categories[n_runs], lengths[n_runs] = ascending[s], 0
                    n_runs += 1
                lengths[n_runs - 1] += 1
        run_starts[c + 1] = n_runs
    return run_starts, categories[:n_runs], lengths[:n_runs]


@njit(cache=True, error_model="numpy")
def alpha_of_runs(
    run_starts: Ints, categories: Ints, lengths: Ints, weights: Codes, domain: Floats, level: int
) -> Floats:
    """Alpha of one value for each row of `weights`, which say how often each post counts."""
    alphas = np.empty(len(weights))
    marginals, scores = np.empty(len(domain)), np.empty(len(domain))
    for r in range(len(weights)):
        marginals[:] = 0.0
        for c in range(len(run_starts) - 1):
            for s in range(run_starts[c], run_starts[c + 1] if weights[r, c] > 0 else 0):
                marginals[categories[s]] += np.int64(weights[r, c]) * lengths[s]
        _score(level, marginals, domain, scores)
        observed = 0.0
        for c in range(len(run_starts) - 1):
            if weights[r, c] > 0:
                n, disagreement = 0, 0.0
                for s in range(run_starts[c], run_starts[c + 1]):
                    n += lengths[s]
                    for t in range(run_starts[c], s):
                        far = _distance(level, scores[categories[s]], scores[categories[t]])
                        disagreement += lengths[s] * lengths[t] * far
                if n > 1:
                    observed += np.float64(weights[r, c]) * disagreement / (n - 1.0)
        alphas[r] = _alpha(level, marginals, scores, observed)
    return alphas


# ---- resampling


@njit(cache=True, error_model="numpy")
def draw_counts(n_units: int, first: int, last: int, seed: np.uint64) -> NDArray[np.uint8]:
    """How often each unit is drawn in the resamples first ... last - 1; each draws n_units with replacement."""
    # A count above 255 has a chance below 1e-500.
    counts = np.zeros((last - first, n_units), np.uint8)
    for r in range(last - first):
        for i in range(n_units):
            counts[r, _drawn_below(n_units, seed, (first + r) * n_units + i)] += np.uint8(1)
    return counts


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def resampled_means(values: Floats, n_resamples: int, seed: np.uint64) -> Floats:
    """Mean of each resample of `values`, which holds no NaN."""
    n_units = len(values)
    means = np.empty(n_resamples)
    for r in range(n_resamples):
        total = 0.0
        for i in range(n_units):
            total += values[_drawn_below(n_units, seed, r * n_units + i)]
        means[r] = total / n_units
    return means


@njit(cache=True, error_model="numpy")
def resampled_column_means(values: Floats, n_resamples: int, seed: np.uint64) -> Floats:
    """Mean of each column in each resample of the rows, over the rows where it is not NaN; NaN if in none."""
    n_units, n_columns = values.shape
    means = np.empty((n_resamples, n_columns))
    totals, counts = np.empty(n_columns), np.empty(n_columns, np.int64)
    for r in range(n_resamples):
        totals[:] = 0.0
        counts[:] = 0
        for i in range(n_units):
            row = _drawn_below(n_units, seed, r * n_units + i)
            for j in range(n_columns):
                x = values[row, j]
                present = x == x
                totals[j] += x if present else 0.0
                counts[j] += present
        for j in range(n_columns):
            means[r, j] = totals[j] / counts[j] if counts[j] > 0 else np.nan
    return means


@njit(cache=True, error_model="numpy")
def resampled_pair_means(
    starts: Ints,
    firsts: NDArray[np.int32],
    seconds: NDArray[np.int32],
    rhos: Floats,
    n_raters: int,
    n_resamples: int,
    seed: np.uint64,
) -> Floats:
    """Mean over posts of the mean rho of their pairs, for each resample of the raters; NaN where no pair is left.

    The pairs of post p are those from ``starts[p]`` to ``starts[p + 1]``. Each counts as often as its two raters
    were drawn, one number times the other.
    """
    means = np.empty(n_resamples)
    drawn = np.empty(n_raters, np.int32)
    for r in range(n_resamples):
        drawn[:] = 0
        for i in range(n_raters):
            drawn[_drawn_below(n_raters, seed, r * n_raters + i)] += np.int32(1)
        total, n_posts = 0.0, 0
        for p in range(len(starts) - 1):
            weighted, weights = 0.0, 0
            for k in range(starts[p], starts[p + 1]):
                weight = drawn[firsts[k]] * drawn[seconds[k]]
                weighted += weight * rhos[k]
                weights += weight
            if weights > 0:
                total += weighted / weights
                n_posts += 1
        means[r] = total / n_posts if n_posts > 0 else np.nan
    return means
