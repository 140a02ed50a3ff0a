"""The names by which someone can be known, and the places outside their own rows where one may stand."""

import re
from collections.abc import Iterable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import Model

from annotation.models import Enrollment, Exclusion, StudyEvent
from jobs.models import Job

from .export.pseudonyms import make_pseudonym

ERASED = "[erased]"
LEAST_LENGTH = 8
# Where people write freely, and what the software notes of its work.
PLACES: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (StudyEvent, ("summary", "reason", "detail")),
    (Exclusion, ("reason",)),
    (Job, ("payload", "result", "error", "progress_note")),
    (LogEntry, ("object_repr", "change_message")),
)
_WORD = re.compile(r"[A-Za-z0-9_-]+")


def list_names(enrollments: Iterable[Enrollment]) -> set[str]:
    """Return every name by which these people are known here, at the platform and in exports, in lower case.

    A name of fewer than 8 signs could be any word or number of a sentence, and is left out.
    """
    names: set[str] = set()
    for enrollment in enrollments:
        pseudonym, external_id = enrollment.rater.pseudonym, enrollment.rater.external_id
        names |= {
            str(enrollment.public_id),
            enrollment.public_id.hex,
            enrollment.prolific_session_id,
            make_pseudonym(enrollment.public_id),
            str(pseudonym),
            pseudonym.hex,
            str(pseudonym)[:8],
            external_id,
            external_id.rpartition(":")[2],  # an imported id stands behind its study's
        }
    return {name.lower() for name in names if len(name) >= LEAST_LENGTH}


def list_kept_names(enrollments: Iterable[Enrollment]) -> set[str]:
    """Return the names of what the same raters do elsewhere, which stay when these enrollments go."""
    enrollments = list(enrollments)
    elsewhere = Enrollment.objects.filter(rater__in=[each.rater_id for each in enrollments])
    return list_names(elsewhere.exclude(pk__in=[each.pk for each in enrollments]).select_related("rater"))


def scrub(names: set[str]) -> int:
    """Blot these names out of the log, of reasons and of the notes of jobs; returns in how many rows they stood."""
    n_rows = 0
    for model, columns in PLACES:
        for row in model._default_manager.only("pk", *columns).iterator():
            changed = [column for column in columns if _scrub_column(row, column, names)]
            if changed:
                row.save(update_fields=changed)
                n_rows += 1
    return n_rows


def _scrub_column(row: Model, column: str, names: set[str]) -> bool:
    value = getattr(row, column)
    blotted = blot(value, names)
    setattr(row, column, blotted)
    return bool(blotted != value)


def blot(value: Any, names: set[str]) -> Any:
    """Return a text, or plain data with texts in it, with these names blotted out; `names` are in lower case.

    >>> blot("Asked by 5f3e9a7b21, twice.", {"5f3e9a7b21"})
    'Asked by [erased], twice.'
    """
    if isinstance(value, str):
        return _WORD.sub(lambda word: ERASED if word[0].lower() in names else word[0], value)
    if isinstance(value, list):
        return [blot(each, names) for each in value]
    if isinstance(value, dict):
        return {blot(key, names): blot(each, names) for key, each in value.items()}
    return value
