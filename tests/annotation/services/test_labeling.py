import pytest

from annotation import services
from annotation.errors import AlreadySubmitted, Refused
from annotation.models import Annotation, Assignment, Enrollment, Outcome, Post, Study
from annotation.selectors import get_current_step, get_open_assignment
from annotation.tree.walk import CHOSEN, IMPLIED, Reading, WalkError
from tests.factories import (
    EnrollmentFactory,
    PostFactory,
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

    def test_nobody_who_has_read_posts_is_sent_away_when_a_later_step_finds_none_left(self):
        study = StudyFactory(steps=("labeling", "labeling", "vcq"), posts=1, posts_per_rater=1)
        enrollment = EnrollmentFactory(study=study)
        submit(enrollment)
        assert get_current_step(enrollment).kind == "vcq"

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
        enrollment.refresh_from_db()
        before = freeze_rows()
        with pytest.raises(Refused, match="frozen"):
            submit(Enrollment.objects.get(pk=enrollment.pk))
        assert freeze_rows() == before


class TestTimeRunningOutUnderAReading:
    """The clock strikes between the moment a page is sent and the moment it is stored."""

    @pytest.fixture
    def enrollment(self):
        return EnrollmentFactory(
            study=StudyFactory(steps=("labeling",), posts=2, posts_per_rater=2, redundancy_cap=1)
        )

    def test_the_reading_is_stored_and_they_go_on(self, enrollment):
        assignment, step = get_open_assignment(enrollment), get_current_step(enrollment)
        services.finish(enrollment, Outcome.TIMED_OUT)
        services.submit_annotation(assignment, step, rate_social_focus(2))
        enrollment.refresh_from_db()
        assert enrollment.outcome == ""
        assert list(enrollment.assignments.values_list("position", "status")) == [
            (1, "submitted"),
            (2, "open"),
        ]
        assert Annotation.objects.get().ratings[-1] == 2

    def test_a_post_that_someone_else_has_by_now_is_theirs_no_more(self, enrollment):
        assignment, step = get_open_assignment(enrollment), get_current_step(enrollment)
        services.finish(enrollment, Outcome.TIMED_OUT)
        EnrollmentFactory(study=enrollment.study)
        EnrollmentFactory(study=enrollment.study)
        before = freeze_rows()
        with pytest.raises(Refused, match="given to someone else"):
            services.submit_annotation(assignment, step, mark_nothing())
        assert freeze_rows() == before

    def test_a_reading_sent_after_a_withdrawal_is_refused(self, enrollment):
        assignment, step = get_open_assignment(enrollment), get_current_step(enrollment)
        services.withdraw(enrollment)
        before = freeze_rows()
        with pytest.raises(Refused):
            services.submit_annotation(assignment, step, mark_nothing())
        assert freeze_rows() == before


def test_no_post_is_given_in_a_step_that_another_tab_has_finished():
    study = StudyFactory(steps=("labeling", "vcq"), posts=1, posts_per_rater=2)
    enrollment = EnrollmentFactory(study=study)
    step = get_current_step(enrollment)
    submit(enrollment)
    PostFactory(study=study, key="new")
    services.go_on_labeling(enrollment, step)
    assert not enrollment.assignments.filter(status=Assignment.Status.OPEN).exists()
