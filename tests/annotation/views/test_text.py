import pytest

from annotation.models import Outcome, StepCompletion
from tests.every_step import build_study
from tests.visitor import enter, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("kind", "title"), [("instructions", "What to do"), ("debrief", "What it was about")]
)
def test_a_text_is_shown_in_its_sections_and_opening_it_stores_nothing(client, kind, title):
    study = build_study(kind, "vcq")
    enter(client, study)
    before = freeze_rows()
    page = read(client.get(step_path(study, kind)))
    for words in (title, "Read", "Read each post.", "Rate it."):
        assert words in page.text
    assert page.find("data-step").attributes["data-step"] == kind
    assert freeze_rows() == before


def test_reading_on_leads_to_the_next_step_and_a_second_click_changes_nothing(client):
    study = build_study("instructions", "vcq")
    enter(client, study)
    response = client.post(step_path(study, "instructions"))
    assert (response.status_code, response.url) == (303, step_path(study, "vcq"))
    before = freeze_rows()
    response = client.post(step_path(study, "instructions"), {"retry": "yes"}, follow=True)
    assert "already finished" not in response.content.decode()
    assert freeze_rows() == before


def test_a_debrief_at_the_end_completes_the_study(client):
    study = build_study("debrief")
    enrollment = enter(client, study)
    client.post(step_path(study, "debrief"))
    enrollment.refresh_from_db()
    assert enrollment.outcome == Outcome.COMPLETED
    assert StepCompletion.objects.count() == 1


def test_markup_in_a_text_is_shown_as_text(client):
    study = build_study("instructions", "vcq")
    config = {"title": "<b>Bold</b>", "sections": [{"text": "<script>alert(1)</script>"}]}
    study.steps.filter(kind="instructions").update(config=config)
    enter(client, study)
    response = client.get(step_path(study, "instructions"))
    assert b"<script>alert" not in response.content
    assert "<b>Bold</b>" in read(response).text
