"""Many questions as one file, answered within a day at a lower price: the Batch API."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from .channel import MOST_BYTES, Reply
from .chat import (
    CHAT_PATH,
    MAX_COMPLETION_TOKENS,
    Answer,
    ChatRequest,
    read_body,
    read_completion,
)
from .faults import CallFault, FaultKind, make_storable, redact
from .remote import RemoteClient, build_path, read_count, read_id, read_text
from .statuses import SETTINGS, read_status

MOST_LINES = 50_000
MOST_FILE_BYTES = 200_000_000
FINISHED = frozenset({"completed", "failed", "expired", "cancelled"})
_ENDPOINT = f"/v1{CHAT_PATH}"
_IN_MEMORY = 8_000_000


@dataclass(frozen=True)
class BatchStatus:
    """How a batch stands.

    Attributes
    ----------
    remote_id, input_file : as the provider calls them
    state : 'validating', 'in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling', 'cancelled'
    n_total, n_done, n_failed : of its lines, 0 until counted
    output_file, error_file : of its results, '' where there is none
    problem : why it failed, '' if it did not
    is_standin : whether it comes from no real model
    """

    remote_id: str
    input_file: str
    state: str
    n_total: int
    n_done: int
    n_failed: int
    output_file: str
    error_file: str
    problem: str
    is_standin: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will come; one that was cancelled or expired may hold answers all the same."""
        return self.state in FINISHED

    @property
    def result_files(self) -> list[str]:
        """The files to read results from."""
        return [file for file in (self.output_file, self.error_file) if file]


def write_batch(
    lines: Iterable[tuple[str, ChatRequest]], *, limit_field: str = MAX_COMPLETION_TOKENS
) -> bytes:
    """Return a batch's file, one line per request.

    Parameters
    ----------
    lines : an id of one's own, by which the answer will be known, and the request
    limit_field : how the server calls the longest reply, see `caller.pick_limit_field`

    Raises
    ------
    ValueError
        For no line, more than 50,000 or than 200 MB, an id that is empty, longer than 512 characters or used
        twice, or requests to more than one model.
    """
    content = bytearray()
    seen: set[str] = set()
    models: set[str] = set()
    for custom_id, request in lines:
        if not 0 < len(custom_id) <= 512 or custom_id in seen:
            raise ValueError(
                f"Line {len(seen) + 1} of a batch has an empty, long or repeated id: {custom_id!r}."
            )
        seen.add(custom_id)
        models.add(request.model)
        line = {
            "custom_id": custom_id,
            "method": "POST",
            "url": _ENDPOINT,
            "body": request.to_body(limit_field),
        }
        content += json.dumps(line).encode() + b"\n"
        if len(seen) > MOST_LINES or len(content) > MOST_FILE_BYTES:
            raise ValueError(f"A batch holds at most {MOST_LINES:,} requests and 200 MB; make it two.")
    if len(models) != 1:
        raise ValueError(f"All requests of a batch ask the same model; these ask {len(models)}.")
    return bytes(content)


class BatchClient(RemoteClient):
    """Hands batches to a provider and fetches what came of them."""

    def upload(self, content: bytes) -> str:
        """Send a batch's file; return what the provider calls it."""
        return self._upload("batch.jsonl", content, "batch")

    def create(self, file_id: str) -> BatchStatus:
        """Order the batch of a file that was uploaded. Look with `find` first where it may be there already."""
        asked = {"input_file_id": file_id, "endpoint": _ENDPOINT, "completion_window": "24h"}
        return _read_batch(self._ask("POST", "/batches", asked))

    def find(self, file_id: str) -> BatchStatus | None:
        """Return the newest batch of a file; None if there is none, as after a crash between upload and order."""
        for entry in self._iterate("/batches"):
            if entry.body.get("input_file_id") == file_id:
                return _read_batch(entry)
        return None

    def look(self, remote_id: str) -> BatchStatus:
        """Return how a batch stands."""
        return _read_batch(self._ask("GET", build_path("batches", remote_id)))

    def cancel(self, remote_id: str) -> BatchStatus:
        """Ask for a batch to be stopped; what was answered is kept and paid for."""
        return _read_batch(self._ask("POST", build_path("batches", remote_id, "cancel"), {}))

    def read_results(self, file_ids: Iterable[str]) -> Iterator[tuple[str, Answer | CallFault]]:
        """Yield each line of result files: its id and what came of it; '' for a line that names none."""
        for file_id in file_ids:
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
                is_standin = self._channel.wait(self._channel.download(file_id, file))
                file.seek(0)
                for line in _iterate_lines(file):
                    custom_id, outcome = _read_line(line, is_standin)
                    if isinstance(outcome, CallFault):
                        outcome = self._channel.cleanse(outcome)
                    yield custom_id, outcome


def _iterate_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not blank; of one above the limit only the beginning, which is no JSON."""
    most = 5 * MOST_BYTES
    while line := file.readline(most):
        rest = line
        while len(rest) == most and not rest.endswith(b"\n"):
            rest = file.readline(most)
        if line.strip():
            yield line


def _read_line(line: bytes, is_standin: bool) -> tuple[str, Answer | CallFault]:
    try:
        told = read_body(line)
        if not isinstance(told, dict):
            raise ValueError("no object")
    except ValueError:
        message = "A line of the batch's results is no JSON object."
        body = redact(line[:MOST_BYTES].decode("utf-8", "replace"))
        return "", CallFault(FaultKind.NOT_JSON, message, body=body, is_standin=is_standin)
    return read_text(told, "custom_id"), _read_result(told, is_standin)


def _read_result(told: dict[str, Any], is_standin: bool) -> Answer | CallFault:
    response = told.get("response")
    if not isinstance(response, dict):
        error = told.get("error")
        said = read_text(error, "message") if isinstance(error, dict) else ""
        message = redact(f"The batch ended before this call was answered. {said}".strip())
        return CallFault(FaultKind.TIMEOUT, message, is_standin=is_standin)
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and isinstance(body, dict):
        return read_completion(body, is_standin=is_standin)
    if not isinstance(status, int) or status == 200:
        message = "A line of the batch's results holds no answer."
        return CallFault(FaultKind.NOT_JSON, message, is_standin=is_standin)
    fault = read_status(status, {}, json.dumps(body).encode(), body=dict.fromkeys(SETTINGS))
    return CallFault(
        fault.kind,
        fault.message,
        body=fault.body,
        concerns_setting=fault.concerns_setting,
        is_standin=is_standin,
    )


def _read_batch(reply: Reply) -> BatchStatus:
    body = reply.body
    counts = body.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    errors = body.get("errors")
    entries = errors.get("data") if isinstance(errors, dict) else None
    said = [read_text(entry, "message") for entry in entries or [] if isinstance(entry, dict)]
    return BatchStatus(
        remote_id=read_id(reply),
        input_file=read_text(body, "input_file_id"),
        state=read_text(body, "status"),
        n_total=read_count(counts, "total") or 0,
        n_done=read_count(counts, "completed") or 0,
        n_failed=read_count(counts, "failed") or 0,
        output_file=read_text(body, "output_file_id"),
        error_file=read_text(body, "error_file_id"),
        problem=redact(" ".join(make_storable(text) for text in said[:5] if text)),
        is_standin=reply.is_standin,
    )
