"""What tests ask of an installation: a function of this module with its arguments, a line of JSON for each.

Whoever needs a second process of Django pays seconds for it; this one stays.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import django

django.setup()

import numpy as np  # noqa: E402 - after Django is set up
from django.core.files.storage import storages  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from annotation.models import Study  # noqa: E402
from jobs import registry, services  # noqa: E402
from jobs.models import Job  # noqa: E402
from jobs.queueing import send_hint  # noqa: E402
from modeling import scratch, serving  # noqa: E402
from modeling.models import FitRun, FittedFile, ScoreFile, ScoreRun  # noqa: E402
from modeling.scoring.requests import request_scores  # noqa: E402
from modeling.scoring.store import Scores  # noqa: E402
from modeling.services import compute_fit, request_fit  # noqa: E402
from tests.modeling.rated import FEW, make_rated_study  # noqa: E402

Answer = dict[str, Any]


def make_study() -> str:
    return make_rated_study().slug


def compute_undisturbed(slug: str, **changes: Any) -> Answer:
    """Return the hashes of all files of a fit that nothing befell, and leave none of them behind."""
    study = Study.objects.get(slug=slug)
    finished = compute_fit(study, replace(FEW, **changes))
    for name in list_stored():
        if f"-{slug}-" in name:
            storages["artefacts"].delete(name)
    return {"artefact": finished.digest} | {file.role: file.sha256 for file in finished.files}


def ask_for_fit(slug: str, **changes: Any) -> int:
    return request_fit(Study.objects.get(slug=slug), replace(FEW, **changes)).pk


def fit_here(slug: str, **changes: Any) -> int:
    job = services.run_here(Job.objects.get(pk=ask_for_fit(slug, **changes)), poll_seconds=0.02)
    return job.result["fit_run"]


def ask_side_by_side(slug: str, times: int) -> list[int]:
    """Ask for the same fit in as many threads at once; return the jobs that came of it."""
    start, found = threading.Barrier(times), []

    def ask() -> None:
        start.wait()
        found.append(ask_for_fit(slug))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def ask_for_scores(slug: str) -> int:
    return request_scores(serving.find_serving_fit(Study.objects.get(slug=slug))).pk


def send_hints(job: int, times: int) -> None:
    """Deliver the messages of a job and of its parts again and again."""
    numbers = [job, *Job.objects.filter(whole=job).values_list("pk", flat=True)]
    for _ in range(times):
        for number in numbers:
            send_hint(number)


def cancel(job: int) -> bool:
    return services.cancel(Job.objects.get(pk=job))


def retry(job: int) -> bool:
    return services.retry(Job.objects.get(pk=job))


def predict(slug: str) -> Answer:
    """Return which fit serves, and the hash of what it predicts for everyone."""
    serves = serving.load_serving(Study.objects.get(slug=slug))
    consensus = np.array([row for _, row in sorted(serves.post_scores().items())])
    scores = [serves.score_all(value, consensus) for value in range(len(serves.value_keys))]
    return {"fit_run": serves.fit_run.pk, "digest": hashlib.sha256(np.stack(scores).tobytes()).hexdigest()}


def describe(slug: str) -> Answer:
    """Return the hashes of each fit's files by role, how complete its scores are, and what is wrong in the storage."""
    rows = {
        **dict(FitRun.objects.values_list("artefact", "artefact_sha256")),
        **dict(FittedFile.objects.values_list("name", "sha256")),
        **dict(ScoreFile.objects.values_list("name", "sha256")),
        **dict(ScoreRun.objects.values_list("axes", "axes_sha256")),
    }
    ours = [name for name in list_stored() if f"-{slug}-" in name]
    return {
        "fits": [
            {"artefact": fit_run.artefact_sha256} | dict(fit_run.files.values_list("role", "sha256"))
            for fit_run in FitRun.objects.filter(study__slug=slug).order_by("pk")
        ],
        "scores": [
            {"n_files": run.files.count(), "shape": list(read_scores(run).shape)}
            for run in ScoreRun.objects.filter(fit_run__study__slug=slug).order_by("pk")
        ],
        "scratch": [name for name in ours if name.startswith(scratch.name_scratch(slug))],
        "without_a_row": [name for name in ours if name not in rows],
        "damaged": [name for name in ours if name in rows and hash_stored(name) != rows[name]],
        "missing": [name for name in rows if f"-{slug}-" in name and name not in ours],
    }


def read_scores(run: ScoreRun) -> np.ndarray:
    return Scores(run).read_raters(0, run.n_raters)


def list_stored() -> list[str]:
    return storages["artefacts"].listdir("")[1]


def hash_stored(name: str) -> str:
    with storages["artefacts"].open(name) as file:
        return hashlib.sha256(file.read()).hexdigest()


def list_jobs(job: int) -> list[Answer]:
    """Return a job and its parts."""
    rows = [*Job.objects.filter(pk=job), *Job.objects.filter(whole=job).order_by("place")]
    return [
        {
            "unit": row.payload.get("unit", ""),
            "state": row.state,
            "attempts": row.attempts,
            "error": row.error,
        }
        for row in rows
    ]


def furthest_from_scores(slug: str) -> float:
    """Return by how much the stored scores differ at most from what serves."""
    serves = serving.load_serving(Study.objects.get(slug=slug))
    run = ScoreRun.objects.get(fit_run=serves.fit_run)
    known = serves.post_scores()
    consensus = np.array([known[post] for post in Scores(run).post_ids.tolist()])
    predicted = [serves.score_all(value, consensus) for value in range(len(serves.value_keys))]
    return float(np.abs(np.stack(predicted) - read_scores(run)).max())


def die_at_each_statement(slug: str, step: int) -> int:
    """Fit and score again and again, each time killed a step further on; returns how many times it was killed."""
    kills = 0
    while not survives(partial(fit_and_score, slug, seed=kills, statements=step * kills)):
        if not survives(partial(fit_and_score, slug, seed=kills)):
            raise RuntimeError(f"what was killed {kills} times did not recover")
        kills += 1
    return kills


def survives(work: Callable[[], Any]) -> bool:
    """Do work in a process of its own; False when it is killed. Raises RuntimeError when it fails."""
    connection.close()
    child = os.fork()
    if not child:
        code = 1
        try:
            if connection.vendor == "sqlite":  # a killed process loses nothing that the system was given
                connection.cursor().execute("PRAGMA synchronous=OFF")
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code > 0:
        raise RuntimeError("a process failed that nobody killed")
    return code == 0


def fit_and_score(slug: str, *, seed: int, statements: int | None = None) -> None:
    """Fit with a seed and score by that fit, killed after as many statements."""
    Job.objects.filter(state=Job.State.RUNNING).update(lease_until=timezone.now())
    services.sweep()
    left = [statements]

    def count(execute: Callable[..., Any], *arguments: Any) -> Any:
        if left[0] is not None:
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
        return execute(*arguments)

    with connection.execute_wrapper(count):
        fit_run = FitRun.objects.get(pk=fit_here(slug, seed=seed))
        if not fit_run.score_runs.exists():
            services.run_here(request_scores(fit_run), poll_seconds=0.02)


def main() -> None:
    registry.autodiscover()
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        name, args, options = json.loads(line)
        function: Callable[..., Any] = globals()[name]
        try:
            answer = {"answer": function(*args, **options)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
