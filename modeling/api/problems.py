"""What the API answers when it cannot do what was asked: problem details (RFC 9457), with where and how to mend."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from django.http import HttpResponse
from django.urls import reverse_lazy

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 20


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its status, its unchanging title, and what a reader of the reference is told."""

    slug: str
    status: HTTPStatus
    title: str
    meaning: str


KINDS = {
    kind.slug: kind
    for kind in (
        Kind(
            "not-json",
            HTTPStatus.BAD_REQUEST,
            "The body is no JSON",
            "The body is empty or cannot be read as JSON in UTF-8.",
        ),
        Kind(
            "not-authorized",
            HTTPStatus.UNAUTHORIZED,
            "A valid token is needed",
            "No token came along, or it is unknown, expired or revoked. Ask an owner of the study for another one.",
        ),
        Kind(
            "not-found",
            HTTPStatus.NOT_FOUND,
            "There is no such thing in this study",
            "The address does not exist, or the token's study has no such rater or post. "
            "What belongs to another study is answered in the same way.",
        ),
        Kind(
            "method-not-allowed",
            HTTPStatus.METHOD_NOT_ALLOWED,
            "This address takes another method",
            "The header Allow names the methods that are taken.",
        ),
        Kind(
            "nothing-serves",
            HTTPStatus.CONFLICT,
            "The study has no fit that serves",
            "The study was not fitted yet, or its fit cannot be used. The detail says what its researchers can do.",
        ),
        Kind(
            "too-large",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "The body is too large",
            "Send fewer posts or raters at once.",
        ),
        Kind(
            "not-json-type",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The body must be declared as JSON",
            "Send the header Content-Type: application/json.",
        ),
        Kind(
            "not-valid",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The request cannot be answered as it is",
            "The body is JSON but not what this address asks for; the list errors names the faults.",
        ),
        Kind(
            "too-many-requests",
            HTTPStatus.TOO_MANY_REQUESTS,
            "The token's requests for this minute are used up",
            "Wait as many seconds as the header Retry-After says.",
        ),
        Kind(
            "failed",
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The server failed",
            "This is no fault of the request. The server's log says more.",
        ),
        Kind(
            "switched-off",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "This server does not serve the scoring API",
            "The installation has the API switched off, or another server of it answers.",
        ),
    )
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes
    ----------
    where : JSON Pointer (RFC 6901) into the body, or the name of a header
    what : what is wrong there
    mend : what to do about it
    """

    where: str
    what: str
    mend: str


class Problem(Exception):
    """Why a request cannot be answered."""

    def __init__(
        self,
        slug: str,
        detail: str,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = KINDS[slug]
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        super().__init__(detail)


REFERENCE = reverse_lazy("api:reference")


def respond(problem: Problem) -> HttpResponse:
    """Return the response that tells of a problem."""
    content = {
        "type": f"{REFERENCE}#{problem.kind.slug}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "errors": [
            {"where": fault.where, "what": fault.what, "mend": fault.mend} for fault in problem.faults
        ],
    }
    return HttpResponse(
        json.dumps(content, ensure_ascii=False),
        status=problem.kind.status,
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"} | problem.headers,
    )


def name_faults(faults: Sequence[Fault], slug: str = "not-valid") -> Problem:
    """Return a problem that names the first of these faults and the number of all."""
    number = "1 thing is" if len(faults) == 1 else f"{len(faults):,} things are"
    wrong = "not there" if slug == "not-found" else "wrong"
    more = f" The first {MOST_FAULTS} are named." if len(faults) > MOST_FAULTS else ""
    return Problem(slug, f"{number} {wrong}.{more}", faults[:MOST_FAULTS])


def refuse(faults: Sequence[Fault], slug: str = "not-valid") -> None:
    """Raise the problem of these faults; without one, nothing happens."""
    if faults:
        raise name_faults(faults, slug)


def point(*parts: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) that these names and places make."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)
