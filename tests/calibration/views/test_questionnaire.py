import pytest
from django.urls import reverse

from annotation.models import Enrollment, Outcome
from calibration.models import Questionnaire, QuestionnaireResponse
from tests.factories import StudyFactory
from tests.visitor import enter, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db
ANSWERS = {
    "age": "44",
    "gender": "woman",
    "education": "bachelor",
    "party": "independent",
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
    assert controls[0].kind == "number"
    assert (controls[0].attributes["min"], controls[0].attributes["max"]) == ("18", "120")
    assert freeze_rows() == before


def test_the_answers_are_stored_as_what_they_are_and_the_step_ends(client, study, here):
    response = client.post(here, ANSWERS)
    assert (response.status_code, response.url) == (303, reverse("annotation:done", args=[study.slug]))
    stored = QuestionnaireResponse.objects.get()
    assert stored.answers == {key: value for key, value in ANSWERS.items() if value} | {"age": 44}
    assert stored.version == 1
    assert Enrollment.objects.get().outcome == Outcome.COMPLETED


def test_what_may_be_left_out_can_be_left_out(client, here):
    assert client.post(here, ANSWERS | {"age": ""}).status_code == 303
    assert "age" not in QuestionnaireResponse.objects.get().answers


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
    ],
    ids=lambda change: str(change)[:30],
)
def test_an_answer_that_does_not_fit_is_marked_and_the_others_are_kept(client, here, change):
    before = freeze_rows()
    sent = ANSWERS | {"comments": "What I typed\nin two lines"} | change
    response = client.post(here, sent)
    page = read(response)
    assert response.status_code == 422
    assert "Some answers need another look" in page.text
    kept = page.form().controls
    assert kept["gender"].values == ["woman"]
    if "comments" not in change:
        assert kept["comments"].values[0].replace("\r\n", "\n") == sent["comments"]
    assert freeze_rows() == before


def test_nothing_at_all_is_marked_too(client, here):
    response = client.post(here, {})
    assert response.status_code == 422
    assert not QuestionnaireResponse.objects.exists()


def test_half_a_character_smuggled_in_by_an_odd_encoding_is_refused(client, here):
    lines = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (ANSWERS | {"comments": "left\\ud800right", "party": "\\ud800"}).items()
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


def test_a_step_that_names_no_questionnaire_of_the_study_is_a_page_not_found(client, study, here):
    Questionnaire.objects.all().delete()
    for send in (client.get, client.post):
        assert send(here).status_code == 404
