"""Erasing one person everywhere, by whichever name they gave."""

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from annotation.models import Enrollment, Outcome, Study, StudyEvent
from annotation.services import erase_enrollment
from annotation.services.audit import log_event

from .errors import ErasureRefused
from .export.pseudonyms import find_enrollment
from .traces import list_kept_names, list_names, scrub

NOTHING_FOUND = "Nothing was found under this name; nothing was erased."


@dataclass(frozen=True)
class Erasure:
    """What was erased: from which studies, and how many rows of what."""

    studies: tuple[str, ...]
    rows: dict[str, int]

    @property
    def n_rows(self) -> int:
        return sum(self.rows.values())


def find_person(who: str, studies: QuerySet[Study], *, by_platform_id: bool = True) -> list[Enrollment]:
    """Return whoever has this name in one of the studies.

    `who` is a pseudonym, of the software or of an export, or, unless that is not wanted, the id given by Prolific
    or by an imported file. Who withdrew is found under no name.
    """
    who = who.strip()
    if not who:
        return []
    names = Q(rater__external_id=who) if by_platform_id else Q(pk=None)
    with contextlib.suppress(ValueError):
        names |= Q(rater__pseudonym=UUID(who))
    for study in studies:
        if by_platform_id:
            names |= Q(study=study, rater__external_id=f"{study.slug}:{who}")
        if exported := find_enrollment(study, who):
            names |= Q(pk=exported.pk)
    return list(
        Enrollment.objects.filter(names, study__in=studies)
        .exclude(outcome=Outcome.WITHDREW)
        .select_related("study", "rater")
        .order_by("pk")
    )


@transaction.atomic
def erase_person(who: str, studies: QuerySet[Study], *, reason: str = "", actor: Any = None) -> Erasure:
    """Erase someone from these studies: every answer, draft and note, and every name.

    Fits that saw their answers are outdated and lose their predictions; archives of exports made since they came
    are removed; their names are blotted out of the log. What remains is one entry of the log for each study,
    which says how many rows were erased and nothing about the person. In a study that is not among these they
    stay as they are.

    Raises ErasureRefused when nobody has this name.
    """
    people = find_person(who, studies)
    if not people:
        raise ErasureRefused(NOTHING_FOUND)
    names = list_names(people) - list_kept_names(people)
    rows: Counter[str] = Counter()
    slugs = []
    for enrollment in people:
        study = enrollment.study
        n_archives = study.data_exports.filter(created_at__gte=enrollment.started_at).count()
        erased = erase_enrollment(enrollment)
        rows.update(erased)
        slugs.append(study.slug)
        log_event(
            study,
            StudyEvent.Action.ERASURE,
            f"One person was erased: {sum(erased.values())} rows.",
            actor=actor,
            reason=reason,
            detail={"rows": erased, "archives_removed": n_archives},
        )
    scrub(names)
    return Erasure(tuple(sorted(set(slugs))), dict(sorted(rows.items())))
