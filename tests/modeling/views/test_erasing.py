from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.models import Enrollment, Outcome, Rater, Study, StudyAccess, StudyEvent
from annotation.recruitment import Entry
from annotation.services import enroll, finish
from tests.factories import StudyFactory
from tests.modeling.views.test_quality import log_in, page_of, text_of
from tests.visitor import RaterClient, freeze_rows, read

pytestmark = pytest.mark.django_db
PERSON = "5f0c1d2e3b4a59687766aabb"
DOORS = ("erase_person", "erase_identities")
ASKED = {"who": PERSON, "scope": "this", "reason": "They asked for it."}
ALL = {"with_texts": "on", "reason": "The day has come."}


@pytest.fixture
def study():
    return StudyFactory()


@pytest.fixture
def enrollment(study):
    return finish(enroll(study, Entry(PERSON, "prolific-study-77", "session-1")), Outcome.COMPLETED)


@pytest.fixture
def owner(client, study):
    return log_in(client, study, "owner")


class TestAccess:
    @pytest.mark.parametrize("role", ["analyst", "assistant"])
    def test_nobody_but_an_owner_finds_the_page_or_its_link(self, client, study, enrollment, role):
        log_in(client, study, role)
        before = freeze_rows()
        assert client.get(page_of(study, "erase")).status_code == 404
        for name, sent in zip(DOORS, (ASKED, ALL), strict=True):
            assert client.post(page_of(study, name), sent | {"confirmed": "yes"}).status_code == 404
        assert freeze_rows() == before
        nav = client.get(page_of(study)).content.decode()
        assert page_of(study, "erase") not in nav
        assert page_of(study) in nav

    def test_an_owner_of_another_study_does_not_either(self, client, study, enrollment):
        log_in(client, StudyFactory(), "owner")
        assert client.get(page_of(study, "erase")).status_code == 404
        assert client.post(page_of(study, "erase_person"), ASKED | {"confirmed": "yes"}).status_code == 404
        assert Enrollment.objects.exists()

    def test_an_owner_and_an_administrator_do(self, client, admin_client, study, owner):
        for each in (client, admin_client):
            assert each.get(page_of(study, "erase")).status_code == 200
        assert page_of(study, "erase") in client.get(page_of(study)).content.decode()

    @pytest.mark.parametrize("name", DOORS)
    def test_a_stranger_is_sent_to_the_login_and_a_forged_request_refused(self, study, enrollment, name):
        before = freeze_rows()
        response = RaterClient().post(page_of(study, name), ASKED | ALL | {"confirmed": "yes"})
        assert response.status_code == 302
        assert "login" in response["Location"]
        assert freeze_rows() == before
        client = RaterClient(enforce_csrf_checks=True)
        log_in(client, study, "owner")
        assert client.post(page_of(study, name), ASKED | ALL).status_code == 403

    @pytest.mark.parametrize("name", DOORS)
    def test_opening_the_address_erases_nothing(self, client, study, owner, enrollment, name):
        assert client.get(page_of(study, name), ASKED | ALL | {"confirmed": "yes"}).status_code == 405
        assert Rater.objects.filter(external_id=PERSON).exists()


class TestOnePerson:
    def test_is_looked_for_then_confirmed_then_gone(self, client, study, owner, enrollment):
        response = client.post(page_of(study, "erase_person"), ASKED)
        text = text_of(response)
        assert "Erase this person?" in text
        assert str(enrollment.rater.pseudonym) in text
        assert Enrollment.objects.exists()
        form = read(response).form(having="confirmed")
        sent = {name: control.values[0] for name, control in form.controls.items() if control.values}
        response = client.post(page_of(study, "erase_person"), sent | {"confirmed": "yes"})
        assert response.status_code == 302
        assert PERSON not in response["Location"]
        assert not Enrollment.objects.exists()
        event = StudyEvent.objects.get(action=StudyEvent.Action.ERASURE)
        assert (event.actor, event.reason) == (owner, "They asked for it.")
        assert "The person is erased:" in text_of(client.get(page_of(study, "erase")))

    @pytest.mark.parametrize("who", ["nobody", PERSON[:-1], "0" * 32])
    @pytest.mark.parametrize("more", [{}, {"confirmed": "yes"}])
    def test_a_wrong_name_says_that_nothing_was_found(self, client, study, owner, enrollment, who, more):
        before = freeze_rows()
        response = client.post(page_of(study, "erase_person"), ASKED | more | {"who": who})
        assert "Nothing was found under this name; nothing was erased." in text_of(response, 422)
        assert freeze_rows() == before

    @pytest.mark.parametrize(
        ("lacks", "words"), [("who", "Give a pseudonym"), ("reason", "Say why"), ("scope", "")]
    )
    def test_what_is_missing_is_said_at_its_field(self, client, study, owner, enrollment, lacks, words):
        sent = {name: value for name, value in ASKED.items() if name != lacks} | {"confirmed": "yes"}
        response = client.post(page_of(study, "erase_person"), sent)
        assert words in text_of(response, 422)
        assert Enrollment.objects.exists()

    def test_this_study_means_this_study(self, client, study, owner, enrollment):
        other = enroll(StudyFactory(), Entry(PERSON, "s", "session-2"))
        StudyAccess.objects.create(study=other.study, user=owner, role="owner")
        client.post(page_of(study, "erase_person"), ASKED | {"confirmed": "yes"})
        assert Enrollment.objects.get() == other

    def test_all_means_those_in_which_one_may_erase_and_tells_of_no_other(
        self, client, study, owner, enrollment
    ):
        mine = enroll(StudyFactory(name="My second study"), Entry(PERSON, "s", "session-2"))
        StudyAccess.objects.create(study=mine.study, user=owner, role="owner")
        hidden = enroll(StudyFactory(name="Somebody's secret"), Entry(PERSON, "s", "session-3"))
        text = text_of(client.post(page_of(study, "erase_person"), ASKED | {"scope": "all"}))
        assert "My second study" in text
        assert "secret" not in text
        client.post(page_of(study, "erase_person"), ASKED | {"scope": "all", "confirmed": "yes"})
        assert Enrollment.objects.get() == hidden

    def test_a_second_click_finds_nobody(self, client, study, owner, enrollment):
        for status in (302, 422):
            response = client.post(page_of(study, "erase_person"), ASKED | {"confirmed": "yes"})
            assert response.status_code == status


class TestEveryone:
    @pytest.fixture
    def closed(self, study, enrollment):
        Study.objects.filter(pk=study.pk).update(state=Study.State.CLOSED)
        return study

    def test_is_asked_confirmed_and_done(self, client, closed, owner, enrollment):
        response = client.post(page_of(closed, "erase_identities"), ALL)
        assert "Erase what names 1 person?" in text_of(response)
        assert "and everything they wrote in their own words" in text_of(response)
        assert Rater.objects.filter(external_id=PERSON).exists()
        form = read(response).form(having="confirmed")
        sent = {name: control.values[0] for name, control in form.controls.items() if control.values}
        client.post(page_of(closed, "erase_identities"), sent | {"confirmed": "yes"})
        assert not Rater.objects.filter(external_id=PERSON).exists()
        assert Enrollment.objects.count() == 1
        assert "Nobody can be identified any more." in text_of(client.get(page_of(closed, "erase")))

    def test_a_study_that_takes_people_in_offers_no_button_and_refuses(
        self, client, study, owner, enrollment
    ):
        assert "Pause or close it first" in text_of(client.get(page_of(study, "erase")))
        before = freeze_rows()
        response = client.post(page_of(study, "erase_identities"), ALL | {"confirmed": "yes"})
        assert "Pause or close it first" in text_of(response, 422)
        assert freeze_rows() == before

    def test_a_reason_is_needed(self, client, closed, owner):
        response = client.post(page_of(closed, "erase_identities"), {"confirmed": "yes"})
        assert "Say why" in text_of(response, 422)
        assert Rater.objects.filter(external_id=PERSON).exists()

    def test_whoever_is_inside_is_counted(self, client, closed, owner):
        Enrollment.objects.update(outcome="", finished_at=None)
        assert "1 person is still inside" in text_of(client.get(page_of(closed, "erase")))


class TestBanner:
    WORDS = "The personal data of 1 person is to be erased by"

    @pytest.mark.parametrize(("days", "is_shown"), [(31, False), (30, True), (0, True)])
    def test_stands_on_every_page_of_the_study_in_the_last_thirty_days(
        self, client, study, owner, enrollment, days, is_shown
    ):
        Study.objects.update(retain_until=timezone.localdate() + timedelta(days=days))
        for name in ("study", "quality", "erase"):
            assert (self.WORDS in text_of(client.get(page_of(study, name)))) == is_shown

    def test_leads_owners_to_the_mend(self, client, study, enrollment):
        Study.objects.update(retain_until=timezone.localdate())
        for role, leads in (("owner", True), ("analyst", False)):
            log_in(client, study, role)
            page = client.get(reverse("modeling:study", args=[study.slug])).content.decode()
            assert ("Erase it</a>" in page) == leads

    def test_says_when_the_day_is_over(self, client, study, owner, enrollment):
        Study.objects.update(retain_until=timezone.localdate() - timedelta(days=1))
        assert "should have been erased by" in text_of(client.get(page_of(study)))
