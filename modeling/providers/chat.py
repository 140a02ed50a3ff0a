"""One question to a model and what came back: the request's body, its hash, the completion read from JSON."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .faults import BODY_LENGTH, CallFault, FaultKind, make_storable, redact

CHAT_PATH = "/chat/completions"
MAX_COMPLETION_TOKENS = "max_completion_tokens"
MAX_TOKENS = "max_tokens"
TOP_LOGPROBS = 20  # the most that OpenAI and vLLM give
STANDIN_FINGERPRINT = "parallax-standin"


@dataclass(frozen=True)
class ChatRequest:
    """What a model is asked, without the server that is asked.

    Attributes
    ----------
    model : as the provider calls it
    messages : 'role' and 'content' each
    temperature : 0 or more
    seed : None sends none
    max_output_tokens : the longest reply
    response_format : such as `{"type": "json_object"}`, None sends none
    logprobs : whether to ask for the probabilities of tokens
    """

    model: str
    messages: tuple[dict[str, Any], ...]
    temperature: float
    seed: int | None
    max_output_tokens: int
    response_format: dict[str, Any] | None
    logprobs: bool = False

    def to_body(self, limit_field: str = MAX_COMPLETION_TOKENS) -> dict[str, Any]:
        """Return what is sent; `limit_field` is how the server calls the longest reply."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(self.messages),
            "temperature": self.temperature,
            limit_field: self.max_output_tokens,
        }
        if self.seed is not None:
            body["seed"] = self.seed
        if self.response_format is not None:
            body["response_format"] = self.response_format
        if self.logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        return body

    def digest(self, base_url: str, sample: int = 0) -> str:
        """Return the SHA-256, in hex, of all that decides the reply: server, body, and which of several samples."""
        asked = {"base_url": base_url, "body": self.to_body(), "sample": sample}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """A completion.

    Attributes
    ----------
    text : what the model said, '' if nothing
    finish_reason : 'stop', 'length', 'content_filter', ...; '' if not told
    refusal : why the model would not answer, '' if it did
    served_model, fingerprint : what the provider says answered
    logprobs : one entry per token, None if there are none
    prompt_tokens, completion_tokens : what was counted, None if not told
    latency_seconds : from sending to the last byte; 0 for a line of a batch
    is_standin : whether it comes from no real model
    """

    text: str
    finish_reason: str
    refusal: str
    served_model: str
    fingerprint: str
    logprobs: list[Any] | None
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_seconds: float
    is_standin: bool


def read_body(content: bytes) -> Any:
    """Return the JSON in `content`, every text in it storable in any database.

    Raises
    ------
    ValueError
        If it is no JSON; NaN and infinities are none.
    """
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _clean(body) if b"\\u0000" in content or b"\\ud" in content.lower() else body


def read_completion(
    body: Mapping[str, Any], *, latency_seconds: float = 0.0, is_standin: bool = False
) -> Answer | CallFault:
    """Return the first choice of a chat completion's JSON, or the fault that it has none."""
    told = body.get("usage")
    usage: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    fingerprint = _read_text(body.get("system_fingerprint"))
    fault = CallFault(
        kind=FaultKind.NO_CHOICE,
        message="The provider answered, but with no reply in it.",
        latency_seconds=latency_seconds,
        prompt_tokens=_read_count(usage.get("prompt_tokens")),
        completion_tokens=_read_count(usage.get("completion_tokens")),
        is_standin=is_standin or fingerprint.startswith(STANDIN_FINGERPRINT),
    )
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        return _explain_no_choice(fault, body)
    text = _read_content(message.get("content"))
    if text is None:
        return replace(fault, message="The provider's reply holds no text.", body=_begin(body))
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    return Answer(
        text=text,
        finish_reason=_read_text(choice.get("finish_reason")),
        refusal=_read_text(message.get("refusal")),
        served_model=_read_text(body.get("model")),
        fingerprint=fingerprint,
        logprobs=tokens if isinstance(tokens, list) else None,
        prompt_tokens=fault.prompt_tokens,
        completion_tokens=fault.completion_tokens,
        latency_seconds=latency_seconds,
        is_standin=fault.is_standin,
    )


def _explain_no_choice(fault: CallFault, body: Mapping[str, Any]) -> CallFault:
    error = body.get("error")
    if error:  # some servers tell an error of theirs with status 200
        said = error.get("message") if isinstance(error, Mapping) else error
        message = redact(f"The provider answered with an error: {said}")
        return replace(fault, kind=FaultKind.SERVER_ERROR, message=message, body=_begin(body))
    return replace(fault, body=_begin(body))


def _read_content(content: Any) -> str | None:
    """Return a message's text, also where it comes in parts; None if it is neither text nor nothing."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
    return "".join(parts) if all(isinstance(part, str) for part in parts) else None  # type: ignore[arg-type]


def _begin(body: Mapping[str, Any]) -> str:
    return redact(json.dumps(body, ensure_ascii=False), length=BODY_LENGTH)


def _read_text(told: Any) -> str:
    return told if isinstance(told, str) else ""


def _read_count(told: Any) -> int | None:
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 2**31 else None


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _clean(told: Any) -> Any:
    if isinstance(told, str):
        return make_storable(told)
    if isinstance(told, list):
        return [_clean(part) for part in told]
    if isinstance(told, dict):
        return {make_storable(name): _clean(part) for name, part in told.items()}
    return told
