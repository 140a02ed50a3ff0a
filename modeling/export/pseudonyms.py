"""Who is who in an export.

A pseudonym is made of the random number that an enrollment has, by a function that cannot be turned round. So it is
as random as that number, the same in every export of a study, of no use to open someone's page, and tells nothing
about the pseudonym of the same person in another study.
"""

import csv
import hashlib
from base64 import b32encode
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from annotation.models import Enrollment, Study

from .cells import guard

PURPOSE = b"parallax export pseudonym 1\n"  # another purpose would give other names
LENGTH = 16  # of 32 signs each: 80 bits
KEY_COLUMNS = ("rater_id", "origin", "platform_id", "platform_study_id", "platform_session_id")


def make_pseudonym(public_id: UUID) -> str:
    """Return the name under which an enrollment is exported: a letter first, never a number to a spreadsheet."""
    digest = hashlib.sha256(PURPOSE + public_id.bytes).digest()
    return "p" + b32encode(digest).decode().lower()[:LENGTH]


def find_enrollment(study: Study, pseudonym: str) -> Enrollment | None:
    """Return who has this pseudonym in the study's exports; None for nobody."""
    wanted = pseudonym.strip().lower()
    for pk, public_id in study.enrollments.values_list("pk", "public_id").iterator():
        if make_pseudonym(public_id) == wanted:
            return study.enrollments.get(pk=pk)
    return None


def write_key_table(study: Study) -> Iterator[str]:
    """Yield the lines of the table that says who is behind each pseudonym, as things are now.

    Nobody who withdrew or was erased is in it: nothing is known of them. Rehearsals are left out, as in exports.
    """
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL, lineterminator="\n")
    yield writer.writerow(KEY_COLUMNS)
    people = (
        select_people(study)
        .filter(withdrawal=None)
        .values_list(
            "public_id", "rater__origin", "rater__external_id", "prolific_study_id", "prolific_session_id"
        )
    )
    for public_id, *known in people.iterator():
        yield writer.writerow([make_pseudonym(public_id), *map(guard, known)])


def select_people(study: Study) -> Any:
    """Return the enrollments that an export is about: all but rehearsals, in the order in which they came."""
    return study.enrollments.exclude(phase=Enrollment.Phase.REHEARSAL).order_by("pk")


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text
