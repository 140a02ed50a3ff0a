from hypothesis import given
from hypothesis import strategies as st

from annotation.tree.closing import ask_again, close, find_closings, keep_open
from annotation.tree.walk import Reading, check, missing, open_branches
from tests.annotation.tree.strategies import finished_readings
from tests.factories import load_ten

TREE = load_ten()
FOCUS = dict.fromkeys(("security", "conformity", "tradition", "benevolence", "universalism"), 2)
DEEP = {
    "statement": frozenset({"personal_focus"}),
    "personal_focus": frozenset({"openness"}),
    "openness": frozenset({"enjoyment"}),
}


def marks(**changes):
    return {key: frozenset(marked) for key, marked in (DEEP | changes).items()}


def test_an_open_branch_and_one_without_ratings_close_nothing():
    assert not find_closings(TREE, Reading(marks(), {"hedonism": 3}))
    assert not find_closings(TREE, Reading(marks(openness=()), {}))
    assert not find_closings(TREE, Reading({}, {"unknown": 3}))


def test_the_highest_closed_branch_is_named_with_all_ratings_below_it():
    (closing,) = find_closings(TREE, Reading({"statement": frozenset()}, {"hedonism": 3, "power": 1}))
    assert (closing.branch.key, closing.parent) == ("personal_focus", "statement")
    assert [leaf.key for leaf in closing.lost] == ["hedonism", "power"]


def test_what_was_chosen_in_its_place_is_told_from_no_answer_at_all():
    one = Reading({"statement": frozenset({"social_focus"})}, {"hedonism": 3})
    none_of_these = Reading({"statement": frozenset()}, {"hedonism": 3})
    unanswered = Reading({}, {"hedonism": 3})
    wanted = [find_closings(TREE, reading)[0].wanted for reading in (one, none_of_these, unanswered)]
    assert wanted == [frozenset({"social_focus"}), frozenset(), None]


def test_keeping_a_branch_open_adds_its_mark_to_the_others_or_replaces_the_only_one():
    reading = Reading(marks(statement=["social_focus"]), {"hedonism": 3})
    kept = keep_open(TREE, reading, find_closings(TREE, reading))
    assert kept.marks["statement"] == {"social_focus", "personal_focus"}
    reading = Reading(marks(personal_focus=["self_enhancement"]), {"hedonism": 3})
    kept = keep_open(TREE, reading, find_closings(TREE, reading))
    assert kept.marks["personal_focus"] == {"openness"}


def test_closing_takes_what_stands_below_and_nothing_else():
    reading = Reading(marks(statement=["personal_focus", "social_focus"]), {"hedonism": 3} | FOCUS)
    assert close(TREE, reading, "personal_focus") == Reading(
        {"statement": frozenset({"social_focus"})}, FOCUS
    )
    assert close(TREE, reading, "enjoyment") == Reading(
        marks(statement=["personal_focus", "social_focus"], openness=()), FOCUS
    )


def test_a_question_stands_until_there_is_nothing_left_to_lose():
    asked = ask_again(TREE, Reading(marks(), {"hedonism": 3}), "openness", frozenset({"self_enhancement"}))
    assert (asked.branch.key, asked.parent) == ("openness", "personal_focus")
    assert [leaf.key for leaf in asked.lost] == ["hedonism"]
    assert ask_again(TREE, Reading(marks(), {}), "openness", None) is None
    assert ask_again(TREE, Reading(marks(personal_focus=()), {"hedonism": 3}), "openness", None) is None


@given(st.data())
def test_in_any_tree_any_mark_taken_back_is_found_kept_whole_and_closed_cleanly(data):
    tree, reading = data.draw(finished_readings())
    marked = [(parent, child) for parent, children in reading.marks.items() for child in sorted(children)]
    if not marked:
        return
    parent, child = data.draw(st.sampled_from(marked))
    taken_back = Reading({**reading.marks, parent: reading.marks[parent] - {child}}, reading.ratings)
    closings = find_closings(tree, taken_back)
    assert keep_open(tree, taken_back, closings).ratings == reading.ratings
    if closings:
        assert [closing.branch.key for closing in closings] == [child]
        assert keep_open(tree, taken_back, closings).marks == reading.marks
    closed = close(tree, reading, child)
    check(tree, closed)
    assert not missing(tree, closed)
    assert not find_closings(tree, closed)
    assert child not in {branch.key for branch in open_branches(tree, closed.marks)}
