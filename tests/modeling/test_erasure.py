from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation import services
from annotation.models import Enrollment, Outcome, Rater, Study, StudyEvent
from annotation.recruitment import Entry
from annotation.services.audit import log_event
from jobs.models import Job
from jobs.services import enqueue, run_here
from modeling.archives import remove_archives
from modeling.erasure import NOTHING_FOUND, erase_person, find_person
from modeling.errors import ErasureRefused
from modeling.exclusions import exclude
from modeling.export.pseudonyms import make_pseudonym
from modeling.models import DataExport, QualityFlag
from tests.annotation.services.test_leaving import find_in_database, walk_to_the_end
from tests.every_step import build_study
from tests.factories import StudyFactory
from tests.modeling.rated import fit_here, make_rated_study
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db
PERSON = "5f0c1d2e3b4a59687766aabb"  # the one that `walk_to_the_end` writes into every answer
SESSION = "64e1f0a9b8c7d6e5f4a3b2c1"
STEPS = ("consent", "instructions", "number", "labeling", "vcq", "questionnaire", "debrief")


@pytest.fixture
def study():
    return build_study(*STEPS)


@pytest.fixture
def enrollment(study):
    return walk_to_the_end(services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION)))


def everywhere(study):
    return Study.objects.filter(pk=study.pk)


def make_export(study, name="export-1.zip"):
    storages["artefacts"].save(name, ContentFile(b"an archive"))
    return DataExport.objects.create(
        study=study, artefact=name, sha256="0" * 64, n_bytes=10, counts={}, inclusion={}
    )


def do_jobs(kind):
    return [run_here(job).state for job in Job.objects.filter(kind=kind, state=Job.State.QUEUED)]


def names_of(enrollment):
    """Everything that could tell who it was, as any column of a database may hold it."""
    rater = enrollment.rater
    return [
        PERSON,
        SESSION,
        "prolific-study-77",
        str(rater.pseudonym),
        rater.pseudonym.hex,
        str(rater.pseudonym)[:8],
        str(enrollment.public_id),
        enrollment.public_id.hex,
        make_pseudonym(enrollment.public_id),
    ]


class TestErasingOnePerson:
    def test_no_table_of_the_database_knows_them_any_more(self, study, enrollment):
        rater = enrollment.rater
        user = get_user_model().objects.create_user("ada", is_staff=True)
        exclude(enrollment, reason=f"{PERSON} wrote to us; session {SESSION}.", actor=user)
        QualityFlag.objects.create(enrollment=enrollment, rule="fast_posts", number=-4, limit=-3)
        log_event(study, StudyEvent.Action.EXCLUSION, "Looked.", detail={"who": [str(rater.pseudonym)]})
        enqueue(kind="probe", key="probe:1", payload={"study": study.pk, "note": f"of {PERSON}, \n{PERSON}"})
        Job.objects.update(error=f"No such rater: {rater.pseudonym.hex}.")
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(Enrollment),
            object_id=str(enrollment.pk),
            object_repr=str(enrollment),
            action_flag=CHANGE,
            change_message=f"Looked at {PERSON}",
        )
        names = names_of(enrollment)
        assert len(find_in_database(*names)) > 12
        erase_person(PERSON, everywhere(study), reason=f"They ({PERSON}) asked for it.", actor=user)
        assert find_in_database(*names) == []

    def test_leaves_nothing_but_an_entry_of_the_log(self, study, enrollment):
        erasure = erase_person(PERSON, everywhere(study), reason="They asked for it.")
        assert not Enrollment.objects.exists()
        assert not Rater.objects.exists()
        event = StudyEvent.objects.get(action=StudyEvent.Action.ERASURE)
        assert event.reason == "They asked for it."
        assert event.detail["rows"] == erasure.rows
        assert erasure.rows == {
            "annotation": 2,
            "assignment": 2,
            "attempt": 1,
            "calibrationanswer": 2,
            "consentrecord": 1,
            "enrollment": 1,
            "gatedecision": 1,
            "pagevisit": 8,
            "questionnaireresponse": 1,
            "rater": 1,
            "stepcompletion": 7,
        }
        assert f"{erasure.n_rows} rows" in event.summary
        assert erasure.studies == (study.slug,)

    @pytest.mark.parametrize(
        "name",
        [
            lambda e: PERSON,
            lambda e: f"  {PERSON}\n",
            lambda e: str(e.rater.pseudonym),
            lambda e: e.rater.pseudonym.hex.upper(),
            lambda e: make_pseudonym(e.public_id),
        ],
        ids=["id", "id with blanks", "pseudonym", "pseudonym without dashes", "pseudonym of an export"],
    )
    def test_is_found_by_every_name(self, study, enrollment, name):
        erase_person(name(enrollment), everywhere(study))
        assert not Enrollment.objects.exists()

    @pytest.mark.parametrize(
        "name", ["", "  ", "nobody", PERSON[:-1], PERSON[:8], "%", "0" * 32, SESSION[:6]]
    )
    def test_a_wrong_name_finds_nobody_and_changes_nothing(self, study, enrollment, name):
        before = freeze_rows()
        with pytest.raises(ErasureRefused, match="Nothing was found"):
            erase_person(name, everywhere(study))
        assert freeze_rows() == before

    def test_an_imported_person_is_found_by_the_id_of_the_file(self):
        study = make_rated_study(n_posts=4, n_raters=3, per_post=2, origin=Rater.Origin.IMPORTED)
        rater = Rater.objects.first()
        Rater.objects.filter(pk=rater.pk).update(external_id=f"{study.slug}:worker-0017")
        assert [each.rater for each in find_person("worker-0017", everywhere(study))] == [rater]

    def test_their_posts_return_to_the_pool(self, study):
        inside = services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION))
        erase_person(PERSON, everywhere(study))
        assert not Enrollment.objects.filter(pk=inside.pk).exists()
        again = services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION))
        assert again.public_id != inside.public_id

    def test_who_withdrew_is_nobody(self, study, enrollment):
        services.withdraw(enrollment)
        stranger = Rater.objects.get()
        assert find_person(str(stranger.pseudonym), everywhere(study)) == []
        assert find_person(PERSON, everywhere(study)) == []

    def test_others_and_other_studies_stay_as_they_are(self, study, enrollment):
        elsewhere = services.enroll(StudyFactory(), Entry(PERSON, "other-study", "other-session"))
        other = walk_to_the_end(services.enroll(study, Entry("somebody-else-1", "prolific-study-77", "s-1")))
        log_event(elsewhere.study, StudyEvent.Action.CHANGED, f"Wrote to {elsewhere.rater.pseudonym}.")
        erase_person(PERSON, everywhere(study))
        elsewhere.refresh_from_db()
        assert elsewhere.rater.external_id == PERSON
        assert str(elsewhere.rater.pseudonym) in StudyEvent.objects.get(action="changed").summary
        assert other.annotations.count() == 2

    def test_all_studies_at_once(self, study, enrollment):
        elsewhere = services.enroll(StudyFactory(), Entry(PERSON, "other-study", "other-session"))
        erasure = erase_person(PERSON, Study.objects.all())
        assert erasure.studies == tuple(sorted([study.slug, elsewhere.study.slug]))
        assert erasure.rows["enrollment"] == 2
        assert not Rater.objects.exists()
        assert StudyEvent.objects.filter(action=StudyEvent.Action.ERASURE).count() == 2

    def test_a_short_id_does_not_blot_out_words_of_the_log(self, study):
        services.enroll(study, Entry("rows", "prolific-study-77", "s-12"))
        erase_person("rows", everywhere(study))
        assert "rows" in StudyEvent.objects.get(action=StudyEvent.Action.ERASURE).summary

    def test_nothing_is_erased_when_something_fails(self, study, enrollment, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError

        before = freeze_rows()
        monkeypatch.setattr("modeling.erasure.scrub", fail)
        with pytest.raises(RuntimeError):
            erase_person(PERSON, everywhere(study))
        assert freeze_rows() == before


class TestWhatWasMadeOfTheirAnswers:
    def test_fits_are_outdated_and_lose_their_predictions(self):
        study = make_rated_study()
        study.enrollments.update(finished_at=timezone.now() - timedelta(hours=1))
        fit_run = fit_here(study)
        erase_person(str(Rater.objects.first().pseudonym), everywhere(study))
        fit_run.refresh_from_db()
        assert fit_run.outdated_at is not None
        assert do_jobs("erase_predictions") == [Job.State.DONE]
        assert not storages["artefacts"].exists(fit_run.artefact)

    @pytest.mark.parametrize(
        "leave", [services.withdraw, lambda e: erase_person(PERSON, everywhere(e.study))]
    )
    def test_archives_made_since_they_came_are_removed(self, study, enrollment, leave):
        earlier = make_export(study, "earlier.zip")
        DataExport.objects.filter(pk=earlier.pk).update(created_at=enrollment.started_at - timedelta(days=1))
        make_export(study, "later.zip")
        make_export(StudyFactory(), "elsewhere.zip")
        leave(enrollment)
        assert set(DataExport.objects.values_list("artefact", flat=True)) == {"earlier.zip", "elsewhere.zip"}
        assert do_jobs("erase_files") == [Job.State.DONE]
        there = {name: storages["artefacts"].exists(name) for name in ("earlier.zip", "later.zip")}
        assert there == {"earlier.zip": True, "later.zip": False}
        for name in ("earlier.zip", "elsewhere.zip"):
            storages["artefacts"].delete(name)

    def test_the_log_says_how_many_archives_went(self, study, enrollment):
        make_export(study, "one.zip")
        erase_person(PERSON, everywhere(study))
        assert StudyEvent.objects.get(action=StudyEvent.Action.ERASURE).detail["archives_removed"] == 1
        do_jobs("erase_files")

    def test_files_that_are_gone_are_no_failure(self, study):
        archive = make_export(study, "gone.zip")
        storages["artefacts"].delete(archive.artefact)
        assert remove_archives(study) == 1
        assert remove_archives(study) == 0
        assert do_jobs("erase_files") == [Job.State.DONE]


class TestCommand:
    def test_erases_when_told_yes(self, study, enrollment):
        out = StringIO()
        call_command("erase_person", PERSON, "--study", study.slug, "--yes", "--reason", "Asked.", stdout=out)
        assert not Enrollment.objects.exists()
        assert f"Erased from {study.slug}: " in out.getvalue()
        assert PERSON not in out.getvalue()

    @pytest.mark.parametrize("answer", ["no", "", "y"])
    def test_erases_nothing_without_a_yes(self, study, enrollment, monkeypatch, answer):
        monkeypatch.setattr("builtins.input", lambda question: answer)
        before = freeze_rows()
        with pytest.raises(CommandError, match="Nothing was erased"):
            call_command("erase_person", PERSON, "--all-studies")
        assert freeze_rows() == before

    def test_a_yes_on_the_terminal_is_enough(self, study, enrollment, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda question: "yes")
        call_command("erase_person", PERSON, "--all-studies", stdout=StringIO())
        assert not Enrollment.objects.exists()

    def test_says_what_it_does_not_find(self, study, enrollment):
        with pytest.raises(CommandError, match=NOTHING_FOUND):
            call_command("erase_person", "nobody-here", "--all-studies", "--yes")
        with pytest.raises(CommandError, match="no study 'nowhere'"):
            call_command("erase_person", PERSON, "--study", "nowhere", "--yes")


def test_an_unfinished_person_outdates_no_fit():
    study = make_rated_study()
    fit_run = fit_here(study)
    rater = Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id=PERSON)
    Enrollment.objects.create(
        study=study, rater=rater, outcome=Outcome.SCREENED_OUT, finished_at=timezone.now()
    )
    erase_person(PERSON, everywhere(study))
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is None
