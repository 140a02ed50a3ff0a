"""One request to the stand-in: its address is found, its fault played, its answer written in one piece."""

import contextlib
import json
import socket
import struct
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from .batches import Batch
from .completions import FINGERPRINT, read_question
from .embeddings import embed
from .files import read_multipart
from .script import CHAT_PATH, IN_CONTENT, Fault, Script, Verdict
from .tuning import TuningJob

if TYPE_CHECKING:
    from .server import StandIn

HOST = "127.0.0.1"
MARK_HEADER = "x-parallax-standin"
MOST_BODY_BYTES = 512_000_000
FOREVER_SECONDS = 86_400.0
_PAGE = b"<!doctype html><html><head><title>Please wait</title></head><body><h1>We will be back soon</h1></body></html>"
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
_STATUSES = {
    Fault.RATE_LIMITED: 429,
    Fault.QUOTA: 429,
    Fault.SERVER_ERROR: 500,
    Fault.BAD_GATEWAY: 502,
    Fault.RESET: 0,
    Fault.KEY_REVOKED: 401,
    Fault.MODEL_GONE: 404,
}
_BREAKING = frozenset({Fault.RESET, Fault.CUT_OFF, Fault.MALFORMED_JSON, Fault.HTML_200, Fault.BAD_GATEWAY})
Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    """A thread for each connection; all of them can be broken at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, standin: "StandIn") -> None:
        self.standin = standin
        self.connections: set[socket.socket] = set()
        super().__init__((HOST, port), Handler)

    def break_connections(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of a server's; any other is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        """Begin a connection."""
        super().setup()
        self.standin = self.server.standin
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """End a connection."""
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in the ledger, not printed."""

    def do_GET(self) -> None:
        """Answer a question about something that exists."""
        self._handle(b"")

    def do_DELETE(self) -> None:
        """Remove something."""
        self._handle(b"")

    def do_POST(self) -> None:
        """Answer a request that has a body."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            self.close_connection = True
            self._write(
                413, describe_error("The body has no length or is too long.", "invalid_request_error")
            )
            return
        self._handle(self.rfile.read(int(length)))

    def _handle(self, raw: bytes) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith("/standin/"):
            self._write(*self._steer(path, raw))
            return
        standin = self.standin
        if standin.key is not None and self.headers.get("Authorization") != f"Bearer {standin.key}":
            asked = standin.requests.begin(self.command, path)
            standin.requests.end(asked, 401)
            self._write(
                401, describe_error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
            )
            return
        if path == CHAT_PATH and self.command == "POST":
            self._chat(raw)
            return
        asked = standin.requests.begin(self.command, path)
        verdict = standin.player.judge(_group(path), raw)
        if verdict.fault is not None and verdict.fault not in IN_CONTENT:
            self._fail(asked, verdict, b"{}")
            return
        try:
            status, body = self._route(path, query, raw)
        except ValueError as error:
            status, body = 400, describe_error(str(error), "invalid_request_error")
        standin.requests.end(asked, status)
        self._write(status, body)

    def _chat(self, raw: bytes) -> None:
        standin = self.standin
        try:
            question = read_question(json.loads(raw))
            verdict = standin.player.judge(CHAT_PATH, raw, model=question.model, text=question.post.text)
        except ValueError as error:
            asked = standin.requests.begin("POST", CHAT_PATH)
            standin.requests.end(asked, 400)
            self._write(400, describe_error(str(error), "invalid_request_error"))
            return
        asked = standin.requests.begin(
            "POST", CHAT_PATH, model=question.model, text_sha256=question.text_sha256
        )
        if standin.script.latency_seconds:
            standin.closing.wait(standin.script.latency_seconds)
        fault = verdict.fault
        if fault is None and not standin.is_known(question.model):
            self._fail(asked, Verdict(Fault.MODEL_GONE), b"")
        elif fault is None or fault in IN_CONTENT:
            reply = standin.complete(question, verdict)
            # Written down first: who has the reply finds it in the ledger.
            standin.requests.end(asked, 200, fault=fault or "", is_paid=True, **read_usage(reply))
            self._write(200, reply)
        else:
            needs_body = fault in (Fault.CUT_OFF, Fault.DRIP, Fault.MALFORMED_JSON)
            body = json.dumps(standin.complete(question, Verdict())).encode() if needs_body else b""
            self._fail(asked, verdict, body)

    def _fail(self, asked: int, verdict: Verdict, body: bytes) -> None:
        """Play a fault that lies outside what a reply contains."""
        fault, end = verdict.fault or Fault.SERVER_ERROR, self.standin.requests.end
        status = _STATUSES.get(fault, 200)
        self.close_connection = fault not in (Fault.RATE_LIMITED, Fault.QUOTA, Fault.SERVER_ERROR)
        if fault is Fault.HANG:
            self.standin.closing.wait(FOREVER_SECONDS)
            end(asked, 0, fault=fault)
        elif fault is Fault.DRIP:
            self._drip(body)
            end(asked, status, fault=fault)
        else:
            end(asked, status, fault=fault)
            if fault in _BREAKING:
                self._break_off(fault, body)
            else:
                self._refuse(verdict, status)

    def _drip(self, body: bytes) -> None:
        self._send(_head(200, len(body), "application/json"))
        for place in range(len(body)):
            if not self._send(body[place : place + 1]) or self.standin.closing.wait(1):
                break

    def _break_off(self, fault: Fault, body: bytes) -> None:
        if fault is Fault.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.server.connections.discard(self.connection)
            self.connection.close()
        elif fault is Fault.CUT_OFF:
            self._send(_head(200, len(body), "application/json") + body[: len(body) // 2])
        elif fault is Fault.MALFORMED_JSON:
            self._write_bytes(200, body[: len(body) // 2], "application/json")
        else:
            self._write_bytes(_STATUSES.get(fault, 200), _PAGE, "text/html; charset=utf-8")

    def _refuse(self, verdict: Verdict, status: int) -> None:
        headers = ""
        if verdict.fault is Fault.RATE_LIMITED:
            seconds = f"{verdict.retry_after:.3f}".rstrip("0").rstrip(".")
            headers = f"Retry-After: {seconds}\r\n"
            told = describe_error(
                f"Rate limit reached. Try again in {seconds}s.", "requests", "rate_limit_exceeded"
            )
        elif verdict.fault is Fault.QUOTA:
            told = describe_error(
                "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"
            )
        elif verdict.fault is Fault.KEY_REVOKED:
            told = describe_error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        elif verdict.fault is Fault.MODEL_GONE:
            told = describe_error("The model does not exist.", "invalid_request_error", "model_not_found")
        else:
            told = describe_error("The server had an error.", "server_error")
        self._write(status, told, headers)

    def _route(self, path: str, query: str, raw: bytes) -> Answer:
        method, parts = self.command, [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        match method, parts[1:] if parts[0] == "v1" else []:
            case "GET", ["models"]:
                names = ["standin-large", "standin-small", *self.standin.tuning.models]
                return 200, _list([_describe_model(name) for name in names])
            case "GET", ["models", name]:
                return (
                    (200, _describe_model(name)) if self.standin.is_known(name) else _missing("model", name)
                )
            case "POST", ["embeddings"]:
                return 200, embed(json.loads(raw))
            case _, ["files", *rest]:
                return self._route_files(method, rest, raw)
            case _, ["batches", *rest]:
                return self._route_batches(method, rest, raw)
            case _, ["fine_tuning", "jobs", *rest]:
                return self._route_tuning(method, rest, query, raw)
        return _missing("address", path)

    def _route_files(self, method: str, rest: list[str], raw: bytes) -> Answer:
        files = self.standin.files
        match method, rest:
            case "GET", []:
                return 200, _list([file.to_body() for file in files.all()])
            case "POST", []:
                form = read_multipart(raw, self.headers.get("Content-Type", ""))
                if "file" not in form or "purpose" not in form:
                    raise ValueError("The form needs a file and a purpose.")
                name, content = form["file"]
                return 200, files.add(content, filename=name, purpose=form["purpose"][1].decode()).to_body()
        file = files.get(rest[0])
        if file is None:
            return _missing("file", rest[0])
        match method, rest[1:]:
            case "GET", []:
                return 200, file.to_body()
            case "GET", ["content"]:
                return 200, file.content
            case "DELETE", []:
                files.remove(file.id)
                return 200, {"id": file.id, "object": "file", "deleted": True}
        return _missing("address", self.path)

    def _route_batches(self, method: str, rest: list[str], raw: bytes) -> Answer:
        batches = self.standin.batches
        match method, rest:
            case "GET", []:
                return 200, _list([batch.to_body() for batch in batches.all()])
            case "POST", []:
                return 200, batches.create(_read_object(raw), self.standin.script).to_body()
        batch: Batch | None = batches.get(rest[0])
        if batch is None:
            return _missing("batch", rest[0])
        if (method, rest[1:]) == ("POST", ["cancel"]):
            batches.cancel(batch)
        elif (method, rest[1:]) != ("GET", []):
            return _missing("address", self.path)
        return 200, batch.to_body()

    def _route_tuning(self, method: str, rest: list[str], query: str, raw: bytes) -> Answer:
        tuning = self.standin.tuning
        match method, rest:
            case "GET", []:
                return 200, _list([job.to_body() for job in tuning.all()])
            case "POST", []:
                return 200, tuning.create(_read_object(raw), self.standin.script).to_body()
        job: TuningJob | None = tuning.get(rest[0])
        if job is None:
            return _missing("fine-tuning job", rest[0])
        if (method, rest[1:]) == ("GET", ["events"]):
            return 200, _list_events(job, dict(urllib.parse.parse_qsl(query)))
        if (method, rest[1:]) == ("POST", ["cancel"]):
            tuning.cancel(job)
        elif (method, rest[1:]) != ("GET", []):
            return _missing("address", self.path)
        return 200, job.to_body()

    def _steer(self, path: str, raw: bytes) -> Answer:
        """Answer the addresses that no provider has: the script and the ledger."""
        if path == "/standin/ledger" and self.command == "GET":
            return 200, self.standin.requests.to_dict()
        if path != "/standin/script":
            return _missing("address", path)
        if self.command == "POST":
            try:
                self.standin.script = Script.from_dict(_read_object(raw))
            except (ValueError, TypeError) as error:
                return 400, describe_error(str(error), "invalid_request_error")
        return 200, self.standin.script.to_dict()

    def _write(self, status: int, body: Any, headers: str = "") -> None:
        if isinstance(body, bytes):
            self._write_bytes(status, body, "application/octet-stream")
        else:
            self._write_bytes(status, json.dumps(body).encode(), "application/json", headers)

    def _write_bytes(self, status: int, body: bytes, content_type: str, headers: str = "") -> None:
        if self.close_connection:
            headers += "Connection: close\r\n"
        self._send(_head(status, len(body), content_type, headers) + body)

    def _send(self, content: bytes) -> bool:
        """Send bytes; whether the client was still there."""
        try:
            self.wfile.write(content)
        except OSError:
            self.close_connection = True
            return False
        return True


def describe_error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """Return an error's body as the API words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def read_usage(reply: dict[str, Any]) -> dict[str, int]:
    """Return the tokens that a completion counts."""
    usage = reply["usage"]
    return {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": usage["completion_tokens"]}


def _head(status: int, length: int, content_type: str, headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n"
        f"{MARK_HEADER}: 1\r\n{headers}\r\n"
    ).encode()


def _group(path: str) -> str:
    """The address that rules name: '/v1/batches' also for one batch."""
    parts = path.split("/")
    return "/".join(parts[:4] if parts[2:3] == ["fine_tuning"] else parts[:3])


def _missing(what: str, name: str) -> Answer:
    return 404, describe_error(f"There is no {what} '{name}'.", "invalid_request_error", "not_found")


def _read_object(raw: bytes) -> dict[str, Any]:
    body = json.loads(raw)
    if not isinstance(body, dict):
        raise ValueError("The body must be a JSON object.")
    return body


def _list(data: list[dict[str, Any]]) -> dict[str, Any]:
    ends = (
        {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
        if data
        else {"first_id": None, "last_id": None}
    )
    return {"object": "list", "data": data, "has_more": False, **ends}


def _describe_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": FINGERPRINT}


def _list_events(job: TuningJob, options: dict[str, str]) -> dict[str, Any]:
    """Events of a job, newest first; `after` names the last one seen of those."""
    events = job.events[::-1]
    if after := options.get("after"):
        place = next((place for place, event in enumerate(events) if event["id"] == after), None)
        events = events[place + 1 :] if place is not None else []
    limit = int(options.get("limit", "20"))
    return {**_list(events[:limit]), "has_more": len(events) > limit}
