"""A preview of rules and the report of a verification, ready for a page. A web process may import it."""

from typing import Any

from jobs.models import Job
from modeling.models import Report, Verification, VerificationDecision
from modeling.reports.verification_tables import say_held, tabulate_verification

POLL_SECONDS = 2


def describe_preview(job: Job | None) -> dict[str, Any]:
    """What a preview has come to; nothing where none was asked for."""
    if job is None:
        return {"preview": None}
    counts = job.result if job.state == Job.State.DONE else None
    return {
        "preview": job,
        "is_counting": not job.is_final,
        "counts": counts,
        "lines": [
            (rule["title"], counts["rules"][rule["key"]])
            for rule in job.payload["rules"]
            if counts is not None
        ],
        "poll_seconds": POLL_SECONDS,
    }


def describe_report(verification: Verification, report: Report | None, job: Job | None) -> dict[str, Any]:
    """The stored report, its figures and the tables that have none; and how much was decided since."""
    told: dict[str, Any] = {
        "report": report,
        "has_report_failed": bool(job and job.state == Job.State.FAILED),
    }
    if report is None:
        return told
    figures = {figure.key: figure for figure in report.figures.defer("svg", "pdf", "png", "spec")}
    return told | {
        "n_newer": VerificationDecision.objects.filter(
            item__verification=verification, created_at__gt=report.created_at
        ).count(),
        "measures": report.measures,
        "figures": figures,
        "tables": tabulate_verification(report.measures),
        "held": say_held(report.measures),
    }
