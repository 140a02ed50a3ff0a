import pytest

from annotation import services
from annotation.errors import Refused
from annotation.models import Enrollment, Outcome, Rater, StepCompletion, Study, StudyEvent
from annotation.selectors import get_current_step, get_open_assignment
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from modeling.simulated_raters import Cast, rehearse, walk_directly
from tests.every_step import EVERY_STEP, build_study
from tests.factories import EnrollmentFactory
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db


def step_of(study, position):
    return study.steps.get(position=position)


@pytest.mark.parametrize("state", Study.State.values)
@pytest.mark.parametrize("position", range(1, len(EVERY_STEP) + 1))
def test_a_test_participant_can_be_put_at_every_step_in_every_state(state, position):
    study = build_study(*EVERY_STEP, posts=6, state=state)
    enrollment = services.preview_step(study, step_of(study, position))
    assert (enrollment.phase, enrollment.rater.origin) == ("rehearsal", "test")
    assert get_current_step(enrollment) == step_of(study, position)
    assert enrollment.step_completions.count() == position - 1


def test_the_steps_before_count_as_done_for_nobody_else():
    study = build_study("consent", "instructions", "labeling")
    other = EnrollmentFactory(study=study)
    services.preview_step(study, step_of(study, 3))
    assert get_current_step(other) == step_of(study, 1)
    assert not other.step_completions.exists()


def test_whoever_is_put_at_the_labeling_has_a_post():
    study = build_study("consent", "labeling", state="draft")
    assert get_open_assignment(services.preview_step(study, step_of(study, 2))) is not None


def test_each_look_is_another_test_participant_and_is_logged():
    study = build_study("consent", "instructions")
    first, second = (services.preview_step(study, step_of(study, 2)) for _ in range(2))
    assert first.rater != second.rater
    summaries = list(StudyEvent.objects.values_list("action", "summary"))
    assert summaries == [("rehearsal", "Looked at step 2 as a test participant.")] * 2


@pytest.mark.parametrize("position", [2, 3])
def test_a_step_that_is_not_finished_is_not_shown_nor_the_one_before_it(position):
    study = build_study("consent", "instructions", "training", state="draft")
    study.steps.filter(position=3).update(config={"posts": []})
    before = freeze_rows()
    with pytest.raises(Refused, match=r"cannot be shown yet: Step 3 \(Training\)"):
        services.preview_step(study, step_of(study, position))
    assert freeze_rows() == before


def test_erasing_takes_all_of_the_rehearsal_and_leaves_everyone_else():
    study = build_study(*EVERY_STEP, posts=6)
    walk_directly(Cast(study), [1, 2], on_progress=lambda done, total: None)
    person = EnrollmentFactory(study=study)
    before = freeze_rows()
    rehearse(Cast(study, rehearses=True), [1, 2], on_progress=lambda done, total: None)
    services.withdraw(services.preview_step(study, step_of(study, 3)))
    elsewhere = services.preview_step(build_study("consent", "labeling"), study.steps.first())
    assert services.erase_rehearsal(study) == 3
    elsewhere_rows = elsewhere.study
    assert Enrollment.objects.filter(study=elsewhere_rows).count() == 1
    elsewhere.step_completions.all().delete()
    services.erase_rehearsal(elsewhere_rows)
    after = freeze_rows()
    for label in (
        "annotation.Enrollment",
        "annotation.Rater",
        "annotation.Annotation",
        "annotation.Assignment",
    ):
        assert after[label] == before[label]
    assert CalibrationAnswer.objects.count() == len(before["calibration.CalibrationAnswer"])
    assert QuestionnaireResponse.objects.count() == len(before["calibration.QuestionnaireResponse"])
    assert Enrollment.objects.filter(pk=person.pk).exists()


def test_erasing_is_logged_with_how_many_they_were():
    study = build_study("consent", "labeling", state="draft")
    rehearse(Cast(study, rehearses=True), [1], on_progress=lambda done, total: None)
    tested = EnrollmentFactory(study=study, rater__origin=Rater.Origin.TEST)
    services.finish(tested, Outcome.COMPLETED)
    services.erase_rehearsal(study)
    event = StudyEvent.objects.latest("pk")
    assert (event.summary, event.detail) == (
        "Erased the rehearsal of 2 participants.",
        {"erased": 2, "completed": 1},
    )
    assert not Rater.objects.exists()
    assert not StepCompletion.objects.exists()
