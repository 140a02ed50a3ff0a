"""What an annotator model said of a study's posts, as a fit wants it."""

from collections.abc import Iterable, Sequence

import numpy as np

from modeling.annotators.vectors import load_vectors
from modeling.errors import RunUnusable
from modeling.estimators.data import GivenReadings
from modeling.models import AnnotatorRun
from modeling.reports.names import SAYS_STANDIN

from .usable_runs import name_consensus

STANDIN_NOTE = f"{SAYS_STANDIN} The consensus is made of the stand-in's replies."


def load_given(run: AnnotatorRun, post_ids: Sequence[int]) -> GivenReadings:
    """Return what a run says of these posts, in their order.

    Raises RunUnusable when the readings are of other values than the study's.
    """
    annotator = run.annotator
    read_ids, ratings = load_vectors(run)
    n_values = len(annotator.study.value_keys)
    if ratings.shape != (len(read_ids), n_values):
        raise RunUnusable(
            f"Run {run.pk} rated {ratings.shape[-1]} values, and study '{annotator.study.slug}' has {n_values}; run "
            "the annotator model with a prompt about the study's values."
        )
    place = {int(pk): row for row, pk in enumerate(read_ids)}
    given = np.full((len(post_ids), n_values), np.nan)
    for post, pk in enumerate(post_ids):
        if pk in place:
            given[post] = ratings[place[pk]]
    is_standin = run.is_standin or annotator.is_standin
    seen = np.isin(np.asarray(post_ids, dtype=np.int64), np.asarray(annotator.trained_on, dtype=np.int64))
    notes = [STANDIN_NOTE] if is_standin else []
    if annotator.reads_out_of_fold and seen.any():
        notes.append(
            f"The annotator model was taught {int(seen.sum())} of these posts and reads each of them out of fold: by a "
            "model that was not taught this post."
        )
    return GivenReadings(
        name=name_consensus(annotator, is_standin=is_standin),
        ratings=given,
        taught=seen & (not annotator.reads_out_of_fold),
        notes=tuple(notes),
    )


def read_others(
    run: AnnotatorRun, post_ids: Iterable[int], scale: tuple[int, int]
) -> list[tuple[int, tuple[float, ...]]]:
    """Return id and ratings of each post that a run has read and that is none of these."""
    known = set(post_ids)
    read_ids, ratings = load_vectors(run)
    whole = np.isfinite(ratings).all(axis=1)
    return [
        (int(pk), tuple(np.clip(row, *scale).tolist()))
        for pk, row, is_whole in zip(read_ids, ratings, whole, strict=True)
        if is_whole and int(pk) not in known
    ]
