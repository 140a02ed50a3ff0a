from datetime import UTC, datetime
from http.cookies import SimpleCookie

import pytest
import time_machine
from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpResponse, QueryDict
from django.test import RequestFactory, override_settings

from annotation.access import (
    ADDRESS_MARK,
    COOKIE,
    PAGE_MARK,
    build_query,
    get_enrollment,
    mark_page,
    read_page_mark,
    remember,
)
from annotation.errors import NotEnrolled
from tests.factories import EnrollmentFactory, StudyFactory

pytestmark = pytest.mark.django_db


def request_with(cookie: str | None):
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES[COOKIE] = cookie
    return request


def ask(enrollment, address="", cookie_of_whom=None, slug=None):
    """A page asked for with a query and the cookie of someone; returns whose page is shown and the next query."""
    request = RequestFactory().get(f"/{address}")
    if cookie_of_whom:
        request.COOKIES[COOKIE] = cookie_of(cookie_of_whom).value
    shown = get_enrollment(request, slug or enrollment.study.slug)
    return shown, request.rater_query


def send(enrollment, mark, cookie_of_whom=None):
    """A form sent with this mark."""
    request = RequestFactory().post("/", {PAGE_MARK: mark})
    if cookie_of_whom:
        request.COOKIES[COOKIE] = cookie_of(cookie_of_whom).value
    return get_enrollment(request, enrollment.study.slug), request


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


class TestTheMarkInTheAddress:
    def test_stands_for_the_cookie_and_goes_on_from_page_to_page(self):
        enrollment = EnrollmentFactory()
        shown, query = ask(enrollment, build_query(enrollment))
        assert shown == enrollment
        assert ask(enrollment, query)[0] == enrollment

    def test_is_dropped_where_the_browser_has_kept_the_cookie(self):
        enrollment = EnrollmentFactory()
        assert ask(enrollment, build_query(enrollment), enrollment) == (enrollment, "")
        assert ask(enrollment, "", enrollment) == (enrollment, "")

    def test_keeps_two_people_at_one_browser_apart(self):
        first = EnrollmentFactory()
        second = EnrollmentFactory(study=first.study)
        shown, query = ask(first, build_query(first), second)
        assert shown == first
        assert ask(first, query, second)[0] == first
        assert ask(first, "", second) == (second, "")

    def test_of_another_study_leaves_it_to_the_cookie(self):
        enrollment, other = EnrollmentFactory(), EnrollmentFactory()
        assert ask(enrollment, build_query(other), enrollment)[0] == enrollment
        with pytest.raises(NotEnrolled):
            ask(enrollment, build_query(enrollment), slug=other.study.slug)

    def test_ends_after_as_long_as_the_cookie(self):
        with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC)) as clock:
            enrollment = EnrollmentFactory()
            query = build_query(enrollment)
            clock.shift(settings.RATER_COOKIE_AGE_SECONDS + 10)
            with pytest.raises(NotEnrolled):
                ask(enrollment, query)

    def test_says_nothing_about_the_person(self):
        enrollment = EnrollmentFactory(rater__external_id="5f0c1d2e3b4a")
        assert "5f0c1d2e3b4a" not in build_query(enrollment)

    @pytest.mark.parametrize(
        "change", [lambda m: m[:-1], lambda m: "x" + m, lambda m: "x" * 100_000, lambda m: ""]
    )
    def test_that_was_changed_is_nobodys(self, change):
        enrollment = EnrollmentFactory()
        mark = build_query(enrollment).partition("=")[2]
        with pytest.raises(NotEnrolled):
            ask(enrollment, f"?{ADDRESS_MARK}={change(mark)}")


class TestTheMarkOfAForm:
    def test_says_whose_form_it_is_and_when_it_was_served(self):
        with time_machine.travel(datetime(2026, 3, 1, 12, 30, tzinfo=UTC), tick=False):
            enrollment = EnrollmentFactory()
            _, request = send(enrollment, mark_page(enrollment))
        assert request.served_page.public_id == enrollment.public_id
        assert request.served_page.shown_at == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

    def test_goes_before_whatever_the_browser_remembers_meanwhile(self):
        first = EnrollmentFactory()
        second = EnrollmentFactory(study=first.study)
        sender, request = send(first, mark_page(first), cookie_of_whom=second)
        assert sender == first
        assert ADDRESS_MARK in request.rater_query

    def test_is_needed_even_with_the_cookie(self):
        enrollment = EnrollmentFactory()
        with pytest.raises(NotEnrolled):
            send(enrollment, "", cookie_of_whom=enrollment)

    def test_of_another_study_opens_nothing(self):
        enrollment, other = EnrollmentFactory(), EnrollmentFactory()
        with pytest.raises(NotEnrolled):
            send(enrollment, mark_page(other), cookie_of_whom=enrollment)

    @pytest.mark.parametrize(
        "forge",
        [
            lambda mark, address: mark[:-1],
            lambda mark, address: mark.replace(":", ""),
            lambda mark, address: mark.rpartition(":")[0],
            lambda mark, address: "x" * 1_000_000,
            lambda mark, address: "\x00",
            lambda mark, address: "\ud800:\ud800",
            lambda mark, address: address,
        ],
        ids=["cut", "without parts", "unsigned", "oversized", "NUL", "half a character", "an address's"],
    )
    def test_that_was_forged_is_nobodys(self, forge):
        enrollment = EnrollmentFactory()
        forged = forge(mark_page(enrollment), build_query(enrollment).partition("=")[2])
        with pytest.raises((BadSignature, ValueError)):
            read_page_mark(forged)
        request = RequestFactory().post("/")
        request.POST = QueryDict(mutable=True)
        request.POST[PAGE_MARK] = forged
        with pytest.raises(NotEnrolled):
            get_enrollment(request, enrollment.study.slug)
