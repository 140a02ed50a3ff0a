"""How long a study knows who its raters are: reminders of the day, and the erasure of what names them.

Nothing is ever erased by the clock alone.
"""

import logging
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.models import Annotation, Draft, Enrollment, Rater, Study, StudyAccess, StudyEvent
from annotation.services.audit import log_event
from calibration.instrument.items import DECLINED
from calibration.models import QuestionnaireResponse

from .archives import remove_archives
from .errors import ErasureRefused
from .traces import ERASED, list_kept_names, list_names, scrub

logger = logging.getLogger(__name__)

DAYS_BEFORE = 30
REMINDERS = (0, 1, 7, 14, 30)  # days that are left; after the day itself one a week
NAMELESS = "erased-"
WITHDRAWN = "withdrawn-"
BATCH = 500


def select_identifiable(study: Study) -> QuerySet[Enrollment]:
    """Return the enrollments whose raters can still be identified by an id from outside."""
    return study.enrollments.exclude(rater__origin__in=[Rater.Origin.SIMULATED, Rater.Origin.TEST]).exclude(
        Q(rater__external_id__startswith=NAMELESS) | Q(rater__external_id__startswith=WITHDRAWN)
    )


@dataclass(frozen=True)
class RetentionNote:
    """That a study's personal data is to be erased soon, or should have been."""

    until: date
    days_left: int
    n_people: int


def get_note(study: Study, today: date | None = None) -> RetentionNote | None:
    """Return what to remind of; None before the last 30 days and where nobody can be identified any more."""
    if study.retain_until is None:
        return None
    days_left = (study.retain_until - (today or timezone.localdate())).days
    if days_left > DAYS_BEFORE:
        return None
    n_people = select_identifiable(study).count()
    return RetentionNote(study.retain_until, days_left, n_people) if n_people else None


def find_milestone(days_left: int) -> int:
    """Return which reminder is due: the next of 30, 14, 7, 1 and 0 days; after the day, minus whole weeks."""
    if days_left < 0:
        return -7 * (-days_left // 7)
    return next(milestone for milestone in REMINDERS if days_left <= milestone)


def remind(today: date) -> int:
    """Log, and mail to owners, each reminder that is due and was not given; returns how many. Safe to run twice."""
    return sum(
        _remind_of(pk, today) for pk in Study.objects.exclude(retain_until=None).values_list("pk", flat=True)
    )


@transaction.atomic
def _remind_of(study_id: int, today: date) -> bool:
    study = Study.objects.select_for_update().filter(pk=study_id).first()
    note = get_note(study, today) if study else None
    if study is None or note is None:
        return False
    given = {"until": note.until.isoformat(), "milestone": find_milestone(note.days_left)}
    if study.events.filter(action=StudyEvent.Action.RETENTION, detail=given).exists():
        return False
    summary = describe(note)
    log_event(study, StudyEvent.Action.RETENTION, summary, detail=given)
    transaction.on_commit(partial(_mail_owners, study, summary))
    return True


def describe(note: RetentionNote) -> str:
    """Return the reminder as a sentence."""
    day = f"{note.until:%d %B %Y}".lstrip("0")
    people = f"{note.n_people:,} {'person' if note.n_people == 1 else 'people'}"
    if note.days_left < 0:
        return f"The personal data of {people} should have been erased by {day}."
    return f"The personal data of {people} is to be erased by {day}."


def _mail_owners(study: Study, summary: str) -> None:
    """Mail the study's owners where this installation can send mail; a failure is logged and changes nothing."""
    if not settings.EMAIL_HOST:
        return
    owners = StudyAccess.objects.filter(study=study, role=StudyAccess.Role.OWNER, user__is_active=True)
    addresses = sorted({address for address in owners.values_list("user__email", flat=True) if address})
    text = (
        f"{summary}\n\nNothing is erased by itself. An owner erases it on the study's page 'Erase', or with\n\n"
        f"    manage.py erase_identities {study.slug}\n"
    )
    for address in addresses:
        try:
            send_mail(f"Study {study.slug}: personal data to be erased", text, None, [address])
        except Exception as error:
            logger.warning("A reminder of study %s was not mailed (%s).", study.slug, type(error).__name__)


@dataclass(frozen=True)
class Anonymized:
    """What was taken away: of how many people the names, and how many texts and archives."""

    n_people: int
    n_texts: int
    n_archives: int


@transaction.atomic
def erase_identities(
    study: Study, *, with_texts: bool = True, reason: str = "", actor: Any = None
) -> Anonymized:
    """Take away all that names a study's raters; their ratings and answers stay, of nobody in particular.

    Everyone gets a new random name in the place of the platform's id, a new pseudonym and a new page address, so
    that no list of names made before fits any more; ids of the platform's study and session, half-finished
    pages and archives of exports go. With `with_texts` so does what people wrote in their own words: rationales
    and answers to open questions. Simulated raters stay as they are. Who is in another study too is known there.

    Raises ErasureRefused while the study takes people in: whoever is inside could not go on.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    if study.takes_people:
        raise ErasureRefused(
            f"The study is {study.get_state_display().lower()}. Pause or close it first: whoever is inside "
            "cannot go on once nobody is known."
        )
    n_people = 0
    names: set[str] = set()
    for batch in _in_batches(select_identifiable(study).select_related("rater")):
        n_people += len(batch)
        names |= list_names(batch) - list_kept_names(batch)
        _rename(batch)
    n_texts = _erase_texts(study) if with_texts else 0
    Draft.objects.filter(enrollment__study=study).delete()
    n_archives = remove_archives(study)
    log_event(
        study,
        StudyEvent.Action.RETENTION,
        f"What names {n_people:,} people was erased; their ratings stay.",
        actor=actor,
        reason=reason,
        detail={"people": n_people, "texts": n_texts, "archives_removed": n_archives},
    )
    scrub(names)
    return Anonymized(n_people, n_texts, n_archives)


def _in_batches(people: QuerySet[Enrollment]) -> Iterator[list[Enrollment]]:
    ids = list(people.order_by("pk").values_list("pk", flat=True))
    for begin in range(0, len(ids), BATCH):
        yield list(people.filter(pk__in=ids[begin : begin + BATCH]).order_by("pk"))


def _rename(enrollments: list[Enrollment]) -> None:
    """Give everyone names drawn at random: those of a new rater, so that a second study keeps the old ones."""
    former = [enrollment.rater for enrollment in enrollments]
    for enrollment in enrollments:
        enrollment.rater = Rater(
            origin=enrollment.rater.origin, external_id=f"{NAMELESS}{secrets.token_hex(12)}"
        )
        enrollment.public_id = uuid.uuid4()
        enrollment.prolific_study_id = enrollment.prolific_session_id = ""
    Rater.objects.bulk_create([enrollment.rater for enrollment in enrollments])
    Enrollment.objects.bulk_update(
        enrollments, ["rater", "public_id", "prolific_study_id", "prolific_session_id"]
    )
    Rater.objects.filter(pk__in=[rater.pk for rater in former], enrollments=None).delete()


def _erase_texts(study: Study) -> int:
    """Put a mark in the place of everything that was written freely; return how many texts that were."""
    n_texts = (
        Annotation.objects.filter(enrollment__study=study)
        .exclude(rationale__in=["", ERASED])
        .update(rationale=ERASED)
    )
    for questionnaire in study.questionnaires.all():
        # What no question with fixed answers asks, as after an edit of the questionnaire, may be anything.
        fixed = {
            key for item in questionnaire.instrument.items if item.kind != "text" for key in item.answer_keys
        }
        for response in QuestionnaireResponse.objects.filter(questionnaire=questionnaire).iterator():
            written = [
                key for key, answer in response.answers.items() if key not in fixed and _is_text(answer)
            ]
            if written:
                response.answers |= dict.fromkeys(written, ERASED)
                response.save(update_fields=["answers"])
                n_texts += len(written)
    return n_texts


def _is_text(answer: object) -> bool:
    return isinstance(answer, str | list) and answer not in ("", [], ERASED, DECLINED)
