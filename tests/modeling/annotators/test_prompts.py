from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model

from annotation import services
from annotation.models import StudyEvent
from annotation.selectors import _tree, get_tree
from annotation.tree.nodes import Scale, ValueTree
from modeling.annotators import prompts
from modeling.annotators.prompts import get_design, get_prompt, save_prompt
from modeling.models import PromptVersion
from modeling.prompts.design import PURPOSES, DesignError
from modeling.prompts.shipped import fits_tree, values_prompt
from tests.factories import StudyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


@pytest.fixture
def study():
    return StudyFactory(posts=0, questions=0)


def reword(study, purpose="nsfw", **words):
    return replace(get_design(get_prompt(study, purpose)), **words)


def test_a_study_begins_with_version_1_of_each_prompt_as_shipped(study):
    for purpose in (*PURPOSES, *PURPOSES):
        get_prompt(study, purpose)
    assert {(each.purpose, each.number) for each in study.prompt_versions.all()} == {
        (purpose, 1) for purpose in PURPOSES
    }
    prompt = get_prompt(study, "values")
    assert get_design(prompt) == values_prompt(get_tree(study.value_system))
    assert prompt.digest == get_design(prompt).digest()
    assert "shipped" in prompt.note
    assert prompt.created_by is None


def test_there_is_no_prompt_for_another_purpose(study):
    with pytest.raises(ValueError, match="no prompt is for 'weather'"):
        get_prompt(study, "weather")


def test_a_change_is_the_next_version_and_the_one_before_stays(study):
    first = get_prompt(study, "nsfw")
    user = get_user_model().objects.create_user("ada")
    second = save_prompt(study, reword(study, instructions="Other words."), note="Shorter.", user=user)
    assert (second.number, second.note, second.created_by) == (2, "Shorter.", user)
    assert get_prompt(study, "nsfw") == second
    assert get_design(second).instructions == "Other words."
    first.refresh_from_db()
    assert get_design(first).instructions != "Other words."


def test_the_same_content_is_the_same_version(study):
    first = get_prompt(study, "nsfw")
    assert save_prompt(study, get_design(first), note="Nothing new.") == first
    assert study.prompt_versions.filter(purpose="nsfw").count() == 1
    assert not StudyEvent.objects.filter(study=study).exists()


def test_going_back_to_older_words_is_a_new_version(study):
    first = get_prompt(study, "nsfw")
    save_prompt(study, reword(study, closing="Other."))
    assert save_prompt(study, get_design(first)).number == 3


def test_saving_is_in_the_log(study):
    user = get_user_model().objects.create_user("ada")
    prompt = save_prompt(study, reword(study, closing="Other."), note="Clearer.", user=user)
    event = StudyEvent.objects.get(study=study)
    assert (event.actor, event.reason) == (user, "Clearer.")
    assert "version 2" in event.summary
    assert event.detail["digest"] == prompt.digest


def test_studies_have_their_own_numbers(study):
    save_prompt(study, reword(study, closing="Other."))
    assert get_prompt(StudyFactory(posts=0, questions=0), "nsfw").number == 1


def test_a_design_with_faults_is_not_stored(study):
    with pytest.raises(DesignError, match="instructions is blank"):
        save_prompt(study, reword(study, instructions=" "))
    assert study.prompt_versions.count() == 1


def test_a_prompt_about_values_asks_for_the_studys_values_on_its_scale(study):
    design = reword(study, "values")
    shorter = (*design.scale[:-2], replace(design.scale[-2], label="Very much"))
    for wrong, said in (
        (replace(design, concepts=design.concepts[::-1]), "must be the study's values"),
        (replace(design, concepts=design.concepts[1:]), "must be the study's values"),
        (replace(design, scale=shorter), "must run from 1 to 5"),
    ):
        with pytest.raises(DesignError, match=said):
            save_prompt(study, wrong)


def test_a_changed_value_system_gives_a_new_version_that_keeps_the_words(study):
    design = reword(study, "values", instructions="My words.")
    save_prompt(study, design)
    kept = design.concepts[0]
    tree = ValueTree.flat("other", ["brand_new", kept.key], Scale(0, 3, 1, "none", "much"))
    study.value_system = services.save_value_system(tree)
    adapted = get_prompt(study, "values")
    assert adapted.number == 3
    assert "value system" in adapted.note
    assert fits_tree(get_design(adapted), tree)
    assert get_design(adapted).instructions == "My words."
    assert get_design(adapted).concepts[1] == kept
    assert get_prompt(study, "values") == adapted


def test_two_who_save_in_the_same_instant_get_two_versions(study, monkeypatch):
    newest = get_prompt(study, "nsfw")
    theirs = reword(study, closing="Theirs.")
    mine = reword(study, closing="Mine.")
    find = prompts._find_newest
    looks = []

    def find_too_early(study, purpose):
        """Both looks, before saving and before storing, are from before the other's version."""
        looks.append(purpose)
        if len(looks) == 1:
            PromptVersion.objects.create(
                study=study, purpose="nsfw", number=2, content=theirs.to_dict(), digest=theirs.digest()
            )
        return newest if len(looks) <= 2 else find(study, purpose)

    monkeypatch.setattr(prompts, "_find_newest", find_too_early)
    assert save_prompt(study, mine).number == 3
    assert [each.number for each in study.prompt_versions.filter(purpose="nsfw")] == [3, 2, 1]
