"""Files that a piece of work leaves for its next step, and that are gone when it is done."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from .artefacts import delete_file
from .models import FitRun, FittedFile, ScoreFile, ScoreRun, SoftLabelSet

SCRATCH = "scratch"  # begins the names of these files
# These begin the names of files that rows need once their work is done.
LASTING = ("fit-", "scores-", "softlabels-")
DAYS = 2  # for which work that failed or was cancelled can be taken up again


def name_scratch(slug: str) -> str:
    """Return how the names of files begin that a study's work leaves while it is under way."""
    return f"{SCRATCH}-{slug}-"


def forget(names: Sequence[str]) -> None:
    """Delete files that are of no use any more, once the current transaction is committed."""

    def delete() -> None:
        for name in names:
            delete_file(name)

    transaction.on_commit(delete)


def clear_scratch(now: datetime | None = None) -> int:
    """Delete what work left behind that never came to its end; returns how many files.

    That is scratch, and what was kept for a fit or for scores that no row tells of. Whoever withdraws while a study is
    fitted is in these files, so they do not stay for long.
    """
    storage = storages["artefacts"]
    oldest = (now or timezone.now()) - timedelta(days=DAYS)
    held = _list_held()
    names = [
        name
        for name in storage.listdir("")[1]
        if name.startswith(f"{SCRATCH}-") or (name.startswith(LASTING) and name not in held)
    ]
    stale = [name for name in names if storage.get_modified_time(name) < oldest]
    for name in stale:
        delete_file(name)
    return len(stale)


def _list_held() -> set[str]:
    """The names of files that rows need."""
    return {
        *FitRun.objects.values_list("artefact", flat=True),
        *SoftLabelSet.objects.values_list("artefact", flat=True),
        *SoftLabelSet.objects.exclude(counts__table=None).values_list("counts__table", flat=True),
        *FittedFile.objects.values_list("name", flat=True),
        *ScoreRun.objects.values_list("axes", flat=True),
        *ScoreFile.objects.values_list("name", flat=True),
    }
