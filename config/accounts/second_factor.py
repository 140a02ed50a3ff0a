"""Whether the session of a member of staff has shown a second factor, and where it goes to do so."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.http import HttpRequest

SESSION_KEY = "second_factor_of"


def has_second_factor(user: Any) -> bool:
    """Return whether this account has an authenticator app set up."""
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


def remember(request: HttpRequest, user: Any) -> None:
    """Note in the session that this account has shown its second factor."""
    request.session[SESSION_KEY] = user.pk


def has_shown(request: HttpRequest) -> bool:
    """Return whether the account of this session has shown its second factor in it."""
    return request.session.get(SESSION_KEY) == request.user.pk


def find_page(request: HttpRequest) -> str:
    """Return the name of the page that a session without a second factor has to pass first."""
    return "mfa_reauthenticate" if has_second_factor(request.user) else "mfa_activate_totp"
