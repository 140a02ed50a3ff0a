"""Who may ask, and how often: tokens, and the count of each token's requests, exact over all processes."""

import math
import time
from datetime import timedelta

from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from modeling.models import ApiToken
from modeling.tokens import hash_secret, select_usable

from .problems import Fault, Problem

WINDOW_SECONDS = 60
USE_IS_NOTED_EVERY = timedelta(minutes=1)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Parallax scoring API"'}


def let_in(request: HttpRequest) -> ApiToken:
    """Return the token of a request and count the request. Raises Problem without one, and for one too many.

    The token is found by its hash, so the time of the search tells nothing of other tokens; unknown, expired and
    revoked ones get the same answer. The count stands in the database's cache and changes while the token's row is
    locked, so no two processes can miss each other's requests.
    """
    digest = hash_secret(_read_bearer(request))
    with transaction.atomic():
        token = (
            select_usable()
            .select_related("study__value_system")
            .select_for_update(of=("self",))
            .filter(digest=digest)
            .first()
        )
        if token is None:
            raise Problem(
                "not-authorized",
                "The token is unknown, expired or revoked. An owner of the study can make another one.",
                [Fault("Authorization", "the token opens nothing", "send a token that an owner made lately")],
                CHALLENGE | {"WWW-Authenticate": f'{CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'},
            )
        wait_seconds = _count(token)
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > USE_IS_NOTED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    if wait_seconds:
        raise Problem(
            "too-many-requests",
            f"This token may ask {token.requests_per_minute} times a minute. Ask again in {wait_seconds} seconds.",
            headers={"Retry-After": str(wait_seconds)},
        )
    return token


def _read_bearer(request: HttpRequest) -> str:
    scheme, _, secret = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Problem(
            "not-authorized",
            "The request brings no token.",
            [
                Fault(
                    "Authorization",
                    "it is missing or of another kind",
                    "send 'Authorization: Bearer <token>'",
                )
            ],
            CHALLENGE,
        )
    return secret.strip()


def _count(token: ApiToken) -> int:
    """Count one request of this token; return 0, or how many seconds to wait when it is one too many."""
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    key = f"api-requests-{token.pk}"  # one row for each token, however long it is used
    counted_in, n_requests = cache.get(key, (window, 0))
    if counted_in < window:
        n_requests = 0
    window = max(window, counted_in)  # a server whose clock is behind counts along with the others
    if n_requests >= token.requests_per_minute:
        return max(1, math.ceil((window + 1) * WINDOW_SECONDS - now))
    cache.set(key, (window, n_requests + 1), timeout=2 * WINDOW_SECONDS)
    return 0
