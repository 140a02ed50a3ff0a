"""Fits whose consensus is what an annotator model said."""

from dataclasses import asdict, replace
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from annotation.models import Post
from jobs.models import Job
from jobs.services import run_here
from modeling.annotators.runs import create_run, start_run
from modeling.api.problems import Problem
from modeling.api.resolving import read_posts
from modeling.api.schemas import PostIn
from modeling.errors import RunUnusable
from modeling.estimators.prepared import hold_out
from modeling.in_use import find_fit_in_use
from modeling.matrices import load_table
from modeling.models import AnnotatorModel, AnnotatorRun, PostScore
from modeling.reporting.requests import request_fit_and_report
from modeling.reports.names import name_model
from modeling.services import request_evaluation, request_fit
from modeling.serving import load_serving
from modeling.tuning.services import find_job
from modeling.tuning.usable_runs import list_runs, name_consensus
from tests.modeling.rated import FEW
from tests.modeling.tuning.taught import ask, make_encoder, make_run, make_well_rated_study, say_means

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
NAME = "annotator: Reader v1"


@pytest.fixture
def study():
    return make_well_rated_study(n_posts=24)


def fit_with(study, run, settings=FEW):
    job = run_here(request_fit(study, settings, annotator_run=run))
    assert job.state == Job.State.DONE, job.error
    return study.fit_runs.get(pk=job.result["fit_run"])


def split(study):
    """Ids of the posts to fit to, and of those held out."""
    table = load_table(study)
    held_out = hold_out(table.as_fit_data(), FEW)
    ids = np.array(table.post_ids)
    return ids[~held_out].tolist(), ids[held_out].tolist()


def test_a_fit_on_a_run_names_it_and_is_another_fit_than_one_on_the_texts(study):
    run = make_run(study, say_means(study))
    by_run = fit_with(study, run)
    by_text = fit_with(study, None)
    other = fit_with(study, make_run(study, say_means(study), annotator=run.annotator))
    assert len({by_run.key, by_text.key, other.key}) == 3
    assert (by_run.annotator_run, by_run.consensus_name) == (run, NAME)
    assert (by_text.annotator_run, by_text.consensus_name) == (None, "text")
    assert by_run.settings == asdict(FEW) | {"annotator_run": run.pk}
    assert by_run.holdout_post_ids == by_text.holdout_post_ids
    assert fit_with(study, run) == by_run


def test_its_report_compares_with_the_annotator_model(study):
    fit_run = fit_with(study, make_run(study, say_means(study)))
    job = run_here(request_evaluation(fit_run))
    assert job.state == Job.State.DONE, job.error
    measures = fit_run.report.measures
    assert {NAME, f"{NAME}_forest"} <= measures["models"].keys()
    assert measures["consensus"] == NAME
    assert all(row["model_crowd"] is not None for row in measures["mae_by_value"])
    assert measures["models"][NAME]["rho"] > 0.3


def test_what_the_consensus_says_is_stored_of_every_post_that_was_read(study):
    posts = say_means(study)
    unread, failed, *_ = split(study)[0]
    del posts[unread]
    posts[failed] = None
    beside = Post.objects.create(study=study, key="beside", text="Nobody rated it.")
    posts[beside.pk] = (1.0, 9.0, 3.0)
    fit_run = fit_with(study, make_run(study, posts))
    scores = dict(fit_run.post_scores.values_list("post_id", "scores"))
    assert scores.keys() == posts.keys() - {failed}
    assert scores[beside.pk] == (1, 6, 3)
    out_of_fold = fit_run.post_scores.filter(is_out_of_fold=True).values_list("post_id", flat=True)
    assert set(out_of_fold) == set(split(study)[0]) - {unread, failed}
    assert "2 posts with" in " ".join(fit_run.notes)


def test_posts_that_the_model_was_taught_by_are_left_out_with_a_note(study):
    taught = split(study)[0][:4]
    run = make_run(study, say_means(study), annotator=make_encoder(study, trained_on=taught))
    fit_run = fit_with(study, run)
    assert "4 posts with 28 annotations are neither fitted nor scored" in " ".join(fit_run.notes)
    assert not set(taught) & set(fit_run.holdout_post_ids)
    assert not PostScore.objects.filter(fit_run=fit_run, post__in=taught, is_out_of_fold=True).exists()
    assert run_here(request_evaluation(fit_run)).state == Job.State.DONE


def test_a_model_that_was_taught_by_held_out_posts_is_refused_in_a_sentence(study):
    taught = split(study)[1][:1]
    run = make_run(study, say_means(study), annotator=make_encoder(study, trained_on=taught))
    job = run_here(request_fit(study, FEW, annotator_run=run))
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert "was itself taught by the raters of 1 of the" in job.error


def test_replies_of_the_stand_in_mark_the_fit(study):
    run = make_run(study, say_means(study), is_standin=True)
    fit_run = fit_with(study, run)
    assert "Stand-in: not from a real model." in " ".join(fit_run.notes)
    assert (
        fit_run.consensus_name == f"{NAME} (stand-in)"
    )  # and so in every answer of the API and file of scores


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": "stopped"}, "it is not done but stopped"),
        ({"is_preview": True}, "it is a preview"),
    ],
)
def test_a_run_that_is_no_whole_reading_is_refused(study, change, why):
    run = make_run(study, say_means(study), **change)
    with pytest.raises(RunUnusable, match=why):
        request_fit(study, FEW, annotator_run=run)
    assert not list_runs(study)


def test_a_run_of_another_study_is_refused(study):
    other = make_well_rated_study(n_posts=8)
    with pytest.raises(RunUnusable, match="it is of another study"):
        request_fit(study, FEW, annotator_run=make_run(other, say_means(other)))


def test_a_local_encoder_is_taught_reads_the_posts_and_is_fitted_with(study):
    study = make_well_rated_study(n_posts=48)
    tuning = ask(study)
    run_here(find_job(tuning))
    tuning.refresh_from_db()
    run = create_run(tuning.annotator)
    assert run_here(start_run(run)).state == Job.State.DONE
    fit_run = fit_with(study, run)
    assert fit_run.consensus_name == "annotator: Taught v1"
    assert "12 posts with 84 annotations are neither fitted nor scored" in " ".join(fit_run.notes)
    assert fit_run.post_scores.count() == 48
    assert not fit_run.post_scores.filter(post__in=tuning.post_ids, is_out_of_fold=True).exists()


def test_a_long_name_is_cut_and_keeps_its_version():
    name = name_consensus(AnnotatorModel(name="x" * 100, version=12))
    assert len(name) == 80 and name.endswith("x v12")
    assert name_model(NAME) == "Annotator Reader v1"
    assert name_model(f"{NAME}_forest") == "Annotator Reader v1, refitted without the person"


def test_asking_on_a_page_fits_with_the_run_and_the_usual_settings(study, monkeypatch):
    from modeling import services

    monkeypatch.setattr(services, "FitSettings", lambda seed: replace(FEW, seed=seed))
    run = make_run(study, say_means(study))
    job = run_here(request_fit_and_report(study, annotator_run=run))
    assert job.state == Job.State.DONE, job.error
    fitted = run_here(Job.objects.get(pk=job.result["job"]))
    assert study.fit_runs.get(pk=fitted.result["fit_run"]).annotator_run == run


def test_serving_knows_what_was_read_and_says_of_any_other_post_that_it_was_not(study):
    posts = say_means(study)
    beside = Post.objects.create(study=study, key="beside", text="Nobody rated it.")
    unread = Post.objects.create(study=study, key="unread", text="Nobody read it.")
    posts[beside.pk] = (1.0, 2.0, 3.0)
    fit_run = fit_with(study, make_run(study, posts))
    assert find_fit_in_use(study) == fit_run
    serving = load_serving(study)
    assert not serving.reads_text
    assert read_posts(serving, study, [PostIn(key="beside")]).tolist() == [[1, 2, 3]]
    with pytest.raises(Problem) as problem:
        read_posts(serving, study, [PostIn(key=unread.key), PostIn(text="New words.")])
    told = str([vars(fault) for fault in problem.value.faults])
    assert f"run of '{NAME}' that reads this post" in told
    assert f"the consensus of the fit that serves is '{NAME}', which is not asked here" in told


def test_the_command_takes_a_run_and_names_those_there_are(study):
    run = make_run(study, say_means(study))
    options = {name: value for name, value in asdict(FEW).items() if name != "seed"}
    call_command("fit", study.slug, annotator_run=run.pk, stdout=StringIO(), **options)
    assert study.fit_runs.get().annotator_run == run
    with pytest.raises(CommandError, match=rf"has no run 0. It has {run.pk} \(Reader, version 1\)"):
        call_command("fit", study.slug, annotator_run=0, stdout=StringIO())
    AnnotatorRun.objects.update(state=AnnotatorRun.State.STOPPED)
    with pytest.raises(CommandError, match="it is not done but stopped"):
        call_command("fit", study.slug, annotator_run=run.pk, stdout=StringIO(), **options)
