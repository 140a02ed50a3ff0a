"""What a browser sends beside the answers: half-finished pages, and how pages were used."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from annotation import steps
from annotation.models import Draft, Enrollment, Outcome, PageVisit, Step
from annotation.selectors import get_current_step

from .path import lock

MAX_DRAFT = 60_000


@transaction.atomic
def save_draft(enrollment: Enrollment, step: Step, item: str, fields: str, *, page: str, number: int) -> bool:
    """Keep an open page's answers as they are now; returns whether these are kept.

    A save that was overtaken by a later one of the same page, that is longer than any page, or whose page is
    not the open one any more, is not.
    """
    if len(fields) > MAX_DRAFT:
        return False
    # A draft of this item goes in the transaction that submits it: while there is one, its page is open.
    kept = Draft.objects.filter(enrollment=enrollment, step=step, item=item)
    if kept.exclude(page=page, number__gte=number).update(
        fields=fields, page=page, number=number, saved_at=timezone.now()
    ):
        return True
    enrollment = lock(enrollment)
    if get_current_step(enrollment) != step or item != steps.KINDS[step.kind].get_item(enrollment, step):
        return False
    draft = Draft.objects.filter(enrollment=enrollment, step=step).first()
    if draft and draft.item == item and draft.page == page and draft.number >= number:
        return False
    Draft.objects.update_or_create(
        enrollment=enrollment,
        step=step,
        defaults={"item": item, "fields": fields, "page": page, "number": number},
    )
    return True


@transaction.atomic
def record_visit(enrollment: Enrollment, step: Step, item: str, *, shown_at: datetime, client: dict) -> None:
    """Note how a page was used, unless the person has withdrawn meanwhile."""
    if lock(enrollment).outcome != Outcome.WITHDREW:
        PageVisit.objects.create(
            enrollment=enrollment,
            step=step,
            item=item if item.isprintable() else "",
            shown_at=shown_at,
            client=client,
        )
