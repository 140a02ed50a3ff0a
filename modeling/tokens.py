"""Keys by which programs ask for a study's predictions: made, withdrawn, recognized. Only their hashes are stored."""

import hashlib
import secrets
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.models import Study, StudyEvent
from annotation.services.audit import log_event

from .models import ApiToken

MARK = "plx_"  # by which a key that was published by mistake is recognized
N_RANDOM_BYTES = 32
DEFAULT_PER_MINUTE = ApiToken._meta.get_field("requests_per_minute").default
MOST_PER_MINUTE = 60_000
LONGEST_NAME = ApiToken._meta.get_field("name").max_length
HINT_LENGTH = ApiToken._meta.get_field("hint").max_length


def hash_secret(secret: str) -> str:
    """Return what is stored of a token. It holds 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@transaction.atomic
def create_token(
    study: Study,
    name: str,
    *,
    requests_per_minute: int = DEFAULT_PER_MINUTE,
    expires_at: datetime | None = None,
    actor: Any = None,
) -> tuple[ApiToken, str]:
    """Make a token for a study's predictions; return its row and the token itself, which nobody can see again.

    Parameters
    ----------
    study : whose predictions it opens
    name : what it is for
    requests_per_minute : from 1 to 60,000
    expires_at : the moment from which it is worthless; None for never
    actor : the account that makes it; None for a command

    Raises
    ------
    ValueError
        For a blank or overlong name, a limit out of range or a moment that has passed.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"Say in 1 to {LONGEST_NAME} characters what the token is for.")
    if not 1 <= requests_per_minute <= MOST_PER_MINUTE:
        raise ValueError(
            f"Requests per minute must be from 1 to {MOST_PER_MINUTE:,}, not {requests_per_minute:,}."
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise ValueError("The token would have expired already; name a later moment, or none.")
    secret = MARK + secrets.token_urlsafe(N_RANDOM_BYTES)
    token = ApiToken.objects.create(
        study=study,
        name=name,
        digest=hash_secret(secret),
        hint=secret[:HINT_LENGTH],
        requests_per_minute=requests_per_minute,
        expires_at=expires_at,
        created_by=actor,
    )
    log_event(
        study,
        StudyEvent.Action.ACCESS,
        f"made the API token {token.hint}…",
        actor=actor,
        detail={
            "token": token.pk,
            "name": name,
            "requests_per_minute": requests_per_minute,
            "expires_at": expires_at.isoformat() if expires_at else None,
        },
    )
    return token, secret


@transaction.atomic
def revoke_token(token: ApiToken, actor: Any = None) -> bool:
    """Make a token worthless from now on; return whether it was not so already."""
    revoked = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    if revoked:
        log_event(
            token.study,
            StudyEvent.Action.ACCESS,
            f"revoked the API token {token.hint}…",
            actor=actor,
            detail={"token": token.pk, "name": token.name},
        )
    return bool(revoked)


def select_usable() -> QuerySet[ApiToken]:
    """Return the tokens that open something at this moment."""
    now = timezone.now()
    return ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
