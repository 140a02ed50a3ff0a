"""Every answer points at the version of the study that was in force when it was given."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import services
from annotation.models import Annotation, Attempt, Enrollment, Study
from annotation.selectors import get_current_step, get_open_assignment, get_tree
from annotation.tree.walk import Reading
from annotation.versions import freeze
from calibration import services as calibration
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from calibration.selectors import get_next_question
from tests.every_step import build_study
from tests.factories import EnrollmentFactory

pytestmark = pytest.mark.django_db


def renew(study, welcome):
    """Edit the study and freeze it, as a researcher's save does."""
    Study.objects.filter(pk=study.pk).update(welcome=welcome)
    return freeze(study)


def ask_again(enrollment):
    """The enrollment as the next request loads it."""
    return Enrollment.objects.select_related("study__value_system", "rater").get(pk=enrollment.pk)


def read_nothing(enrollment):
    tree = get_tree(enrollment.study.value_system)
    reading = Reading({tree.root.key: frozenset()}, {})
    services.submit_annotation(get_open_assignment(enrollment), get_current_step(enrollment), reading)


def test_an_edit_between_two_annotations_leaves_each_with_its_own_version():
    study = build_study("labeling")
    versions = [freeze(study)]
    enrollment = EnrollmentFactory(study=study)
    read_nothing(ask_again(enrollment))
    versions.append(renew(study, "New words."))
    read_nothing(ask_again(enrollment))
    assert [annotation.study_version for annotation in Annotation.objects.order_by("pk")] == versions
    assert Enrollment.objects.get().study_version == versions[0]


def test_an_edit_between_two_calibration_answers_leaves_each_with_its_own_version():
    study = build_study("vcq")
    versions = [freeze(study)]
    enrollment = EnrollmentFactory(study=study)
    for words in ("New words.", "Newer words."):
        now = ask_again(enrollment)
        calibration.answer_question(now, get_current_step(now), get_next_question(now), rating=1)
        versions.append(renew(study, words))
    assert [answer.study_version for answer in CalibrationAnswer.objects.order_by("pk")] == versions[:2]


def test_an_edit_between_two_attempts_leaves_each_with_its_own_version():
    study = build_study("number", "gating", "training")
    versions = [freeze(study)]
    now = ask_again(EnrollmentFactory(study=study))
    services.record_attention_answer(now, get_current_step(now), answers={}, is_right=True)
    versions.append(renew(study, "New words."))
    now = ask_again(now)
    for item in ("boss", "lock", "duty"):
        services.record_gate_answer(
            now, get_current_step(now), item, answers={}, is_right=True, n_items=3, threshold=2
        )
    versions.append(renew(study, "Newer words."))
    now = ask_again(now)
    services.record_training_attempt(
        now, get_current_step(now), "swim", answers={}, is_right=False, n_items=2
    )
    found = [attempt.study_version.number for attempt in Attempt.objects.order_by("pk")]
    assert found == [1, 2, 2, 2, 3]


def test_a_questionnaire_is_answered_in_the_version_of_its_time():
    study = build_study("questionnaire")
    freeze(study)
    enrollment = EnrollmentFactory(study=study)
    second = renew(study, "New words.")
    now = ask_again(enrollment)
    calibration.answer_questionnaire(
        now, get_current_step(now), study.questionnaires.get(), answers={"pet": "cat"}
    )
    assert QuestionnaireResponse.objects.get().study_version == second


def test_before_a_launch_there_is_no_version_to_name():
    study = build_study("labeling")
    enrollment = EnrollmentFactory(study=study)
    read_nothing(ask_again(enrollment))
    assert (Annotation.objects.get().study_version, enrollment.study_version) == (None, None)


@pytest.mark.parametrize("kind", ["number", "vcq", "labeling", "questionnaire"])
def test_naming_the_version_asks_the_database_nothing_more(kind):
    counts = []
    for is_frozen in (False, True):
        study = build_study(kind, "debrief")
        if is_frozen:
            freeze(study)
        now = ask_again(EnrollmentFactory(study=study))
        step = get_current_step(now)
        with CaptureQueriesContext(connection) as queries:
            answer(now, step)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def answer(now, step):
    if step.kind == "vcq":
        calibration.answer_question(now, step, get_next_question(now), rating=1)
    elif step.kind == "questionnaire":
        questionnaire = now.study.questionnaires.get()
        calibration.answer_questionnaire(now, step, questionnaire, answers={"pet": "cat"})
    elif step.kind == "labeling":
        read_nothing(now)
    else:
        services.record_attention_answer(now, step, answers={}, is_right=True)
