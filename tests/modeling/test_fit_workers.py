"""What holds of fits and scores when workers are killed, paused, raced or told everything ten times."""

import contextlib
import io
import json
import os
import pickle
import random
import signal
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from jobs import services as jobs
from modeling import serving
from modeling.errors import ArtefactDamaged
from modeling.scoring.requests import request_scores
from modeling.services import request_fit
from modeling.serving import load_serving
from tests.jobs.conftest import Installation, empty_redis, kill_group
from tests.modeling.rated import FEW, make_rated_study

pytestmark = pytest.mark.django_db  # so that the run on PostgreSQL and Redis has these tests too

SLOW = {"n_trees": 1000}  # a unit takes half a second
N_UNITS = N_VALUES = 4
N_POSTS, N_RATERS = 16, 10
N_FILES = (
    N_VALUES + 3
)  # of a fit: a forest for each value, the blends, the reader, and the held-out predictions
STEP = 16  # 1 is every statement; the same paths are seen in a sixteenth of the time


class Plant(Installation):
    """An installation of all of Parallax, with workers that can be made to fail and a console to ask things of."""

    def __init__(self, environment, folder):
        super().__init__(environment, folder)
        self.faults, self.at_work = folder / "faults", folder / "at-work"
        self.log = (folder / "log").open("a")
        self.console = self.start(
            sys.executable, "-m", "tests.modeling.faults.console", stdin=-1, stdout=-1, text=True
        )
        self.worker = None

    def ask(self, name, *args, **options):
        self.console.stdin.write(json.dumps([name, args, options]) + "\n")
        self.console.stdin.flush()
        said = json.loads(self.console.stdout.readline())
        assert "error" not in said, said["error"]
        return said["answer"]

    def keep_workers(self):
        """Start workers unless there are some."""
        if self.worker is None or self.worker.poll() is not None:
            self.worker = self.start(
                *[sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "--concurrency=2"],
                *["--beat", "--schedule", str(self.folder / "schedule"), "--loglevel=INFO"],
                stderr=self.log,
            )  # fmt: skip

    def kill_all_workers(self):
        kill_group(self.worker)

    def kill_one_at_work(self, chance):
        """Kill one of the processes that do a step of a fit."""
        self.wait_for_work()
        if numbers := self.find_at_work():
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(numbers), signal.SIGKILL)

    def order(self, *faults):
        for fault in faults:
            (self.faults / fault).touch()

    def was_done(self, fault):
        return not (self.faults / fault).exists()

    def find_at_work(self):
        """The processes that do a step of a fit, paused ones too, in order."""
        return sorted(
            number
            for number in (int(mark.name) for mark in self.at_work.iterdir())
            if read_state(number) not in "XZ"
        )

    def wait_for_work(self):
        self.wait_until(self.find_at_work, timeout=60)

    def wait_for_end(self, job, state="done", timeout=90):
        def ended():
            [(now,)] = self.query(f"SELECT state FROM jobs_job WHERE id = {job}")  # noqa: S608 - a number of our own
            assert now == state or now not in ("done", "failed", "cancelled"), self.ask("list_jobs", job)
            return now == state

        self.wait_until(ended, timeout=timeout)

    def wait_for_rest(self):
        """Wait until no process does a step of a fit."""
        self.wait_until(lambda: not self.find_at_work(), timeout=60)

    def count_refused(self):
        """How many times a process found, as it was to write, that the job was not its own any more."""
        self.log.flush()
        return Path(self.log.name).read_text().count("was given up: LeaseLost")

    def find_paused(self):
        """The one process that a fault has stopped; None while there is none."""
        return next((number for number in self.find_at_work() if read_state(number) == "T"), None)


def read_state(number):
    """The letter of a process's state; X when it is gone."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plant")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")},
        "DJANGO_SETTINGS_MODULE": "tests.modeling.worker_settings",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "VAR_DIR": str(folder),
        "JOBS_LEASE_SECONDS": "1.5",
        "JOBS_SWEEP_SECONDS": "0.5",
        "JOBS_RESEND_SECONDS": "1",
        "JOBS_RETRY_SECONDS": "0.1",
        "LOG_LEVEL": "INFO",
    }
    server, queue = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL")
    with contextlib.ExitStack() as stack:
        if server.startswith("postgres") and queue:
            name = f"fits_{uuid.uuid4().hex}"
            number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
            environment["DATABASE_URL"] = urlsplit(server)._replace(path=f"/{name}").geturl()
            environment["REDIS_URL"] = urlsplit(queue)._replace(path=f"/{number}").geturl()
            connection = stack.enter_context(psycopg.connect(server, autocommit=True))
            connection.execute(f"CREATE DATABASE {name}")
            stack.callback(connection.execute, f"DROP DATABASE {name} WITH (FORCE)")
            empty_redis(environment["REDIS_URL"])
        plant = Plant(environment, folder)
        stack.callback(plant.close)
        yield plant


def describe_at_rest(plant, slug):
    """What is stored, once the last worker has tidied up: scratch goes just after the rows are there."""
    until = time.monotonic() + 10
    while (found := plant.ask("describe", slug))["scratch"] and time.monotonic() < until:
        time.sleep(0.1)
    return found


def assert_one_whole_fit(plant, slug, undisturbed):
    """One fit, its files those of a fit that nothing befell to the last bit, and nothing else in the storage."""
    assert describe_at_rest(plant, slug) == {
        "fits": [undisturbed], "scores": [], "scratch": [], "without_a_row": [], "damaged": [], "missing": []
    }  # fmt: skip


def test_a_process_killed_at_any_statement_leaves_no_fit_and_no_scores_half_done(plant):
    slug = plant.ask("make_study")
    undisturbed = [plant.ask("compute_undisturbed", slug, seed=seed) for seed in (0, 1)]
    kills = plant.ask("die_at_each_statement", slug, STEP)
    assert kills > 100 / STEP
    found = describe_at_rest(plant, slug)
    assert len(found["fits"]) == len(found["scores"]) == kills + 1
    assert found["fits"][:2] == undisturbed
    assert all(len(files) == N_FILES for files in found["fits"])
    assert all(run["n_files"] == N_VALUES for run in found["scores"])
    assert (found["scratch"], found["without_a_row"], found["damaged"], found["missing"]) == ([], [], [], [])


def test_a_fit_whose_workers_are_all_killed_and_its_messages_lost_is_the_fit_that_nothing_befell(plant):
    slug = plant.ask("make_study")
    undisturbed = plant.ask("compute_undisturbed", slug, **SLOW)
    assert len(undisturbed) == N_FILES
    plant.keep_workers()
    job = plant.ask("ask_for_fit", slug, **SLOW)
    plant.wait_for_work()
    plant.kill_all_workers()
    plant.lose_all_messages()
    plant.keep_workers()
    plant.wait_for_end(job)
    assert_one_whole_fit(plant, slug, undisturbed)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.alike)])
def test_a_fit_whose_processes_are_killed_again_and_again_is_the_fit_that_nothing_befell(plant, seed):
    chance = random.Random(seed)
    slug = plant.ask("make_study")
    undisturbed = plant.ask("compute_undisturbed", slug, **SLOW)
    faults = ("kill forest order", "kill forest care, done", "kill assembly, done", "kill storing, done")
    plant.order(*faults)
    plant.keep_workers()
    job = plant.ask("ask_for_fit", slug, **SLOW)
    for _ in range(2):
        plant.wait_for_work()
        time.sleep(chance.uniform(0, 0.7))
        plant.kill_one_at_work(chance)
        plant.ask("send_hints", job, 10)
    plant.wait_for_end(job)
    assert all(map(plant.was_done, faults))
    assert_one_whole_fit(plant, slug, undisturbed)
    whole, *units = plant.ask("list_jobs", job)
    assert whole["attempts"] >= 3  # in its last round it was killed as it had assembled, and as it had stored
    assert sum(unit["attempts"] for unit in units) >= N_UNITS + 2


def test_scores_whose_processes_are_killed_again_and_again_are_stored_once_and_complete(plant):
    slug = plant.ask("make_study")
    plant.ask("fit_here", slug)
    undisturbed = plant.ask("predict", slug)
    faults = ("kill scores order", "kill scores care, done", "kill storing scores, done")
    plant.order(*faults)
    plant.keep_workers()
    job = plant.ask("ask_for_scores", slug)
    assert plant.ask("ask_for_scores", slug) == job
    plant.ask("send_hints", job, 10)
    plant.wait_for_end(job)
    assert all(map(plant.was_done, faults))
    found = describe_at_rest(plant, slug)
    assert found["scores"] == [{"n_files": N_VALUES, "shape": [N_VALUES, N_RATERS, N_POSTS]}]
    assert (found["scratch"], found["without_a_row"], found["damaged"], found["missing"]) == ([], [], [], [])
    assert plant.ask("predict", slug) == undisturbed
    assert plant.ask("furthest_from_scores", slug) <= 6 / 255 / 2 + 1e-6  # half a step of a byte


def test_a_process_paused_past_its_lease_and_woken_beside_its_successor_changes_nothing(plant):
    slug = plant.ask("make_study")
    undisturbed = plant.ask("compute_undisturbed", slug, **SLOW)
    plant.keep_workers()
    for fault in ("stop forest care", "stop assembly, done"):
        plant.order(fault)
    job = plant.ask("ask_for_fit", slug, **SLOW)
    plant.wait_until(plant.find_paused, timeout=60)
    in_a_unit = plant.find_paused()
    plant.wait_until(lambda: sum(each["attempts"] for each in plant.ask("list_jobs", job)[1:]) > N_UNITS, 60)
    os.kill(in_a_unit, signal.SIGCONT)  # two copies of the unit run at once
    plant.wait_until(plant.find_paused, timeout=60)
    in_the_assembly = plant.find_paused()
    plant.wait_for_end(job)
    refused = plant.count_refused()
    os.kill(in_the_assembly, signal.SIGCONT)
    plant.wait_until(lambda: plant.count_refused() > refused, timeout=60)
    plant.wait_for_rest()
    assert_one_whole_fit(plant, slug, undisturbed)
    assert [each["state"] for each in plant.ask("list_jobs", job)] == ["done"] * (1 + N_UNITS)


def test_a_fit_that_fails_leaves_the_last_good_one_serving_and_is_taken_up_where_it_was(plant):
    slug = plant.ask("make_study")
    first = plant.ask("fit_here", slug)
    serves = plant.ask("predict", slug)
    assert serves["fit_run"] == first
    plant.order("raise forest play")
    plant.keep_workers()
    job = plant.ask("ask_for_fit", slug, seed=2)
    plant.wait_for_end(job, "failed")
    whole, *units = plant.ask("list_jobs", job)
    assert "RuntimeError: a fault in forest play" in whole["error"]
    assert {unit["unit"]: unit["attempts"] for unit in units}["forest play"] == 5
    done = [unit for unit in units if unit["state"] == "done"]
    assert done
    assert plant.ask("predict", slug) == serves
    (plant.faults / "raise forest play").unlink()
    assert plant.ask("retry", job)
    plant.wait_for_end(job)
    _, *units = plant.ask("list_jobs", job)
    assert [unit for unit in units if unit["unit"] in [each["unit"] for each in done]] == done
    assert plant.ask("predict", slug)["fit_run"] > first
    assert len(plant.ask("describe", slug)["fits"]) == 2


def test_a_cancelled_fit_stops_within_seconds_and_stores_nothing(plant):
    slug = plant.ask("make_study")
    plant.keep_workers()
    job = plant.ask("ask_for_fit", slug, n_trees=4000)
    plant.wait_for_work()
    assert plant.ask("cancel", job)
    began = time.monotonic()
    plant.wait_for_rest()
    assert time.monotonic() - began < 10
    assert {each["state"] for each in plant.ask("list_jobs", job)} <= {"cancelled", "done"}
    assert plant.ask("describe", slug)["fits"] == []


def test_a_fit_asked_for_side_by_side_and_told_ten_times_is_one_job_and_one_fit(plant):
    slug = plant.ask("make_study")
    plant.keep_workers()
    found = plant.ask("ask_side_by_side", slug, 8)
    assert len(found) == 8
    assert len(set(found)) == 1
    plant.ask("send_hints", found[0], 10)
    plant.wait_for_end(found[0])
    assert len(plant.ask("list_jobs", found[0])) == 1 + N_UNITS
    assert len(plant.ask("describe", slug)["fits"]) == 1


# --- files that are not what was written ----------------------------------------------------------


class Canary:
    """Runs as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def canary(tmp_path, settings):
    settings.VAR_DIR = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "artefacts": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "artefacts")},
        }
    }
    return tmp_path / "canary"


def swap(file, content):
    storages["artefacts"].delete(file.name)
    assert storages["artefacts"].save(file.name, ContentFile(content)) == file.name
    serving._open.clear()  # as in a process that begins


def pickle_as_bytes(canary):
    return pickle.dumps(Canary(canary))


def pickle_in_an_archive(canary):
    archive = io.BytesIO()
    np.savez(archive, forest=np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return archive.getvalue()


@pytest.mark.alike
@pytest.mark.parametrize("plant_in", [pickle_as_bytes, pickle_in_an_archive], ids=["pickle", "archive"])
@pytest.mark.parametrize("role", ["blends", "forest.known.care", "reader"])
def test_a_planted_file_is_refused_by_its_hash_and_runs_nothing(canary, role, plant_in):
    fit_run, other = fit(make_rated_study()), fit(make_rated_study())
    file = fit_run.files.get(role=role)
    swap(file, plant_in(canary))
    with pytest.raises(ArtefactDamaged, match=rf"{file.name} is not the one this fit wrote; restore it"):
        use_all(fit_run.study)
    if role != "reader":  # which scores of rated posts do not need
        job = jobs.run_here(request_scores(fit_run), poll_seconds=0.01)
        assert job.state == "failed"
        assert file.name in job.error
        assert {part.attempts for part in job.parts.all()} <= {0, 1}  # no further try could mend it
    assert use_all(other.study) == other
    assert not canary.exists()


@pytest.mark.alike
def test_a_file_with_one_byte_changed_is_refused_and_a_new_fit_takes_its_place(canary):
    fit_run = fit(make_rated_study())
    file = fit_run.files.get(role="forest.known.care")
    with storages["artefacts"].open(file.name) as stored:
        content = bytearray(stored.read())
    content[len(content) // 2] ^= 1
    swap(file, bytes(content))
    with pytest.raises(ArtefactDamaged, match="is not the one"):
        use_all(fit_run.study)
    newer = fit(fit_run.study, seed=2)
    serving._open.clear()
    assert use_all(fit_run.study) == newer


def fit(study, **changes):
    job = jobs.run_here(request_fit(study, replace(FEW, **changes)), poll_seconds=0.01)
    return study.fit_runs.get(pk=job.result["fit_run"])


def use_all(study):
    """Predict and read by what serves now; returns the fit."""
    serves = load_serving(study)
    consensus = np.array([serves.post_scores()[post] for post in sorted(serves.post_scores())])
    for value in range(len(serves.value_keys)):
        serves.score_all(value, consensus)
    serves.read_texts(["About the river."])
    return serves.fit_run
