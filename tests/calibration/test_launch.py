import pytest

from annotation.launch import find_faults
from annotation.models import Post
from calibration.models import CalibrationQuestion, Questionnaire
from tests.every_step import build_study
from tests.factories import PostFactory, QuestionnaireFactory, StepFactory

pytestmark = pytest.mark.django_db


class TestTheVcq:
    @pytest.fixture
    def study(self):
        return build_study("consent", "vcq")

    def test_has_questions(self, study):
        assert find_faults(study) == []
        CalibrationQuestion.objects.all().delete()
        assert find_faults(study) == [
            "Step 2 (Value Calibration Questionnaire): the study has no calibration questions."
        ]

    def test_asks_about_values_of_the_study(self, study):
        CalibrationQuestion.objects.filter(position=1).update(value_key="courage")
        (fault,) = find_faults(study)
        assert "values that the study does not have: courage" in fault

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"purpose": Post.Purpose.LABELING}, "are given to label too: c1"),
            ({"text": "  "}, "have no text: c1"),
        ],
    )
    def test_asks_about_posts_that_are_there_for_it(self, study, change, said):
        Post.objects.filter(key="c1").update(**change)
        (fault,) = find_faults(study)
        assert said in fault

    def test_asks_about_posts_of_its_own_study(self, study):
        stranger = PostFactory(key="far", purpose=Post.Purpose.CALIBRATION)
        CalibrationQuestion.objects.filter(position=1).update(post=stranger)
        (fault,) = find_faults(study)
        assert "belong to another study: far" in fault


class TestAQuestionnaireStep:
    @pytest.fixture
    def study(self):
        return build_study("consent", "questionnaire")

    @pytest.mark.parametrize("config", [{}, {"questionnaire": "abuot"}, {"questionnaire": ["about"]}])
    def test_names_a_questionnaire_of_the_study(self, study, config):
        QuestionnaireFactory(key="abuot")
        study.steps.filter(kind="questionnaire").update(config=config)
        (fault,) = find_faults(study)
        assert fault.startswith("Step 2 (Questionnaire): there is no questionnaire ")
        assert fault.endswith("the study has: about.")

    def test_is_the_only_one_to_ask_it(self, study):
        StepFactory(study=study, position=3, kind="questionnaire", config={"questionnaire": "about"})
        assert [fault for fault in find_faults(study) if "asked in another step too" in fault] == [
            "Step 2 (Questionnaire): the questionnaire 'about' is asked in another step too.",
            "Step 3 (Questionnaire): the questionnaire 'about' is asked in another step too.",
        ]

    def test_may_stand_beside_another_with_a_questionnaire_of_its_own(self, study):
        QuestionnaireFactory(study=study)
        StepFactory(study=study, position=3, kind="questionnaire", config={"questionnaire": "demographics"})
        assert find_faults(study) == []

    def test_says_what_is_wrong_with_a_questionnaire_that_cannot_be_read(self, study):
        Questionnaire.objects.update(definition={"key": "about"})
        (fault,) = find_faults(study)
        assert "the questionnaire 'about': " in fault

    def test_has_no_other_setting(self, study):
        study.steps.filter(kind="questionnaire").update(config={"questionnaire": "about", "pages": 2})
        (fault,) = find_faults(study)
        assert "no setting 'pages'" in fault
