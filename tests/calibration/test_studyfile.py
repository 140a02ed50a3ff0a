import pytest

from annotation.models import Post
from annotation.studyfile import StudyFileError, dump, load
from annotation.studyfile.parts import PARTS, Part, register
from calibration.studyfile import describe_paper_questionnaires, describe_paper_vcq
from tests.factories import CalibrationQuestionFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def data():
    data = dump(StudyFactory(questions=3))
    data["about"]["slug"] = "new"
    return data


def faults_of(data):
    with pytest.raises(StudyFileError) as error:
        load(data)
    return [str(fault) for fault in error.value.faults]


def test_questions_keep_their_order_and_come_with_their_posts():
    study = StudyFactory(questions=0)
    for position, (key, value) in enumerate((("z", 3), ("a", 0), ("m", 9)), start=1):
        CalibrationQuestionFactory(
            study=study, position=10 * position, post__key=key, value_key=study.value_keys[value]
        )
    vcq = dump(study)["vcq"]
    assert [question["post"] for question in vcq["questions"]] == ["z", "a", "m"]
    copy = load(dump(study), slug="copy")
    assert dump(copy)["vcq"] == vcq
    assert list(copy.calibration_questions.values_list("position", flat=True)) == [1, 2, 3]
    assert copy.posts.filter(purpose=Post.Purpose.CALIBRATION).count() == 3


def test_calibration_posts_are_no_posts_to_label():
    data = dump(StudyFactory())
    assert [post["key"] for post in data["posts"]] == ["p1", "p2", "p3"]
    assert [post["key"] for post in data["vcq"]["posts"]] == ["c1", "c2"]


def test_two_questions_may_ask_about_one_post(data):
    first = data["vcq"]["questions"][0]
    data["vcq"]["questions"].append({"post": first["post"], "value": "hedonism"})
    assert load(data).calibration_questions.count() == 4


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda vcq: vcq.update(extra=1),
            "vcq.extra: there is no such entry here; there are posts, questions",
        ),
        (lambda vcq: vcq.update(posts="x"), "vcq.posts: it must be a list"),
        (lambda vcq: vcq.update(questions={}), "vcq.questions: it must be a list"),
        (lambda vcq: vcq["questions"].append("x"), "vcq.questions[3]: it must be an object with the key"),
        (
            lambda vcq: vcq["questions"][0].update(text="x"),
            "vcq.questions[0]: it must be an object with the key",
        ),
        (lambda vcq: vcq["questions"][1].update(post="p1"), "vcq.questions[1]: 'vcq.posts' has no post 'p1'"),
        (
            lambda vcq: vcq["questions"][1].update(value="x"),
            "vcq.questions[1]: the value system has no value 'x'",
        ),
        (lambda vcq: vcq["questions"].append(vcq["questions"][0]), "vcq.questions[3]: it is the same as"),
        (lambda vcq: vcq["posts"][0].update(key="p1"), "vcq.posts[0].key: 'p1' is the key of another post"),
    ],
)
def test_a_fault_of_the_calibration_questions_is_named_with_its_place(data, change, fault):
    change(data["vcq"])
    assert any(found.startswith(fault) for found in faults_of(data))


@pytest.mark.parametrize(
    ("questionnaires", "fault"),
    [
        ([], "questionnaires: it must be an object"),
        ({"a b": {"items": []}}, "questionnaires.a b: its key must be 1 to 50 letters"),
        ({"about": []}, "questionnaires.about: questionnaire: must be an object with a list of items"),
        ({"about": {"items": []}}, "questionnaires.about: questionnaire: has no item"),
    ],
)
def test_a_fault_of_a_questionnaire_is_named_by_the_rules_of_questionnaires(data, questionnaires, fault):
    data["questionnaires"] = questionnaires
    assert any(found.startswith(fault) for found in faults_of(data))


def test_a_questionnaire_with_faults_does_not_make_its_step_look_wrong_too(data):
    data["questionnaires"]["demographics"]["version"] = "two"
    assert all(fault.startswith("questionnaires.demographics: ") for fault in faults_of(data))


def test_a_vcq_that_is_no_object_is_refused(data):
    data["vcq"] = []
    assert faults_of(data) == ["vcq: it must be an object with 'posts' and 'questions'"]


def test_the_papers_parts_are_those_that_ship():
    vcq = describe_paper_vcq()
    assert len(vcq["questions"]) == 25
    assert {question["post"] for question in vcq["questions"]} == {post["key"] for post in vcq["posts"]}
    assert set(describe_paper_questionnaires()) == {"demographics", "values_19"}


def test_no_part_takes_the_name_of_another():
    other = Part("vcq", "a.b", "a.b", "a.b", "a.b")
    with pytest.raises(ValueError, match="'vcq' of a study file is registered already"):
        register(other)
    register(PARTS["vcq"])
    assert PARTS["vcq"] != other
