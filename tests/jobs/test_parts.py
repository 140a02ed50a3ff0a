"""Jobs that are made of parts, in one process."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import parts, registry, services
from jobs.errors import PermanentError
from jobs.models import Job
from jobs.parts import Part, PartDone, Parts

pytestmark = pytest.mark.django_db


@pytest.fixture
def whole(handler, hints, effects):
    """A queued job of three parts, each of which has an effect; change `whole.part` to let parts misbehave."""

    class Whole:
        seen: list = []

        def __init__(self):
            self.seen = []
            self.part = lambda claim: self.count
            self.last = lambda claim: self.count
            registry.handles("whole")(self.plan)
            registry.handles("part")(lambda claim: self.part(claim))
            self.job = services.enqueue(kind="whole", key="w")

        def plan(self, claim):
            self.seen.append(claim.parts)
            if claim.parts is None:
                return Parts([Part("part", f"p{n}", {"n": n}) for n in (1, 2, 3)], note="values fitted")
            return self.last(claim)

        def count(self):
            effects.write()
            return {"rows": 1}

        def look(self):
            self.job.refresh_from_db()
            return self.job

        def states(self):
            return [job.state for job in Job.objects.order_by("pk")]

    handler(lambda claim: None, kind="unused")
    return Whole()


def run_key(key):
    return services.run(Job.objects.get(key=key).pk)


def use_up_tries():
    Job.objects.filter(kind="part").update(max_attempts=1)


# --- from the first part to the last -----------------------------------------------------------


def test_a_whole_waits_for_its_parts_and_ends_after_them_with_what_they_returned(whole, effects):
    assert services.run(whole.job.pk)
    assert whole.states() == ["waiting", "queued", "queued", "queued"]
    for key in ("p3", "p1", "p2"):  # in no particular order
        assert whole.look().state == "waiting"
        assert run_key(key)
    assert (whole.look().state, whole.job.attempts) == ("queued", 0)
    assert services.run(whole.job.pk)
    assert (whole.look().state, whole.job.result, whole.job.attempts) == ("done", {"rows": 1}, 1)
    assert whole.seen == [None, [PartDone(f"p{n}", {"n": n}, {"rows": 1}) for n in (1, 2, 3)]]
    assert effects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_hints_are_sent_for_the_parts_and_once_for_the_whole_when_they_are_done(whole, hints):
    hints.clear()
    services.run(whole.job.pk)
    part_ids = list(Job.objects.filter(whole=whole.job).order_by("place").values_list("pk", flat=True))
    assert hints == part_ids
    for part_id in part_ids * 10:
        services.run(part_id)
    assert hints == [*part_ids, whole.job.pk]


def test_a_waiting_whole_is_not_claimed_however_often_its_message_comes(whole):
    services.run(whole.job.pk)
    assert [services.run(whole.job.pk) for _ in range(10)] == [False] * 10
    assert (whole.look().attempts, whole.seen) == (0, [None])


def test_the_progress_of_a_waiting_whole_is_its_parts(whole):
    def progress():
        job = whole.look()
        return (job.progress_done, job.progress_total, job.progress_note)

    services.run(whole.job.pk)
    assert progress() == (0, 3, "values fitted")
    run_key("p1")
    run_key("p2")
    assert progress() == (2, 3, "values fitted")
    run_key("p3")
    assert progress() == (3, 3, "values fitted")


def test_parts_come_in_rounds_and_each_round_has_all_its_tries(whole):
    def last(claim):
        if len(claim.parts) == 3:
            return Parts([Part("part", "second", {}), Part("part", "p2")])
        return lambda: {"last": [part.key for part in claim.parts]}

    whole.last = last
    assert services.run_here(whole.job, poll_seconds=0.01).result == {"last": ["second", "p2"]}
    assert (whole.look().rounds, whole.job.attempts) == (2, 1)
    assert [part and len(part) for part in whole.seen] == [None, 3, 2]


def test_a_whole_that_never_stops_asking_fails(whole, monkeypatch):
    monkeypatch.setattr(parts, "MOST_ROUNDS", 4)
    whole.last = lambda claim: Parts([Part("part", "p1")])
    job = services.run_here(whole.job, poll_seconds=0.01)
    assert (job.state, job.error) == (
        "failed",
        "PermanentError: the job asked for parts 4 times and never came to an end",
    )


def test_a_part_may_have_parts_itself(whole):
    whole.part = lambda claim: (
        Parts([Part("unused", f"{claim.job_id} {n}") for n in (1, 2)])
        if claim.parts is None
        else lambda: {"of": len(claim.parts)}
    )
    job = services.run_here(whole.job, poll_seconds=0.01)
    assert (job.state, [part.result for part in whole.seen[1]]) == ("done", [{"of": 2}] * 3)
    assert whole.states() == ["done"] * 10


def test_the_whole_is_tried_again_without_its_parts_when_its_own_effect_fails(whole, effects, settings):
    settings.JOBS_RETRY_SECONDS = 1e-6
    whole.last = lambda claim: whole.count if claim.attempt == 2 else 1 / 0
    assert services.run_here(whole.job, poll_seconds=0.01).state == "done"
    assert (effects.count(), len(whole.seen)) == (4, 3)
    assert set(Job.objects.filter(kind="part").values_list("attempts", flat=True)) == {1}


def test_a_stale_token_asks_for_nothing(whole):
    def plan_late(claim):
        Job.objects.filter(pk=claim.job_id).update(lease_until=timezone.now() - timedelta(seconds=1))
        assert services.claim(claim.job_id)
        return Parts([Part("part", "p1")])

    whole.plan = plan_late
    registry._handlers["whole"] = plan_late
    assert not services.run(whole.job.pk)
    assert whole.states() == ["running"]


# --- what may be asked for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ([], "a job has 1 to 10,000 parts; 0 were asked for"),
        ([Part("part", "a"), Part("part", "a")], "the part 'a' was asked for twice"),
        ([Part("part", "")], "1 to 255 characters"),
        ([Part("part", "a", {"n": float("nan")})], "the payload of part 'a' is not JSON"),
        ([Part("part", "b"), Part("part", "strange")], "the key 'strange' belongs to another job"),
        ([Part("part", "w")], "the key 'w' belongs to another job, of kind 'whole'"),
    ],
)
def test_a_wrong_request_for_parts_fails_the_whole_at_once_and_leaves_no_part(whole, asked, reason):
    services.enqueue(kind="part", key="strange")
    registry._handlers["whole"] = lambda claim: Parts(asked)
    assert not services.run(whole.job.pk)
    assert (whole.look().state, whole.job.attempts) == ("failed", 1)
    assert reason in whole.job.error
    assert not Job.objects.exclude(whole=None).exists()


# --- failing and cancelling --------------------------------------------------------------------


def fail_p2(claim):
    if claim.payload["n"] == 2:
        raise PermanentError("the value has no posts")


def test_a_part_that_fails_for_good_fails_the_whole_and_cancels_the_others(whole):
    whole.part = fail_p2
    services.run(whole.job.pk)
    run_key("p1")
    running = services.claim(Job.objects.get(key="p3").pk)
    run_key("p2")
    assert whole.states() == ["failed", "done", "failed", "cancelled"]
    assert whole.look().error == "part 'p2' failed: PermanentError: the value has no posts"
    assert not running.rows().exists()


def test_a_failed_try_of_a_part_lets_the_whole_wait_on(whole):
    whole.part = lambda claim: 1 / 0
    services.run(whole.job.pk)
    run_key("p2")
    assert whole.states() == ["waiting", "queued", "queued", "queued"]


def test_a_part_whose_worker_vanished_at_its_last_try_fails_the_whole(whole):
    services.run(whole.job.pk)
    use_up_tries()
    services.claim(Job.objects.get(key="p2").pk)
    Job.objects.filter(key="p2").update(lease_until=timezone.now() - timedelta(seconds=1))
    assert services.sweep().failed == 1
    assert whole.states() == ["failed", "cancelled", "failed", "cancelled"]
    assert "The worker stopped without a word" in whole.look().error


def test_a_cancelled_whole_cancels_its_parts_and_theirs_and_no_other_job(whole, effects):
    other = services.enqueue(kind="part", key="other")
    whole.part = lambda claim: Parts([Part("unused", f"{claim.job_id} deep")])
    services.run(whole.job.pk)
    run_key("p1")
    assert services.cancel(whole.job)
    assert whole.states() == ["cancelled", "queued", *["cancelled"] * 4]
    other.refresh_from_db()
    assert other.state == "queued"
    assert [services.run(job.pk) for job in Job.objects.exclude(pk=other.pk)] == [False] * 5
    assert effects.count() == 0


def test_a_part_cancelled_alone_fails_its_whole_and_that_ones_whole(whole):
    whole.part = lambda claim: Parts([Part("unused", f"{claim.payload['n']} deep")])
    services.run(whole.job.pk)
    run_key("p1")
    assert services.cancel(Job.objects.get(key="1 deep"))
    assert whole.states() == ["failed", "failed", "cancelled", "cancelled", "cancelled"]
    assert whole.look().error == "part 'p1' failed: part '1 deep' was cancelled"


def test_deleting_a_whole_deletes_its_parts(whole):
    services.run(whole.job.pk)
    whole.job.delete()
    assert not Job.objects.exists()


# --- going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["w", "p2"])
def test_a_failed_whole_goes_on_where_it_stopped(whole, effects, by):
    whole.part = lambda claim: fail_p2(claim) or whole.count
    services.run(whole.job.pk)
    run_key("p1")
    run_key("p2")
    assert services.retry(Job.objects.get(key=by))
    assert whole.states() == ["waiting", "done", "queued", "queued"]
    assert (whole.look().finished_at, whole.job.progress_done) == (None, 1)
    assert not services.retry(Job.objects.get(key=by))
    whole.part = lambda claim: whole.count
    assert services.run_here(whole.job, poll_seconds=0.01).state == "done"
    assert effects.count() == 4
    assert len(whole.seen) == 2
    assert Job.objects.get(key="p1").attempts == 1


def test_a_cancelled_whole_goes_on_with_the_parts_of_its_parts(whole):
    whole.part = lambda claim: (
        whole.count if claim.parts else Parts([Part("unused", f"{claim.payload['n']} {n}") for n in (1, 2)])
    )
    services.run(whole.job.pk)
    run_key("p1")
    run_key("1 1")
    services.cancel(whole.job)
    assert services.retry(whole.job)
    assert whole.states() == ["waiting", "waiting", "queued", "queued", "done", "queued"]
    assert services.run_here(whole.job, poll_seconds=0.01).state == "done"
    assert Job.objects.get(key="1 1").attempts == 1


def test_a_whole_that_failed_after_its_parts_is_called_with_them_again(whole):
    def refuse(claim):
        raise PermanentError("no room")

    whole.last = refuse
    assert services.run_here(whole.job, poll_seconds=0.01).error == "PermanentError: no room"
    whole.last = lambda claim: whole.count
    assert services.retry(whole.job)
    assert whole.states() == ["queued", "done", "done", "done"]
    assert services.run_here(whole.job, poll_seconds=0.01).state == "done"
    assert len(whole.seen[-1]) == 3


# --- recovering --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_sweep_queues_a_whole_that_waits_for_nothing(whole, hints):
    services.run(whole.job.pk)
    assert services.sweep().settled == 0
    Job.objects.filter(kind="part").update(state="done", finished_at=timezone.now())
    hints.clear()
    assert services.sweep().settled == 1
    assert (whole.look().state, hints) == ("queued", [whole.job.pk])


def test_the_sweep_fails_a_whole_that_waits_for_a_part_that_failed(whole):
    services.run(whole.job.pk)
    Job.objects.filter(key="p2").update(state="failed", error="why", finished_at=timezone.now())
    assert services.sweep().settled == 1
    assert whole.states() == ["failed", "cancelled", "failed", "cancelled"]


def test_the_sweep_cancels_what_is_left_of_a_whole_that_ended(whole):
    services.run(whole.job.pk)
    Job.objects.filter(pk=whole.job.pk).update(state="cancelled", finished_at=timezone.now())
    assert services.sweep().settled == 3
    assert whole.states() == ["cancelled"] * 4
    assert services.sweep().settled == 0


@pytest.mark.django_db(transaction=True)
def test_the_sweep_sends_lost_messages_of_parts_again(whole, hints):
    services.run(whole.job.pk)
    hints.clear()
    Job.objects.filter(kind="part").update(resend_at=timezone.now() - timedelta(seconds=1))
    assert services.sweep().resent == 3
    assert sorted(hints) == list(Job.objects.filter(kind="part").order_by("pk").values_list("pk", flat=True))


# --- run_here ----------------------------------------------------------------------------------


def test_run_here_does_every_part_and_shows_how_far_whole_and_part_are(whole, monkeypatch):
    monkeypatch.setattr(services, "REPORT_SECONDS", 0)

    def part(claim):
        claim.report(1, 2, "trees")

    whole.part = part
    seen = []
    services.run_here(
        whole.job,
        on_progress=lambda job: seen.append((job.progress_done, job.progress_total, job.progress_note)),
        poll_seconds=0.01,
    )
    assert [line for line in seen if line[2] == "trees 1 of 2"] == [(n, 3, "trees 1 of 2") for n in range(3)]
    assert (3, 3, "values fitted") in seen
    assert whole.states() == ["done"] * 4


def test_run_here_goes_through_failed_tries_of_parts(whole, settings):
    settings.JOBS_RETRY_SECONDS = 0.01
    whole.part = lambda claim: None if claim.attempt == 3 else 1 / 0
    assert services.run_here(whole.job, poll_seconds=0.01).state == "done"


def test_run_here_takes_back_a_part_that_took_its_worker_down_at_every_try(whole):
    services.run(whole.job.pk)
    use_up_tries()
    services.claim(Job.objects.get(key="p2").pk)
    Job.objects.filter(key="p2").update(lease_until=timezone.now() - timedelta(seconds=1))
    job = services.run_here(whole.job, poll_seconds=0.01)
    assert (job.state, "without a word" in job.error) == ("failed", True)


# --- the table refuses impossible rows ---------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "waiting"},
        {"state": "waiting", "rounds": 1, "finished_at": timezone.now()},
        {"whole_id": "w"},
        {"round": 1, "place": 0},
        {"whole_id": "w", "round": 0, "place": 1},
        {"whole_id": "w", "round": 1, "place": 0},
    ],
)
def test_an_impossible_part_is_refused_by_the_database(fields):
    whole = Job.objects.create(kind="k", key="w")
    Job.objects.create(kind="k", key="p", whole=whole, round=1, place=0)
    if "whole_id" in fields:
        fields = {**fields, "whole_id": whole.pk}
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(kind="k", key="a", **fields)


def test_no_job_is_its_own_part():
    job = Job.objects.create(kind="k", key="w")
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(whole=job.pk, round=1, place=0)
