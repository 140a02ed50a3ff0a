"""How sure stored runs are: by their distributions or samples, on development posts alone, and on the page."""

import numpy as np
import pytest
from django.urls import reverse

from jobs import services as jobs
from jobs.models import Job
from modeling.models import ModelReading, Report
from modeling.refining import scoring
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.figures.render import Drawn

from .planted_errors import make_planted_run, make_planted_set

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    monkeypatch.setattr(scoring, "draw_all", draw)


@pytest.fixture
def planted():
    return make_planted_set(n_posts=80)


def measure_here(expert_set):
    subject = name_subject(set=expert_set.pk)
    job = jobs.run_here(request_report(expert_set.study, Report.Kind.CALIBRATION, subject))
    assert job.state == Job.State.DONE, job.error
    return get_report(expert_set.study, Report.Kind.CALIBRATION, subject)


def give_distributions(run, sure):
    """Let a run be this sure of what it says of each value of each post."""
    readings = list(ModelReading.objects.filter(run=run))
    for reading in readings:
        high = np.where(np.array(reading.ratings) > 0, sure, 1 - sure)
        shares = [[round(1 - p, 4), 0, 0, 0, round(p, 4), 0, 0] for p in high.tolist()]
        reading.detail = reading.detail | {"distributions": shares}
    ModelReading.objects.bulk_update(readings, ["detail"])


def add_samples(run, n_samples):
    run.annotator.samples = n_samples
    run.annotator.save()
    readings = list(ModelReading.objects.filter(run=run))
    ModelReading.objects.bulk_create(
        ModelReading(run=run, post_id=reading.post_id, sample=sample, ratings=reading.ratings)
        for sample in range(1, n_samples)
        for reading in readings
    )


def read(client, name, expert_set, *more):
    response = client.get(reverse(f"modeling:{name}", args=[expert_set.study.slug, expert_set.pk, *more]))
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_says_of_each_run_how_sure_it_is_and_where_that_is_from(admin_client, planted):
    expert_set, truth = planted
    sure, sampled, silent = (make_planted_run(expert_set, truth, version=n) for n in (1, 2, 3))
    give_distributions(sure, 0.7)
    add_samples(sampled, 3)
    runs = measure_here(expert_set).measures["runs"]
    assert [run["run"] for run in runs] == [sure.pk, sampled.pk, silent.pk]
    by_distributions, by_samples, none = (run["certainty"] for run in runs)
    assert (by_distributions["from"], by_distributions["verdict"]) == ("distributions", "underconfident")
    assert by_distributions["confidence"] == pytest.approx(0.7, abs=1e-3)
    assert by_distributions["n_pairs"] == 60 * truth.shape[1]
    assert (by_samples["from"], by_samples["confidence"]) == ("samples", 1)
    assert none is None and "1 of the 3 samples" in runs[2]["certainty_reason"]
    page = read(admin_client, "calibration", expert_set)
    assert "How sure, how often right" in page and "share of 3 samples" in page
    assert "70.0% sure on average" in page and "underconfident" in page
    assert "The share of a few samples is coarse" in page
    assert "1 of the 3 samples of a post needed" in page
    table = read(admin_client, "calibration_table", expert_set, "calibration_certainty")
    assert len(table.splitlines()) == 3
    assert Report.objects.get().figures.filter(key="calibration_reliability").exists()


def test_a_page_without_any_run_that_says_how_sure_it_is_says_what_would(admin_client, planted):
    expert_set, truth = planted
    make_planted_run(expert_set, truth)
    report = measure_here(expert_set)
    assert "No run says how sure it is." in read(admin_client, "calibration", expert_set)
    for run in report.measures["runs"]:
        del run["certainty"], run["certainty_reason"]  # as reports were stored before
    report.save()
    assert "No run says how sure it is." in read(admin_client, "calibration", expert_set)


def test_distributions_of_test_posts_are_not_looked_at(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    give_distributions(run, 0.9)
    report = measure_here(expert_set)
    before = report.data_hash, report.measures["runs"][0]["certainty"]
    test = expert_set.items.filter(split="test").values("post")
    ModelReading.objects.filter(run=run, post__in=test).update(detail={"distributions": [[9] * 7]})
    report = measure_here(expert_set)
    assert (report.data_hash, report.measures["runs"][0]["certainty"]) == before
    development = expert_set.items.filter(split="development").values("post")
    ModelReading.objects.filter(run=run, post__in=development[:1]).update(detail={})
    report = measure_here(expert_set)
    assert report.data_hash != before[0]
    assert report.measures["runs"][0]["certainty"]["n_posts"] == 59
