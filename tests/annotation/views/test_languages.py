import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from annotation.models import Outcome
from annotation.recruitment import build_entry_path
from annotation.services import finish
from tests.every_step import build_study
from tests.visitor import enter, step_path

pytestmark = pytest.mark.django_db


def head_of(response):
    return response.content.decode().partition("<head>")[0]


@pytest.mark.parametrize(("code", "direction"), [("de", ""), ("ar", ' dir="rtl"')])
def test_every_page_is_in_the_studys_language_and_direction(client, code, direction):
    study = build_study("consent", "labeling", language=code)
    other = Client()
    assert f'<html lang="{code}"{direction}>' in head_of(client.get(build_entry_path(study, "rater-one")))
    enrollment = enter(client, study)
    for response in (
        client.get(step_path(study, "consent")),
        client.post(step_path(study, "consent"), {}),
        client.get(reverse("annotation:withdraw", args=[study.slug])),
        client.post(step_path(study, "labeling"), {"item": "1"}),
        other.get(step_path(study, "consent")),
        other.get(reverse("annotation:arrival", args=[study.slug])),
    ):
        assert f'<html lang="{code}"{direction}>' in head_of(response), response.status_code
    finish(enrollment, Outcome.NO_CONSENT)
    done = client.get(reverse("annotation:done", args=[study.slug]))
    assert f'<html lang="{code}"{direction}>' in head_of(done)


def test_a_language_does_not_stay_for_the_next_person(client):
    german, english = build_study("consent", language="de"), build_study("consent")
    enter(client, german)
    client.get(step_path(german, "consent"))
    assert translation.get_language() == "en"
    enter(client, english)
    assert '<html lang="en">' in head_of(client.get(step_path(english, "consent")))


def test_the_browsers_own_language_does_not_count(client):
    study = build_study("consent")
    enter(client, study)
    response = client.get(step_path(study, "consent"), headers={"Accept-Language": "de"})
    assert '<html lang="en">' in head_of(response)
