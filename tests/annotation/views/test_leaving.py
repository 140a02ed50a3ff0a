"""Taking one's answers back, and running out of time."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import services
from annotation.models import Annotation, Assignment, Draft, Enrollment, Outcome, Rater, Study, Withdrawal
from annotation.selectors import get_open_assignment
from tests.every_step import ALL_CODES, build_study
from tests.visitor import (
    draft_path,
    enter,
    find_codes,
    form_data,
    freeze_rows,
    mark_nothing,
    rate_social_focus,
    read,
    step_path,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return build_study("labeling", "vcq", posts=3)


@pytest.fixture
def enrollment(client, study):
    return enter(client, study)


@pytest.fixture
def here(study, enrollment):
    return step_path(study, "labeling")


@pytest.fixture
def leave(study):
    return reverse("annotation:withdraw", args=[study.slug])


def submit(client, enrollment):
    data = form_data(get_open_assignment(enrollment), mark_nothing())
    return client.post(step_path(enrollment.study, "labeling"), data)


class TestWithdrawing:
    def test_is_offered_on_every_page_and_asked_about_once(self, client, here, leave):
        assert leave in [link.href for link in read(client.get(here)).links]
        before = freeze_rows()
        page = read(client.get(leave))
        assert "delete your answers?" in page.text
        assert any("Stay" in link.text for link in page.links)
        assert freeze_rows() == before

    def test_erases_answers_and_id_and_shows_its_own_page_and_code(self, client, enrollment, leave):
        submit(client, enrollment)
        response = client.post(leave, follow=True)
        assert read(response).find("data-outcome").attributes["data-outcome"] == "withdrew"
        assert find_codes(response.content.decode(), ALL_CODES.values()) == {ALL_CODES[Outcome.WITHDREW]}
        assert not Annotation.objects.exists()
        assert not Rater.objects.filter(external_id="rater-one").exists()
        assert Withdrawal.objects.get().erased["annotation"] == 1

    def test_twice_is_once(self, client, enrollment, leave):
        client.post(leave)
        before = freeze_rows()
        assert client.post(leave, follow=True).status_code == 200
        assert client.get(leave, follow=True).status_code == 200
        assert freeze_rows() == before

    def test_leaves_nothing_for_a_late_answer_or_draft_to_land_on(
        self, client, study, enrollment, leave, here
    ):
        data = form_data(get_open_assignment(enrollment), mark_nothing())
        client.post(leave)
        before = freeze_rows()
        response = client.post(here, data, follow=True)
        assert read(response).find("data-outcome").attributes["data-outcome"] == "withdrew"
        assert "stands" not in response.content.decode()
        assert client.post(draft_path(study, "labeling"), data).status_code == 204
        assert freeze_rows() == before

    def test_is_possible_after_the_end_too(self, client, enrollment, leave):
        services.finish(enrollment, Outcome.COMPLETED)
        done = client.get(reverse("annotation:done", args=[enrollment.study.slug]))
        assert leave in [link.href for link in read(done).links]
        client.post(leave)
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.WITHDREW

    def test_ends_with_the_study(self, client, study, leave, here):
        Study.objects.update(state=Study.State.CLOSED)
        before = freeze_rows()
        for response in (client.get(leave), client.post(leave)):
            assert response.status_code == 409
            assert "become part of its results" in read(response).text
        assert leave not in [link.href for link in read(client.get(here)).links]
        assert freeze_rows() == before

    def test_is_not_for_strangers(self, enrollment, leave):
        before = freeze_rows()
        assert Client().get(leave).status_code == Client().post(leave, {"page": "x"}).status_code == 403
        assert freeze_rows() == before


class TestRunningOutOfTime:
    @pytest.fixture
    def late(self, enrollment):
        services.time_out_overdue(timezone.now() + timedelta(minutes=enrollment.study.allowed_minutes + 1))
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.TIMED_OUT
        return enrollment

    def test_has_its_own_page_and_code_and_a_button_to_go_on(self, client, study, late, here):
        response = client.get(here, follow=True)
        page = read(response)
        assert page.find("data-outcome").attributes["data-outcome"] == "timed_out"
        assert find_codes(response.content.decode(), ALL_CODES.values()) == {ALL_CODES[Outcome.TIMED_OUT]}
        assert client.post(page.form().action).url == here
        late.refresh_from_db()
        assert (late.outcome, late.timed_out_at is not None) == ("", True)

    def test_an_answer_that_comes_late_is_kept_and_the_way_goes_on(self, client, study, enrollment, here):
        data = form_data(get_open_assignment(enrollment), rate_social_focus(2))
        services.time_out_overdue(timezone.now() + timedelta(days=2))
        response = client.post(here, data)
        assert (response.status_code, response.url) == (303, here)
        assert Annotation.objects.get().ratings[-1] == 2
        enrollment.refresh_from_db()
        assert (enrollment.outcome, enrollment.timed_out_at is not None) == ("", True)

    def test_an_answer_that_meets_the_end_of_the_time_in_one_instant_is_kept(
        self, client, enrollment, here, monkeypatch
    ):
        data = form_data(get_open_assignment(enrollment), rate_social_focus(2))
        store = services.submit_annotation

        def time_out_first(*args, **kwargs):
            services.time_out_overdue(timezone.now() + timedelta(days=2))
            return store(*args, **kwargs)

        monkeypatch.setattr(services, "submit_annotation", time_out_first)
        response = client.post(here, data)
        assert (response.status_code, response.url) == (303, here)
        assert Annotation.objects.count() == 1

    def test_a_half_answer_that_meets_the_end_of_the_time_in_one_instant_leads_on(
        self, client, study, enrollment, here, monkeypatch
    ):
        def time_out_first(form):
            services.time_out_overdue(timezone.now() + timedelta(days=2))
            return False

        monkeypatch.setattr("annotation.views.labeling.is_submit", time_out_first)
        response = client.post(here, form_data(get_open_assignment(enrollment), rate_social_focus(2)))
        assert response.status_code == 303
        last = client.get(response.url, follow=True)
        assert read(last).find("data-outcome").attributes["data-outcome"] == "timed_out"

    def test_an_answer_that_meets_the_withdrawal_in_one_instant_is_refused_with_a_way_on(
        self, client, enrollment, here, monkeypatch
    ):
        data = form_data(get_open_assignment(enrollment), rate_social_focus(2))
        store = services.submit_annotation

        def withdraw_first(*args, **kwargs):
            services.withdraw(enrollment)
            return store(*args, **kwargs)

        monkeypatch.setattr(services, "submit_annotation", withdraw_first)
        response = client.post(here, data)
        assert response.status_code == 409
        assert any("where you are" in link.text for link in read(response).links)
        assert not Annotation.objects.exists()

    def test_what_is_marked_late_is_revealed_and_kept(self, client, study, enrollment, here):
        data = form_data(get_open_assignment(enrollment), rate_social_focus(2))
        services.time_out_overdue(timezone.now() + timedelta(days=2))
        response = client.post(draft_path(study, "labeling"), data | {"reveal": "yes"})
        assert "rate-security" in read(response).form(identifier="path-form").controls
        assert Draft.objects.exists()

    def test_a_post_that_went_to_someone_else_meanwhile_is_refused_and_another_one_is_given(
        self, client, study, enrollment, here
    ):
        Study.objects.update(redundancy_cap=1)
        assignment = get_open_assignment(enrollment)
        services.time_out_overdue(timezone.now() + timedelta(days=2))
        other = enter(Client(), study, "rater-two")
        other.assignments.update(post=assignment.post)
        response = client.post(here, form_data(assignment, mark_nothing()))
        assert response.status_code == 409
        assert "given to someone else" in read(response).text
        way_on = next(link.href for link in read(response).links if "where you are" in link.text)
        page = read(client.get(way_on, follow=True))
        assert page.find("data-post-text").text != assignment.post.text

    def test_whoever_goes_on_and_finishes_gets_the_code_of_that_and_stays_marked(
        self, client, study, late, here
    ):
        client.post(reverse("annotation:done", args=[study.slug]))
        while assignment := get_open_assignment(late):
            client.post(here, form_data(assignment, mark_nothing()))
        for position in ("1", "2"):
            response = client.post(step_path(study, "vcq"), {"item": position, "rating": "3"}, follow=True)
        assert find_codes(response.content.decode(), ALL_CODES.values()) == {ALL_CODES[Outcome.COMPLETED]}
        assert Enrollment.objects.get().timed_out_at

    def test_the_button_of_that_page_moves_nobody_else(self, client, study, enrollment):
        services.finish(enrollment, Outcome.SCREENED_OUT)
        before = freeze_rows()
        done = reverse("annotation:done", args=[study.slug])
        assert client.post(done).url == done
        assert freeze_rows() == before
        assert Assignment.objects.get().status == Assignment.Status.RELEASED
