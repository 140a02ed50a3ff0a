"""Where people come from and where they go back to: link parameters in, completion link out."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse

from .errors import EntryError, StudyClosed
from .models import Enrollment, Rater, Study

PARAMETERS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
SIMULATED = "SIMULATED"

_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_SALT = "annotation.recruitment.entry"
_SIMULATED_SALT = "annotation.recruitment.simulated"


@dataclass(frozen=True)
class Entry:
    """Who arrived, as the recruitment link says; not yet checked against the platform."""

    rater_id: str
    study_id: str
    session_id: str
    origin: str = Rater.Origin.PROLIFIC


def read_entry(parameters: Mapping[str, str]) -> Entry:
    """Return who arrived by a link with these parameters.

    Raises EntryError, naming each parameter that is missing or malformed. A link that claims to be a
    simulated rater's must carry this installation's signature, so nobody can mark themselves as one.
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
    return Entry(rater_id, study_id, session_id, origin)


def find_enrollment(study: Study, entry: Entry) -> Enrollment | None:
    """Return the enrollment of someone who arrived before; None for someone new who may come in.

    Raises StudyClosed for someone new while the study is not live.
    """
    enrollment = Enrollment.objects.filter(
        study=study, rater__origin=entry.origin, rater__external_id=entry.rater_id
    ).first()
    if enrollment is None and study.state != Study.State.LIVE:
        raise StudyClosed(study.slug)
    return enrollment


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


def build_return_url(code: str) -> str:
    """Return the address at the recruiting platform that takes this completion code."""
    return f"{settings.PROLIFIC_COMPLETION_URL}?{urlencode({'cc': code})}"
