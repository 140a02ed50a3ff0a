import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from jobs.management.commands import runlocal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(installation, *arguments):
    log = (installation.folder / "runlocal.log").open("a")
    return installation.start(sys.executable, "manage.py", "runlocal", *arguments, stdout=log, stderr=log)


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return json.load(response)["status"] == "ok"
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def children(running, installation, word):
    """The processes `running` started itself that have the word among their arguments."""
    found = []
    for pid in installation.processes():
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        if int(parent) == running.pid and word in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            found.append(pid)
    return found


def assert_all_gone(installation, within):
    deadline = time.monotonic() + within
    while installation.processes():
        assert time.monotonic() < deadline, installation.processes()
        time.sleep(0.1)


def test_it_serves_does_jobs_brings_back_a_killed_worker_and_leaves_nothing_behind(installation, port):
    running = start(installation, "--port", str(port))
    installation.wait_until(lambda: is_ready(port), timeout=40)
    installation.enqueue("probe.slow", seconds=0)
    installation.wait_until(lambda: installation.states() == ["done"], timeout=20)

    [worker] = children(running, installation, "worker")
    os.kill(worker, signal.SIGKILL)
    installation.python(
        "from jobs import services; services.enqueue(kind='probe.slow', key='2', payload={'seconds': 0})"
    )
    installation.wait_until(lambda: installation.states() == ["done", "done"], timeout=30)

    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 0
    assert_all_gone(installation, within=2)


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_a_signal_during_the_start_leaves_nothing_behind(installation, port, processes):
    running = start(installation, "--port", str(port))
    installation.wait_until(lambda: len(installation.processes()) >= processes, timeout=30)
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 0
    assert_all_gone(installation, within=2)


def test_everything_ends_when_the_supervisor_is_killed(installation, port):
    running = start(installation, "--port", str(port))
    installation.wait_until(lambda: is_ready(port), timeout=40)
    running.kill()
    assert_all_gone(installation, within=10)


def test_without_web_only_worker_and_clock_run():
    assert set(runlocal.commands(None)) == {"worker", "clock"}
    assert set(runlocal.commands(8000)) == {"worker", "clock", "web server"}


def test_a_taken_port_is_refused_with_a_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CommandError, match="choose another one with --port"):
            runlocal.refuse_taken_port(other.getsockname()[1])


def test_own_gunicorn_arguments_come_last_and_so_win(monkeypatch):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--threads 9")
    assert runlocal.environment()["GUNICORN_CMD_ARGS"].endswith("--threads 9")
    assert "--workers 2" in runlocal.environment()["GUNICORN_CMD_ARGS"]
