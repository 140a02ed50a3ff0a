"""A handler that waits for somebody else: no worker is held, no try is used up."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import services
from jobs.models import Job
from jobs.registry import Later

pytestmark = pytest.mark.django_db


def test_a_job_that_is_put_off_is_due_after_its_seconds_with_all_its_tries(queued):
    job = queued(lambda claim: Later(600, "the provider works on it"), attempts=3)
    before = timezone.now()
    assert services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error, job.progress_note) == (
        "queued",
        0,
        "",
        "the provider works on it",
    )
    assert before + timedelta(seconds=599) < job.not_before < timezone.now() + timedelta(seconds=601)
    assert job.resend_at == job.not_before
    assert not services.run(job.pk)  # not before


def test_it_is_called_again_and_can_be_put_off_more_often_than_it_may_fail(queued):
    calls = []

    def handler(claim):
        calls.append(claim.attempt)
        return Later(0) if len(calls) < 8 else lambda: {"calls": len(calls)}

    job = services.run_here(queued(handler), poll_seconds=0.01)
    assert (job.state, job.result) == ("done", {"calls": 8})
    assert calls == [1] * 8


def test_the_sweep_hints_at_it_when_it_is_due(queued, hints):
    job = queued(lambda claim: Later(600))
    services.run(job.pk)
    hints.clear()
    services.sweep()
    assert hints == []
    Job.objects.filter(pk=job.pk).update(resend_at=timezone.now())
    services.sweep()
    assert hints == [job.pk]


@pytest.mark.parametrize("seconds", [-1, 3601, float("nan")])
def test_a_wait_that_is_none_fails_the_job_and_says_so(queued, seconds):
    job = queued(lambda claim: Later(seconds))
    services.run(job.pk)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "0 to 3600 seconds" in job.error


def test_a_job_taken_back_meanwhile_is_not_put_off(queued):
    def handler(claim):
        Job.objects.filter(pk=claim.job_id).update(
            state=Job.State.CANCELLED, finished_at=timezone.now(), lease_token=None, lease_until=None
        )
        return Later(1)

    job = queued(handler)
    services.run(job.pk)
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_a_part_can_be_put_off_and_its_whole_waits(handler, hints):
    from jobs.parts import Part, Parts

    looks = []

    def part(claim):
        looks.append(1)
        return Later(0) if len(looks) < 3 else lambda: {"looks": len(looks)}

    handler(part, "part")
    handler(
        lambda claim: (
            Parts([Part("part", "p")]) if claim.parts is None else lambda: {"part": claim.parts[0].result}
        ),
        "whole",
    )
    job = services.run_here(services.enqueue(kind="whole", key="w"), poll_seconds=0.01)
    assert job.result == {"part": {"looks": 3}}
