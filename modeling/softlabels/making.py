"""Soft labels from stored rows, a few thousand posts at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.selectors import get_tree
from modeling.artefacts import save_arrays
from modeling.errors import NotEnoughData
from modeling.experts.loading import load_reference
from modeling.inclusion import InclusionRule
from modeling.matrices import load_table
from modeling.models import (
    AnnotatorRun,
    ExpertSet,
    ModelReading,
    SoftLabelSet,
    VerificationDecision,
)

from .exporting import choose_examples, write_table
from .mixing import check_distributions, count_ratings, share_out, to_grains
from .services import EXAMPLES, SAYS_TEST, TABLE, name_source, select_posts, select_test_posts
from .settings import EXPERTS, LOGPROBS, PEOPLE, RUN, SoftLabelSettings, Source

AT_ONCE = 2000
OnProgress = Callable[[int, int, str], None]
Floats = NDArray[np.float64]


@dataclass
class Gathered:
    """What one source says of the posts it has: distributions over the scale, in grains; all zero where nothing.

    `notes` says what must be known of it; `n_failed` counts readings without ratings.
    """

    grains: NDArray[np.uint16]
    notes: list[str] = field(default_factory=list)
    n_failed: int = 0

    def put(self, rows: NDArray[np.intp], distributions: NDArray[np.float32]) -> None:
        self.grains[rows] = to_grains(distributions)

    def count(self) -> dict[str, int]:
        """How many posts it has, and how many of their values it lacks."""
        has_value = self.grains.any(axis=2)
        has_post = has_value.any(axis=1)
        return {
            "n_posts": int(has_post.sum()),
            "n_lacking": int((~has_value[has_post]).sum()),
            "n_failed": self.n_failed,
        }


@dataclass(frozen=True)
class Made:
    """A set's file and what its row tells; `enrollment_ids` are of the people it saw."""

    artefact: str
    artefact_sha256: str
    data_hash: str
    counts: dict[str, Any]
    enrollment_ids: tuple[int, ...]

    def as_row(self) -> dict[str, Any]:
        """Return the columns of the set."""
        return {
            "artefact": self.artefact,
            "artefact_sha256": self.artefact_sha256,
            "data_hash": self.data_hash,
            "counts": self.counts,
        }


def make_soft_labels(soft_set: SoftLabelSet, report: OnProgress) -> Made:
    """Read all sources and write the set's file.

    Raises
    ------
    NotEnoughData
        When no source has any post that may have soft labels, or a source is gone.
    ValueError
        When a source's ratings are off the study's scale.
    """
    study = soft_set.study
    settings = SoftLabelSettings.from_dict(soft_set.settings)
    allowed = np.array(select_posts(study).order_by("pk").values_list("pk", flat=True), dtype=np.int64)
    points = np.array(_list_points(study), dtype=np.float64)
    shape = (len(allowed), len(study.value_keys), len(points))
    gathered: list[Gathered] = []
    enrollment_ids: tuple[int, ...] = ()
    for place, source in enumerate(settings.sources):
        found = Gathered(np.zeros(shape, dtype=np.uint16))
        note = f"posts read of source {place + 1} of {len(settings.sources)}"
        if source.kind == RUN:
            _gather_run(
                source, study, allowed, points, found, lambda done, of, note=note: report(done, of, note)
            )
        elif source.kind == PEOPLE:
            rule = InclusionRule.from_dict(settings.rule)
            enrollment_ids = _gather_people(source, study, rule, allowed, points, found)
        elif source.kind == EXPERTS:
            _gather_experts(source, study, allowed, points, found)
        else:
            _gather_verified(source, study, allowed, points, found)
        gathered.append(found)
        report(place + 1, len(settings.sources), "sources read")
    has_any = np.logical_or.reduce([each.grains.any(axis=2) for each in gathered])
    kept = np.flatnonzero(has_any.any(axis=1))
    if not len(kept):
        raise NotEnoughData(
            "None of the sources has ratings of a post that may have soft labels. " + SAYS_TEST
        )
    names = [name_source(source, study) for source in settings.sources]
    arrays = {
        "post_ids": allowed[kept],
        "points": points,
        "weights": np.array([source.weight for source in settings.sources], dtype=np.float64),
        "sources": np.frombuffer(json.dumps(names).encode(), dtype=np.uint8),
    }
    for place, each in enumerate(gathered):
        each.grains = arrays[f"source_{place}"] = each.grains[kept]
    counts = {
        "n_posts": len(kept),
        "n_without": int((~has_any[kept]).sum()),
        "n_test": select_test_posts(study).values("post_id").distinct().count(),
        "sources": [each.count() for each in gathered],
        "notes": [
            f"{name}: {note}" for name, each in zip(names, gathered, strict=True) for note in each.notes
        ],
    }
    data_hash = _hash(arrays, study.value_keys)
    report(len(settings.sources), len(settings.sources), "writing the files")
    prefix = f"softlabels-{study.slug}-{soft_set.pk}"
    grains = [each.grains for each in gathered]
    weights = arrays["weights"].tolist()
    counts[EXAMPLES] = choose_examples(arrays["post_ids"], grains, arrays["weights"])
    counts[TABLE] = write_table(
        study, prefix, arrays["post_ids"], grains, list(zip(names, weights, strict=True)), points
    )
    name, digest = save_arrays(prefix, **arrays)
    return Made(name, digest, data_hash, counts, enrollment_ids)


def _list_points(study: Any) -> list[int]:
    scale = get_tree(study.value_system).scale
    return list(range(scale.min, scale.max + 1))


def _hash(arrays: dict[str, NDArray[Any]], value_keys: Iterable[str]) -> str:
    digest = hashlib.sha256(json.dumps(list(value_keys)).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _find_rows(allowed: NDArray[np.int64], ids: Iterable[int]) -> NDArray[np.intp]:
    """The row of each post, -1 for one that may not have soft labels."""
    wanted = np.fromiter(ids, dtype=np.int64)
    if not len(allowed):
        return np.full(len(wanted), -1, dtype=np.intp)
    rows = np.minimum(np.searchsorted(allowed, wanted), len(allowed) - 1)
    return np.where(allowed[rows] == wanted, rows, -1)


def _gather_run(
    source: Source,
    study: Any,
    allowed: NDArray[np.int64],
    points: Floats,
    found: Gathered,
    report: Callable[[int, int], None],
) -> None:
    run = AnnotatorRun.objects.select_related("annotator").filter(pk=source.number).first()
    if run is None:
        raise NotEnoughData(f"Run {source.number}, a source of these soft labels, is gone.")
    readings = ModelReading.objects.filter(run=run).order_by("post_id")
    read = list(readings.values_list("post_id", flat=True).distinct())
    for start in range(0, len(read), AT_ONCE):
        report(start, len(read))
        rows = _find_rows(allowed, read[start : start + AT_ONCE])
        rows = rows[rows >= 0]
        if len(rows):
            counts = _count_readings(run, source, allowed[rows].tolist(), points, found)
            found.put(rows, share_out(counts, source.smoothing))
    taught = set() if run.annotator.reads_out_of_fold else set(run.annotator.trained_on)
    if n_taught := len(taught & set(allowed[found.grains.any(axis=(1, 2))].tolist())):
        found.notes.append(f"its model was itself taught by {n_taught:,} of these posts.")


def _count_readings(
    run: AnnotatorRun, source: Source, wanted: list[int], points: Floats, found: Gathered
) -> Floats:
    """What the readings of posts count for each point; a distribution counts as one reading."""
    n_values = len(run.annotator.study.value_keys)
    counts = np.zeros((len(wanted), n_values, len(points)))
    place = {pk: row for row, pk in enumerate(wanted)}
    rows, said = [], []
    readings = ModelReading.objects.filter(run=run, post__in=wanted)
    of_model = "detail__distributions" if source.reads == LOGPROBS else "ratings"
    for post_id, ratings, told in readings.values_list("post_id", "ratings", of_model):
        if ratings is None or len(ratings) != n_values:
            found.n_failed += 1
        elif told is not None and len(told) == n_values:
            rows.append(place[post_id])
            said.append(told)
    if said and source.reads == LOGPROBS:
        none = [np.nan] * len(points)
        given = [
            [none if each is None or len(each) != len(points) else each for each in told] for told in said
        ]
        counted = np.nan_to_num(check_distributions(given), nan=0.0)
    elif said:
        counted = count_ratings(np.array(said)[None], points)
    else:
        return counts
    np.add.at(counts, rows, counted)
    return counts


def _gather_people(
    source: Source,
    study: Any,
    rule: InclusionRule,
    allowed: NDArray[np.int64],
    points: Floats,
    found: Gathered,
) -> tuple[int, ...]:
    table = load_table(study, rule)
    counts = np.zeros((len(table.post_ids), len(study.value_keys), len(points)))
    for point, number in enumerate(points):
        np.add.at(counts[:, :, point], table.posts, table.stored_ratings == number)
    rows = _find_rows(allowed, table.post_ids)
    found.put(rows[rows >= 0], share_out(counts[rows >= 0], source.smoothing))
    if table.n_simulated:
        found.notes.append(
            f"{table.n_simulated:,} of {len(table.enrollment_ids):,} raters are simulated, no people."
        )
    return table.enrollment_ids


def _gather_experts(
    source: Source, study: Any, allowed: NDArray[np.int64], points: Floats, found: Gathered
) -> None:
    expert_set = ExpertSet.objects.filter(study=study, pk=source.number).first()
    if expert_set is None:
        raise NotEnoughData(f"Expert set {source.number}, a source of these soft labels, is gone.")
    reference = load_reference(expert_set, split="development")
    rows = _find_rows(allowed, reference.post_ids.tolist())
    if len(reference.labels) and (rows >= 0).any():
        counts = count_ratings(reference.labels[:, rows >= 0], points)
        found.put(rows[rows >= 0], share_out(counts, source.smoothing))
    if reference.n_open:
        found.notes.append(
            f"experts differ in whether a value is expressed, and nobody has resolved it, in {reference.n_open:,} of "
            "its cases; all of their labels are counted."
        )
    if expert_set.closed_at is None:
        found.notes.append("it still takes labels.")


def _gather_verified(
    source: Source, study: Any, allowed: NDArray[np.int64], points: Floats, found: Gathered
) -> None:
    """What experts say of flagged posts: their own ratings, or the model's where they find it right."""
    decisions = VerificationDecision.objects.filter(
        item__verification=source.number, item__verification__study=study, is_current=True
    ).exclude(verdict=VerificationDecision.Verdict.UNSURE)
    counts: dict[int, Floats] = {}
    for post_id, own, of_model in decisions.values_list("item__post_id", "ratings", "item__ratings"):
        ratings = np.array([[own or of_model]], dtype=np.float64)
        counts[post_id] = counts.get(post_id, 0) + count_ratings(ratings, points)[0]
    rows = _find_rows(allowed, counts)
    if (rows >= 0).any():
        stacked = np.stack([told for told, row in zip(counts.values(), rows, strict=True) if row >= 0])
        found.put(rows[rows >= 0], share_out(stacked, source.smoothing))
