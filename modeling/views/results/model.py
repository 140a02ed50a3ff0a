"""The page of the model in use: what serves now, the work on it, and the scores it gave."""

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Sum
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from jobs.models import Job
from jobs.services import cancel, retry
from modeling.errors import ModelingError
from modeling.in_use import MODEL_JOBS, READS, find_fit_in_use, list_model_jobs
from modeling.models import FitRun, ModelCard, ScoreRun
from modeling.reports.names import name_model
from modeling.reports.personal_tables import tabulate_weights
from modeling.scoring.requests import SCORE, log_scores_taken, request_scores

from .frame import FAULTS, POLL_SECONDS, WORK, open_results, read_measures

# Above this a file takes longer than a browser waits for its beginning: the command writes it at leisure.
MOST_ROWS_TO_DOWNLOAD = 5_000_000
NEWEST_SCORES = 5
SCORING = {SCORE: "All posts are being scored for all raters"}
NOT_SCORED = {SCORE: "The posts could not be scored."}
CANCELLED = {
    "refit": "Fitting and evaluating was cancelled.",
    "fit": "The fit was cancelled.",
    "evaluate": "The evaluation was cancelled.",
    "card": "Writing the model card was cancelled.",
    SCORE: "Scoring was cancelled.",
}


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_model(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the model in use; to htmx, the work that is under way, and a fresh page once none is."""
    if request.htmx:
        study = get_study(request.user, slug, Deed.SEE)
        work = _describe_work(request, study)
        if not work["under_way"]:
            return HttpResponseClientRefresh()
        return render(request, "modeling/_model_work.html", work)
    frame = open_results(request, slug, "model")
    study = frame["study"]
    context = _describe_work(request, study) | _describe_fit(study, find_fit_in_use(study))
    # The page tells of the work itself, with more of it and with buttons.
    context |= {"working": [], "failed": [], "may_export": may(request.user, study, Deed.EXPORT)}
    context["api_address"] = _find_address("api:reference")
    return render(request, "modeling/model.html", frame | context)


@require_POST
@staff_member_required
def score(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for scores of all posts for all raters by the model in use."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    fit_run = find_fit_in_use(study)
    if fit_run is None:
        messages.error(request, "There is no model in use that could score. Fit one first.")
    else:
        request_scores(fit_run)
    return redirect("modeling:model", study.slug)


@require_POST
@staff_member_required
def cancel_work(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop a job of the study's model; what was done of it is kept for two days."""
    study, job = _get_job(request, slug, pk)
    if not cancel(job):
        messages.info(request, "It had come to its end already.")
    return redirect("modeling:model", study.slug)


@require_POST
@staff_member_required
def retry_work(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Set a failed or cancelled job of the study's model going again, from where it stopped."""
    study, job = _get_job(request, slug, pk)
    if not retry(job):
        messages.info(request, "It is under way or done already.")
    return redirect("modeling:model", study.slug)


@require_GET
@staff_member_required
def download_scores(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hand scores out as a Parquet file, made now and kept nowhere."""
    study = get_study(request.user, slug, Deed.EXPORT)
    score_run = get_object_or_404(
        ScoreRun.objects.select_related("fit_run__study"), pk=pk, fit_run__study=study
    )
    if not _may_be_downloaded(score_run):
        messages.error(request, _tell_to_write(study))
        return redirect("modeling:model", study.slug)
    write = import_string("modeling.scoring.store.export_parquet")  # what writes it is loaded only now
    with tempfile.TemporaryDirectory(dir=settings.VAR_DIR, prefix="scores-") as folder:
        path = Path(folder) / "scores.parquet"
        try:
            write(score_run, path)
        except ModelingError as error:
            messages.error(request, str(error))
            return redirect("modeling:model", study.slug)
        file = path.open("rb")  # it outlives its name until it is read
    log_scores_taken(score_run, request.user)
    return FileResponse(
        file,
        as_attachment=True,
        filename=f"{study.slug}-scores-{score_run.created_at:%Y-%m-%d-%H%M}.parquet",
        content_type="application/vnd.apache.parquet",
    )


def _get_job(request: HttpRequest, slug: str, pk: int) -> tuple[Study, Job]:
    study = get_study(request.user, slug, Deed.EXCLUDE)
    jobs = Job.objects.filter(payload__study=study.pk, kind__in=MODEL_JOBS, whole=None)
    return study, get_object_or_404(jobs, pk=pk)


def _describe_work(request: HttpRequest, study: Study) -> dict[str, Any]:
    jobs = list_model_jobs(study)
    stopped = [job for job in jobs if job.is_final]
    return {
        "study": study,
        "under_way": [(job, (WORK | SCORING)[job.kind]) for job in jobs if not job.is_final],
        "stopped": [
            (job, (FAULTS | NOT_SCORED if job.state == Job.State.FAILED else CANCELLED)[job.kind])
            for job in stopped
        ],
        "may_ask": may(request.user, study, Deed.EXCLUDE),
        "poll_seconds": POLL_SECONDS,
    }


def _describe_fit(study: Study, fit_run: FitRun | None) -> dict[str, Any]:
    """Return what the page says of the fit that serves, and of its scores."""
    if fit_run is None:
        return {"fit": None, "last_fit": study.fit_runs.first()}
    measures = read_measures(getattr(fit_run, "report", None))
    scores = list(
        ScoreRun.objects.filter(fit_run__study=study)
        .annotate(n_bytes=Sum("files__n_bytes"))
        .order_by("-created_at", "-pk")[:NEWEST_SCORES]
    )
    return {
        "fit": fit_run,
        "method": name_model(fit_run.method),
        "consensus": name_model(fit_run.consensus_name),
        "n_bytes": fit_run.files.aggregate(total=Sum("n_bytes"))["total"],
        "reads_text": fit_run.files.filter(role=READS).exists(),
        "weights": tabulate_weights(measures) if measures else None,
        "is_evaluated": measures is not None,
        "scores": [
            (run, run.fit_run_id == fit_run.pk, _may_be_downloaded(run), 1 / run.scale) for run in scores
        ],
        "write_command": f"manage.py score {study.slug} --parquet scores.parquet",
        "card_address": _find_address("modeling:model_card", study.slug, fit_run.pk, "html")
        if ModelCard.objects.filter(fit_run=fit_run).exists()
        else None,
    }


def _may_be_downloaded(score_run: ScoreRun) -> bool:
    return score_run.n_raters * score_run.n_posts <= MOST_ROWS_TO_DOWNLOAD


def _tell_to_write(study: Study) -> str:
    return (
        f"These scores have more than {MOST_ROWS_TO_DOWNLOAD:,} rows, too many for a download. On the server, "
        f"`manage.py score {study.slug} --parquet FILE` writes them."
    )


def _find_address(name: str, *args: Any) -> str | None:
    """Return the address of a page; None in an installation that does not have it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return None
