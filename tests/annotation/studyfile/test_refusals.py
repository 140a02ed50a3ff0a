import copy

import pytest

from annotation.models import Post, Step, Study, ValueSystem
from annotation.studyfile import StudyFileError, dump, load
from calibration.models import CalibrationQuestion, Questionnaire
from tests.every_step import EVERY_STEP, build_study
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def data():
    """The file of a study with every kind of step, to be spoilt."""
    return renew(copy.deepcopy(dump(build_study(*EVERY_STEP))))


def renew(data):
    data["about"]["slug"] = "new"
    return data


def faults_of(data, **options):
    before = [model.objects.count() for model in (Study, Step, Post, ValueSystem)]
    with pytest.raises(StudyFileError) as error:
        load(data, **options)
    assert [model.objects.count() for model in (Study, Step, Post, ValueSystem)] == before
    return [str(fault) for fault in error.value.faults]


def put(data, path, value):
    *way, last = path
    for name in way:
        data = data[name]
    data[last] = value


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["surprise"], 1, "surprise: there is no such entry here; there are parallax_study, about,"),
        (["about", "colour"], "red", "about.colour: there is no such entry here; there are slug, name,"),
        (["about"], "red", "about: it must be an object with slug, name,"),
        (["about", "slug"], "two words", "about.slug: Enter a valid"),
        (["about", "slug"], "x" * 51, "about.slug: Ensure this value has at most 50 characters"),
        (["about", "name"], "", "about.name: This field cannot be blank."),
        (["about", "title"], 5, "about.title: it must be text, not 5"),
        (["about", "welcome"], None, "about.welcome: it cannot be null"),
        (["about", "language"], "klingon", "about.language: 'klingon' is not the code of a language"),
        (["assignment", "strategy"], "greedy", "assignment.strategy: Value 'greedy' is not a valid choice."),
        (["assignment", "posts_per_rater"], 0, "assignment.posts_per_rater: Ensure this value is greater"),
        (["assignment", "posts_per_rater"], "30", "assignment.posts_per_rater: it must be a whole number"),
        (["assignment", "posts_per_rater"], True, "assignment.posts_per_rater: it must be a whole number"),
        (["assignment", "posts_per_rater"], 2.0, "assignment.posts_per_rater: it must be a whole number"),
        (["assignment", "redundancy_cap"], 0, "assignment.redundancy_cap: it must be 1 or more"),
        (["assignment", "seed"], -1, "assignment.seed: Ensure this value is greater than or equal to 0."),
        (["attention", "limit"], 0, "attention.limit: Ensure this value is greater"),
        (["time", "max_minutes"], 3, "time.max_minutes: Prolific lets people take 106 minutes"),
        (["pay", "reward"], -5, "pay.reward: Ensure this value is greater"),
        (["pay", "currency"], "EUR", "pay.currency: Value 'EUR' is not a valid choice."),
        (["data", "collects_paradata"], 1, "data.collects_paradata: it must be true or false, not 1"),
        (["data", "retain_until"], "31.12.2027", "data.retain_until: it must be a day such as 2027-12-31"),
        (["data", "retain_until"], "2027-02-30", "data.retain_until: it must be a day such as 2027-12-31"),
        (["consent"], [], "consent: it must be an object"),
        (["consent", "version"], 0, "consent.version: it must be a whole number from 1"),
        (
            ["consent", "sections"],
            [{"heading": "x"}],
            "consent.sections[0]: it must be an object with a 'text'",
        ),
        (["outcome_texts"], {"eaten": {}}, "outcome_texts.eaten: there is no such entry here"),
        (["outcome_texts"], {"completed": "x"}, "outcome_texts.completed: it must be an object"),
        (["codes", "completed"], "AB", "codes.completed: 'AB' must have 4 to 32 letters and digits"),
        (["codes", "completed"], "WITH SPACE", "codes.completed: 'WITH SPACE' must have 4 to 32"),
        (["codes", "completed"], 1234, "codes.completed: it must be text"),
        (["codes", "eaten"], "ABCD", "codes.eaten: there is no such entry here"),
        (["steps"], {}, "steps: it must be a list"),
        (["steps", 0], "consent", "steps[0]: it must be an object with 'kind' and 'config'"),
        (["steps", 0, "title"], "x", "steps[0].title: there is no such entry here; there are kind, config"),
        (
            ["steps", 0, "kind"],
            "juggling",
            "steps[0].kind: there is no kind of step 'juggling'; there are consent,",
        ),
        (["steps", 0, "kind"], 7, "steps[0]: 'kind' must name a kind of step"),
        (["steps", 0, "config"], [], "steps[0]: 'config' must be an object: { ... }"),
        (
            ["steps", 0, "config"],
            {"loud": True},
            "steps[0].config: step 1, Consent: it has no setting 'loud'",
        ),
        (["steps", 1, "config", "title"], "", "steps[1].config: step 2, Instructions: 'title' is missing"),
        (["steps", 3, "config", "tolerance"], 9, "steps[3].config: step 4, Training: training: tolerance"),
        (
            ["steps", 4, "config", "threshold"],
            4,
            "steps[4].config: step 5, Gating: gating: threshold must lie",
        ),
        (["steps", 5, "config"], {"posts": 0}, "steps[5].config: step 6, Labeling: 'posts' must be a whole"),
        (
            ["steps", 9, "config"],
            {"questionnaire": "x"},
            "steps[9].config: step 10, Questionnaire: there is no",
        ),
        (
            ["values", "root", "children", 0, "children"],
            [],
            "values: root > personal_focus: children is empty",
        ),
        (
            ["values", "root", "children", 0, "key"],
            "statement",
            "values: root > statement: key 'statement' is taken",
        ),
        (["values", "name"], "x" * 201, "values.name: name has 201 characters; at most 200 can be stored"),
        (["posts"], {}, "posts: it must be a list of objects"),
        (["posts", 0], "text", "posts[0]: it must be an object with 'key' and 'text'"),
        (["posts", 0, "author"], "x", "posts[0].author: there is no such entry here; there are key, text,"),
        (["posts", 0, "key"], " ", "posts[0].key: it must be text of 1 to 200 characters"),
        (["posts", 1, "key"], "p1", "posts[1].key: 'p1' is the key of posts[0] already"),
        (["posts", 1, "text"], None, "posts[1].text: it must be text"),
        (["posts", 1, "metadata"], [], "posts[1].metadata: it must be an object"),
        (["posts", 1, "context"], {"kind": "echo", "text": "x"}, "posts[1].context: it must be null, or"),
        (["posts", 1, "context"], {"kind": "reply", "text": ""}, "posts[1].context: it must be null, or"),
        (["posts", 1, "text"], "half \ud83d", "posts[1].text: it contains a character that cannot be stored"),
        (["posts", 1, "metadata"], {"n\x00": 1}, "posts[1].metadata: the name 'n\\x00' cannot be stored"),
        (["posts", 1, "metadata"], {"n": float("inf")}, "posts[1].metadata.n: JSON has no such number"),
        (["posts", 1, "metadata"], {"n": {1, 2}}, "posts[1].metadata.n: JSON knows no set"),
    ],
)
def test_a_fault_is_named_with_its_place(data, path, value, fault):
    put(data, path, value)
    (found,) = faults_of(data)
    assert found.startswith(fault)


def test_every_fault_is_named_at_once(data):
    data["about"]["title"] = ""
    data["codes"] = {"completed": "SAME", "no_consent": "SAME"}
    data["steps"][4]["config"]["threshold"] = 99
    data["posts"][2]["key"] = "p1"
    data["vcq"]["questions"][1]["value"] = "greed"
    data["questionnaires"]["about"]["version"] = 0
    data["nonsense"] = None
    places = [fault.partition(":")[0] for fault in faults_of(data)]
    assert sorted(places) == [
        "about.title",
        "codes.no_consent",
        "nonsense",
        "posts[2].key",
        "questionnaires.about",
        "steps[4].config",
        "vcq.questions[1]",
    ]


def test_a_code_used_twice_is_refused_with_both_places(data):
    data["codes"] = {"completed": "SAME", "no_consent": "SAME"}
    assert faults_of(data) == [
        "codes.no_consent: the code 'SAME' is that of 'completed' already; give each its own"
    ]


def test_a_group_that_stands_below_itself_is_refused(data):
    group = data["values"]["root"]["children"][0]
    group["children"].append(group)
    assert any("nested too deeply" in fault for fault in faults_of(data))
    del group["children"][-1]
    group["children"].append(copy.deepcopy(group))
    assert any(f"key '{group['key']}' is taken by" in fault for fault in faults_of(data))


def test_without_values_the_steps_that_need_none_are_looked_at_all_the_same(data):
    data["values"]["root"]["children"] = []
    data["steps"][1]["config"] = {}
    data["steps"][3]["config"]["tolerance"] = 99
    faults = faults_of(data)
    assert any(fault.startswith("steps[1].config") for fault in faults)
    assert not any(fault.startswith("steps[3].config") for fault in faults)


def test_a_file_without_what_a_study_must_have_says_what_is_missing():
    assert faults_of({"parallax_study": 1}) == [
        "about.slug: it is missing",
        "about.name: it is missing",
        "about.title: it is missing",
        "values: it is missing: the value system, as a tree",
    ]


@pytest.mark.parametrize("version", [2, 99])
def test_a_file_of_a_newer_version_says_so_and_nothing_else(data, version):
    data["parallax_study"] = version
    data["about"]["title"] = ""
    (fault,) = faults_of(data)
    assert fault.startswith(
        f"parallax_study: this file is of version {version}, and this Parallax reads up to"
    )


@pytest.mark.parametrize("version", [None, "1", 0, True, 1.0])
def test_what_is_no_study_file_is_told_so(data, version):
    data["parallax_study"] = version
    (fault,) = faults_of(data)
    assert "this is none, or not a whole one" in fault


def test_a_slug_that_is_taken_is_refused_and_another_one_may_be_given(data):
    StudyFactory(slug="new")
    assert faults_of(data) == ["about.slug: there is a study 'new' already; choose another slug"]
    assert faults_of(data, slug="not valid")[0].startswith("about.slug: Enter a valid")
    assert load(data, slug="newer", name="Newer").name == "Newer"


def test_what_is_refused_at_the_very_end_leaves_nothing_behind(data, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the power is gone")

    monkeypatch.setattr("annotation.studyfile.loading.log_event", fail)
    models = (Study, Step, Post, ValueSystem, Questionnaire, CalibrationQuestion)
    before = [model.objects.count() for model in models]
    with pytest.raises(RuntimeError):
        load(data)
    assert [model.objects.count() for model in models] == before
