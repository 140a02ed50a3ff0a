"""Asking for the scores of all posts for all raters; a web process may import it."""

import hashlib
import json
import uuid
from typing import Any

from django.db import transaction

from annotation.models import StudyEvent
from annotation.services.audit import log_event
from jobs.models import Job
from jobs.services import enqueue
from modeling.models import FitRun, ScoreRun

SCORE, SCORE_PIECE = "score", "score_piece"
POSTS_IN_PIECE = 16_384  # of all raters of one value: what one worker does at a time


def hash_scores(fit_run: FitRun, dtype: str, posts_hash: str) -> str:
    """Return what tells one run of scores from another: the fit, the posts with their consensus, the numbers' type."""
    return hashlib.sha256(json.dumps([fit_run.key, dtype, posts_hash]).encode()).hexdigest()


@transaction.atomic
def request_scores(fit_run: FitRun, *, dtype: str | None = None) -> Job:
    """Ask for scores of all posts that the study has by then, for all raters the fit knows.

    A request that is not finished is returned instead of a second one. Numbers are stored as bytes ("uint8") where
    the study's scale allows, unless `dtype` says "float32".
    """
    FitRun.objects.select_for_update(no_key=True, of=("self",)).get(
        pk=fit_run.pk
    )  # a double click is one job
    dtype = dtype or ("uint8" if fit_run.study.value_system.scale_min >= 0 else "float32")
    payload: dict[str, Any] = {"study": fit_run.study_id, "fit_run": fit_run.pk, "dtype": dtype}
    under_way = Job.objects.filter(kind=SCORE, payload=payload, state__in=Job.UNFINISHED_STATES).first()
    return under_way or enqueue(kind=SCORE, key=f"{SCORE}:{fit_run.pk}:{uuid.uuid4()}", payload=payload)


def get_scores(fit_run: FitRun) -> ScoreRun | None:
    """Return the newest scores by a fit."""
    return fit_run.score_runs.first()


def log_scores_taken(score_run: ScoreRun, actor: Any) -> None:
    """Note who took scores away."""
    log_event(
        score_run.fit_run.study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the scores of {score_run.created_at:%Y-%m-%d %H:%M} UTC.",
        actor=actor,
        detail={"scores": score_run.pk, "fit": score_run.fit_run_id},
    )
