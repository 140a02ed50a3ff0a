"""Structure reports from stored rows: experts, people and models on a circle, test posts closed."""

import numpy as np
import pytest
from django.core.management import call_command

from annotation.models import Post
from jobs import services as jobs
from jobs.models import Job
from modeling.inclusion import DEFAULT
from modeling.models import ExpertItem, ExpertLabel, ModelReading, Report
from modeling.refining import error_handlers
from modeling.refining.structure import DEVELOPMENT, FURTHER, compute_structure
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports import structure as measuring
from modeling.reports.figures.render import Drawn

from .planted_errors import make_planted_run, make_planted_set

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few resamples, and figures that are drawn by a moment's work: the rooms below test both."""

    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    monkeypatch.setattr(error_handlers, "draw_all", draw)
    monkeypatch.setattr(measuring, "N_RESAMPLES", 5)
    monkeypatch.setattr(measuring, "N_PERMUTATIONS", 50)


@pytest.fixture
def round_set():
    """A set of which experts see values as the circle has them."""
    expert_set, _ = make_planted_set(80)
    rng = np.random.default_rng(0)
    places = np.radians(np.arange(19) * 360 / 19)
    turns = rng.uniform(0, 2 * np.pi, (80, 1))
    seen = np.clip(np.round(3 + 3 * np.cos(turns - places)), 0, 6)
    for place, item in enumerate(expert_set.items.order_by("position")):
        ExpertLabel.objects.filter(item=item).update(ratings=tuple(seen[place]))
    return expert_set, seen


def look(expert_set):
    measures = compute_structure(expert_set, lambda done, total, note: None)
    return {source["key"]: source for source in measures["sources"]}, measures


def test_experts_and_a_model_that_reads_alike_are_on_the_circle(round_set):
    expert_set, seen = round_set
    run = make_planted_run(expert_set, (seen >= 3).astype(float), rate=0.0, is_standin=True)
    sources, measures = look(expert_set)
    assert sources["experts"]["congruence"] > 0.95
    assert sources["experts"]["n_rows"] == 2 * sources["experts"]["n_posts"] == 120
    own = sources[f"run-{run.pk}-development"]
    assert own["posts_are"] == DEVELOPMENT
    assert own["congruence"] > 0.9 > own["chance"][1]
    assert own["is_standin"]
    assert measures["n_standin"] == 1


def test_nobody_who_rated_is_stated_and_no_number(round_set):
    sources, _ = look(round_set[0])
    people = sources["people"]
    assert people["reason"] == "there are no ratings"
    assert people["congruence"] is None
    assert people["interval"] == [None, None]


def test_test_posts_change_nothing(round_set):
    expert_set, seen = round_set
    run = make_planted_run(expert_set, (seen >= 3).astype(float), rate=0.0)
    _, before = look(expert_set)
    closed = ExpertItem.objects.filter(expert_set=expert_set, split="test")
    ModelReading.objects.filter(run=run, post__in=closed.values("post")).update(ratings=(6.0,) * 19)
    ExpertLabel.objects.filter(item__in=closed).update(ratings=(6.0,) * 19)
    assert look(expert_set)[1] == before


def test_a_run_over_more_posts_has_a_second_circle_without_test_posts(round_set):
    expert_set, seen = round_set
    run = make_planted_run(expert_set, (seen >= 3).astype(float), rate=0.0)
    last = expert_set.items.order_by("-position").first()
    last.delete()  # its post is of no set any more
    sources, _ = look(expert_set)
    assert sources[f"run-{run.pk}-development"]["n_posts"] == 59
    assert sources[f"run-{run.pk}-all"]["posts_are"] == FURTHER
    assert sources[f"run-{run.pk}-all"]["n_posts"] == 60


def test_a_paraphrase_is_no_further_post(round_set):
    expert_set, seen = round_set
    run = make_planted_run(expert_set, (seen >= 3).astype(float), rate=0.0)
    item = expert_set.items.order_by("-position").first()
    item.delete()
    item.post.purpose = Post.Purpose.PARAPHRASE
    item.post.save()
    assert f"run-{run.pk}-all" not in look(expert_set)[0]


def test_many_posts_are_drawn_from_and_it_is_said(round_set, monkeypatch):
    expert_set, seen = round_set
    run = make_planted_run(expert_set, (seen >= 3).astype(float), rate=0.0)
    expert_set.items.order_by("-position").first().delete()
    monkeypatch.setattr("modeling.refining.structure.MOST_POSTS", 20)
    sources, _ = look(expert_set)
    assert sources[f"run-{run.pk}-all"]["posts_are"] == "20 drawn of the 60 posts it read"
    assert sources[f"run-{run.pk}-all"]["n_posts"] == 20


def test_the_job_stores_the_report_with_the_rule_of_people(round_set):
    expert_set, _ = round_set
    subject = name_subject(set=expert_set.pk)
    job = jobs.run_here(request_report(expert_set.study, Report.Kind.STRUCTURE, subject))
    assert job.state == Job.State.DONE, job.error
    report = get_report(expert_set.study, Report.Kind.STRUCTURE, subject)
    assert report.rule == DEFAULT.as_dict()
    assert set(report.figures.values_list("key", flat=True)) == {"structure_fit", "structure_places"}


def test_the_command_tells_each_circle(round_set, capsys):
    expert_set, seen = round_set
    make_planted_run(expert_set, (seen >= 3).astype(float), rate=0.0, is_standin=True)
    call_command("structure", expert_set.study.slug, str(expert_set.pk))
    told = capsys.readouterr().out
    assert "Stand-in: not from a real model." in told
    assert "Experts, development posts: congruence 1.000 (" in told
    assert "People, posts that people rated: no circle (there are no ratings)" in told
