"""Fits that saw answers which were erased since."""

from django.db.models import QuerySet
from django.utils import timezone

from jobs.services import enqueue

from .models import FitRun


def mark_outdated(fit_runs: QuerySet[FitRun]) -> None:
    """Mark fits for good and have their predictions erased, inside the caller's transaction.

    The predictions are of single people's ratings; a worker deletes the file, since only workers are sure to
    reach it. What remains are sums over many: the scores of posts and the report.
    """
    for fit_run in fit_runs.filter(outdated_at=None):
        fit_run.outdated_at = timezone.now()
        fit_run.save(update_fields=["outdated_at"])
        enqueue(
            kind="erase_predictions",
            key=f"erase_predictions:{fit_run.pk}",
            payload={"study": fit_run.study_id, "artefact": fit_run.artefact},
        )
