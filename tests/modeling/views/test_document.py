from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from modeling.inclusion import InclusionRule, Raters
from modeling.models import ReportDocument
from modeling.reporting.requests import key_of
from tests.factories import StudyFactory
from tests.modeling.views.stored import store_agreement, store_evaluation

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
PEOPLE = InclusionRule(raters=Raters.PEOPLE)


@pytest.fixture
def study():
    return StudyFactory()


def store(study, rule_key="default", **fields):
    sources = [{"kind": "agreement", "data_hash": "f" * 64, "code_version": "0.1.0", "made": "now"}]
    return ReportDocument.objects.create(
        study=study, rule_key=rule_key, sources=sources, html="<h1>Findings</h1>", pdf=b"%PDF-1.7 x", **fields
    )


def address(study, name="report", *arguments):
    return reverse(f"modeling:{name}", args=[study.slug, *arguments])


def test_without_any_figures_there_is_nothing_to_read_and_no_button(admin_client, study):
    page = admin_client.get(address(study)).content.decode()
    assert "There is nothing to show yet" in page
    assert "Read it here" not in page
    assert "Make it anew" not in page


def test_figures_without_a_document_say_that_it_follows(admin_client, study):
    store_agreement(study)
    page = admin_client.get(address(study)).content.decode()
    assert "follows in a moment" in page
    assert "Make it anew" in page


def test_the_document_is_offered_with_what_it_shows(admin_client, study):
    store_agreement(study)
    store(study)
    page = admin_client.get(address(study)).content.decode()
    assert f'href="{address(study, "report_file", "html")}"' in page
    assert f'href="{address(study, "report_file", "pdf")}?save"' in page
    assert "<code>ffffffffffffffff</code>" in page
    assert "Newer figures are stored" not in page


def test_a_document_older_than_the_figures_says_so(admin_client, study):
    store_evaluation(study, minutes=5)
    store_agreement(study, minutes=30)
    store(study, created_at=timezone.now() - timedelta(minutes=20))
    assert "Newer figures are stored" in admin_client.get(address(study)).content.decode()


@pytest.mark.parametrize(
    ("extension", "content", "kind"),
    [("html", b"<h1>Findings</h1>", "text/html; charset=utf-8"), ("pdf", b"%PDF-1.7 x", "application/pdf")],
)
def test_both_files_are_served_as_they_are_and_run_nothing(admin_client, study, extension, content, kind):
    store(study)
    response = admin_client.get(address(study, "report_file", extension))
    assert response.content == content
    assert response["Content-Type"] == kind
    assert response["Content-Disposition"] == f'inline; filename="{study.slug}-report.{extension}"'
    assert response["Content-Security-Policy"].startswith("default-src 'none';")
    assert "script" not in response["Content-Security-Policy"]
    saved = admin_client.get(address(study, "report_file", extension) + "?save")
    assert saved["Content-Disposition"].startswith("attachment;")


def test_each_rule_has_its_own_document(admin_client, study):
    key = key_of(PEOPLE)
    store_agreement(study, PEOPLE)
    store(study, key)
    assert admin_client.get(address(study, "report_file", "html")).status_code == 404
    response = admin_client.get(address(study, "report_file", "html") + f"?who={key}&save")
    assert response.status_code == 200
    assert f"{study.slug}-report-{key}.html" in response["Content-Disposition"]
    page = admin_client.get(address(study) + f"?who={key}").content.decode()
    assert f"?save&amp;who={key}" in page


def test_there_is_no_other_kind_of_file(admin_client, study):
    store(study)
    assert admin_client.get(address(study, "report_file", "docx")).status_code == 404


def test_asking_for_it_anew_is_one_job(admin_client, study):
    store_agreement(study)
    for _ in range(2):
        response = admin_client.post(address(study, "report_make"), {"who": "default"})
        assert response.url == address(study)
    assert Job.objects.filter(kind="document").count() == 1
    assert admin_client.post(address(study, "report_make"), {"who": "unheard"}).status_code == 404
    assert admin_client.get(address(study, "report_make")).status_code == 405


def test_the_page_reads_neither_document_nor_drawings(admin_client, study, django_assert_max_num_queries):
    store_agreement(study)
    store(study)
    with django_assert_max_num_queries(14) as queries:
        admin_client.get(address(study))
    assert not any('"html"' in query["sql"] or '"svg"' in query["sql"] for query in queries.captured_queries)
