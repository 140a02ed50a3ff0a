"""A server on this machine that answers as a test tells it to, byte by byte if need be."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from config.llm_providers import Provider

COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "model": "tiny-1",
    "system_fingerprint": "fp_1",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"a": 1}'}}
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5},
}


class Request(BaseHTTPRequestHandler):
    """One request; `answer` and `raw` are what behaviours use, `n_before` counts the earlier ones."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.asked = json.loads(content) if content.startswith(b"{") else content
        with self.server.lock:
            self.server.asked.append((self.path, self.asked, self.headers, self.client_address))
            self.n_before = len(self.server.asked) - 1
        self.server.behave(self)

    def do_GET(self):
        self.do_POST()

    def answer(self, status=200, body=COMPLETION, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def raw(self, content):
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that went away is what many tests are about."""


class OddServer:
    """A context manager; `asked` is what came: (path, body, headers, the client's address)."""

    def __init__(self, behave: Callable[[Request], None] = lambda request: request.answer()):
        self._server = _Server(("127.0.0.1", 0), Request)
        self._server.behave = behave
        self._server.asked = self.asked = []
        self._server.lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def provide(self, **settings):
        """Return a provider for this server; its key is in the variable LLM_ODD_API_KEY, if anywhere."""
        described = {
            "name": "odd",
            "base_url": self.url,
            "key_variable": "LLM_ODD_API_KEY",
            "deadline_seconds": 5.0,
        }
        return Provider(**described | settings)
