"""What is changed beside a study's own page is a change of the study too."""

import pytest
from django.urls import reverse

from annotation.models import StudyEvent
from annotation.services.lifecycle import change_state
from annotation.versions import describe_changes
from calibration.models import CalibrationQuestion, Questionnaire
from tests.admin_pages import page_of, read_errors, save
from tests.factories import EnrollmentFactory, PostFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def launched():
    study = StudyFactory(state="draft")
    return change_state(study, "live", reason="Ready.")


def delete_page_of(row):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])


def test_a_reworded_post_of_a_launched_study_makes_a_version(admin_client, launched):
    post = launched.posts.filter(purpose="labeling").first()
    assert save(admin_client, page_of(post), text="Reworded.").status_code == 302
    first, second = launched.versions.all()
    (change,) = describe_changes(first, second)
    assert post.key in str(change)
    launched.refresh_from_db()
    assert launched.current_version == second


def test_a_page_sent_back_as_it_was_makes_none(admin_client, launched):
    post = launched.posts.filter(purpose="labeling").first()
    assert save(admin_client, page_of(post)).status_code == 302
    assert launched.versions.count() == 1


def test_a_reworded_value_makes_a_version_of_each_launched_study_that_asks_for_it(admin_client, launched):
    draft = StudyFactory(state="draft", value_system=launched.value_system)
    leaf = launched.value_system.nodes.filter(is_leaf=True).first()
    assert save(admin_client, page_of(leaf), definition="In other words.").status_code == 302
    assert launched.versions.count() == 2
    assert draft.versions.count() == 0
    assert draft.events.filter(action=StudyEvent.Action.CHANGED).count() == 1


def test_a_questionnaire_that_a_running_study_asks_is_not_deleted(admin_client, launched):
    questionnaire = Questionnaire.objects.get(study=launched)
    response = admin_client.post(delete_page_of(questionnaire), {"post": "yes"}, follow=True)
    assert "Nothing was deleted" in response.content.decode()
    assert Questionnaire.objects.filter(pk=questionnaire.pk).exists()


def test_nor_are_all_questions_of_its_vcq_at_once(admin_client, launched):
    questions = CalibrationQuestion.objects.filter(study=launched)
    address = reverse("admin:calibration_calibrationquestion_changelist")
    sent = {"action": "delete_selected", "_selected_action": [each.pk for each in questions], "post": "yes"}
    response = admin_client.post(address, sent, follow=True)
    assert "Nothing was deleted" in response.content.decode()
    assert questions.count() > 0
    assert launched.versions.count() == 1


def test_a_change_that_would_break_it_comes_back_as_it_was_typed(admin_client, launched):
    EnrollmentFactory(study=launched)
    questionnaire = Questionnaire.objects.get(study=launched)
    response = save(admin_client, page_of(questionnaire), key="renamed")
    assert response.status_code == 200
    assert "Nothing was saved" in read_errors(response)
    assert response.context["adminform"].form["key"].value() == "renamed"
    questionnaire.refresh_from_db()
    assert questionnaire.key != "renamed"


def test_a_draft_may_be_taken_apart(admin_client):
    study = StudyFactory(state="draft")
    questionnaire = Questionnaire.objects.get(study=study)
    assert admin_client.post(delete_page_of(questionnaire), {"post": "yes"}).status_code == 302
    assert not Questionnaire.objects.filter(pk=questionnaire.pk).exists()


def test_a_post_that_is_added_to_a_launched_study_is_in_its_next_version(admin_client, launched):
    address = reverse("admin:annotation_post_add")
    fields = PostFactory.build(study=launched)
    sent = {"study": launched.pk, "key": "late", "purpose": "labeling", "text": fields.text, "metadata": "{}"}
    assert admin_client.post(address, sent).status_code == 302
    assert "late" in launched.versions.last().post_digests


def test_the_log_keeps_that_a_study_was_deleted(admin_client):
    study = StudyFactory(state="draft", slug="gone")
    admin_client.post(delete_page_of(study), {"post": "yes"})
    (event,) = StudyEvent.objects.filter(study_slug="gone")
    assert (event.study, event.actor_name, event.summary) == (None, "admin", "The study was deleted (draft).")
