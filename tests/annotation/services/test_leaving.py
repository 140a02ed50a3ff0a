from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from annotation import services
from annotation.errors import StudyClosed
from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    Enrollment,
    Outcome,
    Rater,
    Study,
    Withdrawal,
)
from annotation.recruitment import Entry
from annotation.selectors import get_completion_code, get_current_step, get_open_assignment
from annotation.services.leaving import _time_out
from annotation.signals import answers_erased
from annotation.tasks import time_out_overdue
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from calibration.services import answer_question, answer_questionnaire
from tests.every_step import ALL_CODES, build_study
from tests.factories import EnrollmentFactory, StudyFactory
from tests.visitor import freeze_rows, mark_nothing, rate_social_focus

pytestmark = pytest.mark.django_db
PERSON = "5f0c1d2e3b4a59687766aabb"
SESSION = "64e1f0a9b8c7d6e5f4a3b2c1"


def submit(enrollment, reading=None, **options):
    return services.submit_annotation(
        get_open_assignment(enrollment), get_current_step(enrollment), reading or mark_nothing(), **options
    )


def statuses(enrollment):
    return list(enrollment.assignments.order_by("position").values_list("status", flat=True))


class TestTimeRunningOut:
    @pytest.fixture
    def study(self):
        return StudyFactory(
            steps=("labeling", "vcq"), posts=3, posts_per_rater=2, estimated_minutes=20, codes=ALL_CODES
        )

    @pytest.fixture
    def enrollment(self, study):
        return EnrollmentFactory(study=study)

    @staticmethod
    def after(enrollment, minutes):
        return enrollment.started_at + timedelta(minutes=minutes)

    def test_nobody_is_timed_out_before_prolific_would_do_so(self, enrollment):
        assert services.time_out_overdue(self.after(enrollment, 50.9)) == 0
        assert services.time_out_overdue(self.after(enrollment, 51)) == 1
        enrollment.refresh_from_db()
        assert (enrollment.outcome, enrollment.timed_out_at) == (
            Outcome.TIMED_OUT,
            self.after(enrollment, 51),
        )

    def test_a_study_may_allow_more_time_but_never_less(self, enrollment):
        for max_minutes, limit in ((90, 90), (10, 51)):
            Study.objects.update(max_minutes=max_minutes)
            assert services.time_out_overdue(self.after(enrollment, limit - 0.1)) == 0
        assert services.time_out_overdue(self.after(enrollment, 51)) == 1

    def test_a_study_without_an_estimate_keeps_no_other_from_its_end(self, enrollment):
        other = EnrollmentFactory(study=StudyFactory(estimated_minutes=0))
        assert services.time_out_overdue(self.after(other, 60)) == 2

    def test_posts_read_and_being_read_return_to_the_pool(self, study, enrollment):
        submit(enrollment)
        services.time_out_overdue(self.after(enrollment, 60))
        assert statuses(enrollment) == ["released", "released"]
        assert Annotation.objects.filter(enrollment=enrollment).count() == 1

    def test_those_who_are_out_already_are_left_alone(self, enrollment):
        services.finish(enrollment, Outcome.COMPLETED)
        before = freeze_rows()
        assert services.time_out_overdue(self.after(enrollment, 600)) == 0
        assert freeze_rows() == before

    def test_the_task_can_run_again_and_again(self, enrollment):
        Enrollment.objects.update(started_at=timezone.now() - timedelta(hours=2))
        time_out_overdue()
        before = freeze_rows()
        time_out_overdue()
        assert freeze_rows() == before
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.TIMED_OUT

    def test_someone_who_comes_back_finds_their_posts_and_can_complete_marked(self, enrollment):
        submit(enrollment)
        post = get_open_assignment(enrollment).post
        services.time_out_overdue(self.after(enrollment, 60))
        enrollment = services.go_on_after_time_out(enrollment)
        assert statuses(enrollment) == ["submitted", "open"]
        assert get_open_assignment(enrollment).post == post
        submit(enrollment)
        while step := get_current_step(enrollment):
            services.complete_step(enrollment, step)
            enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.COMPLETED
        assert enrollment.timed_out_at is not None
        assert get_completion_code(enrollment) == ALL_CODES[Outcome.COMPLETED]

    def test_nobody_is_timed_out_twice(self, enrollment):
        services.time_out_overdue(self.after(enrollment, 60))
        services.go_on_after_time_out(enrollment)
        before = freeze_rows()
        assert services.time_out_overdue(self.after(enrollment, 6000)) == 0
        assert freeze_rows() == before

    def test_a_clock_that_comes_late_finds_them_back_and_leaves_them_alone(self, enrollment):
        as_it_was = Enrollment.objects.get(pk=enrollment.pk)
        services.time_out_overdue(self.after(enrollment, 60))
        services.go_on_after_time_out(enrollment)
        before = freeze_rows()
        assert not _time_out(as_it_was, self.after(enrollment, 61))
        assert freeze_rows() == before

    def test_coming_back_twice_is_coming_back_once(self, enrollment):
        services.time_out_overdue(self.after(enrollment, 60))
        services.go_on_after_time_out(enrollment)
        before = freeze_rows()
        services.go_on_after_time_out(enrollment)
        assert freeze_rows() == before

    @pytest.mark.parametrize("outcome", [o for o in Outcome if o != Outcome.TIMED_OUT])
    def test_no_other_end_is_taken_back(self, enrollment, outcome):
        services.finish(enrollment, outcome)
        before = freeze_rows()
        services.go_on_after_time_out(enrollment)
        assert freeze_rows() == before

    def test_an_open_post_that_reached_its_cap_meanwhile_is_exchanged_for_another(self):
        study = StudyFactory(
            steps=("labeling",), posts=2, posts_per_rater=1, redundancy_cap=1, strategy=Study.Strategy.FIXED
        )
        enrollment = EnrollmentFactory(study=study)
        services.time_out_overdue(self.after(enrollment, 600))
        other = EnrollmentFactory(study=study)
        assert get_open_assignment(other).post.key == "p1"
        services.go_on_after_time_out(enrollment)
        assert statuses(enrollment) == ["released", "open"]
        assert get_open_assignment(enrollment).post.key == "p2"

    def test_posts_that_were_read_are_theirs_again_whoever_has_them_now(self):
        study = StudyFactory(
            steps=("labeling",), posts=2, posts_per_rater=2, redundancy_cap=1, strategy=Study.Strategy.FIXED
        )
        enrollment = EnrollmentFactory(study=study)
        submit(enrollment)
        services.time_out_overdue(self.after(enrollment, 600))
        other = EnrollmentFactory(study=study)
        submit(other)
        enrollment = services.go_on_after_time_out(enrollment)
        assert statuses(enrollment) == ["submitted", "released"]
        assert enrollment.outcome == Outcome.COMPLETED  # no post was left, and they had read one

    def test_someone_timed_out_on_the_consent_page_comes_back_to_it(self):
        enrollment = EnrollmentFactory()
        services.time_out_overdue(self.after(enrollment, 600))
        enrollment = services.go_on_after_time_out(enrollment)
        assert get_current_step(enrollment).kind == "consent"


def walk_to_the_end(enrollment):
    """Answer every step of a study of every kind, leaving rows in every table."""
    while step := get_current_step(enrollment):
        if step.kind == "consent":
            services.record_consent(enrollment, step, given=True)
        elif step.kind == "labeling":
            item = str(get_open_assignment(enrollment).pk)
            services.save_draft(enrollment, step, item, "rationale=half", page="p", number=1)
            submit(enrollment, rate_social_focus(2), rationale=f"I, {PERSON}, saw this.")
        elif step.kind == "vcq":
            for question in enrollment.study.calibration_questions.all():
                answer_question(enrollment, step, question, rating=2)
        elif step.kind == "questionnaire":
            answer_questionnaire(
                enrollment, step, enrollment.study.questionnaires.get(), answers={"pet": PERSON}
            )
        elif step.kind == "attention_check":
            services.record_attention_answer(enrollment, step, answers={"seen": PERSON}, is_right=True)
        else:
            services.complete_step(enrollment, step)
        services.record_visit(enrollment, step, "", shown_at=timezone.now(), client={"note": PERSON})
        enrollment.refresh_from_db()
    return enrollment


def dump_database():
    """Every value of every row of every table, as the database gives it."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - no stranger's name
            for row in cursor.fetchall():
                yield from (f"{table}: {bytes(v) if isinstance(v, memoryview) else v}" for v in row)


def find_in_database(*words):
    return [value for value in dump_database() if any(word in value for word in words)]


class TestWithdrawing:
    STEPS = ("consent", "instructions", "number", "labeling", "vcq", "questionnaire", "debrief")

    @pytest.fixture
    def study(self):
        return build_study(*self.STEPS)

    @pytest.fixture
    def enrollment(self, study):
        return services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION))

    def test_erases_everything_of_someone_who_had_completed(self, enrollment):
        enrollment = walk_to_the_end(enrollment)
        assert enrollment.outcome == Outcome.COMPLETED
        assert len(find_in_database(PERSON)) > 5
        services.withdraw(enrollment)
        assert find_in_database(PERSON, SESSION, "prolific-study-77") == []
        for model in (Annotation, Assignment, Attempt, CalibrationAnswer, QuestionnaireResponse):
            assert not model.objects.exists()

    def test_leaves_the_enrollment_and_a_proof_of_how_much_was_erased(self, enrollment):
        enrollment = walk_to_the_end(enrollment)
        services.withdraw(enrollment)
        rows = {name: entries for name, entries in freeze_rows().items() if entries}
        of_the_study = ("Study", "Step", "Post", "CompletionCode", "ValueSystem", "ValueNode")
        left = {name.split(".")[1] for name in rows if name.split(".")[0] in ("annotation", "calibration")}
        assert left - set(of_the_study) == {
            "Rater",
            "Enrollment",
            "Withdrawal",
            "CalibrationQuestion",
            "Questionnaire",
        }
        assert Withdrawal.objects.get().erased == {
            "annotation": 2,
            "assignment": 2,
            "attempt": 1,
            "calibrationanswer": 2,
            "consentrecord": 1,
            "gatedecision": 1,
            "pagevisit": 8,
            "questionnaireresponse": 1,
            "stepcompletion": 7,
        }
        enrollment = Enrollment.objects.get()
        assert enrollment.outcome == Outcome.WITHDREW
        assert (enrollment.prolific_study_id, enrollment.prolific_session_id) == ("", "")
        assert get_completion_code(enrollment) == ALL_CODES[Outcome.WITHDREW]

    def test_gives_a_new_pseudonym_and_keeps_where_the_person_came_from(self, enrollment):
        before = enrollment.rater
        services.withdraw(enrollment)
        after = Rater.objects.get()
        assert after.pseudonym != before.pseudonym
        assert after.origin == before.origin

    def test_works_in_the_middle_of_the_way_and_frees_the_open_post(self, study):
        study = StudyFactory(steps=("labeling",), posts=1, posts_per_rater=1, redundancy_cap=1)
        services.withdraw(EnrollmentFactory(study=study))
        assert get_open_assignment(EnrollmentFactory(study=study)).post.key == "p1"

    @pytest.mark.parametrize("outcome", [o for o in Outcome if o != Outcome.WITHDREW])
    def test_works_after_every_other_end(self, enrollment, outcome):
        services.finish(enrollment, outcome)
        assert services.withdraw(enrollment).outcome == Outcome.WITHDREW
        assert find_in_database(PERSON) == []

    def test_twice_is_once(self, enrollment):
        services.withdraw(enrollment)
        before = freeze_rows()
        heard = []
        answers_erased.connect(listener := lambda **kwargs: heard.append(kwargs))
        services.withdraw(Enrollment.objects.get())
        answers_erased.disconnect(listener)
        assert freeze_rows() == before
        assert heard == []

    def test_the_link_takes_them_in_as_a_new_person(self, study, enrollment):
        services.withdraw(enrollment)
        again = services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION))
        assert again.public_id != enrollment.public_id
        assert get_current_step(again).kind == "consent"
        assert Enrollment.objects.count() == 2

    def test_a_closed_study_does_not_know_them_any_more(self, study, enrollment):
        services.withdraw(enrollment)
        Study.objects.update(state=Study.State.CLOSED)
        study.refresh_from_db()
        with pytest.raises(StudyClosed):
            services.enroll(study, Entry(PERSON, "prolific-study-77", SESSION))

    def test_leaves_what_they_did_in_another_study_and_what_others_did(self, study, enrollment):
        elsewhere = services.enroll(StudyFactory(), Entry(PERSON, "other-study", "other-session"))
        someone = walk_to_the_end(EnrollmentFactory(study=study))
        services.withdraw(enrollment)
        elsewhere.refresh_from_db()
        assert elsewhere.rater.external_id == PERSON
        assert someone.annotations.count() == 2
        assert someone.calibration_answers.count() == 2

    def test_tells_who_listens_which_study_and_when_it_had_been_completed(self, enrollment):
        heard = []

        def listen(sender, study, completed_at, **kwargs):
            heard.append((study, completed_at, Annotation.objects.count(), connection.in_atomic_block))

        answers_erased.connect(listen)
        try:
            done = walk_to_the_end(EnrollmentFactory(study=enrollment.study))
            completed_at = done.finished_at
            completed_at = done.finished_at
            services.withdraw(services.finish(enrollment, Outcome.SCREENED_OUT))
            services.withdraw(done)
        finally:
            answers_erased.disconnect(listen)
        assert heard == [(enrollment.study, None, 2, True), (enrollment.study, completed_at, 0, True)]

    def test_nothing_is_erased_when_a_listener_fails(self, enrollment):
        before = freeze_rows()

        def fail(**kwargs):
            raise RuntimeError

        answers_erased.connect(fail)
        try:
            with pytest.raises(RuntimeError):
                services.withdraw(enrollment)
        finally:
            answers_erased.disconnect(fail)
        assert freeze_rows() == before
