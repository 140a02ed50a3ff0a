"""The fit that serves a study, and the work on it, as rows tell; a web process may import it."""

from annotation.models import Study
from jobs.models import Job

from .inclusion import DEFAULT, from_settings
from .models import FitRun
from .reporting.requests import CARD, EVALUATE, FIT, REFIT
from .scoring.requests import SCORE

SERVES, READS = "blends", "reader"  # the files with which a fit predicts, and reads texts
MODEL_JOBS = (REFIT, FIT, EVALUATE, CARD, SCORE)
NEWEST = 50


def find_fit_in_use(study: Study) -> FitRun | None:
    """Return the newest fit by the default rule that has its files, which is the one that serves."""
    for fit_run in study.fit_runs.filter(files__role=SERVES).order_by("-created_at", "-pk"):
        if from_settings(fit_run.settings) == DEFAULT:
            return fit_run
    return None


def list_model_jobs(study: Study) -> list[Job]:
    """Return what is under way for the study's model, and what stopped last, newest first.

    What failed or was cancelled is listed until a later job of its kind is there.
    """
    newest: dict[str, Job] = {}
    under_way: list[Job] = []
    jobs = Job.objects.filter(payload__study=study.pk, kind__in=MODEL_JOBS, whole=None)
    for job in jobs.order_by("-created_at", "-pk")[:NEWEST]:
        if job.is_final:
            newest.setdefault(job.kind, job)
        else:
            under_way.append(job)
            newest.setdefault(job.kind, job)
    return [*under_way, *(job for job in newest.values() if job.state in Job.STOPPED_STATES)]
