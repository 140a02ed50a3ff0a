import os
import signal
import sys
import threading
import time

import pytest

from jobs import supervisor
from jobs.supervisor import KeepsDying, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def supervise(monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.01)
    made = []

    def make(grace_seconds=5.0, **commands):
        said = []
        made.append(Supervisor(commands, say=said.append, grace_seconds=grace_seconds))
        made[-1].said = said
        return made[-1]

    yield make
    for each in made:
        each.grace_seconds = 0
        each.stop()


def pids(supervisor):
    return [child.process.pid for child in supervisor.children]


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def poll_until(supervisor, condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        supervisor.poll()
        time.sleep(0.02)


def test_stop_ends_every_child(supervise):
    both = supervise(one=SLEEP, two=SLEEP)
    both.start()
    started = pids(both)
    both.stop()
    assert not any(lives(pid) for pid in started)


def test_a_dead_child_is_started_again_and_its_neighbour_left_alone(supervise):
    both = supervise(one=SLEEP, two=SLEEP)
    both.start()
    one, two = pids(both)
    os.kill(one, signal.SIGKILL)
    poll_until(both, lambda: both.children[0].process and both.children[0].process.pid != one)
    assert pids(both)[1] == two
    assert both.said == ["one ended (signal SIGKILL); starting it again in 0.01 s."]


def test_a_child_that_keeps_dying_ends_it_all_with_the_reason(supervise):
    broken = supervise(good=SLEEP, broken=[sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(KeepsDying, match=r"broken ended \(exit code 3\) for the 6th time within a minute"):
        broken.run()
    assert [child.process for child in broken.children] == [None, None]
    assert len(broken.said) == 5


def test_a_command_that_does_not_exist_leaves_nothing_running(supervise):
    broken = supervise(good=SLEEP, broken=["/nowhere/program"])
    with pytest.raises(FileNotFoundError):
        broken.run()
    assert broken.children[0].process is None


def test_a_child_that_ignores_the_request_to_end_is_killed_after_the_grace_period(supervise, tmp_path):
    ready = tmp_path / "ready"
    deaf = "import signal, time, sys; signal.signal(15, 1); open(sys.argv[1], 'w'); time.sleep(60)"
    stubborn = supervise(grace_seconds=0.3, deaf=[sys.executable, "-c", deaf, str(ready)])
    stubborn.start()
    poll_until(stubborn, ready.exists)
    [pid] = pids(stubborn)
    began = time.monotonic()
    stubborn.stop()
    assert 0.3 <= time.monotonic() - began < 30  # of the 60 that it would go on for
    assert not lives(pid)


def test_what_a_child_started_is_ended_with_it(supervise, tmp_path):
    note = tmp_path / "pid"
    parent = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'w').write(str(p.pid)); time.sleep(60)"
    )
    family = supervise(parent=[sys.executable, "-c", parent, str(note)])
    family.start()
    poll_until(family, lambda: note.exists() and note.read_text())
    family.stop()
    deadline = time.monotonic() + 30
    while lives(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)  # an orphan's remains are gathered by init
    assert not lives(int(note.read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_run_and_gives_the_handlers_back(supervise, number):
    one = supervise(one=SLEEP)
    before = signal.getsignal(number)
    threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
    one.run()
    assert one.children[0].process is None
    assert signal.getsignal(number) == before


def test_a_signal_that_comes_in_before_the_start_starts_nothing(supervise):
    one = supervise(one=SLEEP)
    one.signals_seen = 1
    one.run()
    assert one.children[0].process is None
