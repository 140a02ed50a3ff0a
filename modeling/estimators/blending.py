"""An average of predictors that is chosen on rows which none of them saw, with the plain consensus among them.

Predictors that err differently are better together than the best of them alone. The weights are those of least
squared error (stacking: Wolpert 1992, Neural Networks 5, 241-259), averaged over resamples of raters and of posts,
which draws them together as far as the rows leave open which predictor is best. Weights chosen by rank
correlation itself ranked new rows worse: one row of a few values tells little by its ranks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modeling.stats.spearman import spearman_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

STEPS = 10  # weights tried are tenths
N_RESAMPLES = 200
SHARES = (
    1.0,
    0.75,
    0.5,
    0.25,
)  # of the weighted mean beside what it is moved to, the first that holds is taken
MAX_KNOTS, RATINGS_PER_KNOT = 20, 50
RISE = 0.02  # medians keep this share of the mean's rise, so that no two values of a row become equal
MAX_INTERVAL_BINS, RATINGS_PER_INTERVAL_BIN = 10, 100


@dataclass(frozen=True, eq=False)
class Medians:
    """A rising function from a predicted mean rating to the median of ratings so predicted, the same for all values.

    The mean has the least squared error, the median the least absolute one; they lie far apart where most ratings
    are zero. One rising function for all values leaves the order of a post's values as it is.

    Attributes
    ----------
    means, medians : ndarrays of shape (n_knots,), increasing and not falling
        Between knots it is straight, beyond them flat. No knot: means are left as they are.
    """

    means: Floats
    medians: Floats

    def apply(self, predicted: Floats) -> Floats:
        """Return the medians of predicted means of any shape; NaN stays NaN."""
        if not len(self.means):
            return predicted
        flat = np.interp(predicted, self.means, self.medians)
        medians: Floats = RISE * predicted + (1 - RISE) * flat
        return medians


@dataclass(frozen=True, eq=False)
class Blend:
    """What was chosen, and what that rests on.

    Attributes
    ----------
    names : tuple of str
        The members; the first is the plain consensus.
    weights : ndarray of shape (n_members,)
        Zero or more; they sum to one.
    medians : Medians
        To apply to the weighted mean.
    rho, mse, mae : ndarrays of shape (n_members + 1,)
        Mean Spearman correlation within rows, mean squared and mean absolute error of each member and, last, of the
        blend, on the rows it was chosen on; NaN where none is defined.
    n_rows, n_undefined : int
        Rows, and rows among them of which some member's or the blend's correlation is not defined.
    reason : str
        One sentence.
    """

    names: tuple[str, ...]
    weights: Floats
    medians: Medians
    rho: Floats
    mse: Floats
    mae: Floats
    n_rows: int
    n_undefined: int
    reason: str

    def predict(self, predictions: Mapping[str, Floats]) -> Floats:
        """Blend predictions of the members, all of one shape.

        A prediction that is NaN is left out of its mean; NaN where all are. Members of weight zero may be absent.
        """
        used = [(w, predictions[name]) for name, w in zip(self.names, self.weights, strict=True) if w > 0]
        return self.medians.apply(_mean([table for _, table in used], np.array([w for w, _ in used])))


def choose_blend(
    predictions: Mapping[str, Floats],
    ratings: Floats,
    raters: Ints,
    posts: Ints,
    *,
    rng: np.random.Generator,
    alike: str | None = None,
) -> Blend:
    """Choose weights on out-of-fold predictions.

    The weighted mean must have a squared error below the consensus's by more than a standard error over raters, and
    must not rank values worse. Where a member that ranks values as the consensus does errs less than it, the mean must
    rank them better by a standard error: that member lowers the error without any risk to the ranks. Else the mean is
    moved towards it, or towards the consensus itself, by quarters, until both hold; at last it gives way to that.

    Parameters
    ----------
    predictions : mapping of name to ndarray of shape (n_rows, n_values)
        The first is the plain consensus. NaN where there is none.
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    raters, posts : ndarrays of shape (n_rows,), codes
    rng : numpy.random.Generator
    alike : the name of a member that ranks the values of every row as the consensus does, if there is one

    Raises
    ------
    ValueError
        If there is no member or shapes differ.
    """
    names, tables = tuple(predictions), [np.asarray(table, np.float64) for table in predictions.values()]
    if not names:
        raise ValueError("a blend needs at least one member, the plain consensus")
    for name, table in zip(names, tables, strict=True):
        if table.shape != ratings.shape or len(raters) != len(ratings) or len(posts) != len(ratings):
            raise ValueError(
                f"predictions of {name} have shape {table.shape}, ratings {ratings.shape}, with {len(raters)} raters "
                f"and {len(posts)} posts; all must have the same rows"
            )
    plain = np.eye(len(names))[0]
    errors = [table - ratings for table in tables]
    shared = ~np.isnan(np.sum(errors, axis=0))
    weights, reason = plain, "The consensus alone: there is no rating that all members foretold out of fold."
    if len(names) == 1:
        reason = "The consensus alone: there is no other member."
    elif shared.any():
        stacked = _stack([np.where(shared, error, 0.0) for error in errors], shared, raters, posts, rng)
        place = names.index(alike) if alike is not None and alike in names else 0
        weights, reason = _step_back(tables, ratings, raters, stacked, place)
    mean = _mean(tables, weights)
    medians = _fit_medians(mean, ratings, raters)
    blended = medians.apply(mean)
    of_all = [*tables, blended]
    rhos = np.array([spearman_rows(table, ratings) for table in of_all]).reshape(len(of_all), len(ratings))
    return Blend(
        names,
        weights,
        medians,
        rho=np.array([_mean_defined(rho) for rho in rhos]),
        mse=np.array([_mean_defined(np.square(table - ratings)) for table in of_all]),
        mae=np.array([_mean_defined(np.abs(table - ratings)) for table in of_all]),
        n_rows=len(ratings),
        n_undefined=int(np.isnan(rhos).any(axis=0).sum()),
        reason=reason,
    )


def _stack(
    errors: list[Floats], shared: NDArray[np.bool_], raters: Ints, posts: Ints, rng: np.random.Generator
) -> Floats:
    """Return the weights of least squared error, averaged over resamples of raters and of posts.

    Both are drawn anew with replacement, and a row counts as often as both of its own together (the pigeonhole
    bootstrap: Owen 2007, Annals of Applied Statistics 1, 386-411).
    """
    of_rows = np.einsum("inv,jnv->nij", errors, errors)
    n_members = len(errors)
    candidates = np.array(
        [c for c in itertools.product(range(STEPS + 1), repeat=n_members) if sum(c) == STEPS]
    )
    candidates = candidates / STEPS
    rater_place, post_place = (np.unique(codes, return_inverse=True)[1] for codes in (raters, posts))
    chosen = np.zeros((N_RESAMPLES, n_members))
    for k in range(N_RESAMPLES):
        times = np.ones(len(raters))
        for place in (rater_place, post_place):
            n_units = int(place.max()) + 1
            times *= np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)[place]
        products = np.tensordot(times, of_rows, axes=1)
        chosen[k] = candidates[np.argmin(np.einsum("ci,ij,cj->c", candidates, products, candidates))]
    weights: Floats = chosen.mean(axis=0)
    return weights


def _step_back(
    tables: list[Floats], ratings: Floats, raters: Ints, stacked: Floats, alike: int
) -> tuple[Floats, str]:
    """Return the weights moved as far as they must be, and why; `alike` is the place of what ranks as the consensus."""
    plain = np.eye(len(tables))[0]
    plain_rho, plain_error = spearman_rows(tables[0], ratings), np.square(tables[0] - ratings)

    def errs_less(table: Floats) -> tuple[bool, float, float]:
        lower, error = _mean_and_error(plain_error - np.square(table - ratings), raters)
        return lower > error, lower, error

    has_anchor, gained, of_gain = errs_less(tables[alike])
    anchor = np.eye(len(tables))[alike if has_anchor else 0]
    for share in SHARES:
        weights = share * stacked + (1 - share) * anchor
        mean = _mean(tables, weights)
        is_nearer, lower, lower_error = errs_less(mean)
        higher, higher_error = _mean_and_error((spearman_rows(mean, ratings) - plain_rho)[:, None], raters)
        # A single value has no ranks to be better at.
        if is_nearer and not higher < (higher_error if has_anchor else 0):
            how = "The weights of least squared error"
            if share < 1:
                where = "the consensus at the rater's own level" if has_anchor else "the consensus"
                how += f", {1 - share:.0%} of the way back to {where} so that values are ranked better"
            return weights, (
                f"{how}: out of fold, rank correlation within rows is {higher:+.3f} (standard error "
                f"{higher_error:.3f}) and squared error {-lower:+.3f} ({lower_error:.3f}) beside the consensus."
            )
    if has_anchor:
        return anchor, (
            "The consensus at the rater's own level, with its ranks: out of fold, nothing else ranked values surely "
            f"better. Squared error is {-gained:+.3f} ({of_gain:.3f}) beside the consensus."
        )
    return (
        plain,
        "The consensus alone: out of fold, nothing was better than it by more than a standard error.",
    )


def _mean_and_error(differences: Floats, raters: Ints) -> tuple[float, float]:
    """Return the mean of what is defined, and its standard error with raters as the units."""
    present = ~np.isnan(differences)
    _, place = np.unique(raters, return_inverse=True)
    counts = np.bincount(place, present.sum(axis=1))
    sums = np.bincount(place, np.where(present, differences, 0.0).sum(axis=1))
    n = counts.sum()
    if not n:
        return np.nan, np.nan
    mean = sums.sum() / n
    n_raters = int((counts > 0).sum())
    if n_raters < 2:
        return float(mean), np.inf
    return float(mean), float(np.sqrt(np.square(sums - mean * counts).sum() * n_raters / (n_raters - 1)) / n)


def _mean(tables: list[Floats], weights: Floats) -> Floats:
    total, mass = np.zeros_like(tables[0], np.float64), np.zeros_like(tables[0], np.float64)
    for table, weight in zip(tables, weights, strict=True):
        present = ~np.isnan(table)
        total += np.where(present, weight * table, 0.0)
        mass += weight * present
    with np.errstate(invalid="ignore"):
        mean: Floats = total / mass
    return mean


def _mean_defined(numbers: Floats) -> float:
    present = ~np.isnan(numbers)
    return float(numbers[present].mean()) if present.any() else np.nan


def _fit_medians(predicted: Floats, ratings: Floats, raters: Ints) -> Medians:
    """Return medians of ratings by predicted mean, or no knot where they err no less by a standard error."""
    nothing = Medians(np.zeros(0), np.zeros(0))
    present = ~np.isnan(predicted) & ~np.isnan(ratings)
    n_knots = min(int(present.sum()) // RATINGS_PER_KNOT, MAX_KNOTS)
    if n_knots < 2:
        return nothing
    of_knots = _split_by(predicted[present], n_knots)
    means = np.array([predicted[present][part].mean() for part in of_knots])
    medians = _rising_medians([ratings[present][part] for part in of_knots])
    fitted = Medians(means, medians)
    less, error = _mean_and_error(
        np.abs(predicted - ratings) - np.abs(fitted.apply(predicted) - ratings), raters
    )
    return fitted if less > error else nothing


def _split_by(predicted: Floats, n_parts: int) -> list[Ints]:
    """Return places in order of `predicted`, in parts of equal size but for equals, which stay together."""
    order = np.argsort(predicted, kind="stable")
    wanted = np.arange(1, n_parts) * len(order) // n_parts
    cuts = np.unique(np.searchsorted(predicted[order], predicted[order][wanted], side="left"))
    return np.split(order, cuts[cuts > 0])


def _rising_medians(parts: list[Floats]) -> Floats:
    """Return the median of each part, neighbours pooled until none falls."""
    pools: list[list[Floats]] = []
    for part in parts:
        pools.append([part])
        while len(pools) > 1 and np.median(np.concatenate(pools[-2])) > np.median(np.concatenate(pools[-1])):
            pools[-2:] = [pools[-2] + pools[-1]]
    return np.concatenate([np.full(len(pool), np.median(np.concatenate(pool))) for pool in pools])


@dataclass(frozen=True, eq=False)
class Intervals:
    """Bounds around predictions, by how high these are.

    Attributes
    ----------
    starts : ndarray of shape (n_bins - 1,), increasing
        The lowest prediction of each bin but the first.
    below, above : ndarrays of shape (n_bins,)
        What to add to a prediction for its lower and upper bound.
    scale : (lowest, highest) rating; bounds are clipped to it
    coverage : share of ratings that should lie within
    """

    starts: Floats
    below: Floats
    above: Floats
    scale: tuple[int, int]
    coverage: float

    def apply(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds of predictions of any shape; NaN for NaN."""
        places = np.searchsorted(self.starts, predicted, side="right")
        low, high = predicted + self.below[places], predicted + self.above[places]
        return np.clip(low, *self.scale), np.clip(high, *self.scale)


def prediction_intervals(
    predicted: Floats, ratings: Floats, *, scale: tuple[int, int], coverage: float = 0.8
) -> Intervals:
    """Learn how far ratings fall from what was predicted out of fold.

    Split conformal prediction, by bins of the prediction: of ratings exchangeable with these at least `coverage` lie
    within on average. More do where ratings are few whole numbers. Bins hold a hundred ratings or more; fewer
    ratings in all make one bin.

    Parameters
    ----------
    predicted, ratings : ndarrays of one shape; NaN where there is none
    scale : (lowest, highest) rating
    coverage : float, above 0 and below 1

    Raises
    ------
    ValueError
        If the coverage is out of range or shapes differ.

    References
    ----------
    Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World; Lei et al. (2018), Journal of the
    American Statistical Association 113, 1094-1111.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; it must lie between 0 and 1")
    if predicted.shape != ratings.shape:
        raise ValueError(f"predictions have shape {predicted.shape} but ratings {ratings.shape}")
    present = ~np.isnan(predicted) & ~np.isnan(ratings)
    known, residuals = predicted[present], (ratings - predicted)[present]
    n_bins = min(max(len(known) // RATINGS_PER_INTERVAL_BIN, 1), MAX_INTERVAL_BINS)
    parts = _split_by(known, n_bins) if len(known) else [np.zeros(0, np.intp)]
    starts = np.array([known[part].min() for part in parts[1:]])
    bounds = np.array([_bounds(residuals[part], coverage, scale) for part in parts])
    return Intervals(starts, bounds[:, 0], bounds[:, 1], scale, coverage)


def _bounds(residuals: Floats, coverage: float, scale: tuple[int, int]) -> tuple[float, float]:
    """Return the order statistics that leave half of what is not covered on either side; the scale's width if few."""
    n = len(residuals)
    aside = int(np.floor((n + 1) * (1 - coverage) / 2 + 1e-9))
    if aside < 1:
        return float(scale[0] - scale[1]), float(scale[1] - scale[0])
    ordered = np.sort(residuals)
    return float(ordered[aside - 1]), float(ordered[n - aside])
