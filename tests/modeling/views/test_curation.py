"""The pages of a curation: made, fed, started, looked at, put into the study."""

import pytest
from django.urls import reverse

from annotation.models import StudyAccess
from jobs import services as jobs
from modeling.curation import services
from modeling.curation.feeds import list_load_jobs
from modeling.models import Curation
from modeling.reports.names import SAYS_STANDIN
from tests.factories import StudyFactory
from tests.modeling.annotators.ground import KEY_VARIABLE, ask_standin
from tests.modeling.curation.ground import COLUMNS, curate, list_rows, make_curation, write_feeds

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "key-of-the-stand-in")


@pytest.fixture
def standin():
    with ask_standin() as server:
        yield server


def log_in(client, django_user_model, study, role=StudyAccess.Role.ASSISTANT):
    user = django_user_model.objects.create_user("researcher", password="pw", is_staff=True)
    study.accesses.create(user=user, role=role)
    client.force_login(user)
    return user


def address(curation, page="curation", *rest):
    return reverse(f"modeling:{page}", args=[curation.study.slug, curation.pk, *rest])


def list_answers(**changes):
    return {
        "name": "spring",
        "seed": "3",
        "languages": "en, de",
        "unknown": "drop",
        "least_comprehensibility": "3",
        "most_nsfw": "0",
        "least_screening": "4",
        "quotas": "55 and over = 17",
        "concurrency": "8",
        "mode": "calls",
    } | changes


def test_a_curation_is_made_of_what_was_filled_in(client, django_user_model):
    study = StudyFactory(posts=0, questions=0, steps=())
    log_in(client, django_user_model, study)
    page = reverse("modeling:curation_make", args=[study.slug])
    assert client.get(page).status_code == 200
    response = client.post(page, list_answers(budget_nsfw="2.50"))
    curation = study.curations.get()
    assert response.url == address(curation)
    settings = services.get_settings(curation)
    assert (settings.languages, dict(settings.quotas)) == (("en", "de"), {"55 and over": 17})
    assert str(settings.budgets["nsfw"]) == "2.50"
    assert curation.name in client.get(reverse("modeling:curations", args=[study.slug])).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quotas": "the old"}, "must name a group"),
        ({"quotas": "old = 1\nold = 2"}, "two lines"),
        ({"languages": "English"}, "no code of a language"),
        ({"least_comprehensibility": "9"}, "less than or equal to 3"),
    ],
    ids=["quota", "twice", "language", "limit"],
)
def test_what_was_typed_survives_an_error_that_stands_beside_its_field(
    client, django_user_model, changes, words
):
    study = StudyFactory(posts=0, questions=0, steps=())
    log_in(client, django_user_model, study)
    response = client.post(reverse("modeling:curation_make", args=[study.slug]), list_answers(**changes))
    assert response.status_code == 422
    assert words in response.text
    (typed,) = changes.values()
    assert typed.splitlines()[0] in response.text
    assert not study.curations.exists()


def test_a_file_is_loaded_by_a_worker_and_one_that_cannot_be_is_refused_beside_its_field(
    client, django_user_model, standin
):
    curation = make_curation()
    log_in(client, django_user_model, curation.study)
    response = client.post(address(curation, "curation_feeds"), {"file": write_feeds([], ("key", "text"))})
    assert response.status_code == 422
    assert "no row below it" in response.text
    rows = list_rows(owners=("zoe",))
    file = write_feeds(rows, (*COLUMNS, "language"), "more.csv")
    assert client.post(address(curation, "curation_feeds"), {"file": file}).status_code == 302
    waiting = client.get(address(curation)).text
    assert "Feeds are being loaded from more.csv" in waiting
    jobs.run_here(list_load_jobs(curation).first(), poll_seconds=0.01)
    shown = client.get(address(curation)).text
    assert "more.csv" in shown
    assert "zoe" not in shown


def test_before_the_start_the_page_says_what_is_missing_and_what_it_will_cost(
    client, django_user_model, standin
):
    curation = make_curation(input_price=100, output_price=100)
    log_in(client, django_user_model, curation.study)
    shown = client.get(address(curation)).text
    assert "Start: about $" in shown
    assert "at most $" in shown
    Curation.objects.update(nsfw=None)
    shown = client.get(address(curation)).text
    assert "No annotator model is chosen for safety" in shown
    assert "Start: about" not in shown
    assert client.post(address(curation, "curation_start")).status_code == 422


def test_while_it_works_the_page_asks_again_and_can_stop_it(client, django_user_model, standin):
    curation = make_curation()
    log_in(client, django_user_model, curation.study)
    assert client.post(address(curation, "curation_start")).status_code == 302
    shown = client.get(address(curation)).text
    assert "hx-trigger" in shown
    assert "Cancel the curation" in shown
    part = client.get(address(curation), headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert "waiting for a worker" in part.text
    assert client.post(address(curation, "curation_cancel")).status_code == 302
    ended = client.get(address(curation), headers={"HX-Request": "true"})
    assert ended["HX-Redirect"] == address(curation)
    assert "Cancelled" in client.get(address(curation)).text


def test_the_funnel_shows_each_reason_with_posts_and_says_that_no_real_model_decided(
    client, django_user_model, standin
):
    rows = list_rows()
    rows.append(rows[0] | {"key": "de", "text": "Ein <b>Morgen</b> am alten Hafen", "language": "de"})
    curation = curate(make_curation(rows=rows))
    log_in(client, django_user_model, curation.study, StudyAccess.Role.OWNER)
    shown = client.get(address(curation)).text
    assert SAYS_STANDIN in shown
    assert "another language: 1" in shown
    assert "Ein &lt;b&gt;Morgen&lt;/b&gt; am alten Hafen" in shown
    assert "Put the sample into the study" in shown
    for table in ("posts", "draws"):
        lines = client.get(address(curation, "curation_file", table)).getvalue().decode().splitlines()
        assert len(lines) == 1 + (7 if table == "posts" else curation.draws.count())
        assert all(line.endswith(SAYS_STANDIN) for line in lines[1:])
    assert client.get(address(curation, "curation_file", "owners")).status_code == 400
    assert client.post(address(curation, "curation_put")).status_code == 302
    assert curation.study.posts.count() == curation.feed_posts.filter(dropped_at="").count()
    assert "Its posts are in the study" in client.get(address(curation)).text
    assert client.post(address(curation, "curation_put")).status_code == 422


def test_what_stopped_it_is_said_and_failed_readings_can_be_asked_for_again(client, django_user_model):
    with ask_standin(key="another key"):
        curation = curate(make_curation())
    log_in(client, django_user_model, curation.study)
    shown = client.get(address(curation)).text
    assert "It stopped." in shown
    assert "Comprehensible: " in shown
    assert client.post(address(curation, "curation_again"), {"stage": "lunch"}).status_code == 400
    assert client.post(address(curation, "curation_again"), {"stage": "nsfw"}).status_code == 302


def test_settings_change_until_the_sample_is_in_the_study(client, django_user_model, standin):
    curation = make_curation()
    log_in(client, django_user_model, curation.study)
    page = address(curation, "curation_settings")
    assert client.get(page).status_code == 200
    answers = list_answers(seed="9", screening=str(curation.screening_id), mode="batch")
    assert client.post(page, answers).status_code == 302
    curation.refresh_from_db()
    assert (curation.seed, curation.nsfw, services.get_settings(curation).mode) == (9, None, "batch")
    Curation.objects.update(state=Curation.State.LOADED)
    response = client.post(page, answers)
    assert response.status_code == 422
    assert "stay as they are" in response.text


def test_an_analyst_looks_and_changes_nothing(client, django_user_model, standin):
    curation = make_curation()
    log_in(client, django_user_model, curation.study, StudyAccess.Role.ANALYST)
    shown = client.get(address(curation)).text
    for words in ("Load the file", "Start: about", "Change</a>"):
        assert words not in shown
    assert client.post(address(curation, "curation_start")).status_code == 404
