"""Files that were uploaded to the stand-in, and those that its batches write."""

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StoredFile:
    """One file with its name and purpose."""

    id: str
    content: bytes
    filename: str
    purpose: str
    created_at: int

    def to_body(self) -> dict[str, Any]:
        """Return the file as the API describes it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


class FileStore:
    """Files in memory, gone with the server. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, StoredFile] = {}

    def add(self, content: bytes, *, filename: str, purpose: str) -> StoredFile:
        """Keep a file under a new id."""
        file = StoredFile(f"file-{secrets.token_hex(12)}", content, filename, purpose, int(time.time()))
        with self._lock:
            self._files[file.id] = file
        return file

    def get(self, identifier: str) -> StoredFile | None:
        """Return a file, None if there is none."""
        with self._lock:
            return self._files.get(identifier)

    def remove(self, identifier: str) -> bool:
        """Forget a file; whether there was one."""
        with self._lock:
            return self._files.pop(identifier, None) is not None

    def all(self) -> list[StoredFile]:
        """Return all files, newest first."""
        with self._lock:
            return list(self._files.values())[::-1]


def read_multipart(body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """Return the fields of a multipart form: for each name its file name ('' without one) and content.

    Raises
    ------
    ValueError
        If the body is no such form.
    """
    _, found, boundary = content_type.partition("boundary=")
    if not content_type.startswith("multipart/form-data") or not found:
        raise ValueError("The body must be a multipart form.")
    mark = b"--" + boundary.split(";")[0].strip().strip('"').encode()
    fields: dict[str, tuple[str, bytes]] = {}
    for part in body.split(mark)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        options = _read_disposition(head.decode("utf-8", "replace"))
        fields[options.get("name", "")] = (options.get("filename", ""), content.removesuffix(b"\r\n"))
    return fields


def _read_disposition(head: str) -> dict[str, str]:
    line = next((line for line in head.splitlines() if line.lower().startswith("content-disposition:")), "")
    pairs = (part.strip().partition("=") for part in line.split(";")[1:])
    return {name: value.strip('"') for name, _, value in pairs}
