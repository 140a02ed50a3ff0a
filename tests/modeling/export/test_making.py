import hashlib
import uuid

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import storages
from django.db import connections

from annotation.models import Study, StudyEvent
from annotation.services import withdraw
from jobs import services as jobs
from jobs.errors import Cancelled, LeaseLost
from jobs.models import Job
from modeling import handlers
from modeling.errors import DataChanged
from modeling.export import making
from modeling.export.pseudonyms import find_enrollment, make_pseudonym, write_key_table
from modeling.export.requests import request_export
from modeling.export.snapshot import read_consistently
from modeling.models import DataExport
from modeling.retention import erase_identities
from tests.factories import StudyFactory
from tests.modeling.export.studies import Opened, enroll, make_full_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_full_study()


@pytest.fixture
def actor():
    return get_user_model().objects.create_user("analyst", is_staff=True)


def list_files():
    storage = storages["artefacts"]
    return set(storage.listdir("exports")[1]) if storage.exists("exports") else set()


def export_here(study, actor=None, scope="everyone"):
    job = jobs.run_here(request_export(study, scope, actor=actor))
    assert job.state == "done", job.error
    return study.data_exports.get(pk=job.result["export"])


def test_an_export_is_a_file_and_a_row_that_describes_it(study, actor):
    export = export_here(study, actor)
    content = storages["artefacts"].open(export.artefact).read()
    assert export.sha256 == hashlib.sha256(content).hexdigest()
    assert export.n_bytes == len(content)
    assert export.counts["ratings_long"] == 10 and export.counts["participants"] == 3
    assert export.inclusion["n_included"] == 1 and export.inclusion["people"] == "everyone"
    assert export.asked_by == "analyst"
    assert len(Opened(content).csv("participants")) == 3


def test_making_an_export_is_logged_with_who_asked(study, actor):
    export = export_here(study, actor)
    event = StudyEvent.objects.get(study=study, action=StudyEvent.Action.EXPORT)
    assert event.actor == actor and event.detail["export"] == export.pk


def test_a_double_click_is_one_export_and_a_later_one_another(study, actor):
    first = request_export(study, "everyone", actor=actor)
    assert request_export(study, "everyone", actor=actor) == first
    assert request_export(study, "included", actor=actor) != first
    jobs.run_here(first)
    assert request_export(study, "everyone", actor=actor) != first


def test_computing_an_export_writes_no_row_until_the_effect_is_called(study):
    claim = jobs.claim(request_export(study, "everyone").pk)
    store = handlers.export_study(claim)
    assert not DataExport.objects.exists()
    number = store()["export"]
    assert DataExport.objects.get().pk == number


def test_an_export_whose_job_was_taken_by_another_leaves_no_file(study):
    before = list_files()
    job = request_export(study, "everyone")
    claim = jobs.claim(job.pk)
    Job.objects.filter(pk=job.pk).update(lease_token=uuid.uuid4())
    with pytest.raises(LeaseLost):
        handlers.export_study(claim)
    assert list_files() == before


def test_what_an_earlier_try_left_behind_is_deleted(study):
    job = request_export(study, "everyone")
    Job.objects.filter(pk=job.pk).update(attempts=1)
    left = making.name_archive(study, job.pk, 1)
    storages["artefacts"].save(
        left, storages["artefacts"].open(export_here(study, scope="included").artefact)
    )
    jobs.run_here(job)
    assert not storages["artefacts"].exists(left)


def test_an_export_that_a_withdrawal_overtook_is_not_kept(study):
    before = list_files()
    claim = jobs.claim(request_export(study, "everyone").pk)
    store = handlers.export_study(claim)
    withdraw(study.enrollments.order_by("pk").first())
    with pytest.raises(DataChanged):
        store()
    assert not DataExport.objects.exists() and list_files() == before


def test_nor_is_one_that_an_erasure_of_identities_overtook(study):
    Study.objects.filter(pk=study.pk).update(state=Study.State.CLOSED)
    before = list_files()
    claim = jobs.claim(request_export(study, "everyone").pk)
    store = handlers.export_study(claim)
    assert erase_identities(study).n_people > 0
    with pytest.raises(DataChanged):
        store()
    assert not DataExport.objects.exists() and list_files() == before


def test_a_withdrawal_removes_the_archives_that_hold_the_answers(study):
    export = export_here(study)
    withdraw(study.enrollments.order_by("pk").first())
    assert not DataExport.objects.exists()
    jobs.run_here(Job.objects.get(kind="erase_files"))
    assert not storages["artefacts"].exists(export.artefact)


def test_progress_is_told_from_aside_and_a_cancelled_job_ends_the_work(study, monkeypatch):
    told = []

    class Claim:
        job_id = 1

        def report(self, *progress):
            told.append(progress)
            raise Cancelled("job 1")

    monkeypatch.setattr(making, "REPORT_SECONDS", 0.01)
    with making.ReportAside(Claim()) as report, pytest.raises(Cancelled):
        for _ in range(500):
            report(1, 2, "posts")
            report.finished.wait(0.01)
    assert told == [(1, 2, "posts")]


# --- pseudonyms --------------------------------------------------------------------------------


def test_a_pseudonym_leads_back_to_its_person_within_its_study_alone(study):
    person = study.enrollments.order_by("pk").first()
    name = make_pseudonym(person.public_id)
    assert find_enrollment(study, f" {name.upper()} ") == person
    assert find_enrollment(StudyFactory(), name) is None
    assert find_enrollment(study, "p" + "a" * 16) is None


def test_a_pseudonym_is_a_word_to_a_spreadsheet_and_differs_from_person_to_person():
    names = {make_pseudonym(uuid.UUID(int=number)) for number in range(2000)}
    assert len(names) == 2000
    assert all(len(name) == 17 and name[0] == "p" and name.isalnum() and name.islower() for name in names)


def test_the_key_table_names_everyone_but_who_withdrew_or_rehearsed(study):
    rehearsal = enroll(study, "=HYPERLINK(1)", phase="rehearsal")
    text = "".join(write_key_table(study))
    first, second, gone = study.enrollments.exclude(pk=rehearsal.pk).order_by("pk")
    assert text.splitlines()[1] == (
        f'"{make_pseudonym(first.public_id)}","prolific","5f0000000000000000000001","at-prolific",'
        '"session-of-5f0000000000000000000001"'
    )
    assert make_pseudonym(second.public_id) in text
    assert make_pseudonym(gone.public_id) not in text and "HYPERLINK" not in text


def test_ids_in_the_key_table_cannot_run_as_formulas(study):
    enroll(study, "=1+1")
    assert '"\'=1+1"' in "".join(write_key_table(study))


# --- one moment --------------------------------------------------------------------------------


@pytest.mark.servers  # the tests' SQLite lives in memory, where a reader keeps writers out
@pytest.mark.django_db(transaction=True)
def test_what_others_write_meanwhile_is_not_in_it():
    study = make_full_study()
    other = connections.create_connection("default")
    try:
        with read_consistently():
            before = study.enrollments.count()
            with other.cursor() as cursor:
                cursor.execute("UPDATE annotation_enrollment SET phase = 'pilot'")
            assert study.enrollments.filter(phase="pilot").count() == 0
            assert study.enrollments.count() == before
        assert study.enrollments.filter(phase="pilot").count() == before
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_reading_ends_with_the_block_also_after_an_error():
    study = make_full_study()
    with pytest.raises(ZeroDivisionError), read_consistently():
        assert study.enrollments.count() == 3
        raise ZeroDivisionError
    study.name = "Written afterwards"
    study.save()
    study.refresh_from_db()
    assert study.name == "Written afterwards"
