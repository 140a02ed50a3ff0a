"""Runs beside experts: rows become arrays, measures become a stored report. Workers and commands import it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.utils import timezone

from annotation.selectors import get_tree
from modeling.annotators.facts import summarize_run
from modeling.annotators.vectors import load_samples
from modeling.errors import NotEnoughData
from modeling.experts.loading import Reference, load_reference
from modeling.experts.services import get_family
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertSet, ModelReading, SplitOpening
from modeling.reporting.storing import draw_all
from modeling.reports.calibration import (
    CalibrationData,
    OnProgress,
    ReadRun,
    describe_calibration,
    describe_pair,
)
from modeling.reports.certainty import Certainty, read_certainty
from modeling.reports.figures.calibration import draw_calibration_figures

from .runs import find_taught, list_scored_runs, name_line

IDS_AT_ONCE = 5_000
LOCAL = "it runs on this machine and makes no calls"
UNPRICED = "no price is entered for it"


def measure_calibration(
    expert_set: ExpertSet, report: OnProgress, *, opening: SplitOpening | None = None
) -> dict[str, Any]:
    """Measure every run on a set's development posts, or the runs of an opening on its test posts; no row is touched.

    Returns measures, drawn figures, the hash of the data and when they were read. Raises NotEnoughData where there is
    no run.
    """
    read_at = timezone.now()
    runs = list(list_scored_runs(expert_set))
    if opening is not None:
        runs = list(
            AnnotatorRun.objects.filter(
                pk__in=opening.run_ids, annotator__study=expert_set.study_id
            ).select_related("annotator__prompt", "annotator__study")
        )
    if not runs:
        raise NotEnoughData(
            f"No finished run over posts of '{expert_set}' is about the study's values. Have a model read them first."
        )
    report(0, 1, "reading labels and readings")
    data = load_calibration(expert_set, runs, opening=opening)
    measures = describe_calibration(data, seed=expert_set.seed, report=report)
    report(0, 1, "figures drawn")
    figures = draw_all(draw_calibration_figures(measures))
    return {
        "measures": measures | {"set": expert_set.name, "opening": opening and describe_opening(opening)},
        "figures": figures,
        "data_hash": hash_data(data),
        "read_at": read_at,
    }


def describe_opening(opening: SplitOpening) -> dict[str, Any]:
    """Return who opened the test posts, when, why and for what."""
    return {
        "family": opening.family,
        "opener": opening.opener,
        "opened_at": opening.opened_at.isoformat(),
        "reason": opening.reason,
        "runs": list(opening.run_ids),
    }


def compare_two(expert_set: ExpertSet, first: int, second: int) -> dict[str, Any]:
    """Compare two scored runs on the development posts: measures, the hash of the data, when they were read.

    Raises NotEnoughData where one of them cannot be scored.
    """
    read_at = timezone.now()
    runs = list(list_scored_runs(expert_set).filter(pk__in=[first, second]))
    if len(runs) != 2:
        raise NotEnoughData(
            f"Runs {first} and {second} are not both finished runs about the study's values that have read "
            f"development posts of '{expert_set}'."
        )
    data = load_calibration(expert_set, runs)
    return {
        "measures": describe_pair(data, first, second, seed=expert_set.seed),
        "data_hash": hash_data(data),
        "read_at": read_at,
    }


def load_calibration(
    expert_set: ExpertSet, runs: Iterable[AnnotatorRun], *, opening: SplitOpening | None = None
) -> CalibrationData:
    """Return a set's reference with what runs say of its posts, in the order of families, versions and time."""
    split = "development" if opening is None else "test"
    reference = load_reference(expert_set, split=split, opening=opening)
    scale = get_tree(expert_set.study.value_system).scale
    read = [_read_run(run, reference) for run in runs]
    read.sort(key=lambda each: (each.family, each.version, each.line, each.finished, each.run))
    return CalibrationData(
        values=name_study_values(expert_set),
        post_ids=reference.post_ids.tolist(),
        keys=reference.keys,
        reference=reference.ratings,
        labels=reference.labels,
        experts=reference.experts,
        threshold=reference.threshold,
        scale=(scale.min, scale.max),
        n_open=reference.n_open,
        n_unlabeled=reference.n_unlabeled,
        split=split,
        runs=read,
        notes=reference.notes,
    )


def name_study_values(expert_set: ExpertSet) -> list[tuple[str, str]]:
    """Return key and researchers' name of each value, in the study's order."""
    names = {leaf.key: leaf.name for leaf in get_tree(expert_set.study.value_system).leaves}
    return [(key, names.get(key, key)) for key in expert_set.study.value_keys]


def hash_data(data: CalibrationData) -> str:
    """Return a hash of all that is measured: labels, reference, threshold, readings."""
    digest = hashlib.sha256(
        json.dumps([list(data.values), list(data.post_ids), data.threshold, data.split]).encode()
    )
    for array in (data.reference, data.labels, *(run.ratings for run in data.runs)):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    for run in data.runs:
        if run.certainty is not None:
            digest.update(np.ascontiguousarray(run.certainty.probability, dtype="<f8").tobytes())
    digest.update(json.dumps([run.run for run in data.runs]).encode())
    return digest.hexdigest()


def read_ratings(
    run: AnnotatorRun, post_ids: Sequence[int], n_values: int
) -> tuple[np.ndarray, int, Counter[str]]:
    """Return what a run says of posts: mean over its good samples, NaN without one.

    Beside the ratings, of shape (n_posts, n_values), the number of readings of these posts and of their faults. A
    reading of another number of values, from before the study's values changed, is such a fault.
    """
    sums, counts = np.zeros((len(post_ids), n_values)), np.zeros(len(post_ids))
    place = {pk: row for row, pk in enumerate(post_ids)}
    n_readings, faults = 0, Counter[str]()
    for first in range(0, len(post_ids), IDS_AT_ONCE):
        rows = ModelReading.objects.filter(run=run, post__in=post_ids[first : first + IDS_AT_ONCE])
        for post_id, ratings, fault in rows.values_list("post_id", "ratings", "fault").iterator(
            chunk_size=2000
        ):
            n_readings += 1
            if ratings is None or len(ratings) != n_values:
                faults[fault or "other values"] += 1
                continue
            sums[place[post_id]] += ratings
            counts[place[post_id]] += 1
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts[:, None], out=means, where=counts[:, None] > 0)
    return means, n_readings, faults


def _read_run(run: AnnotatorRun, reference: Reference) -> ReadRun:
    annotator = run.annotator
    post_ids = reference.post_ids.tolist()
    ratings, n_readings, faults = read_ratings(run, post_ids, reference.ratings.shape[1])
    taught = find_taught(run, post_ids)
    cost, reason, n_all = _find_cost(run)
    return ReadRun(
        run=run.pk,
        label=str(annotator),
        line=name_line(annotator),
        family=get_family(annotator),
        version=annotator.prompt.number if annotator.prompt else annotator.version,
        ratings=ratings,
        taught=np.isin(reference.post_ids, sorted(taught)),
        finished=_write_time(run.finished_at),
        kind=annotator.get_kind_display(),
        is_standin=annotator.is_standin or run.is_standin,
        n_samples=annotator.samples,
        n_readings=n_readings,
        n_failed=faults.total(),
        failures=dict(faults),
        certainty=_read_certainty(run, reference),
        cost=cost,
        cost_reason=reason,
        n_all=n_all,
    )


def _read_certainty(run: AnnotatorRun, reference: Reference) -> Certainty:
    """Return how sure a run is of posts, in the order of the reference."""
    said = load_samples(run, reference.post_ids)
    rows = np.searchsorted(said.ids, reference.post_ids)
    scale = get_tree(run.annotator.study.value_system).scale
    distributions = None if said.distributions is None else said.distributions[rows]
    return read_certainty(said.ratings[:, rows], distributions, scale.levels, reference.threshold)


def _write_time(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _find_cost(run: AnnotatorRun) -> tuple[float | None, str, int]:
    """Return the dollars behind all readings of a run, whoever paid, why they are not known, and how many there are."""
    annotator = run.annotator
    if annotator.kind == AnnotatorModel.Kind.ENCODER:
        return 0.0, LOCAL, run.readings.count()
    facts = summarize_run(run)
    if not (annotator.input_price or annotator.output_price):
        return None, UNPRICED, facts.n_read + facts.n_failed
    return float(facts.cost), "", facts.n_read + facts.n_failed
