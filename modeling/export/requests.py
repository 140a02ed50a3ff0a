"""Asking for an export and handing it out. Nothing here loads what makes one: the web process imports it."""

import uuid
from typing import Any

from django.db import transaction

from annotation.models import Study, StudyEvent
from annotation.services.audit import BY_COMMAND, log_event
from jobs.models import Job
from jobs.services import enqueue
from modeling.models import DataExport

EXPORT = "export"


@transaction.atomic
def request_export(study: Study, scope: str, *, actor: Any = None) -> Job:
    """Ask for an export of everything the study has gathered by then; one that is under way is returned instead."""
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # a double click is one export
    under_way = list_export_jobs(study).filter(state__in=Job.UNFINISHED_STATES, payload__scope=scope).first()
    if under_way:
        return under_way
    return enqueue(
        kind=EXPORT,
        key=f"{EXPORT}:{study.pk}:{uuid.uuid4()}",
        payload={
            "study": study.pk,
            "scope": scope,
            "actor": actor.pk if actor else None,
            "asked_by": actor.get_username() if actor else BY_COMMAND,
        },
    )


def list_export_jobs(study: Study) -> Any:
    return Job.objects.filter(kind=EXPORT, payload__study=study.pk)


def log_download(export: DataExport, actor: Any) -> None:
    """Note who took an archive away."""
    log_event(
        export.study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the export of {export.created_at:%Y-%m-%d %H:%M} UTC.",
        actor=actor,
        detail={"export": export.pk, "sha256": export.sha256},
    )


def log_key_table(study: Study, actor: Any = None) -> None:
    """Note who took away the table of who is behind which pseudonym."""
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        "Took away the key table: who is behind which pseudonym.",
        actor=actor,
    )
