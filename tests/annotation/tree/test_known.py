from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.tree.known import (
    GatePost,
    GatingPlan,
    KnownPost,
    KnownPostError,
    Mistake,
    TrainingPlan,
    find_mistakes,
    is_correct,
    read_gating_config,
    read_training_config,
    settled,
)
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import Reading, WalkError, complete, open_branches
from tests.annotation.tree.strategies import finished_readings

REPOSITORY = Path(__file__).parents[3]
NONE_OF_THESE: frozenset[str] = frozenset()

TREE = ValueTree.from_dict(
    json.loads((REPOSITORY / "annotation/content/schwartz_19.json").read_text(encoding="utf-8"))
)
OPENNESS = ("self_direction_thought", "self_direction_action", "stimulation", "hedonism")
BATH: dict[str, Any] = {
    "key": "bath",
    "text": "A hot bath, at last.",
    "context": None,
    "marks": {"post": ["outcomes_for_self"], "outcomes_for_self": ["openness_to_change"]},
    "ratings": {**dict.fromkeys(OPENNESS, 0), "hedonism": 5},
    "why": {key: f"about {key}" for key in ("post", "outcomes_for_self", *OPENNESS)},
}
RIGHT_MARKS = {key: frozenset(marked) for key, marked in BATH["marks"].items()}
GATE: dict[str, Any] = {
    "key": "shame",
    "text": "I could not look at anyone.",
    "context": {"kind": "reply", "text": "How was it?"},
    "value": "face",
    "expresses": True,
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def change(data: dict[str, Any], *path: str, to: object = ...) -> dict[str, Any]:
    """A copy of `data` with the entry at the path replaced, or taken out."""
    changed = copy.deepcopy(data)
    entry = changed
    for name in path[:-1]:
        entry = entry[name]
    if to is ...:
        del entry[path[-1]]
    else:
        entry[path[-1]] = to
    return changed


def faults_of_known(data: object) -> tuple[str, ...]:
    with pytest.raises(KnownPostError) as caught:
        KnownPost.from_dict(TREE, data)
    return caught.value.faults


def make_known(tree: ValueTree, reading: Reading) -> KnownPost:
    """A known post, read from data, whose right answers are this reading."""
    return KnownPost.from_dict(
        tree,
        {
            "key": "k",
            "text": "text",
            "context": None,
            "marks": {key: sorted(marked) for key, marked in reading.marks.items()},
            "ratings": dict(reading.ratings),
            "why": {key: f"why {key}" for key in (*reading.marks, *reading.ratings)},
        },
    )


@pytest.fixture(scope="module")
def bath() -> KnownPost:
    return KnownPost.from_dict(TREE, BATH)


# --- reading a practice post -----------------------------------------------------------------------


def test_a_practice_post_is_read_with_its_right_reading(bath: KnownPost) -> None:
    assert (bath.key, bath.text, bath.context_kind, bath.context_text) == (
        "bath",
        "A hot bath, at last.",
        "",
        "",
    )
    finished = complete(TREE, bath.reading)
    assert finished.ratings == (0, 0, 0, 5) + (0,) * 15
    assert finished.opened == ("post", "outcomes_for_self", "openness_to_change")


def test_the_context_of_a_practice_post_is_kept_apart() -> None:
    post = KnownPost.from_dict(TREE, change(BATH, "context", to={"kind": "quote", "text": "Cold here."}))
    assert (post.context_kind, post.context_text) == ("quote", "Cold here.")


def test_a_practice_post_in_which_nothing_fits_needs_no_ratings() -> None:
    data = BATH | {"marks": {"post": []}, "ratings": {}, "why": {"post": "Nothing fits."}}
    assert KnownPost.from_dict(TREE, data).reading == Reading({"post": NONE_OF_THESE}, {})


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (None, "post: must be an object"),
        (change(BATH, "text"), "post 'bath': text is missing"),
        (change(BATH, "text", to="  "), "post 'bath': text is blank"),
        (change(BATH, "text", to="a\x00b"), "post 'bath': text contains a character that cannot be stored"),
        (change(BATH, "key", to="A b"), "post 'A b': key 'A b' must consist of"),
        (change(BATH, "key", to="k" * 101), "key is too long; use at most 100 characters"),
        (change(BATH, "keys", to=1), "post 'bath': unknown field 'keys'"),
        (change(BATH, "context", to="reply"), "post 'bath' > context: must be an object"),
        (
            change(BATH, "context", to={"kind": "repost", "text": "x"}),
            "post 'bath' > context: kind must be \"reply\" or \"quote\", not 'repost'",
        ),
        (change(BATH, "context", to={"kind": "reply", "text": ""}), "post 'bath' > context: text is blank"),
        (change(BATH, "marks", to=[]), "post 'bath': marks must be an object"),
        (
            change(BATH, "marks", "post", to="outcomes_for_self"),
            "post 'bath' > marks: 'post' must have a list",
        ),
        (change(BATH, "marks", "post", to=[["x"]]), "post 'bath' > marks: 'post' must have a list"),
        (change(BATH, "marks", "nowhere", to=[]), "post 'bath': marks of 'nowhere': there is no such branch"),
        (
            change(BATH, "marks", "outcomes_for_others", to=[]),
            "post 'bath': marks of 'outcomes_for_others': this branch is not open",
        ),
        (
            change(BATH, "ratings", "hedonism"),
            "post 'bath' > ratings: 'hedonism' is asked, but has no known answer",
        ),
        (
            change(BATH, "ratings", "hedonism", to=7),
            "post 'bath': rating of 'hedonism': 7 is outside the scale",
        ),
        (
            change(BATH, "ratings", "hedonism", to="5"),
            "post 'bath': rating of 'hedonism': '5' is not a whole",
        ),
        (
            change(BATH, "ratings", "face", to=0),
            "post 'bath': rating of 'face': its branch 'self_enhancement' is not open",
        ),
        (change(BATH, "why", "post"), "post 'bath' > why: 'post' is asked, but has no explanation"),
        (
            change(BATH, "why", "stimulation"),
            "post 'bath' > why: 'stimulation' is asked, but has no explanation",
        ),
        (change(BATH, "why", "stimulation", to=" "), "post 'bath' > why: stimulation is blank"),
        (change(BATH, "why", "face", to="x"), "post 'bath' > why: 'face' is never asked for this post"),
        (change(BATH, "why", to="because"), "post 'bath': why must be an object"),
    ],
    ids=str,
)
def test_a_practice_post_that_cannot_work_is_refused_with_the_place(data: object, fault: str) -> None:
    assert any(named.startswith(fault) or fault in named for named in faults_of_known(data))


def test_a_question_without_its_marks_leaves_all_below_it_out_of_place() -> None:
    faults = faults_of_known(change(BATH, "marks", "outcomes_for_self"))
    assert "post 'bath' > marks: 'outcomes_for_self' is asked, but has no known answer" in faults
    assert "post 'bath': rating of 'hedonism': its branch 'openness_to_change' is not open" in faults


def test_two_known_marks_are_refused_where_one_answer_is_allowed() -> None:
    data = TREE.to_dict()
    data["root"]["answers"] = "one"
    both = change(BATH, "marks", "post", to=["outcomes_for_self", "outcomes_for_others"])
    with pytest.raises(KnownPostError, match="only one answer is allowed, 2 were given"):
        KnownPost.from_dict(ValueTree.from_dict(data), both)


def test_all_faults_of_a_practice_post_are_named_at_once() -> None:
    broken = change(change(change(BATH, "text", to=""), "why", "post"), "ratings", "hedonism", to=9)
    assert faults_of_known(broken) == (
        "post 'bath': text is blank; write the wording",
        "post 'bath': rating of 'hedonism': 9 is outside the scale from 0 to 6",
        "post 'bath' > why: 'post' is asked, but has no explanation",
    )


@given(
    JUNK, st.sampled_from([(), ("key",), ("context",), ("marks",), ("ratings",), ("why",), ("marks", "post")])
)
def test_junk_in_a_practice_post_is_refused_and_never_breaks_the_reading(
    junk: object, path: tuple[str, ...]
) -> None:
    data = change(BATH, *path, to=junk) if path else junk
    try:
        post = KnownPost.from_dict(TREE, data)
    except KnownPostError as error:
        assert error.faults
    else:
        complete(TREE, post.reading)


# --- judging a practice reading --------------------------------------------------------------------


def test_an_answer_that_is_missing_is_no_mistake(bath: KnownPost) -> None:
    assert find_mistakes(TREE, bath, Reading({}, {}), tolerance=0) == ()
    assert find_mistakes(TREE, bath, Reading({"post": RIGHT_MARKS["post"]}, {}), tolerance=0) == ()


@pytest.mark.parametrize(
    "marked",
    [
        NONE_OF_THESE,
        frozenset({"outcomes_for_others"}),
        frozenset({"outcomes_for_self", "outcomes_for_others"}),
    ],
    ids=["too few", "others", "too many"],
)
def test_marks_must_be_exactly_the_known_ones(bath: KnownPost, marked: frozenset[str]) -> None:
    reading = Reading({"post": marked}, {})
    assert find_mistakes(TREE, bath, reading, tolerance=6) == (Mistake("post", "question", "about post"),)
    assert settled(TREE, bath, reading) == frozenset()


def test_nothing_is_judged_below_a_branch_that_should_not_be_open(bath: KnownPost) -> None:
    marks = {
        "post": frozenset({"outcomes_for_others"}),
        "outcomes_for_others": frozenset({"conformity_and_tradition"}),
    }
    mistakes = find_mistakes(TREE, bath, Reading(marks, {"tradition": 6}), tolerance=0)
    assert [mistake.key for mistake in mistakes] == ["post"]


def test_what_is_rightly_open_is_judged_beside_a_wrong_branch(bath: KnownPost) -> None:
    marks = {
        "post": frozenset({"outcomes_for_self", "outcomes_for_others"}),
        "outcomes_for_self": frozenset({"openness_to_change"}),
    }
    reading = Reading(marks, {"hedonism": 0})
    assert find_mistakes(TREE, bath, reading, tolerance=1) == (
        Mistake("post", "question", "about post"),
        Mistake("hedonism", "rating", "about hedonism"),
    )
    assert settled(TREE, bath, reading) == {"outcomes_for_self"}


@pytest.mark.parametrize(
    ("key", "rating", "tolerance", "is_right"),
    [
        ("hedonism", 5, 0, True),
        ("hedonism", 6, 0, False),
        ("hedonism", 4, 1, True),
        ("hedonism", 6, 1, True),
        ("hedonism", 3, 1, False),
        ("stimulation", 1, 1, True),
        ("stimulation", 2, 1, False),
        ("stimulation", 1, 0, False),
    ],
)
def test_a_rating_is_right_within_the_tolerance(
    bath: KnownPost, key: str, rating: int, tolerance: int, is_right: bool
) -> None:
    mistakes = find_mistakes(TREE, bath, Reading(RIGHT_MARKS, {key: rating}), tolerance)
    assert mistakes == (() if is_right else (Mistake(key, "rating", f"about {key}"),))


def test_questions_are_settled_one_level_after_the_other(bath: KnownPost) -> None:
    assert settled(TREE, bath, Reading({}, {})) == frozenset()
    assert settled(TREE, bath, Reading({"post": RIGHT_MARKS["post"]}, {})) == {"post"}
    assert settled(TREE, bath, bath.reading) == {"post", "outcomes_for_self"}


@given(finished_readings(), st.integers(0, 200))
def test_the_known_reading_itself_has_no_mistakes(case: tuple[ValueTree, Reading], tolerance: int) -> None:
    tree, reading = case
    known = make_known(tree, reading)
    assert known.reading == reading
    assert find_mistakes(tree, known, reading, tolerance) == ()
    assert settled(tree, known, reading) == set(reading.marks)


@given(finished_readings(), st.integers(0, 3), st.data())
def test_every_single_deviation_is_found_and_alone(
    case: tuple[ValueTree, Reading], tolerance: int, data: st.DataObject
) -> None:
    tree, reading = case
    known = make_known(tree, reading)
    deviations: list[tuple[str, Reading]] = []
    for key, marked in reading.marks.items():
        keys = [child.key for child in tree.branch(key).child_branches]
        drawn = data.draw(st.frozensets(st.sampled_from(keys)))
        others = drawn if drawn != marked else marked ^ {keys[0]}
        deviations.append((key, Reading({**reading.marks, key: others}, reading.ratings)))
    for key, rating in reading.ratings.items():
        deviations.extend(
            (key, Reading(reading.marks, {**reading.ratings, key: other}))
            for other in (rating - tolerance - 1, rating + tolerance + 1)
            if other in tree.scale.levels
        )
    for key, deviating in deviations:
        assert [mistake.key for mistake in find_mistakes(tree, known, deviating, tolerance)] == [key]


@given(finished_readings(), st.data())
def test_only_questions_open_in_both_readings_are_settled(
    case: tuple[ValueTree, Reading], data: st.DataObject
) -> None:
    tree, reading = case
    known = make_known(tree, reading)
    marks = {
        branch.key: data.draw(st.frozensets(st.sampled_from([child.key for child in branch.child_branches])))
        for branch in tree.branches
        if branch.child_branches
    }
    other = Reading(marks, {})
    both = {branch.key for branch in open_branches(tree, marks)} & set(reading.marks)
    right = settled(tree, known, other)
    wrong = {mistake.key for mistake in find_mistakes(tree, known, other, tolerance=0)}
    assert right | wrong == both
    assert not right & wrong


# --- the gate --------------------------------------------------------------------------------------

SELF_ENHANCEMENT = ("achievement", "power_dominance", "power_resources", "face", "security_personal")
OPEN_TO_FACE = {
    "post": frozenset({"outcomes_for_self"}),
    "outcomes_for_self": frozenset({"self_enhancement"}),
}


@pytest.mark.parametrize(
    ("face", "expresses", "correct"),
    [(0, True, False), (0, False, True), (1, True, True), (1, False, False), (6, True, True)],
)
def test_a_gate_post_is_correct_when_the_value_is_above_zero_exactly_where_it_is_expressed(
    face: int, expresses: bool, correct: bool
) -> None:
    post = GatePost.from_dict(TREE, GATE | {"expresses": expresses})
    reading = Reading(OPEN_TO_FACE, {**dict.fromkeys(SELF_ENHANCEMENT, 3), "face": face})
    assert is_correct(TREE, post, reading) is correct


@pytest.mark.parametrize("expresses", [True, False])
def test_a_value_that_was_never_asked_counts_as_not_above_zero(expresses: bool) -> None:
    post = GatePost.from_dict(TREE, GATE | {"expresses": expresses})
    assert is_correct(TREE, post, Reading({"post": NONE_OF_THESE}, {})) is not expresses


def test_the_lowest_rating_of_any_scale_counts_as_zero() -> None:
    ten = ValueTree.from_dict(
        json.loads((REPOSITORY / "tests/data/ten_values.json").read_text(encoding="utf-8"))
    )
    post = GatePost.from_dict(ten, GATE | {"value": "security"})
    assert ten.scale.min == 1
    leaves = ("security", "conformity", "tradition", "benevolence", "universalism")
    marks = {"statement": frozenset({"social_focus"})}
    assert not is_correct(ten, post, Reading(marks, dict.fromkeys(leaves, 1)))
    assert is_correct(ten, post, Reading(marks, dict.fromkeys(leaves, 2)))


def test_an_unfinished_reading_of_a_gate_post_is_not_judged() -> None:
    post = GatePost.from_dict(TREE, GATE)
    with pytest.raises(WalkError):
        is_correct(TREE, post, Reading(OPEN_TO_FACE, {"face": 6}))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([], "post: must be an object"),
        (change(GATE, "value", to="hedonsim"), "post 'shame': there is no value 'hedonsim'; the values are"),
        (change(GATE, "value", to="self_enhancement"), "post 'shame': there is no value 'self_enhancement'"),
        (change(GATE, "expresses", to=1), "post 'shame': expresses must be true or false, not 1"),
        (change(GATE, "expresses"), "post 'shame': expresses is missing"),
        (change(GATE, "marks", to={}), "post 'shame': unknown field 'marks'"),
        (change(GATE, "context", "text"), "post 'shame' > context: text is missing"),
    ],
    ids=str,
)
def test_a_gate_post_that_cannot_work_is_refused_with_the_place(data: object, fault: str) -> None:
    with pytest.raises(KnownPostError) as caught:
        GatePost.from_dict(TREE, data)
    (named,) = caught.value.faults
    assert named.startswith(fault)


# --- whole steps -----------------------------------------------------------------------------------

TRAINING: dict[str, Any] = {"intro": "", "posts": [BATH, BATH | {"key": "bath-2"}], "tolerance": 1}
GATING: dict[str, Any] = {"intro": "Four posts.", "posts": [GATE, GATE | {"key": "pride"}], "threshold": 2}


def test_a_training_step_and_a_gating_step_are_read(bath: KnownPost) -> None:
    training = read_training_config(TREE, TRAINING)
    assert (training.intro, training.tolerance, training.posts[0]) == ("", 1, bath)
    assert [post.key for post in training.posts] == ["bath", "bath-2"]
    gating = read_gating_config(TREE, GATING)
    assert (gating.intro, gating.threshold) == ("Four posts.", 2)
    assert [(post.key, post.context_kind) for post in gating.posts] == [
        ("shame", "reply"),
        ("pride", "reply"),
    ]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (None, "training: must be an object"),
        (change(TRAINING, "posts", to=[]), "training: posts must be a list of at least one post"),
        (change(TRAINING, "posts", to={"bath": BATH}), "training: posts must be a list of at least one post"),
        (change(TRAINING, "tolerance"), "training: tolerance is missing"),
        (change(TRAINING, "tolerance", to=1.5), "training: tolerance must be a whole number"),
        (change(TRAINING, "tolerance", to=-1), "training: tolerance must lie between 0 and 5"),
        (change(TRAINING, "tolerance", to=6), "training: tolerance must lie between 0 and 5"),
        (change(TRAINING, "tolerence", to=1), "training: unknown field 'tolerence'"),
        (change(TRAINING, "intro", to=None), "training: intro must be text"),
        (
            change(TRAINING, "posts", to=[BATH, BATH]),
            "training post 2 'bath': key 'bath' is taken by training post 1 'bath'",
        ),
        (change(TRAINING, "posts", to=[BATH, 3]), "training post 2: must be an object"),
    ],
    ids=str,
)
def test_a_training_step_that_cannot_work_is_refused(config: object, fault: str) -> None:
    with pytest.raises(KnownPostError) as caught:
        read_training_config(TREE, config)
    assert [named for named in caught.value.faults if named.startswith(fault)]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("gate", "gating: must be an object"),
        (change(GATING, "posts", to=[]), "gating: posts must be a list of at least one post"),
        (change(GATING, "threshold", to=0), "gating: threshold must lie between 1 and 2"),
        (change(GATING, "threshold", to=3), "gating: threshold must lie between 1 and 2"),
        (change(GATING, "threshold", to="2"), "gating: threshold must be a whole number"),
        (change(GATING, "threshold", to=True), "gating: threshold must be a whole number"),
        (change(GATING, "tolerance", to=1), "gating: unknown field 'tolerance'"),
        (change(GATING, "posts", to=[GATE, GATE, GATE]), "gating post 2 'shame': key 'shame' is taken by"),
        (change(GATING, "posts", to=[GATE, BATH]), "gating post 2 'bath': value is missing"),
    ],
    ids=str,
)
def test_a_gating_step_that_cannot_work_is_refused(config: object, fault: str) -> None:
    with pytest.raises(KnownPostError) as caught:
        read_gating_config(TREE, config)
    assert [named for named in caught.value.faults if named.startswith(fault)]


def test_the_faults_of_all_posts_of_a_step_are_named_at_once() -> None:
    config = TRAINING | {"posts": [change(BATH, "text", to=""), change(BATH, "why", "post")], "tolerance": 9}
    with pytest.raises(KnownPostError) as caught:
        read_training_config(TREE, config)
    assert caught.value.faults == (
        "training post 1 'bath': text is blank; write the wording",
        "training post 2 'bath' > why: 'post' is asked, but has no explanation",
        "training post 2 'bath': key 'bath' is taken by training post 1 'bath'; choose another",
        "training: tolerance must lie between 0 and 5; else no rating is wrong",
    )


@given(JUNK, st.sampled_from(["posts", "tolerance", "threshold", "intro", "extra", None]))
def test_junk_in_a_step_is_refused_and_nothing_else_breaks(junk: object, name: str | None) -> None:
    try:
        training = read_training_config(TREE, TRAINING | {name: junk} if name else junk)
        assert isinstance(training, TrainingPlan)
    except KnownPostError as error:
        assert error.faults
    try:
        gating = read_gating_config(TREE, GATING | {name: junk} if name else junk)
        assert isinstance(gating, GatingPlan)
    except KnownPostError as error:
        assert error.faults


# --- the steps that ship ---------------------------------------------------------------------------


def load_shipped(kind: str) -> Any:
    design = json.loads((REPOSITORY / "annotation/content/demo_study.json").read_text(encoding="utf-8"))
    (config,) = [step["config"] for step in design["steps"] if step["kind"] == kind]
    return config


def test_the_shipped_training_covers_every_group_a_reply_and_a_post_without_values() -> None:
    plan = read_training_config(TREE, load_shipped("training"))
    assert len(plan.posts) == 4
    opened = {key for post in plan.posts for key in complete(TREE, post.reading).opened}
    assert opened == {branch.key for branch in TREE.branches}
    assert [post for post in plan.posts if post.context_kind == "reply"]
    assert [post for post in plan.posts if post.marks == {"post": NONE_OF_THESE}]


def test_the_shipped_explanations_name_the_numbers_that_are_accepted_and_the_labels_to_mark() -> None:
    plan = read_training_config(TREE, load_shipped("training"))
    for post in plan.posts:
        for key, rating in post.ratings.items():
            accepted = [
                TREE.scale.shown(level)
                for level in TREE.scale.levels
                if abs(level - rating) <= plan.tolerance
            ]
            assert str(accepted[0]) in post.why[key]
            assert str(accepted[-1]) in post.why[key]
        for key, marked in post.marks.items():
            quoted = set(post.why[key].split("'")[1::2])
            assert quoted == ({TREE.branch(child).label for child in marked} or {"None of these"})


def test_the_shipped_gate_asks_two_values_each_expressed_once_and_once_not() -> None:
    plan = read_gating_config(TREE, load_shipped("gating"))
    assert plan.threshold == 2
    assert {(post.value, post.expresses) for post in plan.posts} == {
        (value, expresses) for value in ("self_direction_action", "face") for expresses in (True, False)
    }
