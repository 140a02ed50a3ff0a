"""Fits that saw the answers of people who do not count any more, or not those of people who do now."""

from django.db.models import QuerySet
from django.utils import timezone

from jobs.services import enqueue

from .models import FitRun, Report


def mark_outdated(fit_runs: QuerySet[FitRun], *, erase_predictions: bool = True) -> None:
    """Mark fits for good, inside the caller's transaction, and have their predictions erased.

    The predictions are of single people's ratings; a worker deletes the file, since only workers are sure to
    reach it. What remains are sums over many: the scores of posts and the report. Where nobody's answers were
    erased, as when someone is excluded, the predictions may stay.
    """
    concerned = list(fit_runs)
    numbers = [fit_run.pk for fit_run in concerned]
    now = timezone.now()
    FitRun.objects.filter(pk__in=numbers, outdated_at=None).update(outdated_at=now)
    Report.objects.filter(fit_run__in=numbers, outdated_at=None).update(outdated_at=now)
    for fit_run in concerned if erase_predictions else ():
        enqueue(
            kind="erase_predictions",
            key=f"erase_predictions:{fit_run.pk}",
            payload={"study": fit_run.study_id, "artefact": fit_run.artefact},
        )
