import pytest
from django.urls import reverse

from annotation import services
from annotation.models import Enrollment, Outcome, Step, StepCompletion
from annotation.selectors import get_current_step
from tests.every_step import ALL_CODES
from tests.factories import EnrollmentFactory, StudyFactory
from tests.visitor import RaterClient as Client
from tests.visitor import enter, find_codes, freeze_rows, mark_nothing, read, step_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory()


@pytest.fixture
def enrollment(client, study):
    return enter(client, study)


def pages_of(study):
    names = ("arrival", "current_step", "done")
    steps = [reverse("annotation:step", args=[study.slug, step.position]) for step in study.steps.all()]
    return [reverse(f"annotation:{name}", args=[study.slug]) for name in names] + steps


def walk_to(enrollment, kind):
    """Bring someone to the step of this kind, as if all before were done."""
    while (step := get_current_step(enrollment)) and step.kind != kind:
        services.complete_step(enrollment, step)
        enrollment.refresh_from_db()


@pytest.mark.parametrize("kind", ["consent", "labeling", "vcq", "questionnaire"])
def test_the_server_leads_every_page_to_the_step_someone_is_on(client, study, enrollment, kind):
    walk_to(enrollment, kind)
    here = step_path(study, kind)
    for path in pages_of(study)[1:]:
        response = client.get(path)
        assert (response.status_code, response.get("Location")) == (
            (200, None) if path == here else (303, here)
        )
    assert read(client.get(here)).find("data-step").attributes["data-step"] == kind


@pytest.mark.parametrize("kind", ["consent", "labeling", "vcq", "questionnaire", "the end"])
def test_opening_any_page_changes_no_row(client, study, enrollment, kind):
    walk_to(enrollment, kind)
    before = freeze_rows()
    for path in pages_of(study):
        for headers in ({}, {"HX-Request": "true"}):
            assert client.get(path, headers=headers, follow=True).status_code in (200, 400)
    assert freeze_rows() == before


@pytest.mark.parametrize("asked", ["labeling", "vcq", "questionnaire"])
def test_an_answer_to_a_step_that_is_not_open_yet_is_refused_and_stores_nothing(
    client, study, enrollment, asked
):
    before = freeze_rows()
    response = client.post(step_path(study, asked), {"item": "1", "rating": "3"})
    page = read(response)
    assert response.status_code == 409
    assert "not open yet. Nothing was saved" in page.text
    way_back = next(link.href for link in page.links if "where you are" in link.text)
    assert client.get(way_back).url == step_path(study, "consent")
    assert freeze_rows() == before


@pytest.mark.parametrize("asked", ["consent", "labeling", "vcq"])
def test_an_answer_to_a_step_that_is_done_leads_on_and_stores_nothing(client, study, enrollment, asked):
    walk_to(enrollment, "questionnaire")
    before = freeze_rows()
    response = client.post(
        step_path(study, asked), {"consent": "no", "item": "1", "rating": "3"}, follow=True
    )
    assert response.redirect_chain[-1][0] == step_path(study, "questionnaire")
    assert "already finished" in response.content.decode()
    assert freeze_rows() == before


def test_an_answer_after_the_end_leads_to_the_last_page_and_stores_nothing(client, study, enrollment):
    services.finish(enrollment, Outcome.STUDY_FULL)
    before = freeze_rows()
    for kind in ("consent", "labeling", "vcq", "questionnaire"):
        response = client.post(step_path(study, kind), {"consent": "yes"}, follow=True)
        assert read(response).find("data-outcome").attributes["data-outcome"] == "study_full"
    assert freeze_rows() == before


@pytest.mark.parametrize("position", ["99", "0", "9" * 30, "9" * 5000])
def test_a_step_the_study_does_not_have_is_not_found(client, study, enrollment, position):
    for send in (client.get, client.post):
        assert send(f"/s/{study.slug}/step/{position}/").status_code == 404


def test_a_browser_nobody_knows_is_told_what_to_do(study):
    before = freeze_rows()
    for path in pages_of(study)[1:]:
        response = Client().get(path)
        assert response.status_code == 403
        assert "Open the study's link on Prolific once more" in read(response).text
    assert Client().post(step_path(study, "consent"), {"consent": "yes"}).status_code == 403
    assert freeze_rows() == before


def test_being_inside_one_study_opens_no_other(client, study, enrollment):
    other = EnrollmentFactory(study=StudyFactory()).study
    for path in pages_of(other)[1:]:
        assert client.get(path).status_code == 403


def test_htmx_is_told_to_leave_the_page_and_never_handed_one_to_swap_in(client, study, enrollment):
    walk_to(enrollment, "vcq")
    response = client.post(step_path(study, "labeling"), {"item": "1"}, headers={"HX-Request": "true"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["HX-Redirect"] == step_path(study, "vcq")


class TestTheLastPage:
    @pytest.mark.parametrize("outcome", Outcome.values)
    def test_has_the_outcomes_own_words_code_and_way_back(self, client, outcome):
        texts = {each: {"title": f"This is {each}", "text": "Thanks."} for each in Outcome.values}
        study = StudyFactory(codes=ALL_CODES, outcome_texts=texts)
        services.finish(enter(client, study), outcome)
        response = client.get(reverse("annotation:done", args=[study.slug]))
        page = read(response)
        assert page.find("data-outcome").attributes["data-outcome"] == outcome
        assert study.outcome_texts[outcome]["title"] in page.text
        assert page.find("data-completion-code").text == ALL_CODES[outcome]
        assert f"https://app.prolific.com/submissions/complete?cc={ALL_CODES[outcome]}" in [
            link.href for link in page.links
        ]
        assert find_codes(response.content.decode(), ALL_CODES.values()) == {ALL_CODES[outcome]}

    def test_without_a_code_of_the_study_shows_none(self, client):
        study = StudyFactory(codes={}, outcome_texts={})
        services.finish(enter(client, study), Outcome.COMPLETED)
        page = read(client.get(reverse("annotation:done", args=[study.slug])))
        assert page.find("data-completion-code") is None
        assert not any("prolific" in link.href for link in page.links)
        assert "Completed" in page.text


def test_a_study_of_one_step_and_one_of_a_step_twice_are_walked_in_the_order_set(client):
    study = StudyFactory(steps=("questionnaire", "consent", "labeling"), posts_per_rater=1)
    enrollment = enter(client, study)
    seen = []
    while step := get_current_step(enrollment):
        seen.append(step.kind)
        page = read(client.get(step_path(study, step.kind)))
        assert page.find("data-step").attributes["data-step"] == step.kind
        if step.kind == "labeling":
            services.submit_annotation(enrollment.assignments.get(), step, mark_nothing())
        else:
            services.complete_step(enrollment, step)
        enrollment.refresh_from_db()
    assert seen == ["questionnaire", "consent", "labeling"]
    assert Enrollment.objects.get().outcome == Outcome.COMPLETED
    assert StepCompletion.objects.count() == Step.objects.count() == 3
