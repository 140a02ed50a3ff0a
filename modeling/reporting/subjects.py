"""Reports about annotator models and experts: one of each kind for each subject. A web process may import it.

A subject is a short name such as 'set-3', 'set-3-run-12' or 'training-4'; its numbers are those of rows of the study.
"""

import uuid

from annotation.models import Study
from jobs.models import Job
from jobs.services import enqueue
from modeling.models import Report

Kind = Report.Kind
# What makes a report of a kind anew; its payload holds the study and the subject. Those of encoders and of transfer
# are made with the training itself.
JOBS = {
    Kind.CALIBRATION: "report_calibration",
    Kind.ERRORS: "report_errors",
    Kind.STABILITY: "report_stability",
    Kind.STRUCTURE: "report_structure",
    Kind.VERIFICATION: "report_verification",
}
SAW_PEOPLE = (Kind.AGREEMENT, Kind.COMPARISON, Kind.STRUCTURE, Kind.ENCODER, Kind.TRANSFER)


def name_subject(**numbers: int) -> str:
    """Return the name of a subject, such as 'set-3-run-12' for set=3 and run=12."""
    return "-".join(f"{what}-{number}" for what, number in numbers.items())


def read_subject(subject: str) -> dict[str, int]:
    """Return the numbers that a subject names. Raises ValueError for a name that `name_subject` did not make."""
    parts = subject.split("-")
    if len(parts) % 2 or not all(number.isascii() and number.isdecimal() for number in parts[1::2]):
        raise ValueError(f"'{subject}' names no subject of a report; give it as 'set-3' or 'set-3-run-12'")
    return {what: int(number) for what, number in zip(parts[::2], parts[1::2], strict=True)}


def get_report(study: Study, kind: str, subject: str) -> Report | None:
    """Return the stored report of a kind about a subject."""
    return study.reports.filter(kind=kind, rule_key=subject).first()


def request_report(study: Study, kind: str, subject: str) -> Job:
    """Ask for a report to be made anew; a request that still waits is the same job."""
    payload = {"study": study.pk, "subject": subject}
    # One that runs already may have read what has changed since.
    waiting = Job.objects.filter(kind=JOBS[Kind(kind)], payload=payload, state=Job.State.QUEUED).first()
    return waiting or enqueue(
        kind=JOBS[Kind(kind)], key=f"{JOBS[Kind(kind)]}:{study.pk}:{uuid.uuid4()}", payload=payload
    )


def find_report_job(study: Study, kind: str, subject: str) -> Job | None:
    """Return the newest job that makes a report."""
    jobs = Job.objects.filter(kind=JOBS[Kind(kind)], payload__study=study.pk, payload__subject=subject)
    return jobs.order_by("-created_at", "-pk").first()
