import pytest

from annotation.models import Post
from calibration.models import CalibrationAnswer
from tests.factories import CalibrationQuestionFactory, PostFactory, StudyFactory
from tests.visitor import enter, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    study = StudyFactory(steps=("vcq", "questionnaire"), questions=0)
    for position, key in ((1, "power"), (2, "tradition")):
        post = PostFactory(study=study, key=f"c{position}", purpose=Post.Purpose.CALIBRATION)
        CalibrationQuestionFactory(study=study, position=position, post=post, value_key=key)
    return study


@pytest.fixture
def here(client, study):
    enter(client, study)
    return step_path(study, "vcq")


def test_a_page_asks_one_value_of_one_post_on_the_studys_scale_and_stores_nothing(client, here):
    before = freeze_rows()
    page = read(client.get(here))
    assert page.find("data-post-text").text == "The words of c1."
    assert page.find("data-value").attributes["data-value"] == "power"
    rating = page.form().controls["rating"]
    assert (rating.options, rating.values) == (["1", "2", "3", "4", "5"], [])
    assert "To what extent does this post reflect Power?" in page.text
    assert "Not at all" in page.text
    assert freeze_rows() == before


def test_every_answer_leads_to_the_next_question_and_the_last_to_the_next_step(client, study, here):
    assert client.post(here, {"item": "1", "rating": "5"}).url == here
    assert read(client.get(here)).find("data-value").attributes["data-value"] == "tradition"
    response = client.post(here, {"item": "2", "rating": "1"})
    assert (response.status_code, response.url) == (303, step_path(study, "questionnaire"))
    answers = CalibrationAnswer.objects.values_list("question__value_key", "rating")
    assert dict(answers) == {"power": 5, "tradition": 1}


@pytest.mark.parametrize("rating", [None, "", "0", "6", "-1", "3.0", "three", "٣", "03", "\x00", "9" * 5000])
def test_a_rating_outside_the_scale_is_asked_again_and_stores_nothing(client, here, rating):
    before = freeze_rows()
    sent = {"item": "1"} | ({} if rating is None else {"rating": rating})
    response = client.post(here, sent)
    page = read(response)
    assert response.status_code == 422
    assert "Please choose a number." in page.text
    assert page.find("data-value").attributes["data-value"] == "power"
    assert freeze_rows() == before


@pytest.mark.parametrize("question", [None, "", "0", "99", "abc", "-1", "٣", "\x00", "99999", "9" * 40])
def test_a_question_the_study_does_not_ask_is_refused(client, here, question):
    before = freeze_rows()
    sent = {"rating": "3"} | ({} if question is None else {"item": question})
    response = client.post(here, sent)
    assert response.status_code == 409
    assert "Nothing was saved" in read(response).text
    assert freeze_rows() == before


def test_a_question_that_is_not_open_yet_is_refused(client, here):
    before = freeze_rows()
    response = client.post(here, {"item": "2", "rating": "3"})
    assert response.status_code == 409
    assert "not open yet" in read(response).text
    assert freeze_rows() == before


@pytest.mark.parametrize(("rating", "is_told"), [("5", False), ("2", True), ("9", False)])
def test_an_answered_question_stays_as_it_was_answered_first(client, here, rating, is_told):
    client.post(here, {"item": "1", "rating": "5"})
    before = freeze_rows()
    response = client.post(here, {"item": "1", "rating": rating}, follow=True)
    assert response.status_code == 200
    assert read(response).find("data-value").attributes["data-value"] == "tradition"
    assert ("Your first answer stands" in response.content.decode()) is is_told
    assert freeze_rows() == before
