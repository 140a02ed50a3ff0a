from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import storages
from django.utils import timezone

from annotation.models import Enrollment, Exclusion, StudyEvent
from annotation.services import withdraw
from jobs.models import Job
from jobs.services import run_here
from modeling import handlers
from modeling.errors import ExclusionRefused
from modeling.exclusions import exclude, take_back_in
from modeling.inclusion import InclusionRule
from modeling.services import request_fit
from tests.modeling.rated import FEW, fit_here, make_rated_study
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    study = make_rated_study()
    study.enrollments.update(finished_at=timezone.now() - timedelta(hours=1))
    return study


@pytest.fixture
def enrollment(study):
    return study.enrollments.order_by("pk").first()


def test_the_decision_is_kept_with_its_reason_and_author_and_logged_without_a_name(study, enrollment):
    user = get_user_model().objects.create_user("ada", is_staff=True)
    exclude(enrollment, reason="  Wrote that the cat\n answered. ", actor=user)
    exclusion = Exclusion.objects.get()
    assert (exclusion.reason, exclusion.excluded_by) == ("Wrote that the cat answered.", "ada")
    event = StudyEvent.objects.get()
    assert (event.study, event.actor, event.action) == (study, user, StudyEvent.Action.EXCLUSION)
    assert event.reason == "Wrote that the cat answered."
    assert event.detail == {"enrollment": enrollment.pk}
    assert str(enrollment.rater.pseudonym)[:8] not in event.summary
    take_back_in(enrollment, reason="It was the dog.", actor=user)
    assert not Exclusion.objects.exists()
    assert list(StudyEvent.objects.values_list("reason", flat=True)) == [
        "It was the dog.",
        "Wrote that the cat answered.",
    ]


@pytest.mark.parametrize("act", [exclude, take_back_in])
@pytest.mark.parametrize("reason", ["", "   ", "x" * 301])
def test_a_decision_needs_a_reason_that_can_be_kept(enrollment, act, reason):
    if act is take_back_in:
        exclude(enrollment, reason="Told us so.")
    before = freeze_rows()
    with pytest.raises(ExclusionRefused):
        act(enrollment, reason=reason)
    assert freeze_rows() == before


def test_nobody_is_excluded_twice_nor_taken_in_who_is_in(enrollment):
    with pytest.raises(ExclusionRefused, match="is not excluded"):
        take_back_in(enrollment, reason="Why not.")
    exclude(enrollment, reason="Told us so.")
    before = freeze_rows()
    with pytest.raises(ExclusionRefused, match="excluded already"):
        exclude(enrollment, reason="Again.")
    assert freeze_rows() == before


def test_who_withdrew_is_not_excluded_and_who_is_excluded_may_withdraw(study, enrollment):
    exclude(enrollment, reason="Told us so.")
    withdraw(enrollment)
    assert not Exclusion.objects.exists()
    with pytest.raises(ExclusionRefused, match="withdrew"):
        exclude(enrollment, reason="Late.")


def test_fits_that_saw_someone_who_is_excluded_are_outdated_and_keep_their_predictions(study, enrollment):
    fit_run = fit_here(study)
    exclude(enrollment, reason="Told us so.")
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is not None
    assert not Job.objects.filter(kind="erase_predictions").exists()
    assert storages["artefacts"].exists(fit_run.artefact)


def test_a_withdrawal_after_an_exclusion_erases_the_predictions_all_the_same(study, enrollment):
    fit_run = fit_here(study)
    exclude(enrollment, reason="Told us so.")
    withdraw(enrollment)
    assert Job.objects.get(kind="erase_predictions").payload["artefact"] == fit_run.artefact


def test_fits_made_without_someone_who_is_taken_back_in_are_outdated(study, enrollment):
    exclude(enrollment, reason="Told us so.")
    without = fit_here(study)
    take_back_in(enrollment, reason="A mistake.")
    without.refresh_from_db()
    assert without.outdated_at is not None


def test_a_fit_can_be_made_again_once_everyone_is_back(study, enrollment):
    first = fit_here(study)
    exclude(enrollment, reason="Told us so.")
    take_back_in(enrollment, reason="A mistake.")
    again = fit_here(study)
    assert (again.key, again.outdated_at) == (first.key, None)


def test_fits_in_which_someone_would_not_count_anyway_are_as_good_as_before(study, enrollment):
    Enrollment.objects.filter(pk=enrollment.pk).update(phase=Enrollment.Phase.PILOT)
    enrollment.refresh_from_db()
    fit_run = fit_here(study)
    exclude(enrollment, reason="Told us so.")
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is None


def test_fits_of_other_studies_are_as_good_as_before(enrollment):
    other = fit_here(make_rated_study())
    exclude(enrollment, reason="Told us so.")
    other.refresh_from_db()
    assert other.outdated_at is None


def test_a_fit_that_was_overtaken_by_an_exclusion_is_outdated_from_the_start(study, enrollment, monkeypatch):
    finish = handlers.fits.finish

    def compute_while_someone_is_excluded(*args):
        result = finish(*args)
        exclude(enrollment, reason="Told us so.")
        return result

    monkeypatch.setattr(handlers.fits, "finish", compute_while_someone_is_excluded)
    job = run_here(request_fit(study, FEW, InclusionRule()))
    assert study.fit_runs.get(pk=job.result["fit_run"]).outdated_at is not None
    assert not Job.objects.filter(kind="evaluate").exists()
