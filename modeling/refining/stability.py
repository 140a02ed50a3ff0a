"""A run's samples and paraphrases as arrays, and their measures. Workers and commands import it."""

import hashlib
import json
from typing import Any

import numpy as np
from django.utils import timezone

from annotation.selectors import get_tree
from modeling.annotators.vectors import load_samples
from modeling.errors import NotEnoughData
from modeling.models import AnnotatorRun, ExpertSet, ModelReading, Paraphrase
from modeling.reporting.storing import draw_all
from modeling.reports.calibration import OnProgress
from modeling.reports.figures.stability import draw_stability_figures
from modeling.reports.stability import StabilityData, describe_stability

from .paraphrases import list_variant_runs
from .runs import list_development_posts, list_scored_runs, name_line
from .scoring import IDS_AT_ONCE, name_study_values


def measure_stability(expert_set: ExpertSet, run: AnnotatorRun, report: OnProgress) -> dict[str, Any]:
    """Return measures, drawn figures, the hash of the data and when they were read; no row is touched.

    Raises NotEnoughData for a run that cannot be scored on the set's development posts.
    """
    read_at = timezone.now()
    if not list_scored_runs(expert_set).filter(pk=run.pk).exists():
        raise NotEnoughData(
            f"Run {run.pk} is no finished run that has read development posts of '{expert_set}'."
        )
    report(0, 2, "reading samples")
    data = load_stability(expert_set, run)
    report(1, 2, "measuring")
    measures = describe_stability(data, seed=expert_set.seed)
    figures = draw_all(draw_stability_figures(measures))
    report(2, 2, "done")
    return {
        "measures": measures | {"set": expert_set.name},
        "figures": figures,
        "data_hash": _hash(data),
        "read_at": read_at,
    }


def load_stability(expert_set: ExpertSet, run: AnnotatorRun) -> StabilityData:
    """Return what a run says of a set's development posts, and what the same model says of their paraphrases."""
    ids = np.array(sorted(list_development_posts(expert_set).values_list("post", flat=True)), dtype=np.int64)
    found = load_samples(run, ids)
    place = {int(pk): row for row, pk in enumerate(found.ids)}
    pairs = list(
        Paraphrase.objects.filter(original__in=place).order_by("variant").values_list("variant", "original")
    )
    runs = list(list_variant_runs(expert_set, run))
    n_values = len(expert_set.study.value_keys)
    variants, n_failed = _read_first_samples(runs, [variant for variant, _ in pairs], n_values)
    scale = get_tree(expert_set.study.value_system).scale
    return StabilityData(
        values=name_study_values(expert_set),
        samples=found.ratings,
        variants=variants,
        of=np.array([place[original] for _, original in pairs], dtype=np.int64),
        threshold=expert_set.threshold,
        scale=(scale.min, scale.max),
        run=run.pk,
        label=str(run.annotator),
        line=name_line(run.annotator),
        is_standin=run.is_standin or run.annotator.is_standin,
        n_failed=found.n_failed,
        n_failed_variants=n_failed,
        n_paraphrases=len(pairs),
        variant_runs=tuple(each.pk for each in runs),
    )


def _read_first_samples(
    runs: list[AnnotatorRun], post_ids: list[int], n_values: int
) -> tuple[np.ndarray, int]:
    """Return the first sample of each post, of the newest run that has one; and how many readings failed."""
    ratings = np.full((len(post_ids), n_values), np.nan)
    place = {pk: row for row, pk in enumerate(post_ids)}
    n_failed = 0
    for run in reversed(runs):  # the newest last: it stays
        for first in range(0, len(post_ids), IDS_AT_ONCE):
            rows = ModelReading.objects.filter(
                run=run, sample=0, post__in=post_ids[first : first + IDS_AT_ONCE]
            ).values_list("post_id", "ratings")
            for post_id, said in rows.iterator(chunk_size=2000):
                if said is None or len(said) != n_values:
                    n_failed += 1
                else:
                    ratings[place[post_id]] = said
    return ratings, n_failed


def _hash(data: StabilityData) -> str:
    digest = hashlib.sha256(json.dumps([data.run, list(data.variant_runs), data.threshold]).encode())
    for array in (data.samples, data.variants, data.of.astype(np.float64)):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
