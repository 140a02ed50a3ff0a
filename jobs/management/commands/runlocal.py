"""Everything one machine needs, started by one command: web server, worker and clock."""

import os
import socket
import sys
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobs.supervisor import KeepsDying, Supervisor

HOST = "127.0.0.1"
GUNICORN_DEFAULTS = (
    "--worker-class gthread --workers 2 --threads 4 --timeout 60 --graceful-timeout 8 "
    "--no-control-socket --log-level warning"
)
# A container's or a fresh machine's only user is often root; Celery warns of it at every start.
ROOT_IS_FINE_HERE = "ignore:You're running the worker with superuser privileges"


class Command(BaseCommand):
    help = "Run Parallax on this machine: web server, worker and clock together, until Ctrl-C."

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, default=8000, help="where the web server listens (8000)")
        parser.add_argument("--no-web", action="store_true", help="run the worker and the clock alone")

    def handle(self, *args, port: int, no_web: bool, **options):
        if not no_web:
            refuse_taken_port(port)
        supervisor = Supervisor(
            commands(None if no_web else port),
            env=environment(),
            cwd=settings.BASE_DIR,
            say=self.stderr.write,
        )
        where = "" if no_web else f" at http://{HOST}:{port}/"
        self.stdout.write(f"Parallax runs{where}; Ctrl-C stops it.")
        self.stdout.flush()
        try:
            supervisor.run()
        except KeepsDying as reason:
            raise CommandError(f"Stopped everything: {reason}") from reason


def commands(port: int | None) -> dict[str, list[str]]:
    """Return the argument list of each process by its name; no web server when `port` is None."""
    schedule = Path(settings.VAR_DIR) / "celerybeat-schedule"
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "config"]
    found = {
        "worker": [
            *celery, "worker", "--pool=prefork", "--concurrency=2", "--loglevel=warning",
            "--without-gossip", "--without-mingle", "--without-heartbeat",
        ],
        "clock": [
            *celery, "beat", "--loglevel=warning", "--schedule", str(schedule),
        ],
    }  # fmt: skip
    if port is not None:
        found["web server"] = [
            sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "config.wsgi:application",
        ]  # fmt: skip
    return found


def environment() -> dict[str, str]:
    """Return this process's environment; what GUNICORN_CMD_ARGS already holds outweighs our defaults."""
    own = os.environ.get("GUNICORN_CMD_ARGS", "")
    quiet = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), ROOT_IS_FINE_HERE]))
    return {
        **os.environ,
        "GUNICORN_CMD_ARGS": f"{GUNICORN_DEFAULTS} {own}".strip(),
        "PYTHONWARNINGS": quiet,
    }


def refuse_taken_port(port: int) -> None:
    """Raise CommandError when nobody can listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Port {port} cannot be used ({error}). "
                "Stop what listens there, or choose another one with --port."
            ) from error
