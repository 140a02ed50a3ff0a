from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.models import StudyAccess, StudyEvent
from jobs.models import Job
from jobs.services import run_here
from modeling.models import FineTuning
from modeling.tuning import handlers
from modeling.tuning.services import FINE_TUNE, find_job, start_tuning, tell_dollars
from tests.modeling.tuning.taught import ask, make_base, make_run, make_well_rated_study, say_means, serve

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
STANDIN = "Stand-in: not from a real model."
FORM = {
    "what": "encoder",
    "name": "Local reader",
    "more_raters_than": "5",
    "n_drawn": "20",
    "n_kept": "12",
    "seed": "1",
    "holdout_share": "0.28",
}
FOR_MODEL = {
    "what": "model",
    "base_model": "standin-small",
    "n_epochs": "2",
    "training_price": "25",
    "input_price": "3.75",
    "output_price": "15",
    "budget": "",
}


@pytest.fixture
def study():
    return make_well_rated_study(n_posts=36)


@pytest.fixture
def standin(settings, monkeypatch):
    monkeypatch.setattr(handlers, "POLL_SECONDS", 0.05)
    with serve(settings) as standin:
        yield standin


def page_of(study, name="tunings", *more):
    return reverse(f"modeling:{name}", args=[study.slug, *more])


def log_in(client, study, role):
    user = get_user_model().objects.create_user(role, is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


def read(response):
    return response.content.decode()


def test_the_list_says_how_many_posts_have_enough_raters(admin_client, study):
    page = read(admin_client.get(page_of(study)))
    assert "36 posts have more than 6 raters who count" in page
    assert "Nothing was taught yet." in page
    assert "No annotator model has read the study’s posts yet." in page


def test_a_local_encoder_is_asked_for_and_shown(admin_client, study):
    response = admin_client.post(page_of(study, "tuning_make"), FORM | {"n_epochs": "nonsense"})
    tuning = FineTuning.objects.get()
    assert response.url == page_of(study, "tuning", tuning.pk)
    page = read(admin_client.get(response.url))
    assert "The consensus set is being drawn." in page and "hx-get" in page
    run_here(find_job(tuning))
    run_here(find_job(tuning))
    page = read(admin_client.get(response.url))
    assert "Local reader, version 1" in page and "hx-get" not in page and STANDIN not in page
    assert "Local reader, version 1" in read(admin_client.get(page_of(study)))


def test_a_language_model_is_estimated_first_and_started_by_hand(admin_client, study, standin):
    base = make_base(study)
    response = admin_client.post(page_of(study, "tuning_make"), FORM | FOR_MODEL | {"base": base.pk})
    tuning = FineTuning.objects.get()
    run_here(find_job(tuning))
    tuning.refresh_from_db()
    page = read(admin_client.get(response.url))
    assert f"About <strong>{tell_dollars(tuning.estimate['cost'])}</strong> will be charged" in page
    assert STANDIN in page and not standin.requests.read()
    assert tuning.training_price == Decimal(25) and tuning.settings["output_price"] == "15"
    admin_client.post(page_of(study, "tuning_start", tuning.pk))
    assert run_here(Job.objects.get(kind=FINE_TUNE)).state == Job.State.DONE
    tuning.refresh_from_db()
    page = read(admin_client.get(response.url))
    assert tuning.annotator.model_name in page
    assert "The job has successfully completed" in page
    assert tell_dollars(tuning.cost) in page


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"name": ""}, "This field is required."),
        ({"n_kept": "21"}, "Keep from 1 post to as many as are drawn, which is 20."),
        ({"n_drawn": "many"}, "Enter a whole number."),
        ({"what": "model", "base_model": "m", "n_epochs": "2"}, "Choose the annotator model whose prompt"),
        ({"what": "model", "n_epochs": "51"}, "less than or equal to 50"),
    ],
)
def test_what_was_typed_survives_a_fault_which_stands_beside_its_field(admin_client, study, sent, told):
    response = admin_client.post(page_of(study, "tuning_make"), FORM | {"name": "My own words"} | sent)
    page = read(response)
    assert response.status_code == 422 and told in page
    for typed in ({"name": "My own words"} | sent).values():
        assert f'value="{typed}"' in page
    assert not FineTuning.objects.exists()


def test_too_few_posts_are_told_on_the_page(admin_client, study):
    admin_client.post(page_of(study, "tuning_make"), FORM | {"n_drawn": "1000"})
    tuning = FineTuning.objects.get()
    run_here(find_job(tuning))
    page = read(admin_client.get(page_of(study, "tuning", tuning.pk)))
    assert "1,000 posts are to be drawn, and 26 can be" in page
    assert "hx-get" not in page and "Go on" not in page


def test_to_htmx_the_state_is_sent_alone_and_the_page_anew_once_it_has_changed(admin_client, study, standin):
    tuning = ask(study, make_base(study))
    start_tuning(tuning)
    address = page_of(study, "tuning", tuning.pk)
    part = admin_client.get(address, headers={"HX-Request": "true"})
    assert read(part).startswith('<section id="work"') and "it waits for a worker" in read(part)
    run_here(find_job(tuning))
    assert admin_client.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_going_on_after_the_provider_gave_up_says_that_it_costs_anew(admin_client, study, standin):
    tuning = ask(study, make_base(study))
    FineTuning.objects.filter(pk=tuning.pk).update(state="failed", remote_id="job-1", remote_state="failed")
    page = read(admin_client.get(page_of(study, "tuning", tuning.pk)))
    assert f"Go on, for about {tell_dollars(tuning.estimate['cost'])}" in page
    FineTuning.objects.filter(pk=tuning.pk).update(remote_state="running")
    assert ">Go on</button>" in read(admin_client.get(page_of(study, "tuning", tuning.pk)))


def test_it_can_be_cancelled_and_is_refused_a_second_start(admin_client, study, standin):
    tuning = ask(study, make_base(study))
    start_tuning(tuning)
    page = read(admin_client.post(page_of(study, "tuning_start", tuning.pk), follow=True))
    assert "It is under way." in page
    page = read(admin_client.post(page_of(study, "tuning_cancel", tuning.pk), follow=True))
    assert "<strong>Cancelled</strong>" in page and "Go on" in page
    assert "come to its end already" in read(
        admin_client.post(page_of(study, "tuning_cancel", tuning.pk), follow=True)
    )


def test_examples_are_downloaded_as_they_are_and_logged(admin_client, study):
    tuning = ask(study)
    response = admin_client.get(page_of(study, "tuning_examples", tuning.pk))
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert len(lines) == 12 and '"ratings"' in lines[0]
    assert study.events.filter(action=StudyEvent.Action.EXPORT).count() == 1
    FineTuning.objects.update(artefact="gone.jsonl")
    assert admin_client.get(page_of(study, "tuning_examples", tuning.pk)).status_code == 404


def test_a_fit_is_asked_for_with_a_run(admin_client, study):
    run = make_run(study, say_means(study), is_standin=True)
    assert f"run {run.pk} of" in read(admin_client.get(page_of(study)))
    assert "(stand-in)" in read(admin_client.get(page_of(study)))
    response = admin_client.post(page_of(study, "tuning_fit"), {"run": run.pk})
    assert response.url == page_of(study, "model")
    assert Job.objects.get(kind="refit").payload["annotator_run"] == run.pk
    refused = admin_client.post(page_of(study, "tuning_fit"), {"run": "0"})
    assert refused.status_code == 422 and "This run cannot be fitted with." in read(refused)


@pytest.mark.parametrize(
    ("role", "sees"),
    [("assistant", (True, False, False)), ("analyst", (False, True, True)), ("owner", (True, True, True))],
)
def test_each_role_is_offered_what_it_may_do(client, study, role, sees):
    log_in(client, study, role)
    tuning = ask(study)
    page, one = (read(client.get(page_of(study, *more))) for more in ((), ("tuning", tuning.pk)))
    found = (
        "Write the examples" in page,
        "Fit with what a model said" in page,
        "Download the examples" in one,
    )
    assert found == sees
    assert ("Cancel" in one) == sees[0]


def test_what_a_provider_says_is_shown_as_text(admin_client, study):
    tuning = ask(study)
    events = [{"id": "1", "at": "", "level": "info", "message": "<script>alert(1)</script>"}]
    FineTuning.objects.filter(pk=tuning.pk).update(events=events, problem="<b>bad</b>")
    page = read(admin_client.get(page_of(study, "tuning", tuning.pk)))
    assert "<script>alert" not in page and "<b>bad" not in page
