"""The way to one provider: a thread with an event loop and OpenAI's client in it, and a total deadline per request."""

import asyncio
import functools
import logging
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import IO, Any, Protocol, Self, TypeVar, cast
from urllib.parse import urlsplit

import httpx2
import openai

from .chat import read_body
from .faults import BODY_LENGTH, CallFault, FaultKind, ProviderFault, redact
from .statuses import read_status

MOST_BYTES = 1_000_000  # of an answer; no reply that is wanted here comes near
MOST_FILE_BYTES = 2_000_000_000  # of a batch's results
STANDIN_HEADER = "x-parallax-standin"
OPENAI = "openai"
MOST_CONNECTIONS = 100
IDLE_SECONDS = 3.0  # shorter than servers keep a connection, so that none is used just as it is closed
CONNECT_SECONDS = 10.0
FILE_SECONDS = 600.0  # for a file to go or come

# The loggers below tell of requests and headers as soon as somebody turns debugging on.
for _name in ("openai", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

T = TypeVar("T")


class Server(Protocol):
    """A provider as the installation describes it."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def key_variable(self) -> str: ...
    @property
    def deadline_seconds(self) -> float: ...
    @property
    def is_standin(self) -> bool: ...
    def get_key(self) -> str: ...


@dataclass(frozen=True)
class Reply:
    """The JSON object that came back, from whom, and after how long."""

    body: dict[str, Any]
    is_standin: bool
    latency_seconds: float


class _TooLarge(Exception):
    pass


class _CutOff(Exception):
    pass


class _Encoded(Exception):
    pass


class Channel:
    """A context manager; requests are coroutines handed to `submit` or, to wait for the result, to `wait`."""

    def __init__(self, provider: Server, *, deadline_seconds: float | None = None) -> None:
        self.provider = provider
        self.deadline_seconds = deadline_seconds or provider.deadline_seconds
        self._key = provider.get_key().strip()
        self._http = httpx2.AsyncClient(
            verify=_load_certificates(),
            trust_env=not _is_here(provider.base_url),  # a proxy of the environment cannot reach this machine
            follow_redirects=False,
            event_hooks={"response": [_guard]},
            limits=httpx2.Limits(
                max_connections=MOST_CONNECTIONS,
                max_keepalive_connections=MOST_CONNECTIONS,
                keepalive_expiry=IDLE_SECONDS,
            ),
        )
        self._client = self._make_client() if self._find_key_fault() is None else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"ask-{provider.name}", daemon=True)
        self._thread.start()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start a coroutine in the channel's thread. RuntimeError once the channel is closed."""
        if self._is_closed:
            coroutine.close()
            raise RuntimeError("The channel to the provider is closed.")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, or raise what it raises."""
        return self.submit(coroutine).result()

    def close(self) -> None:
        """Give up what is under way, close every connection and end the thread. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cleanse(self, fault: CallFault) -> CallFault:
        """Return the fault without the key in it, should the provider have repeated it."""
        body = redact(fault.body, self._key, BODY_LENGTH)
        return replace(fault, message=redact(fault.message, self._key, 2 * BODY_LENGTH), body=body)

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """Send one request and return the JSON object that came back.

        Raises
        ------
        ProviderFault
            Saying why nothing usable came back, and after how long.
        """

        async def send(client: openai.AsyncOpenAI) -> httpx2.Response:
            if method == "POST":
                return await client.post(path, cast_to=httpx2.Response, body=body)
            if method == "DELETE":
                return await client.delete(path, cast_to=httpx2.Response)
            return await client.get(path, cast_to=httpx2.Response)

        return await self._exchange(send, body or {})

    async def upload(self, name: str, content: bytes, purpose: str) -> Reply:
        """Send a file and return what the provider says of it. ProviderFault as `ask`."""

        async def send(client: openai.AsyncOpenAI) -> httpx2.Response:
            raw = await client.files.with_raw_response.create(
                file=(name, content, "application/jsonl"), purpose=cast(Any, purpose)
            )
            return raw.http_response

        return await self._exchange(send, {}, FILE_SECONDS)

    async def download(self, file_id: str, target: IO[bytes]) -> bool:
        """Write a file's content to `target`; return whether the stand-in sent it. ProviderFault as `ask`."""
        started = time.monotonic()

        async def receive(client: openai.AsyncOpenAI) -> bool:
            async with client.files.with_streaming_response.content(file_id) as answer:
                async for chunk in answer.iter_bytes():
                    target.write(chunk)
                return self._is_standin(answer.headers)

        return await self._within_deadline(receive, {}, FILE_SECONDS, started)

    async def _exchange(
        self,
        send: "Callable[[openai.AsyncOpenAI], Coroutine[Any, Any, httpx2.Response]]",
        body: Mapping[str, Any],
        seconds: float = 0.0,
    ) -> Reply:
        started = time.monotonic()
        response = await self._within_deadline(send, body, seconds, started)
        latency = time.monotonic() - started
        is_standin = self._is_standin(response.headers)
        try:
            told = read_body(response.content)
            if not isinstance(told, dict):
                raise ValueError("no object")
        except ValueError:
            raise ProviderFault(
                CallFault(
                    kind=FaultKind.NOT_JSON,
                    message=f"The provider answered {response.status_code} with something other than a JSON object.",
                    latency_seconds=latency,
                    body=redact(response.content.decode("utf-8", "replace"), self._key, BODY_LENGTH),
                    is_standin=is_standin,
                )
            ) from None
        return Reply(told, is_standin, latency)

    async def _within_deadline(
        self,
        act: "Callable[[openai.AsyncOpenAI], Coroutine[Any, Any, T]]",
        body: Mapping[str, Any],
        seconds: float,
        started: float,
    ) -> T:
        """Do what `act` does; whatever goes wrong becomes a ProviderFault."""
        missing = self._find_key_fault()
        if missing or self._client is None:
            raise ProviderFault(missing or self._closed())
        deadline = max(seconds, self.deadline_seconds)
        try:
            async with asyncio.timeout(deadline):
                return await act(self._client)
        except Exception as error:
            fault = self._explain(error, body, deadline)
        raise ProviderFault(replace(fault, latency_seconds=time.monotonic() - started))

    def _explain(self, error: Exception, body: Mapping[str, Any], deadline: float) -> CallFault:
        host = urlsplit(self.provider.base_url).netloc
        match error:
            case openai.APIStatusError():
                answer = error.response
                fault = read_status(
                    answer.status_code, answer.headers, answer.content, body=body, key=self._key
                )
                if fault.kind is FaultKind.KEY_REFUSED and not self._key:
                    fault = replace(fault, kind=FaultKind.KEY_MISSING, message=self._tell_missing())
                return replace(fault, is_standin=self._is_standin(answer.headers))
            case TimeoutError() | openai.APITimeoutError():
                told = f"The provider did not finish its answer within {deadline:g} seconds."
                return CallFault(FaultKind.TIMEOUT, told)
            case _TooLarge():
                return CallFault(FaultKind.TOO_LARGE, "The provider's answer was too large to be read.")
            case _CutOff():
                return CallFault(FaultKind.CUT_OFF, "The provider's answer broke off before its end.")
            case _Encoded():
                return CallFault(
                    FaultKind.NOT_JSON, "The provider compressed its answer though asked not to."
                )
            case openai.APIConnectionError():
                cause = error.__cause__
                detail = (
                    f" ({redact(str(cause), self._key)})" if isinstance(cause, httpx2.ConnectError) else ""
                )
                return CallFault(FaultKind.UNREACHABLE, f"No answer came from {host}{detail}.")
            case UnicodeError():
                return CallFault(FaultKind.BAD_REQUEST, "The text holds characters that cannot be sent.")
        # The type alone: the text of an unforeseen error may hold the request.
        return CallFault(FaultKind.BAD_REQUEST, f"The call could not be made ({type(error).__name__}).")

    def _find_key_fault(self) -> CallFault | None:
        if not self._key and self.provider.name == OPENAI:
            return CallFault(FaultKind.KEY_MISSING, self._tell_missing())
        if not (self._key.isascii() and self._key.isprintable()) or " " in self._key:
            told = f"The environment variable {self.provider.key_variable} holds characters that no key has."
            return CallFault(FaultKind.KEY_REFUSED, told)
        return None

    def _tell_missing(self) -> str:
        return (
            f"There is no key for the provider “{self.provider.name}”: whoever runs this server must set the "
            f"environment variable {self.provider.key_variable}."
        )

    def _is_standin(self, headers: Mapping[str, str]) -> bool:
        return self.provider.is_standin or headers.get(STANDIN_HEADER) == "1"

    def _make_client(self) -> openai.AsyncOpenAI:
        key = self._key or "none"  # servers at home ask for none; the client insists on sending one
        client = openai.AsyncOpenAI(
            api_key=key,
            base_url=self.provider.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(
                self.deadline_seconds, connect=min(CONNECT_SECONDS, self.deadline_seconds)
            ),
            http_client=self._http,
            # Set here too so that a header from the client's own environment variable cannot replace it.
            default_headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
        )
        if (
            self.provider.name != OPENAI
        ):  # what the environment says of the account at OpenAI is nobody else's
            client.organization = client.project = None
        return client

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _end(self) -> None:
        under_way = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._http.aclose()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _closed(self) -> CallFault:
        return CallFault(FaultKind.UNREACHABLE, "The call was given up before an answer came.")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


@functools.cache
def _load_certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _GuardedStream(httpx2.AsyncByteStream):
    """A body that stops being read past `most` bytes, and tells breaking off from never having begun."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_bytes = 0
        try:
            async for chunk in self._stream:
                n_bytes += len(chunk)
                if n_bytes > self._most:
                    raise _TooLarge
                yield chunk
        except httpx2.TimeoutException:
            raise
        except httpx2.TransportError:
            raise _CutOff from None

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _guard(response: httpx2.Response) -> None:
    most = MOST_FILE_BYTES if response.request.url.path.endswith("/content") else MOST_BYTES
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _TooLarge
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _Encoded  # what unpacks to more than it is would slip past the limit
    response.stream = _GuardedStream(cast(httpx2.AsyncByteStream, response.stream), most)
