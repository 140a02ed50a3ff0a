"""What batches and fine-tuning share: a client that waits for each answer, files, and lists in pages."""

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from .channel import Channel, Reply, Server
from .faults import CallFault, FaultKind, ProviderFault

PAGE_LENGTH = 100


class RemoteClient:
    """A context manager that asks one provider, one request after the other.

    Every request raises `ProviderFault` when nothing usable came back within the provider's deadline, and within ten
    minutes for a file.
    """

    def __init__(self, provider: Server, *, deadline_seconds: float | None = None) -> None:
        self._channel = Channel(provider, deadline_seconds=deadline_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and end the thread. Safe to call twice."""
        self._channel.close()

    def delete_file(self, file_id: str) -> None:
        """Have a file deleted at the provider, with the posts in it. Nothing happens if it is gone already."""
        try:
            self._ask("DELETE", build_path("files", file_id))
        except ProviderFault as error:
            if error.kind is not FaultKind.MODEL_GONE:
                raise

    def delete_files(self, file_ids: Iterable[str]) -> list[str]:
        """Have files deleted as far as the provider can be reached; return those that are left."""
        left = []
        for file_id in file_ids:
            try:
                self.delete_file(file_id)
            except ProviderFault:
                left.append(file_id)
        return left

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        return self._channel.wait(self._channel.ask(method, path, body))

    def _upload(self, name: str, content: bytes, purpose: str) -> str:
        reply = self._channel.wait(self._channel.upload(name, content, purpose))
        return read_id(reply)

    def _iterate(self, path: str) -> Iterator[Reply]:
        """Yield each entry of a list, newest first, page by page."""
        after = ""
        while True:
            options = {"limit": PAGE_LENGTH} | ({"after": after} if after else {})
            page = self._ask("GET", f"{path}?{urlencode(options)}")
            entries = page.body.get("data")
            entries = (
                [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
            )
            yield from (Reply(entry, page.is_standin, page.latency_seconds) for entry in entries)
            last = read_text(entries[-1], "id") if entries else ""
            if page.body.get("has_more") is not True or not last or last == after:
                return
            after = last


def build_path(*parts: str) -> str:
    """Return a path of the API; what a provider called something cannot lead anywhere else."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def read_id(reply: Reply) -> str:
    """Return the id the provider gave. ProviderFault where it gave none."""
    told = read_text(reply.body, "id")
    if not told:
        raise ProviderFault(CallFault(FaultKind.NO_CHOICE, "The provider's answer names no id."))
    return told


def read_text(body: Mapping[str, Any], field: str) -> str:
    """Return a text of an answer, '' where it has none."""
    told = body.get(field)
    return told if isinstance(told, str) else ""


def read_count(body: Mapping[str, Any], field: str) -> int | None:
    """Return a count of an answer, None where it has none."""
    told = body.get(field)
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else None
