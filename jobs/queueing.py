"""How a job gets into the queue, and back into it: the row first, then a hint to the workers."""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from .models import Job
from .timing import seconds

logger = logging.getLogger(__name__)

KEY_LENGTH = 255
NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_until": None}
NO_PROGRESS: dict[str, Any] = {"progress_done": 0, "progress_total": 0, "progress_note": ""}


def check_key(key: str) -> str:
    """Return the key; raises ValueError when it is empty or too long."""
    if not 0 < len(key) <= KEY_LENGTH:
        raise ValueError(f"A job's key has 1 to {KEY_LENGTH} characters; {key[:40]!r} has {len(key)}.")
    return key


def as_json(value: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return a plain copy that every database stores; raises ValueError for anything JSON does not know."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be a mapping; it is a {type(value).__name__}")
    try:
        return json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what} is not JSON: {error}; pass plain numbers, texts, lists and mappings"
        ) from error


def newly_queued() -> dict[str, Any]:
    """Return the columns that say since when a job waits, and when a lost hint is sent again."""
    now = timezone.now()
    return {"queued_at": now, "resend_at": now + timedelta(seconds=seconds("JOBS_RESEND_SECONDS"))}


def claimable(now: datetime) -> Q:
    """Jobs that a process may take: queued and due, or abandoned by a process whose lease ran out."""
    free = Q(state=Job.State.QUEUED) & (Q(not_before=None) | Q(not_before__lte=now))
    abandoned = Q(state=Job.State.RUNNING, lease_until__lte=now)
    return (free | abandoned) & Q(attempts__lt=F("max_attempts"))


def queue_again(rows: QuerySet[Job], **changes: Any) -> bool:
    """Put the one job in `rows` at the end of the queue; False when there is none any more."""
    job_id = rows.values_list("pk", flat=True).first()
    queued = rows.update(state=Job.State.QUEUED, not_before=None, **newly_queued(), **changes, **NO_LEASE)
    if queued:
        transaction.on_commit(partial(send_hint, job_id))
    return bool(queued)


def send_hint(job_id: int) -> bool:
    """Tell the workers of a job; False when the broker does not answer (the sweep will find the row)."""
    from . import tasks

    try:
        tasks.run.apply_async((job_id,), retry=False)
    except Exception as error:
        logger.warning("The broker took no message for job %s (%s).", job_id, type(error).__name__)
        return False
    return True


def send_hints(job_ids: Iterable[int]) -> None:
    """Tell the workers of many jobs; where the broker is away, the sweep tells them later."""
    for job_id in job_ids:
        if not send_hint(job_id):
            return
