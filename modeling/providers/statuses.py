"""What an HTTP status other than success, and the error told with it, mean for a run."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from .chat import read_body
from .faults import BODY_LENGTH, CallFault, FaultKind, redact

LONGEST_WAIT = 86_400.0  # what a provider may ask for, in seconds
_NO_CREDIT = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_credits",
}
_TOO_LONG = re.compile(r"context.?(length|window)|too long", re.IGNORECASE)
_UNKNOWN_PARAMETER = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|extra|not (be )?(supported|permitted|allowed)|does not support",
    re.IGNORECASE,
)
# Settings that not every model or server knows, by how an error names them, and what to choose instead.
_SETTINGS = (
    ("response_format", ("response_format", "json_schema", "structured output"),
     "This model or server does not take a JSON schema: choose “Plain JSON” as the reply format."),
    ("logprobs", ("logprobs",),
     "This model or server gives no token probabilities: do not ask for them."),
    ("temperature", ("temperature",),
     "This model or server does not take that temperature: most such models know only 1."),
    ("seed", ("seed",), "This model or server takes no seed: leave it empty."),
)  # fmt: skip
SETTINGS = frozenset(field for field, _, _ in _SETTINGS)


def read_status(
    status: int, headers: Mapping[str, str], content: bytes, *, body: Mapping[str, Any], key: str = ""
) -> CallFault:
    """Return the fault of an answer whose status is not 2xx.

    Parameters
    ----------
    status : the HTTP status
    headers : of the answer, looked up by small letters
    content : the answer's body
    body : what was asked, to tell which of its settings the error is about
    key : the provider's key, kept out of what is told
    """
    said, codes, parameter = read_error(content)
    kind = _classify(status, codes)
    told = redact(said, key) if said else ""
    lead = f"The provider answered {status}" + (f": {told}" if told else ".")
    advice = _ADVICE.get(kind, "")
    concerns_setting = False
    if kind is FaultKind.BAD_REQUEST and not _TOO_LONG.search(said):
        advice = _advise_setting(said, parameter, body)
        concerns_setting = bool(advice)
    return CallFault(
        kind=kind,
        message=f"{advice} {lead}".strip(),
        retry_after=read_retry_after(headers),
        body=redact(content[: 4 * BODY_LENGTH].decode("utf-8", "replace"), key, BODY_LENGTH),
        concerns_setting=concerns_setting,
    )


_ADVICE = {
    FaultKind.KEY_REFUSED: "The provider refuses the key: whoever runs this server must set a valid one.",
    FaultKind.MODEL_GONE: "The provider knows no such thing: check the model’s name and the provider’s address.",
    FaultKind.QUOTA: "The account at the provider has no credit left.",
}


def _classify(status: int, codes: set[str]) -> FaultKind:
    if "model_not_found" in codes or status == 404 or 300 <= status < 400:
        return (
            FaultKind.MODEL_GONE
        )  # a redirect is not followed: posts go to the address that was set and no other
    if status in (401, 403):
        return FaultKind.KEY_REFUSED
    if status == 402 or codes & _NO_CREDIT:
        return FaultKind.QUOTA
    if status == 429:
        return FaultKind.RATE_LIMITED
    if status == 408:
        return FaultKind.TIMEOUT
    if status >= 500 or status in (409, 425):
        return FaultKind.SERVER_ERROR
    return FaultKind.BAD_REQUEST


def _advise_setting(said: str, parameter: str, body: Mapping[str, Any]) -> str:
    for field, names, advice in _SETTINGS:
        if field in body and (parameter.startswith(field) or any(name in said.lower() for name in names)):
            return advice
    return ""


def names_parameter(fault: CallFault, field: str) -> bool:
    """Whether a refused request was refused because the server does not know `field`."""
    if fault.kind is not FaultKind.BAD_REQUEST:
        return False
    said = fault.body
    return re.search(rf"\b{field}\b", said) is not None and _UNKNOWN_PARAMETER.search(said) is not None


def read_error(content: bytes) -> tuple[str, set[str], str]:
    """Return the message, the codes and the parameter of an error as OpenAI, vLLM, Ollama or FastAPI tell it."""
    try:
        told = read_body(content)
    except ValueError:
        return "", set(), ""
    if isinstance(told, list) and told:
        told = told[0]
    if not isinstance(told, Mapping):
        return "", set(), ""
    error = told.get("error", told)
    if not isinstance(error, Mapping):
        return str(error), set(), ""
    said = error.get("message") or error.get("detail") or ""
    codes = {code for code in (error.get("code"), error.get("type")) if isinstance(code, str)}
    parameter = error.get("param")
    return str(said), codes, parameter if isinstance(parameter, str) else ""


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a provider asks to wait, told in milliseconds, seconds or as a date; at most a day."""
    for name, share in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * share
        except ValueError:
            continue
        if math.isfinite(seconds):
            return min(max(seconds, 0.0), LONGEST_WAIT)
    try:
        due = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return min(max((due - (now or datetime.now(UTC))).total_seconds(), 0.0), LONGEST_WAIT)
