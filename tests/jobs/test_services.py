import logging
import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from jobs import services
from jobs.errors import Cancelled, LeaseLost, PermanentError
from jobs.models import Heartbeat, Job

pytestmark = pytest.mark.django_db


def ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


def expire_lease(job):
    Job.objects.filter(pk=job.pk).update(lease_until=ago(1))


# --- enqueue -----------------------------------------------------------------------------------


def test_a_key_used_twice_gives_the_first_job_and_one_hint(hints, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        first = services.enqueue(kind="k", key="same", payload={"n": 1})
        second = services.enqueue(kind="k", key="same", payload={"n": 2})
    assert second == first
    assert second.payload == {"n": 1}
    assert hints == [first.pk]


def test_no_hint_leaves_before_the_commit(hints, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        services.enqueue(kind="k", key="a")
        assert hints == []
    assert len(hints) == 1


@pytest.mark.django_db(transaction=True)
def test_a_rollback_sends_nothing_and_leaves_no_job(hints):
    with pytest.raises(RuntimeError), transaction.atomic():
        services.enqueue(kind="k", key="a")
        raise RuntimeError
    assert hints == []
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_fails_no_caller_and_logs_no_password(broker_down, caplog):
    with transaction.atomic():
        job = services.enqueue(kind="k", key="a")
    job.refresh_from_db()
    assert job.state == "queued"
    assert "took no message" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_key_of_another_kind_is_refused(hints):
    services.enqueue(kind="fit", key="a")
    with pytest.raises(ValueError, match="belongs to a job of kind 'fit'"):
        services.enqueue(kind="score", key="a")


@pytest.mark.parametrize("payload", [{"n": float("nan")}, {"x": object()}, [1, 2]])
def test_a_payload_that_is_not_a_json_mapping_is_refused(payload):
    with pytest.raises(ValueError, match="the payload of job 'a'"):
        services.enqueue(kind="k", key="a", payload=payload)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_a_wrong_length_is_refused(key):
    with pytest.raises(ValueError, match="1 to 255 characters"):
        services.enqueue(kind="k", key=key)


# --- claim -------------------------------------------------------------------------------------


def test_a_claimed_job_cannot_be_claimed_again(queued):
    job = queued()
    held = services.claim(job.pk)
    assert (held.kind, held.payload, held.attempt) == ("test.kind", {"n": 1}, 1)
    assert services.claim(job.pk) is None


def test_a_job_whose_lease_ran_out_can_be_claimed_by_another(queued):
    job = queued()
    first = services.claim(job.pk)
    expire_lease(job)
    second = services.claim(job.pk)
    assert second.attempt == 2
    assert second.token != first.token


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "done", "finished_at": timezone.now()},
        {"state": "cancelled", "finished_at": timezone.now()},
        {"state": "failed", "error": "why", "finished_at": timezone.now()},
        {"not_before": timezone.now() + timedelta(hours=1)},
        {"attempts": 5},
    ],
)
def test_a_job_that_is_finished_or_not_due_or_used_up_cannot_be_claimed(queued, fields):
    assert services.claim(queued(**fields).pk) is None


def test_a_job_that_does_not_exist_cannot_be_claimed():
    assert services.claim(12345) is None


# --- run ---------------------------------------------------------------------------------------


def test_the_effect_is_written_and_its_value_becomes_the_result(queued, effects):
    def work(claim):
        def effect():
            effects.write()
            return {"rows": 3}

        return effect

    job = queued(work)
    assert services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.result, job.attempts, effects.count()) == ("done", {"rows": 3}, 1, 1)
    assert job.finished_at >= job.started_at


def test_a_handler_without_an_effect_leaves_a_done_job_without_result(queued):
    job = queued()
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.result) == ("done", None)


def test_ten_deliveries_in_a_row_have_one_effect(queued, effects):
    job = queued(lambda claim: effects.write)
    assert [services.run(job.pk) for _ in range(10)] == [True] + [False] * 9
    assert effects.count() == 1


def test_the_late_write_of_a_stale_token_is_refused(queued, effects):
    def slow(claim):  # while it computes, its lease runs out and another process takes the job over
        if claim.attempt == 1:
            expire_lease(job)
            assert services.run(job.pk)
        return effects.write

    job = queued(slow)
    assert not services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts, effects.count()) == ("done", 2, 1)


def test_a_stale_token_finishes_nothing_while_the_new_holder_computes(queued, effects):
    def slow(claim):
        expire_lease(job)
        holders.append(services.claim(job.pk))
        return effects.write

    holders = []
    job = queued(slow)
    assert not services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.lease_token, effects.count()) == ("running", holders[0].token, 0)


def test_a_failure_under_a_stale_token_leaves_the_new_holder_alone(queued):
    def slow(claim):
        expire_lease(job)
        services.claim(job.pk)
        raise PermanentError("too late to matter")

    job = queued(slow)
    assert not services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error) == ("running", "")


def test_a_failing_effect_is_rolled_back_whole(queued, effects):
    def work(claim):
        def effect():
            effects.write()
            raise RuntimeError("half way")

        return effect

    job = queued(work)
    assert not services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, effects.count()) == ("queued", 0)


def test_a_failed_try_is_queued_again_with_its_reason_and_a_growing_pause(queued, settings):
    settings.JOBS_RETRY_SECONDS = 100
    job = queued(lambda claim: 1 / 0)
    pauses = []
    for _ in range(3):
        services.run(job.pk)
        job.refresh_from_db()
        assert job.state == "queued"
        pauses.append(round((job.not_before - timezone.now()).total_seconds(), -1))
        assert services.claim(job.pk) is None
        Job.objects.filter(pk=job.pk).update(not_before=ago(1))
    assert pauses == [100, 200, 300]
    assert job.error == "ZeroDivisionError: division by zero"


def test_a_job_that_always_fails_ends_failed_after_its_last_try(queued, settings):
    settings.JOBS_RETRY_SECONDS = 1e-6
    job = queued(lambda claim: 1 / 0)
    for _ in range(10):
        services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("failed", 5)
    assert job.error == "ZeroDivisionError: division by zero"


def test_a_permanent_error_fails_at_the_first_try(queued):
    def refuse(claim):
        raise PermanentError("the file has no column 'text'")

    job = queued(refuse)
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("failed", 1)
    assert job.error == "PermanentError: the file has no column 'text'"


@pytest.mark.parametrize("result", [{"x": float("inf")}, {"x": object()}, [1]])
def test_a_result_that_is_not_a_json_mapping_fails_the_job_and_its_effect(queued, effects, result):
    def work(claim):
        def effect():
            effects.write()
            return result

        return effect

    job = queued(work)
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, effects.count()) == ("failed", 0)
    assert "the result of a job of kind 'test.kind'" in job.error


def test_a_kind_without_handler_is_tried_again_and_named(hints, handler):
    handler(lambda claim: None, kind="other")
    job = services.enqueue(kind="unheard-of", key="a")
    services.run(job.pk)
    job.refresh_from_db()
    assert job.state == "queued"
    assert "'unheard-of'" in job.error


def test_a_later_success_clears_the_earlier_reason(queued):
    def work(claim):
        if claim.attempt == 1:
            raise OSError("away")

    job = queued(work)
    services.run(job.pk)
    Job.objects.filter(pk=job.pk).update(not_before=None)
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.error, job.attempts) == ("done", "", 2)


def test_an_exit_is_recorded_and_still_ends_the_process(queued):
    def leave(claim):
        raise KeyboardInterrupt

    job = queued(leave)
    with pytest.raises(KeyboardInterrupt):
        services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.lease_token) == ("queued", None)


def test_an_interrupt_that_compiled_code_made_an_error_of_still_ends_the_process(queued, caplog):
    def leave(claim):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise SystemError("returned a result with an exception set") from interrupt

    job = queued(leave)
    with pytest.raises(KeyboardInterrupt):
        services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.lease_token) == ("queued", None)
    assert "was interrupted on try 1" in caplog.text


def test_reasons_and_logs_hold_no_secret_and_at_most_2000_characters(queued, monkeypatch, settings, caplog):
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")

    def leak(claim):
        raise PermanentError(
            f"sk-very-secret {settings.SECRET_KEY} postgres://me:pass@db/x \x00\ud800" + "y" * 5000
        )

    job = queued(leak)
    services.run(job.pk)
    job.refresh_from_db()
    assert len(job.error) == 2000
    assert job.error.startswith("PermanentError: *** *** postgres://***@db/x ?yyy")
    assert "sk-very-secret" not in caplog.text
    assert settings.SECRET_KEY not in caplog.text
    assert "in leak" in caplog.text  # the traceback is there all the same


def test_a_worker_sweeps_when_nobody_has_for_long(queued):
    Heartbeat.objects.create(name="sweep", at=ago(40))
    services.run(queued().pk)
    assert Heartbeat.objects.get(name="sweep").at > ago(5)


# --- progress and leases -----------------------------------------------------------------------


def test_reports_are_written_at_most_twice_a_second(queued, django_assert_max_num_queries):
    held = services.claim(queued().pk)
    began = time.monotonic()
    with django_assert_max_num_queries(3):
        while time.monotonic() - began < 1.2:
            held.report(1, 10)
            time.sleep(0.01)


def test_the_last_report_is_kept_although_it_came_too_soon_to_be_written(queued):
    def work(claim):
        for step in range(7):
            claim.report(step + 1, 7, "scoring")

    job = queued(work)
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.progress_done, job.progress_total, job.progress_note) == (7, 7, "scoring")


def test_a_written_report_extends_the_lease(queued):
    job = queued()
    held = services.claim(job.pk)
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() + timedelta(seconds=1))
    held.extend()
    job.refresh_from_db()
    assert job.lease_until > timezone.now() + timedelta(seconds=50)


def test_a_report_on_a_job_that_was_taken_back_raises_lease_lost_again_and_again(queued):
    job = queued()
    held = services.claim(job.pk)
    expire_lease(job)
    services.claim(job.pk)
    with pytest.raises(LeaseLost):
        held.extend()
    with pytest.raises(LeaseLost):
        held.report(1, 2)


def test_a_cancelled_job_is_given_up_at_the_next_report_and_has_no_effect(queued, effects):
    def work(claim):
        assert services.cancel(job)
        with pytest.raises(Cancelled):
            claim.extend()
        claim.report(1, 2)
        raise AssertionError("not reached")

    job = queued(work)
    assert not services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, effects.count()) == ("cancelled", 0)


def test_a_job_cancelled_while_the_handler_never_reports_has_no_effect(queued, effects):
    def work(claim):
        services.cancel(job)
        return effects.write

    job = queued(work)
    assert not services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, effects.count()) == ("cancelled", 0)


@pytest.mark.django_db(transaction=True)
def test_the_lease_is_extended_in_the_background_while_the_handler_computes(queued, settings, monkeypatch):
    settings.JOBS_LEASE_SECONDS = 1.2
    extended_in = []
    monkeypatch.setattr(
        services.Claim, "extend", lambda claim: extended_in.append(threading.current_thread().name)
    )
    job = queued(lambda claim: time.sleep(1.5))
    assert services.run(job.pk)
    assert len(extended_in) >= 3
    assert set(extended_in) == {f"lease-of-job-{job.pk}"}
    assert f"lease-of-job-{job.pk}" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.django_db(transaction=True)
def test_the_background_goes_on_after_a_database_error(queued, settings, monkeypatch, caplog):
    settings.JOBS_LEASE_SECONDS = 0.2
    calls = []

    def away(claim):
        calls.append(1)
        raise OSError("database is away")

    monkeypatch.setattr(services.Claim, "extend", away)
    assert services.run(queued(lambda claim: time.sleep(0.8)).pk)
    assert len(calls) >= 2
    assert "not extended: OSError: database is away" in caplog.text


# --- sweep -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_sweep_sends_again_what_nobody_took_and_waits_longer_each_time(queued, hints):
    job = queued(queued_at=ago(31), resend_at=ago(1))
    fresh = queued()
    hints.clear()
    assert services.sweep() == services.SweepReport(resent=1, reclaimed=0, failed=0)
    assert hints == [job.pk]
    assert fresh.pk not in hints
    assert services.sweep().resent == 0
    Job.objects.filter(pk=job.pk).update(queued_at=ago(200), resend_at=ago(1))
    services.sweep()
    job.refresh_from_db()
    assert 190 < (job.resend_at - timezone.now()).total_seconds() < 210


def test_the_sweep_sends_a_failed_try_again_as_soon_as_its_pause_is_over(queued, hints):
    job = queued(lambda claim: 1 / 0)
    services.run(job.pk)
    hints.clear()
    assert services.sweep().resent == 0
    Job.objects.filter(pk=job.pk).update(not_before=ago(1), resend_at=ago(1))
    assert services.sweep().resent == 1
    assert hints == [job.pk]


@pytest.mark.django_db(transaction=True)
def test_the_sweep_takes_back_a_job_whose_lease_ran_out(queued, hints):
    job = queued()
    services.claim(job.pk)
    hints.clear()
    assert services.sweep().reclaimed == 0
    expire_lease(job)
    assert services.sweep() == services.SweepReport(resent=0, reclaimed=1, failed=0)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.lease_token) == ("queued", 1, None)
    assert "try 1 of 5" in job.error
    assert hints == [job.pk]


def test_the_sweep_fails_a_job_that_took_its_worker_down_at_every_try(queued, hints):
    job = queued()
    for _ in range(5):
        assert services.claim(job.pk)
        expire_lease(job)
    assert services.claim(job.pk) is None
    assert services.sweep() == services.SweepReport(resent=0, reclaimed=0, failed=1)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("failed", 5)
    assert job.error.startswith("The worker stopped without a word during try 5 of 5")


def test_the_sweep_does_not_wait_for_an_absent_broker_more_than_once(queued, broker_down, caplog):
    for _ in range(3):
        queued(resend_at=ago(1))
    with caplog.at_level(logging.WARNING):
        assert services.sweep().resent == 0
    assert len(caplog.records) == 1


def test_the_sweep_leaves_a_sign_of_life():
    services.sweep()
    services.sweep()
    assert Heartbeat.objects.get(name="sweep").at > ago(5)


# --- run_here, wait, retry, cancel -------------------------------------------------------------


def test_run_here_does_a_job_to_its_end_through_failed_tries(queued, settings):
    settings.JOBS_RETRY_SECONDS = 0.05

    def work(claim):
        if claim.attempt < 3:
            raise OSError("away")
        return lambda: {"attempt": claim.attempt}

    job = services.run_here(queued(work), poll_seconds=0.01)
    assert (job.state, job.result) == ("done", {"attempt": 3})


def test_run_here_shows_progress_and_returns_a_failed_job_with_its_reason(queued, monkeypatch):
    monkeypatch.setattr(services, "REPORT_SECONDS", 0)

    def work(claim):
        claim.report(1, 2, "half")
        raise PermanentError("no")

    seen = []
    job = services.run_here(queued(work), on_progress=lambda job: seen.append((job.state, job.progress_done)))
    assert (job.state, job.error) == ("failed", "PermanentError: no")
    assert seen == [("queued", 0), ("queued", 1), ("failed", 1)]


def test_wait_returns_the_job_a_worker_finished(queued):
    job, seen = queued(), []

    def on_progress(job):
        seen.append(job.state)
        services.run(job.pk)

    assert services.wait(job, on_progress=on_progress, timeout=5, poll_seconds=0.01).state == "done"
    assert seen == ["queued", "done"]


def test_wait_ends_after_its_timeout(queued):
    with pytest.raises(TimeoutError, match=r"still queued after 0\.05 s"):
        services.wait(queued(), timeout=0.05, poll_seconds=0.01)


@pytest.mark.django_db(transaction=True)
def test_a_failed_job_is_retried_once_with_all_its_tries(queued, hints):
    job = queued(state="failed", error="why", attempts=5, finished_at=timezone.now())
    hints.clear()
    assert [services.retry(job), services.retry(job)] == [True, False]
    job.refresh_from_db()
    assert (job.state, job.attempts, job.finished_at) == ("queued", 0, None)
    assert hints == [job.pk]


def test_a_running_or_done_job_is_not_retried(queued):
    job = queued()
    services.claim(job.pk)
    assert not services.retry(job)
    services.run(queued().pk)
    assert not services.retry(Job.objects.get(state="done"))


def test_a_finished_job_is_not_cancelled(queued):
    job = queued()
    services.run(job.pk)
    assert not services.cancel(job)
    job.refresh_from_db()
    assert job.state == "done"


# --- the table refuses impossible rows -----------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "running"},
        {"state": "queued", "lease_token": uuid.uuid4(), "lease_until": timezone.now()},
        {"state": "done"},
        {"state": "queued", "finished_at": timezone.now()},
        {"state": "failed", "finished_at": timezone.now()},
        {"attempts": 6},
        {"max_attempts": 0},
    ],
)
def test_an_impossible_row_is_refused_by_the_database(fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(kind="k", key="a", **fields)


def test_a_key_exists_once():
    Job.objects.create(kind="k", key="a")
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(kind="k", key="a")


def test_migrations_match_the_models():
    from django.core.management import call_command

    call_command("makemigrations", "jobs", check=True, dry_run=True, verbosity=0)
    assert connection.introspection.table_names()
