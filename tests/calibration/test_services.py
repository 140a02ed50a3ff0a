import pytest
from django.core.exceptions import ValidationError

from annotation.models import Outcome
from annotation.selectors import get_current_step
from calibration import services
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from calibration.selectors import get_next_question
from tests.factories import CalibrationQuestionFactory, EnrollmentFactory, QuestionnaireFactory, StudyFactory
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db


def answer(enrollment, rating=3):
    step, question = get_current_step(enrollment), get_next_question(enrollment)
    return services.answer_question(enrollment, step, question, rating=rating)


class TestTheVcq:
    @pytest.fixture
    def enrollment(self):
        return EnrollmentFactory(study__steps=("vcq", "questionnaire"), study__questions=3)

    def test_questions_come_in_their_order_and_the_last_one_ends_the_step(self, enrollment):
        asked = []
        while question := get_next_question(enrollment):
            assert get_current_step(enrollment).kind == "vcq"
            asked.append(question.position)
            assert answer(enrollment, rating=question.position)
        assert asked == [1, 2, 3]
        assert get_current_step(enrollment).kind == "questionnaire"
        assert list(CalibrationAnswer.objects.order_by("pk").values_list("rating", flat=True)) == [1, 2, 3]

    def test_the_first_answer_stands_and_one_is_told_whether_it_is_the_same(self, enrollment):
        step, question = get_current_step(enrollment), get_next_question(enrollment)
        services.answer_question(enrollment, step, question, rating=4)
        before = freeze_rows()
        assert services.answer_question(enrollment, step, question, rating=4)
        assert not services.answer_question(enrollment, step, question, rating=2)
        assert freeze_rows() == before

    def test_everyone_answers_for_themselves(self, enrollment):
        other = EnrollmentFactory(study=enrollment.study)
        answer(enrollment)
        assert get_next_question(enrollment).position == 2
        assert get_next_question(other).position == 1

    def test_a_study_without_a_question_goes_on_to_the_next_step(self):
        enrollment = EnrollmentFactory(study__steps=("vcq", "questionnaire"), study__questions=0)
        assert get_current_step(enrollment).kind == "questionnaire"

    def test_asking_everything_twice_is_asking_it_once(self):
        enrollment = EnrollmentFactory(study__steps=("vcq", "vcq"), study__questions=1)
        answer(enrollment)
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.COMPLETED


class TestAQuestionnaire:
    @pytest.fixture
    def enrollment(self):
        return EnrollmentFactory(study__steps=("questionnaire", "consent"))

    def test_the_answers_are_kept_with_the_version_and_the_step_ends(self, enrollment):
        questionnaire = Questionnaire.objects.get()
        step = get_current_step(enrollment)
        services.answer_questionnaire(enrollment, step, questionnaire, answers={"age": 44})
        response = QuestionnaireResponse.objects.get()
        assert (response.answers, response.version) == ({"age": 44}, 2)
        assert get_current_step(enrollment).kind == "consent"

    def test_the_first_response_stands(self, enrollment):
        questionnaire, step = Questionnaire.objects.get(), get_current_step(enrollment)
        services.answer_questionnaire(enrollment, step, questionnaire, answers={"age": 44})
        before = freeze_rows()
        services.answer_questionnaire(enrollment, step, questionnaire, answers={"age": 45})
        assert freeze_rows() == before


def test_a_question_about_a_value_the_study_does_not_have_is_refused():
    CalibrationQuestionFactory(value_key="power").clean()
    question = CalibrationQuestion(study=StudyFactory(), position=9, value_key="face")
    with pytest.raises(ValidationError, match="no value 'face'"):
        question.clean()


def test_a_questionnaire_that_cannot_be_read_is_refused_with_every_fault():
    questionnaire = QuestionnaireFactory(definition={"items": []})
    with pytest.raises(ValidationError) as refusal:
        questionnaire.full_clean()
    assert "questionnaire: has no item" in refusal.value.message_dict["definition"]
    assert len(refusal.value.message_dict["definition"]) == 4
