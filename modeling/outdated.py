"""Fits that saw the answers of people who do not count any more, or not those of people who do now."""

from django.db.models import QuerySet
from django.utils import timezone

from jobs.services import enqueue

from .models import FitRun, Report, ScoreFile


def mark_outdated(fit_runs: QuerySet[FitRun], *, erase_predictions: bool = True) -> None:
    """Mark fits for good, inside the caller's transaction, and have their predictions erased.

    The predictions are of single people's ratings, and so are the files they are made from; a worker deletes the
    files, since only workers are sure to reach them. What remains are sums over many: the scores of posts, the
    report and the card. Where nobody's answers were erased, as when someone is excluded, the predictions may stay,
    and the fit goes on serving until there is a newer one.
    """
    concerned = list(fit_runs.select_for_update(no_key=True).order_by("pk"))  # scores by them wait, or see it
    numbers = [fit_run.pk for fit_run in concerned]
    now = timezone.now()
    FitRun.objects.filter(pk__in=numbers, outdated_at=None).update(outdated_at=now)
    Report.objects.filter(fit_run__in=numbers, outdated_at=None).update(outdated_at=now)
    for fit_run in concerned if erase_predictions else ():
        files, scores = fit_run.files.all(), ScoreFile.objects.filter(score_run__fit_run=fit_run)
        names = [
            fit_run.artefact,
            *files.values_list("name", flat=True),
            *scores.values_list("name", flat=True),
            *fit_run.score_runs.values_list("axes", flat=True),
        ]
        files.delete()
        fit_run.score_runs.all().delete()
        fit_run.predictions.all().delete()
        enqueue(
            kind="erase_predictions",
            key=f"erase_predictions:{fit_run.pk}",
            payload={"study": fit_run.study_id, "artefact": fit_run.artefact, "names": names},
        )
