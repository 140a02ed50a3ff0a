"""What an encoder says of its own teaching reaches the report and its page."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from jobs.services import run_here
from modeling.models import Report
from modeling.reporting.subjects import get_report
from modeling.reports.encoder_teaching import (
    describe_teaching,
    has_learnt_nothing,
    say_teaching,
    tabulate_teaching,
)
from modeling.reports.figures.render import Drawn
from modeling.transfer import handlers
from modeling.transfer import training as training_room
from modeling.transfer.forms import TrainingForm
from modeling.transfer.services import create_training, find_job, name_subject
from tests.modeling.transfer.ground import SMALL, make_soft_labels, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
VALUES = [("v1", "Order"), ("v2", "Joy"), ("v3", "Care")]
FACTS = {
    "encoder": "minilm",
    "device": "cpu",
    "n_taught": 60,
    "n_dev": 12,
    "n_cut": 3,
    "losses": [1.25, 1.5, None],
    "best_pass": 0,
    "untaught_values": [1],
}


@pytest.fixture(autouse=True)
def _without_drawings(monkeypatch):
    drawn = Drawn("<svg></svg>", b"%PDF", b"PNG")
    monkeypatch.setattr(handlers, "draw_all", lambda figures: [(figure, drawn) for figure in figures])


def teach(study, soft_labels):
    training = create_training(study, soft_labels, SMALL, "Reader")
    run_here(find_job(training))
    training.refresh_from_db()
    return training, get_report(study, Report.Kind.ENCODER, name_subject(training)).measures


def read_page(client, study, training):
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client.get(reverse("modeling:encoder", args=[study.slug, training.pk])).content.decode()


def describe(facts, **more):
    options = {"n_taught": 80, "untaught_values": (), "values": VALUES} | more
    measures = {"values": [{"key": key, "name": name} for key, name in VALUES]}
    return measures | {"teaching": [describe_teaching("Soft labels", facts, **options)]}


def test_a_linear_encoder_says_what_was_chosen_for_each_part(client):
    study, means = make_study()
    training, measures = teach(study, make_soft_labels(study, means))
    names = [each["name"] for each in measures["teaching"]]
    folds = [f"All but fold {fold}" for fold in (1, 2, 3)]
    assert names == ["Soft labels", "Hard labels", *folds]
    main, *_, fold = measures["teaching"]
    assert main["n_taught"] == len(training.post_ids) > fold["n_taught"]
    assert main["penalty"] == SMALL.linear["penalty"] and 1 <= main["best_pass"] <= 6
    assert main["best_loss"] > 0 and main["untaught_values"] == []
    page = read_page(client, study, training)
    assert "What it says of its teaching" in page and "with strength 0.3" in page
    assert "nothing was learnt" not in page


def test_a_transformers_facts_are_stored_and_shown_with_what_it_did_not_learn(client, monkeypatch):
    fit = training_room.fit_encoder

    def fit_deeply(*given, **more):
        encoder = fit(*given, **more)
        encoder.facts = FACTS
        return encoder

    monkeypatch.setattr(training_room, "fit_encoder", fit_deeply)
    study, means = make_study()
    training, measures = teach(study, make_soft_labels(study, means))
    kept = measures["teaching"][0]
    assert {name: kept[name] for name in ("device", "n_dev", "n_cut", "losses", "best_pass")} == {
        name: FACTS[name] for name in ("device", "n_dev", "n_cut", "losses", "best_pass")
    }
    assert kept["untaught_values"] == [measures["values"][1]["key"]]
    page = read_page(client, study, training)
    assert "2 made, none kept: nothing was learnt beyond each value&#x27;s average" in page
    assert "nothing was learnt beyond each value’s average. It gives every post" in page
    assert "3 texts were longer than the encoder reads" in page
    assert "minilm; taught on the processor" in page


def test_what_is_said_of_a_transformer_that_learnt():
    told = dict(say_teaching(describe(FACTS | {"best_pass": 1, "losses": [1.5, 1.25, 1.3]})))
    assert told["Passes"] == "2 made, the state after pass 1 kept"
    assert told["Loss"] == "1.500 before any pass, 1.250 as kept, on posts held apart"
    assert told["Without any label"].startswith("Joy: an even distribution")
    without = dict(say_teaching(describe(FACTS | {"n_dev": 0, "losses": [], "best_pass": 4, "n_cut": 0})))
    assert without["Posts taught"] == "60; none to tell when to stop"
    assert without["Passes"] == "4 over the posts" and without["Texts cut"] == "none"
    assert "Loss" not in without


def test_where_nothing_is_known_little_is_said():
    measures = describe({}, untaught_values=[0])
    assert dict(say_teaching(measures)) == {
        "Posts taught": "80",
        "Without any label": "Order: an even distribution is given, which says nothing",
    }
    assert not has_learnt_nothing(measures) and has_learnt_nothing(describe(FACTS))
    assert tabulate_teaching(measures).rows[0][:2] == ["Soft labels", 80]
    before = {"values": measures["values"]}
    assert say_teaching(before) == [] and tabulate_teaching(before) is None


def test_the_form_offers_the_encoders_of_the_installation(settings):
    study, _ = make_study(n_posts=2)
    settings.ENCODERS = {"small": "/srv/small", "large": "/srv/large"}
    choices = TrainingForm(study).fields["folder"].choices
    assert [name for name, _ in choices] == ["", "small", "large"]
    settings.ENCODERS = {}
    assert TrainingForm(study).fields["folder"].choices == [("", "None is on this machine")]
