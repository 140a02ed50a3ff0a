import pytest
from django.urls import reverse

from annotation.models import Assignment, ConsentRecord, Enrollment, Outcome
from tests.factories import StudyFactory
from tests.visitor import enter, find_codes, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory()


@pytest.fixture
def here(client, study):
    enter(client, study)
    return step_path(study, "consent")


def test_the_page_shows_the_studys_own_words_and_opening_it_stores_nothing(client, study, here):
    before = freeze_rows()
    page = read(client.get(here))
    for words in ("Before you begin", "What you will do", "Yes, I take part", "No, I do not"):
        assert words in page.text
    assert page.form().controls["consent"].options == ["yes", "no"]
    assert page.form().controls["consent"].values == []
    assert freeze_rows() == before


def test_a_yes_leads_on(client, study, here):
    response = client.post(here, {"consent": "yes"})
    assert (response.status_code, response.url) == (303, step_path(study, "labeling"))
    assert ConsentRecord.objects.get().given


def test_a_no_leads_to_its_own_page_and_code(client, study, here):
    response = client.post(here, {"consent": "no"}, follow=True)
    page = read(response)
    assert response.request["PATH_INFO"] == reverse("annotation:done", args=[study.slug])
    assert page.find("data-outcome").attributes["data-outcome"] == Outcome.NO_CONSENT
    assert "You chose not to take part" in page.text
    assert find_codes(response.content.decode(), ["DONE1111", "NOPE2222", "FULL3333"]) == {"NOPE2222"}
    assert not Assignment.objects.exists()


@pytest.mark.parametrize(
    "sent", [{"consent": ""}, {"consent": "maybe"}, {"other": "x"}, {"consent": "\x00"}, {}]
)
def test_no_clear_answer_is_asked_again_and_stores_nothing(client, here, sent):
    before = freeze_rows()
    response = client.post(here, sent)
    assert response.status_code == 422
    assert "Please choose one of the two answers." in read(response).text
    assert freeze_rows() == before


@pytest.mark.parametrize(("first", "second"), [("yes", "no"), ("no", "yes"), ("yes", "yes"), ("no", "no")])
def test_the_first_answer_stands_however_often_it_is_sent(client, here, first, second):
    client.post(here, {"consent": first})
    before = freeze_rows()
    response = client.post(here, {"consent": second}, follow=True)
    assert response.status_code == 200
    assert "What you sent first stands" in response.content.decode()
    assert freeze_rows() == before
    assert Enrollment.objects.get().outcome == ("" if first == "yes" else "no_consent")
