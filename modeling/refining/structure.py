"""Structure reports: whether experts, people and each scored model see the values in the theory's circle."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from annotation.models import Post
from modeling.annotators.vectors import average, load_samples
from modeling.experts.loading import load_reference
from modeling.inclusion import DEFAULT
from modeling.matrices import load_table
from modeling.models import AnnotatorRun, ExpertItem, ExpertSet, ModelReading, Report
from modeling.reporting.storing import store_report
from modeling.reporting.subjects import name_subject
from modeling.reports.figures.figure import Figure
from modeling.reports.figures.render import Drawn
from modeling.reports.structure import MOST_POSTS, Source, describe_structure

from .errors import list_values
from .notes import describe_run
from .runs import find_taught, list_scored_runs

OnProgress = Callable[[int, int, str], None]
DEVELOPMENT, FURTHER, RATED = "development posts", "all posts it read", "posts that people rated"


def compute_structure(expert_set: ExpertSet, report: OnProgress) -> dict[str, Any]:
    """Return the measures of a structure report; no row is touched, and no test post is read."""
    report(0, 1, "reading what experts and people say")
    reference = load_reference(expert_set)
    n_experts, n_posts, n_values = reference.labels.shape
    rows = reference.labels.reshape(n_experts * n_posts, n_values)
    given = ~np.isnan(rows).all(axis=1)
    sources = [
        Source(
            "experts",
            "Experts",
            "experts",
            DEVELOPMENT,
            rows[given],
            np.tile(reference.post_ids, n_experts)[given],
        )
    ]
    people = load_table(expert_set.study, DEFAULT)
    sources.append(
        Source("people", "People", "people", RATED, people.ratings, np.asarray(people.posts, dtype=np.intp))
    )
    runs = list(list_scored_runs(expert_set).select_related("annotator__prompt"))
    notes = list(reference.notes)
    for done, run in enumerate(runs):
        report(done, len(runs), f"reading run {run.pk}")
        sources += _read_run(run, reference.post_ids, notes)
    measures = describe_structure(
        sources, list_values(expert_set.study), seed=expert_set.study.seed, report=report
    )
    models = [describe_run(run) for run in runs]
    return {
        "study": expert_set.study.slug,
        "set": {"pk": expert_set.pk, "name": expert_set.name},
        "threshold": reference.threshold,
        "models": models,
        "n_standin": sum(model["is_standin"] for model in models),
        "n_raters": len(people.enrollment_ids),
        "n_simulated": people.n_simulated,
        "notes": notes,
        "data_hash": _hash_sources(sources),
    } | measures


def _read_run(run: AnnotatorRun, development: np.ndarray, notes: list[str]) -> list[Source]:
    """What a run says of the development posts, and, if it read more, of all posts but paraphrases and test posts."""
    described = describe_run(run)
    label = f"Run {run.pk}: {run.annotator}"
    taught = find_taught(run, development.tolist())
    if taught:
        notes.append(
            f"{len(taught):,} development posts are left out for run {run.pk}, which was taught them."
        )
    own = np.setdiff1d(development, np.array(sorted(taught), dtype=np.int64))
    sources = [_take(run, own, f"run-{run.pk}-development", label, DEVELOPMENT, described)]
    closed = ExpertItem.objects.filter(expert_set__study=run.annotator.study, split=ExpertItem.Split.TEST)
    readings = (
        ModelReading.objects.filter(run=run, fault="")
        .exclude(post__in=closed.values("post"))
        .exclude(post__purpose=Post.Purpose.PARAPHRASE)  # the same post once more
    )
    read = np.unique(np.array(list(readings.values_list("post", flat=True).distinct()), dtype=np.int64))
    untaught = np.setdiff1d(read, np.array(sorted(find_taught(run, read.tolist())), dtype=np.int64))
    if len(np.setdiff1d(untaught, own)):
        n_read = len(untaught)
        if n_read > MOST_POSTS:
            drawn = np.random.default_rng(run.annotator.study.seed).choice(
                untaught, MOST_POSTS, replace=False
            )
            untaught = np.sort(drawn)
        posts_are = (
            FURTHER if n_read == len(untaught) else f"{len(untaught):,} drawn of the {n_read:,} posts it read"
        )
        sources.append(_take(run, untaught, f"run-{run.pk}-all", label, posts_are, described))
    return sources


def _take(
    run: AnnotatorRun, ids: np.ndarray, key: str, label: str, posts_are: str, described: dict[str, Any]
) -> Source:
    samples = load_samples(run, ids)
    means = average(samples.ratings)
    said = ~np.isnan(means).all(axis=1)
    return Source(
        key,
        label,
        "model",
        posts_are,
        means[said],
        np.asarray(samples.ids[said], dtype=np.intp),
        is_standin=described["is_standin"],
    )


def _hash_sources(sources: list[Source]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.key} {source.ratings.shape}".encode())
        digest.update(np.ascontiguousarray(source.ratings).tobytes())
        digest.update(np.ascontiguousarray(source.posts, dtype=np.int64).tobytes())
    return digest.hexdigest()


def store_structure(
    expert_set: ExpertSet,
    measures: dict[str, Any],
    figures: Sequence[tuple[Figure, Drawn]],
    *,
    read_at: datetime,
) -> Report:
    """Store a structure report in the place of the set's older one, with the rule by which people count."""
    return store_report(
        expert_set.study,
        Report.Kind.STRUCTURE,
        name_subject(set=expert_set.pk),
        measures,
        figures,
        data_hash=measures["data_hash"],
        read_at=read_at,
        rule=DEFAULT,
    )
