import pytest

from annotation.launch import find_faults
from annotation.models import Step
from annotation.selectors import get_n_posts, get_tree
from annotation.studyfile import StudyFileError, create_from_paper, dump, load
from annotation.tree.known import read_gating_config
from tests.factories import PostFactory

pytestmark = pytest.mark.django_db


def test_the_paper_has_its_steps_in_order():
    study = create_from_paper("wave-1", "Wave 1")
    kinds = list(study.steps.values_list("kind", flat=True))
    assert kinds == [
        "consent",
        "instructions",
        "attention_check",
        "training",
        "gating",
        "labeling",
        "attention_check",
        "vcq",
        "questionnaire",
        "questionnaire",
        "debrief",
    ]
    assert (study.slug, study.name, study.state) == ("wave-1", "Wave 1", "draft")


def test_the_paper_has_its_numbers():
    study = create_from_paper()
    gate = read_gating_config(get_tree(study.value_system), study.steps.get(kind="gating").config)
    assert (len(gate.posts), gate.threshold) == (4, 2)
    assert {post.value for post in gate.posts} == {"self_direction_action", "face"}
    assert len(study.steps.get(kind="training").config["posts"]) == 4
    assert get_n_posts(study, study.steps.get(kind="labeling")) == 30
    assert study.strategy == "random"
    assert study.calibration_questions.count() == 25
    assert len(study.value_keys) == 19
    asked = [step.config["questionnaire"] for step in study.steps.filter(kind="questionnaire")]
    assert sorted(asked) == sorted(study.questionnaires.values_list("key", flat=True))


def test_all_that_keeps_it_from_a_launch_is_what_only_its_researchers_know():
    study = create_from_paper()
    *placeholders, posts = find_faults(study)
    assert posts == "Step 6 (Labeling): it asks for 30 posts by here, but the study has 0."
    assert len(placeholders) == 3
    for place, name in (
        ("The welcome text", "[name of your university]"),
        ("The consent page", "[ethics approval number]"),
        ("Step 11 (Debrief)", "[name and e-mail address of a contact person]"),
    ):
        assert any(fault.startswith(place) and name in fault for fault in placeholders)


def test_with_those_written_and_posts_it_can_be_launched():
    study = create_from_paper()
    fill_in(study)
    for number in range(30):
        PostFactory(study=study, key=f"p{number}")
    assert find_faults(study) == []


def fill_in(study):
    study.welcome = study.welcome.replace("[", "").replace("]", "")
    for step in [study.consent, *study.steps.values_list("config", flat=True)]:
        for section in step.get("sections", []):
            section["text"] = section["text"].replace("[", "").replace("]", "")
        Step.objects.filter(study=study, kind="debrief", config__title=step.get("title")).update(config=step)
    study.save()


def test_each_way_out_that_can_happen_has_a_code_that_nobody_could_guess():
    first, second = create_from_paper(), create_from_paper()
    codes = [set(study.completion_codes.values_list("code", flat=True)) for study in (first, second)]
    assert codes[0].isdisjoint(codes[1])
    assert {"completed", "no_consent", "screened_out", "failed_attention"} <= set(
        first.completion_codes.values_list("outcome", flat=True)
    )


def test_it_is_made_as_often_as_one_likes_under_free_slugs():
    slugs = [create_from_paper().slug for _ in range(3)]
    assert slugs == ["paper-design", "paper-design-2", "paper-design-3"]
    with pytest.raises(StudyFileError, match="there is a study 'paper-design' already"):
        create_from_paper("paper-design")


def test_it_is_a_study_file_like_any_other():
    study = create_from_paper()
    data = dump(study)
    copy = load(data, slug="copy")
    assert dump(copy) == data | {"about": data["about"] | {"slug": "copy"}}
