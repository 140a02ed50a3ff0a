import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation import steps
from annotation.launch import find_faults, find_warnings, is_translated, list_item_keys
from annotation.models import Outcome, Post, Step, Study, ValueNode
from modeling.demo import load_demo_study
from tests.every_step import ALL_CODES, CONFIGS, GATING, GRID, TEXT, TRAINING, build_study
from tests.factories import CONSENT, PostFactory, StepFactory, StudyFactory

pytestmark = pytest.mark.django_db
WHOLE = (
    "consent",
    "instructions",
    "number",
    "training",
    "gating",
    "labeling",
    "grid",
    "vcq",
    "questionnaire",
    "debrief",
)


def faults_of(*names, **fields):
    return find_faults(build_study(*names, **fields))


def set_config(study, kind, config):
    study.steps.filter(kind=kind).update(config=config)
    return find_faults(study)


class TestOrder:
    @pytest.mark.parametrize(
        "names",
        [
            WHOLE,
            ("consent", "labeling"),
            ("consent", "vcq"),
            ("consent", "questionnaire", "debrief"),
            ("consent", "questionnaire", "training", "gating", "labeling"),
            ("consent", "instructions", "labeling", "instructions", "vcq", "number", "questionnaire"),
            (
                "consent",
                "training",
                "gating",
                "training",
                "gating",
                "labeling",
                "number",
                "labeling",
                "debrief",
            ),
            ("consent", "number", "grid", "number", "labeling"),
            ("consent", "gating", "labeling"),
            ("consent", "vcq", "instructions", "training", "labeling"),
        ],
        ids=" ".join,
    )
    def test_an_order_that_makes_sense_has_no_faults(self, names):
        assert faults_of(*names, posts=4) == []

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ((), "has no steps"),
            (("labeling",), "first step must be the consent"),
            (("number", "consent", "labeling"), "first step must be the consent"),
            (("consent", "labeling", "consent"), "only one step 'Consent'"),
            (("consent", "vcq", "vcq"), "only one step 'Value Calibration Questionnaire'"),
            (("consent", "labeling", "debrief", "debrief"), "only one step 'Debrief'"),
            (("consent", "debrief", "labeling"), "debrief must be the last"),
            (("consent", "labeling", "debrief", "number"), "debrief must be the last"),
            (("consent",), "asks anything of interest"),
            (("consent", "instructions", "number", "training", "gating", "debrief"), "anything of interest"),
            (("consent", "labeling", "training"), "Step 3 (Training) prepares for nothing"),
            (
                ("consent", "labeling", "instructions", "debrief"),
                "Step 3 (Instructions) prepares for nothing",
            ),
            (("consent", "labeling", "gating"), "Step 3 (Gating) prepares for nothing"),
            (("consent", "labeling", "training", "labeling"), "training stands after labeling"),
            (("consent", "labeling", "gating", "labeling"), "A gate stands after step 2 (Labeling)"),
            (("consent", "vcq", "gating", "labeling"), "A gate stands after step 2 (Value"),
            (("consent", "gating", "labeling", "gating", "vcq"), "A gate stands after step 3 (Labeling)"),
            (("consent", "gating", "training", "labeling"), "A gate stands before the training"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_one_that_makes_none_is_refused_with_the_reason(self, names, said):
        (fault,) = [fault for fault in faults_of(*names, posts=4) if said in fault]
        assert fault.endswith(".")

    def test_all_reasons_are_named_at_once(self):
        faults = faults_of("labeling", "debrief", "gating", "juggling", posts=0, estimated_minutes=0)
        for said in ("consent", "debrief", "gate", "no kind of step 'juggling'", "has 0", "a minute"):
            assert any(said in fault for fault in faults), said

    def test_a_kind_of_another_room_counts_as_work(self, monkeypatch):
        monkeypatch.setitem(steps.KINDS, "drawing", steps.StepKind("drawing", "Drawing", "no.view"))
        assert faults_of("consent", "training", "drawing") == []
        assert any(
            "A gate stands after" in fault for fault in faults_of("consent", "drawing", "gating", "vcq")
        )


class TestAttentionRules:
    END = {"attention_consequence": Study.AttentionConsequence.END}

    @pytest.mark.parametrize(
        ("minutes", "limit", "said"),
        [(5, 1, "Prolific's rule"), (4, 1, ""), (5, 2, ""), (45, 3, "has only 2"), (4, 0, "raise the limit")],
    )
    def test_ending_someones_study_takes_two_failed_checks_from_five_minutes_on(self, minutes, limit, said):
        faults = faults_of(
            "consent",
            "number",
            "labeling",
            "grid",
            attention_limit=limit,
            estimated_minutes=minutes,
            **self.END,
        )
        assert (len(faults) == 1 and said in faults[0]) if said else faults == []

    def test_one_check_alone_can_end_no_long_study(self):
        faults = faults_of("consent", "number", "labeling", attention_limit=1, **self.END)
        assert len(faults) == 1
        faults = faults_of("consent", "number", "labeling", attention_limit=2, **self.END)
        assert "add checks, lower the limit, or only note failures" in faults[0]

    @pytest.mark.parametrize("limit", [1, 7])
    def test_failures_that_are_only_noted_need_no_limit(self, limit):
        assert faults_of("consent", "number", "labeling", attention_limit=limit) == []

    def test_a_study_without_checks_needs_no_limit(self):
        assert faults_of("consent", "labeling", attention_limit=9, **self.END) == []

    def test_two_grids_never_share_the_key_of_a_row(self):
        study = build_study("consent", "grid", "labeling", "number", "grid")
        assert [fault for fault in find_faults(study) if "steps 2 and 5 both have a row" in fault] != []
        other = copy.deepcopy(GRID)
        for row in other["rows"]:
            row["key"] += "-2"
        study.steps.filter(position=5).update(config=other)
        assert find_faults(study) == []

    def test_a_check_that_cannot_be_read_is_named_with_its_step(self):
        study = build_study("consent", "number", "labeling")
        faults = set_config(study, "attention_check", {"kind": "riddle"})
        assert len(faults) == 1
        assert faults[0].startswith("Step 2 (Attention check): ")


class TestSettings:
    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ({}, "'title' is missing"),
            (TEXT | {"title": " "}, "'title' is missing"),
            (TEXT | {"sections": []}, "'sections'"),
            (TEXT | {"sections": [{"heading": "Only this"}]}, "'sections'"),
            (TEXT | {"sections": [{"text": "Fine", "more": 1}]}, "'sections'"),
            (TEXT | {"colour": "red"}, "no setting 'colour'"),
            ([], "must be an object"),
        ],
    )
    def test_a_text_needs_title_and_sections(self, config, said):
        faults = set_config(build_study("consent", "instructions", "labeling"), "instructions", config)
        assert faults
        assert all(fault.startswith("Step 2 (Instructions): ") and said in fault for fault in faults[:1])

    @pytest.mark.parametrize(
        ("kind", "config"),
        [("training", TRAINING | {"tolerance": 99}), ("gating", GATING | {"threshold": 9})],
    )
    def test_posts_with_known_answers_are_checked_against_the_tree(self, kind, config):
        faults = set_config(build_study("consent", kind, "labeling"), kind, config)
        assert len(faults) == 1
        assert faults[0].startswith("Step 2 (")

    @pytest.mark.parametrize("posts", [0, -1, "3", 2.0, True, None])
    def test_the_number_of_posts_is_a_whole_one(self, posts):
        (fault,) = set_config(build_study("consent", "labeling"), "labeling", {"posts": posts})
        assert "'posts' must be a whole number from 1" in fault

    def test_all_labeling_steps_together_ask_for_no_more_posts_than_there_are(self):
        study = build_study("consent", "labeling", "number", "labeling", posts=4, posts_per_rater=2)
        assert find_faults(study) == []
        study.steps.filter(position=4).update(config={"posts": 3})
        assert find_faults(study) == ["Step 4 (Labeling): it asks for 5 posts by here, but the study has 4."]

    def test_settings_that_are_no_object_keep_no_other_step_from_being_checked(self):
        study = build_study("consent", "labeling", "labeling", posts=2, posts_per_rater=3)
        study.steps.filter(position=2).update(config=[])
        first, second = find_faults(study)
        assert first == "Step 2 (Labeling): its settings must be an object: { ... }."
        assert "it asks for 3 posts" in second

    def test_posts_of_the_vcq_are_not_posts_to_label(self):
        faults = faults_of("consent", "labeling", posts=1, questions=5, posts_per_rater=2)
        assert faults == ["Step 2 (Labeling): it asks for 2 posts by here, but the study has 1."]

    def test_a_post_without_words_cannot_be_labeled(self):
        study = build_study("consent", "labeling")
        PostFactory(study=study, text=" \n")
        assert find_faults(study) == ["1 of the posts to label have no text."]

    @pytest.mark.parametrize("kind", ["consent", "labeling", "vcq"])
    def test_a_setting_that_does_not_exist_is_named(self, kind):
        (fault,) = set_config(build_study("consent", "labeling", "vcq"), kind, {"volume": 11})
        assert "no setting 'volume'" in fault


class TestTheStudysOwn:
    @pytest.mark.parametrize("name", ["title", "sections", "agree", "decline"])
    def test_consent_needs_all_its_texts(self, name):
        for consent in ({k: v for k, v in CONSENT.items() if k != name}, CONSENT | {name: ""}):
            (fault,) = faults_of("consent", "labeling", consent=consent)
            assert fault == f"The consent step needs texts; missing in 'consent': {name}."

    def test_consent_needs_two_answers_that_differ(self):
        (fault,) = faults_of("consent", "labeling", consent=CONSENT | {"decline": CONSENT["agree"]})
        assert "are the same" in fault

    def test_people_have_the_time_that_prolific_gives_them(self):
        (fault,) = faults_of("consent", "labeling", estimated_minutes=20, max_minutes=50)
        assert "People may take 51 minutes at Prolific" in fault
        assert faults_of("consent", "labeling", estimated_minutes=20, max_minutes=51) == []

    def test_a_cap_lets_at_least_one_person_read(self):
        assert "cap below 1" in faults_of("consent", "labeling", redundancy_cap=0)[0]
        assert faults_of("consent", "labeling", redundancy_cap=1) == []

    def test_a_broken_value_system_is_named_alone(self):
        study = build_study("consent", "training", "gating", "labeling")
        ValueNode.objects.filter(system=study.value_system, parent=None).get().delete()
        (fault,) = find_faults(Study.objects.get(pk=study.pk))
        assert fault.startswith("The value system is not complete: ")

    def test_an_order_of_values_from_before_is_named(self):
        study = build_study("consent", "labeling", value_keys=["power"])
        assert "save the study again" in find_faults(study)[0]


STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(STORABLE, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(STORABLE, max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
KNOWN_NAMES = ("title", "sections", "kind", "rows", "options", "posts", "intro", "threshold", "questionnaire")


def is_stored(data):
    """Whether the columns take it: they are never null."""
    return data is not None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from([*CONFIGS, "labeling", "vcq", "consent", "juggling"]), max_size=4),
    config=ANYTHING.filter(is_stored) | st.dictionaries(st.sampled_from(KNOWN_NAMES), ANYTHING),
    texts=ANYTHING.filter(is_stored),
)
def test_whatever_is_stored_faults_and_warnings_are_sentences(db, kinds, config, texts):
    study = StudyFactory(steps=(), consent=texts, outcome_texts=texts)
    for position, kind in enumerate(kinds, start=1):
        StepFactory(
            study=study, position=position, kind={"number": "attention_check"}.get(kind, kind), config=config
        )
    for sentence in find_faults(study) + find_warnings(study):
        assert sentence.endswith((".", ":"))
    assert find_faults(study)


class TestWarnings:
    def warnings_of(self, *names, **fields):
        return find_warnings(build_study(*names, **fields))

    def test_a_study_with_a_code_for_every_way_out_has_none(self):
        assert self.warnings_of(*WHOLE) == []

    def test_only_ways_out_that_can_be_taken_need_a_code(self):
        always = "Completed, No consent, Timed out, Withdrew"
        (warning,) = self.warnings_of("consent", "labeling", codes={})
        assert warning.endswith(f"who end with: {always}.")
        (warning,) = self.warnings_of(
            "consent",
            "number",
            "gating",
            "labeling",
            codes={o: c for o, c in ALL_CODES.items() if o in ("completed", "no_consent")},
            redundancy_cap=2,
            attention_consequence="end",
        )
        rest = "Failed attention checks, Screened out, Study full, Timed out, Withdrew"
        assert warning.endswith(f"who end with: {rest}.")

    def test_a_language_without_a_translation_is_named(self):
        (warning,) = self.warnings_of("consent", "labeling", language="tt")
        assert "not translated into 'tt'" in warning

    def test_the_same_posts_for_all_and_a_cap_do_not_go_together(self):
        (warning,) = self.warnings_of("consent", "labeling", strategy="fixed", redundancy_cap=5)
        assert "the cap gives other posts" in warning
        assert self.warnings_of("consent", "labeling", strategy="fixed") == []

    def test_a_gate_after_a_questionnaire_comes_late(self):
        (warning,) = self.warnings_of("consent", "questionnaire", "gating", "labeling")
        assert "at the very start" in warning
        assert self.warnings_of("consent", "gating", "questionnaire", "labeling") == []


def test_english_is_translated_and_what_has_a_catalogue(tmp_path, settings):
    settings.LOCALE_PATHS = [tmp_path]
    assert is_translated("en")
    assert is_translated("en-gb")
    assert not is_translated("pt-br")
    catalogue = tmp_path / "pt_BR/LC_MESSAGES/django.mo"
    catalogue.parent.mkdir(parents=True)
    catalogue.touch()
    assert is_translated("pt-br")
    assert not is_translated("pt")


def test_the_demonstration_study_has_neither_faults_nor_warnings():
    study, _ = load_demo_study()
    assert (study.state, find_faults(study), find_warnings(study)) == (Study.State.LIVE, [], [])


@pytest.mark.parametrize(
    ("kind", "config", "keys"),
    [
        ("training", TRAINING, ["swim", "soup"]),
        ("gating", GATING, ["boss", "lock", "duty"]),
        ("labeling", {"posts": 3}, []),
        ("training", {"posts": 3}, []),
        ("gating", {"posts": ["a", {"text": "No key."}]}, [None]),
        ("gating", None, []),
    ],
)
def test_the_keys_that_people_stand_at_are_those_of_known_posts(kind, config, keys):
    assert list_item_keys(kind, config) == keys


def test_every_kind_of_step_is_known_to_the_studies_of_these_tests():
    made = {step.kind for step in Step.objects.filter(study=build_study(*WHOLE))}
    assert made == set(steps.KINDS)
    assert set(Outcome) == set(ALL_CODES)
    assert Post.objects.exists()
