"""What holds when real workers, on a real queue, are killed, paused or raced."""

import signal
import sys
import textwrap
import time
from pathlib import Path

from .conftest import kill_group


def test_ten_runs_side_by_side_have_one_effect(installation):
    installation.enqueue("probe.slow", seconds=0.2)
    did_it = installation.python(
        textwrap.dedent("""
            import threading
            from django.db import connection
            from jobs import services
            start, did_it = threading.Barrier(10), []
            def run():
                start.wait()
                did_it.append(services.run(1))
                connection.close()
            threads = [threading.Thread(target=run) for _ in range(10)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(sorted(did_it))
        """)
    )
    assert did_it.strip() == str([False] * 9 + [True])
    assert installation.states() == ["done"]
    assert installation.effects() == [("effect of 1", 1)]


def test_ten_processes_asking_for_one_key_make_one_job(installation):
    code = "import django; django.setup()\nfrom jobs import services; services.enqueue(kind='k', key='a')"
    asking = [installation.start(sys.executable, "-c", code) for _ in range(10)]
    assert [process.wait(60) for process in asking] == [0] * 10
    assert installation.states() == ["queued"]


def test_jobs_of_a_worker_killed_in_the_middle_are_done_once_each_after_a_restart(installation):
    worker = installation.start_worker()
    installation.enqueue("probe.slow", count=4, seconds=2)
    installation.wait_until(
        lambda: (
            installation.query("SELECT count(*) FROM jobs_job WHERE state = 'running' AND progress_done > 0")
            == [(2,)]
        ),
        timeout=30,
    )
    kill_group(worker)
    assert sorted(installation.states()) == ["queued", "queued", "running", "running"]
    assert installation.effects() == []

    installation.start_worker()
    installation.wait_until(lambda: installation.states() == ["done"] * 4, timeout=40)
    assert installation.effects() == [(f"effect of {n}", 1) for n in (1, 2, 3, 4)]
    assert sorted(installation.query("SELECT attempts FROM jobs_job")) == [(1,), (1,), (2,), (2,)]


def test_jobs_whose_messages_were_lost_are_done_all_the_same(installation):
    installation.enqueue("probe.slow", count=5, seconds=0)
    installation.lose_all_messages()
    installation.start_worker()
    installation.wait_until(lambda: installation.states() == ["done"] * 5, timeout=30)
    assert len(installation.effects()) == 5


def test_a_job_that_kills_its_worker_ends_failed_and_holds_up_no_other(installation):
    installation.environment["JOBS_LEASE_SECONDS"] = "1"
    installation.enqueue("probe.poison")
    installation.python("from jobs.models import Job; Job.objects.update(max_attempts=3)")
    installation.enqueue("probe.slow", count=5, seconds=0.1)
    installation.start_worker()
    installation.wait_until(lambda: installation.states() == ["failed", *["done"] * 5], timeout=60)
    [(attempts, error)] = installation.query("SELECT attempts, error FROM jobs_job WHERE state = 'failed'")
    assert attempts == 3
    assert error.startswith("The worker stopped without a word during try 3 of 3")
    assert len(installation.effects()) == 5


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_process_paused_past_its_lease_writes_nothing_when_it_wakes(installation):
    installation.environment["JOBS_LEASE_SECONDS"] = "1"
    installation.enqueue("probe.pausing")
    code = "import django; django.setup()\nfrom jobs import services; print(services.run(1))"
    paused = installation.start(sys.executable, "-c", code, stdout=-1, text=True)
    installation.wait_until(lambda: is_stopped(paused.pid), timeout=30)
    time.sleep(1.1)
    assert (
        installation.python("from jobs import services; services.sweep(); print(services.run(1))") == "True\n"
    )
    paused.send_signal(signal.SIGCONT)
    assert paused.communicate(timeout=30)[0] == "False\n"
    assert installation.query(
        "SELECT state, attempts, CAST(result ->> 'attempt' AS integer) FROM jobs_job"
    ) == [("done", 2, 2)]
    assert installation.effects() == [("effect of 1", 1)]


def test_a_job_that_never_ends_is_stopped_by_its_time_limit(installation):
    installation.environment["JOBS_TIME_LIMIT_SECONDS"] = "1"
    installation.enqueue("probe.slow", seconds=600)
    installation.start_worker()
    installation.wait_until(
        lambda: installation.query("SELECT 1 FROM jobs_job WHERE error != ''"), timeout=30
    )
    [(error,)] = installation.query("SELECT error FROM jobs_job")
    assert error.startswith("SoftTimeLimitExceeded")
