"""What holds of a run call by call: paid once, within limits, never guessed."""

import json
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs import services as jobs
from modeling.annotators import lanes
from modeling.annotators.configs import create_annotator
from modeling.annotators.facts import summarize_run
from modeling.annotators.prompts import save_prompt
from modeling.annotators.runs import cancel_run, find_run_job, resume_run, start_run
from modeling.models import ModelCall, ModelReading, ProviderPace
from modeling.prompts.shipped import values_prompt
from modeling.standin.script import Fault, Rule, Script
from tests.factories import AnnotatorModelFactory, AnnotatorRunFactory, PostFactory, StudyFactory, load_ten
from tests.modeling.annotators.ground import (
    KEY_VARIABLE,
    ask_standin,
    make_provider,
    make_run,
    point_elsewhere,
    read_all,
)

pytestmark = pytest.mark.django_db

CHAT = "/v1/chat/completions"


def write_texts(number, about="the river"):
    return [f"Post {n} about {about} and my family." for n in range(number)]


def count_asked(standin):
    return len(standin.requests.read(path=CHAT))


def test_every_post_is_read_once_and_marked_as_read_by_the_stand_in(standin):
    run = read_all(make_run(write_texts(30)))
    assert run.state == "done"
    assert run.is_standin
    readings = ModelReading.objects.filter(run=run).select_related("call")
    assert readings.count() == 30
    assert all(len(reading.ratings) == 10 and reading.call.is_standin for reading in readings)
    assert set(standin.requests.paid_by_text().values()) == {1}
    assert count_asked(standin) == 30


def test_what_was_answered_once_is_never_paid_again(standin):
    first = read_all(make_run(write_texts(12)))
    again = AnnotatorRunFactory(annotator=first.annotator)
    assert again.estimate["n_known"] == 12
    again = read_all(again)
    assert again.state == "done"
    assert again.spent == 0
    assert ModelReading.objects.filter(run=again, fault="").count() == 12
    assert count_asked(standin) == 12


def test_two_posts_of_one_text_are_one_question(standin):
    run = read_all(make_run(["The same words."] * 5))
    assert ModelReading.objects.filter(run=run, fault="").count() == 5
    assert count_asked(standin) == 1


def test_samples_are_asked_apart(standin):
    run = read_all(make_run(write_texts(3), samples=4, temperature=1.0))
    assert count_asked(standin) == 12
    assert sorted(ModelReading.objects.filter(run=run).values_list("sample", flat=True)) == sorted(
        [0, 1, 2, 3] * 3
    )


def test_ratings_stand_in_the_order_of_the_study_whatever_the_order_in_the_reply(standin):
    run = read_all(make_run(write_texts(2)))
    reading = ModelReading.objects.filter(run=run).select_related("call").first()
    replied = json.loads(reading.call.reply)["ratings"]
    assert list(reading.ratings) == [replied[key] for key in run.annotator.study.value_keys]


def test_never_more_calls_at_once_than_were_allowed():
    with ask_standin(Script(latency_seconds=0.02)) as standin:
        read_all(make_run(write_texts(40), concurrency=3))
    assert standin.requests.most_at_once <= 3


def test_a_storm_of_429_ends_with_everything_read():
    with ask_standin(Script(requests_per_minute=240, burst=3)) as standin:
        run = read_all(make_run(write_texts(12), concurrency=8))
    facts = summarize_run(run)
    n_refused = sum(entry.status == 429 for entry in standin.requests.read(path=CHAT))
    assert (facts.n_read, facts.n_failed, run.state) == (12, 0, "done")
    assert standin.n_paid() == 12
    assert 0 < n_refused <= 24


def test_no_call_is_sent_before_its_place_in_the_pace():
    with ask_standin(requests_per_minute=1200) as standin:
        read_all(make_run(write_texts(20), concurrency=8))
    times = [entry.at_seconds for entry in standin.requests.read(path=CHAT)]
    assert times[-1] - times[0] >= 0.9 * 19 * 0.05


def test_a_pause_that_the_provider_asked_for_holds_for_every_run_and_frees_the_worker(standin):
    ProviderPace.objects.create(provider="standin", paused_until=timezone.now() + timedelta(seconds=90))
    job = start_run(make_run(write_texts(2)))
    assert jobs.run(job.pk)
    [lane] = job.parts.all()
    assert jobs.run(lane.pk)
    lane.refresh_from_db()
    assert lane.state == "queued"
    assert lane.not_before > timezone.now() + timedelta(seconds=60)
    assert count_asked(standin) == 0


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP], ids=str)
def test_a_call_never_lasts_longer_than_its_deadline(fault):
    with ask_standin(Script((Rule(fault, first=1, last=1),)), deadline_seconds=0.3):
        began = time.monotonic()
        run = read_all(make_run(write_texts(1)))
    assert time.monotonic() - began < 3
    assert ModelReading.objects.get(run=run).fault == ""
    assert ModelCall.objects.get().attempts == 2


def test_a_revoked_key_stops_the_run_and_once_mended_it_goes_on():
    with ask_standin(key="another-key-than-ours") as standin:
        run = read_all(make_run(write_texts(40), concurrency=4))
        assert run.state == "stopped"
        assert "key" in run.problem
        assert count_asked(standin) == 1  # a lane tries one call before it sends more
        resume_run(run)
        run = read_all_again(run)
        assert (run.state, count_asked(standin)) == ("stopped", 2)
        standin.key = None
        resume_run(run)
        run = read_all_again(run)
    assert run.state == "done"
    assert ModelReading.objects.filter(run=run, fault="").count() == 40


def test_a_key_revoked_in_mid_run_costs_no_call_but_those_in_the_air():
    with ask_standin(Script((Rule(Fault.KEY_REVOKED, first=20),), latency_seconds=0.01)) as standin:
        run = read_all(make_run(write_texts(60), concurrency=4))
    asked = standin.requests.read(path=CHAT)
    assert run.state == "stopped"
    assert sum(entry.status == 401 for entry in asked) <= 4
    assert ModelCall.objects.filter(state="answered").count() == 19


def test_without_a_key_nothing_is_sent(standin, settings, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE)
    settings.LLM_PROVIDERS = {"openai": make_provider(standin.url, name="openai", is_standin=False)}
    study = StudyFactory(posts=0, questions=0, steps=())
    run = read_all(
        make_run(write_texts(3), annotator=AnnotatorModelFactory(study=study, provider="openai"), study=study)
    )
    assert run.state == "stopped"
    assert KEY_VARIABLE in run.problem
    assert count_asked(standin) == 0


def test_a_provider_that_the_installation_has_no_more_stops_the_run(standin, settings):
    run = make_run(write_texts(3))
    settings.LLM_PROVIDERS = {}
    run = read_all(run)
    assert (run.state, "LLM_PROVIDERS" in run.problem) == ("stopped", True)


def test_a_provider_that_stays_away_stops_the_run_with_nothing_recorded_as_read(
    standin, settings, monkeypatch
):
    monkeypatch.setattr(lanes, "AWAY_SECONDS", 0.05)
    settings.ANNOTATOR_PATIENCE_SECONDS, settings.ANNOTATOR_SILENCE_SECONDS = 0.05, 0.4
    run = make_run(write_texts(30))
    with point_elsewhere(base_url="http://127.0.0.1:9/v1"):
        run = read_all(run)
    assert run.state == "stopped"
    assert "no answer" in run.problem
    assert not ModelReading.objects.filter(run=run, fault="").exists()


# --- money ------------------------------------------------------------------------------------------


def test_a_budget_is_never_exceeded_and_a_higher_one_lets_the_run_go_on():
    prices = {"input_price": Decimal(10), "output_price": Decimal(30), "max_output_tokens": 100}
    with ask_standin() as standin:
        run = make_run(write_texts(40), budget=Decimal("0.1"), concurrency=8, **prices)
        run = read_all(run)
        assert run.state == "stopped"
        assert "budget" in run.problem
        assert 0 < run.spent <= run.budget
        assert run.reserved == 0
        n_before = standin.n_paid()
        assert 0 < n_before < 40
        assert run.spent == sum(ModelCall.objects.values_list("cost", flat=True))
        resume_run(run, budget=Decimal(5))
        run = read_all_again(run)
        assert run.state == "done"
        assert standin.n_paid() == 40
        assert set(standin.requests.paid_by_text().values()) == {1}


def test_what_a_broken_off_call_may_have_cost_counts_against_the_budget():
    prices = {"input_price": Decimal(10), "output_price": Decimal(30), "max_output_tokens": 100}
    with ask_standin(Script((Rule(Fault.CUT_OFF, first=1, last=1),))):
        run = read_all(make_run(write_texts(1), budget=Decimal(5), **prices))
    assert run.state == "done"
    assert run.reserved > 0
    assert run.spent > 0


def test_the_estimate_before_is_near_the_cost_after(standin):
    prices = {"input_price": Decimal(10), "output_price": Decimal(30)}
    run = read_all(make_run(write_texts(25), **prices))
    estimated = Decimal(run.estimate["cost"])
    assert run.spent <= estimated <= 3 * run.spent
    assert estimated <= Decimal(run.estimate["cost_at_most"])
    PostFactory(study=run.annotator.study, text="One more post about the river.")
    second = AnnotatorRunFactory(annotator=run.annotator)
    assert "25 earlier calls" in second.estimate["basis"]
    assert (second.estimate["n_calls"], second.estimate["n_known"]) == (26, 25)
    second = read_all(second)
    assert float(second.spent) == pytest.approx(float(second.estimate["cost"]), rel=0.1)


# --- crashes, races, cancelling ---------------------------------------------------------------------


def test_an_answer_that_was_stored_before_a_crash_is_read_and_not_asked_again(standin):
    run = read_all(make_run(write_texts(5)))
    ModelReading.objects.filter(run=run).delete()  # as if the process had died before it read them
    again = read_all(AnnotatorRunFactory(annotator=run.annotator))
    assert ModelReading.objects.filter(run=again, fault="").count() == 5
    assert count_asked(standin) == 5


def test_a_call_that_another_has_under_way_is_waited_for_and_taken_over_when_its_claim_runs_out(standin):
    run = read_all(make_run(write_texts(2)))
    call = ModelCall.objects.first()
    until = timezone.now() + timedelta(seconds=1.0)
    answered = {"reply": "", "answered_at": None, "run": None}
    ModelCall.objects.filter(pk=call.pk).update(
        state="claimed", claimed_by="0" * 8 + "-0000-0000-0000-" + "0" * 12, claimed_until=until, **answered
    )
    again = read_all(AnnotatorRunFactory(annotator=run.annotator))
    call.refresh_from_db()
    assert call.state == "answered"
    assert call.answered_at >= until
    assert count_asked(standin) == 3
    assert ModelReading.objects.filter(run=again, fault="").count() == 2


class Delivery:
    """A job as a lane sees it, delivered to several workers."""

    job_id, attempt = 1, 1

    def report(self, done, total, note):
        pass


def test_a_lane_delivered_twice_changes_nothing(standin):
    run = make_run(write_texts(10))
    start_run(run)
    assert lanes.work_lane(run, Delivery(), 0, 10**9) == {"n_read": 10, "n_failed": 0}
    assert lanes.work_lane(run, Delivery(), 0, 10**9) == {"n_read": 0, "n_failed": 0}
    assert count_asked(standin) == 10
    assert ModelReading.objects.filter(run=run).count() == 10


def test_a_cancelled_run_keeps_what_it_paid_for_and_resumed_pays_for_the_rest_only():
    with ask_standin(Script(latency_seconds=0.01)) as standin:
        run = make_run(write_texts(60), concurrency=4)
        job = start_run(run)

        def cancel_early(_):
            if ModelReading.objects.filter(run=run).count() >= 5:
                cancel_run(run)

        monkeypatched, jobs.REPORT_SECONDS = jobs.REPORT_SECONDS, 0.05
        try:
            jobs.run_here(job, on_progress=cancel_early, poll_seconds=0.01)
        finally:
            jobs.REPORT_SECONDS = monkeypatched
        run.refresh_from_db()
        n_paid = standin.n_paid()
        assert run.state == "cancelled"
        assert 5 <= n_paid < 60
        assert ModelCall.objects.filter(state="answered").count() == n_paid
        resume_run(run)
        run = read_all_again(run)
    assert run.state == "done"
    assert standin.n_paid() == 60
    assert ModelReading.objects.filter(run=run, fault="").count() == 60


def test_a_failed_call_of_an_earlier_run_is_tried_again_by_a_later_one():
    with ask_standin() as standin:
        first = read_all(make_run(["A post. [[fault:html_200*6]]", "A good post."]))
        assert summarize_run(first).failures[0].fault == "not_json"
        second = read_all(AnnotatorRunFactory(annotator=first.annotator))
        assert summarize_run(second).n_read == 2
        assert count_asked(standin) == 8


def test_a_changed_prompt_asks_anew(standin):
    study = StudyFactory(posts=0, questions=0, steps=())
    first = read_all(make_run(write_texts(2), study=study))
    design = values_prompt(load_ten())
    changed = save_prompt(study, type(design)(**vars_of(design) | {"closing": "Be quick."}))
    other = create_annotator(
        study,
        name=first.annotator.name,
        kind="zero_shot",
        prompt=changed,
        provider="standin",
        model_name="plain-reader",
    )
    assert other.version == 2
    read_all(AnnotatorRunFactory(annotator=other))
    assert count_asked(standin) == 4


def vars_of(design):
    return {name: getattr(design, name) for name in ("purpose", "instructions", "concepts", "scale")}


def read_all_again(run):
    """Do the newest job of a run here."""
    job = jobs.run_here(find_run_job(run), poll_seconds=0.01)
    assert job.state == "done", job.error
    run.refresh_from_db()
    return run


def test_another_study_shares_no_answers(standin):
    runs = [read_all(make_run(["One text."])) for _ in range(2)]
    assert runs[0].annotator.study_id != runs[1].annotator.study_id
    assert count_asked(standin) == 2
