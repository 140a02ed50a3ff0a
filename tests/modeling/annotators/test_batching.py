"""What holds of a run by the provider's batches."""

from decimal import Decimal

import pytest

from jobs import services as jobs
from modeling.annotators.facts import summarize_run
from modeling.annotators.runs import cancel_run, find_run_job, resume_run, start_run
from modeling.models import ModelCall, ModelReading
from modeling.providers.batches import BatchClient
from modeling.providers.faults import CallFault, FaultKind, ProviderFault
from modeling.standin.script import Fault, Rule, Script
from tests.modeling.annotators.ground import ask_standin, make_run, read_all

pytestmark = pytest.mark.django_db

PRICES = {"input_price": Decimal(10), "output_price": Decimal(30), "max_output_tokens": 200}


def write_texts(number):
    return [f"Post {n} about the river and my family." for n in range(number)]


def make_batch_run(texts, **fields):
    return make_run(texts, mode="batch", **fields)


def read_again(run):
    job = jobs.run_here(find_run_job(run), poll_seconds=0.01)
    assert job.state == "done", job.error
    run.refresh_from_db()
    return run


def count_orders(standin):
    return sum(entry.method == "POST" and entry.path == "/v1/batches" for entry in standin.requests.read())


def test_a_run_by_batches_reads_everything_at_the_price_of_batches(standin):
    calls = read_all(make_run(write_texts(12), **PRICES))
    run = read_all(make_batch_run(write_texts(12), **PRICES))
    assert run.state == "done"
    assert ModelReading.objects.filter(run=run, fault="").count() == 12
    assert run.is_standin
    assert run.reserved == 0
    assert run.spent == pytest.approx(calls.spent / 2, abs=Decimal("0.001"))
    assert count_orders(standin) == 1
    assert summarize_run(run).latency_median is None
    assert not standin.files.all()  # neither the posts nor the replies stay at the provider


def test_files_that_the_provider_does_not_delete_are_noted_and_stop_nothing(standin, monkeypatch):
    def refuse(client, file_id):
        raise ProviderFault(CallFault(FaultKind.SERVER_ERROR, "Not now."))

    monkeypatch.setattr(BatchClient, "delete_file", refuse)
    run = read_all(make_batch_run(write_texts(3)))
    assert run.state == "done"
    assert set(run.batches.get().counts["files_left"]) == {file.id for file in standin.files.all()}


def test_batches_are_cut_at_the_number_of_lines(standin, settings):
    settings.ANNOTATOR_BATCH_LINES = 5
    run = read_all(make_batch_run(write_texts(12)))
    assert list(run.batches.order_by("number").values_list("n_calls", flat=True)) == [5, 5, 2]
    assert ModelReading.objects.filter(run=run, fault="").count() == 12


def test_a_bad_reply_is_repaired_in_the_next_batch_and_a_second_one_recorded(standin):
    run = read_all(make_batch_run(["Good one.", "Mended. [[fault:words*1]]", "Never. [[fault:words]]"]))
    facts = summarize_run(run)
    assert (facts.n_read, facts.n_repaired) == (2, 1)
    assert [(each.fault, each.number) for each in facts.failures] == [("not_a_rating", 1)]
    assert count_orders(standin) == 2


def test_lines_that_failed_go_into_one_more_batch_and_are_then_recorded(standin):
    run = read_all(
        make_batch_run(["Good.", "Once. [[fault:server_error*1]]", "Ever. [[fault:server_error]]"])
    )
    facts = summarize_run(run)
    assert facts.n_read == 2
    assert [each.fault for each in facts.failures] == ["server_error"]
    assert count_orders(standin) == 2


def test_what_an_expired_batch_left_out_goes_into_the_next(standin):
    standin.script = Script(batch_ends="expired")
    run = read_all(make_batch_run(write_texts(8)))
    facts = summarize_run(run)
    assert run.state == "done"
    assert (facts.n_read, facts.n_failed) == (6, 2)
    assert [each.fault for each in facts.failures] == ["timeout"]
    assert set(standin.requests.paid_by_text().values()) == {1}


def test_a_batch_that_the_provider_refuses_stops_the_run_which_can_go_on(standin):
    standin.script = Script(batch_ends="failed")
    run = read_all(make_batch_run(write_texts(4), **PRICES))
    assert run.state == "stopped"
    assert "refused batch 1" in run.problem
    assert (run.spent, run.reserved) == (0, 0)
    standin.script = Script()
    resume_run(run)
    run = read_again(run)
    assert run.state == "done"
    assert summarize_run(run).n_read == 4


@pytest.mark.parametrize("step", ["upload", "create"])
def test_a_crash_right_after_a_step_leads_to_no_second_order(standin, monkeypatch, step):
    honest, crashes = getattr(BatchClient, step), [1]

    def crash_after(self, *args):
        done = honest(self, *args)
        if crashes:
            crashes.pop()
            raise RuntimeError("the process dies here")
        return done

    monkeypatch.setattr(BatchClient, step, crash_after)
    monkeypatch.setattr(jobs, "LONGEST_RETRY_SECONDS", 0.01)
    run = read_all(make_batch_run(write_texts(6)))
    assert run.state == "done"
    assert count_orders(standin) == 1
    assert standin.n_paid() == 6


def test_a_provider_that_is_away_for_a_while_is_asked_again(standin, monkeypatch):
    honest, absences = BatchClient.look, [1, 1]

    def be_away(self, remote_id):
        if absences:
            absences.pop()
            raise ProviderFault(CallFault(FaultKind.UNREACHABLE, "Nobody answers."))
        return honest(self, remote_id)

    monkeypatch.setattr(BatchClient, "look", be_away)
    run = read_all(make_batch_run(write_texts(3)))
    assert (run.state, count_orders(standin)) == ("done", 1)


def test_a_cancelled_run_cancels_its_batch_and_keeps_what_was_answered():
    with ask_standin(Script(batch_seconds=0.4)) as standin:
        run = make_batch_run(write_texts(6), **PRICES)
        job = start_run(run)

        def cancel_once(_):
            if run.batches.exclude(remote_id="").exists():
                cancel_run(run)

        jobs.run_here(job, on_progress=cancel_once, poll_seconds=0.01)
        run.refresh_from_db()
        assert run.state == "cancelled"
        batch = run.batches.get()
        assert batch.remote_state in ("cancelled", "completed")
        assert run.reserved == 0
        assert ModelCall.objects.filter(state="answered").count() == standin.n_paid()
        standin.script = Script()
        resume_run(run)
        run = read_again(run)
    assert run.state == "done"
    assert standin.n_paid() == 6


def test_a_batch_takes_no_more_calls_than_the_budget_holds(standin):
    run = read_all(make_batch_run(write_texts(20), budget=Decimal("0.05"), **PRICES))
    assert run.state == "stopped"
    assert 0 < run.spent <= run.budget
    assert run.reserved == 0
    resume_run(run, budget=Decimal(5))
    assert read_again(run).state == "done"
    assert standin.n_paid() == 20


def test_a_model_that_is_gone_stops_the_run(standin):
    standin.script = Script((Rule(Fault.MODEL_GONE),))
    run = read_all(make_batch_run(write_texts(3)))
    assert run.state == "stopped"
    assert standin.n_paid() == 0
