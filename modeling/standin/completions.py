"""From the body of a chat request to the stand-in's reply: who is asked, about which post, in which shape."""

import hashlib
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .learning import Correction, Lesson, learn
from .planting import Plant
from .reader import Guess, PostRead, Reader
from .script import Fault
from .shapes import SchemaError, Shape, read_prompt, read_schema
from .spoiling import BAD_CONTENT, spoil

FINGERPRINT = "parallax-standin-1"
CHARACTERS_PER_TOKEN = 4
_TEXT_NAMES = ("text", "post", "content")


class BadRequest(ValueError):
    """A request that a provider would refuse; the text says why."""


@dataclass(frozen=True)
class Question:
    """A chat request, read."""

    model: str
    messages: tuple[tuple[str, str], ...]
    post: PostRead
    shape: Shape | None
    temperature: float
    seed: int | None
    most_tokens: int | None
    n_logprobs: int | None

    @property
    def text_sha256(self) -> str:
        """Hash of the post's text."""
        return hash_text(self.post.text)


def hash_text(text: str) -> str:
    """Return the hash by which the ledger knows a post."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def count_tokens(text: str) -> int:
    """Return how many tokens the stand-in counts in a text: one for each four characters begun."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def read_question(body: Any) -> Question:
    """Return what a chat request asks.

    Raises
    ------
    BadRequest
        For what a provider would answer with status 400.
    """
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("you must provide a model parameter")
    if body.get("stream") or body.get("n") not in (None, 1):
        raise BadRequest("The stand-in gives one choice and does not stream.")
    messages = _read_messages(body.get("messages"))
    temperature = _read_number(body, "temperature", 1.0, 0.0, 2.0)
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is not None and (type(most) is not int or most < 1):
        raise BadRequest("max_completion_tokens must be a whole number of 1 or more.")
    n_logprobs = int(_read_number(body, "top_logprobs", 0, 0, 20)) if body.get("logprobs") else None
    return Question(
        model=model,
        messages=messages,
        post=find_post(messages),
        shape=_read_shape(body.get("response_format"), messages),
        temperature=temperature,
        seed=body.get("seed"),
        most_tokens=most,
        n_logprobs=n_logprobs,
    )


def _read_messages(listed: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(listed, list) or not listed:
        raise BadRequest("messages must be a list with at least one message.")
    messages = []
    for place, message in enumerate(listed):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "developer", "user", "assistant"):
            raise BadRequest(f"messages[{place}] has no known role.")
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
        if not isinstance(content, str):
            raise BadRequest(f"messages[{place}] has no content.")
        messages.append((role, content))
    return tuple(messages)


def _read_number(body: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    number = body.get(name)
    if number is None:
        return default
    if not isinstance(number, int | float) or isinstance(number, bool) or not low <= number <= high:
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}.")
    return float(number)


def _read_shape(wanted: Any, messages: tuple[tuple[str, str], ...]) -> Shape | None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        try:
            return read_schema(json.dumps(wanted["json_schema"]["schema"]))
        except (KeyError, TypeError):
            raise BadRequest("response_format.json_schema needs a name and a schema.") from None
        except SchemaError as error:
            raise BadRequest(f"Invalid schema for response_format: {error}") from None
    if wanted is not None and kind not in ("json_object", "text"):
        raise BadRequest(f"response_format has no type {kind!r}.")
    told = "\n".join(content for role, content in messages if role in ("system", "developer"))
    if kind == "json_object" and "json" not in "\n".join(content for _, content in messages).lower():
        raise BadRequest("'messages' must contain the word 'json' in some form to use json_object.")
    return read_prompt(told)


def find_post(messages: tuple[tuple[str, str], ...]) -> PostRead:
    """Return the post of the last message in which a user gives one as a JSON object; else that message's words."""
    for role, content in reversed(messages):
        if role == "user" and (post := _find_object(content)):
            return post
    return PostRead(next((content for role, content in reversed(messages) if role == "user"), ""))


def _find_object(content: str) -> PostRead | None:
    decoder = json.JSONDecoder()
    start = content.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(content, start)
        except ValueError:
            found = None
        if isinstance(found, dict) and (post := _read_post(found)):
            return post
        start = content.find("{", start + 1)
    return None


def _read_post(found: Mapping[str, Any]) -> PostRead | None:
    inner = found.get("post")
    if isinstance(inner, dict):
        found = {**found, **inner}
    name = next((name for name in _TEXT_NAMES if isinstance(found.get(name), str)), None)
    if name is None:
        return None
    around = [value for key, value in found.items() if key != name and isinstance(value, str)]
    around += [
        value
        for part in found.values()
        if isinstance(part, dict) and part is not inner
        for value in part.values()
        if isinstance(value, str)
    ]
    return PostRead(found[name], " ".join(around))


def answer(
    question: Question,
    *,
    correction: Correction | None = None,
    fault: Fault | None = None,
    gullible: bool = False,
    plant: Plant | None = None,
) -> dict[str, Any]:
    """Return the body of a chat completion.

    `fault` may spoil what it contains, `correction` is what tuning taught, `plant` how the model errs on purpose.
    """
    correction = correction or _learn_from_shots(question)
    guesses: dict[str, Guess] = {}
    if question.shape is None:
        content = "I am a stand-in and answer only requests for ratings as JSON."
    else:
        guesses = _guess(question, question.shape, correction, gullible, plant)
        reply = question.shape.fill(lambda key: guesses[key].rating, _explain)
        content = spoil(reply, fault) if fault in BAD_CONTENT else json.dumps(reply, separators=(", ", ": "))
    return _build_body(question, content, guesses, fault)


def _guess(
    question: Question, shape: Shape, correction: Correction | None, gullible: bool, plant: Plant | None
) -> dict[str, Guess]:
    if plant and plant.knows(question.model, question.post.text):
        told = "\n".join(text for role, text in question.messages if role in ("system", "developer"))
        return plant.guess(
            question.model,
            question.post.text,
            told,
            shape.ratings(),
            temperature=question.temperature,
            seed=question.seed,
        )
    return Reader(question.model, correction, gullible=gullible).guess(
        question.post,
        shape.ratings(),
        temperature=question.temperature,
        seed=question.seed,
        with_probabilities=question.n_logprobs is not None,
    )


def _explain(key: str) -> str:
    return f"Guessed from the words of the post, with {key.replace('_', ' ')} in mind."


def _build_body(
    question: Question, content: str, guesses: Mapping[str, Guess], fault: Fault | None
) -> dict[str, Any]:
    n_read = sum(count_tokens(text) for _, text in question.messages)
    finish = "stop"
    most = question.most_tokens
    if fault is Fault.TRUNCATED:
        most = max(1, count_tokens(content) // 2)
    if fault is not Fault.TOO_LONG and most is not None and count_tokens(content) > most:
        content, finish = content[: most * CHARACTERS_PER_TOKEN], "length"
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if fault is Fault.REFUSAL:
        message |= {"content": None, "refusal": "I cannot help with that."}
    elif fault is Fault.CONTENT_FILTER:
        message["content"], finish = "", "content_filter"
    said = message["content"] or message["refusal"] or ""
    logprobs = None
    if question.n_logprobs is not None and fault is None:
        logprobs = {"content": _build_logprobs(said, guesses, question.n_logprobs), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}
    n_written = count_tokens(said)
    return {
        "id": f"chatcmpl-{question.text_sha256[:24]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": question.model,
        "choices": [] if fault is Fault.EMPTY_CHOICES else [choice],
        "usage": {
            "prompt_tokens": n_read,
            "completion_tokens": n_written,
            "total_tokens": n_read + n_written,
        },
        "system_fingerprint": FINGERPRINT,
    }


def _build_logprobs(content: str, guesses: Mapping[str, Guess], n_top: int) -> list[dict[str, Any]]:
    """Tokens with their log-probabilities: where a rating stands, those of the scale; certainty elsewhere."""
    in_order = iter(guesses.values())
    tokens = []
    for token in _split_tokens(content):
        if token.isdigit() and (guess := next(in_order, None)) is not None:
            ranked = sorted(zip(guess.probabilities, guess.options, strict=True), key=lambda pair: -pair[0])
            own = guess.probabilities[guess.options.index(guess.rating)]
            top = [_build_token(str(option), share) for share, option in ranked[:n_top]]
            tokens.append({**_build_token(token, own), "top_logprobs": top})
        else:
            certain = _build_token(token, 1.0)
            tokens.append({**certain, "top_logprobs": [certain] if n_top else []})
    return tokens


def _split_tokens(content: str) -> list[str]:
    """Words, signs and numbers; digits inside quoted text stay with their words, so that each digit is a rating."""
    tokens: list[str] = []
    for part in re.findall(r'"(?:[^"\\]|\\.)*"|[^"]+', content):
        tokens += [part] if part.startswith('"') else _split_plain(part)
    return tokens


def _split_plain(part: str) -> list[str]:
    return re.findall(r"\d+|\s+|[^\s\d]+", part)


def _build_token(token: str, share: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(max(share, 1e-9)), "bytes": list(token.encode())}


def read_lesson(messages: tuple[tuple[str, str], ...], reply: str) -> Lesson | None:
    """Return the lesson of a post and the reply wanted of it; None if the reply holds no ratings."""
    try:
        ratings = dict(_find_ratings(json.loads(reply), "reply"))
    except ValueError:
        return None
    post = find_post(messages)
    return Lesson(post.text, post.context, ratings) if ratings else None


def _find_ratings(node: Any, name: str) -> list[tuple[str, float]]:
    if isinstance(node, dict):
        found = []
        for key, inner in node.items():
            found += _find_ratings(inner, name if key in ("rating", "score", "value") else key)
        return found
    return [(name, float(node))] if isinstance(node, int | float) and not isinstance(node, bool) else []


def _learn_from_shots(question: Question) -> Correction | None:
    spoken = [message for message in question.messages if message[0] in ("user", "assistant")]
    asked_at = max((place for place, (role, text) in enumerate(spoken) if _is_post(role, text)), default=0)
    return _learn_shots(tuple(spoken[:asked_at])) if asked_at > 1 else None


def _is_post(role: str, text: str) -> bool:
    return role == "user" and "{" in text and _find_object(text) is not None


@lru_cache(maxsize=32)
def _learn_shots(spoken: tuple[tuple[str, str], ...]) -> Correction | None:
    lessons = [
        lesson
        for said, reply in zip(spoken[::2], spoken[1::2], strict=False)
        if (lesson := read_lesson((said,), reply[1])) is not None
    ]
    return learn(lessons)
