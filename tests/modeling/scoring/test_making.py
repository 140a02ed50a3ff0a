"""A run of scores is stored with its files or not at all, and never outlives the answers behind it."""

import pytest
from django.core.files.storage import storages

from annotation.models import Post
from jobs import services as jobs
from jobs.models import Job
from modeling import handlers
from modeling.models import ScoreFile, ScoreRun
from modeling.outdated import mark_outdated
from modeling.scoring.requests import request_scores
from modeling.scoring.store import Scores
from tests.modeling.rated import fit_here, make_rated_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def fit_run():
    return fit_here(make_rated_study(n_posts=6, n_raters=5, per_post=3, n_values=2))


def do_parts(job):
    """Do the first step of a score job and all of its parts, as workers do."""
    jobs.run(job.pk)
    for part in job.parts.all():
        assert jobs.run(part.pk)
    return job


def list_files(fit_run):
    return [name for name in storages["artefacts"].listdir("")[1] if f"-{fit_run.study.slug}-" in name]


def test_a_double_click_is_one_job_and_a_request_after_its_end_another(fit_run):
    job = request_scores(fit_run)
    assert request_scores(fit_run) == job
    assert jobs.run_here(job).state == Job.State.DONE
    assert request_scores(fit_run) != job


def test_the_same_posts_are_stored_once_and_new_ones_scored_by_what_the_fit_reads(fit_run):
    for _ in range(2):
        jobs.run_here(request_scores(fit_run))
    assert ScoreRun.objects.count() == 1
    Post.objects.create(study=fit_run.study, key="new", text="About the river and the church.")
    jobs.run_here(request_scores(fit_run))
    newest, older = ScoreRun.objects.all()
    assert (newest.n_posts, older.n_posts) == (7, 6)
    assert Scores(newest).read_raters(0, 5).shape == (2, 5, 7)


def test_a_scale_below_zero_is_stored_as_floats(fit_run):
    fit_run.study.value_system.scale_min = -3
    assert request_scores(fit_run).payload["dtype"] == "float32"


def test_computing_the_last_step_writes_no_row_until_the_effect_is_called(fit_run):
    claim = jobs.claim(do_parts(request_scores(fit_run)).pk)
    store = handlers.score_study(claim)
    assert not ScoreRun.objects.exists()
    assert ScoreRun.objects.get(pk=store()["score_run"]).files.count() == 2


def test_scores_of_a_fit_whose_answers_were_erased_meanwhile_go_with_it(
    fit_run, django_capture_on_commit_callbacks
):
    before = set(list_files(fit_run))
    job = do_parts(request_scores(fit_run))
    mark_outdated(fit_run.study.fit_runs.all())
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.run(job.pk) or jobs.run_here(job)
    job.refresh_from_db()
    assert not ScoreRun.objects.exists()
    assert not ScoreFile.objects.exists()
    assert set(list_files(fit_run)) <= before
