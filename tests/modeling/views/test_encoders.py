import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from annotation.models import StudyAccess
from jobs.models import Job
from jobs.services import run_here
from modeling.models import EncoderTraining, TransferCheck
from modeling.models.encoders import Work
from modeling.reports.figures.render import Drawn
from modeling.transfer import handlers
from modeling.transfer.services import create_check, create_training, find_job
from modeling.transfer.settings import CheckSettings
from tests.modeling.transfer.ground import SMALL, make_expert_set, make_soft_labels, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
STANDIN = "Stand-in: not from a real model."
TRAINING = {
    "name": "Reader",
    "kind": "linear",
    "loss": "cross_entropy",
    "n_folds": "3",
    "seed": "1",
    "threshold": "3",
    "eval_share": "0.2",
}
CHECK = {
    "kind": "linear",
    "loss": "ordinal",
    "seed": "1",
    "threshold": "3",
    "by": "source",
    "fewest_posts": "20",
    "test_share": "0.3",
}


@pytest.fixture(autouse=True)
def _without_drawings(monkeypatch):
    drawn = Drawn("<svg></svg>", b"%PDF", b"PNG")
    monkeypatch.setattr(handlers, "draw_all", lambda figures: [(figure, drawn) for figure in figures])


@pytest.fixture
def ground(client):
    study, means = make_study(sources=("forum", "board"))
    log_in(client, study, "assistant")
    return study, means


def log_in(client, study, role):
    user = get_user_model().objects.create_user(role, is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


def page_of(study, name="encoders", *more):
    return reverse(f"modeling:{name}", args=[study.slug, *more])


def read(response):
    return response.content.decode()


def test_without_soft_labels_the_list_says_what_to_do_first(client, ground):
    study, _ = ground
    page = read(client.get(page_of(study)))
    assert "Make soft labels" in page and "Teach an encoder" not in page


def test_a_training_is_asked_for_done_and_shown_with_its_report(client, ground):
    study, means = ground
    soft_labels = make_soft_labels(study, means, is_standin=True)
    expert_set = make_expert_set(study, means)
    given = TRAINING | {"soft_labels": soft_labels.pk, "expert_set": expert_set.pk, "both_losses": "on"}
    response = client.post(page_of(study, "encoder_new"), given)
    training = EncoderTraining.objects.get()
    assert response["Location"] == page_of(study, "encoder", training.pk)
    assert (
        training.settings["threshold"] == expert_set.threshold and training.created_by.username == "assistant"
    )
    page = read(client.get(response["Location"]))
    assert "it waits for a worker" in page and "Cancel" in page
    run_here(find_job(training))
    page = read(client.get(response["Location"]))
    assert "Soft labels against hard labels" in page and STANDIN in page
    assert "Judged on 12 posts that no encoder was taught, by what experts say" in page
    assert "mean rating of 4 on" in page
    assert f'href="{page_of(study, "annotator", EncoderTraining.objects.get().annotator_id)}"' in page
    table = client.get(page_of(study, "encoder_table", training.pk, "encoder_scores"))
    assert read(table).startswith("measure,better,soft_cross_entropy,")
    assert client.get(page_of(study, "encoder_table", training.pk, "nothing")).status_code == 404
    assert STANDIN in read(client.get(page_of(study)))


def test_a_check_is_asked_for_done_and_shown_with_its_report(client, ground):
    study, means = ground
    soft_labels = make_soft_labels(study, means)
    response = client.post(page_of(study, "transfer_new"), CHECK | {"soft_labels": soft_labels.pk})
    check = TransferCheck.objects.get()
    assert response["Location"] == page_of(study, "transfer", check.pk)
    run_here(find_job(check))
    page = read(client.get(response["Location"]))
    assert "Taught “forum” and judged on “board”: macro F1 " in page
    assert "The sources" in page and STANDIN not in page
    table = client.get(page_of(study, "transfer_table", check.pk, "transfer_losses"))
    assert read(table).startswith("judged_on,taught,measure,loss,")


def test_what_was_typed_survives_an_error_beside_its_field(client, ground):
    study, means = ground
    make_soft_labels(study, means)
    response = client.post(page_of(study, "encoder_new"), TRAINING | {"n_folds": "many", "name": "My reader"})
    page = read(response)
    assert response.status_code == 422
    assert 'value="many"' in page and 'value="My reader"' in page
    assert 'id="encoder-n_folds_error"' in page and "Choose soft labels." in page
    assert not EncoderTraining.objects.exists()
    response = client.post(page_of(study, "transfer_new"), CHECK | {"train_on": "forum", "threshold": "9"})
    assert response.status_code == 422 and 'value="forum"' in read(response)


def test_one_source_without_the_other_is_told_beside_the_field(client, ground):
    study, means = ground
    soft_labels = make_soft_labels(study, means)
    given = CHECK | {"soft_labels": soft_labels.pk, "train_on": "forum"}
    response = client.post(page_of(study, "transfer_new"), given)
    assert response.status_code == 422 and "Name both sources" in read(response)


def test_a_missing_torch_is_told_on_the_form(client, ground, monkeypatch):
    from modeling.transfer import services

    study, _ = ground
    monkeypatch.setattr(services, "has_torch", lambda: False)
    assert "requirements-encoder.txt" in read(client.get(page_of(study, "encoder_new")))
    monkeypatch.setattr(services, "has_torch", lambda: True)
    assert "requirements-encoder.txt" not in read(client.get(page_of(study, "encoder_new")))


def test_it_is_cancelled_goes_on_and_tells_htmx_when_it_has_ended(client, ground):
    study, means = ground
    training = create_training(study, make_soft_labels(study, means), SMALL, "Reader")
    address = page_of(study, "encoder", training.pk)
    part = client.get(address, headers={"HX-Request": "true"})
    assert read(part).startswith('<section id="work"') and "hx-get" in read(part)
    client.post(page_of(study, "encoder_cancel", training.pk))
    training.refresh_from_db()
    assert training.state == Work.CANCELLED
    assert client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "Go on" in read(client.get(address))
    client.post(page_of(study, "encoder_resume", training.pk))
    training.refresh_from_db()
    assert training.state == Work.RUNNING and find_job(training).state == Job.State.QUEUED


def test_a_failure_that_nobody_foresaw_is_told_and_can_be_tried_again(client, ground):
    study, means = ground
    settings = CheckSettings("source", 3, fewest_posts=20, encoder=SMALL)
    check = create_check(study, make_soft_labels(study, means), settings)
    Job.objects.filter(pk=find_job(check).pk).update(
        state="failed", error="The disk is full.", finished_at=timezone.now()
    )
    page = read(client.get(page_of(study, "transfer", check.pk)))
    assert "The disk is full." in page and "Go on" in page
    client.post(page_of(study, "transfer_resume", check.pk))
    assert find_job(check).state == Job.State.QUEUED
    client.post(page_of(study, "transfer_cancel", check.pk))
    check.refresh_from_db()
    assert check.state == Work.CANCELLED


def test_an_analyst_sees_and_does_not_teach(client, ground):
    study, means = ground
    training = create_training(study, make_soft_labels(study, means), SMALL, "Reader")
    log_in(client, study, "analyst")
    assert "Cancel" not in read(client.get(page_of(study, "encoder", training.pk)))
    assert client.get(page_of(study, "encoder_new")).status_code == 404
    assert client.post(page_of(study, "encoder_cancel", training.pk)).status_code == 404
