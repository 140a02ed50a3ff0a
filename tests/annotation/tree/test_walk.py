from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.tree.nodes import Scale, ValueTree
from annotation.tree.walk import (
    CHOSEN,
    IMPLIED,
    NOT_SHOWN,
    CompletedReading,
    Missing,
    Reading,
    WalkError,
    check,
    complete,
    missing,
    open_branches,
)
from tests.annotation.tree.strategies import finished_readings

REPOSITORY = Path(__file__).parents[3]
NONE_OF_THESE: frozenset[str] = frozenset()


def load(path: str) -> ValueTree:
    return ValueTree.from_dict(json.loads((REPOSITORY / path).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def nineteen() -> ValueTree:
    return load("annotation/content/schwartz_19.json")


@pytest.fixture(scope="module")
def ten() -> ValueTree:
    return load("tests/data/ten_values.json")


def problems_of(tree: ValueTree, reading: Reading) -> tuple[str, ...]:
    with pytest.raises(WalkError) as caught:
        check(tree, reading)
    return caught.value.problems


def test_the_codes_are_three_different_numbers() -> None:
    assert (NOT_SHOWN, CHOSEN, IMPLIED) == (0, 1, 2)


def test_a_reading_that_has_not_begun_lacks_the_first_question(nineteen: ValueTree) -> None:
    assert missing(nineteen, Reading({}, {})) == [Missing("post", "question")]


def test_none_of_these_at_the_top_finishes_the_reading_with_all_values_implied(nineteen: ValueTree) -> None:
    assert complete(nineteen, Reading({"post": NONE_OF_THESE}, {})) == CompletedReading(
        ratings=(0,) * 19, codes=(IMPLIED,) * 19, opened=("post",)
    )


def test_the_default_tree_is_read_from_the_top_down(nineteen: ValueTree) -> None:
    marks = {
        "post": frozenset({"outcomes_for_others"}),
        "outcomes_for_others": frozenset({"compassion_and_stewardship"}),
    }
    values = [leaf.key for leaf in nineteen.branch("compassion_and_stewardship").child_leaves]
    assert missing(nineteen, Reading({"post": marks["post"]}, {})) == [
        Missing("outcomes_for_others", "question")
    ]
    assert missing(nineteen, Reading(marks, {})) == [Missing(key, "rating") for key in values]

    finished = complete(nineteen, Reading(marks, dict.fromkeys(values, 0) | {"universalism_nature": 6}))
    assert finished.ratings == (0,) * 17 + (6, 0)
    assert finished.codes == (IMPLIED,) * 13 + (CHOSEN,) * 6
    assert finished.opened == ("post", "outcomes_for_others", "compassion_and_stewardship")


def test_an_uneven_tree_with_another_scale_is_read_alike(ten: ValueTree) -> None:
    marks = {
        "statement": frozenset({"personal_focus", "social_focus"}),
        "personal_focus": frozenset({"openness"}),
        "openness": frozenset({"enjoyment"}),
    }
    ratings = {
        "hedonism": 1,
        "security": 5,
        "conformity": 1,
        "tradition": 2,
        "benevolence": 3,
        "universalism": 4,
    }
    finished = complete(ten, Reading(marks, ratings))
    assert finished.ratings == (1, 1, 1, 1, 1, 5, 1, 2, 3, 4)
    assert finished.codes == (IMPLIED, IMPLIED, CHOSEN, IMPLIED, IMPLIED) + (CHOSEN,) * 5
    assert finished.opened == ("statement", "personal_focus", "openness", "enjoyment", "social_focus")


def test_gaps_come_branch_by_branch_with_the_question_first(ten: ValueTree) -> None:
    marks = {"statement": frozenset({"social_focus", "personal_focus"})}
    ratings = {"security": 3, "benevolence": 3}
    assert missing(ten, Reading(marks, ratings)) == [
        Missing("personal_focus", "question"),
        Missing("conformity", "rating"),
        Missing("tradition", "rating"),
        Missing("universalism", "rating"),
    ]


def test_the_values_of_a_flat_system_are_all_rated_without_any_question() -> None:
    tree = ValueTree.flat("imported", ["b", "a"], Scale(0, 100, 0, "low", "high"))
    assert missing(tree, Reading({}, {})) == [Missing("b", "rating"), Missing("a", "rating")]
    finished = complete(tree, Reading({}, {"a": 7, "b": 100}))
    assert (finished.ratings, finished.codes) == ((100, 7), (CHOSEN, CHOSEN))


def test_a_marked_branch_under_one_that_is_not_marked_stays_closed(nineteen: ValueTree) -> None:
    marks = {"post": NONE_OF_THESE, "outcomes_for_self": frozenset({"self_enhancement"})}
    assert [branch.key for branch in open_branches(nineteen, marks)] == ["post"]


def test_an_unfinished_reading_without_faults_passes_the_check(nineteen: ValueTree) -> None:
    check(nineteen, Reading({"post": frozenset({"outcomes_for_self"})}, {}))


@pytest.mark.parametrize(
    ("marks", "ratings", "problem"),
    [
        ({"nowhere": NONE_OF_THESE}, {}, "marks of 'nowhere': there is no such branch"),
        ({"hedonism": NONE_OF_THESE}, {}, "marks of 'hedonism': there is no such branch"),
        ({"social_focus": NONE_OF_THESE}, {}, "marks of 'social_focus': this branch has only values"),
        ({"openness": NONE_OF_THESE}, {}, "marks of 'openness': this branch is not open"),
        ({"statement": frozenset({"openness"})}, {}, "'openness' is not one of its child branches"),
        ({"statement": frozenset({"security"})}, {}, "'security' is not one of its child branches"),
        ({"statement": ["social_focus"]}, {}, "must be a frozenset"),
        ({}, {"nowhere": 3}, "rating of 'nowhere': there is no such value"),
        ({}, {"social_focus": 3}, "rating of 'social_focus': there is no such value"),
        ({}, {"security": 3}, "rating of 'security': its branch 'social_focus' is not open"),
        ({"statement": NONE_OF_THESE}, {"security": 1}, "its branch 'social_focus' is not open"),
    ],
    ids=str,
)
def test_an_answer_that_does_not_fit_the_tree_is_refused(
    ten: ValueTree, marks: dict[str, frozenset[str]], ratings: dict[str, int], problem: str
) -> None:
    (told,) = problems_of(ten, Reading(marks, ratings))
    assert problem in told


@pytest.mark.parametrize("rating", [0, 6, -1, 3.0, "3", None, True])
def test_a_rating_must_be_an_integer_of_the_scale(ten: ValueTree, rating: int) -> None:
    (told,) = problems_of(ten, Reading({"statement": frozenset({"social_focus"})}, {"security": rating}))
    assert told.startswith("rating of 'security': ")


def test_two_marks_are_refused_only_where_one_answer_is_allowed(ten: ValueTree) -> None:
    both = frozenset({"openness", "self_enhancement"})
    marks = {"statement": frozenset({"personal_focus", "social_focus"}), "personal_focus": both}
    (told,) = problems_of(ten, Reading(marks, {}))
    assert told == "marks of 'personal_focus': only one answer is allowed, 2 were given"


def test_all_problems_are_named_at_once(ten: ValueTree) -> None:
    reading = Reading({"statement": frozenset({"b", "a"})}, {"security": 9, "nowhere": 1})
    assert problems_of(ten, reading) == (
        "marks of 'statement': 'a' is not one of its child branches",
        "marks of 'statement': 'b' is not one of its child branches",
        "rating of 'security': its branch 'social_focus' is not open",
        "rating of 'security': 9 is outside the scale from 1 to 5",
        "rating of 'nowhere': there is no such value",
    )


def test_completing_an_unfinished_reading_names_what_is_missing(nineteen: ValueTree) -> None:
    with pytest.raises(WalkError) as caught:
        complete(nineteen, Reading({"post": frozenset({"outcomes_for_self"})}, {}))
    assert caught.value.problems == ("the question of 'outcomes_for_self' is missing",)


def test_completing_a_reading_that_does_not_fit_is_refused(nineteen: ValueTree) -> None:
    with pytest.raises(WalkError, match="not open"):
        complete(nineteen, Reading({"post": NONE_OF_THESE}, {"face": 2}))


@given(finished_readings())
def test_a_reading_with_nothing_missing_completes_in_value_order(case: tuple[ValueTree, Reading]) -> None:
    tree, reading = case
    assert missing(tree, reading) == []
    finished = complete(tree, reading)
    assert len(finished.ratings) == len(finished.codes) == len(tree.value_keys)
    for key, rating, code in zip(tree.value_keys, finished.ratings, finished.codes, strict=True):
        if key in reading.ratings:
            assert (rating, code) == (reading.ratings[key], CHOSEN)
        else:
            assert (rating, code) == (tree.scale.min, IMPLIED)


@given(finished_readings())
def test_values_are_chosen_exactly_where_their_branch_was_opened(case: tuple[ValueTree, Reading]) -> None:
    tree, reading = case
    finished = complete(tree, reading)
    opened = set(finished.opened)
    for key, code in zip(tree.value_keys, finished.codes, strict=True):
        parent = tree.parent(key)
        assert parent is not None
        assert (code == CHOSEN) == (parent.key in opened)
    for key in opened - {tree.root.key}:
        above = tree.parent(key)
        assert above is not None
        assert above.key in opened
        assert key in reading.marks[above.key]


@given(finished_readings(), st.data())
def test_taking_any_one_answer_back_leaves_the_reading_unfinished_or_unfit(
    case: tuple[ValueTree, Reading], data: st.DataObject
) -> None:
    tree, reading = case
    taken = data.draw(st.sampled_from([*reading.marks, *reading.ratings]))
    rest = Reading(
        {key: marked for key, marked in reading.marks.items() if key != taken},
        {key: rating for key, rating in reading.ratings.items() if key != taken},
    )
    assert taken in [gap.key for gap in missing(tree, rest)]
    with pytest.raises(WalkError):
        complete(tree, rest)


@given(finished_readings())
def test_answering_the_first_gap_again_and_again_finishes_every_reading(
    case: tuple[ValueTree, Reading],
) -> None:
    tree, target = case
    marks: dict[str, frozenset[str]] = {}
    ratings: dict[str, int] = {}
    while gaps := missing(tree, Reading(marks, ratings)):
        if gaps[0].kind == "question":
            marks[gaps[0].key] = target.marks[gaps[0].key]
        else:
            ratings[gaps[0].key] = target.ratings[gaps[0].key]
        check(tree, Reading(marks, ratings))
    assert complete(tree, Reading(marks, ratings)) == complete(tree, target)
