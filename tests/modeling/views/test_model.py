"""The page of the model in use: what serves is told as rows have it, and work on it is asked for and stopped here."""

import io
import re
from html import unescape

import pyarrow.parquet as pq
import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from annotation.models import StudyAccess, StudyEvent
from jobs.models import Job
from jobs.services import run_here
from modeling.in_use import find_fit_in_use, list_model_jobs
from modeling.models import FitRun, FittedFile, ScoreRun
from modeling.outdated import mark_outdated
from modeling.reporting.requests import request_fit_and_report
from modeling.scoring.requests import request_scores
from modeling.serving import find_serving_fit
from modeling.views.results import model
from tests.modeling.rated import fit_here, make_rated_study
from tests.visitor import freeze_rows

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
ANALYST, ASSISTANT = StudyAccess.Role.ANALYST, StudyAccess.Role.ASSISTANT


@pytest.fixture
def study():
    return make_rated_study(n_posts=6, n_raters=5, per_post=3, n_values=2)


@pytest.fixture
def fitted(study):
    """A study with a fit that serves."""
    fit_here(study)
    return study


def page_of(study, name="model", *args):
    return reverse(f"modeling:{name}", args=[study.slug, *args])


def text_of(response):
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split()))


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


def stop(job, state, error=""):
    Job.objects.filter(pk=job.pk).update(state=state, error=error, finished_at=timezone.now())


def test_a_study_without_a_fit_is_told_what_to_do(admin_client, client, study):
    text = text_of(admin_client.get(page_of(study)))
    assert "none has been fitted yet" in text
    assert "Press “Fit and evaluate” above" in text
    assert "Score all posts" not in text
    assert "Nothing is under way" in text
    log_in(client, study, ASSISTANT)
    text = text_of(client.get(page_of(study)))
    assert "Owners and analysts of the study can have one fitted" in text
    assert "Press" not in text


def test_what_serves_is_told(admin_client, fitted):
    fit_run = find_serving_fit(fitted)
    text = text_of(admin_client.get(page_of(fitted)))
    assert f"Fit {fit_run.pk}, " in text
    assert "Method The paper’s forest" in text
    assert "Reads new texts Yes" in text
    assert f"Data {fit_run.data_hash[:16]}" in text
    assert "Up to date Yes" in text
    assert f"by {fit_run.n_raters} raters; {len(fit_run.holdout_post_ids)} posts were held out" in text
    assert "Known raters" in text and "New raters" in text  # the columns of the weights


def test_a_fit_that_is_not_evaluated_says_that_its_weights_are_not_known(admin_client, fitted):
    fitted.reports.all().delete()
    text = text_of(admin_client.get(page_of(fitted)))
    assert "stands here once the fit is evaluated" in text
    assert "There is nothing to show yet" not in text


def test_a_fit_that_cannot_read_and_one_of_simulated_raters_say_so(admin_client, fitted):
    FittedFile.objects.filter(role="reader").delete()
    FitRun.objects.update(has_simulated=True)
    text = text_of(admin_client.get(page_of(fitted)))
    assert "Reads new texts No" in text
    assert "Simulated data. Simulated raters are among those it was fitted to" in text


def test_an_outdated_fit_serves_until_its_files_are_gone(admin_client, fitted):
    mark_outdated(fitted.fit_runs.all(), erase_predictions=False)
    assert find_fit_in_use(fitted) == find_serving_fit(fitted)
    text = text_of(admin_client.get(page_of(fitted)))
    assert "Outdated, and still in use" in text
    assert "Up to date No" in text
    mark_outdated(fitted.fit_runs.all())
    assert find_fit_in_use(fitted) is None
    assert "saw answers that were taken back or erased" in text_of(admin_client.get(page_of(fitted)))


def test_the_newest_fit_with_files_is_in_use(fitted):
    older = find_serving_fit(fitted)
    newer = FitRun.objects.create(
        study=fitted, key="newer", settings=older.settings, holdout_post_ids=[], feature_names=[], notes=[],
        n_raters=1, n_annotations=1, has_simulated=False,
    )  # fmt: skip
    assert find_fit_in_use(fitted) == find_serving_fit(fitted) == older
    FittedFile.objects.create(fit_run=newer, role="blends", name="n", sha256="0", n_bytes=1)
    assert find_fit_in_use(fitted) == find_serving_fit(fitted) == newer


def test_the_card_is_linked_where_there_is_one(admin_client, fitted, monkeypatch):
    monkeypatch.setattr(model, "_find_address", lambda *_: None)  # an installation without these pages
    text = text_of(admin_client.get(page_of(fitted)))
    assert "Model card" not in text
    assert "API’s reference" not in text


# --- work -----------------------------------------------------------------------------------------


def test_work_under_way_is_shown_and_can_be_cancelled_and_tried_again(client, study):
    log_in(client, study, ANALYST)
    job = request_fit_and_report(study)
    Job.objects.filter(pk=job.pk).update(progress_done=3, progress_total=19, progress_note="parts fitted")
    text = text_of(client.get(page_of(study)))
    assert "A model is being fitted and evaluated: 3 of 19, parts fitted" in text
    assert client.post(page_of(study, "model_cancel", job.pk)).status_code == 302
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    text = text_of(client.get(page_of(study)))
    assert "Fitting and evaluating was cancelled" in text
    assert client.post(page_of(study, "model_retry", job.pk)).status_code == 302
    job.refresh_from_db()
    assert job.state == Job.State.QUEUED
    assert "had come to its end" not in text_of(client.get(page_of(study)))


def test_a_failure_is_told_with_its_reason_until_a_later_job_is_there(admin_client, study):
    job = request_fit_and_report(study)
    stop(job, Job.State.FAILED, "part 'forest order' failed: <disk> full")
    text = text_of(admin_client.get(page_of(study)))
    assert "could not be fitted and evaluated" in text
    assert "part 'forest order' failed: <disk> full" in text
    request_fit_and_report(study)
    assert "disk" not in text_of(admin_client.get(page_of(study)))


def test_work_that_has_ended_meanwhile_is_left_as_it_is(client, study):
    log_in(client, study, ANALYST)
    job = request_fit_and_report(study)
    stop(job, Job.State.DONE)
    response = client.post(page_of(study, "model_cancel", job.pk), follow=True)
    assert "It had come to its end already." in text_of(response)
    response = client.post(page_of(study, "model_retry", job.pk), follow=True)
    assert "under way or done already" in text_of(response)


def test_jobs_of_other_studies_other_kinds_and_single_parts_are_out_of_reach(client, study):
    log_in(client, study, ANALYST)
    other = request_fit_and_report(make_rated_study(n_posts=4, per_post=2))
    export = Job.objects.create(kind="export", key="x", payload={"study": study.pk})
    whole = request_fit_and_report(study)
    part = Job.objects.create(
        kind="fit", key="part", payload={"study": study.pk}, whole=whole, round=1, place=0
    )
    for job in (other, export, part):
        for name in ("model_cancel", "model_retry"):
            assert client.post(page_of(study, name, job.pk)).status_code == 404
        job.refresh_from_db()
        assert job.state == Job.State.QUEUED
    assert list_model_jobs(study) == [whole]


def test_htmx_gets_the_work_alone_and_a_fresh_page_once_none_is_left(admin_client, study):
    job = request_fit_and_report(study)
    response = admin_client.get(page_of(study), headers={"HX-Request": "true"})
    assert "<html" not in response.content.decode()
    assert "waiting for a worker" in text_of(response)
    stop(job, Job.State.DONE)
    response = admin_client.get(page_of(study), headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"


def test_asking_and_stopping_are_for_analysts_and_owners_and_never_by_a_link(client, fitted):
    job = request_scores(find_serving_fit(fitted))
    places = [page_of(fitted, "model_score"), page_of(fitted, "model_cancel", job.pk)]
    places.append(page_of(fitted, "model_retry", job.pk))
    log_in(client, fitted, ASSISTANT)
    assert [client.post(place).status_code for place in places] == [404] * 3
    assert "<form" not in client.get(page_of(fitted)).content.decode()
    log_in(client, fitted, ANALYST)
    assert [client.get(place).status_code for place in places] == [405] * 3


def test_looking_writes_nothing(admin_client, fitted):
    admin_client.get(page_of(fitted))
    rows = freeze_rows()
    admin_client.get(page_of(fitted))
    admin_client.get(page_of(fitted), headers={"HX-Request": "true"})
    assert freeze_rows() == rows


# --- scores ---------------------------------------------------------------------------------------


@pytest.fixture
def scored(fitted):
    job = run_here(request_scores(find_serving_fit(fitted)))
    assert job.state == Job.State.DONE, job.error
    return fitted


def test_scores_are_asked_for_once_however_often_one_presses(client, fitted):
    log_in(client, fitted, ANALYST)
    for _ in range(2):
        assert client.post(page_of(fitted, "model_score")).status_code == 302
    (job,) = Job.objects.filter(kind="score")
    assert "All posts are being scored for all raters" in text_of(client.get(page_of(fitted)))
    assert run_here(job).state == Job.State.DONE
    text = text_of(client.get(page_of(fitted)))
    assert "6 posts for 5 raters, 2 values" in text
    assert "rounded to 0.024 scale points" in text
    assert "the one in use" in text


def test_a_study_without_a_fit_cannot_be_scored(client, study):
    log_in(client, study, ANALYST)
    response = client.post(page_of(study, "model_score"), follow=True)
    assert "There is no model in use that could score" in text_of(response)
    assert not Job.objects.filter(kind="score").exists()


def test_scores_are_downloaded_as_parquet_and_the_log_says_by_whom(client, scored, settings):
    log_in(client, scored, ANALYST)
    run = ScoreRun.objects.get()
    response = client.get(page_of(scored, "model_scores", run.pk))
    table = pq.read_table(io.BytesIO(b"".join(response.streaming_content)))
    assert table.num_rows == 5 * 6
    assert table.column_names == ["rater_id", "post_id", *scored.value_keys]
    assert response["Content-Disposition"].startswith(f'attachment; filename="{scored.slug}-scores-')
    assert not list(settings.VAR_DIR.glob("scores-*"))
    event = scored.events.filter(action=StudyEvent.Action.EXPORT).get()
    assert event.detail == {"scores": run.pk, "fit": run.fit_run_id}


def test_scores_are_not_for_assistants_nor_for_another_studys_people(client, scored):
    run = ScoreRun.objects.get()
    other = make_rated_study(n_posts=4, per_post=2)
    log_in(client, scored, ASSISTANT)
    assert client.get(page_of(scored, "model_scores", run.pk)).status_code == 404
    assert "as Parquet" not in text_of(client.get(page_of(scored)))
    log_in(client, other, ANALYST)
    assert client.get(page_of(other, "model_scores", run.pk)).status_code == 404


def test_scores_whose_files_are_gone_and_those_that_are_too_many_say_what_to_do(client, scored, monkeypatch):
    log_in(client, scored, ANALYST)
    run = ScoreRun.objects.get()
    monkeypatch.setattr(model, "MOST_ROWS_TO_DOWNLOAD", 29)
    response = client.get(page_of(scored, "model_scores", run.pk), follow=True)
    assert f"`manage.py score {scored.slug} --parquet FILE` writes them" in text_of(response)
    assert "Too large for a download" in text_of(response)
    monkeypatch.undo()
    run.files.first().delete()
    response = client.get(page_of(scored, "model_scores", run.pk), follow=True)
    assert "score the posts again" in text_of(response)
    assert not scored.events.filter(action=StudyEvent.Action.EXPORT).exists()
