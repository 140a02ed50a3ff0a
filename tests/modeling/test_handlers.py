import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import storages
from django.utils import timezone

from annotation.models import Annotation
from jobs import services as jobs
from jobs.errors import LeaseLost
from jobs.models import Job
from modeling import handlers, services
from modeling.artefacts import save_arrays
from modeling.models import FitRun, PostScore, Report
from modeling.reporting import making
from modeling.scratch import clear_scratch, name_scratch
from modeling.selectors import get_latest_report
from tests.modeling.rated import FEW, fit_here, make_rated_study

pytestmark = pytest.mark.django_db


def steal(job):
    """Another worker takes the job, as after a lease that ran out."""
    Job.objects.filter(pk=job.pk).update(lease_token=uuid.uuid4())


def count_rows():
    return [model.objects.count() for model in (FitRun, PostScore, Report, Job)]


@pytest.fixture
def study():
    return make_rated_study()


def do_parts(job):
    """Do the first step of a fit and all of its parts, as workers do."""
    jobs.run(job.pk)
    for part in job.parts.all():
        assert jobs.run(part.pk)
    return job


def test_computing_a_fit_writes_no_row_until_the_effect_is_called(study):
    claim = jobs.claim(do_parts(services.request_fit(study, FEW)).pk)
    before = count_rows()
    store = handlers.fit_study(claim)
    assert count_rows() == before
    result = store()
    assert FitRun.objects.get().pk == result["fit_run"]


def test_a_fit_is_done_in_parts_by_value(study):
    job = services.request_fit(study, FEW)
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.WAITING
    assert {part.payload["unit"] for part in job.parts.all()} == {f"forest {key}" for key in study.value_keys}
    do_parts(job)
    assert jobs.run(job.pk)
    assert FitRun.objects.get().files.filter(role__startswith="forest.known.").count() == len(
        study.value_keys
    )


def test_a_fit_that_failed_on_the_way_is_taken_up_where_it_was(study, monkeypatch):
    job = services.request_fit(study, FEW)
    jobs.run(job.pk)
    first, *others = job.parts.all()
    assert jobs.run(first.pk)
    monkeypatch.setattr(handlers.fits, "do_unit", lambda *args, **options: 1 / 0)
    Job.objects.filter(pk=others[0].pk).update(max_attempts=1)
    jobs.run(others[0].pk)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED and "division by zero" in job.error
    monkeypatch.undo()
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0)
    assert jobs.retry(job)
    assert jobs.run_here(job).state == Job.State.DONE
    assert job.parts.get(pk=first.pk).attempts == 1


def test_what_a_fit_leaves_on_the_way_is_gone_when_it_is_done(study, django_capture_on_commit_callbacks):
    study.slug = f"alone-{uuid.uuid4().hex[:12]}"  # other tests leave files of theirs in the same folder
    study.save()
    with django_capture_on_commit_callbacks(execute=True):
        fit_run = fit_here(study)
    names = storages["artefacts"].listdir("")[1]
    assert not [name for name in names if name.startswith(name_scratch(study.slug))]
    assert {fit_run.artefact, *fit_run.files.values_list("name", flat=True)} <= set(names)


def test_computing_a_report_writes_no_row_until_the_effect_is_called(study):
    fit_run = fit_here(study)
    Report.objects.all().delete()
    Job.objects.filter(kind="evaluate").delete()
    claim = jobs.claim(services.request_evaluation(fit_run).pk)
    before = count_rows()
    store = handlers.evaluate_fit(claim)
    assert count_rows() == before
    assert Report.objects.filter(pk=store()["report"]).exists()


def test_a_fit_whose_lease_is_lost_on_the_way_stores_nothing(study, monkeypatch):
    job = services.request_fit(study, FEW)
    do_parts(job)
    honest = handlers.fits.finish

    def compute_slowly(*args):
        computed = honest(*args)
        steal(job)
        return computed

    monkeypatch.setattr(handlers.fits, "finish", compute_slowly)
    assert not jobs.run(job.pk)
    assert count_rows() == [0, 0, 0, 1 + job.parts.count()]
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING  # it is the other worker's


def test_a_report_whose_job_is_cancelled_on_the_way_is_not_stored(study, monkeypatch):
    fit_run = services.store_fit(study, FEW, services.compute_fit(study, FEW))
    job = services.request_evaluation(fit_run)
    honest = making.evaluate_fit

    def compute_slowly(*args):
        measures = honest(*args)
        jobs.cancel(job)
        return measures

    monkeypatch.setattr(making, "evaluate_fit", compute_slowly)
    assert not jobs.run(job.pk)
    assert not Report.objects.exists()


def test_a_fit_gives_up_as_soon_as_it_reports_to_a_lost_lease(study, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0)
    job = services.request_fit(study, FEW)
    held = jobs.claim(job.pk)
    steal(job)
    with pytest.raises(LeaseLost):
        handlers.fit_study(held)


def test_doing_every_job_twice_has_one_effect(study):
    fit_run = fit_here(study)
    for job in Job.objects.filter(state=Job.State.QUEUED).order_by("kind"):  # reports, then their document
        assert jobs.run(job.pk)
    *before, n_jobs = count_rows()
    for job in Job.objects.all():
        assert not jobs.run(job.pk)
    assert count_rows() == [*before, n_jobs]
    Job.objects.update(state=Job.State.QUEUED, finished_at=None)
    for job in Job.objects.order_by("-kind"):
        assert jobs.run(job.pk)
    assert count_rows()[:-1] == before  # a report made anew may have asked for its document
    assert FitRun.objects.get() == fit_run


def test_a_finished_fit_asks_for_its_report(study):
    jobs.run_here(services.request_fit(study, FEW))
    (job,) = Job.objects.filter(kind="evaluate")
    assert (job.state, job.payload["fit_run"]) == (Job.State.QUEUED, FitRun.objects.get().pk)


def test_a_failed_fit_keeps_the_last_good_report(study, monkeypatch):
    fit_here(study)
    good = get_latest_report(study)
    Annotation.objects.filter(pk=Annotation.objects.first().pk).update(ratings=(0, 1, 2, 3))
    monkeypatch.setattr(handlers.fits, "prepare", lambda *args: 1 / 0)
    job = services.request_fit(study, FEW)
    Job.objects.filter(pk=job.pk).update(max_attempts=1)
    assert jobs.run_here(job).state == Job.State.FAILED
    assert get_latest_report(study) == good


def test_a_report_of_changed_ratings_fails_at_once_with_the_reason(study):
    fit_run = services.store_fit(study, FEW, services.compute_fit(study, FEW))
    Annotation.objects.filter(pk=Annotation.objects.first().pk).update(ratings=(0, 6, 0, 6))
    job = jobs.run_here(services.request_evaluation(fit_run))
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert "have changed since this fit; fit it again" in job.error


def draw(study):
    """The drawing of the paper's Figure 5 from this study's report."""
    return get_latest_report(study).figures.get(key="agreement_by_condition")


@pytest.mark.usefixtures("drawn")
def test_the_stored_figures_are_drawings_without_scripts_and_name_the_simulated(study):
    fit_here(study)
    simulated = make_rated_study(origin="simulated")
    fit_here(simulated)
    for figure in (draw(study), draw(simulated)):
        assert figure.svg.startswith("<svg")
        assert "<script" not in figure.svg
        assert "Personalized" in figure.svg
        assert bytes(figure.pdf).startswith(b"%PDF")
        assert bytes(figure.png).startswith(b"\x89PNG")
    assert "imulated raters" in draw(simulated).caption
    assert "imulated" not in draw(study).caption


@pytest.mark.usefixtures("drawn")
def test_a_report_without_any_rho_is_stored_all_the_same():
    study = make_rated_study(n_values=1)
    fit_here(study)
    report = get_latest_report(study)
    assert report.measures["personalized"]["rho"] is None
    assert report.figures.exists()


@pytest.fixture
def own_storage(settings, tmp_path):
    """A folder for this test alone: what is tidied up might be another test's."""
    artefacts = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"artefacts": artefacts}


@pytest.mark.usefixtures("own_storage")
def test_files_that_no_row_tells_of_are_tidied_up_after_two_days(study):
    fit_run = fit_here(study)
    storage = storages["artefacts"]
    held = {fit_run.artefact, *fit_run.files.values_list("name", flat=True)}
    left, _ = save_arrays(f"fit-{study.slug}-forest.known.left", numbers=np.arange(3))
    scratch, _ = save_arrays(f"{name_scratch(study.slug)}piece", numbers=np.arange(4))
    assert clear_scratch() == 0  # a fit that failed just now can be taken up again
    later = timezone.now() + timedelta(days=3)
    assert clear_scratch(later) >= 2
    names = set(storage.listdir("")[1])
    assert held <= names
    assert not {left, scratch} & names


def test_a_file_that_is_written_again_counts_as_new(study):
    name, _ = save_arrays(f"fit-{study.slug}-again", numbers=np.arange(3))
    path = storages["artefacts"].path(name)
    os.utime(path, (0, 0))
    assert save_arrays(f"fit-{study.slug}-again", numbers=np.arange(3))[0] == name
    assert time.time() - Path(path).stat().st_mtime < 60
