"""Every write of modeling, named by its verb."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Q

from annotation.models import Study
from annotation.versions import get_code_version
from jobs.models import Job
from jobs.services import enqueue
from modeling.estimators.data import FitSettings
from modeling.estimators.fitting import PERSONALIZED

from .errors import NotEnoughData
from .fits import Finished, begin, do, finish
from .inclusion import DEFAULT, InclusionRule, as_settings, describe, still_count
from .matrices import load_table
from .models import AnnotatorRun, FitRun, FittedFile, PostScore, Prediction, Report
from .outdated import mark_outdated
from .predictions import store_predictions
from .reporting.requests import EVALUATE, FIT, request_agreement
from .scratch import forget
from .tuning.given import read_others
from .tuning.usable_runs import as_fit_settings, check_run

OnProgress = Callable[[int, int, str], None]

LEAST_POSTS = 4
LEAST_RATERS = 2


def hash_fit(study: Study, data_hash: str, settings: dict) -> str:
    """Return what tells one fit from another: the same study, data and settings need no second fit."""
    return hashlib.sha256(json.dumps([study.slug, data_hash, settings], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class FitOrder:
    """A fit to be: what tells it from others, and what a worker needs to know."""

    key: str
    payload: dict[str, Any]


def request_fit(
    study: Study,
    settings: FitSettings | None = None,
    rule: InclusionRule = DEFAULT,
    annotator_run: AnnotatorRun | None = None,
) -> Job:
    """Ask for a fit of the ratings of those who count as they are now; the same request is one job.

    With `annotator_run` the consensus is what an annotator model said in that run. Raises NotEnoughData when there is
    nothing to fit, and RunUnusable when the run cannot serve.
    """
    return enqueue_fit(prepare_fit(study, settings, rule, annotator_run))


def prepare_fit(
    study: Study,
    settings: FitSettings | None = None,
    rule: InclusionRule = DEFAULT,
    annotator_run: AnnotatorRun | None = None,
) -> FitOrder:
    """Read the ratings and say which fit they ask for; no row is touched. Raises as `request_fit`."""
    check_run(study, annotator_run)
    settings = settings or FitSettings(seed=study.seed)
    table = load_table(study, rule)
    if len(table.post_ids) < LEAST_POSTS or len(table.enrollment_ids) < LEAST_RATERS:
        raise NotEnoughData(
            f"Study '{study.slug}' has {len(table.post_ids)} rated posts and {len(table.enrollment_ids)} raters who "
            f"count ({describe(rule)}); a fit needs at least {LEAST_POSTS} posts and {LEAST_RATERS} raters."
        )
    whole = asdict(settings) | as_settings(rule) | as_fit_settings(annotator_run)
    key = hash_fit(study, table.data_hash, whole)
    return FitOrder(key, {"study": study.pk, "settings": whole})


def enqueue_fit(order: FitOrder) -> Job:
    """Hand a fit to the workers; the same order is one job."""
    _clear_the_way(order.key)
    return enqueue(kind=FIT, key=f"{FIT}:{order.key}", payload=order.payload)


def _clear_the_way(key: str) -> None:
    """Forget what stands in the way of a fit of the very ratings there are now.

    A fit that was marked as outdated: whoever left was not in it. A job that stopped and cannot be taken up where
    it was, because what it had begun is gone.
    """
    for job in Job.objects.filter(key=f"{FIT}:{key}", state__in=Job.STOPPED_STATES):
        part = job.parts.first()
        if part and not storages["artefacts"].exists(part.payload["begun"]["name"]):
            job.delete()
    for fit_run in FitRun.objects.filter(key=key).exclude(outdated_at=None):
        Job.objects.filter(Q(key=f"{FIT}:{key}") | Q(key__startswith=f"{EVALUATE}:{key}:")).delete()
        fit_run.delete()


def request_evaluation(fit_run: FitRun) -> Job:
    """Ask for the report of a fit; the same request is one job, unless its report is gone."""
    key = f"{EVALUATE}:{fit_run.key}:{get_code_version()}"
    if not Report.objects.filter(fit_run=fit_run).exists():
        Job.objects.filter(key=key, state=Job.State.DONE).delete()
    return enqueue(kind=EVALUATE, key=key, payload={"study": fit_run.study_id, "fit_run": fit_run.pk})


def compute_fit(
    study: Study,
    settings: FitSettings,
    rule: InclusionRule = DEFAULT,
    report: OnProgress = lambda *progress: None,
    annotator_run: AnnotatorRun | None = None,
) -> Finished:
    """Do all steps of a fit here, one after the other; no row is touched. Raises as `begin`."""
    place = begin(study, settings, rule, annotator_run)
    done = [do(study, settings, place, name, report) for name in place["units"]]
    return finish(study, settings, place, done)


@transaction.atomic
def store_fit(
    study: Study,
    settings: FitSettings,
    finished: Finished,
    rule: InclusionRule = DEFAULT,
    annotator_run: AnnotatorRun | None = None,
) -> FitRun:
    """Store a fit with its files and what its consensus says of each post; ask for its report and that of the people.

    The same data and settings are stored once. A fit that was overtaken by a withdrawal or an exclusion is
    outdated at once.
    """
    begun, result = finished.begun, finished.result
    prepared = begun.prepared
    whole = asdict(settings) | as_settings(rule) | as_fit_settings(annotator_run)
    fit_run, is_new = FitRun.objects.get_or_create(
        key=hash_fit(study, begun.data_hash, whole),
        defaults={
            "study": study,
            "settings": whole,
            "method": settings.method,
            "data_hash": begun.data_hash,
            "code_version": get_code_version(),
            "consensus_name": prepared.consensus_name,
            "annotator_run": annotator_run,
            "holdout_post_ids": [begun.post_ids[post] for post in np.flatnonzero(prepared.held_out)],
            "feature_names": list(result.feature_names),
            "notes": list(result.notes),
            "n_raters": len(begun.enrollment_ids),
            "n_annotations": begun.n_annotations,
            "has_simulated": begun.n_simulated > 0,
            "artefact": finished.artefact,
            "artefact_sha256": finished.digest,
        },
    )
    if is_new:
        FittedFile.objects.bulk_create(
            FittedFile(fit_run=fit_run, **file.as_row()) for file in finished.files
        )
        _store_consensus(fit_run, finished)
    if not still_count(study, rule, begun.enrollment_ids):
        mark_outdated(FitRun.objects.filter(pk=fit_run.pk))
    else:
        if is_new:
            _store_held_out_predictions(fit_run, finished)
        request_evaluation(fit_run)
    request_agreement(study, rule)
    forget(finished.scratch)
    return fit_run


def _store_consensus(fit_run: FitRun, finished: Finished) -> None:
    """Store what the consensus says of each post: of those that were fitted, and of all others that a run has read."""
    begun, prepared = finished.begun, finished.begun.prepared
    has_none = np.isnan(prepared.post_scores).all(axis=1)
    scores = [
        PostScore(
            fit_run=fit_run,
            post_id=post_id,
            scores=tuple(prepared.post_scores[post]),
            is_out_of_fold=bool(prepared.out_of_fold[post]),
        )
        for post, post_id in enumerate(begun.post_ids)
        if not (fit_run.annotator_run_id and has_none[post])
    ]
    if fit_run.annotator_run:
        scores += [
            PostScore(fit_run=fit_run, post_id=post_id, scores=ratings, is_out_of_fold=False)
            for post_id, ratings in read_others(fit_run.annotator_run, begun.post_ids, prepared.scale)
        ]
    PostScore.objects.bulk_create(scores, batch_size=1000)


def _store_held_out_predictions(fit_run: FitRun, finished: Finished) -> None:
    """Store what was predicted of the held-out ratings, for pages to show; those of older fits make room."""
    begun, result = finished.begun, finished.result
    rows = result.test_rows
    store_predictions(
        fit_run,
        np.array(begun.enrollment_ids)[begun.prepared.raters[rows]],
        np.array(begun.post_ids)[begun.prepared.posts[rows]],
        result.predictions[PERSONALIZED],
    )
    Prediction.objects.filter(fit_run__study=fit_run.study_id).exclude(fit_run=fit_run).delete()
