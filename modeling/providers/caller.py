"""Questions to a model, many at once from one thread: `submit` returns a future that holds the answer or the fault."""

import asyncio
import time
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from .channel import Channel, Reply, Server
from .chat import (
    CHAT_PATH,
    MAX_COMPLETION_TOKENS,
    MAX_TOKENS,
    Answer,
    ChatRequest,
    read_completion,
)
from .faults import CallFault, FaultKind, ProviderFault
from .statuses import names_parameter

__all__ = ["Answer", "CallFault", "Caller", "ChatRequest", "pick_limit_field", "read_completion"]


class Caller:
    """A context manager that asks one provider; leaving it gives up what is under way.

    Nothing is tried again here, with one exception: a server that does not know the field in which the longest
    reply is told is asked once more with the other.
    """

    def __init__(self, provider: Server, *, deadline_seconds: float | None = None) -> None:
        self._channel = Channel(provider, deadline_seconds=deadline_seconds)
        self._limit_field = pick_limit_field(provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is under way, close every connection and end the thread. Safe to call twice."""
        self._channel.close()

    def submit(self, request: ChatRequest) -> "Future[Answer | CallFault]":
        """Send a request; the future never raises, unless it is cancelled. RuntimeError once closed."""
        return self._channel.submit(self._ask(request))

    async def _ask(self, request: ChatRequest) -> Answer | CallFault:
        started = time.monotonic()
        try:
            reply = await self._send(request)
        except ProviderFault as error:
            return replace(error.fault, latency_seconds=time.monotonic() - started)
        except asyncio.CancelledError:
            told = "The call was given up before an answer came."
            return CallFault(FaultKind.UNREACHABLE, told, latency_seconds=time.monotonic() - started)
        seconds = time.monotonic() - started
        outcome = read_completion(reply.body, latency_seconds=seconds, is_standin=reply.is_standin)
        return self._channel.cleanse(outcome) if isinstance(outcome, CallFault) else outcome

    async def _send(self, request: ChatRequest) -> Reply:
        field = self._limit_field
        try:
            return await self._channel.ask("POST", CHAT_PATH, request.to_body(field))
        except ProviderFault as error:
            if not names_parameter(error.fault, field):
                raise
        other = MAX_TOKENS if field == MAX_COMPLETION_TOKENS else MAX_COMPLETION_TOKENS
        self._limit_field = other
        return await self._channel.ask("POST", CHAT_PATH, request.to_body(other))


def pick_limit_field(provider: Server) -> str:
    """Return the name under which a server is told the longest reply.

    OpenAI's newer models refuse 'max_tokens'; Ollama and others take 'max_completion_tokens' without a word and
    then heed no limit.
    """
    host = urlsplit(provider.base_url).hostname or ""
    at_openai = host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
    return MAX_COMPLETION_TOKENS if at_openai or provider.is_standin else MAX_TOKENS
