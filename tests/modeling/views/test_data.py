import re

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import storages
from django.urls import reverse

from annotation.models import StudyAccess, StudyEvent
from jobs.models import Job
from jobs.services import run_here
from modeling.export.pseudonyms import make_pseudonym
from modeling.export.requests import request_export
from tests.factories import StudyFactory
from tests.modeling.export.studies import Opened, make_full_study

pytestmark = pytest.mark.django_db
ROLES = StudyAccess.Role
PLATFORM_ID = "5f0000000000000000000001"


@pytest.fixture
def study():
    return make_full_study()


@pytest.fixture
def export(study):
    job = run_here(request_export(study, "everyone"))
    return study.data_exports.get(pk=job.result["export"])


def log_in(client, study=None, role=None, **fields):
    user = get_user_model().objects.create_user(role or "someone", **({"is_staff": True} | fields))
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return user


def page_of(study, name="data", *more):
    return reverse(f"modeling:{name}", args=[study.slug, *more])


def ask_for_all(client, study, export):
    """Status of the page, of a request for an export, of a download and of the key table."""
    return (
        client.get(page_of(study)).status_code,
        client.post(page_of(study, "data_make")).status_code,
        client.get(page_of(study, "data_download", export.pk)).status_code,
        client.post(page_of(study, "data_keys")).status_code,
    )


@pytest.mark.parametrize(
    ("role", "statuses"),
    [
        (ROLES.OWNER, (200, 302, 200, 200)),
        (ROLES.ANALYST, (200, 302, 200, 404)),
        (ROLES.ASSISTANT, (404, 404, 404, 404)),
        (None, (404, 404, 404, 404)),
    ],
)
def test_who_may_take_what_away(client, study, export, role, statuses):
    log_in(client, study, role)
    n_jobs = Job.objects.count()
    assert ask_for_all(client, study, export) == statuses
    assert Job.objects.count() == n_jobs + (statuses[1] == 302)


def test_a_stranger_is_sent_to_the_login(client, study, export):
    assert ask_for_all(client, study, export) == (302, 302, 302, 302)
    assert Job.objects.count() == 1
    assert client.get(page_of(study))["Location"].startswith(reverse("admin:login"))


def test_a_right_in_one_study_opens_no_archive_of_another(client, study, export):
    other = StudyFactory()
    log_in(client, other, ROLES.OWNER)
    assert client.get(page_of(other, "data_download", export.pk)).status_code == 404
    assert client.get(page_of(study, "data_download", export.pk)).status_code == 404


def test_a_right_that_was_taken_away_counts_at_the_next_download(client, study, export):
    log_in(client, study, ROLES.ANALYST)
    StudyAccess.objects.all().delete()
    assert client.get(page_of(study, "data_download", export.pk)).status_code == 404


def test_a_download_is_the_archive_in_pieces_and_is_logged(client, study, export):
    user = log_in(client, study, ROLES.ANALYST)
    response = client.get(page_of(study, "data_download", export.pk))
    assert response.streaming and response["Content-Type"] == "application/zip"
    assert re.search(rf'filename="{study.slug}-data-[-0-9]+\.zip"', response["Content-Disposition"])
    content = b"".join(response.streaming_content)
    assert len(content) == export.n_bytes
    assert PLATFORM_ID.encode() not in b"".join(Opened(content).files.values())
    event = StudyEvent.objects.filter(study=study, actor=user).get()
    assert event.action == StudyEvent.Action.EXPORT and event.detail["sha256"] == export.sha256


def test_the_key_table_is_a_download_of_its_own_and_is_logged(client, study):
    user = log_in(client, study, ROLES.OWNER)
    response = client.post(page_of(study, "data_keys"))
    text = b"".join(response.streaming_content).decode()
    assert PLATFORM_ID in text and make_pseudonym(study.enrollments.first().public_id) in text
    assert response["Cache-Control"] == "no-store"
    assert "attachment" in response["Content-Disposition"]
    assert "key table" in StudyEvent.objects.get(study=study, actor=user).summary


def test_the_key_table_cannot_be_had_by_a_link(client, study):
    log_in(client, study, ROLES.OWNER)
    assert client.get(page_of(study, "data_keys")).status_code == 405


def test_the_page_offers_the_key_table_only_to_those_who_may_see_identities(client, study):
    log_in(client, study, ROLES.ANALYST)
    assert page_of(study, "data_keys") not in client.get(page_of(study)).content.decode()
    log_in(client, is_superuser=True)
    assert page_of(study, "data_keys") in client.get(page_of(study)).content.decode()


def test_one_click_asks_for_one_export_and_the_page_shows_that_it_is_made(client, study):
    log_in(client, study, ROLES.ANALYST)
    for _ in range(2):
        response = client.post(page_of(study, "data_make"), follow=True)
    job = Job.objects.get(kind="export")
    assert job.payload["asked_by"] == ROLES.ANALYST
    text = response.content.decode()
    assert "waits for a worker" in text and 'hx-trigger="every 2s"' in text
    Job.objects.filter(pk=job.pk).update(progress_total=10, progress_done=3, progress_note="posts")
    fragment = client.get(page_of(study), headers={"HX-Request": "true"}).content.decode()
    assert "being made: posts" in fragment and 'value="3"' in fragment and "<html" not in fragment


def test_once_it_is_made_the_page_links_to_it_with_counts_and_checksum_and_polls_no_more(
    client, study, export
):
    log_in(client, study, ROLES.ANALYST)
    text = client.get(page_of(study)).content.decode()
    assert page_of(study, "data_download", export.pk) in text
    assert export.sha256 in text and "Raters: 3" in text and "Ratings: 10" in text
    assert "hx-trigger" not in text


def test_an_export_that_failed_says_so(client, study):
    log_in(client, study, ROLES.ANALYST)
    client.post(page_of(study, "data_make"))
    job = Job.objects.get(kind="export")
    Job.objects.filter(pk=job.pk).update(
        state="failed", error="The disk is full.", finished_at=job.created_at
    )
    text = client.get(page_of(study)).content.decode()
    assert "The disk is full." in text and "hx-trigger" not in text


def test_an_unknown_choice_of_people_is_refused(client, study):
    log_in(client, study, ROLES.ANALYST)
    assert client.post(page_of(study, "data_make"), {"scope": "nobody"}).status_code == 400
    assert not Job.objects.filter(kind="export").exists()


def test_an_archive_that_is_gone_from_the_storage_is_not_found_and_nothing_is_logged(client, study, export):
    log_in(client, study, ROLES.ANALYST)
    storages["artefacts"].delete(export.artefact)
    n_events = StudyEvent.objects.count()
    assert client.get(page_of(study, "data_download", export.pk)).status_code == 404
    assert StudyEvent.objects.count() == n_events
