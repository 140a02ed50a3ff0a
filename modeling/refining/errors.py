"""Error reports: one run held against the experts of a set, on development posts alone. Workers import it."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from annotation.errors import Refused
from annotation.models import Study
from annotation.selectors import get_tree
from modeling.annotators.vectors import RunSamples, average, load_samples
from modeling.experts.loading import Reference, load_reference
from modeling.models import AnnotatorRun, ExpertSet, Report
from modeling.reporting.storing import store_report
from modeling.reporting.subjects import name_subject
from modeling.reports.data import ValueInfo
from modeling.reports.figures.figure import Figure
from modeling.reports.figures.render import Drawn
from modeling.reports.misattributions import ErrorData, describe_misattributions

from .notes import describe_run
from .runs import find_taught, list_scored_runs

OnProgress = Callable[[int, int, str], None]


def compute_errors(expert_set: ExpertSet, run: AnnotatorRun, report: OnProgress) -> dict[str, Any]:
    """Return the measures of an error report; no row is touched, and no test post is read.

    Raises Refused where the run cannot be measured on the set.
    """
    if not list_scored_runs(expert_set).filter(pk=run.pk).exists():
        raise Refused(
            f"Run {run.pk} cannot be held against “{expert_set}”: it is not a finished run about the values of this "
            "study that has read a development post of the set."
        )
    report(0, 3, "reading what experts and the model say")
    reference = load_reference(expert_set)
    samples = load_samples(run, reference.post_ids)
    taught = find_taught(run, reference.post_ids.tolist())
    kept = ~np.isin(reference.post_ids, np.array(sorted(taught), dtype=np.int64))
    data = ErrorData(
        values=list_values(expert_set.study),
        truth=reference.ratings[kept],
        predicted=average(samples.ratings)[kept],
        threshold=reference.threshold,
        post_ids=reference.post_ids[kept],
        experts=reference.experts,
        labels=reference.labels[:, kept],
        whys=[why for why, is_kept in zip(samples.whys, kept, strict=True) if is_kept],
    )
    measures = describe_misattributions(data, seed=expert_set.study.seed, report=report)
    described = describe_run(run)
    return {
        "study": expert_set.study.slug,
        "set": {"pk": expert_set.pk, "name": expert_set.name},
        "run": described,
        "models": [described],
        "n_standin": int(described["is_standin"]),
        "n_development": len(reference.post_ids),
        "n_taught": int(np.count_nonzero(~kept)),
        "n_failed": samples.n_failed,
        "notes": list(reference.notes),
        "data_hash": hash_data(reference, samples),
    } | measures


def store_errors(
    expert_set: ExpertSet,
    run: AnnotatorRun,
    measures: dict[str, Any],
    figures: Sequence[tuple[Figure, Drawn]],
    *,
    read_at: datetime,
) -> Report:
    """Store an error report in the place of the run's older one."""
    return store_report(
        expert_set.study,
        Report.Kind.ERRORS,
        name_subject(set=expert_set.pk, run=run.pk),
        measures,
        figures,
        data_hash=measures["data_hash"],
        read_at=read_at,
    )


def list_values(study: Study) -> tuple[ValueInfo, ...]:
    """Return the study's values in circumplex order."""
    tree = get_tree(study.value_system)
    found = []
    for key in study.value_keys:
        leaf, branch = tree.leaf(key), tree.parent(key)
        group = "" if branch is None or branch.key == tree.root.key else branch.name
        found.append(ValueInfo(key=key, name=leaf.name, label=leaf.label, group=group))
    return tuple(found)


def hash_data(reference: Reference, *samples: RunSamples) -> str:
    """SHA-256 of all that was measured."""
    digest = hashlib.sha256(repr(reference.threshold).encode())
    for array in (reference.post_ids, reference.ratings, reference.labels):
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    for each in samples:
        digest.update(repr(each.ratings.shape).encode() + np.ascontiguousarray(each.ratings).tobytes())
    return digest.hexdigest()
