import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from jobs import registry, services, tasks
from jobs.models import Heartbeat


@pytest.fixture
def handler(monkeypatch):
    """Register a function as the handler of a kind, for one test."""
    registry.autodiscover()  # happens once: what it finds must not be thrown away with this test's handlers
    monkeypatch.setattr(registry, "_handlers", {})

    def register(function, kind="test.kind"):
        registry.handles(kind)(function)
        return kind

    return register


@pytest.fixture
def hints(monkeypatch):
    """The numbers of the jobs that were hinted at, in place of the broker."""
    sent = []
    monkeypatch.setattr(tasks.run, "apply_async", lambda args, **options: sent.append(args[0]))
    return sent


@pytest.fixture
def broker_down(monkeypatch):
    def refuse(*args, **options):
        raise ConnectionError("redis://user:hunter2hunter2@host refused")

    monkeypatch.setattr(tasks.run, "apply_async", refuse)


@pytest.fixture
def queued(hints, handler):
    """Make a queued job whose handler is the given function (or does nothing)."""

    def make(function=lambda claim: None, **fields):
        kind = handler(function)
        job = services.enqueue(kind=kind, key=str(uuid.uuid4()), payload={"n": 1})
        for name, value in fields.items():
            setattr(job, name, value)
        job.save()
        return job

    return make


@pytest.fixture
def effects():
    """Count the rows an effect wrote; `effects.write()` is such an effect."""

    class Effects:
        def write(self):
            Heartbeat.objects.create(name=f"effect {uuid.uuid4()}")

        def count(self):
            return Heartbeat.objects.filter(name__startswith="effect ").count()

    return Effects()


@pytest.fixture
def process_environment(tmp_path):
    """The environment of processes with an empty database and queue of their own, and leases of 3 seconds.

    PostgreSQL and Redis where this run has them, else SQLite and the queue in a folder.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")},
        "DJANGO_SETTINGS_MODULE": "tests.jobs.worker_settings",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "VAR_DIR": str(tmp_path),
        "JOBS_LEASE_SECONDS": "3",
        "JOBS_SWEEP_SECONDS": "1",
        "JOBS_RESEND_SECONDS": "2",
        "LOG_LEVEL": "WARNING",
    }
    server, queue = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL")
    if not (server.startswith("postgres") and queue):
        yield environment
        return
    name = f"jobs_{uuid.uuid4().hex}"
    # Each test process takes a numbered database of Redis that is not the run's own.
    number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    environment["DATABASE_URL"] = urlsplit(server)._replace(path=f"/{name}").geturl()
    environment["REDIS_URL"] = urlsplit(queue)._replace(path=f"/{number}").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        empty_redis(environment["REDIS_URL"])
        yield environment
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def empty_redis(url):
    with redis.Redis.from_url(url) as client:
        client.flushdb()


@pytest.fixture
def installation(process_environment, tmp_path):
    """A migrated database; `installation.query` reads it, `installation.python` runs code on it."""
    installation = Installation(process_environment, tmp_path)
    yield installation
    installation.close()


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Installation:
    def __init__(self, environment, folder):
        self.environment, self.folder, self.started = environment, folder, []
        self.python("from django.core.management import call_command; call_command('migrate', verbosity=0)")

    def python(self, code):
        """Run code in a process of its own with Django set up; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{code}"],
            env=self.environment,
            cwd=self.environment["PYTHONPATH"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def start(self, *command, **options):
        """Start a process in a session of its own; it and its children are killed at the test's end."""
        process = subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.environment["PYTHONPATH"],
            start_new_session=True,
            **options,
        )
        self.started.append(process)
        return process

    def start_worker(self):
        schedule = str(self.folder / "schedule")
        log = str(self.folder / "worker.log")
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "config"]
        return self.start(
            *celery, "worker", "--concurrency=2", "--beat", "--schedule", schedule, "--logfile", log
        )

    def processes(self):
        """The processes of this installation, known by the folder in their environment."""
        found, mark = [], f"VAR_DIR={self.folder}\0".encode()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def close(self):
        for process in self.started:
            kill_group(process)

    def query(self, sql):
        if url := self.environment.get("DATABASE_URL"):
            with psycopg.connect(url) as database:
                return database.execute(sql).fetchall()
        with contextlib.closing(sqlite3.connect(self.folder / "parallax.sqlite3", timeout=20)) as database:
            return database.execute(sql).fetchall()

    def lose_all_messages(self):
        if url := self.environment.get("REDIS_URL"):
            empty_redis(url)
            return
        for message in (self.folder / "queue").iterdir():
            message.unlink()

    def enqueue(self, kind, count=1, **payload):
        self.python(
            f"from jobs import services\nfor n in range({count}):\n"
            f"    services.enqueue(kind={kind!r}, key=f'{kind} {{n}}', payload={payload!r})"
        )

    def states(self):
        return [state for (state,) in self.query("SELECT state FROM jobs_job ORDER BY id")]

    def effects(self):
        """The number of effects of each job that has any."""
        return self.query(
            "SELECT substr(name, 1, length(name) - 37) AS job, count(*) FROM jobs_heartbeat "
            "WHERE name LIKE 'effect of %' GROUP BY job ORDER BY job"
        )

    def wait_until(self, condition, timeout):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, (
                self.states(),
                self.query("SELECT attempts, error FROM jobs_job"),
            )
            time.sleep(0.1)
