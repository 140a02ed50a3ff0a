"""Where people come from and where they go back to: link parameters in, completion link out."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse

from .errors import EntryError, StudyClosed, StudyPaused
from .models import Enrollment, Rater, Study

PARAMETERS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
SIMULATED = "SIMULATED"
REHEARSAL = "REHEARSAL"
REHEARSAL_LINK_DAYS = 14

_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_SALT = "annotation.recruitment.entry"
_SIMULATED_SALT = "annotation.recruitment.simulated"
_REHEARSAL_SALT = "annotation.recruitment.rehearsal"


@dataclass(frozen=True)
class Entry:
    """Who arrived, as the recruitment link says; not yet checked against the platform.

    `rehearses` is the slug of the study that this link rehearses: there it lets in whatever the study's state.
    """

    rater_id: str
    study_id: str
    session_id: str
    origin: str = Rater.Origin.PROLIFIC
    rehearses: str = ""

    @property
    def is_rehearsal(self) -> bool:
        return bool(self.rehearses) or self.origin == Rater.Origin.TEST


def read_entry(parameters: Mapping[str, str]) -> Entry:
    """Return who arrived by a link with these parameters.

    Raises EntryError, naming each parameter that is missing or malformed. A link that claims to be a
    simulated rater's or a rehearsal's must carry this installation's signature, so nobody can mark themselves.
    """
    faults = []
    for name in PARAMETERS:
        value = parameters.get(name, "")
        if not value:
            faults.append(f"{name} is missing")
        elif not _ID.fullmatch(value):
            faults.append(f"{name} is not an id")
    if faults:
        raise EntryError("; ".join(faults) + ".")
    rater_id, study_id, session_id = (parameters[name] for name in PARAMETERS)
    origin = Rater.Origin.PROLIFIC
    if SIMULATED in parameters:
        try:
            signed_for = signing.loads(parameters[SIMULATED], salt=_SIMULATED_SALT)
        except signing.BadSignature as error:
            raise EntryError("the mark of a simulated rater is not this installation's.") from error
        if signed_for != rater_id:
            raise EntryError("the mark of a simulated rater belongs to another one.")
        origin = Rater.Origin.SIMULATED
    rehearses = ""
    if REHEARSAL in parameters:
        try:
            rehearses, signed_for = signing.loads(
                parameters[REHEARSAL], salt=_REHEARSAL_SALT, max_age=60 * 60 * 24 * REHEARSAL_LINK_DAYS
            )
        except signing.BadSignature as error:
            raise EntryError(
                f"the link of a test participant is older than {REHEARSAL_LINK_DAYS} days or not this installation's."
            ) from error
        if signed_for != rater_id or SIMULATED in parameters:
            raise EntryError("the link of a test participant belongs to another one.")
        origin = Rater.Origin.TEST
    return Entry(rater_id, study_id, session_id, origin, rehearses)


def find_enrollment(study: Study, entry: Entry) -> Enrollment | None:
    """Return the enrollment of someone who arrived before; None for someone new who may come in.

    Raises StudyClosed for someone new while the study takes nobody in, StudyPaused where it will again, and
    EntryError for a link that rehearses another study.
    """
    if entry.rehearses not in ("", study.slug):
        raise EntryError("this link rehearses another study.")
    enrollment = Enrollment.objects.filter(
        study=study, rater__origin=entry.origin, rater__external_id=entry.rater_id
    ).first()
    if enrollment is None:
        admit(study, entry)
    return enrollment


def admit(study: Study, entry: Entry) -> None:
    """Raise StudyClosed or StudyPaused unless someone new may come into the study as it was read."""
    if entry.is_rehearsal or study.takes_people:
        return
    raise (StudyPaused if study.state == Study.State.PAUSED else StudyClosed)(study.slug)


def seal(entry: Entry) -> str:
    """Return the entry as a token for a hidden field, so it survives without a cookie."""
    return signing.dumps(asdict(entry), salt=_SALT)


def unseal(token: str) -> Entry:
    """Return the entry that `seal` wrote. Raises EntryError for anything else, or after a day."""
    try:
        return Entry(**signing.loads(token, salt=_SALT, max_age=60 * 60 * 24))
    except (signing.BadSignature, TypeError, ValueError) as error:
        raise EntryError("the start page has grown old or was changed.") from error


def build_entry_path(study: Study, rater_id: str, *, simulated: bool = False) -> str:
    """Return the path and query by which this person enters the study."""
    query = dict(zip(PARAMETERS, (rater_id, "preview", f"{rater_id}-session"[:64]), strict=True))
    if simulated:
        query[SIMULATED] = signing.dumps(rater_id, salt=_SIMULATED_SALT)
    return f"{reverse('annotation:arrival', args=[study.slug])}?{urlencode(query)}"


def build_rehearsal_path(study: Study) -> str:
    """Return the path and query by which a new test participant enters the study, in whatever state it is."""
    rater_id = f"test-{secrets.token_hex(8)}"
    mark = signing.dumps([study.slug, rater_id], salt=_REHEARSAL_SALT)
    return f"{build_entry_path(study, rater_id)}&{urlencode({REHEARSAL: mark})}"


def build_return_url(code: str) -> str:
    """Return the address at the recruiting platform that takes this completion code."""
    return f"{settings.PROLIFIC_COMPLETION_URL}?{urlencode({'cc': code})}"
