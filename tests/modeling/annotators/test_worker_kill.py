"""Workers that are killed in mid-run, as processes of their own."""

import os
import signal
import sys
import time

import pytest

from modeling.standin.script import Script
from modeling.standin.server import StandIn
from tests.jobs.conftest import Installation, process_environment  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db  # so that the run on PostgreSQL and Redis has it too

N_POSTS, AT_ONCE = 60, 4
MAKE = f"""
from tests.modeling.annotators.ground import make_run
from modeling.annotators.runs import start_run
run = make_run([f"Post {{n}} about the river and my family." for n in range({N_POSTS})], concurrency={AT_ONCE})
print(start_run(run).pk)
"""
WORK = """
import django, sys
django.setup()
from jobs.models import Job
from jobs.services import run_here
run_here(Job.objects.get(pk=int(sys.argv[1])), poll_seconds=0.05)
"""


def test_workers_killed_in_mid_run_lose_no_reading_and_pay_twice_for_calls_in_the_air_at_most(
    process_environment,  # noqa: F811
    tmp_path,
):
    with StandIn(script=Script(latency_seconds=0.1)) as standin:
        process_environment |= {
            "LLM_STANDIN_BASE_URL": standin.url,
            "LLM_STANDIN_API_KEY": "key-of-the-stand-in",
            "LLM_STANDIN_REQUESTS_PER_MINUTE": "0",
            "LLM_STANDIN_TOKENS_PER_MINUTE": "0",
            "LLM_STANDIN_DEADLINE_SECONDS": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
            "ANNOTATOR_CLAIM_SECONDS": "2",
            "JOBS_LEASE_SECONDS": "1.5",
            "JOBS_SWEEP_SECONDS": "0.5",
            "JOBS_RETRY_SECONDS": "0.1",
        }
        installation = Installation(process_environment, tmp_path)
        try:
            job = installation.python(MAKE).strip()
            first, second = (installation.start(sys.executable, "-c", WORK, job) for _ in range(2))
            kill_after(standin, 10, first)
            kill_after(standin, 25, second)
            third = installation.start(sys.executable, "-c", WORK, job)
            assert third.wait(timeout=120) == 0
            assert installation.query("SELECT state, reserved FROM modeling_annotatorrun")[0][0] == "done"
            [(n_read,)] = installation.query("SELECT count(*) FROM modeling_modelreading WHERE fault = ''")
            [(n_calls,)] = installation.query(
                "SELECT count(*) FROM modeling_modelcall WHERE state = 'answered'"
            )
        finally:
            installation.close()
        assert (n_read, n_calls) == (N_POSTS, N_POSTS)
        paid = standin.requests.paid_by_text()
    assert len(paid) == N_POSTS
    assert max(paid.values()) <= 2
    assert standin.n_paid() - N_POSTS <= 2 * AT_ONCE
    assert standin.requests.most_at_once <= 2 * AT_ONCE  # a dead process's calls may still be answered


def kill_after(standin, number, process):
    until = time.monotonic() + 120
    while standin.n_paid() < number:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
