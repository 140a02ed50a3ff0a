"""The only doors to a rater's own rows.

A browser shows whose pages it may see by a signed cookie, limited to the study's path; where it keeps no
cookies, by the same mark in the address. The address goes first: of two people at one browser, the one whose
cookie was replaced goes on by it in their own tab. Whoever sends a form shows it by the mark that the form was served
with, bound to one enrollment: another site cannot forge it, so these views need no CSRF cookie, and an
answer lands with the person it was asked of whatever the browser remembers meanwhile.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer, TimestampSigner
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation

from .errors import NotEnrolled
from .models import Enrollment

COOKIE = "parallax_rater"
ADDRESS_MARK = "rater"
PAGE_MARK = "page"
_COOKIE_SALT = "annotation.access"
_ADDRESS_SALT = "annotation.access.address"
_PAGE_SALT = "annotation.access.page"


@dataclass(frozen=True)
class ServedPage:
    """A form as it was served: to whom, and when."""

    public_id: UUID
    shown_at: datetime


def remember(response: HttpResponse, enrollment: Enrollment) -> HttpResponse:
    """Let this browser act for the enrollment from now on."""
    response.set_signed_cookie(
        COOKIE,
        str(enrollment.public_id),
        salt=_COOKIE_SALT,
        max_age=settings.RATER_COOKIE_AGE_SECONDS,
        path=reverse("annotation:arrival", args=[enrollment.study.slug]),
        secure=settings.PRODUCTION,
        httponly=True,
        samesite="Lax",
    )
    return response


def mark_page(enrollment: Enrollment) -> str:
    """Return the mark of a form that is served now to this person."""
    return Signer(salt=_PAGE_SALT).sign(f"{enrollment.public_id.hex}:{time.time_ns() // 1_000_000}")


def read_page_mark(mark: str) -> ServedPage:
    """Return what `mark_page` wrote. Raises BadSignature for anything else."""
    public_id, shown_ms = Signer(salt=_PAGE_SALT).unsign(mark).split(":")
    return ServedPage(UUID(public_id), datetime.fromtimestamp(int(shown_ms) / 1000, tz=UTC))


def build_query(enrollment: Enrollment) -> str:
    """Return the query that lets an address stand for the cookie."""
    return f"?{ADDRESS_MARK}={TimestampSigner(salt=_ADDRESS_SALT).sign(enrollment.public_id.hex)}"


def has_cookie_of(request: HttpRequest, enrollment: Enrollment) -> bool:
    """Whether this browser has kept the enrollment's cookie."""
    return _read_cookie(request) == enrollment.public_id


def get_enrollment(request: HttpRequest, slug: str) -> Enrollment:
    """Return the enrollment this request acts for in the study; speak its study's language from here on.

    Notes on the request what its page needs: `rater_query`, '' or the mark for the next addresses, and, of a
    form that was sent, `served_page`. Raises NotEnrolled when the request shows no enrollment.
    """
    request.served_page = None
    if request.method == "POST":
        request.served_page = _read_form(request)
        shown = [request.served_page.public_id] if request.served_page else []
    else:
        shown = [public_id for public_id in (_read_address(request), _read_cookie(request)) if public_id]
    found = Enrollment.objects.select_related("study__value_system", "rater").filter(
        public_id__in=shown, study__slug=slug
    )
    enrollment = min(found, key=lambda each: shown.index(each.public_id), default=None)
    if enrollment is None:
        raise NotEnrolled(slug)
    translation.activate(enrollment.study.language)
    is_remembered = has_cookie_of(request, enrollment)
    request.rater_query = "" if is_remembered else build_query(enrollment)
    return enrollment


def _read_form(request: HttpRequest) -> ServedPage | None:
    try:
        return read_page_mark(request.POST.get(PAGE_MARK, ""))
    except (BadSignature, ValueError):
        return None


def _read_cookie(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.get_signed_cookie(COOKIE, salt=_COOKIE_SALT))
    except (KeyError, BadSignature, ValueError):
        return None


def _read_address(request: HttpRequest) -> UUID | None:
    signer = TimestampSigner(salt=_ADDRESS_SALT)
    try:
        return UUID(
            signer.unsign(request.GET.get(ADDRESS_MARK, ""), max_age=settings.RATER_COOKIE_AGE_SECONDS)
        )
    except (BadSignature, ValueError):
        return None
