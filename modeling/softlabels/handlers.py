"""What a worker does for soft labels."""

from typing import Any

from django.utils import timezone

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.services.audit import log_event
from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.artefacts import delete_file
from modeling.errors import ModelingError
from modeling.inclusion import still_count
from modeling.models import SoftLabelSet

from .making import Made, make_soft_labels
from .services import KIND, TABLE, UNFINISHED, State, get_rule, mark_soft_labels_outdated


@handles(KIND)
def make(claim: Claim) -> Effect | None:
    """Make the soft labels of a set. Safe to run twice; one that was cancelled is left alone."""
    rows = SoftLabelSet.objects.select_related("study__value_system", "created_by")
    soft_set = rows.filter(pk=claim.payload["soft_labels"], state__in=UNFINISHED).first()
    if soft_set is None:
        return None
    _write(soft_set, state=State.RUNNING)
    try:
        made = make_soft_labels(soft_set, claim.report)
    except (ModelingError, Refused, ValueError) as error:
        _write(soft_set, state=State.FAILED, problem=str(error), finished_at=timezone.now())
        raise PermanentError(str(error)) from error
    return lambda: _store(soft_set, made)


def _store(soft_set: SoftLabelSet, made: Made) -> dict[str, Any]:
    """Write the set's row; where somebody's ratings were taken back meanwhile, the set is outdated at once."""
    if not _write(soft_set, state=State.DONE, problem="", finished_at=timezone.now(), **made.as_row()):
        for name in (made.artefact, made.counts[TABLE]):
            delete_file(name)
        return {}
    if made.enrollment_ids and not still_count(soft_set.study, get_rule(soft_set), made.enrollment_ids):
        mark_soft_labels_outdated(SoftLabelSet.objects.filter(pk=soft_set.pk))
    log_event(
        soft_set.study,
        StudyEvent.Action.CHANGED,
        f"Made the soft labels “{soft_set}” of {made.counts['n_posts']:,} posts.",
        actor=soft_set.created_by,
        detail={"soft_labels": soft_set.pk, "counts": made.counts},
    )
    return {"soft_labels": soft_set.pk, "posts": made.counts["n_posts"]}


def _write(soft_set: SoftLabelSet, **fields: Any) -> int:
    """Write these columns at once, unless it was cancelled; returns whether they were written."""
    return SoftLabelSet.objects.filter(pk=soft_set.pk, state__in=UNFINISHED).update(**fields)
