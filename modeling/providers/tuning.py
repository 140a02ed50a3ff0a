"""Fine-tuning at a provider: whether a file of examples will be taken, and the job that learns from it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .channel import Reply
from .faults import redact
from .pricing import estimate_tokens
from .remote import RemoteClient, build_path, read_count, read_id, read_text

FEWEST_EXAMPLES = 10
MOST_FILE_BYTES = 512_000_000
MOST_TOKENS = 65_536  # of one example
MOST_FAULTS = 50
FINISHED = frozenset({"succeeded", "failed", "cancelled"})
_ROLES = ("system", "developer", "user", "assistant")
_FIELDS = frozenset({"role", "content", "name", "weight"})
_JOBS = "/fine_tuning/jobs"


@dataclass(frozen=True)
class TuningStatus:
    """How a fine-tuning job stands.

    Attributes
    ----------
    remote_id, input_file : as the provider calls them
    state : 'validating_files', 'queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'
    model : the model it made, '' until then
    trained_tokens : what is paid for, over all epochs; None until told
    error : why it failed, '' if it did not
    is_standin : whether it is no real training
    """

    remote_id: str
    input_file: str
    state: str
    model: str
    trained_tokens: int | None
    error: str
    is_standin: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will come."""
        return self.state in FINISHED


@dataclass(frozen=True)
class TuningEvent:
    """What a provider tells of a job; `created_at` in seconds since 1970, None if not told."""

    remote_id: str
    created_at: int | None
    level: str
    message: str


def validate_examples(lines: Iterable[str]) -> list[str]:
    """Return what a provider would refuse in a file of examples, one sentence each with its line; [] if nothing.

    Parameters
    ----------
    lines : of a JSONL file, each `{"messages": [{"role": ..., "content": ...}, ...]}`

    Notes
    -----
    The rules are OpenAI's for chat models: ten examples or more, 512 MB at most, known roles, texts that are not
    empty, a reply at the end, 65,536 tokens per example (about: counted without the model's tokenizer). After 50
    faults the rest is counted only.
    """
    faults: list[str] = []
    n_lines = n_bytes = 0
    for n_lines, line in enumerate(lines, start=1):
        n_bytes += len(line.encode("utf-8", "replace")) + 1
        faults += [f"Line {n_lines}: {fault}" for fault in _check_example(line)]
    if n_lines < FEWEST_EXAMPLES:
        faults.append(f"There are {n_lines} examples; at least {FEWEST_EXAMPLES} are needed.")
    if n_bytes > MOST_FILE_BYTES:
        faults.append(f"The file holds {n_bytes:,} bytes; at most {MOST_FILE_BYTES:,} are taken.")
    if len(faults) > MOST_FAULTS:
        faults[MOST_FAULTS:] = [f"And {len(faults) - MOST_FAULTS} more."]
    return faults


def _check_example(line: str) -> list[str]:
    try:
        example = json.loads(line)
        line.encode()
    except (ValueError, RecursionError):
        return ["no JSON."]
    messages = example.get("messages") if isinstance(example, dict) else None
    if not isinstance(messages, list) or not messages:
        return ["an example is an object with a list of messages."]
    faults = [
        f"message {number}: {fault}"
        for number, message in enumerate(messages, start=1)
        for fault in _check_message(message)
    ]
    if faults:
        return faults
    if extra := sorted(set(example) - {"messages"}):
        faults.append(f"only messages are known beside which there is {', '.join(extra)}.")
    if messages[-1]["role"] != "assistant":
        faults.append("the last message must be the assistant's.")
    n_tokens = estimate_tokens(messages)
    if n_tokens > MOST_TOKENS:
        faults.append(f"about {n_tokens:,} tokens; at most {MOST_TOKENS:,} are taken.")
    return faults


def _check_message(message: Any) -> list[str]:
    if not isinstance(message, Mapping):
        return ["no object."]
    faults = []
    if message.get("role") not in _ROLES:
        faults.append(f"the role must be one of {', '.join(_ROLES)}.")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        faults.append("the content must be a text that is not empty.")
    if extra := sorted(set(message) - _FIELDS):
        faults.append(f"there is no field {', '.join(extra)}.")
    if "weight" in message and (message.get("role") != "assistant" or message["weight"] not in (0, 1)):
        faults.append("a weight is 0 or 1 and stands with the assistant's messages only.")
    return faults


class TuningClient(RemoteClient):
    """Hands examples to a provider and follows the job that learns from them."""

    def upload(self, content: bytes) -> str:
        """Send a file of examples; return what the provider calls it."""
        return self._upload("examples.jsonl", content, "fine-tune")

    def create(
        self, model: str, file_id: str, *, seed: int | None, n_epochs: int | None, suffix: str
    ) -> TuningStatus:
        """Start a job. Look with `find` first where it may be there already: a second one would be paid for too.

        Parameters
        ----------
        model : what is tuned
        file_id : of the examples
        seed : None leaves it to the provider
        n_epochs : how often each example is seen, None leaves it to the provider
        suffix : becomes part of the new model's name, '' for none
        """
        asked: dict[str, Any] = {
            "model": model,
            "training_file": file_id,
            "method": {
                "type": "supervised",
                "supervised": {"hyperparameters": {"n_epochs": n_epochs or "auto"}},
            },
        }
        if seed is not None:
            asked["seed"] = seed
        if suffix:
            asked["suffix"] = suffix
        return _read_job(self._ask("POST", _JOBS, asked))

    def find(self, file_id: str) -> TuningStatus | None:
        """Return the newest job of a file; None if there is none, as after a crash between upload and start."""
        for entry in self._iterate(_JOBS):
            if entry.body.get("training_file") == file_id:
                return _read_job(entry)
        return None

    def look(self, remote_id: str) -> TuningStatus:
        """Return how a job stands."""
        return _read_job(self._ask("GET", _JOBS + build_path(remote_id)))

    def cancel(self, remote_id: str) -> TuningStatus:
        """Stop a job."""
        return _read_job(self._ask("POST", _JOBS + build_path(remote_id, "cancel"), {}))

    def events(self, remote_id: str, after: str = "") -> list[TuningEvent]:
        """Return a job's events, oldest first; only those later than the event `after`, if given."""
        events: list[TuningEvent] = []
        for entry in self._iterate(_JOBS + build_path(remote_id, "events")):
            told = read_text(entry.body, "id")
            if after and told == after:
                break
            events.append(
                TuningEvent(
                    remote_id=told,
                    created_at=read_count(entry.body, "created_at"),
                    level=read_text(entry.body, "level"),
                    message=redact(read_text(entry.body, "message")),
                )
            )
        return events[::-1]


def _read_job(reply: Reply) -> TuningStatus:
    error = reply.body.get("error")
    return TuningStatus(
        remote_id=read_id(reply),
        input_file=read_text(reply.body, "training_file"),
        state=read_text(reply.body, "status"),
        model=read_text(reply.body, "fine_tuned_model"),
        trained_tokens=read_count(reply.body, "trained_tokens"),
        error=redact(read_text(error, "message")) if isinstance(error, dict) else "",
        is_standin=reply.is_standin,
    )
