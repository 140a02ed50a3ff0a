"""Moving a study from one state to the next."""

from typing import Any

from django.db import connection, transaction

from annotation.errors import Refused, StudyClosed
from annotation.launch import find_faults
from annotation.lifecycle import count_inside, find_hindrance, is_possible
from annotation.models import Study, StudyEvent

from .audit import log_event


@transaction.atomic
def change_state(study: Study, new: str, *, reason: str, actor: Any = None, seen: str | None = None) -> Study:
    """Move a study to another state, with everything that belongs to the move; returns it as it is then.

    Parameters
    ----------
    study : which
    new : one of `Study.State`
    reason : why, for the audit log
    actor : the account that does it; None for a command
    seen : the state that was seen when this was decided; by default that of `study` as it was read

    Raises Refused, and changes nothing, without a reason, when the study has another state by now, when the
    table of `annotation.lifecycle` has no such step, when people in it stand against it, and, where people
    would be let in, when something is missing: then with every fault.
    """
    seen = study.state if seen is None else seen
    reason = reason.strip()
    if not reason:
        raise Refused("A reason is missing: whoever reads the log later should know why.")
    stored = Study.objects.select_for_update(no_key=True).select_related("value_system").get(pk=study.pk)
    labels = dict(Study.State.choices)
    if stored.state != seen:
        raise Refused(
            f"The study is no longer {labels.get(seen, seen).lower()} but {stored.get_state_display().lower()}: "
            "somebody else was faster. Look again before you decide."
        )
    if not is_possible(seen, new):
        raise Refused(f"A study cannot go from {labels[seen].lower()} to {labels.get(new, new).lower()}.")
    if hindrance := find_hindrance(stored, new):
        raise Refused(hindrance)
    if new in Study.TAKES_PEOPLE:
        if faults := find_faults(stored):
            raise Refused(f"The study cannot be {labels[new].lower()} yet: " + " ".join(faults))
        _freeze(stored, actor, reason)
    if not Study.objects.filter(pk=stored.pk, state=seen).update(state=new):
        raise Refused("Somebody else moved the study in the same instant. Look again before you decide.")
    log_event(
        stored,
        StudyEvent.Action.STATE,
        f"Moved from {labels[seen].lower()} to {labels[new].lower()}.",
        actor=actor,
        reason=reason,
        detail={"from": seen, "to": new, "people_inside": count_inside(stored)},
    )
    study.refresh_from_db(fields=["state", "current_version"])
    return study


def _freeze(study: Study, actor: Any, reason: str) -> None:
    from annotation.versions import freeze  # which reads this package's models and services

    freeze(study, actor=actor, reason=reason)


def hold_state(study: Study) -> None:
    """Bring the study's state and version to where they are now and keep them so until the transaction ends.

    Many may hold them at once; only who would change the state waits. Raises StudyClosed for a study that is gone.
    """
    # SQLite's transactions are IMMEDIATE: this one is already alone.
    lock = " FOR SHARE" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT state, current_version_id FROM annotation_study WHERE id = %s{lock}",  # noqa: S608 - fixed text
            [study.pk],
        )
        row = cursor.fetchone()
    if row is None:
        raise StudyClosed(study.slug)
    study.state, study.current_version_id = row
