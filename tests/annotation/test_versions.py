import pytest
from django.contrib.auth import get_user_model

from annotation import versions
from annotation.models import Post, Study, StudyEvent, StudyVersion
from annotation.services import change_state
from annotation.studyfile import StudyFileError, dump, load
from annotation.versions import (
    build_version_file,
    compute_digest,
    describe_changes,
    freeze,
    freeze_after_renewal,
    get_code_version,
    hash_json,
    note_change,
)
from tests.annotation.test_concurrency import at_once
from tests.every_step import EVERY_STEP, build_study
from tests.factories import PostFactory, StudyFactory

pytestmark = pytest.mark.django_db


def change_welcome(study, welcome="Welcome back."):
    Study.objects.filter(pk=study.pk).update(welcome=welcome)


def test_the_first_version_holds_the_study_its_posts_and_the_code():
    study = build_study(*EVERY_STEP)
    version = freeze(study, reason="It begins.")
    assert (version.number, version.reason, version.made_by) == (1, "It begins.", "")
    assert version.content == dump(study, codes=False, posts=False)
    assert set(version.post_digests) == set(
        study.posts.filter(purpose=Post.Purpose.LABELING).values_list("key", flat=True)
    )
    assert version.code_version == get_code_version()
    assert study.current_version == version == Study.objects.get(pk=study.pk).current_version


def test_no_completion_code_is_frozen():
    study = build_study(*EVERY_STEP)
    version = freeze(study)
    text = str(version.content) + str(version.post_digests)
    for code in study.completion_codes.values_list("code", flat=True):
        assert code not in text
    study.completion_codes.first().delete()
    assert freeze(study) == version


def test_the_digest_can_be_computed_again_from_the_row():
    study = StudyFactory()
    version = StudyVersion.objects.get(pk=freeze(study).pk)
    assert version.digest == compute_digest(
        version.content, version.post_digests, study.value_keys, version.code_version
    )


def test_a_study_that_has_not_changed_keeps_its_version():
    study = StudyFactory()
    first = freeze(study)
    assert freeze(Study.objects.get(pk=study.pk)) == first
    assert (study.versions.count(), study.events.filter(action="version").count()) == (1, 1)


def edit_step(study):
    step = study.steps.get(kind="gating")
    step.config["threshold"] = 1
    step.save()


def edit_values(study):
    node = study.value_system.nodes.filter(is_leaf=True).first()
    node.definition += " Reworded."
    node.save()


def edit_questionnaire(study):
    questionnaire = study.questionnaires.get()
    questionnaire.definition["title"] = "You"
    questionnaire.save()


@pytest.mark.parametrize(
    "edit",
    [
        change_welcome,
        edit_step,
        edit_values,
        edit_questionnaire,
        lambda study: study.calibration_questions.last().delete(),
        lambda study: study.posts.filter(key="c1").update(text="Another calibration post."),
        lambda study: study.posts.filter(key="p1").update(text="Another post."),
        lambda study: study.posts.filter(key="p1").update(context_kind="reply", context_text="What?"),
        lambda study: study.posts.filter(key="p1").update(metadata={"likes": 1}),
        lambda study: study.posts.filter(key="p1").delete(),
        lambda study: PostFactory(study=study, key="late"),
        lambda study: Study.objects.filter(pk=study.pk).update(seed=2),
        lambda study: Study.objects.filter(pk=study.pk).update(value_keys=study.value_keys[::-1]),
    ],
)
def test_whatever_people_could_meet_otherwise_makes_a_new_version(edit):
    study = build_study(*EVERY_STEP)
    first = freeze(study)
    edit(study)
    second = freeze(Study.objects.get(pk=study.pk))
    assert (second.number, second.digest != first.digest) == (2, True)


def test_a_new_version_of_the_software_makes_a_new_version_of_the_study(monkeypatch):
    study = StudyFactory()
    first = freeze(study)
    monkeypatch.setattr(versions, "get_code_version", lambda: "9.9.9")
    second = freeze(study)
    assert (second.number, second.code_version) == (2, "9.9.9")
    (change,) = describe_changes(first, second)
    assert (change.where, change.after) == ("Version of the software", "9.9.9")


@pytest.mark.parametrize(
    ("state", "n_frozen"), [("live", 1), ("pilot", 1), ("paused", 1), ("closed", 0), ("draft", 0)]
)
def test_running_studies_are_frozen_anew_once_the_software_was_renewed(monkeypatch, state, n_frozen):
    study = StudyFactory(state=state)
    StudyFactory(state="live")  # never frozen
    freeze(study)
    assert freeze_after_renewal() == 0
    monkeypatch.setattr(versions, "get_code_version", lambda: "9.9.9")
    assert [freeze_after_renewal(), freeze_after_renewal()] == [n_frozen, 0]
    assert study.versions.count() == 1 + n_frozen


def test_going_back_to_what_was_is_a_version_of_its_own_with_the_digest_of_then():
    study = StudyFactory()
    welcome = study.welcome
    first = freeze(study)
    change_welcome(study)
    freeze(study)
    change_welcome(study, welcome)
    third = freeze(study)
    assert (third.number, third.digest) == (3, first.digest)
    assert describe_changes(first, third) == []


def test_what_is_frozen_is_what_is_stored_and_not_what_is_in_memory():
    study = StudyFactory()
    study.welcome = "Typed, not saved."
    assert freeze(study).content["about"]["welcome"] != study.welcome


def test_the_log_says_who_froze_what_and_what_changed():
    user = get_user_model().objects.create_user("ada")
    study = StudyFactory()
    freeze(study)
    change_welcome(study)
    version = freeze(study, actor=user, reason="A typing error.")
    event = study.events.filter(action=StudyEvent.Action.VERSION).first()
    assert (event.actor_name, event.reason, event.summary) == (
        "ada",
        "A typing error.",
        "Frozen as version 2.",
    )
    assert event.detail == {
        "number": 2,
        "digest": version.digest,
        "n_changes": 1,
        "changed": ["About › welcome text"],
    }
    assert (version.made_by, version.reason) == ("ada", "A typing error.")


def test_a_long_reason_is_cut_to_what_can_be_stored():
    assert len(freeze(StudyFactory(), reason="x" * 1000).reason) == 300


def test_a_study_whose_values_are_not_complete_cannot_be_frozen():
    study = StudyFactory()
    study.value_system.nodes.filter(is_leaf=True).delete()
    study.value_system.save()
    with pytest.raises(StudyFileError):
        freeze(study)
    assert not study.versions.exists()


class TestNotedChanges:
    def test_a_draft_that_never_ran_has_a_line_in_the_log_alone(self):
        study = StudyFactory(state="draft")
        assert note_change(study, reason="Clearer words.") is None
        event = study.events.get()
        assert (event.action, event.reason, study.versions.count()) == ("changed", "Clearer words.", 0)

    @pytest.mark.parametrize("state", ["pilot", "live", "paused", "closed"])
    def test_a_study_that_runs_or_ran_gets_its_version(self, state):
        study = StudyFactory(state=state)
        assert note_change(study) == study.current_version is not None

    def test_a_draft_again_that_was_launched_once_gets_its_version_too(self):
        study = StudyFactory()
        freeze(study)
        Study.objects.filter(pk=study.pk).update(state="draft")
        change_welcome(study)
        assert note_change(study).number == 2


def test_a_launch_freezes_what_people_will_meet():
    study = build_study(*EVERY_STEP, posts=4, state="draft")
    change_state(study, "live", reason="All is ready.")
    version = study.versions.get()
    assert (study.current_version, version.reason) == (version, "All is ready.")
    assert set(version.post_digests) == {"p1", "p2", "p3", "p4"}


def test_posts_that_came_went_and_changed_are_counted():
    study = StudyFactory()
    first = freeze(study)
    study.posts.filter(key="p1").update(text="Another text.")
    study.posts.get(key="p2").delete()
    PostFactory(study=study, key="p4")
    where = [
        (change.where, change.before or change.after) for change in describe_changes(first, freeze(study))
    ]
    assert where == [
        ("Posts to label added", "1: p4"),
        ("Posts to label removed", "1: p2"),
        ("Posts to label changed", "1: p1"),
    ]


class TestVersionFiles:
    def test_a_version_is_a_study_file_with_the_posts_that_are_still_what_they_were(self):
        study = build_study(*EVERY_STEP)
        version = freeze(study)
        whole = dump(study, codes=False)
        assert build_version_file(version) == (whole, 0)
        change_welcome(study)
        study.posts.filter(key="p1").update(text="Another text.")
        PostFactory(study=study, key="late")
        data, n_missing = build_version_file(version)
        assert (n_missing, [post["key"] for post in data["posts"]]) == (
            1,
            [post["key"] for post in whole["posts"] if post["key"] != "p1"],
        )
        assert data["about"] == whole["about"]

    def test_it_can_be_made_into_a_study_again(self):
        study = build_study(*EVERY_STEP)
        data, _ = build_version_file(freeze(study))
        assert load(data, slug="again").posts.count() == study.posts.count()


def test_a_hash_does_not_depend_on_the_order_of_names():
    assert hash_json({"a": 1, "b": [1, {"c": "ä", "d": None}]}) == hash_json(
        {"b": [1, {"d": None, "c": "ä"}], "a": 1}
    )
    assert hash_json({"a": 1}) != hash_json({"a": True}) != hash_json({"a": "1"})


@pytest.mark.servers
@pytest.mark.django_db(transaction=True)
def test_ten_who_freeze_at_once_make_one_version():
    study = StudyFactory()
    results = at_once(*(lambda: freeze(Study.objects.get(pk=study.pk)) for _ in range(10)))
    assert {result.pk for result in results} == {StudyVersion.objects.get().pk}
    change_welcome(study)
    results = at_once(*(lambda: freeze(Study.objects.get(pk=study.pk)) for _ in range(10)))
    assert {result.number for result in results} == {2}
    assert StudyEvent.objects.filter(action="version").count() == 2
