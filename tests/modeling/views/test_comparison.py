"""The page of annotator models side by side: what is stored, what is marked, and who may ask for it."""

import csv
import io

import pytest
from django.urls import reverse

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.inclusion import DEFAULT, InclusionRule, Raters
from modeling.models import FitRun, Report
from modeling.reporting import handlers
from modeling.reporting.requests import COMPARE, key_of, request_comparison
from modeling.reports.figures.render import Drawn
from tests.modeling.rated import make_rated_study
from tests.modeling.read_by_models import make_annotator, make_run

from .stored import store_agreement
from .test_results import log_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
SAYS_STANDIN = "Stand-in: not from a real model."


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setattr(handlers, "render", lambda spec: Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG"))


@pytest.fixture
def study(admin_client):
    return make_rated_study(n_raters=6, n_posts=6)


@pytest.fixture
def run(study):
    return make_run(make_annotator(study, "<b>Zero</b>"))


def page_of(study, **query):
    return reverse("modeling:comparison", args=[study.slug]) + (
        "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
    )


def compare_here(study, rule=DEFAULT, **options):
    job = run_here(request_comparison(study, rule, **options))
    assert job.state == Job.State.DONE, job.error


def ask(client, study, **sent):
    return client.post(reverse("modeling:compare", args=[study.slug]), sent)


def test_a_comparison_is_shown_as_it_is_stored(admin_client, study, run):
    compare_here(study)
    report = Report.objects.get()
    text = text_of(admin_client.get(page_of(study)))
    (model,) = report.measures["models"]
    assert "<b>Zero</b>, version 1" in text  # as a name, not as a tag: `text_of` takes tags out first
    for number in (
        model["rho"],
        report.measures["human_human"]["rho"],
        report.measures["human_consensus"]["rho"],
    ):
        assert f"{number:.3f}" in text
    for part in ("Agreement with people", "Value by value", "Cost, speed and failures", "95th percentile"):
        assert part in text
    assert SAYS_STANDIN not in text


def test_the_page_is_one_of_the_results(admin_client, study):
    page = admin_client.get(reverse("modeling:study", args=[study.slug])).content.decode()
    assert f'href="{page_of(study)}">Annotators</a>' in page


def test_a_stand_in_is_marked_on_the_page_and_in_its_files(admin_client, study):
    make_run(make_annotator(study), is_standin=True)
    compare_here(study)
    page = admin_client.get(page_of(study))
    assert '<p class="warning"><strong>Stand-in: not from a real model.</strong>' in page.content.decode()
    for name in ("agreement", "differences", "error", "correlation", "work"):
        address = reverse("modeling:comparison_table", args=[study.slug, f"comparison_{name}"])
        assert SAYS_STANDIN.removesuffix(".") in admin_client.get(address).content.decode()


def test_before_the_first_comparison_the_page_says_what_there_is_to_compare(admin_client, study, run):
    make_annotator(study, "Idle")
    text = text_of(admin_client.get(page_of(study)))
    assert "There is nothing to show yet." in text
    assert f"read the posts in run {run.pk}" in text
    assert "Idle, version 1: it has no run over the study's posts yet." in text


def test_asking_leads_back_to_the_page_with_one_job_however_often_one_asks(admin_client, study, run):
    for _ in range(2):
        assert ask(admin_client, study).url == page_of(study)
    assert Job.objects.filter(kind=COMPARE).count() == 1
    assert "Annotator models are being compared" in text_of(admin_client.get(page_of(study)))


def test_without_a_finished_run_nothing_is_asked_for_and_one_is_told_why(admin_client, study):
    response = admin_client.post(reverse("modeling:compare", args=[study.slug]), follow=True)
    assert "No annotator model has a finished run" in text_of(response)
    assert not Job.objects.filter(kind=COMPARE).exists()


def test_held_out_posts_have_a_page_of_their_own(admin_client, study, run):
    FitRun.objects.create(
        study=study,
        key="fit",
        settings={},
        data_hash="e" * 64,
        code_version="1",
        consensus_name="text",
        holdout_post_ids=[run.readings.first().post_id],
        feature_names=[],
        notes=[],
        n_raters=8,
        n_annotations=30,
        has_simulated=False,
        artefact="",
        artefact_sha256="",
    )
    page = page_of(study, posts="holdout")
    assert ask(admin_client, study, posts="holdout").url == page
    assert run_here(Job.objects.get(kind=COMPARE)).state == Job.State.DONE
    assert "1 of 1 held-out posts with ratings" in text_of(admin_client.get(page))
    assert "There is nothing to show yet." in text_of(admin_client.get(page_of(study)))


def test_another_rule_keeps_to_its_own_comparison(admin_client, study, run):
    rule = InclusionRule(raters=Raters.PEOPLE)
    store_agreement(study, rule)
    assert ask(admin_client, study, who=key_of(rule)).url == page_of(study, who=key_of(rule))
    assert run_here(Job.objects.get(kind=COMPARE)).state == Job.State.DONE
    text = text_of(admin_client.get(page_of(study, who=key_of(rule))))
    assert "Every person (no simulated rater)" in text
    assert "Agreement with people" in text


def test_a_newer_run_is_told_of(admin_client, study, run):
    compare_here(study)
    make_run(run.annotator)
    assert "Not in this comparison yet, or by an older run" in text_of(admin_client.get(page_of(study)))


def test_an_outdated_comparison_says_so(admin_client, study, run):
    compare_here(study)
    Report.objects.update(outdated_at="2026-01-01T00:00:00Z")
    assert "Who counts has changed since" in text_of(admin_client.get(page_of(study)))


def test_one_of_an_older_version_is_not_read(admin_client, study, run):
    compare_here(study)
    report = Report.objects.get()
    report.measures["schema"] = 0
    report.save()
    assert "Made by an older version of Parallax" in text_of(admin_client.get(page_of(study)))


def test_a_table_is_a_csv_file_and_an_unknown_one_is_not_there(admin_client, study, run):
    address = reverse("modeling:comparison_table", args=[study.slug, "comparison_work"])
    assert admin_client.get(address).status_code == 404
    compare_here(study)
    response = admin_client.get(address)
    header, row = csv.reader(io.StringIO(response.content.decode()))
    assert "dollars_per_1000_posts" in header
    assert row[0] == "<b>Zero</b>, version 1"
    assert response["Content-Type"].startswith("text/csv")
    assert admin_client.get(address.replace("work", "nothing")).status_code == 404


def test_an_assistant_sees_the_page_and_asks_for_nothing(client, study, run):
    log_in(client, study, "assistant")
    assert "Compare</button>" not in client.get(page_of(study)).content.decode()
    assert ask(client, study).status_code == 404


def test_researchers_of_other_studies_find_no_page(client, study, run):
    log_in(client, Study.objects.create(slug="other", name="Other", value_system=study.value_system), "owner")
    assert client.get(page_of(study)).status_code == 404


def test_the_page_asks_the_database_no_more_often_for_more_models(
    admin_client, study, run, django_assert_max_num_queries
):
    for number in range(4):
        make_run(make_annotator(study, f"More {number}"))
    compare_here(study)
    with django_assert_max_num_queries(32):
        admin_client.get(page_of(study))
