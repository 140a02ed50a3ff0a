"""What the stand-in was asked and how it answered, for tests that count calls."""

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request.

    `at_seconds` counts from the start; `text_sha256` is of the post's text, '' without one; `status` is 0 while the
    answer is under way and for an answer that never came; `is_paid` marks a completion that was answered in full.
    """

    number: int
    at_seconds: float
    method: str
    path: str
    model: str = ""
    text_sha256: str = ""
    status: int = 0
    fault: str = ""
    is_paid: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Ledger:
    """All requests in the order in which they came. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._entries: list[Asked] = []
        self._open: set[int] = set()
        self.most_at_once = 0

    def begin(self, method: str, path: str, *, model: str = "", text_sha256: str = "") -> int:
        """Write down a request and return its number, counted from 0."""
        with self._lock:
            number = len(self._entries)
            at_seconds = time.monotonic() - self._began
            self._entries.append(Asked(number, at_seconds, method, path, model, text_sha256))
            self._open.add(number)
            self.most_at_once = max(self.most_at_once, len(self._open))
        return number

    def end(self, number: int, status: int, **facts: Any) -> None:
        """Write down how a request ended."""
        with self._lock:
            self._entries[number] = replace(self._entries[number], status=status, **facts)
            self._open.discard(number)

    def read(self, *, path: str | None = None, model: str | None = None) -> list[Asked]:
        """Return the requests so far, of one path or one model if it is named."""
        with self._lock:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if (path is None or entry.path == path) and (model is None or entry.model == model)
        ]

    def n_paid(self, *, model: str | None = None) -> int:
        """Return how many completions were answered in full, those of batches among them."""
        return sum(entry.is_paid for entry in self.read(model=model))

    def paid_by_text(self, *, model: str | None = None) -> Counter[str]:
        """Return how many completions were answered in full for each post, by the hash of its text."""
        return Counter(entry.text_sha256 for entry in self.read(model=model) if entry.is_paid)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and entries as JSON holds them."""
        entries = self.read()
        return {
            "n_requests": len(entries),
            "n_paid": sum(entry.is_paid for entry in entries),
            "most_at_once": self.most_at_once,
            "by_path": Counter(entry.path for entry in entries),
            "by_status": Counter(str(entry.status) for entry in entries),
            "by_fault": Counter(entry.fault for entry in entries if entry.fault),
            "requests": [asdict(entry) for entry in entries],
        }
