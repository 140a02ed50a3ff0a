import json
from datetime import UTC, datetime

import pytest
import time_machine

from annotation.models import PageVisit, Study
from annotation.selectors import get_open_assignment
from tests.every_step import build_study
from tests.visitor import enter, form_data, mark_nothing, read, step_path

pytestmark = pytest.mark.django_db
NOTES = {
    "shown": 1_700_000_000_000,
    "answered_ms": 5000,
    "away": 1,
    "away_ms": 900,
    "viewport": [390, 844],
    "changes": [[1200, "open-statement"]],
}


@pytest.fixture
def study():
    return build_study("labeling", "vcq")


@pytest.fixture
def enrollment(client, study):
    return enter(client, study)


@pytest.fixture
def submit(client, study, enrollment):
    def submit(**more):
        data = form_data(get_open_assignment(enrollment), mark_nothing(), **more)
        return client.post(step_path(study, "labeling"), data)

    return submit


def test_a_submitted_page_leaves_a_note_of_its_own_apart_from_the_answers(submit, enrollment):
    item = str(get_open_assignment(enrollment).pk)
    assert submit(paradata=json.dumps(NOTES)).status_code == 303
    visit = PageVisit.objects.get()
    assert (visit.enrollment, visit.item, visit.client) == (enrollment, item, NOTES)
    assert visit.step.kind == "labeling"


def test_the_servers_clock_says_when_a_page_was_shown_and_answered(client, study, enrollment):
    with time_machine.travel(datetime(2026, 3, 1, 12, 0, tzinfo=UTC), tick=False) as clock:
        page = read(client.get(step_path(study, "labeling"))).form().controls["page"].values[0]
        clock.shift(90)
        data = form_data(get_open_assignment(enrollment), mark_nothing(), page=page)
        client.post(step_path(study, "labeling"), data)
    visit = PageVisit.objects.get()
    assert (visit.answered_at - visit.shown_at).total_seconds() == 90


@pytest.mark.parametrize(
    "sent",
    ["", "{", "[]", "null", "7", '"x"', "[" * 30_000, '{"away": -1}', '{"shown": 1e300}', '{"viewport": [1]}',
     '{"changes": [[1, "\\u0000"]]}', '{"changes": [[1, "\\ud800"]]}', '{"email": "a@b.org"}', "\x00"],
)  # fmt: skip
def test_nonsense_is_left_out_and_the_answer_is_taken(submit, sent):
    assert submit(paradata=sent).status_code == 303
    assert PageVisit.objects.get().client == {}


def test_a_study_that_does_not_collect_them_has_none(submit):
    Study.objects.update(collects_paradata=False)
    submit(paradata=json.dumps(NOTES))
    assert not PageVisit.objects.exists()


def test_an_answer_that_was_not_taken_leaves_no_note(client, study, submit, enrollment):
    first = form_data(get_open_assignment(enrollment), mark_nothing())
    here = step_path(study, "labeling")
    assert client.post(here, {"item": first["item"]}).status_code in (200, 422)
    for _ in range(2):
        client.post(here, first)
    assert PageVisit.objects.count() == 1
    submit()
    client.post(here, first)
    assert PageVisit.objects.count() == 2


def test_a_forged_name_of_what_was_asked_is_no_fault_of_ours(client):
    study = build_study("instructions", "vcq")
    enter(client, study)
    sent = {"item": "\x00" + "x" * 5000, "paradata": json.dumps(NOTES)}
    assert client.post(step_path(study, "instructions"), sent).status_code == 303
    assert PageVisit.objects.get().item == "x" * 100


@pytest.mark.parametrize("collects", [True, False])
def test_the_consent_page_says_what_is_noted_and_leaves_no_note_itself(client, collects):
    study = build_study("consent", "labeling", collects_paradata=collects)
    enter(client, study)
    page = read(client.get(step_path(study, "consent")))
    assert ("How you use the pages" in page.text) is collects
    client.post(step_path(study, "consent"), {"consent": "yes", "paradata": json.dumps(NOTES)})
    assert not PageVisit.objects.exists()
