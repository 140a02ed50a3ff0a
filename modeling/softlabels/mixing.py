"""Distributions over the scale from ratings, and several sources' distributions mixed into one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Distributions = NDArray[np.float32]
Floats = NDArray[np.float64]
GRAIN = 65_535  # steps in which a stored probability is counted
SUM_SLACK = 1e-3


@dataclass(frozen=True, eq=False)
class Mixed:
    """Several sources' distributions as one.

    Attributes
    ----------
    distributions : ndarray of float32, shape (n_posts, n_values, n_points)
        Each sums to 1; NaN where no source has the post and value.
    n_sources : ndarray of int, shape (n_posts, n_values)
    n_effective : ndarray, shape (n_posts, n_values)
        How many sources of one weight would count as much: the squared sum of the weights of those that have it
        over the sum of their squares (Kish 1965, Survey Sampling, section 11.7). 0 where no source has it.
    n_without : how many (post, value) no source has
    """

    distributions: Distributions
    n_sources: NDArray[np.int64]
    n_effective: Floats
    n_without: int


def count_ratings(ratings: ArrayLike, points: ArrayLike) -> Floats:
    """Count how often each point of the scale was given.

    A rating between two points, such as a mean, counts for both, by how near it is to each.

    Parameters
    ----------
    ratings : array-like of shape (n_samples, n_posts, n_values); NaN where there is none
    points : array-like of shape (n_points,), increasing

    Returns
    -------
    ndarray of shape (n_posts, n_values, n_points)

    Raises
    ------
    ValueError
        If a rating is off the scale, or the shapes are others.
    """
    scale = np.asarray(points, dtype=np.float64)
    given = np.asarray(ratings, dtype=np.float64)
    if given.ndim != 3 or scale.ndim != 1 or len(scale) < 2 or not (np.diff(scale) > 0).all():
        raise ValueError(
            f"ratings of shape {given.shape} and points of shape {scale.shape} cannot be counted; give ratings of "
            "shape (samples, posts, values) and two or more points in increasing order"
        )
    is_off = (given < scale[0]) | (given > scale[-1])
    if is_off.any():
        raise ValueError(
            f"a rating of {given[is_off][0]:g} is off the scale from {scale[0]:g} to {scale[-1]:g}; "
            "check that the source rates on the study's scale"
        )
    counts = np.zeros((*given.shape[1:], len(scale)))
    for sample in given:
        posts, values = np.nonzero(~np.isnan(sample))
        rated = sample[posts, values]
        lower = np.minimum(np.searchsorted(scale, rated, side="right") - 1, len(scale) - 2)
        share = (rated - scale[lower]) / (scale[lower + 1] - scale[lower])
        counts[posts, values, lower] += 1 - share
        counts[posts, values, lower + 1] += share
    return counts


def share_out(counts: ArrayLike, smoothing: float = 0.0) -> Distributions:
    """Turn counts into shares, with `smoothing` added to each point; NaN where nothing was counted.

    Raises ValueError for counts or a smoothing below zero, or that are not finite.
    """
    given = np.asarray(counts, dtype=np.float64)
    if not (np.isfinite(given).all() and (given >= 0).all() and 0 <= smoothing < np.inf):
        raise ValueError("counts and their smoothing must be numbers from 0 on")
    totals = given.sum(axis=-1, keepdims=True)
    n_points = given.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (given + smoothing) / (totals + n_points * smoothing)
    return np.asarray(np.where(totals > 0, shares, np.nan), dtype=np.float32)


def check_distributions(distributions: ArrayLike) -> Distributions:
    """Return distributions as float32, each summing to 1 or NaN throughout. Raises ValueError for others."""
    given = np.asarray(distributions, dtype=np.float32)
    is_gap = np.asarray(np.isnan(given).any(axis=-1))
    sums = given.sum(axis=-1)
    is_bad = ~is_gap & (~(np.abs(sums - 1) < SUM_SLACK) | (given.min(axis=-1) < 0))
    if is_bad.any():
        raise ValueError(f"this is no distribution: {given[is_bad][0].tolist()}; it must sum to 1")
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(is_gap[..., None], np.nan, given / sums[..., None]), dtype=np.float32)


def mix(per_source: ArrayLike, weights: ArrayLike) -> Mixed:
    """Mix sources into one: for each post and value the weighted mean of the sources that have it.

    The weights of those that have it are made to sum to 1, so that a source's silence moves nothing.

    Parameters
    ----------
    per_source : array-like of shape (n_sources, n_posts, n_values, n_points); NaN where a source has nothing
    weights : array-like of shape (n_sources,), above 0

    Raises
    ------
    ValueError
        If there is no source, a weight is not above 0, the shapes do not fit, or something is no distribution.
    """
    given = np.asarray(per_source, dtype=np.float32)
    shares = np.asarray(weights, dtype=np.float64)
    if given.ndim != 4 or not len(given) or shares.shape != (len(given),):
        raise ValueError(
            f"sources of shape {given.shape} do not fit weights of shape {shares.shape}; give one weight per source"
        )
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        raise ValueError(
            f"weights must be above 0, not {shares.tolist()}; leave out a source that is not to count"
        )
    sums = np.zeros(given.shape[1:], dtype=np.float32)
    totals, squares = np.zeros(given.shape[1:3]), np.zeros(given.shape[1:3])
    n_sources = np.zeros(given.shape[1:3], dtype=np.int64)
    for source, weight in zip(given, shares, strict=True):
        checked = check_distributions(source)
        has_it = ~np.isnan(checked[:, :, 0])
        sums += np.float32(weight) * np.nan_to_num(checked, nan=0.0)
        totals += weight * has_it
        squares += weight**2 * has_it
        n_sources += has_it
    with np.errstate(invalid="ignore", divide="ignore"):
        mixed: Distributions = np.asarray(sums / totals[:, :, None], dtype=np.float32)
        n_effective = np.where(totals > 0, totals**2 / squares, 0.0)
    return Mixed(mixed, n_sources, n_effective, int((n_sources == 0).sum()))


def to_grains(distributions: ArrayLike) -> NDArray[np.uint16]:
    """Return distributions in whole steps of 1/65,535, a quarter of their size; all zero where there is none."""
    return np.asarray(np.rint(np.nan_to_num(distributions, nan=0.0) * GRAIN), dtype=np.uint16)


def from_grains(grains: NDArray[np.uint16]) -> Distributions:
    """Return what `to_grains` was given, to within 1/65,535 per point; NaN where all is zero."""
    sums = grains.sum(axis=-1, dtype=np.float32, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(grains / sums, dtype=np.float32)
