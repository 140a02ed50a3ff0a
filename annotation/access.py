"""The only doors to a rater's own rows.

A rater holds a signed cookie, limited to the study's path, that names their enrollment by a random id.
"""

from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from .errors import NotEnrolled
from .models import Enrollment

COOKIE = "parallax_rater"
_SALT = "annotation.access"


def remember(response: HttpResponse, enrollment: Enrollment) -> HttpResponse:
    """Let this browser act for the enrollment from now on."""
    response.set_signed_cookie(
        COOKIE,
        str(enrollment.public_id),
        salt=_SALT,
        max_age=settings.RATER_COOKIE_AGE_SECONDS,
        path=reverse("annotation:arrival", args=[enrollment.study.slug]),
        secure=settings.PRODUCTION,
        httponly=True,
        samesite="Lax",
    )
    return response


def get_enrollment(request: HttpRequest, slug: str) -> Enrollment:
    """Return the enrollment this browser acts for in the study. Raises NotEnrolled when there is none."""
    try:
        public_id = UUID(request.get_signed_cookie(COOKIE, salt=_SALT))
    except (KeyError, BadSignature, ValueError) as error:
        raise NotEnrolled(slug) from error
    enrollment = (
        Enrollment.objects.select_related("study__value_system", "rater")
        .filter(public_id=public_id, study__slug=slug)
        .first()
    )
    if enrollment is None:
        raise NotEnrolled(slug)
    return enrollment
