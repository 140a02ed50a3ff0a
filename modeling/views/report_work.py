"""What pages of reports share: how far the job is that makes one, and its tables as files."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh

from annotation.models import Study
from annotation.permissions import Deed, may
from jobs.models import Job
from jobs.services import cancel
from modeling.reporting.subjects import find_report_job

POLL_SECONDS = 2


def describe_report_work(request: HttpRequest, study: Study, kind: str, subject: str) -> dict[str, Any]:
    """Return what is known of the newest job that makes a report."""
    job = find_report_job(study, kind, subject)
    return {
        "job": job,
        "is_busy": job is not None and not job.is_final,
        "is_failed": job is not None and job.state == Job.State.FAILED,
        "may_ask": may(request.user, study, Deed.EXCLUDE),
        "poll_seconds": POLL_SECONDS,
    }


def answer_polling(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Return how far the work is; a fresh page once it has ended."""
    if not context["is_busy"]:
        return HttpResponseClientRefresh()
    return render(request, "modeling/_report_work.html", context)


def cancel_report_work(request: HttpRequest, study: Study, kind: str, subject: str) -> None:
    """Stop the newest job that makes a report; say so, or that it had ended."""
    job = find_report_job(study, kind, subject)
    if job is not None and cancel(job):
        messages.success(request, "The work was cancelled; what was there before is as it was.")
    else:
        messages.info(request, "There was nothing to cancel: the work had ended.")


def answer_file(content: str, name: str, content_type: str) -> HttpResponse:
    """Return text as a file to save."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-cache"
    return response
