"""Two questions a balancer or a supervisor asks: does the process live, and can it serve?

`readyz` says what is wrong in words of its own, so no address, password or path ever gets out.
Raters can go on answering while the queue is down: answers need only the database.
"""

import functools
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .models import Heartbeat

OLDEST_SWEEP_SECONDS = 60
LEAST_FREE_SHARE = 0.05
BROKER_TIMEOUT_SECONDS = 2
FULL_BROKER_SHARE = 0.9


class Unready(Exception):
    """A check failed; the message is shown to whoever asks, so it names nothing secret."""


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every check passes, else 503; each check by name with its finding."""
    checks = {name: _finding(check) for name, check in CHECKS.items()}
    ready = all(finding == "ok" for finding in checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "unready", "checks": checks}, status=200 if ready else 503
    )


def _finding(check: Callable[[], None]) -> str:
    try:
        check()
    except Unready as unready:
        return str(unready)
    except Exception as error:  # its text may hold an address or a password
        return f"not reachable ({type(error).__name__})"
    return "ok"


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_migrations() -> None:
    applied = MigrationRecorder(connection).applied_migrations()
    missing = len(_migrations_on_disk() - set(applied))
    if missing:
        raise Unready(f"{missing} migrations are not applied; run manage.py migrate")


@functools.cache
def _migrations_on_disk() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).graph.nodes)


def check_broker() -> None:
    if settings.CELERY_BROKER_URL.startswith("filesystem"):
        folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"]
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Unready("the queue's folder is missing or cannot be written to")
        return
    with redis.Redis.from_url(
        settings.CELERY_BROKER_URL,
        socket_connect_timeout=BROKER_TIMEOUT_SECONDS,
        socket_timeout=BROKER_TIMEOUT_SECONDS,
    ) as client:
        memory = client.info("memory")
    limit = memory.get("maxmemory", 0)
    if limit and memory.get("maxmemory_policy") != "noeviction":
        raise Unready("the queue's server may drop messages; set maxmemory-policy noeviction")
    if limit and memory["used_memory"] > FULL_BROKER_SHARE * limit:
        raise Unready("the queue's server is nearly out of memory")


def check_worker() -> None:
    sweep = Heartbeat.objects.filter(name="sweep").first()
    if sweep is None:
        raise Unready("no worker has swept yet; is one running?")
    if sweep.at < timezone.now() - timedelta(seconds=OLDEST_SWEEP_SECONDS):
        raise Unready(f"no worker has swept for {OLDEST_SWEEP_SECONDS} s; is one running?")


def check_disk() -> None:
    usage = shutil.disk_usage(Path(settings.VAR_DIR))
    if usage.free < LEAST_FREE_SHARE * usage.total:
        raise Unready(f"less than {LEAST_FREE_SHARE:.0%} of the disk is free")


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "migrations": check_migrations,
    "broker": check_broker,
    "worker": check_worker,
    "disk": check_disk,
}
