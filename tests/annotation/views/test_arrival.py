import pytest
from django.urls import reverse

from annotation.models import Enrollment, Outcome, Rater, Study
from annotation.recruitment import SIMULATED, build_entry_path, read_entry, seal
from tests.factories import StudyFactory
from tests.visitor import RaterClient as Client
from tests.visitor import arrive, enter, follow, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db
LINK = {"PROLIFIC_PID": "5f0c1d2e3b4a", "STUDY_ID": "60aa11", "SESSION_ID": "60bb22"}


@pytest.fixture
def study():
    return StudyFactory()


def link(study):
    return reverse("annotation:arrival", args=[study.slug])


def test_the_first_page_welcomes_and_opening_it_stores_nothing(client, study):
    before = freeze_rows()
    response = client.get(link(study), LINK)
    assert response.status_code == 200
    assert read(response).find("data-step").attributes["data-step"] == "arrival"
    assert study.title in read(response).text
    assert freeze_rows() == before


def test_the_button_takes_someone_in_and_leads_to_the_first_step(client, study):
    response = arrive(client, study, "5f0c1d2e3b4a")
    assert response.status_code == 303
    assert follow(client, response) == step_path(study, "consent")
    enrollment = Enrollment.objects.get()
    assert enrollment.rater.external_id == "5f0c1d2e3b4a"
    assert enrollment.rater.origin == Rater.Origin.PROLIFIC
    assert client.get(step_path(study, "consent")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"PROLIFIC_PID": None},
        {"STUDY_ID": None},
        {"SESSION_ID": None},
        {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"},
        {"PROLIFIC_PID": ""},
        {"STUDY_ID": "no id"},
        {"SESSION_ID": "\x00\x00\x00\x00"},
        {"PROLIFIC_PID": "x" * 10_000},
        {"PROLIFIC_PID": "<script>alert(1)</script>"},
    ],
    ids=str,
)
def test_an_incomplete_link_is_explained_and_enrolls_nobody(client, study, change):
    before = freeze_rows()
    query = {name: value for name, value in (LINK | change).items() if value is not None}
    response = client.get(link(study), query)
    page = read(response)
    assert response.status_code == 400
    assert "open the study from there" in page.text
    assert next(iter(change)) in page.text
    assert not page.forms
    assert b"<script>alert" not in response.content
    assert freeze_rows() == before


def test_a_link_without_any_parameter_is_explained(client, study):
    response = client.get(link(study))
    assert response.status_code == 400
    assert "PROLIFIC_PID is missing; STUDY_ID is missing; SESSION_ID is missing." in read(response).text


@pytest.mark.parametrize("token", [None, "", "invented", "\x00", "a:b:c", "x" * 100_000])
def test_a_button_without_a_sealed_entry_enrolls_nobody(client, study, token):
    before = freeze_rows()
    response = client.post(link(study), {} if token is None else {"entry": token})
    assert response.status_code == 400
    assert freeze_rows() == before


def test_a_button_with_half_a_character_in_its_token_enrolls_nobody(client, study):
    before = freeze_rows()
    response = client.generic(
        "POST",
        link(study),
        b'--edge\r\nContent-Disposition: form-data; name="entry"\r\n\r\na\\ud800:b\r\n--edge--\r\n',
        content_type="multipart/form-data; boundary=edge; charset=unicode_escape",
    )
    assert response.status_code == 400
    assert freeze_rows() == before


def test_opening_the_link_again_from_any_browser_resumes_at_the_same_page(client, study):
    enrollment = enter(client, study)
    client.post(step_path(study, "consent"), {"consent": "yes"})
    for browser in (client, Client(), Client()):
        assert follow(browser, arrive(browser, study)) == step_path(study, "labeling")
    assert Enrollment.objects.get() == enrollment
    assert enrollment.assignments.count() == 1


def test_someone_who_has_finished_comes_back_to_their_last_page(client, study):
    enter(client, study)
    client.post(step_path(study, "consent"), {"consent": "no"})
    browser = Client()
    assert follow(browser, arrive(browser, study)) == reverse("annotation:done", args=[study.slug])


def test_two_people_at_one_browser_are_two_and_the_last_one_is_acted_for(client, study):
    enter(client, study, "rater-one")
    enter(client, study, "rater-two")
    client.post(step_path(study, "consent"), {"consent": "no"})
    outcomes = dict(Enrollment.objects.values_list("rater__external_id", "outcome"))
    assert outcomes == {"rater-one": "", "rater-two": Outcome.NO_CONSENT}


@pytest.mark.parametrize("state", [Study.State.CLOSED, Study.State.DRAFT])
def test_new_people_meet_a_closed_page_and_are_not_stored(client, study, state):
    Study.objects.update(state=state)
    before = freeze_rows()
    opened_before = {"entry": seal(read_entry(LINK))}
    for response in (client.get(link(study), LINK), client.post(link(study), opened_before)):
        assert response.status_code == 403
        assert "takes nobody new in" in read(response).text
    assert freeze_rows() == before


def test_the_link_tells_people_who_come_back_that_they_go_on(client, study):
    assert "Start" in read(client.get(build_entry_path(study, "rater-one"))).text
    enter(client, study)
    assert "Go on where you were" in read(Client().get(build_entry_path(study, "rater-one"))).text


def test_people_inside_a_closed_study_go_on_even_by_the_link(client, study):
    enter(client, study)
    Study.objects.update(state=Study.State.CLOSED)
    browser = Client()
    assert follow(browser, arrive(browser, study)) == step_path(study, "consent")
    assert client.post(step_path(study, "consent"), {"consent": "yes"}).url == step_path(study, "labeling")
    assert client.get(step_path(study, "labeling")).status_code == 200


def test_a_simulated_rater_is_marked_in_the_row_and_on_every_page(client, study):
    response = arrive(client, study, "simulated-1", simulated=True)
    assert Rater.objects.get().is_simulated
    assert "Simulated rater" in client.get(response.url, follow=True).content.decode()


def test_a_simulated_mark_without_the_signature_is_refused(client, study):
    response = client.get(link(study), LINK | {SIMULATED: "yes"})
    assert response.status_code == 400
    assert not read(response).forms


def test_a_simulated_rater_and_a_person_of_the_same_id_stay_apart(client, study):
    arrive(client, study, "same-name", simulated=True)
    arrive(client, study, "same-name")
    assert sorted(Rater.objects.values_list("origin", flat=True)) == ["prolific", "simulated"]
    assert Enrollment.objects.count() == 2


def test_a_study_that_does_not_exist_is_not_found(client):
    response = client.get("/s/nowhere/", LINK)
    assert response.status_code == 404
    assert "open the study again from its link" in read(response).text


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(client, study, method):
    assert getattr(client, method)(link(study)).status_code == 405


def test_the_page_is_kept_out_of_caches(client, study):
    response = client.get(build_entry_path(study, "rater-one"))
    assert "no-store" in response.headers["Cache-Control"]
