import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.models import Enrollment, Rater, StudyAccess, StudyEvent
from annotation.services import preview_step
from jobs.models import Job
from jobs.services import run_here
from modeling.rehearsals import get_latest_job, request_rehearsal
from modeling.simulated_raters import Cast, walk_directly
from tests.every_step import build_study
from tests.visitor import RaterClient, freeze_rows, read

pytestmark = pytest.mark.django_db
TOKEN = "a" * 32
DOORS = ("rehearsal_start", "rehearsal_step", "rehearsal_simulate", "rehearsal_erase")


def page_of(study, name="rehearsal"):
    return reverse(f"modeling:{name}", args=[study.slug])


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return client


@pytest.fixture
def study():
    return build_study("consent", "instructions", "labeling", state="draft", posts=6)


@pytest.fixture
def staff(client, study):
    return log_in(client, study, "assistant")


class TestAccess:
    @pytest.mark.parametrize(("role", "status"), [("owner", 200), ("assistant", 200), ("analyst", 404)])
    def test_whoever_may_set_up_may_rehearse(self, client, study, role, status):
        log_in(client, study, role)
        assert client.get(page_of(study)).status_code == status
        posted = client.post(page_of(study, "rehearsal_start")).status_code
        assert posted == (302 if status == 200 else 404)

    @pytest.mark.parametrize("name", DOORS)
    def test_nobody_else_gets_in_and_nothing_is_written(self, client, study, name):
        before = freeze_rows()
        sent = {"position": "1", "raters": "1", "token": TOKEN, "confirmed": "on"}
        response = client.post(page_of(study, name), sent)
        assert (response.status_code, response.url) == (302, f"/admin/login/?next={page_of(study, name)}")
        assert freeze_rows() == before
        log_in(client, study, "analyst")
        before = freeze_rows()
        assert client.post(page_of(study, name), sent).status_code == 404
        assert freeze_rows() == before

    def test_one_study_opens_no_other(self, staff, study):
        other = build_study("consent")
        assert staff.get(page_of(other)).status_code == 404
        step = other.steps.get()
        assert staff.post(page_of(study, "rehearsal_step"), {"position": "77"}).status_code == 404
        assert not Enrollment.objects.filter(study=step.study).exists()

    @pytest.mark.parametrize("name", DOORS)
    def test_a_get_opens_no_door(self, staff, study, name):
        assert staff.get(page_of(study, name)).status_code == 405


def test_looking_at_the_page_changes_nothing(staff, study):
    preview_step(study, study.steps.first())
    before = freeze_rows()
    text = text_of(staff.get(page_of(study)))
    assert freeze_rows() == before
    assert "Test participant" in text
    assert "At 1. Consent" in text


def test_the_button_leads_to_the_arrival_page_of_a_new_test_participant(staff, study):
    first, second = (staff.post(page_of(study, "rehearsal_start")).url for _ in range(2))
    assert first != second
    assert "Test participant: nothing you answer is data" in staff.get(first).content.decode()
    assert StudyEvent.objects.filter(summary="Started a test participant.").count() == 2


def test_the_link_on_the_page_works_without_a_login(staff, study):
    link = re.search(r'<code class="link">([^<]+)</code>', staff.get(page_of(study)).content.decode())
    stranger = RaterClient()
    page = stranger.get(link.group(1).replace("&amp;", "&").removeprefix("http://testserver"))
    token = read(page).form(having="entry").controls["entry"].values[0]
    stranger.post(reverse("annotation:arrival", args=[study.slug]), {"entry": token})
    assert Enrollment.objects.get().rater.origin == Rater.Origin.TEST


def test_a_door_leads_to_its_step(staff, study):
    response = staff.post(page_of(study, "rehearsal_step"), {"position": "3"}, follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("annotation:step", args=[study.slug, 3]))
    assert "Test participant: nothing you answer is data" in response.content.decode()


@pytest.mark.parametrize("position", ["", "x", "-1", "99", "1e3", "9" * 40, "²"])
def test_a_step_that_is_not_there_is_not_found(staff, study, position):
    assert staff.post(page_of(study, "rehearsal_step"), {"position": position}).status_code == 404


def test_an_unfinished_step_has_no_door_and_says_why_when_it_is_asked_for(staff, study):
    study.steps.filter(position=2).update(config={})
    text = text_of(staff.get(page_of(study)))
    assert "Nobody can walk all of this study yet." in text
    assert "2. Instructions not finished: 2 faults" in text
    response = staff.post(page_of(study, "rehearsal_step"), {"position": "2"}, follow=True)
    assert "This step cannot be shown yet: Step 2 (Instructions)" in text_of(response)
    assert not Enrollment.objects.exists()


class TestSimulatedRaters:
    def test_they_are_sent_in_once_however_often_the_form_is_sent(self, staff, study):
        for _ in range(2):
            response = staff.post(page_of(study, "rehearsal_simulate"), {"raters": "2", "token": TOKEN})
            assert response.url == page_of(study)
        job = Job.objects.get()
        assert (job.kind, job.payload) == ("rehearse", {"study": study.pk, "first": 1, "last": 2})

    @pytest.mark.parametrize(
        ("raters", "says"),
        [("0", "Send in 1 at least."), ("201", "Send in 200 at most"), ("many", "Enter a whole number.")],
    )
    def test_a_number_that_does_not_do_is_told_beside_the_field(self, staff, study, raters, says):
        response = staff.post(page_of(study, "rehearsal_simulate"), {"raters": raters, "token": TOKEN})
        assert says in text_of(response, 422)
        assert not Job.objects.exists()

    def test_a_study_that_nobody_can_walk_says_why(self, staff, study):
        study.steps.filter(position=2).update(config={})
        response = staff.post(page_of(study, "rehearsal_simulate"), {"raters": "2", "token": TOKEN})
        assert "Nobody can walk this study yet: Step 2 (Instructions)" in text_of(response, 422)

    def test_the_page_looks_again_by_itself_as_long_as_they_are_on_their_way(self, staff, study):
        job = request_rehearsal(study, 2, token=TOKEN)
        fragment = staff.get(page_of(study), headers={"HX-Request": "true"})
        assert 'hx-trigger="every 5s"' in fragment.content.decode()
        assert "The simulated raters wait for a worker." in text_of(fragment)
        Job.objects.update(progress_done=1, progress_total=2)
        fragment = staff.get(page_of(study), headers={"HX-Request": "true"})
        assert "1 of 2 simulated raters are through." in text_of(fragment)
        run_here(job)
        fragment = staff.get(page_of(study), headers={"HX-Request": "true"})
        assert "hx-trigger" not in fragment.content.decode()
        assert "<h1>" not in fragment.content.decode()
        assert "2 in all, 2 of them simulated; 2 came to the end." in text_of(fragment)

    def test_why_they_could_not_go_is_shown(self, staff, study):
        job = request_rehearsal(study, 1, token=TOKEN)
        study.steps.filter(position=2).update(config={})
        run_here(job)
        assert "The simulated raters could not go. PermanentError: Nobody can walk" in text_of(
            staff.get(page_of(study))
        )

    def test_many_are_shown_page_by_page(self, staff, study, monkeypatch):
        monkeypatch.setattr("modeling.views.rehearsal.ON_A_PAGE", 2)
        run_here(request_rehearsal(study, 3, token=TOKEN))
        first = text_of(staff.get(page_of(study)))
        assert "Simulated rater 3" in first and "Simulated rater 1" not in first
        assert "Page 1 of 2" in first
        assert "Simulated rater 1" in text_of(staff.get(page_of(study), {"page": "2"}))


class TestErasing:
    def test_it_must_be_confirmed(self, staff, study):
        preview_step(study, study.steps.first())
        response = staff.post(page_of(study, "rehearsal_erase"))
        assert "Tick the box to confirm" in text_of(response, 422)
        assert Enrollment.objects.count() == 1

    def test_it_takes_the_rehearsal_and_leaves_the_data(self, staff, study):
        study.state = "live"
        study.save()
        walk_directly(Cast(study), [1], on_progress=lambda done, total: None)
        preview_step(study, study.steps.first())
        run_here(request_rehearsal(study, 1, token=TOKEN))
        response = staff.post(page_of(study, "rehearsal_erase"), {"confirmed": "on"}, follow=True)
        assert "The rehearsal is erased: 2 participants" in text_of(response)
        assert Enrollment.objects.get().phase == "live"
        event = StudyEvent.objects.latest("pk")
        assert (event.actor_name, event.detail["erased"]) == (f"assistant-{study.slug}", 2)
        assert get_latest_job(study).state == "done"
