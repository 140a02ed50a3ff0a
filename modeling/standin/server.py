"""A stand-in for a provider of language models: OpenAI's HTTP API on this machine, for tests and rehearsals.

Its replies come from no real model. They say so in a header and in `system_fingerprint`, and whoever stores them
marks them for ever.
"""

import json
import threading
from types import TracebackType
from typing import Any

from .batches import BatchStore
from .completions import Question, answer, read_question
from .files import FileStore
from .handling import HOST, Server, describe_error, read_usage
from .ledger import Ledger
from .script import CHAT_PATH, IN_CONTENT, Fault, Player, Script, Verdict
from .tuning import TuningStore


class StandIn:
    """The server, in a thread of this process, while the context lasts.

    Attributes
    ----------
    requests : Ledger
        What was asked and how it was answered.
    files, batches, tuning :
        What was uploaded and ordered.
    """

    def __init__(self, port: int = 0, *, script: Script | None = None, key: str | None = None) -> None:
        """`port` 0 takes any free one; `key` is the only one accepted, None accepts any."""
        self.key = key
        self.player = Player(script or Script())
        self.requests = Ledger()
        self.files = FileStore()
        self.closing = threading.Event()
        self.batches = BatchStore(self.files, self._complete_line, self.closing)
        self.tuning = TuningStore(self.files, self.closing)
        self._server = Server(port, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the API begins, for a client's `base_url`."""
        return f"http://{HOST}:{self._server.server_address[1]}/v1"

    @property
    def script(self) -> Script:
        """How it behaves; a new one begins at once and counts from zero."""
        return self.player.script

    @script.setter
    def script(self, script: Script) -> None:
        self.player = Player(script)

    def n_paid(self, *, model: str | None = None) -> int:
        """Return how many completions were answered in full."""
        return self.requests.n_paid(model=model)

    def close(self) -> None:
        """Stop serving and break every connection, those that hang too."""
        self.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.break_connections()

    def complete(self, question: Question, verdict: Verdict) -> dict[str, Any]:
        """Return the body of a completion."""
        fault = verdict.fault if verdict.fault in IN_CONTENT else None
        correction = self.tuning.models.get(question.model)
        return answer(
            question,
            correction=correction,
            fault=fault,
            gullible=self.script.gullible,
            plant=self.script.plant,
        )

    def is_known(self, model: str) -> bool:
        """Whether a model exists: any name does, save those of tuned models that were never made here."""
        return not model.startswith("ft:") or model in self.tuning.models

    def _complete_line(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        raw = json.dumps(body).encode()
        try:
            question = read_question(body)
            verdict = self.player.judge(CHAT_PATH, raw, model=question.model, text=question.post.text)
        except ValueError as error:
            return 400, describe_error(str(error), "invalid_request_error")
        asked = self.requests.begin(
            "BATCH", CHAT_PATH, model=question.model, text_sha256=question.text_sha256
        )
        fault = verdict.fault
        if not self.is_known(question.model) or fault is Fault.MODEL_GONE:
            self.requests.end(asked, 404, fault=fault or "")
            return 404, describe_error(
                "The model does not exist.", "invalid_request_error", "model_not_found"
            )
        if fault is not None and fault not in IN_CONTENT:
            status = 429 if fault in (Fault.RATE_LIMITED, Fault.QUOTA) else 500
            self.requests.end(asked, status, fault=fault)
            return status, describe_error("The stand-in was told to fail here.", "server_error")
        reply = self.complete(question, verdict)
        self.requests.end(asked, 200, fault=fault or "", is_paid=True, **read_usage(reply))
        return 200, reply
