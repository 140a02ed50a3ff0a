"""The second factor, asked for in one place: a new staff page needs no thought of it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from . import second_factor

PARTICIPANTS = "annotation"  # the namespace of their addresses
OPEN = frozenset(
    {
        "home",
        "healthz",
        "readyz",
        "account_login",
        "account_logout",
        "account_inactive",
        "account_reauthenticate",
        "mfa_authenticate",
        "mfa_reauthenticate",
        "mfa_activate_totp",
        "admin:logout",
    }
)


class SecondFactorMiddleware:
    """Leads an account without a second factor to the page that asks for one, before any page but `OPEN`.

    Pages are closed unless they are named there. Participants' pages are none of them: their session is not read.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable, args: tuple, kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        match = request.resolver_match
        if not settings.REQUIRE_MFA or match.namespace == PARTICIPANTS or match.view_name in OPEN:
            return None
        if not request.user.is_authenticated or second_factor.has_shown(request):
            return None
        page = reverse(second_factor.find_page(request))
        back = request.get_full_path() if request.method == "GET" else reverse("modeling:studies")
        return HttpResponseRedirect(f"{page}?{urlencode({REDIRECT_FIELD_NAME: back})}")
