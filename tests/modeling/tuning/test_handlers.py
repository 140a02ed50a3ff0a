from decimal import Decimal

import numpy as np
import pytest

from jobs import services as jobs
from jobs.models import Job
from modeling.estimators.data import FitSettings
from modeling.estimators.prepared import hold_out
from modeling.matrices import load_table
from modeling.models import AnnotatorModel, FineTuning
from modeling.providers.faults import CallFault, FaultKind, ProviderFault
from modeling.providers.tuning import TuningClient
from modeling.standin.script import Fault, Rule, Script
from modeling.tuning import handlers
from modeling.tuning.services import CANCEL_REMOTE, FINE_TUNE, cancel_tuning, find_job, start_tuning
from tests.modeling.tuning.taught import FEW, ask, make_base, make_well_rated_study, serve

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
State = FineTuning.State


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(handlers, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(handlers, "PATIENCE_SECONDS", 0.05)


@pytest.fixture
def standin(settings):
    with serve(settings) as standin:
        yield standin


@pytest.fixture
def study():
    return make_well_rated_study()


@pytest.fixture
def tuning(study, standin):
    return ask(study, make_base(study, temperature=0.5, samples=2, input_price=Decimal(1)))


def run(tuning, *, start=True):
    job = start_tuning(tuning) if start else find_job(tuning)
    job = jobs.run_here(job, poll_seconds=0.02)
    tuning.refresh_from_db()
    return job


def count_jobs(standin):
    """How many trainings the provider was paid for."""
    return len(standin.tuning.all())


def test_the_taught_model_becomes_an_annotator_model_with_the_bases_prompt_and_settings(tuning, standin):
    job = run(tuning)
    assert job.state == Job.State.DONE, job.error
    assert tuning.state == State.DONE
    made, base = tuning.annotator, tuning.base
    assert (made.kind, made.name, made.version) == ("fine_tuned", "Taught", 1)
    assert made.model_name in standin.tuning.models
    assert (made.prompt, made.provider) == (base.prompt, base.provider)
    assert (made.temperature, made.samples, made.max_output_tokens) == (0.5, 2, base.max_output_tokens)
    assert made.trained_on == sorted(tuning.post_ids)
    assert made.is_standin and tuning.is_standin
    assert not standin.files.all()  # the examples do not stay at the provider


def test_it_costs_what_the_provider_says_it_trained(tuning, standin):
    run(tuning)
    trained = standin.tuning.all()[0].trained_tokens
    assert tuning.trained_tokens == trained > 0
    assert tuning.cost == (Decimal(trained) * 25 / 1_000_000).quantize(Decimal("0.000001"))


def test_what_the_provider_tells_is_kept_once_and_in_order(tuning, standin):
    standin.script = Script(tuning_seconds=0.4)
    run(tuning)
    told = [event["message"] for event in tuning.events]
    assert told == [event["message"] for event in standin.tuning.all()[0].events]
    assert "Epoch 2 of 2 done" in told
    assert tuning.events[0]["at"].startswith("20")


def test_no_worker_is_held_while_the_provider_trains(tuning, standin):
    standin.script = Script(tuning_seconds=60)
    job = start_tuning(tuning)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts) == (Job.State.QUEUED, 0)
    assert "the provider says" in job.progress_note
    tuning.refresh_from_db()
    assert tuning.remote_id and tuning.remote_state in ("running", "validating_files", "queued")


def test_a_training_that_fails_tells_the_providers_reason_and_can_be_tried_anew(tuning, standin):
    standin.script = Script(tuning_ends="failed")
    job = run(tuning)
    assert job.state == Job.State.FAILED
    assert tuning.state == State.FAILED and "The job failed." in tuning.problem
    assert not AnnotatorModel.objects.filter(kind="fine_tuned").exists()
    standin.script = Script()
    assert run(tuning).state == Job.State.DONE
    assert count_jobs(standin) == 2


def test_a_crash_after_the_job_was_begun_starts_no_second_one(tuning, standin, monkeypatch):
    honest = TuningClient.create

    def begin_and_die(self, *args, **options):
        honest(self, *args, **options)
        raise RuntimeError("the worker was killed")

    monkeypatch.setattr(TuningClient, "create", begin_and_die)
    job = start_tuning(tuning)
    jobs.run(job.pk)
    tuning.refresh_from_db()
    assert count_jobs(standin) == 1 and not tuning.remote_id
    monkeypatch.setattr(TuningClient, "create", honest)
    Job.objects.filter(pk=job.pk).update(not_before=None)
    assert run(tuning, start=False).state == Job.State.DONE
    assert count_jobs(standin) == 1
    assert tuning.remote_id == standin.tuning.all()[0].id


def test_an_answer_that_never_came_starts_no_second_job(tuning, standin, monkeypatch):
    honest, calls = TuningClient.create, []

    def begin_unheard(self, *args, **options):
        calls.append(honest(self, *args, **options))
        raise ProviderFault(CallFault(FaultKind.TIMEOUT, "The provider did not finish its answer."))

    monkeypatch.setattr(TuningClient, "create", begin_unheard)
    assert run(tuning).state == Job.State.DONE
    assert len(calls) == count_jobs(standin) == 1


def test_a_fault_that_passes_is_waited_for_and_no_try_is_used_up(tuning, standin):
    rules = (
        Rule(Fault.SERVER_ERROR, first=1, last=1, path="/v1/files"),
        Rule(Fault.HTML_200, first=1, last=1, path="/v1/fine_tuning/jobs"),
        Rule(Fault.RATE_LIMITED, first=2, last=2, path="/v1/fine_tuning/jobs", retry_after=0),
    )
    standin.script = Script(rules=rules)
    job = run(tuning)
    assert (job.state, tuning.state) == (Job.State.DONE, State.DONE)
    assert count_jobs(standin) == 1


def test_a_provider_that_asks_for_days_of_silence_is_asked_again_within_the_hour(tuning, standin):
    rule = Rule(Fault.RATE_LIMITED, path="/v1/files", retry_after=200_000)
    standin.script = Script(rules=(rule,))
    job = start_tuning(tuning)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.QUEUED and "waiting" in job.progress_note


def test_what_nobody_foresaw_can_be_taken_up_again(tuning, monkeypatch):
    job = start_tuning(tuning)
    Job.objects.filter(pk=job.pk).update(max_attempts=1)
    monkeypatch.setattr(handlers, "_open", lambda base: 1 / 0)
    assert jobs.run_here(job).state == Job.State.FAILED
    tuning.refresh_from_db()
    assert tuning.state == State.RUNNING
    monkeypatch.undo()
    monkeypatch.setattr(handlers, "POLL_SECONDS", 0.05)
    assert run(tuning).state == Job.State.DONE


def test_a_revoked_key_stops_it_at_once_with_what_to_do(tuning, standin, monkeypatch):
    standin.key = "another-key"
    monkeypatch.setenv("LLM_STANDIN_API_KEY", "revoked-key-123")
    job = run(tuning)
    assert job.state == Job.State.FAILED
    assert tuning.state == State.FAILED
    assert "key" in tuning.problem and "revoked-key-123" not in tuning.problem + job.error
    assert len(standin.requests.read()) == 1
    monkeypatch.setenv("LLM_STANDIN_API_KEY", "another-key")
    assert run(tuning).state == Job.State.DONE


def test_a_provider_that_is_not_known_any_more_is_named(tuning, settings):
    job = start_tuning(tuning)
    settings.LLM_PROVIDERS = {}
    assert jobs.run_here(job).state == Job.State.FAILED
    tuning.refresh_from_db()
    assert "knows no provider “standin”" in tuning.problem


def test_cancelling_stops_it_at_the_provider_too(tuning, standin):
    standin.script = Script(tuning_seconds=60)
    job = start_tuning(tuning)
    jobs.run(job.pk)
    assert cancel_tuning(tuning)
    jobs.run_here(Job.objects.get(kind=CANCEL_REMOTE))
    tuning.refresh_from_db()
    assert tuning.state == State.CANCELLED
    assert standin.tuning.all()[0].status == tuning.remote_state == "cancelled"
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED


def test_what_was_begun_but_not_written_down_is_cancelled_too(tuning, standin):
    standin.script = Script(tuning_seconds=60)
    jobs.run(start_tuning(tuning).pk)
    FineTuning.objects.filter(pk=tuning.pk).update(remote_id="", remote_state="")
    cancel_tuning(tuning)
    jobs.run_here(Job.objects.get(kind=CANCEL_REMOTE))
    assert standin.tuning.all()[0].status == "cancelled"


def test_cancelling_while_the_job_is_being_made_leaves_nothing_under_way(tuning, standin, monkeypatch):
    standin.script = Script(tuning_seconds=60)
    honest = TuningClient.create

    def make_slowly(self, *args, **options):
        made = honest(self, *args, **options)
        cancel_tuning(tuning)
        return made

    monkeypatch.setattr(TuningClient, "create", make_slowly)
    jobs.run(start_tuning(tuning).pk)
    assert standin.tuning.all()[0].status == "cancelled"
    tuning.refresh_from_db()
    assert tuning.state == State.CANCELLED and not tuning.annotator


def test_a_cancelled_one_can_go_on_with_a_new_job(tuning, standin):
    standin.script = Script(tuning_seconds=60)
    jobs.run(start_tuning(tuning).pk)
    cancel_tuning(tuning)
    jobs.run_here(Job.objects.get(kind=CANCEL_REMOTE))
    standin.script = Script()
    tuning.refresh_from_db()
    assert run(tuning).state == Job.State.DONE
    assert count_jobs(standin) == 2


def test_doing_the_job_twice_makes_one_annotator_model(tuning):
    job = run(tuning)
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED, finished_at=None, result=None)
    assert jobs.run(job.pk)
    assert AnnotatorModel.objects.filter(kind="fine_tuned").count() == 1


def test_a_damaged_file_of_examples_is_not_sent(tuning, standin, monkeypatch):
    FineTuning.objects.filter(pk=tuning.pk).update(artefact_sha256="0" * 64)
    assert run(tuning).state == Job.State.FAILED
    assert "is not the one" in tuning.problem
    assert not standin.requests.read()


def test_a_local_encoder_is_taught_without_any_provider(study, settings):
    settings.LLM_PROVIDERS = {}
    tuning = ask(study)
    assert tuning.state == State.RUNNING and Job.objects.filter(kind=FINE_TUNE).exists()
    assert run(tuning, start=False).state == Job.State.DONE
    made = tuning.annotator
    assert (made.kind, made.provider, made.prompt, made.is_standin) == ("encoder", "", None, False)
    assert made.trained_on == sorted(tuning.post_ids)


def test_teaching_the_same_encoder_again_gives_the_very_same_model(study):
    first, second = ask(study), ask(study)
    for tuning in (first, second):
        assert run(tuning, start=False).state == Job.State.DONE
    assert AnnotatorModel.objects.count() == 1
    assert find_job(second).result == find_job(first).result == {"annotator": first.annotator_id}


def test_a_local_encoder_learns_what_people_see(study):
    """Above chance on posts that nobody taught it by: the means of held-out posts."""
    study = make_well_rated_study(n_posts=150, seed=3)
    of_set = type(FEW)(more_raters_than=5, n_drawn=100, n_kept=80)
    tuning = ask(study, of_set=of_set)
    run(tuning, start=False)
    table = load_table(study)
    held_out = np.flatnonzero(hold_out(table.as_fit_data(), FitSettings(seed=1)))
    from modeling.tuning.encoder import read_texts

    said = read_texts(tuning.annotator, [table.texts[post] for post in held_out])
    means = np.array([table.ratings[table.posts == post].mean(axis=0) for post in held_out])
    assert said.shape == means.shape
    assert np.corrcoef(said.ravel(), means.ravel())[0, 1] > 0.5
