import dataclasses

import pytest

from annotation import services
from annotation.errors import AlreadySubmitted, Refused, StudyClosed
from annotation.models import (
    Annotation,
    Assignment,
    ConsentRecord,
    Enrollment,
    Outcome,
    Post,
    Rater,
    StepCompletion,
    Study,
    ValueNode,
)
from annotation.recruitment import Entry
from annotation.selectors import get_completion_code, get_current_step, get_open_assignment, get_tree
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import CHOSEN, IMPLIED, Reading, WalkError
from tests.factories import (
    EnrollmentFactory,
    PostFactory,
    StepFactory,
    StudyFactory,
    ValueSystemFactory,
    load_nineteen,
    load_ten,
)
from tests.visitor import freeze_rows, mark_nothing, rate_social_focus

pytestmark = pytest.mark.django_db


def submit(enrollment, reading=None, **options):
    """Submit someone's open post as read."""
    return services.submit_annotation(
        get_open_assignment(enrollment), get_current_step(enrollment), reading or mark_nothing(), **options
    )


def reworded(tree, **changes):
    return dataclasses.replace(tree, **changes)


def edited(tree, edit) -> ValueTree:
    data = tree.to_dict()
    edit(data)
    return ValueTree.from_dict(data)


class TestSavingAValueSystem:
    def test_the_same_system_twice_is_one(self):
        first, second = services.save_value_system(load_ten()), services.save_value_system(load_ten())
        assert first == second
        assert ValueNode.objects.count() == len(load_ten().leaves) + len(load_ten().branches)

    def test_wording_is_renewed_even_when_people_have_answered(self):
        EnrollmentFactory()
        tree = reworded(load_ten(), name="Ten values, said better", version=2)
        assert get_tree(services.save_value_system(tree)) == tree

    @pytest.mark.parametrize(
        "edit",
        [
            lambda data: data["scale"].update(max=7),
            lambda data: data["scale"].update(min=0),
            lambda data: data["root"]["children"].reverse(),
            lambda data: data["root"]["children"][1]["children"].pop(),
            lambda data: data["root"]["children"][1].update(key="renamed"),
        ],
        ids=["a longer scale", "another low end", "another order", "a value less", "a group renamed"],
    )
    def test_anything_but_wording_is_refused_once_people_have_entered(self, edit):
        EnrollmentFactory()
        before = freeze_rows()
        with pytest.raises(Refused, match="Give the new system a new slug"):
            services.save_value_system(edited(load_ten(), edit))
        assert freeze_rows() == before

    def test_a_value_moved_to_another_group_is_refused_though_the_order_stays(self):
        def move(data):
            first, second = data["root"]["children"][0]["children"]
            second["children"].insert(0, first["children"].pop()["children"][0])

        moved = edited(load_ten(), move)
        assert moved.value_keys == load_ten().value_keys
        EnrollmentFactory()
        with pytest.raises(Refused):
            services.save_value_system(moved)

    def test_a_system_nobody_has_met_may_change_and_takes_its_studies_along(self):
        study = StudyFactory()
        shorter = edited(load_ten(), lambda data: data["root"]["children"][1]["children"].pop())
        services.save_value_system(shorter)
        study.refresh_from_db()
        assert tuple(study.value_keys) == shorter.value_keys


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


class TestAssigning:
    def test_the_first_post_waits_where_the_labeling_begins(self):
        enrollment = EnrollmentFactory(study__steps=("labeling",))
        assignment = enrollment.assignments.get()
        assert (assignment.position, assignment.status) == (1, Assignment.Status.OPEN)

    def test_a_person_gets_as_many_different_posts_as_the_study_says(self):
        enrollment = EnrollmentFactory(study__steps=("labeling",), study__posts=9, study__posts_per_rater=4)
        while get_open_assignment(enrollment):
            submit(enrollment)
        given = list(enrollment.assignments.values_list("position", "post", "status"))
        assert [position for position, _, _ in given] == [1, 2, 3, 4]
        assert len({post for _, post, _ in given}) == 4
        assert {status for _, _, status in given} == {Assignment.Status.SUBMITTED}

    def test_labeling_ends_early_when_no_post_is_left(self):
        enrollment = EnrollmentFactory(
            study__steps=("labeling", "vcq"), study__posts=2, study__posts_per_rater=5
        )
        submit(enrollment)
        submit(enrollment)
        assert get_current_step(enrollment).kind == "vcq"
        enrollment.refresh_from_db()
        assert not enrollment.outcome

    def test_a_study_without_any_post_left_is_full(self):
        study = StudyFactory(steps=("labeling",), posts=1, redundancy_cap=1, posts_per_rater=1)
        submit(EnrollmentFactory(study=study))
        assert EnrollmentFactory(study=study).outcome == Outcome.STUDY_FULL

    @pytest.mark.parametrize("strategy", Study.Strategy.values)
    def test_no_post_passes_the_cap(self, strategy):
        study = StudyFactory(
            steps=("labeling",), posts=4, redundancy_cap=2, posts_per_rater=3, strategy=strategy
        )
        for _ in range(6):
            enrollment = EnrollmentFactory(study=study)
            while get_open_assignment(enrollment):
                submit(enrollment)
        counts = [post.annotations.count() for post in study.posts.filter(purpose=Post.Purpose.LABELING)]
        assert counts == [2, 2, 2, 2]

    def test_an_open_post_counts_as_given(self):
        study = StudyFactory(steps=("labeling",), posts=2, redundancy_cap=1)
        first, second = EnrollmentFactory(study=study), EnrollmentFactory(study=study)
        assert get_open_assignment(first).post != get_open_assignment(second).post
        assert EnrollmentFactory(study=study).outcome == Outcome.STUDY_FULL

    def test_a_released_post_is_free_for_others_and_never_given_to_the_same_person_again(self):
        study = StudyFactory(steps=("labeling",), posts=1, redundancy_cap=1, posts_per_rater=1)
        left = EnrollmentFactory(study=study)
        left.assignments.update(status=Assignment.Status.RELEASED)
        assert get_open_assignment(EnrollmentFactory(study=study)).post == left.assignments.get().post
        services.assign_next_post(left, get_current_step(left))
        assert get_open_assignment(left) is None

    def test_balanced_keeps_all_posts_within_one_of_another(self):
        study = StudyFactory(steps=("labeling",), posts=5, posts_per_rater=2)
        for n in range(1, 8):
            enrollment = EnrollmentFactory(study=study)
            while get_open_assignment(enrollment):
                submit(enrollment)
            counts = [post.assignments.count() for post in study.posts.filter(purpose=Post.Purpose.LABELING)]
            assert sum(counts) == 2 * n
            assert max(counts) - min(counts) <= 1

    def test_fixed_gives_everyone_the_same_posts_in_the_same_order(self):
        study = StudyFactory(steps=("labeling",), posts=5, posts_per_rater=3, strategy=Study.Strategy.FIXED)
        ways = set()
        for _ in range(3):
            enrollment = EnrollmentFactory(study=study)
            while get_open_assignment(enrollment):
                submit(enrollment)
            ways.add(tuple(enrollment.assignments.values_list("post__key", flat=True)))
        assert ways == {("p1", "p2", "p3")}

    def test_posts_of_the_calibration_questionnaire_are_never_assigned(self):
        study = StudyFactory(posts=0, steps=("labeling",), questions=4)
        assert EnrollmentFactory(study=study).outcome == Outcome.STUDY_FULL

    def test_posts_of_another_study_are_never_assigned(self):
        PostFactory.create_batch(3, study=StudyFactory())
        assert EnrollmentFactory(study=StudyFactory(posts=0, steps=("labeling",))).outcome == "study_full"


class TestSubmitting:
    @pytest.fixture
    def enrollment(self):
        return EnrollmentFactory(study__steps=("labeling",))

    def test_ratings_are_stored_in_the_studys_order_with_implied_apart_from_chosen(self, enrollment):
        annotation = Annotation.objects.get(pk=submit(enrollment, rate_social_focus(1), rationale="So.").pk)
        # The lowest rating stands everywhere; who chose it and who did not is kept.
        assert annotation.ratings == (1,) * 10
        assert annotation.codes == (IMPLIED,) * 5 + (CHOSEN,) * 5
        assert annotation.opened == ["statement", "social_focus"]
        assert annotation.rationale == "So."

    def test_implied_ratings_are_the_lowest_of_the_scale_whichever_that_is(self):
        for tree, lowest in ((load_ten(), 1), (load_nineteen(), 0)):
            study = StudyFactory(value_system=ValueSystemFactory(tree=tree), steps=("labeling",))
            reading = Reading({tree.root.key: frozenset()}, {})
            assert set(submit(EnrollmentFactory(study=study), reading).ratings) == {lowest}

    def test_a_second_submit_finds_the_first_and_stores_nothing(self, enrollment):
        assignment, step = get_open_assignment(enrollment), get_current_step(enrollment)
        services.submit_annotation(assignment, step, rate_social_focus(5))
        before = freeze_rows()
        with pytest.raises(AlreadySubmitted):
            services.submit_annotation(assignment, step, rate_social_focus(2))
        assert freeze_rows() == before

    @pytest.mark.parametrize(
        "reading",
        [
            Reading({}, {}),
            Reading({"statement": frozenset({"social_focus"})}, {"security": 3}),
            Reading({"statement": frozenset()}, {"security": 3}),
            Reading(rate_social_focus().marks, dict(rate_social_focus().ratings) | {"security": 0}),
            Reading(rate_social_focus().marks, dict(rate_social_focus().ratings) | {"security": 6}),
        ],
        ids=["nothing", "unfinished", "unopened", "below the scale", "above the scale"],
    )
    def test_a_reading_that_does_not_fit_leaves_everything_as_it_was(self, enrollment, reading):
        before = freeze_rows()
        with pytest.raises(WalkError):
            submit(enrollment, reading)
        assert freeze_rows() == before

    def test_a_system_whose_order_changed_under_the_study_is_refused(self, enrollment):
        Study.objects.update(value_keys=list(reversed(enrollment.study.value_keys)))
        before = freeze_rows()
        with pytest.raises(Refused, match="frozen"):
            submit(enrollment)
        assert freeze_rows() == before
