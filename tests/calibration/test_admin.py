import json

import pytest
from django.urls import reverse

from annotation.models import Post
from annotation.selectors import _tree
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from tests.admin_pages import read_errors, read_form
from tests.factories import EnrollmentFactory, PostFactory, RaterFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


@pytest.fixture
def study():
    return StudyFactory()


@pytest.fixture
def enrollment(study):
    return EnrollmentFactory(study=study, rater=RaterFactory(origin="simulated", external_id="SECRETID9"))


def page_of(row):
    return reverse(f"admin:calibration_{row._meta.model_name}_change", args=[row.pk])


def save(client, row, **changes):
    return client.post(page_of(row), read_form(client.get(page_of(row))) | changes)


def answer(enrollment):
    question = CalibrationQuestion.objects.filter(study=enrollment.study).first()
    return CalibrationAnswer.objects.create(enrollment=enrollment, question=question, rating=2)


def respond(enrollment):
    questionnaire = Questionnaire.objects.get(study=enrollment.study)
    return QuestionnaireResponse.objects.create(
        enrollment=enrollment,
        questionnaire=questionnaire,
        version=questionnaire.definition["version"],
        answers={"age": 44},
    )


@pytest.mark.parametrize("store", [answer, respond])
def test_answers_are_read_only_pseudonymous_and_marked(admin_client, enrollment, store):
    row = store(enrollment)
    name = row._meta.model_name
    listed = admin_client.get(reverse(f"admin:calibration_{name}_changelist")).content.decode()
    assert str(enrollment.rater.pseudonym) in listed
    assert '<span class="simulated">simulated</span>' in listed
    assert "SECRETID9" not in listed
    assert admin_client.get(reverse(f"admin:calibration_{name}_add")).status_code == 403
    assert admin_client.get(page_of(row)).status_code == 200
    assert admin_client.post(page_of(row), {"rating": 5}).status_code == 403
    delete = reverse(f"admin:calibration_{name}_delete", args=[row.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_a_response_shows_what_was_answered(admin_client, enrollment):
    assert "&quot;age&quot;: 44" in admin_client.get(page_of(respond(enrollment))).content.decode()


def test_an_open_question_can_change(admin_client, study):
    question = CalibrationQuestion.objects.filter(study=study).first()
    assert save(admin_client, question, value_key=study.value_keys[3]).status_code == 302
    question.refresh_from_db()
    assert question.value_key == study.value_keys[3]


def test_an_answered_question_stays_what_it_was(admin_client, enrollment):
    question = answer(enrollment).question
    save(admin_client, question, value_key=enrollment.study.value_keys[3], position="40")
    stored = CalibrationQuestion.objects.get(pk=question.pk)
    assert (stored.value_key, stored.position) == (question.value_key, question.position)


def test_a_question_takes_only_its_own_studys_calibration_posts(admin_client, study):
    question = CalibrationQuestion.objects.filter(study=study).first()
    stranger = PostFactory(study=StudyFactory(), purpose=Post.Purpose.CALIBRATION)
    labeled = study.posts.filter(purpose=Post.Purpose.LABELING).first()
    assert "another study" in read_errors(save(admin_client, question, post=str(stranger.pk)))
    assert "for labeling" in read_errors(save(admin_client, question, post=str(labeled.pk)))


def test_a_value_the_study_does_not_have_is_refused(admin_client, study):
    question = CalibrationQuestion.objects.filter(study=study).first()
    assert "has no value" in read_errors(save(admin_client, question, value_key="nonsense"))


def test_a_questionnaire_with_faults_is_refused_with_each_of_them(admin_client, study):
    questionnaire = Questionnaire.objects.get(study=study)
    broken = {"items": [{"key": "a", "kind": "song", "label": ""}]}
    said = read_errors(save(admin_client, questionnaire, definition=json.dumps(broken)))
    assert "title is missing" in said
    assert "label is missing" in said


@pytest.mark.parametrize("text", ["", "[]", "null", "no json"])
def test_a_questionnaire_that_is_no_object_is_a_form_error(admin_client, study, text):
    response = save(admin_client, Questionnaire.objects.get(study=study), definition=text)
    assert response.status_code == 200
    assert "definition" in response.context["adminform"].form.errors


def test_a_version_that_was_answered_changes_only_with_its_number(admin_client, enrollment):
    questionnaire = respond(enrollment).questionnaire
    changed = questionnaire.definition | {"title": "Another title"}
    said = read_errors(save(admin_client, questionnaire, definition=json.dumps(changed)))
    assert "raise 'version'" in said
    changed["version"] += 1
    assert save(admin_client, questionnaire, definition=json.dumps(changed)).status_code == 302


def test_an_answered_question_is_not_deleted_and_says_why(admin_client, enrollment):
    question = answer(enrollment).question
    address = reverse("admin:calibration_calibrationquestion_delete", args=[question.pk])
    assert admin_client.post(address, {"post": "yes"}).context["protected"]
    assert CalibrationQuestion.objects.filter(pk=question.pk).exists()
