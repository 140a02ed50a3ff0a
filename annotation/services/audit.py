"""The audit log: who did what to a study, when and why."""

from typing import Any

from annotation.models import Study, StudyEvent

BY_COMMAND = "command"
LONGEST = 300


def log_event(
    study: Study,
    action: str,
    summary: str,
    *,
    actor: Any = None,
    reason: str = "",
    detail: dict | None = None,
) -> StudyEvent:
    """Write one entry, inside the caller's transaction: what is undone leaves no entry.

    Parameters
    ----------
    study : whose log
    action : one of `StudyEvent.Action`
    summary : what was done, in words, without personal data
    actor : the account that did it; None for a command or the clock
    reason : why, as whoever did it said
    detail : numbers and keys that the summary leaves out
    """
    return StudyEvent.objects.create(
        study=study,
        study_slug=study.slug,
        actor=actor,
        actor_name=actor.get_username() if actor else BY_COMMAND,
        action=action,
        summary=summary[:LONGEST],
        reason=reason[:LONGEST],
        detail=detail or {},
    )
