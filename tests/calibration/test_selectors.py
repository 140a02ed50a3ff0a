import json
import math

import pytest

from calibration.instrument.scoring import ScaleScore
from calibration.instrument.shipped import CONTENT
from calibration.models import QuestionnaireResponse
from calibration.selectors import get_scale_scores
from tests.factories import EnrollmentFactory, QuestionnaireFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def enrollment():
    return EnrollmentFactory(study=StudyFactory(steps=("questionnaire",)))


def respond(enrollment, questionnaire, answers):
    return QuestionnaireResponse.objects.create(
        enrollment=enrollment, questionnaire=questionnaire, version=1, answers=answers
    )


@pytest.fixture
def values(enrollment):
    definition = json.loads((CONTENT / "values_19.json").read_text(encoding="utf-8"))
    return QuestionnaireFactory(study=enrollment.study, key="values", definition=definition)


def test_scores_are_named_by_questionnaire_and_scale(enrollment, values):
    answers = dict.fromkeys(values.instrument.answer_keys, 3) | {
        "fits_face": 6,
        "fits_humility": "prefer_not_to_say",
    }
    respond(enrollment, values, answers)
    scores = get_scale_scores(enrollment)
    assert scores["values", "face"] == ScaleScore(6.0, 1)
    assert scores["values", "face_centred"].value == pytest.approx(6 - (17 * 3 + 6) / 18)
    assert scores["values", "conservation"] == ScaleScore(3.0, 5)
    assert scores["values", "humility"].reason == "0 of 1 items answered; at least 1 needed"
    assert {questionnaire for questionnaire, _ in scores} == {"values"}


def test_what_was_not_answered_or_names_no_key_has_no_scores(enrollment, values):
    assert get_scale_scores(enrollment) == {}
    respond(enrollment, enrollment.study.questionnaires.get(key="demographics"), {"age": 44})
    assert get_scale_scores(enrollment) == {}


def test_other_peoples_answers_do_not_count(enrollment, values):
    respond(EnrollmentFactory(study=enrollment.study), values, {"fits_face": 6})
    assert get_scale_scores(enrollment) == {}


def test_answers_that_the_key_cannot_take_give_the_reason_in_place_of_scores(enrollment, values):
    respond(enrollment, values, {"fits_face": 9})
    scores = get_scale_scores(enrollment)
    assert len(scores) == 46
    assert all(math.isnan(each.value) for each in scores.values())
    assert scores["values", "tradition"].reason.startswith("the answer to fits_face is 9")
