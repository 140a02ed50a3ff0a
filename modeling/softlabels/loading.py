"""Soft labels as arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modeling.artefacts import load_arrays
from modeling.errors import ArtefactDamaged, NotEnoughData
from modeling.models import SoftLabelSet
from modeling.reports.names import SAYS_STANDIN

from .mixing import from_grains, mix
from .settings import SoftLabelSettings

RENEW = "make the soft labels again from the same sources"


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """For each post and value a distribution over the scale, source by source and mixed.

    Attributes
    ----------
    post_ids : ndarray of int64, shape (n_posts,), increasing
    sources : what each source is, in words
    weights : ndarray of shape (n_sources,), as they were given: whose says how much
    per_source : ndarray of float32, shape (n_sources, n_posts, n_values, n_points); NaN where a source has nothing
    mixed : ndarray of float32, shape (n_posts, n_values, n_points)
        The weighted mean over the sources that have the post and value; NaN where none has.
    points : ndarray of shape (n_points,), the scale
    has_people : whether people's ratings are among the sources
    notes : what must be said wherever these labels are used
    """

    post_ids: NDArray[np.int64]
    sources: tuple[str, ...]
    weights: NDArray[np.float64]
    per_source: NDArray[np.float32]
    mixed: NDArray[np.float32]
    points: NDArray[np.float64]
    has_people: bool
    notes: tuple[str, ...]


def load_soft_labels(soft_set: SoftLabelSet) -> SoftLabels:
    """Read a set's artefact.

    Raises
    ------
    NotEnoughData
        When the set is not made, or ratings it held were taken back since.
    ArtefactDamaged
        When its file is gone, or not the one that was written.
    """
    if soft_set.outdated_at or not soft_set.artefact:
        why = "holds ratings that do not count any more" if soft_set.outdated_at else "is not made"
        raise NotEnoughData(f"The set of soft labels “{soft_set}” {why}; {RENEW}.")
    arrays = load_arrays(soft_set.artefact, soft_set.artefact_sha256)
    try:
        return _build(soft_set, arrays)
    except (KeyError, ValueError) as error:
        raise ArtefactDamaged(
            f"The file {soft_set.artefact} holds no soft labels ({error}); {RENEW}."
        ) from error


def _build(soft_set: SoftLabelSet, arrays: Mapping[str, NDArray[Any]]) -> SoftLabels:
    settings = SoftLabelSettings.from_dict(soft_set.settings)
    names = tuple(json.loads(bytes(arrays["sources"]).decode()))
    per_source = np.stack([from_grains(arrays[f"source_{place}"]) for place in range(len(names))])
    weights = arrays["weights"].astype(np.float64)
    notes = tuple(soft_set.counts.get("notes", ()))
    if soft_set.is_standin:
        notes = (SAYS_STANDIN, *notes)
    return SoftLabels(
        post_ids=arrays["post_ids"].astype(np.int64),
        sources=names,
        weights=weights,
        per_source=per_source,
        mixed=mix(per_source, weights).distributions,
        points=arrays["points"].astype(np.float64),
        has_people=settings.has_people,
        notes=notes,
    )
