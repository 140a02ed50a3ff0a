from datetime import date, timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation import services
from annotation.models import Annotation, Draft, Enrollment, Rater, Study, StudyAccess, StudyEvent
from annotation.recruitment import Entry
from annotation.services.audit import log_event
from calibration.models import QuestionnaireResponse
from modeling.errors import ErasureRefused
from modeling.matrices import load_table
from modeling.models import DataExport
from modeling.retention import (
    describe,
    erase_identities,
    find_milestone,
    get_note,
    remind,
    select_identifiable,
)
from modeling.tasks import remind_of_retention
from tests.annotation.services.test_leaving import find_in_database, walk_to_the_end
from tests.every_step import build_study
from tests.factories import EnrollmentFactory, QuestionnaireFactory, StudyFactory
from tests.modeling.rated import fit_here, make_rated_study
from tests.modeling.test_erasure import PERSON, SESSION, STEPS, make_export, names_of
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db
DAY = date(2027, 3, 1)


@pytest.fixture
def study():
    study = StudyFactory(retain_until=DAY)
    EnrollmentFactory(study=study)
    return study


def owner_of(study, name="ada", **more):
    user = get_user_model().objects.create_user(
        name, **({"email": f"{name}@example.org", "is_staff": True} | more)
    )
    StudyAccess.objects.create(study=study, user=user, role=StudyAccess.Role.OWNER)
    return user


def events():
    return list(StudyEvent.objects.filter(action=StudyEvent.Action.RETENTION).order_by("pk"))


class TestReminders:
    @pytest.mark.parametrize(
        ("days_left", "milestone"),
        [
            (30, 30),
            (15, 30),
            (14, 14),
            (8, 14),
            (7, 7),
            (2, 7),
            (1, 1),
            (0, 0),
            (-1, 0),
            (-6, 0),
            (-7, -7),
            (-20, -14),
        ],
    )
    def test_what_is_due(self, days_left, milestone):
        assert find_milestone(days_left) == milestone

    def test_nothing_is_said_before_the_last_thirty_days(self, study):
        assert get_note(study, DAY - timedelta(days=31)) is None
        assert get_note(study, DAY - timedelta(days=30)).n_people == 1

    def test_nothing_is_said_where_nobody_can_be_told(self, study):
        Study.objects.update(state=Study.State.CLOSED)
        erase_identities(study)
        assert get_note(study, DAY) is None
        assert get_note(StudyFactory(retain_until=DAY), DAY) is None
        assert get_note(StudyFactory(), DAY) is None

    def test_simulated_raters_are_nobodys_personal_data(self):
        study = StudyFactory(retain_until=DAY)
        services.enroll(study, Entry("simulated-1", "s", "t", Rater.Origin.SIMULATED))
        assert get_note(study, DAY) is None

    def test_each_reminder_is_given_once_however_often_the_clock_strikes(self, study):
        given = [remind(DAY + timedelta(days=offset)) for offset in range(-40, 22) for _ in range(2)]
        assert sum(given) == len(events()) == 5 + 3
        assert [event.detail["milestone"] for event in events()] == [30, 14, 7, 1, 0, -7, -14, -21]
        assert {event.detail["until"] for event in events()} == {"2027-03-01"}
        assert {event.actor_name for event in events()} == {"command"}

    def test_a_clock_that_stood_still_gives_the_reminder_that_is_due_now(self, study):
        assert remind(DAY - timedelta(days=3)) == 1
        assert [event.detail["milestone"] for event in events()] == [7]

    def test_another_day_is_reminded_of_anew(self, study):
        remind(DAY)
        Study.objects.update(retain_until=DAY + timedelta(days=20))
        assert remind(DAY) == 1

    def test_nothing_is_ever_erased_by_the_clock(self, study):
        people = list(Rater.objects.values_list())
        for offset in range(-40, 400, 10):
            remind(DAY + timedelta(days=offset))
        assert list(Rater.objects.values_list()) == people

    def test_the_task_can_run_again_and_again(self, study):
        Study.objects.update(retain_until=timezone.localdate())
        remind_of_retention()
        before = freeze_rows()
        remind_of_retention()
        assert freeze_rows() == before
        assert len(events()) == 1

    def test_the_words(self, study):
        assert (
            describe(get_note(study, DAY)) == "The personal data of 1 person is to be erased by 1 March 2027."
        )
        EnrollmentFactory(study=study)
        assert describe(get_note(study, DAY + timedelta(days=1))) == (
            "The personal data of 2 people should have been erased by 1 March 2027."
        )


class TestMail:
    def test_owners_are_mailed_where_mail_is_set_up(
        self, study, settings, django_capture_on_commit_callbacks
    ):
        settings.EMAIL_HOST = "mail.example.org"
        owner_of(study)
        owner_of(study, "silent", email="")
        owner_of(study, "gone", is_active=False)
        owner_of(StudyFactory(), "stranger")
        analyst = get_user_model().objects.create_user("analyst", "analyst@example.org", is_staff=True)
        StudyAccess.objects.create(study=study, user=analyst, role=StudyAccess.Role.ANALYST)
        with django_capture_on_commit_callbacks(execute=True):
            remind(DAY)
        (message,) = mail.outbox
        assert message.to == ["ada@example.org"]
        assert study.slug in message.subject
        assert "to be erased by 1 March 2027" in message.body
        assert f"manage.py erase_identities {study.slug}" in message.body

    def test_no_mail_is_tried_where_none_is_set_up(self, study, django_capture_on_commit_callbacks):
        owner_of(study)
        with django_capture_on_commit_callbacks(execute=True):
            assert remind(DAY) == 1
        assert mail.outbox == []

    def test_a_mail_that_fails_leaves_the_reminder_in_the_log(
        self, study, settings, monkeypatch, django_capture_on_commit_callbacks, caplog
    ):
        settings.EMAIL_HOST = "mail.example.org"
        owner_of(study)

        def fail(*args, **kwargs):
            raise OSError("no route; ada@example.org")

        monkeypatch.setattr("modeling.retention.send_mail", fail)
        with django_capture_on_commit_callbacks(execute=True):
            remind(DAY)
        assert len(events()) == 1
        assert "was not mailed (OSError)" in caplog.text
        assert "ada@example.org" not in caplog.text


class TestErasingIdentities:
    @pytest.fixture
    def study(self):
        return build_study(*STEPS)

    @pytest.fixture
    def enrollment(self, study):
        return walk_to_the_end(services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION)))

    def close(self, study):
        Study.objects.filter(pk=study.pk).update(state=Study.State.CLOSED)
        study.refresh_from_db()

    def test_no_table_knows_anybody_any_more_and_the_ratings_stay(self, study, enrollment):
        Annotation.objects.update(rationale="I saw this.")  # the helper writes the id into each answer
        QuestionnaireResponse.objects.update(answers={"pet": "cat"})
        enrollment.attempts.update(answers={})
        enrollment.page_visits.update(client={})
        log_event(study, StudyEvent.Action.EXCLUSION, "Looked.", reason=f"{PERSON} wrote to us.")
        ratings = list(Annotation.objects.order_by("pk").values_list("ratings", "codes"))
        names = names_of(enrollment)
        assert len(find_in_database(*names)) > 3
        self.close(study)
        done = erase_identities(study, reason="The day has come.")
        assert find_in_database(*names) == []
        assert list(Annotation.objects.order_by("pk").values_list("ratings", "codes")) == ratings
        assert (done.n_people, done.n_archives) == (1, 0)
        rater = Rater.objects.get()
        assert rater.origin == Rater.Origin.PROLIFIC
        assert rater.external_id.startswith("erased-")

    def test_what_was_written_freely_goes_and_what_was_chosen_stays(self, study, enrollment):
        QuestionnaireFactory(
            study=study,
            key="more",
            definition={
                "key": "more",
                "version": 1,
                "title": "More",
                "items": [
                    {"key": "words", "kind": "text", "label": "Say more."},
                    {"key": "age", "kind": "number", "label": "How old?"},
                    {
                        "key": "pet",
                        "kind": "single",
                        "label": "Pet?",
                        "options": [{"value": "cat", "label": "Cat"}, {"value": "dog", "label": "Dog"}],
                    },
                ],
            },
        )
        response = QuestionnaireResponse.objects.create(
            enrollment=enrollment,
            questionnaire=study.questionnaires.get(key="more"),
            version=1,
            answers={"words": "I am Ada.", "age": 36, "pet": "cat", "once_asked": "My street.", "empty": ""},
        )
        self.close(study)
        done = erase_identities(study)
        response.refresh_from_db()
        assert response.answers == {
            "words": "[erased]", "age": 36, "pet": "cat", "once_asked": "[erased]", "empty": "",
        }  # fmt: skip
        assert set(Annotation.objects.values_list("rationale", flat=True)) == {"[erased]"}
        assert done.n_texts >= 4

    def test_texts_can_be_kept(self, study, enrollment):
        Annotation.objects.update(rationale="Because of the bread.")
        self.close(study)
        assert erase_identities(study, with_texts=False).n_texts == 0
        assert set(Annotation.objects.values_list("rationale", flat=True)) == {"Because of the bread."}

    def test_the_measures_do_not_change_and_no_fit_is_outdated(self):
        study = make_rated_study()
        self.close(study)
        fit_run = fit_here(study)
        before = load_table(study)
        erase_identities(study)
        after = load_table(study)
        assert (after.data_hash, after.enrollment_ids) == (before.data_hash, before.enrollment_ids)
        fit_run.refresh_from_db()
        assert fit_run.outdated_at is None

    def test_nobodys_old_page_address_opens_and_no_draft_stays(self, study, enrollment):
        inside = services.enroll(study, Entry("somebody-else-1", "prolific-study-77", "session-2"))
        step = study.steps.get(kind="consent")
        Draft.objects.create(enrollment=inside, step=step, fields="name=Ada", page="p", number=1)
        former = set(Enrollment.objects.values_list("public_id", flat=True))
        self.close(study)
        erase_identities(study)
        assert not former & set(Enrollment.objects.values_list("public_id", flat=True))
        assert not Draft.objects.exists()

    def test_simulated_raters_stay_as_they_are(self, study):
        simulated = services.enroll(study, Entry("simulated-1", "s", "t", Rater.Origin.SIMULATED))
        self.close(study)
        assert erase_identities(study).n_people == 0
        simulated.rater.refresh_from_db()
        assert simulated.rater.external_id == "simulated-1"

    def test_who_is_in_another_study_stays_known_there_and_there_alone(self, study, enrollment):
        elsewhere = services.enroll(StudyFactory(), Entry(PERSON, "other-study", "other-session"))
        self.close(study)
        erase_identities(study)
        elsewhere.refresh_from_db()
        enrollment.refresh_from_db()
        assert elsewhere.rater.external_id == PERSON
        assert enrollment.rater != elsewhere.rater
        assert Enrollment.objects.filter(rater__external_id=PERSON).get() == elsewhere

    def test_archives_go(self, study, enrollment):
        make_export(study, "old.zip")
        self.close(study)
        assert erase_identities(study).n_archives == 1
        assert not DataExport.objects.exists()

    def test_it_is_logged_and_a_second_time_finds_nobody(self, study, enrollment):
        self.close(study)
        user = owner_of(study)
        erase_identities(study, reason="The day has come.", actor=user)
        (event,) = events()
        assert (event.actor, event.reason) == (user, "The day has come.")
        assert event.detail["people"] == 1
        assert not select_identifiable(study).exists()
        assert erase_identities(study).n_people == 0

    @pytest.mark.parametrize("state", Study.TAKES_PEOPLE)
    def test_a_study_that_takes_people_in_is_left_alone(self, study, enrollment, state):
        Study.objects.update(state=state)
        before = freeze_rows()
        with pytest.raises(ErasureRefused, match="Pause or close it first"):
            erase_identities(study)
        assert freeze_rows() == before

    def test_many_people_are_renamed_in_few_queries(self, django_assert_max_num_queries):
        study = make_rated_study(n_posts=4, n_raters=40, per_post=5)
        self.close(study)
        with django_assert_max_num_queries(30):
            assert erase_identities(study).n_people == 40
        assert Rater.objects.count() == 40
        assert Rater.objects.values("external_id").distinct().count() == 40

    def test_the_command(self, study, enrollment, monkeypatch):
        with pytest.raises(CommandError, match="Pause or close"):
            call_command("erase_identities", study.slug, "--yes")
        self.close(study)
        monkeypatch.setattr("builtins.input", lambda question: "no")
        with pytest.raises(CommandError, match="Nothing was erased"):
            call_command("erase_identities", study.slug)
        assert Rater.objects.filter(external_id=PERSON).exists()
        out = StringIO()
        call_command("erase_identities", study.slug, "--yes", "--keep-texts", "--reason", "Day.", stdout=out)
        assert "What names 1 people is erased, with 0 texts" in out.getvalue()
        assert not Rater.objects.filter(external_id=PERSON).exists()
        with pytest.raises(CommandError, match="no study 'nowhere'"):
            call_command("erase_identities", "nowhere", "--yes")
