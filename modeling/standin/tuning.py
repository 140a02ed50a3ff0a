"""Fine-tuning jobs of the stand-in: it checks the file, learns from it, and offers what it learned as a model."""

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .completions import count_tokens, read_lesson
from .files import FileStore
from .learning import Correction, Lesson, learn
from .script import Script

FEWEST_EXAMPLES = 10
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})
DEFAULT_EPOCHS = 3


@dataclass
class TuningJob:
    """One job as the API describes it; its thread changes it."""

    model: str
    training_file: str
    n_epochs: int
    seed: int
    suffix: str
    id: str = field(default_factory=lambda: f"ftjob-{secrets.token_hex(12)}")
    status: str = "validating_files"
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    error: dict[str, Any] = field(default_factory=dict)
    created_at: int = field(default_factory=lambda: int(time.time()))
    finished_at: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    cancelling: threading.Event = field(default_factory=threading.Event)

    def to_body(self) -> dict[str, Any]:
        """Return the job as the API describes it."""
        settings = {"n_epochs": self.n_epochs, "batch_size": "auto", "learning_rate_multiplier": "auto"}
        return {
            "id": self.id,
            "object": "fine_tuning.job",
            "model": self.model,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
            "fine_tuned_model": self.fine_tuned_model,
            "organization_id": "org-standin",
            "result_files": [],
            "status": self.status,
            "validation_file": None,
            "training_file": self.training_file,
            "hyperparameters": settings,
            "method": {"type": "supervised", "supervised": {"hyperparameters": settings}},
            "trained_tokens": self.trained_tokens,
            "error": self.error or {"code": None, "message": None, "param": None},
            "seed": self.seed,
            "estimated_finish": None,
            "integrations": [],
        }

    def tell(self, message: str, level: str = "info", **data: Any) -> None:
        """Add an event."""
        self.events.append(
            {
                "id": f"ftevent-{len(self.events):04d}-{self.id[6:]}",
                "object": "fine_tuning.job.event",
                "created_at": int(time.time()),
                "level": level,
                "message": message,
                "type": "metrics" if data else "message",
                "data": data,
            }
        )


class TuningStore:
    """All jobs of a server and the models that they made."""

    def __init__(self, files: FileStore, closing: threading.Event) -> None:
        self._files = files
        self._closing = closing
        self._jobs: dict[str, TuningJob] = {}
        self.models: dict[str, Correction] = {}

    def create(self, body: dict[str, Any], script: Script) -> TuningJob:
        """Begin a job. Raises ValueError for what the API refuses at once."""
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise ValueError("A job needs the name of a model.")
        file = self._files.get(str(body.get("training_file")))
        if file is None or file.purpose != "fine-tune":
            raise ValueError("training_file names no file that was uploaded for fine-tuning.")
        method = body.get("method") or {}
        settings = (
            (method.get("supervised") or {}).get("hyperparameters") or body.get("hyperparameters") or {}
        )
        epochs = settings.get("n_epochs", "auto")
        if epochs != "auto" and (type(epochs) is not int or not 1 <= epochs <= 50):
            raise ValueError("n_epochs must be 'auto' or a whole number from 1 to 50.")
        job = TuningJob(
            model=model,
            training_file=file.id,
            n_epochs=DEFAULT_EPOCHS if epochs == "auto" else epochs,
            seed=body.get("seed") or 0,
            suffix=str(body.get("suffix") or ""),
        )
        job.tell(f"Created fine-tuning job: {job.id}")
        self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, file.content, script), daemon=True).start()
        return job

    def get(self, identifier: str) -> TuningJob | None:
        """Return a job, None if there is none."""
        return self._jobs.get(identifier)

    def all(self) -> list[TuningJob]:
        """Return all jobs, newest first."""
        return list(self._jobs.values())[::-1]

    def cancel(self, job: TuningJob) -> None:
        """Stop a job that is not over."""
        if job.status not in FINAL_STATES:
            job.cancelling.set()
            self._end(job, "cancelled", "The job has been cancelled.")

    def _run(self, job: TuningJob, content: bytes, script: Script) -> None:
        lessons, n_tokens, faults = read_examples(content)
        if faults:
            job.error = {
                "code": "invalid_training_file",
                "message": " ".join(faults[:5]),
                "param": "training_file",
            }
            self._end(job, "failed", job.error["message"], level="error")
            return
        job.tell("Files validated, moving job to queued state")
        job.status = "running"
        job.tell("Fine-tuning job started")
        correction = learn(lessons)
        for epoch in range(1, job.n_epochs + 1):
            job.cancelling.wait(script.tuning_seconds / job.n_epochs)
            if job.cancelling.is_set() or self._closing.is_set():
                return
            job.tell(f"Epoch {epoch} of {job.n_epochs} done", step=epoch, total_steps=job.n_epochs)
        if script.tuning_ends == "failed" or correction is None:
            job.error = {"code": "server_error", "message": "The job failed.", "param": None}
            self._end(job, "failed", "The job failed.", level="error")
            return
        name = f"ft:{job.model}:parallax:{job.suffix}:{job.id[6:14]}"
        self.models[name] = correction
        job.fine_tuned_model = name
        job.trained_tokens = n_tokens * job.n_epochs
        self._end(job, "succeeded", "The job has successfully completed")

    def _end(self, job: TuningJob, status: str, message: str, *, level: str = "info") -> None:
        job.tell(message, level)
        job.finished_at = int(time.time())
        job.status = status


def read_examples(content: bytes) -> tuple[list[Lesson], int, list[str]]:
    """Return the lessons of a training file, its tokens, and its faults in words."""
    lessons: list[Lesson] = []
    faults: list[str] = []
    n_tokens = 0
    for number, raw in enumerate(content.splitlines(), start=1):
        try:
            messages = tuple((message["role"], message["content"]) for message in json.loads(raw)["messages"])
            said = [isinstance(role, str) and isinstance(text, str) for role, text in messages]
        except (ValueError, KeyError, TypeError):
            faults.append(f"Line {number} is no example with messages of role and content.")
            continue
        if not messages or not all(said) or messages[-1][0] != "assistant":
            faults.append(f"Line {number} must end with a message of the assistant.")
            continue
        n_tokens += sum(count_tokens(text) for _, text in messages)
        if lesson := read_lesson(messages[:-1], messages[-1][1]):
            lessons.append(lesson)
        else:
            faults.append(f"Line {number}: the stand-in learns only from replies with ratings as JSON.")
    if not faults and len(lessons) < FEWEST_EXAMPLES:
        faults.append(
            f"Training file has {len(lessons)} example(s), but must have at least {FEWEST_EXAMPLES}."
        )
    return lessons, n_tokens, faults
