"""Every write of modeling, named by its verb."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Q

from annotation.models import Study
from annotation.versions import get_code_version
from jobs.models import Job
from jobs.services import enqueue
from modeling.estimators.consensus import PanelConsensus
from modeling.estimators.fitting import FitResult, FitSettings, fit

from .artefacts import load_arrays, save_arrays
from .errors import DataChanged, NotEnoughData
from .evaluation import Evaluation
from .inclusion import DEFAULT, InclusionRule, as_settings, count_excluded, describe, from_settings, select
from .matrices import StudyTable, load_table
from .models import EvaluationReport, FitRun, PostScore
from .outdated import mark_outdated

Report = Callable[[int, int, str], None]

LEAST_POSTS = 4
LEAST_RATERS = 2
PREDICTION = "prediction_"
NOTES = (
    "Intervals are 95 % percentile bootstraps over posts (1,000 resamples, seeded). A rho of a constant vector is "
    "undefined and left out; a post without any defined rho is left out.",
    "The human figures at the top are over all posts; models are judged on the held-out posts, where the human "
    "figures are repeated.",
)
CROWD_NOTE = "The consensus of other raters is made of the crowd itself, so its distance from the crowd is not defined."


def hash_fit(study: Study, data_hash: str, settings: dict) -> str:
    """Return what tells one fit from another: the same study, data and settings need no second fit."""
    return hashlib.sha256(json.dumps([study.slug, data_hash, settings], sort_keys=True).encode()).hexdigest()


def request_fit(study: Study, settings: FitSettings | None = None, rule: InclusionRule = DEFAULT) -> Job:
    """Ask for a fit of the ratings of those who count as they are now; the same request is one job.

    Raises NotEnoughData when there is nothing to fit.
    """
    settings = settings or FitSettings(seed=study.seed)
    table = load_table(study, rule)
    if len(table.post_ids) < LEAST_POSTS or len(table.enrollment_ids) < LEAST_RATERS:
        raise NotEnoughData(
            f"Study '{study.slug}' has {len(table.post_ids)} rated posts and {len(table.enrollment_ids)} raters who "
            f"count ({describe(rule)}); a fit needs at least {LEAST_POSTS} posts and {LEAST_RATERS} raters."
        )
    whole = asdict(settings) | as_settings(rule)
    key = hash_fit(study, table.data_hash, whole)
    _clear_the_way(key)
    return enqueue(kind="fit", key=f"fit:{key}", payload={"study": study.pk, "settings": whole})


def _clear_the_way(key: str) -> None:
    """Forget a fit of the very ratings there are now that was marked as outdated: whoever left was not in it."""
    for fit_run in FitRun.objects.filter(key=key).exclude(outdated_at=None):
        Job.objects.filter(Q(key=f"fit:{key}") | Q(key__startswith=f"evaluate:{key}:")).delete()
        fit_run.delete()


def request_evaluation(fit_run: FitRun) -> Job:
    """Ask for the report of a fit; the same request is one job."""
    key = f"evaluate:{fit_run.key}:{get_code_version()}"
    return enqueue(kind="evaluate", key=key, payload={"study": fit_run.study_id, "fit_run": fit_run.pk})


def compute_fit(
    study: Study, settings: FitSettings, report: Report, rule: InclusionRule = DEFAULT
) -> tuple[StudyTable, FitResult, str, str]:
    """Fit the study and write the held-out predictions to the artefact storage; no row is touched.

    Returns the ratings, the result, and the artefact's name and hash. Raises NotEnoughData when the data
    is too small in a way that only the fit can see.
    """
    table = load_table(study, rule)
    try:
        result = fit(table.as_fit_data(), settings, report=report)
    except ValueError as error:
        raise NotEnoughData(f"Study '{study.slug}' cannot be fitted: {error}") from error
    name, digest = save_arrays(
        f"fit-{study.slug}",
        test_rows=result.test_rows,
        enrollment_ids=np.array(table.enrollment_ids),
        scored_post_ids=np.array(table.post_ids)[result.scored_posts],
        scores=result.scores,
        consensus_scores=result.consensus_scores.astype(np.float32),
        **{f"{PREDICTION}{key}": value.astype(np.float32) for key, value in result.predictions.items()},
    )
    return table, result, name, digest


@transaction.atomic
def store_fit(
    study: Study,
    settings: FitSettings,
    table: StudyTable,
    result: FitResult,
    artefact: str,
    digest: str,
    rule: InclusionRule = DEFAULT,
) -> FitRun:
    """Store a fit and what its consensus says of each post; ask for its report.

    The same data and settings are stored once. A fit that was overtaken by a withdrawal or an exclusion is
    outdated at once.
    """
    whole = asdict(settings) | as_settings(rule)
    fit_run, is_new = FitRun.objects.get_or_create(
        key=hash_fit(study, table.data_hash, whole),
        defaults={
            "study": study,
            "settings": whole,
            "data_hash": table.data_hash,
            "code_version": get_code_version(),
            "consensus_name": result.consensus_name,
            "holdout_post_ids": [table.post_ids[post] for post in np.flatnonzero(result.held_out)],
            "feature_names": list(result.feature_names),
            "notes": list(result.notes),
            "n_raters": len(table.enrollment_ids),
            "n_annotations": len(table.ratings),
            "has_simulated": table.n_simulated > 0,
            "artefact": artefact,
            "artefact_sha256": digest,
        },
    )
    if is_new:
        PostScore.objects.bulk_create(
            (
                PostScore(
                    fit_run=fit_run,
                    post_id=post_id,
                    scores=tuple(result.consensus_scores[post]),
                    is_out_of_fold=bool(result.consensus_out_of_fold[post]),
                )
                for post, post_id in enumerate(table.post_ids)
            ),
            batch_size=1000,
        )
    if _has_lost_raters(table, study, rule):
        mark_outdated(FitRun.objects.filter(pk=fit_run.pk))
    else:
        request_evaluation(fit_run)
    return fit_run


def _has_lost_raters(table: StudyTable, study: Study, rule: InclusionRule) -> bool:
    """Whether someone took their answers back, or was excluded, while these were fitted."""
    return not set(table.enrollment_ids) <= set(select(study, rule).values_list("pk", flat=True))


def evaluate_fit(fit_run: FitRun) -> dict[str, Any]:
    """Compute a study's report from its ratings and a fit's stored predictions; no row is touched.

    Raises DataChanged when the ratings are not those the fit saw.
    """
    rule = from_settings(fit_run.settings)
    table = load_table(fit_run.study, rule)
    if table.data_hash != fit_run.data_hash:
        raise DataChanged(
            f"The ratings of study '{fit_run.study.slug}' have changed since this fit; fit it again."
        )
    arrays = load_arrays(fit_run.artefact, fit_run.artefact_sha256)
    test_rows = arrays["test_rows"]
    evaluation = Evaluation(
        table.ratings, table.posts, len(table.post_ids), table.value_keys, seed=fit_run.settings["seed"]
    )
    predictions = {
        name.removeprefix(PREDICTION): array.astype(np.float64)
        for name, array in arrays.items()
        if name.startswith(PREDICTION)
    }
    is_crowd = fit_run.consensus_name == PanelConsensus.name
    return {
        "study": fit_run.study.slug,
        "inclusion": describe(rule),
        "n_excluded": count_excluded(fit_run.study, rule),
        "n_raters": len(table.enrollment_ids),
        "n_posts": len(table.post_ids),
        "n_annotations": len(table.ratings),
        "n_values": len(table.value_keys),
        "n_simulated": table.n_simulated,
        **evaluation.describe_people(),
        **evaluation.describe_predictions(test_rows, predictions),
        "holdout": evaluation.describe_people(test_rows) | {"n_posts": len(fit_run.holdout_post_ids)},
        **evaluation.describe_crowd_errors(
            test_rows, None if is_crowd else arrays["consensus_scores"].astype(np.float64)
        ),
        "notes": [*fit_run.notes, *NOTES, *([CROWD_NOTE] if is_crowd else [])],
        "seed": fit_run.settings["seed"],
        "data_hash": fit_run.data_hash,
        "code_version": fit_run.code_version,
    }


@transaction.atomic
def store_report(fit_run: FitRun, measures: dict[str, Any], figure_svg: str) -> EvaluationReport:
    """Store the report of a fit, in the place of an older one of the same fit."""
    report, _ = EvaluationReport.objects.update_or_create(
        fit_run=fit_run, defaults={"study": fit_run.study, "measures": measures, "figure_svg": figure_svg}
    )
    return report
