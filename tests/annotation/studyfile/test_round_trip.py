import json

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from hypothesis import HealthCheck, given, settings

from annotation.models import CompletionCode, Post, Study, StudyAccess, StudyEvent, ValueSystem
from annotation.services import save_value_system
from annotation.studyfile import StudyFileError, dump, duplicate, find_free_slug, load, read, to_json
from annotation.tree.nodes import ValueTree
from modeling.demo import load_demo_study
from tests.annotation.studyfile.strategies import files
from tests.every_step import EVERY_STEP, build_study
from tests.factories import EnrollmentFactory, PostFactory, StudyFactory, load_ten

pytestmark = pytest.mark.django_db


def renamed(data, slug, name=None):
    about = data["about"] | {"slug": slug} | ({"name": name} if name else {})
    return data | {"about": about}


@given(files())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_file_becomes_a_study_that_is_the_same_file_again(data):
    with transaction.atomic():
        first = load(read(to_json(data).encode()))
        once = dump(first)
        assert once == data
        second = load(read(to_json(once).encode()), slug="again")
        assert dump(second) == renamed(once, "again")
        assert second.value_system == first.value_system
        assert (second.state, second.value_keys) == ("draft", first.value_keys)
        transaction.set_rollback(True)


def test_the_demonstration_survives_the_trip_with_all_its_posts():
    study, _ = load_demo_study()
    copy = load(read(to_json(dump(study)).encode()), slug="copy", name="A copy")
    assert dump(copy) == renamed(dump(study), "copy", "A copy")
    assert copy.posts.count() == study.posts.count() > 700
    assert copy.value_system == study.value_system


def test_steps_of_every_kind_survive_the_trip():
    study = build_study(*EVERY_STEP, redundancy_cap=4, max_minutes=200, reward=500)
    assert dump(load(dump(study), slug="copy")) == renamed(dump(study), "copy")


def test_posts_keep_their_order_context_and_metadata():
    study = StudyFactory(posts=0)
    metadata = {"likes": 3, "ratio": 0.25, "tags": ["λ", None, {"deep": [True]}], "": "blank name"}
    PostFactory(study=study, key="z", text="‮right to left‬ 👩‍👩‍👧", metadata=metadata)
    PostFactory(study=study, key="a", text="", context_kind="quote", context_text="line\n\ttwo")
    posts = dump(load(dump(study), slug="copy"))["posts"]
    assert posts == [
        {"key": "z", "text": "‮right to left‬ 👩‍👩‍👧", "context": None, "metadata": metadata},
        {"key": "a", "text": "", "context": {"kind": "quote", "text": "line\n\ttwo"}, "metadata": {}},
    ]


def test_codes_and_posts_can_be_left_out():
    study = StudyFactory()
    bare = dump(study, codes=False, posts=False)
    assert {"codes", "posts"}.isdisjoint(bare)
    copy = load(bare, slug="copy")
    assert not copy.completion_codes.exists()
    assert not copy.posts.filter(purpose=Post.Purpose.LABELING).exists()
    assert copy.calibration_questions.count() == study.calibration_questions.count()


def test_nothing_of_who_took_part_is_in_the_file():
    study = StudyFactory()
    enrollment = EnrollmentFactory(study=study)
    text = to_json(dump(study))
    assert enrollment.rater.external_id not in text
    assert str(enrollment.public_id) not in text


def test_a_study_begins_as_a_draft_whatever_the_other_one_is():
    study = StudyFactory(state="live")
    copy = load(dump(study), slug="copy")
    assert (copy.state, copy.current_version, copy.enrollments.count()) == ("draft", None, 0)


def test_the_smallest_file_gets_the_usual_settings():
    data = {
        "parallax_study": 1,
        "about": {"slug": "small", "name": "Small", "title": "Small"},
        "values": load_ten().to_dict(),
    }
    study = load(data)
    usual = Study()
    for name in ("posts_per_rater", "strategy", "language", "estimated_minutes", "collects_paradata", "seed"):
        assert getattr(study, name) == getattr(usual, name)
    assert study.steps.count() == study.posts.count() == 0


class TestValueSystems:
    def test_one_that_is_there_word_for_word_is_used_again(self):
        study = StudyFactory()
        assert load(dump(study), slug="copy").value_system == study.value_system

    def test_another_one_of_the_same_name_is_stored_beside_it_and_changes_nothing(self):
        study = StudyFactory()
        data = dump(study)
        data["values"]["root"]["children"][0]["label"] += " of another kind"
        copy = load(data, slug="copy")
        assert copy.value_system.slug == f"{study.value_system.slug}-2"
        assert (
            dump(study)["values"]["root"]["children"][0]["label"]
            != (dump(copy)["values"]["root"]["children"][0]["label"])
        )
        assert load(data, slug="third").value_system == copy.value_system
        assert ValueSystem.objects.count() == 2

    def test_a_long_slug_leaves_room_for_its_number(self):
        tree = ValueTree.from_dict(load_ten().to_dict() | {"slug": "v" * 50})
        save_value_system(ValueTree.from_dict(tree.to_dict() | {"name": "Another"}))
        data = dump(StudyFactory()) | {"values": tree.to_dict()}
        assert load(data, slug="copy").value_system.slug == "v" * 48 + "-2"

    def test_one_that_is_not_complete_cannot_be_written(self):
        study = StudyFactory()
        study.value_system.nodes.filter(is_leaf=True).delete()
        study.value_system.save()
        with pytest.raises(StudyFileError, match="values: "):
            dump(Study.objects.get(pk=study.pk))


class TestCopies:
    def test_a_copy_is_the_same_study_with_codes_of_its_own(self):
        study = build_study(*EVERY_STEP, redundancy_cap=2)
        copy = duplicate(study, slug="copy", name="Copy")
        assert dump(copy, codes=False) == renamed(dump(study, codes=False), "copy", "Copy")
        own = set(copy.completion_codes.values_list("code", flat=True))
        assert len(own) == copy.completion_codes.count() > 3
        assert own.isdisjoint(study.completion_codes.values_list("code", flat=True))

    def test_a_study_without_codes_has_a_copy_without(self):
        assert not duplicate(StudyFactory(codes={}), slug="copy", name="Copy").completion_codes.exists()

    def test_an_unfinished_draft_can_be_copied(self):
        study = build_study("consent", "labeling", state="draft")
        study.steps.create(position=9, kind="training", config={})
        assert duplicate(study, slug="copy", name="Copy").steps.last().config == {}
        with pytest.raises(StudyFileError, match=r"steps\[2\]\.config: step 3, Training"):
            load(dump(study), slug="third")


def test_whoever_makes_a_study_owns_it_and_the_log_says_so():
    user = get_user_model().objects.create_user("ada", is_staff=True)
    study = load(dump(StudyFactory()), slug="copy", actor=user)
    assert StudyAccess.objects.get(study=study).role == StudyAccess.Role.OWNER
    event = StudyEvent.objects.get(study=study, action="created")
    assert (event.actor_name, event.detail) == ("ada", {"posts": 3})


def test_a_command_makes_no_owner():
    study = load(dump(StudyFactory()), slug="copy")
    assert not study.accesses.exists()
    assert study.events.get().actor_name == "command"


def test_the_next_free_slug_is_found():
    StudyFactory(slug="wave")
    StudyFactory(slug="wave-2")
    assert (find_free_slug("wave"), find_free_slug("tide")) == ("wave-3", "tide")
    StudyFactory(slug="x" * 50)
    assert find_free_slug("x" * 50) == "x" * 48 + "-2"


def test_the_text_of_a_file_is_plain_json():
    study = StudyFactory(welcome="Schön, dass Sie da sind: 您好")
    text = to_json(dump(study))
    assert "Schön, dass Sie da sind: 您好" in text
    assert json.loads(text) == dump(study)
    assert CompletionCode.objects.first().code in text
