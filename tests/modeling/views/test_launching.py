import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.admin.studies import list_sections
from annotation.models import Study, StudyAccess, StudyEvent
from annotation.review import review_study
from annotation.services import change_state
from annotation.services.audit import log_event
from modeling.views.launching import SECTIONS
from tests.every_step import build_study
from tests.factories import EnrollmentFactory
from tests.visitor import freeze_rows

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


def page_of(study):
    return reverse("modeling:launch", args=[study.slug])


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return client


def ask(client, study, to, **more):
    sent = {"to": to, "seen": study.state, "reason": "It is time.", "confirmed": "on"} | more
    return client.post(page_of(study), {name: value for name, value in sent.items() if value is not None})


@pytest.fixture
def study():
    return build_study("consent", "labeling", state="draft")


@pytest.fixture
def owner(client, study):
    return log_in(client, study, "owner")


class TestAccess:
    def test_a_stranger_is_sent_to_the_login(self, client, study):
        before = freeze_rows()
        for response in (client.get(page_of(study)), ask(client, study, "live")):
            assert (response.status_code, response.url) == (302, f"/admin/login/?next={page_of(study)}")
        assert freeze_rows() == before

    @pytest.mark.parametrize("role", ["analyst", "assistant"])
    def test_who_may_not_launch_sees_the_checks_and_no_buttons(self, client, study, role):
        log_in(client, study, role)
        response = client.get(page_of(study))
        assert "Nobody has gone through the study" in text_of(response)
        assert "Only the study's owners can launch" in text_of(response).replace("&#x27;", "'")
        assert 'name="reason"' not in response.content.decode()
        before = freeze_rows()
        assert ask(client, study, "live").status_code == 404
        assert freeze_rows() == before

    def test_staff_without_a_part_in_the_study_find_nothing(self, client, study):
        log_in(client, build_study("consent"), "owner")
        assert client.get(page_of(study)).status_code == 404
        assert ask(client, study, "live").status_code == 404
        assert Study.objects.get(pk=study.pk).state == "draft"


class TestMoving:
    def test_a_get_changes_nothing_whatever_it_asks(self, owner, study):
        before = freeze_rows()
        query = {"to": "live", "seen": "draft", "reason": "x", "confirmed": "on"}
        text = text_of(owner.get(page_of(study), query))
        assert freeze_rows() == before
        assert "This study is: draft" in text
        assert "Start the pilot" in text and "Go live" in text and "Close" in text

    @pytest.mark.parametrize("to", ["pilot", "live", "closed"])
    def test_a_move_is_made_and_stands_in_the_log(self, owner, study, to):
        response = ask(owner, study, to)
        assert response.url == page_of(study)
        assert Study.objects.get().state == to
        text = text_of(owner.get(page_of(study)))
        assert f"The study is {to} now." in text
        assert f"owner-{study.slug} Moved from draft to {to}. It is time." in text

    @pytest.mark.parametrize(
        ("without", "says"), [("reason", "Say why."), ("confirmed", "Tick the box to confirm.")]
    )
    def test_a_reason_and_a_confirmation_are_asked_for(self, owner, study, without, says):
        response = ask(owner, study, "live", **{without: None})
        assert says in text_of(response, 422)
        assert '<details class="move" open>' in response.content.decode()
        assert Study.objects.get().state == "draft"

    def test_what_was_typed_comes_back_with_the_refusal(self, owner, study):
        response = ask(owner, study, "live", reason="Because <b>now</b>.", confirmed=None)
        assert 'value="Because &lt;b&gt;now&lt;/b&gt;."' in response.content.decode()

    def test_a_move_that_another_page_had_made_before_is_refused_with_the_state_of_now(self, owner, study):
        change_state(study, "live", reason="Sooner.")
        response = ask(owner, study, "closed", seen="draft")
        assert "The study is no longer draft but live: somebody else was faster." in text_of(response, 409)
        response = ask(owner, study, "pilot", seen="draft")
        assert "somebody else was faster" in text_of(response, 409)
        assert Study.objects.get().state == "live"

    def test_faults_block_the_launch_with_a_word_and_by_force(self, owner, study):
        study.steps.filter(kind="consent").delete()
        text = text_of(owner.get(page_of(study)))
        assert "Not possible now: Mend the fault below first." in text
        assert "1 fault to mend before people can come in" in text
        assert "The first step must be the consent" in text_of(ask(owner, study, "live"), 409)
        assert Study.objects.get().state == "draft"

    def test_people_inside_keep_a_pilot_from_becoming_a_draft(self, owner, study):
        change_state(study, "pilot", reason="Try it.")
        EnrollmentFactory(study=study)
        text = text_of(owner.get(page_of(study)))
        assert "1 person is inside just now." in text
        assert "Not possible now: 1 person is on their way" in text
        assert "1 person is on their way" in text_of(ask(owner, study, "draft"), 409)

    @pytest.mark.parametrize("to", ["", "finished", "draft"])
    def test_a_state_that_is_none_is_refused(self, owner, study, to):
        assert ask(owner, study, to).status_code in (409, 422)
        assert Study.objects.get().state == "draft"

    def test_a_reason_longer_than_the_log_takes_is_refused(self, owner, study):
        assert "at most 300 characters" in text_of(ask(owner, study, "live", reason="x" * 301), 422)


class TestLog:
    def test_it_is_read_page_by_page_newest_first(self, owner, study):
        for number in range(30):
            log_event(study, StudyEvent.Action.CHANGED, f"Change {number}.")
        first, second = (text_of(owner.get(page_of(study), {"page": page})) for page in ("1", "2"))
        assert "Change 29." in first and "Change 4." not in first
        assert "Change 4." in second and "Change 29." not in second
        assert "Page 1 of 2" in first

    def test_it_is_the_studys_own(self, owner, study):
        log_event(build_study("consent"), StudyEvent.Action.CHANGED, "Elsewhere.")
        assert "Elsewhere." not in text_of(owner.get(page_of(study)))


def test_every_topic_that_is_not_in_order_leads_to_where_it_is_mended(owner, study):
    html = owner.get(page_of(study)).content.decode()
    assert reverse("modeling:rehearsal", args=[study.slug]) in html
    set_up = reverse("admin:annotation_study_change", args=[study.pk])
    assert f'{set_up}#privacy"' in html
    assert f'{set_up}#time"' in html


def test_every_topic_has_a_section_of_the_set_up_page_to_lead_to(owner, study):
    there = {section.key for section in list_sections()}
    assert set(SECTIONS.values()) <= there
    assert {topic.key for topic in review_study(study)} == set(SECTIONS) | {"values", "rehearsal"}
