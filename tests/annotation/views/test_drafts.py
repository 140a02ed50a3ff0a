import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Annotation, Draft, Step
from annotation.selectors import get_open_assignment
from annotation.tree.walk import Reading
from tests.every_step import build_study
from tests.visitor import (
    RaterClient,
    arrive,
    draft_path,
    enter,
    form_data,
    freeze_rows,
    mark_nothing,
    rate_social_focus,
    read,
    step_path,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
OPENED = Reading({"statement": frozenset({"social_focus"})}, {"security": 4})


@pytest.fixture
def study():
    return build_study("labeling", "vcq")


@pytest.fixture
def enrollment(client, study):
    return enter(client, study)


@pytest.fixture
def assignment(enrollment):
    return get_open_assignment(enrollment)


@pytest.fixture
def here(study, assignment):
    return step_path(study, "labeling")


@pytest.fixture
def draft(study, assignment):
    return draft_path(study, "labeling")


def controls_of(response):
    return read(response).form(identifier="path-form").controls


class TestKeeping:
    def test_what_was_answered_stands_there_again_at_the_next_visit_and_on_another_device(
        self, client, study, here, draft, assignment
    ):
        response = client.post(
            draft, form_data(assignment, OPENED, rationale="So\r\nfar", **{"draft-number": "1"})
        )
        assert (response.status_code, response.content) == (204, b"")
        device = RaterClient()
        arrive(device, study)
        for browser in (client, device):
            controls = controls_of(browser.get(here))
            assert controls["open-statement"].values == ["social_focus"]
            assert controls["rate-security"].values == ["4"]
            assert controls["rationale"].values[0].replace("\r\n", "\n") == "So\nfar"
        assert not Annotation.objects.exists()

    def test_a_later_save_counts_and_one_that_was_overtaken_does_not(self, client, here, draft, assignment):
        page = read(client.get(here)).form().controls["page"].values[0]
        for number, rationale in ((1, "first"), (3, "third"), (2, "second")):
            data = form_data(
                assignment, OPENED, rationale=rationale, page=page, **{"draft-number": str(number)}
            )
            client.post(draft, data)
        assert controls_of(client.get(here))["rationale"].values == ["third"]

    def test_a_save_of_a_page_opened_later_counts_from_its_first(self, client, here, draft, assignment):
        client.post(draft, form_data(assignment, OPENED, rationale="old tab", **{"draft-number": "9"}))
        client.post(draft, form_data(assignment, OPENED, rationale="new tab", **{"draft-number": "1"}))
        assert controls_of(client.get(here))["rationale"].values == ["new tab"]

    def test_a_draft_goes_with_its_submit(self, client, here, draft, assignment):
        client.post(draft, form_data(assignment, OPENED))
        client.post(here, form_data(assignment, mark_nothing()))
        assert not Draft.objects.exists()
        assert controls_of(client.get(here))["open-statement"].values == []

    def test_a_late_save_of_a_post_that_was_submitted_keeps_nothing(self, client, here, draft, assignment):
        client.post(here, form_data(assignment, mark_nothing()))
        before = freeze_rows()
        for headers in ({}, HTMX):
            assert client.post(draft, form_data(assignment, OPENED), headers=headers).status_code == 204
        assert freeze_rows() == before

    def test_a_late_save_of_a_step_that_is_done_keeps_nothing(self, client, study, here, draft, enrollment):
        for _ in range(2):
            assignment = get_open_assignment(enrollment)
            client.post(here, form_data(assignment, mark_nothing()))
        before = freeze_rows()
        assert client.post(draft, form_data(assignment, OPENED)).status_code == 204
        assert freeze_rows() == before

    def test_nothing_is_kept_of_someone_who_has_not_agreed(self, client):
        study = build_study("consent", "labeling")
        enter(client, study)
        before = freeze_rows()
        assert client.post(draft_path(study, "consent"), {"item": "", "consent": "yes"}).status_code == 204
        assert freeze_rows() == before

    def test_a_question_of_the_vcq_is_kept_until_it_is_answered(self, client):
        study = build_study("vcq", "labeling")
        enter(client, study)
        here = step_path(study, "vcq")
        client.post(draft_path(study, "vcq"), {"item": "1", "rating": "4"})
        assert read(client.get(here)).form().controls["rating"].values == ["4"]
        client.post(here, {"item": "1", "rating": "2"})
        assert read(client.get(here)).form().controls["rating"].values == []

    @pytest.mark.parametrize("item", ["", "0", "\x00", "x" * 5000, "999999"])
    def test_a_save_for_another_post_is_ignored(self, client, draft, assignment, item):
        before = freeze_rows()
        assert client.post(draft, form_data(assignment, OPENED) | {"item": item}).status_code == 204
        assert freeze_rows() == before

    def test_a_save_beyond_all_bounds_is_not_kept(self, client, draft, assignment):
        assert client.post(draft, form_data(assignment, OPENED, rationale="x" * 70_000)).status_code == 204
        assert not Draft.objects.exists()

    def test_characters_that_cannot_be_stored_are_marked_and_the_rest_is_kept(
        self, client, here, draft, assignment
    ):
        sent = {"item": str(assignment.pk), "page": read(client.get(here)).form().controls["page"].values[0]}
        lines = [
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (sent | {"rationale": "left\\ud800right\\u0000"}).items()
        ]
        response = client.generic(
            "POST",
            draft,
            ("".join(lines) + "--edge--\r\n").encode(),
            content_type="multipart/form-data; boundary=edge; charset=unicode_escape",
        )
        assert response.status_code == 204
        assert controls_of(client.get(here))["rationale"].values == ["left\ufffdright\ufffd"]

    @pytest.mark.parametrize("number", ["", "-1", "x", "9" * 30, "\x00", "²"])
    def test_a_count_that_is_none_is_taken_as_the_first(self, client, draft, assignment, number):
        assert (
            client.post(draft, form_data(assignment, OPENED, **{"draft-number": number})).status_code == 204
        )
        assert Draft.objects.get().number == 0

    def test_a_stranger_keeps_nothing(self, study, draft, assignment):
        before = freeze_rows()
        assert Client().post(draft, form_data(assignment, OPENED)).status_code == 403
        assert freeze_rows() == before

    def test_opening_the_address_of_drafts_is_no_page(self, client, draft):
        assert client.get(draft).status_code == 405


class TestRevealing:
    def test_a_mark_brings_the_form_alone_with_what_it_opened_and_keeps_it(
        self, client, here, draft, assignment
    ):
        marked = Reading({"statement": frozenset({"social_focus"})}, {})
        data = form_data(assignment, marked, rationale="So far", reveal="yes")
        response = client.post(draft, data, headers=HTMX)
        body = response.content.decode().strip()
        assert response.status_code == 200
        assert body.startswith('<form id="path-form"')
        assert body.endswith("</form>")
        assert body.count("<form") == 1
        assert "<main" not in body
        controls = controls_of(response)
        assert "rate-security" in controls
        assert controls["rationale"].values == ["So far"]
        assert controls["page"].values[0]
        assert not read(response).find("role")
        assert list(controls_of(client.get(here))) == list(controls)
        assert "reveal" not in Draft.objects.get().fields
        assert not Annotation.objects.exists()

    def test_a_finished_reading_is_not_stored_by_marking_alone(self, client, draft, assignment):
        client.post(draft, form_data(assignment, rate_social_focus(), reveal="yes"), headers=HTMX)
        assert not Annotation.objects.exists()

    def test_the_fragment_and_the_page_without_scripts_have_the_same_form(
        self, client, here, draft, assignment
    ):
        marked = form_data(assignment, Reading(OPENED.marks, {}), shown=["statement"])
        fragment = client.post(draft, marked | {"reveal": "yes"}, headers=HTMX)
        assert list(controls_of(client.post(here, marked))) == list(controls_of(fragment))

    @pytest.mark.parametrize(
        "kind", ["consent", "instructions", "number", "grid", "training", "vcq", "questionnaire", "debrief"]
    )
    def test_asking_any_page_for_it_is_no_fault_of_ours(self, client, kind):
        study = build_study(kind, "labeling")
        enter(client, study)
        item = {"training": "swim", "vcq": "1"}.get(kind, "")
        step = Step.objects.get(study=study, position=1)
        path = reverse("annotation:draft", args=[study.slug, step.position])
        assert client.post(path, {"item": item, "reveal": "yes"}).status_code in (200, 204)
