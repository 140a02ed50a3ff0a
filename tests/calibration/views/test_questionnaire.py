import json
import re

import pytest
from django.urls import reverse

from annotation.models import Enrollment, Outcome
from calibration.instrument.shipped import CONTENT
from calibration.models import Questionnaire, QuestionnaireResponse
from tests.factories import StudyFactory
from tests.visitor import enter, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db
ANSWERS = {
    "age": "44",
    "age-declined": "",
    "gender": "woman",
    "ethnicity": ["black", "asian"],
    "education": "bachelor",
    "party": "independent",
    "party_lean": "neither",
    "ideology": "moderate",
    "social_media_use": "daily",
    "comments": "",
}


@pytest.fixture
def study():
    return StudyFactory(steps=("questionnaire",))


@pytest.fixture
def here(client, study):
    enter(client, study)
    return step_path(study, "questionnaire")


def test_the_page_asks_every_item_and_marks_none(client, here):
    before = freeze_rows()
    controls = read(client.get(here)).form().questions()
    assert [control.name for control in controls] == list(ANSWERS)
    assert not any(value for control in controls for value in control.values)
    assert (controls[0].attributes["data-min"], controls[0].attributes["data-max"]) == ("18", "120")
    assert freeze_rows() == before


def test_the_answers_are_stored_as_what_they_are_and_the_step_ends(client, study, here):
    response = client.post(here, ANSWERS)
    assert (response.status_code, response.url) == (303, reverse("annotation:done", args=[study.slug]))
    stored = QuestionnaireResponse.objects.get()
    expected = {key: value for key, value in ANSWERS.items() if value}
    assert stored.answers == expected | {"age": 44, "ethnicity": ["asian", "black"]}
    assert stored.version == 2
    assert Enrollment.objects.get().outcome == Outcome.COMPLETED


def test_what_may_be_left_out_can_be_left_out(client, here):
    assert client.post(here, ANSWERS | {"age": ""}).status_code == 303
    assert "age" not in QuestionnaireResponse.objects.get().answers


def test_choosing_not_to_say_is_stored_and_leaving_it_open_is_not(client, here):
    declined = {"age": "", "age-declined": "prefer_not_to_say", "ethnicity": "prefer_not_to_say"}
    assert client.post(here, ANSWERS | declined | {"party_lean": ""}).status_code == 303
    answers = QuestionnaireResponse.objects.get().answers
    assert (answers["age"], answers["ethnicity"]) == ("prefer_not_to_say", "prefer_not_to_say")
    assert "party_lean" not in answers


@pytest.mark.parametrize(
    "change",
    [
        {"party": ""},
        {"party": "pirates"},
        {"party": "\x00"},
        {"age": "17"},
        {"age": "121"},
        {"age": "old"},
        {"age": "9" * 5000},
        {"age": "44.5"},
        {"comments": "x" * 2001},
        {"comments": "a\x00b"},
        {"age-declined": "prefer_not_to_say"},
        {"ethnicity": ["white", "prefer_not_to_say"]},
        {"ethnicity": "martian"},
        {"party": ["democrat", "republican"]},
    ],
    ids=lambda change: str(change)[:30],
)
def test_an_answer_that_does_not_fit_is_marked_and_the_others_are_kept(client, here, change):
    before = freeze_rows()
    sent = ANSWERS | {"comments": "What I typed\nin two lines"} | change
    response = client.post(here, sent)
    page = read(response)
    assert response.status_code == 422
    assert "One answer needs another look. It is marked below." in page.text
    kept = page.form().controls
    assert kept["gender"].values == ["woman"]
    if "comments" not in change:
        assert kept["comments"].values[0].replace("\r\n", "\n") == sent["comments"]
    assert freeze_rows() == before


def test_what_was_typed_comes_back_with_a_message_tied_to_its_field(client, here):
    html = client.post(here, ANSWERS | {"age": "forty"}).content.decode()
    field = re.search(r'<input type="text" name="age"[^>]*>', html)[0]
    assert 'value="forty"' in field
    assert 'aria-invalid="true"' in field
    described_by = re.search('aria-describedby="([^"]*)"', field)[1].split()
    said = [re.search(rf'<p[^>]* id="{name}">([^<]*)</p>', html)[1] for name in described_by]
    assert said == ["In whole years.", "Please give a whole number from 18 to 120."]
    assert 'href="#id_age"' in html


def test_a_group_of_options_names_its_error(client, here):
    html = client.post(here, ANSWERS | {"party": ""}).content.decode()
    group = re.search(
        r'<fieldset class="choices has-error"([^>]*)>\s*<legend><span dir="auto">In US politics', html
    )[1]
    described_by = re.search('aria-describedby="([^"]*)"', group)[1]
    assert re.search(rf'<p[^>]* id="{described_by}">([^<]*)</p>', html)[1] == "Please choose an answer."


def test_nothing_at_all_is_marked_too(client, here):
    response = client.post(here, {})
    assert response.status_code == 422
    assert not QuestionnaireResponse.objects.exists()


def test_half_a_character_smuggled_in_by_an_odd_encoding_is_refused(client, here):
    served = read(client.get(here)).form().controls.values()
    hidden = {control.name: control.values[0] for control in served if control.kind == "hidden"}
    sent = hidden | ANSWERS | {"ethnicity": "asian", "comments": "left\\ud800right", "party": "\\ud800"}
    lines = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in sent.items()
    ]
    response = client.generic(
        "POST",
        here,
        ("".join(lines) + "--edge--\r\n").encode(),
        content_type="multipart/form-data; boundary=edge; charset=unicode_escape",
    )
    assert response.status_code == 422
    assert "left�right" in response.content.decode()
    assert not QuestionnaireResponse.objects.exists()


def test_the_same_answers_twice_are_one_response(client, here):
    client.post(here, ANSWERS)
    before = freeze_rows()
    assert client.post(here, ANSWERS | {"age": "50"}, follow=True).status_code == 200
    assert freeze_rows() == before


class TestAGrid:
    @pytest.fixture
    def rows(self, study):
        definition = json.loads((CONTENT / "values_19.json").read_text(encoding="utf-8"))
        Questionnaire.objects.filter(study=study).update(definition=definition)
        return [row["key"] for row in definition["items"][0]["rows"]]

    def test_every_row_is_a_group_of_its_own_with_all_levels(self, client, here, rows):
        html = client.get(here).content.decode()
        controls = read(client.get(here)).form().controls
        for row in rows:
            assert controls[row].options == ["1", "2", "3", "4", "5", "6", "prefer_not_to_say"]
        assert html.count('<fieldset class="likert-line">') == len(rows)
        assert "<table" not in html

    def test_ratings_are_stored_as_numbers(self, client, here, rows):
        sent = dict.fromkeys(rows, "4") | {rows[3]: "prefer_not_to_say"}
        assert client.post(here, sent).status_code == 303
        expected = dict.fromkeys(rows, 4) | {rows[3]: "prefer_not_to_say"}
        assert QuestionnaireResponse.objects.get().answers == expected

    def test_only_the_rows_that_are_open_are_marked(self, client, here, rows):
        response = client.post(here, dict.fromkeys(rows, "4") | {rows[3]: "7", rows[5]: ""})
        html = response.content.decode()
        assert response.status_code == 422
        assert "2 answers need another look" in html
        assert html.count("likert-line has-error") == 2
        assert read(response).form().controls[rows[0]].values == ["4"]
        assert not QuestionnaireResponse.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_questionnaire_that_was_deleted_meanwhile_holds_nobody_up(client, study, here, method):
    Questionnaire.objects.all().delete()
    response = getattr(client, method)(here)
    assert response.status_code == 303
    assert client.get(response.url).status_code in (200, 303)
