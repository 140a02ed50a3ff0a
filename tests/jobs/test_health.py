import shutil
from collections import namedtuple
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import health
from jobs.models import Heartbeat

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.jobs.probe.urls")]


@pytest.fixture
def swept():
    Heartbeat.objects.create(name="sweep")


def checks(client, status):
    response = client.get("/readyz")
    assert response.status_code == status
    return response.json()["checks"]


def test_healthz_needs_nothing_but_the_process(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


def test_readyz_is_ready_when_every_check_passes(client, swept):
    assert checks(client, 200) == dict.fromkeys(["database", "migrations", "broker", "worker", "disk"], "ok")


def test_readyz_misses_a_worker_that_never_swept(client):
    assert "no worker has swept yet" in checks(client, 503)["worker"]


def test_readyz_misses_a_worker_that_has_not_swept_for_a_minute(client, swept):
    Heartbeat.objects.update(at=timezone.now() - timedelta(seconds=61))
    assert "no worker has swept for 60 s" in checks(client, 503)["worker"]


def test_readyz_sees_a_database_that_is_away_and_shows_no_password(client, swept, monkeypatch):
    class Away:
        def cursor(self):
            raise OSError("postgres://me:pass@db refused")

    monkeypatch.setattr(health, "connection", Away())
    found = checks(client, 503)
    assert found["database"] == "not reachable (OSError)"


def test_readyz_sees_a_missing_queue_folder(client, swept, settings):
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": "/nowhere/queue"}
    assert "queue's folder" in checks(client, 503)["broker"]


def test_readyz_sees_a_redis_that_does_not_answer_and_shows_no_password(client, swept, settings):
    settings.CELERY_BROKER_URL = "redis://:hunter2@127.0.0.1:1/0"
    assert checks(client, 503)["broker"] == "not reachable (ConnectionError)"


@pytest.mark.parametrize(
    ("memory", "finding"),
    [
        ({"maxmemory": 0, "used_memory": 10, "maxmemory_policy": "allkeys-lru"}, "ok"),
        ({"maxmemory": 100, "used_memory": 10, "maxmemory_policy": "noeviction"}, "ok"),
        (
            {"maxmemory": 100, "used_memory": 10, "maxmemory_policy": "allkeys-lru"},
            "the queue's server may drop messages; set maxmemory-policy noeviction",
        ),
        (
            {"maxmemory": 100, "used_memory": 95, "maxmemory_policy": "noeviction"},
            "the queue's server is nearly out of memory",
        ),
    ],
)
def test_readyz_sees_a_redis_that_would_lose_or_refuse_messages(
    client, swept, settings, monkeypatch, memory, finding
):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(health.redis.Redis, "info", lambda client, section: memory)
    assert checks(client, 200 if finding == "ok" else 503)["broker"] == finding


def test_readyz_sees_a_full_disk(client, swept, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 951, 49))
    assert "less than 5% of the disk" in checks(client, 503)["disk"]


def test_readyz_sees_a_migration_that_is_not_applied(client, swept, monkeypatch):
    on_disk = health._migrations_on_disk() | {("jobs", "9999_future")}
    monkeypatch.setattr(health, "_migrations_on_disk", lambda: on_disk)
    assert checks(client, 503)["migrations"] == "1 migrations are not applied; run manage.py migrate"


def test_health_answers_to_no_post(client):
    assert client.post("/healthz").status_code == 405
    assert client.post("/readyz").status_code == 405
