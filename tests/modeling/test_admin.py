import re

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Post
from annotation.selectors import _tree
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from jobs.models import Heartbeat, Job
from modeling.models import FitRun, PostScore, Report
from tests.factories import (
    AnnotationFactory,
    EnrollmentFactory,
    PostFactory,
    RaterFactory,
    StudyFactory,
    ValueSystemFactory,
    load_nineteen,
)

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
N_ROWS = 30
MOST_QUERIES = 14  # session, user, counts, filters and the rows: the same for 3 rows and for 30


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


def fit(study, number):
    run = FitRun.objects.create(
        study=study,
        key=f"{number}-{study.slug}",
        settings={"n_trees": 5},
        data_hash="d",
        code_version="1",
        consensus_name="text",
        holdout_post_ids=[1, 2],
        feature_names=["a"],
        notes=["A note."],
        n_raters=2,
        n_annotations=3,
        has_simulated=True,
        artefact="file",
        artefact_sha256="s",
    )
    Report.objects.create(
        study=study,
        kind=Report.Kind.EVALUATION,
        fit_run=run,
        rule={},
        rule_key="default",
        measures={"rho": 0.5, "n_simulated": 2},
    )
    post = study.posts.first()
    scores = (0.25,) * len(study.value_keys)
    return PostScore.objects.create(fit_run=run, post=post, scores=scores, is_out_of_fold=True)


def fill(n_rows, start=0):
    """Store `n_rows` rows of everything raters and jobs leave, each with its own rater, study and post."""
    ValueSystemFactory(tree=load_nineteen())
    for number in range(start, start + n_rows):
        study = StudyFactory(steps=("labeling", "questionnaire"), posts=1, questions=1)
        origin = "simulated" if number % 2 else "prolific"
        enrollment = EnrollmentFactory(study=study, rater=RaterFactory(origin=origin))
        AnnotationFactory(enrollment=enrollment, post=study.posts.get(purpose=Post.Purpose.LABELING))
        CalibrationAnswer.objects.create(
            enrollment=enrollment, question=CalibrationQuestion.objects.get(study=study), rating=3
        )
        questionnaire = Questionnaire.objects.get(study=study)
        QuestionnaireResponse.objects.create(
            enrollment=enrollment, questionnaire=questionnaire, version=1, answers={"age": 30}
        )
        fit(study, number)
        Job.objects.create(kind="k", key=str(number))
        Heartbeat.objects.create(name=f"worker-{number}")


def address_of(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def count_queries(client, address):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def assert_strict(response):
    """The page obeys a policy without exceptions, and has nothing that the policy would block."""
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = response.content.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page) if "application/json" not in tag)


def test_every_page_of_the_admin_opens_under_the_strict_policy(admin_client):
    fill(2)
    assert_strict(admin_client.get(reverse("admin:index")))
    for model, page in admin.site._registry.items():
        response = admin_client.get(address_of(model, "changelist"))
        assert response.status_code == 200, model
        assert_strict(response)
        for row in model._default_manager.all():
            response = admin_client.get(address_of(model, "change", row.pk))
            assert response.status_code == 200, row
            assert_strict(response)
            assert admin_client.get(address_of(model, "history", row.pk)).status_code == 200
        response = admin_client.get(address_of(model, "add"))
        assert response.status_code == (200 if page.has_add_permission(response.wsgi_request) else 403), model
        if response.status_code == 200:
            assert_strict(response)


def test_every_list_can_be_searched(admin_client):
    fill(1)
    for model, page in admin.site._registry.items():
        if page.search_fields:
            response = admin_client.get(address_of(model, "changelist"), {"q": "some'thing 1"})
            assert response.status_code == 200, model


def test_lists_take_as_many_queries_for_thirty_rows_as_for_three(admin_client):
    fill(3)
    few = {model: count_queries(admin_client, address_of(model, "changelist")) for model in MODELS}
    fill(N_ROWS - 3, start=3)
    many = {model: count_queries(admin_client, address_of(model, "changelist")) for model in MODELS}
    assert many == few
    assert max(many.values()) <= MOST_QUERIES


def test_fits_scores_and_reports_are_only_read(admin_client):
    score = fit(StudyFactory(), 1)
    for row in (score, score.fit_run, score.fit_run.report):
        assert admin_client.get(address_of(type(row), "add")).status_code == 403
        assert (
            admin_client.post(address_of(type(row), "change", row.pk), {"code_version": "2"}).status_code
            == 403
        )
        delete = address_of(type(row), "delete", row.pk)
        assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_a_score_shows_a_number_for_each_value_and_the_simulated_mark(admin_client):
    study = StudyFactory()
    page = admin_client.get(address_of(PostScore, "change", fit(study, 1).pk)).content.decode()
    assert f'<th scope="row">{study.value_keys[-1]}</th><td>0.25</td>' in page
    assert '<span class="simulated">simulated</span>' in page


def test_a_report_leads_to_its_dashboard(admin_client):
    study = StudyFactory()
    fit(study, 1)
    page = admin_client.get(address_of(Report, "changelist")).content.decode()
    assert f'href="{reverse("modeling:study", args=[study.slug])}"' in page


def test_a_post_of_many_is_chosen_by_its_own_page(admin_client):
    study = StudyFactory()
    PostFactory.create_batch(N_ROWS, study=study)
    question = CalibrationQuestion.objects.filter(study=study).first()
    page = admin_client.get(address_of(CalibrationQuestion, "change", question.pk)).content.decode()
    assert "vForeignKeyRawIdAdminField" in page
    assert "The words of" in page
