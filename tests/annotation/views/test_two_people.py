"""Browsers that keep no cookies, and two people at one browser."""

import pytest

from annotation.access import ADDRESS_MARK, COOKIE
from annotation.models import Annotation
from tests.every_step import build_study
from tests.factories import StudyFactory
from tests.visitor import RaterClient, arrive, enter, rate_social_focus, read, reading_data, step_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return build_study("labeling", "vcq", strategy="fixed")


def test_the_cookie_is_for_the_study_alone(client, study):
    other = StudyFactory()
    for each in (study, other):
        assert arrive(client, each).cookies[COOKIE]["path"] == f"/s/{each.slug}/"


def test_the_mark_stands_in_the_address_once_and_goes_when_the_cookie_comes_back(client, study):
    first = arrive(client, study)
    assert ADDRESS_MARK in first.url
    assert client.get(first.url).url == step_path(study, "labeling")
    assert ADDRESS_MARK not in arrive(client, study).url


def test_htmx_gets_the_cookie_with_its_next_address(client, study):
    client.defaults["HTTP_HX_REQUEST"] = "true"
    response = arrive(client, study)
    assert (response.status_code, response.content) == (200, b"")
    assert ADDRESS_MARK in response.headers["HX-Redirect"]
    assert COOKIE in response.cookies


def test_an_answer_lands_with_the_person_its_page_was_served_to(client, study):
    """Both look at the same post at one browser; whoever came last has the cookie."""
    pages = {}
    for rater in ("rater-one", "rater-two"):
        enter(client, study, rater)
        pages[rater] = read(client.get(step_path(study, "labeling"))).form(identifier="path-form")
    for number, (_rater, form) in enumerate(pages.items(), start=1):
        hidden = {name: form.controls[name].values[0] for name in ("page", "item")}
        data = reading_data(study, hidden["item"], rate_social_focus(number))
        response = client.post(form.action, data | hidden)
        assert (ADDRESS_MARK in response.url) is (number == 1)
        shown = read(client.get(response.url)).form(identifier="path-form")
        assert shown.controls["page"].values[0].startswith(hidden["page"].split(":")[0])
    stored = Annotation.objects.values_list("enrollment__rater__external_id", "ratings")
    assert {rater: ratings[-1] for rater, ratings in stored} == {"rater-one": 1, "rater-two": 2}


def test_a_form_of_another_person_of_the_study_cannot_be_sent_for_their_post(client, study):
    theirs = enter(RaterClient(), study, "rater-two").assignments.get()
    enter(client, study, "rater-one")
    response = client.post(
        step_path(study, "labeling"), reading_data(study, str(theirs.pk), rate_social_focus())
    )
    assert response.status_code == 409
    assert not Annotation.objects.exists()
