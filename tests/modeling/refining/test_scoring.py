"""Calibration from stored rows: runs beside experts, two of them compared, test posts opened, what is new."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import services as jobs
from jobs.models import Job
from modeling.experts.services import close_set, open_test
from modeling.models import AnnotatorRun, ExpertLabel, ModelReading, Report
from modeling.refining import scoring
from modeling.refining.changed_posts import list_changed_posts
from modeling.refining.runs import list_news, list_scored_runs
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.figures.render import Drawn

from .planted_errors import make_planted_run, make_planted_set, make_reading_run

pytestmark = pytest.mark.django_db
FAMILY = "prompt: main"


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Figures are drawn by a moment's work; the room of reports tests the drawing."""

    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    monkeypatch.setattr(scoring, "draw_all", draw)


@pytest.fixture
def planted():
    return make_planted_set(n_posts=80)


def measure_here(expert_set, **more):
    subject = name_subject(set=expert_set.pk, **more)
    job = jobs.run_here(request_report(expert_set.study, Report.Kind.CALIBRATION, subject))
    assert job.state == Job.State.DONE, job.error
    return get_report(expert_set.study, Report.Kind.CALIBRATION, subject)


def finish(run):
    AnnotatorRun.objects.filter(pk=run.pk).update(finished_at=timezone.now())
    return run


def test_every_finished_run_is_measured_on_development_posts_alone(planted):
    expert_set, truth = planted
    faulty = finish(make_planted_run(expert_set, truth, rate=0.9))
    repaired = finish(make_planted_run(expert_set, truth, version=2, rate=0.0))
    make_planted_run(expert_set, truth, version=3, state=AnnotatorRun.State.RUNNING)
    report = measure_here(expert_set)
    runs = report.measures["runs"]
    assert [run["run"] for run in runs] == [faulty.pk, repaired.pk]
    assert [run["version"] for run in runs] == [1, 2]
    assert report.measures["n_items"] == 60
    assert runs[1]["before"]["other"] == faulty.pk
    assert runs[1]["before"]["difference"] > 0
    assert report.figures.filter(key="calibration_history").exists()
    test_keys = set(expert_set.items.filter(split="test").values_list("post__key", flat=True))
    assert not test_keys & {post["key"] for post in report.measures["posts"]}


def test_the_report_does_not_change_with_readings_or_labels_of_test_posts(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    before = measure_here(expert_set)
    test = expert_set.items.filter(split="test")
    ModelReading.objects.filter(run=run, post__in=test.values("post")).update(ratings=(6.0,) * truth.shape[1])
    ExpertLabel.objects.filter(item__in=test).update(ratings=(6.0,) * truth.shape[1])
    hash_before = before.data_hash
    assert measure_here(expert_set).data_hash == hash_before


def test_failed_readings_and_taught_posts_are_counted(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    posts = list(expert_set.items.filter(split="development").order_by("post").values_list("post", flat=True))
    ModelReading.objects.filter(run=run, post__in=posts[:4]).update(ratings=None, fault="no_json")
    run.annotator.trained_on = posts[4:10]
    run.annotator.save()
    (entry,) = measure_here(expert_set).measures["runs"]
    assert (entry["n_failed"], entry["failures"], entry["n_unread"]) == (4, {"no_json": 4}, 4)
    assert (entry["n_taught"], entry["n_posts"]) == (6, 50)
    run.annotator.reads_out_of_fold = True
    run.annotator.save()
    (entry,) = measure_here(expert_set).measures["runs"]
    assert (entry["n_taught"], entry["n_posts"]) == (0, 56)


def test_several_samples_count_by_their_mean(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    run.annotator.samples = 2
    run.annotator.save()
    place = 0
    post = expert_set.items.filter(split="development").order_by("post").first().post_id
    n_values = truth.shape[1]
    ModelReading.objects.filter(run=run, post=post).update(ratings=(0.0,) * n_values)
    ModelReading.objects.create(run=run, post_id=post, sample=1, ratings=(5.0, *(6.0,) * (n_values - 1)))
    (entry,) = measure_here(expert_set).measures["runs"]
    assert entry["presences"][place] == list(
        range(1, n_values)
    )  # 2.5 is below the threshold of 3, and 3 is not


def test_runs_that_read_none_of_the_development_posts_are_not_scored(planted):
    expert_set, truth = planted
    scored = make_planted_run(expert_set, truth)
    elsewhere = make_reading_run(expert_set, version=2)
    test_post = expert_set.items.filter(split="test").first().post
    ModelReading.objects.create(run=elsewhere, post=test_post, ratings=(0.0,) * truth.shape[1])
    make_planted_run(expert_set, truth, version=3, is_preview=True)
    assert list(list_scored_runs(expert_set)) == [scored]


def test_without_a_run_the_job_fails_with_the_reason(planted):
    expert_set, _ = planted
    job = jobs.run_here(
        request_report(expert_set.study, Report.Kind.CALIBRATION, name_subject(set=expert_set.pk))
    )
    assert job.state == Job.State.FAILED
    assert "Have a model read them first" in job.error


def test_any_two_runs_can_be_compared(planted):
    expert_set, truth = planted
    first = make_planted_run(expert_set, truth, rate=0.9)
    make_planted_run(expert_set, truth, version=2, rate=0.4)
    third = make_planted_run(expert_set, truth, version=3, rate=0.0)
    pair = measure_here(expert_set, a=first.pk, b=third.pk).measures["pair"]
    assert (pair["other"], pair["run"]) == (first.pk, third.pk)
    measures = measure_here(expert_set).measures
    changed = list_changed_posts(measures, first.pk, third.pk)
    assert (changed.n_better, changed.n_worse) == (pair["n_better"], pair["n_worse"])
    assert changed.n_better + changed.n_worse + changed.n_other == pair["n_changed"]
    post = changed.better[0]
    assert post.first_why == f"Because of the words of post {post.post.pk}."
    assert list_changed_posts(measures, first.pk, 10**6) is None


def test_test_posts_are_scored_only_for_the_runs_of_an_opening(planted):
    expert_set, truth = planted
    run, other = (make_planted_run(expert_set, truth, version=version) for version in (1, 2))
    close_set(expert_set)
    opening = open_test(expert_set, FAMILY, [other], reason="The last version.")
    measures = measure_here(expert_set, test=opening.pk).measures
    assert [entry["run"] for entry in measures["runs"]] == [other.pk] != [run.pk]
    assert measures["n_items"] == 20
    assert measures["opening"]["reason"] == "The last version."
    assert "posts" not in measures


def test_what_is_new_since_a_report_is_told(planted):
    expert_set, truth = planted
    make_planted_run(expert_set, truth)
    report = measure_here(expert_set)
    assert list_news(expert_set, report) == []
    item = expert_set.items.filter(split="development").first()
    ExpertLabel.objects.create(item=item, expert="eve", ratings=(0.0,) * truth.shape[1])
    test_item = expert_set.items.filter(split="test").first()
    ExpertLabel.objects.create(item=test_item, expert="eve", ratings=(0.0,) * truth.shape[1])
    make_planted_run(expert_set, truth, version=2)
    assert list_news(expert_set, report) == ["1 new label of an expert", "1 run that is not in it"]


def test_the_command_measures_and_opens_and_says_what_it_did(planted, capsys):
    expert_set, truth = planted
    make_planted_run(expert_set, truth, rate=0.9)
    last = make_planted_run(expert_set, truth, version=2, rate=0.0)
    slug = expert_set.study.slug
    call_command("calibrate", slug, str(expert_set.pk), "--measure-only")
    said = capsys.readouterr().out
    assert "60 of 60 development posts have a reference" in said
    assert f"run {last.pk} (better)" in said
    assert "An expert against the others: 1.000." in said
    opening = ["--open-test", "main", "--runs", str(last.pk), "--reason", "Done"]
    with pytest.raises(CommandError, match="close it first"):
        call_command("calibrate", slug, str(expert_set.pk), *opening)
    close_set(expert_set)
    call_command("calibrate", slug, str(expert_set.pk), *opening)
    assert "20 of 20 test posts" in capsys.readouterr().out
    with pytest.raises(CommandError, match="opened"):
        call_command("calibrate", slug, str(expert_set.pk), *opening)
    with pytest.raises(CommandError, match="no version 9"):
        call_command("calibrate", slug, str(expert_set.pk), "--prompts", "9")
    with pytest.raises(CommandError, match="expert set"):
        call_command("calibrate", slug, "999999", "--measure-only")
