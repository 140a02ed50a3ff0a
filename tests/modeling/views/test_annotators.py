import re

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from annotation.models import Enrollment, StudyAccess
from annotation.selectors import _tree
from config.llm_providers import Provider
from jobs import services as jobs
from modeling.annotators.runs import find_run_job
from modeling.models import AnnotatorModel, AnnotatorRun
from modeling.standin.script import Script
from modeling.standin.server import StandIn
from tests.factories import (
    AnnotationFactory,
    AnnotatorModelFactory,
    EnrollmentFactory,
    PostFactory,
    StudyFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
WARNING = "Stand-in: not from a real model."


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


@pytest.fixture
def standin(monkeypatch):
    monkeypatch.setenv("LLM_STANDIN_API_KEY", "any")
    with StandIn() as server:
        known = {
            "standin": Provider("standin", server.url, "LLM_STANDIN_API_KEY", 0, 0, is_standin=True),
            "campus": Provider("campus", server.url, "LLM_STANDIN_API_KEY", 0, 0),
        }
        with override_settings(LLM_PROVIDERS=known):
            yield server


@pytest.fixture
def study():
    study = StudyFactory(name="Wave one", posts=0, questions=0)
    PostFactory(study=study, text="Delicious wine & <b>cake</b>")
    PostFactory(study=study, text="The river is clean")
    return study


def log_in(client, study, role="owner"):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return user


def page(study, name, *args, **query):
    return reverse(f"modeling:{name}", args=[study.slug, *args], query=query or None)


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def fill_in(client, study, older=None, **changes):
    """What the form sends as it stands, with these changes."""
    query = {"from": older.pk} if older else {}
    form = client.get(page(study, "annotator_new", **query)).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    sent["prompt"] = getattr(sent["prompt"], "pk", sent["prompt"])
    sent |= {"name": "Zero", "provider": "standin", "model_name": "standin-large"} if older is None else {}
    return {
        name: value for name, value in (sent | changes).items() if value is not None and value is not False
    }


def make(client, study, older=None, **changes):
    query = {"from": older.pk} if older else {}
    return client.post(page(study, "annotator_new", **query), fill_in(client, study, older, **changes))


def do_preview(client, annotator):
    answer = client.post(page(annotator.study, "annotator_preview", annotator.pk))
    assert answer.status_code == 302
    run = annotator.runs.get(is_preview=True)
    jobs.run_here(find_run_job(run), poll_seconds=0.01)
    return run


def test_a_model_is_made_from_the_form(client, study, standin):
    user = log_in(client, study)
    answer = make(client, study, samples="3", temperature="0.7", seed="5", input_price="0.15")
    annotator = AnnotatorModel.objects.get()
    assert answer.url == page(study, "annotator", annotator.pk)
    assert (annotator.name, annotator.version, annotator.samples, annotator.seed) == ("Zero", 1, 3, 5)
    assert annotator.is_standin and annotator.created_by == user


def test_what_was_typed_survives_faults_that_are_told_beside_the_fields(client, study, standin):
    log_in(client, study)
    answer = make(client, study, temperature="warm", name="My reader", samples="3")
    assert "Enter a number." in text_of(answer, 422)
    assert 'value="warm"' in answer.content.decode() and 'value="My reader"' in answer.content.decode()
    answer = make(client, study, samples="3")
    assert "At temperature 0 every run per post says the same" in answer.context["form"].errors["samples"][0]
    answer = make(client, study, kind="few_shot")
    assert "needs examples" in answer.context["form"].errors["examples"][0]
    assert not AnnotatorModel.objects.exists()


def test_the_form_begins_as_an_older_version_was(client, study, standin):
    log_in(client, study)
    older = AnnotatorModelFactory(study=study, name="Old", temperature=0.5, samples=2, seed=9)
    make(client, study, older, seed="10")
    newer = AnnotatorModel.objects.get(version=2)
    assert (newer.name, newer.temperature, newer.samples, newer.seed) == ("Old", 0.5, 2, 10)
    other = AnnotatorModelFactory(study=StudyFactory(posts=0, questions=0))
    assert client.get(page(study, "annotator_new", **{"from": other.pk})).status_code == 404


def test_examples_are_ticked_posts_with_what_their_raters_saw(client, study, standin):
    log_in(client, study)
    post = study.posts.order_by("pk").first()
    ratings = (5,) + (1,) * (len(study.value_keys) - 1)
    enrollment = EnrollmentFactory(study=study)
    Enrollment.objects.update(outcome="completed", phase="live", finished_at=timezone.now())
    AnnotationFactory(enrollment=enrollment, post=post, ratings=ratings)
    form = client.get(page(study, "annotator_new"))
    assert "Delicious wine &amp; &lt;b&gt;cake&lt;/b&gt;" in form.content.decode()
    (line,) = form.context["form"].offered
    assert (line["post"], line["seen"].count(",")) == (post, 0)
    make(client, study, kind="few_shot", examples=[post.pk])
    annotator = AnnotatorModel.objects.get()
    assert annotator.examples[0]["reply"]["ratings"][study.value_keys[0]] == 5
    assert annotator.trained_on == [post.pk]
    again = client.get(page(study, "annotator_new", **{"from": annotator.pk}))
    assert [line["is_ticked"] for line in again.context["form"].offered] == [True]


def test_the_list_shows_newest_versions_and_folds_retired_ones(client, study, standin):
    log_in(client, study, "assistant")
    AnnotatorModelFactory(study=study, name="Kept", seed=1)
    AnnotatorModelFactory(study=study, name="Kept", seed=2)
    gone = AnnotatorModelFactory(study=study, name="Gone", provider="campus")
    client.post(page(study, "annotator_retire", gone.pk))
    answer = client.get(page(study, "annotators"))
    lines = [(line["annotator"].name, line["annotator"].version) for line in answer.context["annotators"]]
    assert lines == [("Kept", 2)]
    assert "Retired (1)" in text_of(answer) and WARNING in text_of(answer)
    assert "New annotator model" in text_of(answer)


def test_a_preview_shows_ratings_faults_replies_and_cost_escaped(client, study, standin):
    log_in(client, study)
    PostFactory(study=study, text="A cake [[fault:not_json]]")
    annotator = AnnotatorModelFactory(study=study, input_price=1000)
    before = text_of(client.get(page(study, "annotator", annotator.pk)))
    assert "Preview on 3 posts: about $" in before and "Look at a preview first" in before
    run = do_preview(client, annotator)
    answer = client.get(page(study, "annotator", annotator.pk))
    shown = text_of(answer)
    assert WARNING in shown and "No rating: not_json" in shown and "a strong 5" in shown
    assert "tokens read" in shown and "All about it" in shown
    assert "<b>cake</b>" not in answer.content.decode()
    assert run.readings.filter(fault="").count() == 2


def test_the_preview_is_polled_until_it_has_ended(client, study, standin):
    log_in(client, study)
    annotator = AnnotatorModelFactory(study=study)
    client.post(page(study, "annotator_preview", annotator.pk))
    address = page(study, "annotator", annotator.pk)
    fragment = client.get(address, headers={"HX-Request": "true"})
    assert "hx-get" in fragment.content.decode() and "<html" not in fragment.content.decode()
    jobs.run_here(find_run_job(annotator.runs.get()), poll_seconds=0.01)
    assert client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_a_preview_that_stopped_says_why(client, study, standin):
    log_in(client, study)
    annotator = AnnotatorModelFactory(study=study)
    standin.script = Script.from_dict({"rules": [{"fault": "key_revoked"}]})
    do_preview(client, annotator)
    assert "It stopped." in text_of(client.get(page(study, "annotator", annotator.pk)))


def test_a_run_is_estimated_before_it_is_started(client, study, standin):
    log_in(client, study)
    annotator = AnnotatorModelFactory(study=study, input_price=100, output_price=100)
    sent = {"posts": "first", "number": "1", "mode": "calls", "concurrency": "4", "budget": "2.5"}
    answer = client.post(page(study, "run_make", annotator.pk), sent)
    run = AnnotatorRun.objects.get()
    assert answer.url == page(study, "run", run.pk)
    assert (run.state, run.estimate["n_posts"], str(run.budget)) == ("ready", 1, "2.500000")
    assert standin.n_paid() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"posts": "first"}, "number"),
        ({"concurrency": "100"}, "concurrency"),
        ({"budget": "much"}, "budget"),
        ({"mode": "pigeon"}, "mode"),
    ],
    ids=["number", "concurrency", "budget", "mode"],
)
def test_a_run_with_faults_is_not_made(client, study, standin, changes, field):
    log_in(client, study)
    annotator = AnnotatorModelFactory(study=study)
    sent = {"posts": "all", "mode": "calls", "concurrency": "8", **changes}
    answer = client.post(page(study, "run_make", annotator.pk), sent)
    assert answer.status_code == 422 and field in answer.context["form"].errors
    assert not AnnotatorRun.objects.exists()


def test_who_may_not_set_up_sees_no_buttons(client, study, standin):
    annotator = AnnotatorModelFactory(study=study)
    log_in(client, study, "analyst")
    for name, args in (("annotators", ()), ("annotator", (annotator.pk,))):
        answer = client.get(page(study, name, *args))
        assert answer.status_code == 200 and '<form method="post"' not in answer.content.decode()
    for name in ("annotator_preview", "annotator_retire", "run_make"):
        assert client.post(page(study, name, annotator.pk)).status_code == 404
    assert client.get(page(study, "annotator_new")).status_code == 404


def test_a_retired_model_cannot_be_asked(client, study, standin):
    log_in(client, study)
    annotator = AnnotatorModelFactory(study=study)
    client.post(page(study, "annotator_retire", annotator.pk))
    assert "Preview on" not in text_of(client.get(page(study, "annotator", annotator.pk)))
    client.post(page(study, "annotator_preview", annotator.pk))
    assert not annotator.runs.exists()


def test_without_a_provider_the_form_says_what_to_do(client, study):
    log_in(client, study)
    with override_settings(LLM_PROVIDERS={}):
        assert "LLM_STANDIN_BASE_URL" in text_of(client.get(page(study, "annotator_new")))
