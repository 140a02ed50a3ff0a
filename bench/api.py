"""How long the scoring API takes, as a program sees it: HTTP to gunicorn, PostgreSQL behind it, a fit of 19 values.

The study is the demonstration's, with ratings and calibration answers drawn here, fitted so that
the forests that serve have their 500 trees. One program asks over one connection, one request after the other; its
times include the token, the count of requests, JSON both ways and the connection.
"""

import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench import CannotRun, Timing, bench
from bench.serving import PROC, gunicorn, percentile, read_processes, run_to_end, sum_ticks
from tests.services import PrivatePostgres, PrivateRedis, ServiceError

N_RATERS, N_POSTS_EACH = 100, 20
N_WARM_UP, N_REQUESTS = 30, 200
N_POSTS = 100
HUNDRED_POSTS = ("predict_100_text", "predict_100_vector", "rerank_100_text", "rerank_100_vector")
ONE_POST_MS_AT_MOST, HUNDRED_POSTS_MS_AT_MOST = 20.0, 50.0

MAKE_STUDY = """
from bench.api import fill_study, fit_study
fit_study(fill_study())
"""


@bench("api_latency")
def api_latency() -> Timing:
    """Median milliseconds of a request for one post and for 100 posts, given as text and as consensus vectors.

    `ratio` is how many times shorter the slowest median of one post is than what is allowed.

    Raises CannotRun without PostgreSQL, Redis or /proc, and ValueError when an answer is not what was asked for.
    """
    if not (PROC / "self/stat").exists():
        raise CannotRun("The server's CPU is read from /proc, which this system does not have.")
    load_before = os.getloadavg()
    try:
        with scoring_server() as site:
            parts = measure(site)
    except ServiceError as error:
        raise CannotRun(str(error)) from error
    medians = {name: part["p50_ms"] for name, part in parts.items()}
    one = max(medians["predict_1_text"], medians["predict_1_vector"])
    hundred = max(medians[name] for name in HUNDRED_POSTS)
    return Timing(
        ratio=ONE_POST_MS_AT_MOST / one,
        reference=f"what is allowed: {ONE_POST_MS_AT_MOST:g} ms for one post, {HUNDRED_POSTS_MS_AT_MOST:g} ms for 100",
        medians={"ours": one, "reference": ONE_POST_MS_AT_MOST, "hundred_posts": hundred},
        unit="ms",
        more={
            "parts": parts,
            "n_requests": N_REQUESTS,
            "n_values": site.n_values,
            "load_average": {
                "before": [round(load, 2) for load in load_before],
                "after": [round(load, 2) for load in os.getloadavg()],
            },
        },
    )


# --- asking ------------------------------------------------------------------------------------


@dataclass
class Site:
    """A served study: where and by which process, by which token, and whom and what one can ask about."""

    address: str
    pid: int
    secret: str
    pseudonyms: list[str]
    texts: list[str]
    n_values: int = 0


class Program:
    """One connection that is kept, as a program's would be."""

    def __init__(self, site: Site) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(site.address).netloc, timeout=120)
        self.headers = {"Authorization": f"Bearer {site.secret}", "Content-Type": "application/json"}

    def ask(self, name: str, content: Any = None) -> tuple[float, dict[str, Any]]:
        """Return the milliseconds to the answer's last byte, and the answer. Raises ValueError for a problem."""
        body = None if content is None else json.dumps(content).encode()
        begun = time.perf_counter()
        self.connection.request("GET" if body is None else "POST", f"/api/v1/{name}", body, self.headers)
        response = self.connection.getresponse()
        text = response.read()
        spent_ms = (time.perf_counter() - begun) * 1000
        if response.status != 200:
            raise ValueError(f"The API answered {response.status} to {name}: {text[:500]!r}")
        return spent_ms, json.loads(text)


def measure(site: Site) -> dict[str, dict[str, float]]:
    """Ask each kind of question N_REQUESTS times; milliseconds: median, 95th percentile, and the server's CPU."""
    program = Program(site)
    first_ms, told = program.ask("values")
    site.n_values = len(told["values"])
    value, low = told["values"][0]["key"], told["scale"]["lowest"]
    known = [{"pseudonym": pseudonym} for pseudonym in site.pseudonyms]
    new = {"answers": [low + 1] * len(told["questions"])}
    texts = [{"text": text} for text in site.texts]
    vectors = [
        {"consensus": [(place + step) % 5 for step in range(site.n_values)]} for place in range(N_POSTS)
    ]

    def cut(posts: list[dict[str, Any]], number: int, n_posts: int) -> list[dict[str, Any]]:
        return [posts[(number + place) % len(posts)] for place in range(n_posts)]

    def predict(posts: list[dict[str, Any]], n_posts: int, rater: dict[str, Any] | None = None) -> Callable:
        return lambda number: (
            "predict",
            {"rater": rater or known[number % len(known)], "posts": cut(posts, number, n_posts)},
        )

    def rerank(posts: list[dict[str, Any]]) -> Callable:
        return lambda number: (
            "rerank",
            {"rater": known[number % len(known)], "value": value, "posts": cut(posts, number, N_POSTS)},
        )

    first_prediction_ms, _ = program.ask(*predict(texts, 1)(0))
    kinds = {
        "predict_1_text": predict(texts, 1),
        "predict_1_vector": predict(vectors, 1),
        "predict_1_vector_new_rater": predict(vectors, 1, new),
        "predict_100_text": predict(texts, N_POSTS),
        "predict_100_vector": predict(vectors, N_POSTS),
        "predict_100_vector_new_rater": predict(vectors, N_POSTS, new),
        "rerank_100_text": rerank(texts),
        "rerank_100_vector": rerank(vectors),
    }
    found = {}
    for name, make in kinds.items():
        for number in range(N_WARM_UP):
            program.ask(*make(number))
        ticks = sum_ticks(read_processes(), site.pid)
        times = [program.ask(*make(number))[0] for number in range(N_REQUESTS)]
        ticks = sum_ticks(read_processes(), site.pid) - ticks
        found[name] = {
            "p50_ms": statistics.median(times),
            "p95_ms": percentile(times, 95),
            "server_cpu_ms": ticks * 1000 / os.sysconf("SC_CLK_TCK") / N_REQUESTS,
        }
    batch = {"raters": known[:100], "posts": cut(vectors, 0, 100)}
    batches = [program.ask("batch", batch)[0] for _ in range(3)]
    found["batch_100_by_100"] = {"p50_ms": statistics.median(batches), "p95_ms": max(batches)}
    found["first_request_of_a_process"] = {"p50_ms": first_ms, "p95_ms": first_ms}
    found["first_prediction_of_a_process"] = {"p50_ms": first_prediction_ms, "p95_ms": first_prediction_ms}
    return {name: {key: round(spent, 2) for key, spent in part.items()} for name, part in found.items()}


# --- what is asked -----------------------------------------------------------------------------


@contextmanager
def scoring_server() -> Iterator[Site]:
    """Parallax with its production settings, on a PostgreSQL of its own, with a study that was fitted."""
    with (
        tempfile.TemporaryDirectory(prefix="parallax-bench-") as name,
        PrivatePostgres() as postgres,
        PrivateRedis() as redis,
    ):
        folder = Path(name)
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "SECRET_KEY": "x" * 64,
            "PRODUCTION": "1",
            "SECURE_SSL_REDIRECT": "0",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "VAR_DIR": str(folder / "var"),
            "WEB_CONCURRENCY": "1",
            "BENCH_TOLD": str(folder / "told.json"),
        }
        run_to_end(["manage.py", "migrate", "-v0"], environment)
        run_to_end(["manage.py", "collectstatic", "--no-input", "-v0"], environment)
        run_to_end(["manage.py", "shell", "-v0", "-c", MAKE_STUDY], environment)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("ANALYZE")
        told = json.loads((folder / "told.json").read_text())
        with gunicorn("config.wsgi", environment, "healthz", folder / "web.log") as (address, pid):
            yield Site(address, pid, told["secret"], told["pseudonyms"], told["texts"])


def fit_study(study: Any) -> None:
    """Fit as workers do, but here."""
    from jobs.models import Job
    from jobs.services import run_here
    from modeling.estimators.data import FitSettings
    from modeling.services import request_fit

    # What only chooses the blend's weights is made small; the forests that serve have all their trees.
    settings = FitSettings(n_curve_trees=0, n_inner_trees=10, n_inner_folds=2, n_consensus_folds=3)
    job = run_here(request_fit(study, settings))
    if job.state != Job.State.DONE:
        raise ValueError(f"The fit ended as {job.state}: {job.error}")


def fill_study() -> Any:
    """Make the demonstration study with people who rated it, and a token; write down what a program needs to ask."""
    import numpy as np
    from django.utils import timezone

    from annotation.models import Annotation, Enrollment, Outcome, Post, Rater
    from annotation.tree.walk import CHOSEN
    from calibration.models import CalibrationAnswer
    from modeling.demo import load_demo_study
    from modeling.tokens import create_token

    rng = np.random.default_rng(1)
    study, _ = load_demo_study()
    n_values = len(study.value_keys)
    low, high = study.value_system.scale_min, study.value_system.scale_max
    posts = list(study.posts.filter(purpose=Post.Purpose.LABELING))
    levels = rng.uniform(low, high, (len(posts), n_values))
    raters = Rater.objects.bulk_create(
        Rater(origin=Rater.Origin.SIMULATED, external_id=f"bench-{number}") for number in range(N_RATERS)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now())
        for rater in raters
    )
    shifts = rng.normal(0, 1, (N_RATERS, n_values))
    annotations = []
    for enrollment, shift in zip(enrollments, shifts, strict=True):
        for place in rng.choice(len(posts), min(N_POSTS_EACH, len(posts)), replace=False):
            drawn = np.rint(levels[place] + shift + rng.normal(0, 0.7, n_values)).clip(low, high)
            annotations.append(
                Annotation(
                    enrollment=enrollment,
                    post=posts[place],
                    ratings=tuple(drawn.astype(int).tolist()),
                    codes=(CHOSEN,) * n_values,
                )
            )
    Annotation.objects.bulk_create(annotations, batch_size=1000)
    questions = list(study.calibration_questions.all())
    places = {key: place for place, key in enumerate(study.value_keys)}
    CalibrationAnswer.objects.bulk_create(
        CalibrationAnswer(
            enrollment=enrollment,
            question=question,
            rating=int(np.clip(np.rint(3 + shift[places[question.value_key]]), low, high)),
        )
        for enrollment, shift in zip(enrollments, shifts, strict=True)
        for question in questions
    )
    _, secret = create_token(study, "The bench", requests_per_minute=60_000)
    told = {
        "secret": secret,
        "pseudonyms": [str(rater.pseudonym) for rater in raters],
        "texts": [post.text for post in posts],
    }
    Path(os.environ["BENCH_TOLD"]).write_text(json.dumps(told), encoding="utf-8")
    return study
