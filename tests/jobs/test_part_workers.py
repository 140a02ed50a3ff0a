"""What holds of wholes and parts when workers are killed at any moment, or end in the same instant."""

import textwrap

from .conftest import kill_group

N_PARTS = 20


def count_parts(installation, state):
    rows = installation.query("SELECT state FROM jobs_job WHERE whole_id IS NOT NULL")
    return rows.count((state,))


def test_a_whole_of_twenty_parts_is_done_once_although_all_workers_are_killed_again_and_again(installation):
    installation.environment["JOBS_LEASE_SECONDS"] = "1"
    installation.enqueue("probe.whole", parts=N_PARTS, seconds=0.3)
    for done in (2, 7, 12):
        worker = installation.start_worker()
        installation.wait_until(
            lambda done=done: (
                count_parts(installation, "done") >= done and count_parts(installation, "running") == 2
            ),
            timeout=40,
        )
        kill_group(worker)
        assert installation.states()[0] == "waiting"
    installation.lose_all_messages()
    installation.start_worker()
    installation.wait_until(lambda: installation.states()[0] == "done", timeout=60)
    assert installation.states() == ["done"] * (N_PARTS + 1)
    assert sorted(installation.effects()) == sorted((f"effect of {n}", 1) for n in range(1, N_PARTS + 2))
    [(attempts,)] = installation.query("SELECT sum(attempts) FROM jobs_job WHERE whole_id IS NOT NULL")
    assert attempts > N_PARTS  # some were taken back
    assert installation.query("SELECT attempts, rounds FROM jobs_job WHERE whole_id IS NULL") == [(1, 1)]


DIE_AT_EACH_STATEMENT = """
    import os, signal
    from django.db import connection
    from django.utils import timezone
    from jobs import registry, services
    from jobs.models import Job

    registry.autodiscover()

    def in_a_process_of_its_own(work):
        connection.close()
        child = os.fork()
        if not child:
            try:
                if connection.vendor == "sqlite":  # a killed process loses nothing that the system was given
                    connection.cursor().execute("PRAGMA synchronous=OFF")
                work()
            finally:
                connection.close()
                os._exit(0)
        return os.waitpid(child, 0)[1] == 0

    def do_until_killed_at(number):
        left = [number]
        payload = {"parts": 2, "seconds": 0}
        whole = services.enqueue(kind="probe.whole", key=f"w {number}", payload=payload)
        def count(execute, *arguments):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return execute(*arguments)
        with connection.execute_wrapper(count):
            services.run_here(whole, poll_seconds=0.01)

    def recover():
        Job.objects.filter(state="running").update(lease_until=timezone.now())
        services.sweep()
        for whole in Job.objects.filter(whole=None).exclude(state="done"):
            services.run_here(whole, poll_seconds=0.01)

    kills = 0
    while not in_a_process_of_its_own(lambda: do_until_killed_at(STEP * kills)):
        assert in_a_process_of_its_own(recover)
        kills += 1
    print(kills)
"""
STEP = 3  # 1 is every statement; the same paths are seen in three times the time


def test_a_process_killed_at_any_statement_leaves_nothing_undone_and_nothing_doubled(installation):
    kills = int(installation.python(f"STEP = {STEP}\n" + textwrap.dedent(DIE_AT_EACH_STATEMENT)))
    assert kills > 30 / STEP
    assert installation.states() == ["done"] * (3 * (kills + 1))
    assert [count for _, count in installation.effects()] == [1] * (3 * (kills + 1))


SIDE_BY_SIDE = """
    import threading
    from django.db import connection
    from jobs import parts, registry, services
    from jobs.models import Job
    from jobs.parts import Part, Parts
    from tests.jobs.probe.handlers import note_effect

    N = 8
    queued, errors = [], []
    queue_again = parts.queue_again

    def count(rows, **changes):
        was_queued = queue_again(rows, **changes)
        if was_queued:
            queued.append(1)
        return was_queued

    parts.queue_again = count
    registry.autodiscover()

    @registry.handles("together")
    def together(claim):
        start.wait()  # all parts end at once
        if claim.payload.get("fails"):
            raise services.PermanentError("no")
        return lambda: note_effect(claim)

    @registry.handles("of-many")
    def of_many(claim):
        if claim.parts is not None:
            return lambda: note_effect(claim)
        fails = claim.payload["failing"]
        return Parts([Part("together", f"{claim.job_id} {n}", {"fails": n in fails}) for n in range(N)])

    def do(work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            errors.append(repr(error))
        finally:
            connection.close()

    def all_at_once(*works):
        threads = [threading.Thread(target=do, args=work) for work in works]
        for thread in threads: thread.start()
        for thread in threads: thread.join()

    def make(key, failing=()):
        whole = services.enqueue(kind="of-many", key=key, payload={"failing": list(failing)})
        services.run(whole.pk)
        return whole, list(whole.parts.order_by("place").values_list("pk", flat=True))
"""


def test_parts_that_end_in_the_same_instant_queue_their_whole_exactly_once(installation):
    code = """
    for trial in range(8):
        whole, ids = make(f"w {trial}")
        start = threading.Barrier(N)
        all_at_once(*[(services.run, pk) for pk in ids])
        all_at_once(*[(services.run, whole.pk) for _ in range(4)])
    assert (len(queued), errors) == (8, []), (queued, errors)
    assert not Job.objects.exclude(attempts=1).exists()
    """
    installation.python(textwrap.dedent(SIDE_BY_SIDE) + textwrap.dedent(code))
    assert set(installation.states()) == {"done"}
    assert [count for _, count in installation.effects()] == [1] * 8 * 9


def test_cancelling_and_failing_while_parts_end_locks_nobody_out_and_leaves_nothing_running(installation):
    code = """
    def cancel(job):
        start.wait()
        services.cancel(job)

    def retry(job):
        start.wait()
        services.retry(job)

    for trial in range(8):
        whole, ids = make(f"w {trial}", failing=[2, 5] if trial % 2 else [])
        cancelled = Job.objects.get(pk=ids[-1]) if trial % 4 > 1 else whole
        start = threading.Barrier(N + 3)
        all_at_once(*[(services.run, pk) for pk in ids], (cancel, whole), (cancel, cancelled), (retry, whole))
        start = threading.Barrier(1)
        services.sweep()
    assert errors == [], errors
    for job in Job.objects.exclude(error=""):
        assert "PermanentError: no" in job.error or "was cancelled" in job.error, job.error
    for whole in Job.objects.filter(whole=None):
        states = set(whole.parts.values_list("state", flat=True))
        if whole.state in ("failed", "cancelled"):
            assert states <= set(Job.FINAL_STATES), (whole, states)
        else:  # tried again
            assert (whole.state == "queued") == (states == {"done"}), (whole, states)
            assert not states & {"failed", "cancelled"}, (whole, states)
    """
    installation.python(textwrap.dedent(SIDE_BY_SIDE) + textwrap.dedent(code))
    assert "running" not in installation.states()
    assert all(count == 1 for _, count in installation.effects())


def test_workers_and_run_here_share_the_parts(installation):
    installation.start_worker()
    done = installation.python(
        "from jobs import services\n"
        "job = services.enqueue(kind='probe.whole', key='w', payload={'parts': 8, 'seconds': 0.3})\n"
        "print(services.run_here(job).state)"
    )
    assert done == "done\n"
    assert sorted(installation.effects()) == [(f"effect of {n}", 1) for n in range(1, 10)]
