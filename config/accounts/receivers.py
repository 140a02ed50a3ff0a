"""The log of who came in and who did not, without a password and without what was typed as a name."""

import logging
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
    authenticator_used,
)
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from . import second_factor

logger = logging.getLogger("accounts")


@receiver(user_logged_in)
def note_login(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    logger.info("account %s logged in", user)


@receiver(user_logged_out)
def note_logout(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    if user is not None:
        logger.info("account %s logged out", user)


@receiver(user_login_failed)
def note_failure(sender: Any, credentials: dict, **kwargs: Any) -> None:
    """Name the account if there is one: what is typed as a name may be a password."""
    users = get_user_model().objects
    user = users.filter(username__iexact=credentials.get("username") or "").first()
    logger.warning("a login failed: %s", f"account {user}" if user else "no such account")


@receiver(authentication_failed)
def note_wrong_code(sender: Any, user: Any, **kwargs: Any) -> None:
    logger.warning("a login failed: account %s gave a wrong code of the second factor", user)


@receiver(authenticator_used)
def note_second_factor(sender: Any, request: Any, user: Any, authenticator: Any, **kwargs: Any) -> None:
    second_factor.remember(request, user)
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        logger.warning("account %s used a recovery code", user)


@receiver(authenticator_added)
def note_set_up(sender: Any, request: Any, user: Any, authenticator: Any, **kwargs: Any) -> None:
    if authenticator.type == Authenticator.Type.TOTP:
        second_factor.remember(request, user)
        logger.info("account %s set up its second factor", user)


@receiver(authenticator_removed)
def note_removed(sender: Any, request: Any, user: Any, authenticator: Any, **kwargs: Any) -> None:
    if authenticator.type == Authenticator.Type.TOTP:
        request.session.pop(second_factor.SESSION_KEY, None)
        logger.warning("account %s removed its second factor", user)


@receiver(authenticator_reset)
def note_new_codes(sender: Any, user: Any, **kwargs: Any) -> None:
    logger.info("account %s made new recovery codes", user)
