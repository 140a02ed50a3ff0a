from http.cookies import SimpleCookie

import pytest
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from annotation.access import COOKIE, get_enrollment, remember
from annotation.errors import NotEnrolled
from tests.factories import EnrollmentFactory, StudyFactory

pytestmark = pytest.mark.django_db


def request_with(cookie: str | None):
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES[COOKIE] = cookie
    return request


def cookie_of(enrollment):
    return remember(HttpResponse(), enrollment).cookies[COOKIE]


def test_the_cookie_leads_back_to_its_enrollment():
    enrollment = EnrollmentFactory()
    EnrollmentFactory(study=enrollment.study)
    request = request_with(cookie_of(enrollment).value)
    assert get_enrollment(request, enrollment.study.slug) == enrollment


def test_a_browser_without_the_cookie_is_nobody():
    with pytest.raises(NotEnrolled):
        get_enrollment(request_with(None), StudyFactory().slug)


@pytest.mark.parametrize(
    "change", [lambda v: v[:-1], lambda v: "x" + v, lambda v: v.split(":")[0], lambda v: ""]
)
def test_a_changed_cookie_is_nobodys(change):
    enrollment = EnrollmentFactory()
    with pytest.raises(NotEnrolled):
        get_enrollment(request_with(change(cookie_of(enrollment).value)), enrollment.study.slug)


def test_another_installations_cookie_is_nobodys():
    enrollment = EnrollmentFactory()
    with override_settings(SECRET_KEY="another installation's key"):
        cookie = cookie_of(enrollment).value
    with pytest.raises(NotEnrolled):
        get_enrollment(request_with(cookie), enrollment.study.slug)


def test_a_cookie_opens_its_own_study_alone():
    enrollment, other = EnrollmentFactory(), StudyFactory()
    with pytest.raises(NotEnrolled):
        get_enrollment(request_with(cookie_of(enrollment).value), other.slug)


def test_a_cookie_of_a_deleted_enrollment_is_nobodys():
    enrollment = EnrollmentFactory()
    cookie, slug = cookie_of(enrollment).value, enrollment.study.slug
    enrollment.delete()
    with pytest.raises(NotEnrolled):
        get_enrollment(request_with(cookie), slug)


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_studies():
    enrollment = EnrollmentFactory(study__slug="spring")
    cookie = cookie_of(enrollment)
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/s/spring/", True, "Lax")
    assert not cookie["secure"]
    with override_settings(PRODUCTION=True):
        assert cookie_of(enrollment)["secure"]


def test_the_cookie_says_nothing_about_the_person():
    enrollment = EnrollmentFactory(rater__external_id="5f0c1d2e3b4a")
    header = SimpleCookie({COOKIE: cookie_of(enrollment).value}).output()
    assert "5f0c1d2e3b4a" not in header
    assert str(enrollment.rater.pseudonym) not in header
