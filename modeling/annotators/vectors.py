"""A run's readings as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from django.db.models import QuerySet

from annotation.selectors import get_tree
from modeling.models import AnnotatorRun, ModelReading

from .selecting import get_post_field

IDS_AT_ONCE = 1_000  # posts whose readings are read together


def load_vectors(run: AnnotatorRun) -> tuple[np.ndarray, np.ndarray]:
    """Return the posts that a run has looked at and what it says of each.

    Returns
    -------
    ids : shape (n_posts,)
        Of posts, or of feed posts for a curation's run, in increasing order.
    ratings : shape (n_posts, n_ratings)
        The mean over the good samples of a post; NaN where no sample is good. In the study's order of values for a
        prompt about values; one column for a codebook.
    """
    column = get_post_field(run)
    rows = ModelReading.objects.filter(run=run).order_by(column, "sample").values_list(column, "ratings")
    post_ids: list[int] = []
    places: list[int] = []
    vectors: list[tuple[float, ...]] = []
    for post_id, ratings in rows.iterator(chunk_size=2000):
        if not post_ids or post_ids[-1] != post_id:
            post_ids.append(post_id)
        if ratings is not None:
            places.append(len(post_ids) - 1)
            vectors.append(ratings)
    n_ratings = len(vectors[0]) if vectors else _count_ratings(run)
    sums = np.zeros((len(post_ids), n_ratings))
    counts = np.zeros(len(post_ids))
    if vectors:
        np.add.at(sums, places, np.array(vectors, dtype=float))
        np.add.at(counts, places, 1)
    with np.errstate(invalid="ignore"):
        means = sums / counts[:, None]
    return np.array(post_ids, dtype=np.int64), means


def _count_ratings(run: AnnotatorRun) -> int:
    prompt = run.annotator.prompt
    if prompt is None or prompt.purpose == prompt.Purpose.VALUES:
        return len(run.annotator.study.value_keys)
    return 1


@dataclass(frozen=True, eq=False)
class RunSamples:
    """All that a run says of posts, sample by sample.

    Attributes
    ----------
    ids : ndarray of int, shape (n_posts,), increasing
    ratings : ndarray of shape (n_samples, n_posts, n_values)
        NaN where there is no reading or it failed.
    distributions : ndarray of shape (n_posts, n_values, n_points), or None where no reading has any
        Mean over the samples that have one; NaN where none has. Points are those of the study's scale, lowest first.
    whys : tuple of str, one per post
        What the model gave as its reason, of the first sample that has one; "" where it gave none.
    n_failed : readings without ratings
    """

    ids: np.ndarray
    ratings: np.ndarray
    distributions: np.ndarray | None
    whys: tuple[str, ...]
    n_failed: int


def load_samples(run: AnnotatorRun, ids: np.ndarray | None = None) -> RunSamples:
    """Return what a run says of the values of posts: of all that it has looked at, or of these, in increasing order.

    Posts of `ids` that the run has not looked at have NaN.
    """
    study = run.annotator.study
    n_values, n_points = len(study.value_keys), len(get_tree(study.value_system).scale.levels)
    column = get_post_field(run)
    readings = ModelReading.objects.filter(run=run)
    if ids is None:
        asked = np.array(readings.order_by(column).values_list(column, flat=True).distinct(), dtype=np.int64)
    else:
        asked = np.unique(np.asarray(ids, dtype=np.int64))
    n_samples = run.annotator.samples
    ratings = np.full((n_samples, len(asked), n_values), np.nan)
    sums = np.zeros((len(asked), n_values, n_points))
    counts = np.zeros((len(asked), n_values))
    whys = [""] * len(asked)
    n_failed = 0
    place = {int(pk): row for row, pk in enumerate(asked)}
    for post_id, sample, said, detail in _iterate_readings(readings, column, asked):
        row = place[post_id]
        if sample >= n_samples:
            continue
        if said is None or len(said) != n_values:
            n_failed += 1
            continue
        ratings[sample, row] = said
        whys[row] = whys[row] or str(detail.get("why", ""))
        for value, distribution in enumerate(detail.get("distributions") or ()):
            if distribution is not None and len(distribution) == n_points:
                sums[row, value] += distribution
                counts[row, value] += 1
    distributions = None
    if counts.any():
        with np.errstate(invalid="ignore"):
            distributions = sums / counts[:, :, None]
    return RunSamples(asked, ratings, distributions, tuple(whys), n_failed)


def average(ratings: np.ndarray) -> np.ndarray:
    """Return the mean over samples, shape (n_samples, n_posts, n_values); NaN where no sample says anything."""
    counts = np.count_nonzero(~np.isnan(ratings), axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(ratings, axis=0) / counts)


def _iterate_readings(readings: QuerySet[ModelReading], column: str, ids: np.ndarray) -> Iterator[tuple]:
    """Yield post, sample, ratings and detail of every reading of these posts, in order, some posts at a time."""
    for first in range(0, len(ids), IDS_AT_ONCE):
        together = readings.filter(**{f"{column}__in": ids[first : first + IDS_AT_ONCE].tolist()})
        yield from together.order_by(column, "sample").values_list(column, "sample", "ratings", "detail")
