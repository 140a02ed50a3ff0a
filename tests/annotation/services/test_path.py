import pytest

from annotation import services
from annotation.errors import StudyClosed
from annotation.models import (
    Assignment,
    ConsentRecord,
    Draft,
    Enrollment,
    Outcome,
    Rater,
    StepCompletion,
    Study,
)
from annotation.recruitment import Entry
from annotation.selectors import get_completion_code, get_current_step, get_open_assignment
from tests.factories import EnrollmentFactory, StepFactory, StudyFactory
from tests.visitor import freeze_rows, mark_nothing

pytestmark = pytest.mark.django_db


def submit(enrollment, reading=None, **options):
    """Submit someone's open post as read."""
    return services.submit_annotation(
        get_open_assignment(enrollment), get_current_step(enrollment), reading or mark_nothing(), **options
    )


class TestEnrolling:
    entry = Entry("rater-one", "study-1", "session-1")

    def test_a_new_person_is_taken_in_at_the_first_step(self):
        study = StudyFactory()
        enrollment = services.enroll(study, self.entry)
        assert get_current_step(enrollment).kind == "consent"
        assert (enrollment.prolific_study_id, enrollment.prolific_session_id) == ("study-1", "session-1")
        assert enrollment.rater.origin == Rater.Origin.PROLIFIC

    def test_arriving_again_finds_the_same_enrollment_wherever_it_stands(self):
        study = StudyFactory()
        enrollment = services.enroll(study, self.entry)
        services.record_consent(enrollment, get_current_step(enrollment), given=True)
        again = services.enroll(study, Entry("rater-one", "study-1", "session-2"))
        assert again == enrollment
        assert get_current_step(again).kind == "labeling"
        assert Enrollment.objects.count() == Rater.objects.count() == 1

    def test_one_person_in_two_studies_is_one_rater_with_two_enrollments(self):
        services.enroll(StudyFactory(), self.entry)
        services.enroll(StudyFactory(), self.entry)
        assert (Rater.objects.count(), Enrollment.objects.count()) == (1, 2)

    @pytest.mark.parametrize("state", [Study.State.CLOSED, Study.State.DRAFT])
    def test_a_study_that_is_not_live_takes_nobody_in_and_stores_nobody(self, state):
        study = StudyFactory(state=state)
        with pytest.raises(StudyClosed):
            services.enroll(study, self.entry)
        assert not Rater.objects.exists()

    def test_those_inside_go_on_when_the_study_closes(self):
        study = StudyFactory(steps=("labeling",))
        enrollment = services.enroll(study, self.entry)
        Study.objects.update(state=Study.State.CLOSED)
        study.refresh_from_db()
        assert services.enroll(study, self.entry) == enrollment
        submit(enrollment)
        submit(enrollment)
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.COMPLETED

    def test_a_study_without_steps_is_complete_at_once(self):
        assert services.enroll(StudyFactory(steps=()), self.entry).outcome == Outcome.COMPLETED


class TestSteps:
    def test_the_current_step_follows_what_is_stored_and_the_researchers_order(self):
        study = StudyFactory(steps=())
        for position, kind in ((30, "vcq"), (10, "consent"), (20, "labeling")):
            StepFactory(study=study, position=position, kind=kind)
        enrollment = EnrollmentFactory(study=study)
        walked = []
        while step := get_current_step(enrollment):
            walked.append(step.kind)
            services.complete_step(enrollment, step)
            enrollment.refresh_from_db()
        assert walked == ["consent", "labeling", "vcq"]
        assert enrollment.outcome == Outcome.COMPLETED

    def test_a_step_that_is_not_the_current_one_changes_nothing(self):
        enrollment = EnrollmentFactory()
        before = freeze_rows()
        services.complete_step(enrollment, enrollment.study.steps.get(kind="vcq"))
        assert freeze_rows() == before

    def test_a_step_done_twice_is_done_once(self):
        enrollment = EnrollmentFactory()
        step = get_current_step(enrollment)
        services.complete_step(enrollment, step)
        services.complete_step(enrollment, step)
        assert StepCompletion.objects.count() == 1

    def test_nobody_past_the_end_has_a_step(self):
        enrollment = services.finish(EnrollmentFactory(), Outcome.STUDY_FULL)
        assert get_current_step(enrollment) is None

    def test_the_first_end_stands(self):
        enrollment = services.finish(EnrollmentFactory(), Outcome.NO_CONSENT)
        finished_at = enrollment.finished_at
        enrollment = services.finish(enrollment, Outcome.COMPLETED)
        assert (enrollment.outcome, enrollment.finished_at) == (Outcome.NO_CONSENT, finished_at)

    def test_the_code_is_that_of_the_outcome_and_none_before(self):
        enrollment = EnrollmentFactory()
        assert get_completion_code(enrollment) == ""
        assert get_completion_code(services.finish(enrollment, Outcome.NO_CONSENT)) == "NOPE2222"
        without = EnrollmentFactory(study=StudyFactory(codes={}))
        assert get_completion_code(services.finish(without, Outcome.COMPLETED)) == ""


class TestConsent:
    def test_a_yes_is_kept_with_the_version_of_the_page_and_opens_the_next_step(self):
        enrollment = EnrollmentFactory()
        enrollment = services.record_consent(enrollment, get_current_step(enrollment), given=True)
        record = ConsentRecord.objects.get()
        assert (record.given, record.version) == (True, 3)
        assert get_current_step(enrollment).kind == "labeling"
        assert not enrollment.outcome

    def test_a_no_is_kept_and_ends_the_participation(self):
        enrollment = EnrollmentFactory()
        enrollment = services.record_consent(enrollment, get_current_step(enrollment), given=False)
        assert enrollment.outcome == Outcome.NO_CONSENT
        assert ConsentRecord.objects.get().given is False
        assert not Assignment.objects.exists()

    @pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
    def test_the_first_answer_stands(self, first, second):
        enrollment = EnrollmentFactory()
        step = get_current_step(enrollment)
        services.record_consent(enrollment, step, given=first)
        before = freeze_rows()
        services.record_consent(enrollment, step, given=second)
        assert freeze_rows() == before

    def test_a_second_consent_page_does_not_hold_anyone_up(self):
        enrollment = EnrollmentFactory(study__steps=("consent", "consent", "labeling"))
        for _ in range(2):
            enrollment = services.record_consent(enrollment, get_current_step(enrollment), given=True)
        assert get_current_step(enrollment).kind == "labeling"

    def test_an_answer_to_a_page_that_is_not_open_is_no_answer(self):
        enrollment = EnrollmentFactory(study__steps=("consent", "labeling"))
        consent = get_current_step(enrollment)
        services.complete_step(enrollment, consent)
        before = freeze_rows()
        services.record_consent(enrollment, consent, given=False)
        assert freeze_rows() == before


class TestFinishing:
    @pytest.mark.parametrize("outcome", [Outcome.SCREENED_OUT, Outcome.FAILED_ATTENTION, Outcome.TIMED_OUT])
    def test_all_posts_of_someone_who_does_not_complete_return_to_the_pool(self, outcome):
        enrollment = EnrollmentFactory(study__steps=("labeling",))
        submit(enrollment)
        services.finish(enrollment, outcome)
        assert list(enrollment.assignments.values_list("status", flat=True)) == ["released", "released"]

    def test_someone_who_completes_keeps_theirs(self):
        enrollment = EnrollmentFactory(study__steps=("labeling",))
        submit(enrollment)
        submit(enrollment)
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.COMPLETED
        assert set(enrollment.assignments.values_list("status", flat=True)) == {"submitted"}

    @pytest.mark.parametrize(
        ("outcome", "n_kept"), [(Outcome.FAILED_ATTENTION, 0), (Outcome.COMPLETED, 0), (Outcome.TIMED_OUT, 1)]
    )
    def test_only_someone_who_may_come_back_keeps_what_they_had_begun(self, outcome, n_kept):
        enrollment = EnrollmentFactory(study__steps=("vcq",))
        assert services.save_draft(
            enrollment, get_current_step(enrollment), "1", "rating=3", page="p", number=1
        )
        services.finish(enrollment, outcome)
        assert Draft.objects.count() == n_kept
