"""Whether ratings show the circle of values: neighbours seen together, opposites not.

Values stand at equal steps on the theoretical circle, in the order of the value system. Angles are
in degrees, counted from the first value towards the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modeling.stats.consensus import check_matrix
from modeling.stats.spearman import spearman_rows

# Up to this many steps of the scale a pair of values is reduced to its table of joint counts.
MAX_LEVELS_TABLED = 64
SAME_DIRECTION_DEG = 45.0
OPPOSITE_DIRECTION_DEG = 135.0
# A resultant this short beside the sum of the ratings is float error around the centre.
CENTRE_TOLERANCE = 1e-9

Matrix = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ValueCorrelations:
    """Correlations between values over rows, and the rows each rests on; both (n_values, n_values).

    `reasons` has one entry per value: empty where its correlation with at least one other value exists.
    """

    correlations: Matrix
    n_rows: Counts
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CircleFit:
    """Values placed in the plane by their correlations, turned to meet the theoretical circle.

    Attributes
    ----------
    points : ndarray of shape (n_values, 2)
        Coordinates; the theoretical circle has radius 1 around the origin. NaN for values left out.
    angles_deg, theory_deg : ndarray of shape (n_values,)
        Where the value lies and where it should, 0 to 360.
    errors_deg : ndarray of shape (n_values,)
        The first less the second, -180 to 180.
    mean_error_deg : float
        Mean absolute error over the values placed.
    stress : float
        Kruskal's stress-1 of the plane, 0 where distances equal dissimilarities.
    explained : float
        Share of the positive eigenvalues that belongs to the two axes, 0 to 1.
    congruence : float
        Procrustes correlation of the points with the circle, 0 to 1.
    n_values : int
        Values placed.
    reasons : tuple of str
        One per value: why it was left out, empty if it was placed.
    reason : str
        Why there is no fit at all; empty if there is one.
    """

    points: Matrix
    angles_deg: Matrix
    theory_deg: Matrix
    errors_deg: Matrix
    mean_error_deg: float
    stress: float
    explained: float
    congruence: float
    n_values: int
    reasons: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class OrderCorrelation:
    """How dissimilarity goes with distance on the circle over pairs of values, with its permutation p."""

    rho: float
    p: float
    n_pairs: int
    n_values: int
    n_permutations: int
    reason: str


@dataclass(frozen=True, eq=False)
class Directions:
    """Where rating vectors point on the circle; arrays of shape (n_rows,).

    `angles_deg` lies from 0 to 360, `lengths` from 0 (no direction) to 1 (one value alone). Both are NaN
    in the `n_gaps` rows where a value is missing; angles also in the `n_undirected` rows that are all
    zero or cancel out.
    """

    angles_deg: Matrix
    lengths: Matrix
    n_gaps: int
    n_undirected: int


@dataclass(frozen=True, eq=False)
class DirectionAgreement:
    """How far apart two sets of vectors point, row by row.

    `distances_deg` of shape (n_rows,) lies from 0 to 180; `same` and `opposite` are the shares of the
    `n_rows` rows that are closer than 45 and further than 135 degrees. `n_left_out` rows lack a direction.
    """

    distances_deg: Matrix
    same: float
    opposite: float
    mean_deg: float
    median_deg: float
    n_rows: int
    n_left_out: int
    reason: str


def value_correlations(
    ratings: ArrayLike, method: Literal["spearman", "pearson"] = "spearman"
) -> ValueCorrelations:
    """Correlate every two values over the rows that have both.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        One rater's annotation of one post per row; NaN where a value was not shown.
    method : {"spearman", "pearson"}
        Spearman ranks the rows that have both values, ties by average ranks.

    Returns
    -------
    ValueCorrelations
        -1 to 1, with 1 on the diagonal of a value that varies. NaN where either value is constant over
        the rows that have both.

    Raises
    ------
    ValueError
        If `ratings` is not two-dimensional, holds an infinite number, or `method` is unknown.

    Examples
    --------
    >>> value_correlations([[0, 1, 2], [1, 3, 2], [2, 9, 2]], "spearman").correlations
    array([[ 1.,  1., nan],
           [ 1.,  1., nan],
           [nan, nan, nan]])
    """
    if method not in ("spearman", "pearson"):
        raise ValueError(f"method is '{method}': choose 'spearman' or 'pearson'")
    rows = check_matrix(ratings, "ratings")
    n_values = rows.shape[1]
    present = ~np.isnan(rows)
    codes, levels = _as_levels(rows)
    correlations = np.full((n_values, n_values), np.nan)
    n_rows = np.zeros((n_values, n_values), dtype=np.int64)
    for a in range(n_values):
        for b in range(a, n_values):
            both = present[:, a] & present[:, b]
            n_rows[a, b] = n_rows[b, a] = both.sum()
            if codes is not None:
                cells = codes[both, a] * len(levels) + codes[both, b]
                counts = np.bincount(cells)
                joint = np.flatnonzero(counts)
                x, y = levels[joint // len(levels)], levels[joint % len(levels)]
                weights = counts[joint].astype(np.float64)
            else:
                x, y, weights = rows[both, a], rows[both, b], np.ones(n_rows[a, b])
            correlations[a, b] = correlations[b, a] = _weighted_correlation(x, y, weights, method)
    return ValueCorrelations(correlations, n_rows, _reasons(rows, correlations))


def theoretical_angles(n_values: int) -> Matrix:
    """Angles in degrees of values at equal steps around the circle, the first at 0; shape (n_values,).

    Raises
    ------
    ValueError
        If `n_values` is below 1.

    Examples
    --------
    >>> theoretical_angles(4)
    array([  0.,  90., 180., 270.])
    """
    if n_values < 1:
        raise ValueError(f"n_values is {n_values}: a circle holds at least 1 value")
    return np.arange(n_values, dtype=np.float64) * np.float64(360 / n_values)


def fit_circle(correlations: ArrayLike) -> CircleFit:
    """Place values in the plane by classical scaling and turn the plane to meet the theoretical circle.

    Parameters
    ----------
    correlations : array-like of shape (n_values, n_values)
        Symmetric, values in circumplex order; NaN where a correlation does not exist.

    Returns
    -------
    CircleFit
        Dissimilarities are sqrt(2 (1 - r)). The plane of classical (Torgerson) scaling is rotated,
        reflected where that fits better, moved, and scaled as a whole; no direction is stretched by
        itself, so the shape of the plane is that of the data. Values are left out, those with most
        gaps first, until no gap remains; below three values there is no fit.

    Raises
    ------
    ValueError
        If `correlations` is not square and symmetric, or lies outside -1 to 1.

    References
    ----------
    Torgerson (1952), Psychometrika 17(4), 401-419; Kruskal (1964), Psychometrika 29(1), 1-27;
    Schoenemann (1966), Psychometrika 31(1), 1-10; Borg and Groenen (2005), Modern Multidimensional
    Scaling, 2nd edition. The circle: Schwartz (1992), Advances in Experimental Social Psychology 25, 1-65.

    Examples
    --------
    >>> on_circle = np.cos(np.radians(np.subtract.outer([0, 90, 180, 270], [0, 90, 180, 270])))
    >>> np.abs(fit_circle(on_circle).errors_deg).round(6)
    array([0., 0., 0., 0.])
    """
    r = _check_correlations(correlations)
    n_values = len(r)
    theory = theoretical_angles(n_values)
    kept, reasons = _complete_values(r)
    points = np.full((n_values, 2), np.nan)
    angles, errors = np.full(n_values, np.nan), np.full(n_values, np.nan)
    nan = float("nan")
    if len(kept) < 3:
        reason = f"{len(kept)} value(s) correlate with each other; a plane needs three"
        return CircleFit(points, angles, theory, errors, nan, nan, nan, nan, len(kept), reasons, reason)

    dissimilarity = np.sqrt(2 * (1 - r[np.ix_(kept, kept)]))
    plane, explained = _classical_scaling(dissimilarity)
    stress = _stress(dissimilarity, plane)
    circle = np.column_stack([np.cos(np.radians(theory[kept])), np.sin(np.radians(theory[kept]))])
    centre = circle.mean(axis=0)
    target = circle - centre
    size, target_size = np.square(plane).sum(), np.square(target).sum()
    if size <= CENTRE_TOLERANCE:
        reason = "all values correlate perfectly, so they share one place"
        return CircleFit(points, angles, theory, errors, nan, nan, nan, nan, len(kept), reasons, reason)
    left, singular, right = np.linalg.svd(plane.T @ target)
    points[kept] = plane @ (left @ right) * (singular.sum() / size) + centre
    angles[kept] = np.degrees(np.arctan2(points[kept, 1], points[kept, 0])) % 360
    errors[kept] = (angles[kept] - theory[kept] + 180) % 360 - 180
    return CircleFit(
        points=points,
        angles_deg=angles,
        theory_deg=theory,
        errors_deg=errors,
        mean_error_deg=float(np.abs(errors[kept]).mean()),
        stress=stress,
        explained=explained,
        congruence=float(min(singular.sum() / np.sqrt(size * target_size), 1.0)),
        n_values=len(kept),
        reasons=reasons,
        reason="",
    )


def order_correlation(
    correlations: ArrayLike, *, rng: np.random.Generator, n_permutations: int = 1000
) -> OrderCorrelation:
    """Spearman's rho over pairs of values between distance on the circle and dissimilarity in the data.

    Parameters
    ----------
    correlations : array-like of shape (n_values, n_values)
        As for `fit_circle`; values are left out in the same way.
    rng : numpy.random.Generator
        The same state gives the same p.
    n_permutations : int
        How often the places on the circle are dealt anew.

    Returns
    -------
    OrderCorrelation
        1 if values differ in exactly the order of their distances, 0 if the circle says nothing.
        `p` is one-sided: the share of permutations, the data's own order among them, that do as well.

    Raises
    ------
    ValueError
        As for `fit_circle`, or if `n_permutations` is below 1.

    References
    ----------
    Mantel (1967), Cancer Research 27(2), 209-220; Hubert and Schultz (1976), British Journal of
    Mathematical and Statistical Psychology 29(2), 190-241.

    Examples
    --------
    >>> places = np.radians(theoretical_angles(6))
    >>> found = order_correlation(np.cos(np.subtract.outer(places, places)), rng=np.random.default_rng(0))
    >>> round(found.rho, 6), found.n_pairs
    (1.0, 15)
    """
    r = _check_correlations(correlations)
    if n_permutations < 1:
        raise ValueError(f"n_permutations is {n_permutations}: give at least 1")
    kept, _ = _complete_values(r)
    n, n_pairs = len(kept), len(kept) * (len(kept) - 1) // 2
    nan = float("nan")
    if n < 4:
        reason = f"{n} value(s) correlate with each other; on a circle order means something from four"
        return OrderCorrelation(nan, nan, n_pairs, n, n_permutations, reason)
    steps = np.abs(np.subtract.outer(kept, kept))
    steps = np.minimum(steps, len(r) - steps)
    first, second = np.triu_indices(n, 1)
    # Correlations that differ by float error only are tied.
    dissimilarity = np.round(-r[np.ix_(kept, kept)][first, second], 12)
    orders = np.vstack([np.arange(n), *(rng.permutation(n) for _ in range(n_permutations))])
    dealt = steps[orders[:, first], orders[:, second]].astype(np.float64)
    rhos = spearman_rows(dealt, np.broadcast_to(dissimilarity, dealt.shape))
    if np.isnan(rhos[0]):
        reason = "all pairs of values are equally far apart, in the data or on the circle"
        return OrderCorrelation(nan, nan, n_pairs, n, n_permutations, reason)
    as_good = int((rhos >= rhos[0] - CENTRE_TOLERANCE).sum())
    return OrderCorrelation(float(rhos[0]), as_good / len(rhos), n_pairs, n, n_permutations, "")


def direction(vectors: ArrayLike, angles_deg: ArrayLike) -> Directions:
    """Mean direction of each row: the sum of arrows towards its values, each as long as its rating.

    Parameters
    ----------
    vectors : array-like of shape (n_rows, n_values)
        Ratings, or anything from 0 upwards; NaN where a value is missing.
    angles_deg : array-like of shape (n_values,)
        Where each value stands, such as `theoretical_angles`.

    Returns
    -------
    Directions
        The length is that of the sum over the sum of the ratings.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a number is infinite or below 0.

    References
    ----------
    Mean direction and resultant length as in Mardia and Jupp (2000), Directional Statistics, with ratings
    as weights.

    Examples
    --------
    >>> direction([[1, 1, 0, 0], [0, 0, 0, 0]], theoretical_angles(4)).angles_deg.round(6)
    array([45., nan])
    """
    rows = check_matrix(vectors, "vectors")
    angles = np.asarray(angles_deg, dtype=np.float64)
    if angles.shape != (rows.shape[1],) or not np.isfinite(angles).all():
        raise ValueError(
            f"angles_deg has shape {angles.shape}: give one finite angle per value, {rows.shape[1]}"
        )
    if (rows < 0).any():
        row, value = (int(k) for k in np.argwhere(rows < 0)[0])
        raise ValueError(f"vectors[{row}, {value}] is {rows[row, value]}: an arrow has no length below 0")
    gaps = np.isnan(rows).any(axis=1)
    east, north = rows @ np.cos(np.radians(angles)), rows @ np.sin(np.radians(angles))
    total = rows.sum(axis=1)
    length = np.hypot(east, north)
    lengths = np.divide(length, total, out=np.where(gaps, np.nan, 0.0), where=total > 0)
    directed = lengths > CENTRE_TOLERANCE
    return Directions(
        angles_deg=np.where(directed, np.degrees(np.arctan2(north, east)) % 360, np.nan),
        lengths=lengths,
        n_gaps=int(gaps.sum()),
        n_undirected=int((~gaps & ~directed).sum()),
    )


def angular_distance(a_deg: ArrayLike, b_deg: ArrayLike) -> Matrix:
    """The shorter way between angles, 0 to 180 degrees; NaN where either is NaN.

    Examples
    --------
    >>> angular_distance([350, 10], [10, 200])
    array([ 20., 170.])
    """
    difference = np.abs(np.asarray(a_deg, dtype=np.float64) - np.asarray(b_deg, dtype=np.float64)) % 360
    # Whoever asks whether it is below 45 should not be answered by float error.
    return np.asarray(np.minimum(difference, 360 - difference).round(9), dtype=np.float64)


def compare_directions(vectors: ArrayLike, others: ArrayLike, angles_deg: ArrayLike) -> DirectionAgreement:
    """How often two sets of vectors point the same way, and how often opposite ways.

    Parameters
    ----------
    vectors, others : array-like of shape (n_rows, n_values)
        Compared row by row, such as a rater's ratings and the mean of the others'; see `direction`.
    angles_deg : array-like of shape (n_values,)
        Where each value stands, such as `theoretical_angles`.

    Returns
    -------
    DirectionAgreement
        Vectors that point anywhere at random are the same in 25 % of rows and opposite in 25 %.

    Raises
    ------
    ValueError
        If the two differ in shape, or as for `direction`.

    Examples
    --------
    >>> found = compare_directions([[1, 0, 0, 0], [1, 0, 0, 0]], [[6, 0, 0, 0], [0, 0, 2, 0]], [0, 90, 180, 270])
    >>> found.same, found.opposite
    (0.5, 0.5)
    """
    a, b = check_matrix(vectors, "vectors"), check_matrix(others, "others")
    if a.shape != b.shape:
        raise ValueError(
            f"vectors has shape {a.shape}, others {b.shape}: give both for the same rows and values"
        )
    distances = angular_distance(direction(a, angles_deg).angles_deg, direction(b, angles_deg).angles_deg)
    defined = distances[~np.isnan(distances)]
    n_rows, nan = len(defined), float("nan")
    return DirectionAgreement(
        distances_deg=distances,
        same=float((defined < SAME_DIRECTION_DEG).mean()) if n_rows else nan,
        opposite=float((defined > OPPOSITE_DIRECTION_DEG).mean()) if n_rows else nan,
        mean_deg=float(defined.mean()) if n_rows else nan,
        median_deg=float(np.median(defined)) if n_rows else nan,
        n_rows=n_rows,
        n_left_out=len(distances) - n_rows,
        reason="" if n_rows else "no row has a direction on both sides",
    )


def _as_levels(rows: Matrix) -> tuple[NDArray[np.int32] | None, Matrix]:
    """Places of the ratings on a scale of few whole numbers, and the scale; None if it is not one."""
    present = ~np.isnan(rows)
    low, high = rows.min(initial=np.inf, where=present), rows.max(initial=-np.inf, where=present)
    if not 0 <= high - low < MAX_LEVELS_TABLED or (np.floor(rows) != rows).any(where=present):
        return None, np.empty(0)
    codes = np.where(present, rows - low, 0).astype(np.int32)
    return codes, np.arange(low, high + 1)


def _weighted_correlation(x: Matrix, y: Matrix, weights: Matrix, method: str) -> float:
    if method == "spearman":
        x, y = _weighted_ranks(x, weights), _weighted_ranks(y, weights)
    total = weights.sum()
    if not total or x.max() == x.min() or y.max() == y.min():
        return float("nan")
    x, y = x - weights @ x / total, y - weights @ y / total
    r = weights @ (x * y) / np.sqrt((weights @ (x * x)) * (weights @ (y * y)))
    return float(np.clip(r, -1.0, 1.0))


def _weighted_ranks(x: Matrix, weights: Matrix) -> Matrix:
    """Average rank of each number where it stands for `weights` equal ones."""
    _, place = np.unique(x, return_inverse=True)
    counts = np.bincount(place, weights)
    ranks: Matrix = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _reasons(rows: Matrix, correlations: Matrix) -> tuple[str, ...]:
    reasons = []
    for value in range(rows.shape[1]):
        given = rows[~np.isnan(rows[:, value]), value]
        if np.isfinite(np.delete(correlations[value], value)).any():
            reasons.append("")
        elif len(given) == 0:
            reasons.append("no row has a rating of this value")
        elif given.max() == given.min():
            reasons.append("every rating of this value is the same")
        else:
            reasons.append("no other value varies together with this one")
    return tuple(reasons)


def _check_correlations(correlations: ArrayLike) -> Matrix:
    r = check_matrix(correlations, "correlations")
    if r.shape[0] != r.shape[1] or not np.allclose(r, r.T, rtol=0, atol=1e-9, equal_nan=True):
        raise ValueError(f"correlations has shape {r.shape}: give a square matrix that equals its transpose")
    if (np.abs(r) > 1 + 1e-9).any():
        raise ValueError("correlations holds a number outside -1 to 1: give correlations, not covariances")
    r = np.clip(r, -1.0, 1.0)
    np.fill_diagonal(r, 1.0)
    return r


def _complete_values(r: Matrix) -> tuple[Counts, tuple[str, ...]]:
    """Values that all correlate with each other, and why the rest was left out."""
    kept = np.arange(len(r))
    reasons = [""] * len(r)
    while len(kept):
        gaps = np.isnan(r[np.ix_(kept, kept)]).sum(axis=1)
        worst = len(kept) - 1 - int(gaps[::-1].argmax())
        if not gaps[worst]:
            break
        reasons[kept[worst]] = f"its correlation with {int(gaps[worst])} other value(s) does not exist"
        kept = np.delete(kept, worst)
    return kept, tuple(reasons)


def _classical_scaling(dissimilarity: Matrix) -> tuple[Matrix, float]:
    """Centred coordinates along the two main axes, and their share of the positive eigenvalues."""
    squares = np.square(dissimilarity)
    means = squares.mean(axis=0)
    inner = -(squares - means - means[:, np.newaxis] + squares.mean()) / 2
    eigenvalues, axes = np.linalg.eigh(inner)
    main = np.maximum(eigenvalues[[-1, -2]], 0.0)
    positive = eigenvalues[eigenvalues > 0].sum()
    return axes[:, [-1, -2]] * np.sqrt(main), float(main.sum() / positive) if positive > 0 else float("nan")


def _stress(dissimilarity: Matrix, points: Matrix) -> float:
    first, second = np.triu_indices(len(points), 1)
    distances = np.linalg.norm(points[first] - points[second], axis=1)
    misfit = np.square(distances - dissimilarity[first, second]).sum()
    total = np.square(distances).sum()
    return float(np.sqrt(misfit / total)) if total > 0 else float("nan")
