import csv
import io
import json

import pytest
from django.contrib.auth import get_user_model

from annotation.models import StudyEvent
from jobs import services as jobs
from modeling.annotators.runs import cancel_run, find_run_job
from modeling.curation.services import create_curation
from modeling.reports.names import SAYS_STANDIN
from modeling.standin.script import Script
from tests.factories import AnnotatorModelFactory, AnnotatorRunFactory, PostFactory

from .test_annotators import WARNING, fresh_trees, log_in, page, standin, study, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
__all__ = ["fresh_trees", "standin", "study"]  # fixtures


@pytest.fixture
def run(study, standin):
    PostFactory(study=study, text="=SUM(1) cake [[fault:refusal]]", key="=formula")
    return AnnotatorRunFactory(
        annotator=AnnotatorModelFactory(study=study, input_price=100, output_price=100)
    )


def work(client, run):
    assert client.post(page(run.annotator.study, "run_start", run.pk)).status_code == 302
    jobs.run_here(find_run_job(run), poll_seconds=0.01)
    run.refresh_from_db()


def body(answer):
    return b"".join(answer.streaming_content).decode()


def test_the_start_button_says_what_the_run_costs(client, study, run):
    log_in(client, study)
    shown = text_of(client.get(page(study, "run", run.pk)))
    assert "Start: about $0." in shown and ", at most $" in shown
    assert WARNING in shown
    assert "will stop on the way" not in shown
    type(run).objects.filter(pk=run.pk).update(budget="0.0002")
    shown = text_of(client.get(page(study, "run", run.pk)))
    assert "by its budget" in shown and "will stop on the way" in shown
    assert "Start: stops at $0.0002" in shown


def test_a_run_shows_progress_results_and_failures_by_reason(client, study, run):
    log_in(client, study)
    work(client, run)
    answer = client.get(page(study, "run", run.pk))
    shown = text_of(answer)
    assert "Done" in shown and "3 of 3 posts are read" in shown
    assert "refused 1" in shown
    assert WARNING in shown
    assert "Ask again about" not in shown
    assert run.spent > 0


def test_a_run_under_way_is_polled(client, study, run):
    log_in(client, study)
    client.post(page(study, "run_start", run.pk))
    fragment = client.get(page(study, "run", run.pk), headers={"HX-Request": "true"}).content.decode()
    assert "0 of 3 posts are read" in fragment and "hx-get" in fragment
    jobs.run_here(find_run_job(run), poll_seconds=0.01)
    ended = client.get(page(study, "run", run.pk), headers={"HX-Request": "true"})
    assert ended.headers["HX-Refresh"] == "true"


def test_a_run_that_the_budget_stopped_goes_on_with_a_higher_one(client, study, run):
    log_in(client, study)
    type(run).objects.filter(pk=run.pk).update(budget="0.0002")
    work(client, run)
    assert run.state == "stopped"
    assert "It stopped." in text_of(client.get(page(study, "run", run.pk)))
    refused = client.post(page(study, "run_resume", run.pk), {"budget": "plenty"})
    assert refused.status_code == 422 and 'value="plenty"' in refused.content.decode()
    client.post(page(study, "run_resume", run.pk), {"budget": "50"})
    jobs.run_here(find_run_job(run), poll_seconds=0.01)
    run.refresh_from_db()
    assert (run.state, str(run.budget)) == ("done", "50.000000")


def test_a_run_can_be_cancelled_and_resumed(client, study, run):
    log_in(client, study)
    client.post(page(study, "run_start", run.pk))
    client.post(page(study, "run_cancel", run.pk))
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert "Resume" in text_of(client.get(page(study, "run", run.pk)))
    client.post(page(study, "run_resume", run.pk))
    run.refresh_from_db()
    assert run.state == "running"


def test_failures_without_a_reply_can_be_asked_again(client, study, run, standin):
    log_in(client, study)
    standin.script = Script.from_dict({"rules": [{"fault": "model_gone", "first": 1}]})
    work(client, run)
    standin.script = Script()
    if run.state == "stopped":
        client.post(page(study, "run_resume", run.pk))
    client.post(page(study, "run_again", run.pk))
    jobs.run_here(find_run_job(run), poll_seconds=0.01)
    run.refresh_from_db()
    assert run.state == "done" and run.readings.filter(fault="").count() == 2
    said = client.post(page(study, "run_again", run.pk), follow=True)
    assert "reply that was paid for" in text_of(said)


def test_readings_are_downloaded_with_a_mark_on_each_line(client, study, run):
    log_in(client, study, "analyst")
    user = get_user_model().objects.create_superuser("root")
    client.force_login(user)
    work(client, run)
    answer = client.get(page(study, "run_file", run.pk, "csv"))
    assert "standin.csv" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(body(answer))))
    assert {row["source"] for row in rows} == {SAYS_STANDIN} == {WARNING}
    assert {row["post"] for row in rows} >= {"'=formula"}
    assert all(float(row[key]) >= 0 for row in rows if not row["fault"] for key in study.value_keys)
    lines = [
        json.loads(line) for line in body(client.get(page(study, "run_file", run.pk, "jsonl"))).splitlines()
    ]
    assert [line["fault"] for line in lines].count("refused") == 1
    assert all(set(line["ratings"]) == set(study.value_keys) for line in lines if line["ratings"])
    assert StudyEvent.objects.filter(action=StudyEvent.Action.EXPORT, actor=user).count() == 2
    assert client.get(page(study, "run_file", run.pk, "xlsx")).status_code == 404


def test_readings_are_for_those_who_may_export(client, study, run):
    log_in(client, study, "assistant")
    assert client.get(page(study, "run_file", run.pk, "csv")).status_code == 404
    assert client.get(page(study, "run", run.pk)).status_code == 200


def test_an_analyst_looks_without_steering(client, study, run):
    log_in(client, study, "analyst")
    assert "Start: about" not in text_of(client.get(page(study, "run", run.pk)))
    for name in ("run_start", "run_cancel", "run_resume", "run_again"):
        assert client.post(page(study, name, run.pk)).status_code == 404


def test_a_run_of_a_curation_is_steered_by_the_curation(client, study, run):
    log_in(client, study)
    type(run).objects.filter(pk=run.pk).update(curation=create_curation(study, name="Feeds"))
    run.refresh_from_db()
    type(run).objects.filter(pk=run.pk).update(selection={"posts": "feed"})
    shown = text_of(client.get(page(study, "run", run.pk)))
    assert "belongs to the curation Feeds" in shown and "Start: about" not in shown
    assert client.post(page(study, "run_start", run.pk)).status_code == 404


def test_a_run_that_has_ended_cannot_be_started(client, study, run):
    log_in(client, study)
    cancel_run(run)
    answer = client.post(page(study, "run_start", run.pk), follow=True)
    assert "resume it" in text_of(answer)
