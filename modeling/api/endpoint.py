"""One address of the API: its way from a request to an answer, the same for all of them."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError

from modeling.errors import ModelingError

from .entry import let_in
from .problems import Fault, Problem, name_faults, point, respond
from .schemas import BY_NAME, IN_ORDER, MAX_BODY_BYTES, Sent, Told

logger = logging.getLogger("modeling.api")
MENDS = {
    "missing": "add it",
    "extra_forbidden": "take it out, or mend its spelling",
    "value_error": "send it so",
}


@dataclass(frozen=True)
class Endpoint:
    """An address of the API.

    Attributes
    ----------
    name : the last part of the address
    method : "GET" or "POST"
    summary, description : for the reference
    sends : what the body of a request is; None for GET
    tells : what the body of an answer is
    answer : makes it from the study and what was sent
    problems : kinds of problems beside those that every address has
    """

    name: str
    method: str
    summary: str
    description: str
    sends: type[Sent] | None
    tells: type[Told]
    answer: Callable[..., dict[str, Any]]
    problems: tuple[str, ...]

    def as_view(self) -> Callable[[HttpRequest], HttpResponse]:
        """Return the view. A token is no cookie that a browser sends by itself, so nothing can be forged by one."""

        @csrf_exempt
        def view(request: HttpRequest) -> HttpResponse:
            return guard(self._handle, request)

        return view

    def _handle(self, request: HttpRequest) -> HttpResponse:
        check_switched_on()
        allowed = (self.method, "HEAD") if self.method == "GET" else (self.method,)
        if request.method not in allowed:
            raise Problem(
                "method-not-allowed",
                f"Send {self.method}, not {request.method}.",
                headers={"Allow": ", ".join(allowed)},
            )
        study = let_in(request).study
        arguments = [] if self.sends is None else [parse(self.sends, read_body(request))]
        try:
            return respond_json(self.answer(study, *arguments))
        except ModelingError as error:
            raise Problem("nothing-serves", str(error)) from error


def guard(handle: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    """Have a request handled; whatever goes wrong is answered as a problem."""
    try:
        return handle(request)
    except Problem as problem:
        return respond(problem)
    except Exception:
        logger.exception("The scoring API failed at %s.", request.path)
        return respond(Problem("failed", "The server failed; its log says why. Asking again later may help."))


def check_switched_on() -> None:
    """Raise Problem where this server leaves the API to another, or to none."""
    if not settings.SCORING_API:
        raise Problem("switched-off", "Ask whoever runs this installation where its scoring API is.")


def respond_json(content: dict[str, Any]) -> HttpResponse:
    """Return an answer, which nobody between is to keep."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return HttpResponse(text, content_type="application/json", headers={"Cache-Control": "no-store"})


def read_body(request: HttpRequest) -> bytes:
    """Return the body of a request. Raises Problem when it is not JSON by its header, or too large, before reading."""
    if request.content_type != "application/json":
        raise Problem(
            "not-json-type",
            "The body must be JSON.",
            [Fault("Content-Type", "it is another one", "send 'Content-Type: application/json'")],
        )
    too_large = Problem("too-large", f"The body may have {MAX_BODY_BYTES:,} bytes.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise too_large
    try:
        body = request.body
    except RequestDataTooBig:
        raise too_large from None
    except UnreadablePostError:
        raise Problem("not-json", "The connection ended before the body did.") from None
    if not body:
        raise Problem("not-json", "The body is empty. Send JSON, with its Content-Length.")
    return body


def parse(schema: type[Sent], body: bytes) -> Sent:
    """Return what was sent. Raises Problem naming what is wrong with it, without repeating what was sent."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        raise Problem("not-json", f"{found[0]['msg']}.")
    raise name_faults([_tell(fault) for fault in found])


def _tell(fault: Any) -> Fault:
    return Fault(
        point(*(part for part in fault["loc"] if part not in (IN_ORDER, BY_NAME))),
        fault["msg"].removeprefix("Value error, "),
        MENDS.get(fault["type"], "see the reference for what is taken here"),
    )
