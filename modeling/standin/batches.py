"""Batches of chat requests, answered in a thread of their own."""

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .files import FileStore
from .script import CHAT_PATH, Script

MOST_LINES = 50_000
MOST_BYTES = 200_000_000
DAY_SECONDS = 86_400
FINAL_STATES = frozenset({"completed", "failed", "expired", "cancelled"})

# Answers one line's body with a status and a body.
Complete = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


@dataclass
class Batch:
    """One batch as the API describes it; its thread changes it."""

    input_file_id: str
    endpoint: str
    id: str = field(default_factory=lambda: f"batch_{secrets.token_hex(12)}")
    status: str = "validating"
    errors: list[dict[str, Any]] = field(default_factory=list)
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int = field(default_factory=lambda: int(time.time()))
    ended_at: int | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    metadata: dict[str, Any] | None = None
    cancelling: threading.Event = field(default_factory=threading.Event)

    def to_body(self) -> dict[str, Any]:
        """Return the batch as the API describes it."""
        ended = {f"{state}_at": self.ended_at if self.status == state else None for state in FINAL_STATES}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "in_progress_at": self.created_at,
            "expires_at": self.created_at + DAY_SECONDS,
            "finalizing_at": self.ended_at,
            "cancelling_at": self.ended_at if self.cancelling.is_set() else None,
            **ended,
            "request_counts": {"total": self.total, "completed": self.completed, "failed": self.failed},
            "metadata": self.metadata,
        }


class BatchStore:
    """All batches of a server."""

    def __init__(self, files: FileStore, complete: Complete, closing: threading.Event) -> None:
        self._files = files
        self._complete = complete
        self._closing = closing
        self._batches: dict[str, Batch] = {}

    def create(self, body: dict[str, Any], script: Script) -> Batch:
        """Begin a batch. Raises ValueError for what the API refuses at once."""
        if body.get("endpoint") != CHAT_PATH:
            raise ValueError(f"The stand-in knows batches for {CHAT_PATH} only.")
        if body.get("completion_window") != "24h":
            raise ValueError("completion_window must be 24h.")
        file = self._files.get(str(body.get("input_file_id")))
        if file is None or file.purpose != "batch":
            raise ValueError("input_file_id names no file that was uploaded for a batch.")
        batch = Batch(file.id, CHAT_PATH, metadata=body.get("metadata"))
        self._batches[batch.id] = batch
        threading.Thread(target=self._run, args=(batch, file.content, script), daemon=True).start()
        return batch

    def get(self, identifier: str) -> Batch | None:
        """Return a batch, None if there is none."""
        return self._batches.get(identifier)

    def all(self) -> list[Batch]:
        """Return all batches, newest first."""
        return list(self._batches.values())[::-1]

    def cancel(self, batch: Batch) -> None:
        """Ask a batch to stop; what it answered is kept."""
        if batch.status not in FINAL_STATES:
            batch.cancelling.set()
            batch.status = "cancelling"

    def _run(self, batch: Batch, content: bytes, script: Script) -> None:
        began = time.monotonic()
        lines, faults = read_lines(content)
        if script.batch_ends == "failed":
            faults = [_fault("server_error", "The stand-in was told to fail batches.", None)]
        if faults:
            batch.errors, batch.ended_at, batch.status = faults, int(time.time()), "failed"
            return
        batch.total = len(lines)
        if not batch.cancelling.is_set():
            batch.status = "in_progress"
        answered = len(lines) // 2 if script.batch_ends == "expired" else len(lines)
        outputs: list[str] = []
        errors: list[str] = []
        for line in lines[:answered]:
            if batch.cancelling.is_set() or self._closing.is_set():
                break
            status, body = self._complete(line["body"])
            response = {"status_code": status, "request_id": secrets.token_hex(8), "body": body}
            (outputs if status == 200 else errors).append(_write_line(line, response, None))
            batch.completed, batch.failed = len(outputs), len(errors)
        rest = script.batch_seconds - (time.monotonic() - began)
        if rest > 0:
            batch.cancelling.wait(rest)
        stopped = batch.cancelling.is_set()
        reason = "batch_cancelled" if stopped else "batch_expired"
        done = len(outputs) + len(errors)
        errors += [
            _write_line(line, None, {"code": reason, "message": "This request was not answered."})
            for line in lines[done:]
        ]
        batch.failed = len(errors)
        batch.status = "finalizing"
        batch.output_file_id = self._keep(batch, "output", outputs)
        batch.error_file_id = self._keep(batch, "error", errors)
        batch.ended_at = int(time.time())
        batch.status = "cancelled" if stopped else script.batch_ends

    def _keep(self, batch: Batch, kind: str, lines: list[str]) -> str | None:
        if not lines:
            return None
        content = "".join(f"{line}\n" for line in lines).encode()
        return self._files.add(content, filename=f"{batch.id}_{kind}.jsonl", purpose="batch_output").id


def read_lines(content: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the requests of a batch's file and its faults, as the API names them."""
    lines: list[dict[str, Any]] = []
    faults: list[dict[str, Any]] = []
    seen: set[str] = set()
    models: set[Any] = set()
    if len(content) > MOST_BYTES:
        return [], [_fault("file_too_large", "The file holds more than 200 MB.", None)]
    for number, raw in enumerate(content.splitlines(), start=1):
        try:
            line = json.loads(raw)
            custom_id, body = line["custom_id"], line["body"]
            is_known = line["method"] == "POST" and line["url"] == CHAT_PATH and isinstance(body, dict)
        except (ValueError, KeyError, TypeError):
            faults.append(_fault("invalid_json_line", "The line is no request of a batch.", number))
            continue
        if not is_known:
            faults.append(_fault("invalid_url", f"The line must POST to {CHAT_PATH}.", number))
        elif not isinstance(custom_id, str) or custom_id in seen:
            faults.append(_fault("duplicate_custom_id", "The custom_id is missing or used twice.", number))
        else:
            seen.add(custom_id)
            models.add(str(body.get("model")))
            lines.append(line)
    if len(models) > 1:
        faults.append(_fault("mismatched_model", "All requests of a batch must name the same model.", None))
    if not lines and not faults:
        faults.append(_fault("empty_file", "The file holds no requests.", None))
    if len(lines) > MOST_LINES:
        faults.append(_fault("too_many_requests", f"A batch holds at most {MOST_LINES:,} requests.", None))
    return lines, faults


def _fault(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "line": line, "param": None}


def _write_line(line: dict[str, Any], response: dict[str, Any] | None, error: dict[str, Any] | None) -> str:
    return json.dumps(
        {
            "id": f"batch_req_{secrets.token_hex(8)}",
            "custom_id": line["custom_id"],
            "response": response,
            "error": error,
        }
    )
