from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotation, Enrollment, Outcome, Rater
from annotation.services import withdraw
from jobs.models import Job
from jobs.services import run_here
from modeling import handlers, services
from modeling.artefacts import load_arrays
from modeling.models import FitRun, PostScore, Report
from modeling.selectors import get_latest_report
from tests.modeling.rated import FEW, fit_here, make_rated_study

pytestmark = pytest.mark.django_db
WARNING = "Who counts has changed since this was computed."


@pytest.fixture
def study():
    study = make_rated_study()
    study.enrollments.update(finished_at=timezone.now() - timedelta(hours=1))
    return study


@pytest.fixture
def fit_run(study):
    return fit_here(study)


def leave(study):
    """Someone who completed the study withdraws."""
    return withdraw(study.enrollments.filter(outcome=Outcome.COMPLETED).first())


def do_jobs(kind):
    return [run_here(job).state for job in Job.objects.filter(kind=kind, state=Job.State.QUEUED)]


def page(admin_client, study):
    return admin_client.get(reverse("modeling:models", args=[study.slug])).content.decode()


def test_every_fit_that_saw_someone_who_withdraws_is_outdated(study, fit_run):
    other = fit_here(study, replace(FEW, seed=2))
    before = timezone.now()
    leave(study)
    for each in (fit_run, other):
        each.refresh_from_db()
        assert before <= each.outdated_at <= timezone.now()


def test_the_first_withdrawal_is_the_one_that_is_noted(study, fit_run):
    leave(study)
    first = FitRun.objects.get().outdated_at
    leave(study)
    assert FitRun.objects.get().outdated_at == first
    assert Job.objects.filter(kind="erase_predictions").count() == 1


def test_fits_of_other_studies_are_as_good_as_before(fit_run):
    leave(make_rated_study())
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is None


@pytest.mark.parametrize("outcome", [Outcome.SCREENED_OUT, Outcome.FAILED_ATTENTION, Outcome.TIMED_OUT])
def test_someone_who_had_not_completed_was_in_no_fit(study, fit_run, outcome):
    rater = Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id="stranger")
    now = timezone.now()
    withdraw(Enrollment.objects.create(study=study, rater=rater, outcome=outcome, finished_at=now))
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is None


def test_someone_who_completed_after_a_fit_was_not_in_it(study, fit_run):
    rater = Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id="late")
    withdraw(
        Enrollment.objects.create(
            study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now()
        )
    )
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is None


def test_the_predictions_are_erased_by_a_worker_and_what_is_summed_up_stays(study, fit_run):
    storage = storages["artefacts"]
    assert storage.exists(fit_run.artefact)
    leave(study)
    assert do_jobs("erase_predictions") == [Job.State.DONE]
    assert not storage.exists(fit_run.artefact)
    assert PostScore.objects.filter(fit_run=fit_run).exists()
    assert Report.objects.filter(fit_run=fit_run).exists()


def test_erasing_what_is_gone_is_no_failure(study, fit_run):
    storages["artefacts"].delete(fit_run.artefact)
    leave(study)
    assert do_jobs("erase_predictions") == [Job.State.DONE]


def test_the_dashboard_warns_until_a_new_fit(admin_client, study, fit_run):
    assert WARNING not in page(admin_client, study)
    leave(study)
    do_jobs("erase_predictions")
    shown = page(admin_client, study)
    assert WARNING in shown
    assert "Fit and evaluate again" in shown
    again = fit_here(study)
    assert again.outdated_at is None
    assert get_latest_report(study).fit_run == again
    assert WARNING not in page(admin_client, study)
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is not None


def test_the_warning_costs_no_query(admin_client, study, fit_run):
    page(admin_client, study)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            page(admin_client, study)
        counts.append(len(queries))
        Report.objects.update(outdated_at=timezone.now())
    assert counts[0] == counts[1]


def test_a_fit_that_was_overtaken_by_a_withdrawal_is_outdated_from_the_start(study, monkeypatch):
    finish = handlers.fits.finish

    def compute_while_someone_leaves(*args):
        result = finish(*args)
        leave(study)
        return result

    monkeypatch.setattr(handlers.fits, "finish", compute_while_someone_leaves)
    job = run_here(services.request_fit(study, FEW))
    fit_run = FitRun.objects.get(pk=job.result["fit_run"])
    assert fit_run.outdated_at is not None
    assert not Job.objects.filter(kind="evaluate").exists()
    assert do_jobs("erase_predictions") == [Job.State.DONE]
    assert not storages["artefacts"].exists(fit_run.artefact)


def test_a_fit_marked_in_vain_can_be_made_again(study, fit_run):
    """Someone completed while it was computed, too late to be in it, and withdrew: the ratings are the same."""
    rater = Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id="late")
    late = Enrollment.objects.create(
        study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=fit_run.created_at
    )
    withdraw(late)
    do_jobs("erase_predictions")
    again = fit_here(study)
    assert (again.key, again.outdated_at) == (fit_run.key, None)
    assert load_arrays(again.artefact, again.artefact_sha256)
    assert list(FitRun.objects.all()) == [again]


def test_a_withdrawal_leaves_a_study_without_fits_alone(study):
    leave(study)
    assert not Job.objects.exists()
    assert Annotation.objects.filter(enrollment__study=study).exists()
