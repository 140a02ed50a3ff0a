"""What a ready-made text leaves to its researchers keeps a study from a launch."""

import pytest

from annotation.launch import find_faults, find_faults_ahead
from tests.every_step import TEXT, build_study
from tests.factories import CONSENT

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"title": "A study by [name]"}, "The title"),
        ({"welcome": "Welcome to [name]."}, "The welcome text"),
        ({"consent": CONSENT | {"sections": [{"text": "Ask [name]."}]}}, "The consent page"),
        ({"outcome_texts": {"completed": {"text": "Write to [name]."}}}, "The last page of 'completed'"),
    ],
)
def test_a_placeholder_in_the_studys_own_texts_is_named(fields, place):
    assert find_faults(build_study("consent", "labeling", posts=2, **fields)) == [
        f"{place} contains a placeholder [name]: write what belongs there, without square brackets."
    ]


def test_placeholders_of_a_step_are_named_once_each_and_do_not_keep_a_rehearsal_from_going_on():
    study = build_study("consent", "instructions", "labeling", posts=2)
    step = study.steps.get(kind="instructions")
    step.config = TEXT | {"title": "By [who]", "sections": [{"text": "[what] by [who]"}]}
    step.save()
    assert find_faults(study) == [
        "Step 2 (Instructions) contains placeholders [who], [what]: write what belongs there, without square "
        "brackets."
    ]
    assert find_faults_ahead(study, step) == []


def test_posts_may_say_what_they_like():
    study = build_study("consent", "training", "gating", "labeling", posts=2)
    study.posts.update(text="She said it [sic].")
    for step in study.steps.filter(kind__in=("training", "gating")):
        step.config["posts"][0]["text"] = "A picture [deleted]"
        step.save()
    assert find_faults(study) == []


@pytest.mark.parametrize("text", ["(see below)", "[]", "a [ b", "5 > 3 ]", "[two\nlines]"])
def test_other_signs_are_no_placeholders(text):
    assert find_faults(build_study("consent", "labeling", posts=2, welcome=text)) == []
