"""`manage.py score`: all posts for all raters by the fit that serves, or by another, and a file of them."""

import io
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from jobs.models import Job
from modeling.models import FittedFile, ScoreRun
from tests.modeling.rated import FEW, fit_here, make_rated_study

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


@pytest.fixture
def study():
    study = make_rated_study(n_posts=6, n_raters=5, per_post=3, n_values=2)
    fit_here(study)
    return study


def score(*args, **options):
    said = io.StringIO()
    call_command("score", *args, stdout=said, **options)
    return said.getvalue()


def test_it_scores_shows_how_far_it_is_and_writes_the_chosen_values(study, tmp_path):
    path = tmp_path / "scores.parquet"
    said = score(study.slug, "--parquet", str(path), "--value", study.value_keys[1])
    run = ScoreRun.objects.get()
    assert run.dtype == "uint8"
    assert "Scoring: 2 of 2" in said
    assert f"Study '{study.slug}': 6 posts are scored for 5 raters by fit {run.fit_run_id}." in said
    assert f"Wrote 30 rows to {path}." in said
    assert pq.read_table(path).column_names == ["rater_id", "post_id", study.value_keys[1]]


def test_another_fit_and_floats_can_be_asked_for(study):
    older = study.fit_runs.get()
    newer = fit_here(study, replace(FEW, seed=2))
    score(study.slug, "--fit", str(older.pk), "--dtype", "float32")
    assert (ScoreRun.objects.get().fit_run, ScoreRun.objects.get().dtype) == (older, "float32")
    score(study.slug)
    assert ScoreRun.objects.first().fit_run == newer


def test_a_worker_can_be_left_to_do_it(study):
    assert "is with the workers" in score(study.slug, "--queue")
    assert Job.objects.get(kind="score").state == Job.State.QUEUED


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--fit", "999"], r"has no fit 999; its fits: \d+"),
        (["--value", "order"], "say which file with --parquet"),
        (["--parquet", "x", "--value", "joy"], "The study has no value joy; it has order, play"),
        (["--queue", "--parquet", "x"], "leave out --queue or --parquet"),
    ],
    ids=["fit", "no file", "value", "queue"],
)
def test_what_cannot_be_done_is_refused_before_any_work(study, args, words):
    with pytest.raises(CommandError, match=words):
        score(study.slug, *args)
    assert not Job.objects.filter(kind="score").exists()


def test_a_study_that_nothing_serves_and_one_that_is_not_there_are_named(study):
    FittedFile.objects.all().delete()
    with pytest.raises(CommandError, match="has no fit that could predict anything; fit the study again"):
        score(study.slug)
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        score("nowhere")


def test_a_file_that_cannot_be_written_leaves_the_scores_stored(study, tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(CommandError, match="could not be written: .*The scores are stored"):
        score(study.slug, "--parquet", str(tmp_path / "taken" / "scores.parquet"))
    assert ScoreRun.objects.exists()
