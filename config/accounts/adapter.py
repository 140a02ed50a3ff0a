"""How allauth behaves here: nobody signs up, and a password given minutes ago is not asked for again."""

import logging
import time
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from django.core.exceptions import ValidationError
from django.http import HttpRequest

logger = logging.getLogger("accounts")


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by an administrator."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Note what the throttle refuses, which is never tried as a login."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            logger.warning("a login was refused: too many have failed")
            raise

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever has just logged in sets up their second factor without giving the password twice."""
        given = [entry["at"] for entry in get_authentication_records(self.request, self.request.user)]
        is_fresh = bool(given) and time.time() - given[-1] < app_settings.REAUTHENTICATION_TIMEOUT
        return not is_fresh and super().is_reauthentication_required(app=app, **kwargs)
