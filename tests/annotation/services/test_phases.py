import pytest

from annotation import services
from annotation.models import Assignment, Enrollment, Outcome, Rater, Study
from annotation.recruitment import Entry
from annotation.selectors import (
    ENOUGH_TO_JUDGE,
    _measure_seconds_per_post,
    count_live_assignments,
    get_current_step,
    get_open_assignment,
)
from annotation.signals import answers_erased
from tests.factories import EnrollmentFactory, StudyFactory
from tests.visitor import mark_nothing

pytestmark = pytest.mark.django_db
Phase = Enrollment.Phase
REHEARSAL, PILOT, LIVE = Phase.REHEARSAL, Phase.PILOT, Phase.LIVE
COMERS = {
    REHEARSAL: ("draft", Rater.Origin.TEST),
    PILOT: ("pilot", Rater.Origin.PROLIFIC),
    LIVE: ("live", Rater.Origin.PROLIFIC),
}


def come(study, phase, number=1):
    """Somebody new comes in, in this phase."""
    state, origin = COMERS[phase]
    Study.objects.filter(pk=study.pk).update(state=state)
    study.refresh_from_db()
    enrollment = services.enroll(study, Entry(f"{phase}-{number:03d}", "study-1", "session-1", origin))
    assert enrollment.phase == phase
    return enrollment


def read_all(enrollment):
    while assignment := get_open_assignment(enrollment):
        services.submit_annotation(assignment, get_current_step(enrollment), mark_nothing())
    enrollment.refresh_from_db()
    return enrollment


@pytest.mark.parametrize("first", [REHEARSAL, PILOT])
def test_who_comes_before_the_launch_uses_up_no_place(first):
    study = StudyFactory(steps=("labeling",), posts=1, posts_per_rater=1, redundancy_cap=1)
    assert read_all(come(study, first)).outcome == Outcome.COMPLETED
    assert read_all(come(study, LIVE)).outcome == Outcome.COMPLETED
    assert come(study, LIVE, 2).outcome == Outcome.STUDY_FULL


def test_the_cap_holds_in_every_phase_for_itself():
    study = StudyFactory(steps=("labeling",), posts=1, posts_per_rater=1, redundancy_cap=1)
    for phase in Phase.values:
        come(study, phase)
        assert come(study, phase, 2).outcome == Outcome.STUDY_FULL
    assert Assignment.objects.count() == 3


def test_balance_looks_at_the_persons_own_phase():
    study = StudyFactory(steps=("labeling",), posts=2, posts_per_rater=1, strategy="balanced")
    first = get_open_assignment(come(study, LIVE)).post_id
    for number in range(1, 4):
        come(study, PILOT, number)
        come(study, REHEARSAL, number)
    (second,) = set(study.posts.filter(purpose="labeling").values_list("pk", flat=True)) - {first}
    assert get_open_assignment(come(study, LIVE, 2)).post_id == second


def test_posts_are_counted_by_phase_and_study():
    study, other = (StudyFactory(steps=("labeling",), posts=1, posts_per_rater=1) for _ in range(2))
    for phase, n in ((REHEARSAL, 1), (PILOT, 2), (LIVE, 3)):
        for number in range(n):
            come(study, phase, number)
    come(other, LIVE)
    (post,) = study.posts.filter(purpose="labeling")
    assert [count_live_assignments(study, phase) for phase in (REHEARSAL, PILOT, LIVE)] == [
        {post.pk: 1},
        {post.pk: 2},
        {post.pk: 3},
    ]
    assert count_live_assignments(study) == {post.pk: 3}


def test_whose_time_ran_out_gets_their_post_back_when_only_another_phase_took_it():
    study = StudyFactory(steps=("labeling",), posts=1, posts_per_rater=1, redundancy_cap=1)
    late = come(study, PILOT)
    services.finish(late, Outcome.TIMED_OUT)
    come(study, LIVE)
    assert get_open_assignment(services.go_on_after_time_out(late)) is not None


def test_the_pace_of_reading_is_that_of_people_and_not_of_a_rehearsal():
    study = StudyFactory(steps=("labeling",), posts=ENOUGH_TO_JUDGE, posts_per_rater=ENOUGH_TO_JUDGE)
    read_all(come(study, REHEARSAL))
    assert _measure_seconds_per_post(study) is None
    read_all(come(study, PILOT))
    assert _measure_seconds_per_post(study) is not None


def test_simulated_raters_of_a_live_study_are_its_data():
    study = StudyFactory(steps=("labeling",))
    assert EnrollmentFactory(study=study, rater__origin=Rater.Origin.SIMULATED).phase == LIVE


@pytest.mark.parametrize(("phase", "told"), [(REHEARSAL, False), (LIVE, True)])
def test_only_answers_that_were_data_can_make_a_fit_outdated(phase, told):
    enrollment = read_all(come(StudyFactory(steps=("labeling",)), phase))
    heard = []

    def hear(completed_at, **kwargs):
        heard.append(completed_at is not None)

    answers_erased.connect(hear)
    services.withdraw(enrollment)
    answers_erased.disconnect(hear)
    assert heard == [told]
