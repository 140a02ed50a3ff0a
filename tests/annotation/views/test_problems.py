import pytest
from django.template.loader import render_to_string
from django.test import Client, override_settings
from django.urls import reverse

from annotation.models import Enrollment
from tests.factories import StudyFactory
from tests.visitor import Visitor, enter, freeze_rows, read, step_path


@pytest.mark.django_db
def test_a_form_without_its_mark_changes_nothing_and_gets_a_page_that_says_what_to_do():
    study = StudyFactory()
    visitor = Visitor()
    page = visitor.get(f"/s/{study.slug}/?PROLIFIC_PID=rater-one&STUDY_ID=60aa&SESSION_ID=60bb")
    page = visitor.submit(page.form(), {})
    before = freeze_rows()
    response = visitor.client.post(step_path(study, "consent"), {"consent": "yes"})
    assert response.status_code == 403
    assert "Open the study's link on Prolific once more" in read(response).text
    assert freeze_rows() == before
    visitor.submit(page.form(), {"consent": "yes"})
    assert Enrollment.objects.get().consent_record.given


@pytest.mark.django_db
@override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=20)
def test_too_many_fields_are_refused_with_a_page(client):
    study = StudyFactory()
    enter(client, study)
    response = client.post(step_path(study, "consent"), {f"field-{n}": "x" for n in range(21)})
    assert response.status_code == 400
    assert "could not be read" in response.content.decode()


@pytest.mark.django_db
def test_a_body_beyond_all_bounds_is_refused_with_a_page(client):
    study = StudyFactory()
    enter(client, study)
    before = freeze_rows()
    body = "consent=" + "y" * 3_000_000
    response = client.post(
        step_path(study, "consent"), body, content_type="application/x-www-form-urlencoded"
    )
    assert response.status_code == 400
    assert freeze_rows() == before


def test_the_page_for_our_own_faults_needs_nothing_to_be_shown():
    assert "Something went wrong on our side" in render_to_string("500.html")


@pytest.mark.django_db
def test_our_own_faults_get_a_page_and_no_details(monkeypatch):
    study = StudyFactory()
    client = Client(raise_request_exception=False)
    enter(client, study)

    def fail(*args, **kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("annotation.views.path.get_current_step", fail)
    response = client.get(reverse("annotation:step", args=[study.slug, 1]))
    assert response.status_code == 500
    assert "What you had submitted before is kept" in response.content.decode()
    assert "secret detail" not in response.content.decode()
