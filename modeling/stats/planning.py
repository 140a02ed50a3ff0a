"""How many raters, on how many posts? What a pilot's ratings say of a study not yet run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from modeling.stats.consensus import check_ratings
from modeling.stats.regression import check_level

Vector = NDArray[np.float64]

# The least correlation among raters that the curve may have; below it would rise without end.
LEAST_SHARED = 1e-6
N_GRID = 400
N_NARROWINGS = 60
GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class ExpectedConsensus:
    """What human-consensus to expect with a group of `size` others; `extrapolated` beyond the pilot's sizes."""

    size: int
    rho: float
    low: float
    high: float
    extrapolated: bool


@dataclass(frozen=True)
class ConsensusCurve:
    """The curve a * sqrt(g / (1 + (g - 1) * b)) through a pilot's human-consensus by group size g.

    Attributes
    ----------
    single : float
        a, the correlation with one other rater.
    shared : float
        b, from 0 to 1: the correlation among raters that the curve's bend implies.
    limit : float
        a / sqrt(b), the correlation with the mean of endlessly many.
    n_sizes : int
        Sizes with a rho and posts, on which the curve rests.
    n_resamples, n_resamples_left_out : int
        Bootstrap curves that could, and could not, be fitted.
    expected : tuple of ExpectedConsensus
        One per wanted size.
    reason : str
        Why there is no curve; empty if there is one.
    """

    single: float
    shared: float
    limit: float
    n_sizes: int
    n_resamples: int
    n_resamples_left_out: int
    expected: tuple[ExpectedConsensus, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class AlphaPrecision:
    """Expected precision of Krippendorff's alpha, per value; each array of shape (n_values,).

    Attributes
    ----------
    expected_alpha : ndarray
        Alpha to expect: 1 - Do / De with every post weighing the same and De over pairs of different posts.
    standard_error, half_width : ndarray
        Of the study planned; `half_width` is half of its interval at `ci_level`.
    n_posts_used : ndarray of int
        Posts of the pilot with enough ratings of the value.
    """

    expected_alpha: Vector
    standard_error: Vector
    half_width: Vector
    ci_level: float
    n_posts_used: NDArray[np.int64]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class PlanRow:
    """One design: what it takes, what it costs, what it can show.

    `cost` is in minor units of the currency (None without a reward). `half_width_*` are of alpha's
    interval: the median over values and the widest, that of the value numbered `worst_value` (None if no
    value has one). `n_values_undefined` values have none.
    """

    raters_per_post: int
    n_posts: int
    n_raters: int
    cost: int | None
    human_consensus: float
    consensus_low: float
    consensus_high: float
    extrapolated: bool
    half_width_median: float
    half_width_worst: float
    worst_value: int | None
    n_values_undefined: int


def expected_consensus(
    sizes: Sequence[int],
    rhos: ArrayLike,
    n_posts: ArrayLike,
    wanted: Sequence[int],
    *,
    curves: ArrayLike | None = None,
    ci_level: float = 0.95,
) -> ConsensusCurve:
    """Expected human-consensus by group size, from a curve fitted to a pilot's.

    Parameters
    ----------
    sizes : sequence of int
        Group sizes g observed, the *others* a rater is compared with; each at least 1.
    rhos : array-like of shape (n_sizes,)
        Mean human-consensus rho at each size; NaN where there is none.
    n_posts : array-like of shape (n_sizes,)
        Posts behind each; the weight of the size.
    wanted : sequence of int
        Group sizes to foresee, each at least 1. With k raters per post a rater has k - 1 others.
    curves : array-like of shape (n_resamples, n_sizes), optional
        `rhos` of bootstrap resamples of the posts. Without them the intervals are NaN.
    ci_level : float
        Level of the intervals, between 0 and 1.

    Returns
    -------
    ConsensusCurve
        Fitted by weighted least squares with b between 0 and 1 and the limit at most 1. NaN, with the
        reason, with fewer than two sizes. Intervals are percentiles over the refitted resamples.

    Raises
    ------
    ValueError
        If shapes do not fit each other, a size is below 1 or repeated, or a rho lies outside -1 to 1.

    References
    ----------
    The correlation of one rater with the mean of g others when every two correlate r is
    r sqrt(g / (1 + (g - 1) r)), which follows from Spearman (1910) and Brown (1910), British Journal of
    Psychology 3(3), 271-295 and 296-322. Letting a and b differ is a definition of this module: ranks of
    rounded means, averaged over posts, follow the form but not one r.

    Examples
    --------
    >>> curve = expected_consensus([1, 3], [0.2, 0.3], [50, 50], [3, 9])
    >>> [(one.size, round(one.rho, 3), one.extrapolated) for one in curve.expected]
    [(3, 0.3, False), (9, 0.393, True)]
    """
    check_level(ci_level)
    g, y, weights, resamples = _check_curve(sizes, rhos, n_posts, wanted, curves)
    used = ~np.isnan(y) & (weights > 0)
    n_sizes = int(used.sum())
    n_given, nan = len(resamples), float("nan")
    if n_sizes < 2:
        expected = tuple(ExpectedConsensus(int(w), nan, nan, nan, True) for w in wanted)
        reason = f"{n_sizes} group size(s) have a rho; the curve needs two"
        return ConsensusCurve(nan, nan, nan, n_sizes, 0, n_given, expected, reason)
    g, weights = g[used], weights[used]
    resamples = resamples[:, used]
    resamples = resamples[~np.isnan(resamples).any(axis=1)]
    single, shared = _fit_curves(g, np.vstack([y[used], resamples]), weights)
    at = np.asarray(wanted, dtype=np.float64)
    foreseen = single[:, np.newaxis] * _shape(at, shared)
    low = high = np.full(len(at), nan)
    if len(resamples) > 1:
        low, high = np.quantile(foreseen[1:], [(1 - ci_level) / 2, (1 + ci_level) / 2], axis=0)
    expected = tuple(
        ExpectedConsensus(int(w), float(r), float(lo), float(hi), bool(w < g.min() or w > g.max()))
        for w, r, lo, hi in zip(wanted, foreseen[0], low, high, strict=True)
    )
    limit = float(single[0] / np.sqrt(shared[0]))
    n_left_out = n_given - len(resamples)
    return ConsensusCurve(
        float(single[0]), float(shared[0]), limit, n_sizes, len(resamples), n_left_out, expected, ""
    )


def alpha_precision(
    ratings: ArrayLike,
    posts: ArrayLike,
    *,
    raters_per_post: int,
    n_posts: int,
    level: Literal["nominal", "ordinal", "interval"] = "ordinal",
    ci_level: float = 0.95,
) -> AlphaPrecision:
    """How precisely a study of `n_posts` posts with `raters_per_post` raters each would know alpha.

    Parameters
    ----------
    ratings : array-like of shape (n_rows, n_values)
        The pilot: one rater's annotation of one post per row; NaN where a value was not shown.
    posts : array-like of int, shape (n_rows,)
        The post of each row, coded from 0.
    raters_per_post, n_posts : int
        The study planned; at least 2 of each.
    level : {"nominal", "ordinal", "interval"}
        The distance between ratings, as for Krippendorff's alpha.
    ci_level : float
        Level of the interval, between 0 and 1.

    Returns
    -------
    AlphaPrecision
        From the delta method for 1 - Do / De with posts as units. A post contributes a mean over pairs
        of its raters, whose variance splits into what differs between posts and what chance of having
        these k raters adds. The pilot must hold two posts with at least min(4, k) ratings of the value.

    Raises
    ------
    ValueError
        If shapes or codes do not fit each other, a rating is infinite, a number is below 2, or `level`
        is unknown.

    References
    ----------
    Krippendorff (2004), Content Analysis, 2nd edition, chapter 11; Hoeffding (1948), Annals of Mathematical
    Statistics 19(3), 293-325, for the variance of a mean over pairs.

    Examples
    --------
    >>> pilot = [[0], [1], [4], [5], [0], [0], [6], [3]]
    >>> found = alpha_precision(pilot, [0, 0, 1, 1, 2, 2, 3, 3], raters_per_post=2, n_posts=100)
    >>> found.expected_alpha.round(3), found.half_width.round(3)
    (array([0.725]), array([0.075]))
    """
    check_level(ci_level)
    rows, codes, n = check_ratings(ratings, posts)
    if level not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"level is '{level}': choose 'nominal', 'ordinal' or 'interval'")
    pilots = [_Pilot.of(column, codes, n, level) for column in rows.T]
    return _precision(pilots, raters_per_post, n_posts, ci_level)


def plan(
    ratings: ArrayLike,
    posts: ArrayLike,
    *,
    raters_per_post: Sequence[int],
    n_posts: Sequence[int],
    posts_per_rater: int,
    reward: int | None,
    fee: float,
    sizes: Sequence[int],
    rhos: ArrayLike,
    size_posts: ArrayLike,
    curves: ArrayLike | None = None,
    level: Literal["nominal", "ordinal", "interval"] = "ordinal",
    ci_level: float = 0.95,
) -> list[PlanRow]:
    """Every combination of raters per post and posts: what it takes, what it costs, what it can show.

    Parameters
    ----------
    ratings, posts, level, ci_level
        The pilot, as for `alpha_precision`.
    raters_per_post, n_posts : sequence of int
        Designs to compare; each at least 2.
    posts_per_rater : int
        Posts that one rater reads; all of them, if the study has fewer.
    reward : int or None
        Pay of one rater in minor units, such as pence; None leaves the cost open.
    fee : float
        What the platform adds, as a share of the reward, such as 0.3333.
    sizes, rhos, size_posts, curves
        The pilot's human-consensus by group size, as `sizes`, `rhos`, `n_posts` and `curves` of
        `expected_consensus`; k raters per post are foreseen as groups of k - 1 others.

    Returns
    -------
    list of PlanRow
        By posts, then by raters per post. Raters are rounded up, and so is the cost.

    Raises
    ------
    ValueError
        If a number is out of its range, or as for `alpha_precision` and `expected_consensus`.

    Examples
    --------
    >>> pilot, where = [[0], [1], [4], [5], [0], [0], [6], [3]], [0, 0, 1, 1, 2, 2, 3, 3]
    >>> row = plan(pilot, where, raters_per_post=[2], n_posts=[90], posts_per_rater=20, reward=600, fee=0.25,
    ...            sizes=[1], rhos=[0.2], size_posts=[4])[0]
    >>> row.n_raters, row.cost
    (9, 6750)
    """
    check_level(ci_level)
    if posts_per_rater < 1:
        raise ValueError(f"posts_per_rater is {posts_per_rater}: a rater reads at least 1 post")
    if fee < 0 or (reward is not None and reward < 0):
        raise ValueError(f"reward is {reward} and fee {fee}: give neither below 0")
    _check_at_least_two(raters_per_post, "raters_per_post")
    _check_at_least_two(n_posts, "n_posts")
    if level not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"level is '{level}': choose 'nominal', 'ordinal' or 'interval'")
    rows, codes, n_pilot = check_ratings(ratings, posts)
    others = [k - 1 for k in raters_per_post]
    curve = expected_consensus(sizes, rhos, size_posts, others, curves=curves, ci_level=ci_level)
    pilots = [_Pilot.of(column, codes, n_pilot, level) for column in rows.T]
    plans = []
    for n in n_posts:
        for k, expected in zip(raters_per_post, curve.expected, strict=True):
            n_raters = ceil(Fraction(n * k, min(posts_per_rater, n)))
            # The fee as it is written, not its binary neighbour: 100 * 1.1 is 110, not 111.
            cost = None if reward is None else ceil(n_raters * reward * (1 + Fraction(str(fee))))
            widths = _precision(pilots, k, n, ci_level).half_width
            defined = ~np.isnan(widths)
            worst = int(np.nanargmax(widths)) if defined.any() else None
            plans.append(
                PlanRow(
                    raters_per_post=k,
                    n_posts=n,
                    n_raters=n_raters,
                    cost=cost,
                    human_consensus=expected.rho,
                    consensus_low=expected.low,
                    consensus_high=expected.high,
                    extrapolated=expected.extrapolated,
                    half_width_median=float(np.median(widths[defined])) if defined.any() else float("nan"),
                    half_width_worst=float("nan") if worst is None else float(widths[worst]),
                    worst_value=worst,
                    n_values_undefined=int((~defined).sum()),
                )
            )
    return plans


@dataclass(frozen=True)
class _Moments:
    """Over `n_posts` posts, the mean of g(w, x) g(y, z) less the squared mean of g.

    Ratings are of one post and all different but those shared: `two`, `one` or `none`, NaN where there are
    too few ratings or posts.
    """

    n_posts: int
    two: float
    one: float
    none: float


@dataclass(frozen=True, eq=False)
class _Pilot:
    """One value of the pilot, with what its posts say of the kernel whose mean over pairs alpha rests on.

    The kernel g(x, y) is what a pair of ratings of one post adds to -De * (alpha - its mean): the pair's own
    distance, less what both ratings do to the expected distance. `moments[m]` comes from the posts with m
    or more ratings.
    """

    expected_alpha: float
    expected_distance: float
    moments: dict[int, _Moments]
    reason: str

    @classmethod
    def of(cls, column: Vector, posts: NDArray[np.int64], n_posts: int, level: str) -> _Pilot:
        rated = ~np.isnan(column)
        levels, places = np.unique(column[rated], return_inverse=True)
        n_levels = len(levels)
        cells = posts[rated] * n_levels + places
        counts = (
            np.bincount(cells, minlength=n_posts * n_levels).reshape(n_posts, n_levels).astype(np.float64)
        )
        n = counts.sum(axis=1)
        counts, n = counts[n > 1], n[n > 1]
        nan = float("nan")
        if len(n) < 2:
            reason = f"{len(n)} post(s) have two ratings of this value; its precision needs two such posts"
            return cls(nan, nan, {}, reason)
        shares = counts / n[:, np.newaxis]
        marginal = shares.mean(axis=0)
        # Chances of two ratings of one post, each post weighing the same.
        together = counts.T @ (counts / (n * (n - 1))[:, np.newaxis]) - np.diag(
            (shares / (n - 1)[:, None]).sum(axis=0)
        )
        together /= len(n)
        # And of two ratings of different posts, which is what a study of many posts compares them with.
        apart = (np.outer(marginal, marginal) * len(n) - shares.T @ shares / len(n)) / (len(n) - 1)
        position, distance = _distances(levels, marginal, level)
        observed, expected = float((together * distance).sum()), float((apart * distance).sum())
        if expected <= 0:
            return cls(nan, nan, {}, "every rating of this value is the same")
        if observed <= 0:
            reason = "no two raters of a post differ on this value, so nothing says how alpha would vary"
            return cls(1.0, expected, {}, reason)
        ratio = observed / expected
        correction = 2 * ratio * (distance @ marginal)
        if level == "ordinal":
            correction -= _shift_of_ranks(position, together - ratio * apart)
        kernel = distance - (correction[:, np.newaxis] + correction) / 2
        sums = _sums_over_raters(counts, kernel)
        moments = {least: _moments(sums[:, n >= least], n[n >= least], least) for least in (2, 3, 4)}
        return cls(1 - ratio, expected, moments, "")

    def variance(self, raters_per_post: int) -> tuple[float, int, str]:
        """Variance over posts of the mean kernel of k raters, posts that it rests on, and why it is NaN."""
        if self.reason:
            return float("nan"), 0, self.reason
        k = raters_per_post
        found = self.moments[min(4, k)]
        if found.n_posts < 2:
            reason = (
                f"{found.n_posts} post(s) of the pilot have {min(4, k)} ratings of this value; two are needed"
            )
            return float("nan"), found.n_posts, reason
        if k < 4:
            variance = found.two if k == 2 else (found.two + 2 * found.one) / 3
            return max(variance, 0.0), found.n_posts, ""
        # Of true variances none <= one <= two; estimates from few posts may stray.
        between = max(found.none, 0.0)
        one_rater, one_pair = max(found.one - between, 0.0), max(found.two - between, 0.0)
        chance = (4 * (k - 2) * one_rater + 2 * one_pair) / (k * (k - 1))
        return between + chance, found.n_posts, ""


def _sums_over_raters(counts: Vector, kernel: Vector) -> Vector:
    """For each post, whose raters `counts` says how many gave each rating, three sums over different raters.

    Of g(x, y) and of g(x, y)^2 over ordered pairs, and of g(x, y) g(x, z) over ordered triples.
    """
    own = np.diag(kernel)
    # For a rating at each level, g summed over the post's other raters.
    others = counts @ kernel - own
    squares = np.einsum("ij,ij->i", counts, counts @ np.square(kernel) - np.square(own))
    shared = np.einsum("ij,ij,ij->i", counts, others, others) - squares
    return np.stack([np.einsum("ij,ij->i", counts, others), squares, shared])


def _moments(sums: Vector, n: Vector, least: int) -> _Moments:
    """Moments of the kernel over posts of `n` ratings, from what `_sums_over_raters` gives for them."""
    n_posts, nan = len(n), float("nan")
    if n_posts < 2:
        return _Moments(n_posts, nan, nan, nan)
    pairs, squares, shared = sums
    n_pairs = n * (n - 1)
    means = pairs / n_pairs
    square_of_mean = float((means.sum() ** 2 - np.square(means).sum()) / (n_posts * (n_posts - 1)))
    two = float((squares / n_pairs).mean())
    one = float((shared / (n_pairs * (n - 2))).mean()) if least > 2 else nan
    apart = np.square(pairs) - 4 * shared - 2 * squares
    none = float((apart / (n_pairs * (n - 2) * (n - 3))).mean()) if least > 3 else nan
    return _Moments(n_posts, two - square_of_mean, one - square_of_mean, none - square_of_mean)


def _distances(levels: Vector, marginal: Vector, level: str) -> tuple[Vector, Vector]:
    """Where each rating stands on the scale that distances are taken on, and Krippendorff's squared distances."""
    if level == "nominal":
        return levels, 1 - np.eye(len(levels))
    # The ordinal distance is the squared difference of average ranks, here as shares of all ratings.
    position = levels if level == "interval" else np.cumsum(marginal) - marginal / 2
    return position, np.square(np.subtract.outer(position, position))


def _shift_of_ranks(position: Vector, weights: Vector) -> Vector:
    """What one more rating at each level does to the weighted ordinal distance by moving all ranks.

    A rating below a level moves its rank up by 1, one at the level by a half, as shares of all ratings.
    """
    n = len(position)
    moves = np.triu(np.ones((n, n)), 1) + np.eye(n) / 2
    slopes = 2 * weights * np.subtract.outer(position, position)
    shifts: Vector = moves @ (slopes.sum(axis=1) - slopes.sum(axis=0))
    return shifts


def _precision(
    pilots: Sequence[_Pilot], raters_per_post: int, n_posts: int, ci_level: float
) -> AlphaPrecision:
    _check_at_least_two([raters_per_post], "raters_per_post")
    _check_at_least_two([n_posts], "n_posts")
    found = [pilot.variance(raters_per_post) for pilot in pilots]
    variances = np.array([variance for variance, _, _ in found])
    expected = np.array([pilot.expected_distance for pilot in pilots])
    standard_error = np.sqrt(variances / n_posts) / expected
    return AlphaPrecision(
        expected_alpha=np.array([pilot.expected_alpha for pilot in pilots]),
        standard_error=standard_error,
        half_width=special.ndtri((1 + ci_level) / 2) * standard_error,
        ci_level=ci_level,
        n_posts_used=np.array([n_used for _, n_used, _ in found], dtype=np.int64),
        reasons=tuple(reason for _, _, reason in found),
    )


def _check_at_least_two(numbers: Sequence[int], name: str) -> None:
    too_small = [number for number in numbers if number < 2]
    if too_small:
        raise ValueError(f"{name} is {too_small[0]}: nobody can agree or differ with fewer than 2")


def _check_curve(
    sizes: Sequence[int],
    rhos: ArrayLike,
    n_posts: ArrayLike,
    wanted: Sequence[int],
    curves: ArrayLike | None,
) -> tuple[Vector, Vector, Vector, Vector]:
    g, y, weights = (np.asarray(one, dtype=np.float64) for one in (sizes, rhos, n_posts))
    resamples = np.empty((0, len(g))) if curves is None else np.asarray(curves, dtype=np.float64)
    if g.ndim != 1 or y.shape != g.shape or weights.shape != g.shape:
        raise ValueError(
            f"sizes has shape {g.shape}, rhos {y.shape}, n_posts {weights.shape}: give one of each"
        )
    if resamples.ndim != 2 or resamples.shape[1] != len(g):
        raise ValueError(
            f"curves has shape {resamples.shape}: give one row per resample, one column per size"
        )
    if len(np.unique(g)) < len(g):
        raise ValueError("sizes holds a size twice: give each once")
    if (np.concatenate([g, np.asarray(wanted, dtype=np.float64)]) < 1).any():
        raise ValueError("sizes or wanted holds a number below 1: a group has at least 1 rater")
    if (np.abs(y) > 1).any() or (np.abs(resamples) > 1).any():
        raise ValueError("rhos or curves holds a number outside -1 to 1: give rank correlations")
    if not (weights >= 0).all():
        raise ValueError("n_posts holds a number below 0 or NaN: give the number of posts of each size")
    return g, y, weights, resamples


def _shape(g: Vector, shared: Vector) -> Vector:
    """sqrt(g / (1 + (g - 1) b)) for every b, of shape (n_b, n_g)."""
    return np.asarray(np.sqrt(g / (1 + (g - 1) * shared[:, np.newaxis])), dtype=np.float64)


def _fit_curves(g: Vector, y: Vector, weights: Vector) -> tuple[Vector, Vector]:
    """Least-squares a and b of each row of `y`: the best of a grid over b, then a golden-section search."""

    def best_single(shared: Vector, own: Vector) -> tuple[Vector, Vector]:
        """For each b, the best a for its row, and the weighted squared error."""
        x = _shape(g, shared)
        single = np.clip((own * x) @ weights / (np.square(x) @ weights), -np.sqrt(shared), np.sqrt(shared))
        return single, np.square(own - single[:, np.newaxis] * x) @ weights

    grid = np.geomspace(LEAST_SHARED, 1.0, N_GRID)
    errors = np.stack([best_single(np.full(len(y), b), y)[1] for b in grid], axis=1)
    best = errors.argmin(axis=1)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, N_GRID - 1)]
    for _ in range(N_NARROWINGS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        go_left = best_single(left, y)[1] < best_single(right, y)[1]
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    shared = (low + high) / 2
    return best_single(shared, y)[0], shared
