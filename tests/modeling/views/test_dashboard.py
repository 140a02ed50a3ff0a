import re
from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Annotation, Enrollment, Rater, Study, StudyAccess
from jobs.models import Job
from jobs.services import run_here
from modeling import services
from modeling.selectors import get_latest_report
from tests.factories import StudyFactory
from tests.modeling.rated import FEW, fit_here, make_rated_study
from tests.visitor import read

pytestmark = pytest.mark.django_db
STUDIES = reverse("modeling:studies")


def page_of(study):
    return reverse("modeling:study", args=[study.slug])


def figure_of(study):
    return reverse("modeling:agreement_figure", args=[study.slug])


def text_of(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.fixture
def study():
    study = make_rated_study()
    fit_here(study)
    return study


def test_a_stranger_is_sent_to_the_login_and_learns_nothing(client, study):
    for address in (STUDIES, page_of(study), figure_of(study), "/dashboard/nowhere/"):
        response = client.get(address)
        assert response.status_code == 302
        assert response["Location"] == f"/admin/login/?next={address}"


def test_somebody_who_is_no_member_of_staff_is_a_stranger_too(client, study):
    client.force_login(get_user_model().objects.create_user("rater"))
    for address in (STUDIES, page_of(study), figure_of(study)):
        response = client.get(address, follow=True)
        assert response.redirect_chain[0][0].startswith("/admin/login/")
        assert response.status_code == 403


def test_staff_need_a_role_in_the_study_and_no_further_rights(client, study):
    colleague = get_user_model().objects.create_user("colleague", is_staff=True)
    client.force_login(colleague)
    assert study.name not in client.get(STUDIES).content.decode()
    for address in (page_of(study), figure_of(study)):
        assert client.get(address).status_code == 404
    study.accesses.create(user=colleague, role=StudyAccess.Role.ASSISTANT)
    assert study.name in client.get(STUDIES).content.decode()
    for address in (page_of(study), figure_of(study)):
        assert client.get(address).status_code == 200


def test_nothing_can_be_sent_to_the_dashboard(admin_client, study):
    for address in (STUDIES, page_of(study), figure_of(study)):
        assert admin_client.post(address).status_code == 405


def test_the_list_counts_people_and_marks_the_simulated(admin_client):
    study = make_rated_study(n_posts=4, per_post=2)
    Enrollment.objects.filter(pk__in=Enrollment.objects.values("pk")[:3]).update(outcome="", finished_at=None)
    text = text_of(admin_client.get(STUDIES))
    assert "Live · 7 of 10 people completed" in text
    assert "simulated" not in text
    make_rated_study(n_posts=4, per_post=2, origin=Rater.Origin.SIMULATED)
    assert "10 simulated" in text_of(admin_client.get(STUDIES))
    assert page_of(study) in admin_client.get(STUDIES).content.decode()


def test_an_empty_installation_says_how_to_begin(admin_client):
    assert "There is no study yet." in text_of(admin_client.get(STUDIES))


def test_the_page_shows_the_stored_figures(admin_client, study):
    measures = get_latest_report(study).measures
    text = text_of(admin_client.get(page_of(study)))
    for entry in (measures["human_human"], measures["human_consensus"], measures["personalized"]):
        low, high = entry["interval"]
        assert f"{entry['rho']:.3f} {low:.3f} to {high:.3f}" in text
    entry = measures["models"]["text"]
    low, high = entry["interval"]
    assert f"Consensus from text {entry['rho']:.3f} {low:.3f} to {high:.3f}" in text
    for row in measures["mae_by_value"]:
        assert (
            f"{row['value'].title()} {row['human_crowd']:.3f} ± {row['human_crowd_se']:.3f} "
            f"{row['model_crowd']:.3f} ± {row['model_crowd_se']:.3f}"
        ) in text
    assert "10 of 10 who began" in text
    assert "80 of 16 posts" in text
    assert "What the model could see: the ratings of 12 posts" in text
    assert measures["data_hash"][:16] in text


def test_only_simulated_raters_raise_the_warning(admin_client, study):
    assert "Simulated data." not in text_of(admin_client.get(page_of(study)))
    simulated = make_rated_study(origin=Rater.Origin.SIMULATED)
    assert "Simulated data. 10 of the 10 raters are simulated." in text_of(
        admin_client.get(page_of(simulated))
    )
    fit_here(simulated)
    text = text_of(admin_client.get(page_of(simulated)))
    assert "they are no evidence about people or about any method" in text
    assert text.count("Simulated data.") == 2  # above, and under the figure itself


def test_a_study_without_a_report_says_how_to_make_one(admin_client):
    study = StudyFactory()
    assert f"There is no report yet. Make one with manage.py fit {study.slug}" in text_of(
        admin_client.get(page_of(study))
    )
    assert admin_client.get(figure_of(study)).status_code == 404


def test_a_study_that_does_not_exist_is_not_found(admin_client):
    for address in ("/dashboard/nowhere/", "/dashboard/nowhere/agreement.svg"):
        assert admin_client.get(address).status_code == 404


def test_the_figure_is_the_stored_drawing_and_can_run_nothing(admin_client, study):
    response = admin_client.get(figure_of(study))
    assert response["Content-Type"] == "image/svg+xml"
    assert response["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert response.content.decode() == get_latest_report(study).figure_svg
    page = admin_client.get(page_of(study)).content.decode()
    assert f"{figure_of(study)}?report={get_latest_report(study).pk}" in page


def test_the_newest_report_is_shown(admin_client, study):
    fit_here(study, replace(FEW, seed=2))
    report = get_latest_report(study)
    assert report.fit_run.settings["seed"] == 2
    assert f"report={report.pk}" in admin_client.get(page_of(study)).content.decode()


def test_a_fit_that_failed_is_named_and_the_last_good_report_stays(admin_client, study, monkeypatch):
    rho = f"{get_latest_report(study).measures['personalized']['rho']:.3f}"
    annotation = Annotation.objects.first()
    Annotation.objects.filter(pk=annotation.pk).update(
        ratings=tuple(6 - number for number in annotation.ratings)
    )

    def refuse(*args):
        raise services.NotEnoughData("Something <b>went</b> wrong.")

    monkeypatch.setattr(services, "compute_fit", refuse)
    assert run_here(services.request_fit(study, FEW)).state == Job.State.FAILED
    response = admin_client.get(page_of(study))
    text = text_of(response)
    assert "The job “fit” failed." in text
    assert "Something &lt;b&gt;went&lt;/b&gt; wrong." in response.content.decode()
    assert rho in text


def test_work_under_way_is_shown_with_its_progress(admin_client, study):
    services.request_fit(study, replace(FEW, seed=3))
    Job.objects.filter(state=Job.State.QUEUED).update(
        progress_done=2, progress_total=9, progress_note="value 1 of 4"
    )
    assert "The job “fit” is queued : 2 of 9, value 1 of 4" in text_of(
        admin_client.get(page_of(study))
    ).replace("queued:", "queued :")


@pytest.mark.parametrize("data", [{"n_values": 1}, {"has_text": False, "has_answers": False}])
def test_figures_that_do_not_exist_are_dashes(admin_client, data):
    study = make_rated_study(**data)
    fit_here(study)
    text = text_of(admin_client.get(page_of(study)))
    assert "– ± –" in text or "– to –" in text
    assert "None" not in text
    assert "nan" not in text.lower().replace("finance", "")


def count_queries(client, address):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_pages_take_the_same_few_queries_however_much_there_is(admin_client, study):
    addresses = (STUDIES, page_of(study), figure_of(study))
    for address in addresses:
        admin_client.get(address)  # the value tree is read once per process
    few = [count_queries(admin_client, address) for address in addresses]
    for seed in range(4, 8):
        fit_here(study, replace(FEW, seed=seed))
    for _ in range(4):
        make_rated_study(n_posts=4, per_post=2)
    assert [count_queries(admin_client, address) for address in addresses] == few
    assert max(few) <= 11
    assert Study.objects.count() == 5


def test_a_page_reads_without_scripts_and_names_its_tables(admin_client, study):
    response = admin_client.get(page_of(study))
    assert (
        "default-src 'none'" in response["Content-Security-Policy"]
        or "default-src 'self'" in (response["Content-Security-Policy"])
    )
    assert read(response).status == 200
    assert response.content.decode().count("<caption>") == 3
