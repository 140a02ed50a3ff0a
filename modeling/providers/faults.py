"""What can go wrong between this machine and a provider of models, and how it is told."""

import re
from dataclasses import dataclass
from enum import StrEnum

MESSAGE_LENGTH = 300
BODY_LENGTH = 2_000
_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|rk)-[\w*.\-]{4,}|\bBearer\s+\S+")
_SHORTEST_SECRET = 8  # shorter keys, such as 'ollama', are words


class FaultKind(StrEnum):
    """Why a call brought no completion."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NOT_JSON = "not_json"
    CUT_OFF = "cut_off"
    TOO_LARGE = "too_large"
    NO_CHOICE = "no_choice"
    KEY_MISSING = "key_missing"
    KEY_REFUSED = "key_refused"
    MODEL_GONE = "model_gone"
    QUOTA = "quota"
    BAD_REQUEST = "bad_request"


TRANSIENT = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.SERVER_ERROR,
        FaultKind.TIMEOUT,
        FaultKind.UNREACHABLE,
        FaultKind.NOT_JSON,
        FaultKind.CUT_OFF,
    }
)
STOPS_RUN = frozenset({FaultKind.KEY_MISSING, FaultKind.KEY_REFUSED, FaultKind.MODEL_GONE, FaultKind.QUOTA})


@dataclass(frozen=True)
class CallFault:
    """A call that brought no completion.

    Attributes
    ----------
    kind : why
    message : the same in a sentence, with what the provider said of it; holds neither key nor request
    retry_after : seconds the provider asks to wait, None where it says nothing
    latency_seconds : how long the call took
    body : the beginning of what came back where that was no completion, '' otherwise
    concerns_setting : whether every call with this model and these settings would end the same way
    prompt_tokens, completion_tokens : what the provider counted, None where it does not say
    is_standin : whether the stand-in answered
    """

    kind: FaultKind
    message: str
    retry_after: float | None = None
    latency_seconds: float = 0.0
    body: str = ""
    concerns_setting: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    is_standin: bool = False

    @property
    def is_transient(self) -> bool:
        """Whether the same call may well succeed later."""
        return self.kind in TRANSIENT

    @property
    def stops_run(self) -> bool:
        """Whether no other call of the run would fare better before somebody mends something."""
        return self.kind in STOPS_RUN or self.concerns_setting


class ProviderFault(Exception):
    """A request to a provider came to nothing; `fault` says why."""

    def __init__(self, fault: CallFault) -> None:
        self.fault = fault
        super().__init__(fault.message)

    @property
    def kind(self) -> FaultKind:
        return self.fault.kind

    @property
    def message(self) -> str:
        return self.fault.message


def redact(text: str, key: str = "", length: int = MESSAGE_LENGTH) -> str:
    """Return `text` without `key` or anything that looks like a key, storable in any database, cut to `length`."""
    if len(key) >= _SHORTEST_SECRET:
        text = text.replace(key, "***")
    text = make_storable(_LIKE_A_KEY.sub("***", text))
    return text if len(text) <= length else text[: length - 1] + "…"


def make_storable(text: str) -> str:
    """Return `text` with what no database takes, NUL and lone surrogates, replaced by '\\ufffd' and '?'."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
