"""What can go wrong with a job, and how its reason is written down."""

import os
import re

from django.conf import settings

REASON_LENGTH = 2_000
_CREDENTIALS_IN_URL = re.compile(r"://[^/\s@]+@")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")


class PermanentError(Exception):
    """Raised by a handler for input that no further try can mend: the job fails at once."""


class UnknownKind(LookupError):
    """No installed app registers a handler for this kind of job."""


class LeaseLost(Exception):
    """The job is no longer this process's to finish: its lease ran out and it was taken back."""


class Cancelled(Exception):
    """Somebody cancelled the job while it was being done."""


def redact(text: str) -> str:
    """Return `text` without the secrets this process knows and without credentials in URLs."""
    known = [value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper())]
    for secret in {settings.SECRET_KEY, *known}:
        if len(secret) >= 8:  # shorter ones would blot out ordinary words
            text = text.replace(secret, "***")
    return _CREDENTIALS_IN_URL.sub("://***@", text)


def reason(error: BaseException) -> str:
    """Return the error's type and message, redacted, storable in any database, at most 2,000 characters."""
    text = redact(f"{type(error).__name__}: {error}")
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:REASON_LENGTH]
