import copy
import json

import pytest

from annotation.changes import Change, compare_files, compare_posts, compare_texts, show
from tests.every_step import GATING, TEXT

FILE = {
    "parallax_study": 1,
    "about": {"slug": "s", "name": "A study", "welcome": "You read short posts here."},
    "time": {"estimated_minutes": 45, "max_minutes": None},
    "data": {"collects_paradata": True},
    "consent": {"version": 1, "sections": [{"heading": "Pay", "text": "Nine pounds."}]},
    "steps": [
        {"kind": "consent", "config": {}},
        {"kind": "instructions", "config": TEXT},
        {"kind": "gating", "config": GATING},
        {"kind": "labeling", "config": {}},
    ],
    "values": {
        "slug": "v",
        "root": {
            "key": "r",
            "label": "All",
            "children": [
                {"key": "a", "label": "Humility", "definition": "Being modest"},
                {"key": "b", "label": "Face", "definition": "A good name"},
            ],
        },
    },
    "questionnaires": {
        "about": {"version": 1, "items": [{"key": "age", "label": "How old are you?", "kind": "number"}]}
    },
    "vcq": {"posts": [], "questions": [{"post": "c1", "value": "a"}, {"post": "c2", "value": "b"}]},
}


def changed(edit):
    new = copy.deepcopy(FILE)
    edit(new)
    return compare_files(FILE, new)


def places(edit):
    return [change.where for change in changed(edit)]


def test_a_file_does_not_differ_from_itself_however_its_names_are_ordered():
    other = json.loads(json.dumps(FILE, sort_keys=True))
    assert compare_files(FILE, other) == []


@pytest.mark.parametrize(
    ("path", "value", "change"),
    [
        (
            ["about", "welcome"],
            "You read long posts here.",
            Change("About › welcome text", "You read short posts here.", "You read long posts here."),
        ),
        (["time", "max_minutes"], 120, Change("Time › most minutes", "empty", "120")),
        (["data", "collects_paradata"], False, Change("Data › notes how pages are used", "yes", "no")),
        (
            ["consent", "sections", 0, "text"],
            "Ten pounds.",
            Change("Consent page › section 1 (Pay) › text", "Nine pounds.", "Ten pounds."),
        ),
        (
            ["steps", 2, "config", "posts", 1, "text"],
            "Lock the door.",
            Change("Step 3 (gating) › post lock › text", "Lock your doors.", "Lock the door."),
        ),
        (
            ["steps", 2, "config", "posts", 1, "expresses"],
            False,
            Change("Step 3 (gating) › post lock › expresses", "yes", "no"),
        ),
        (
            ["values", "root", "children", 1, "definition"],
            "A good reputation",
            Change("Value system › Face › definition", "A good name", "A good reputation"),
        ),
        (
            ["questionnaires", "about", "items", 0, "label"],
            "What is your age?",
            Change(
                "Questionnaires › about › question What is your age? › label",
                "How old are you?",
                "What is your age?",
            ),
        ),
    ],
)
def test_a_change_is_told_with_its_place_before_and_after(path, value, change):
    def edit(new):
        for name in path[:-1]:
            new = new[name]
        new[path[-1]] = value

    assert changed(edit) == [change]


def test_a_step_in_between_leaves_the_others_what_they_are():
    (change,) = changed(lambda new: new["steps"].insert(1, {"kind": "debrief", "config": TEXT}))
    assert (change.where, change.before) == ("Step 2 (debrief)", "")
    assert change.after.startswith("title: What to do\nsections:\n  - heading: Read\n")


def test_a_step_without_settings_says_so():
    (change,) = changed(lambda new: new["steps"].append({"kind": "vcq", "config": {}}))
    assert (change.where, change.after) == ("Step 5 (vcq)", "without settings")


def test_a_step_that_is_gone_is_named_by_its_old_place():
    (change,) = changed(lambda new: new["steps"].pop(2))
    assert (change.where, change.after) == ("Step 3 (gating)", "")
    assert "Lock your doors." in change.before


def test_a_step_of_another_kind_is_a_new_one():
    def edit(new):
        new["steps"][3] = {"kind": "vcq", "config": {}}

    assert places(edit) == ["Step 4 (labeling)", "Step 4 (vcq)"]


def test_what_has_a_key_is_followed_to_its_new_place():
    def edit(new):
        new["values"]["root"]["children"].reverse()
        new["values"]["root"]["children"][0]["label"] = "Reputation"

    label, order = changed(edit)
    assert (label.where, label.before, label.after) == (
        "Value system › Reputation › label",
        "Face",
        "Reputation",
    )
    assert (order.where, order.before, order.after) == ("Value system › children › order", "a\nb", "b\na")


def test_calibration_questions_are_told_apart_by_post_and_value():
    def edit(new):
        new["vcq"]["questions"][1] = {"post": "c2", "value": "a"}

    assert places(edit) == [
        "Calibration questionnaire › question 2 (c2, b)",
        "Calibration questionnaire › question 2 (c2, a)",
    ]


def test_entries_without_a_name_are_compared_where_they_stand():
    def edit(new):
        new["steps"][1]["config"] = {
            "title": "What to do",
            "sections": [{"text": "Read."}, {"text": "Rate it."}],
        }

    assert [(change.where, change.before, change.after) for change in changed(edit)] == [
        ("Step 2 (instructions) › section 1 › heading", "Read", ""),
        ("Step 2 (instructions) › section 1 › text", "Read each post.", "Read."),
    ]


def test_a_whole_part_that_is_new_is_shown_in_lines():
    (change,) = changed(lambda new: new.update(pay={"reward": 500, "currency": "GBP"}))
    assert (change.where, change.before) == ("Pay", "")
    assert change.after == "reward in pence or cents: 500\ncurrency: GBP"


def test_posts_are_counted_and_the_first_of_them_named():
    old = {f"p{number:02d}": "x" for number in range(30)}
    new = old | {"p05": "y", "q1": "z"}
    for number in range(10, 25):
        del new[f"p{number}"]
    assert [(change.where, change.before, change.after) for change in compare_posts(old, new)] == [
        ("Posts to label added", "", "1: q1"),
        ("Posts to label removed", "15: p10, p11, p12, p13, p14, p15, p16, p17, p18, p19 and 5 more", ""),
        ("Posts to label changed", "", "1: p05"),
    ]
    assert compare_posts(old, dict(reversed(old.items()))) == []


def test_texts_are_compared_word_by_word():
    pieces = [
        (piece.kind, piece.text) for piece in compare_texts("You read short posts.", "You read long posts.")
    ]
    assert pieces == [
        ("same", "You read "),
        ("gone", "short"),
        ("new", "long"),
        ("same", " posts."),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "new"), ("gone", ""), ("a  b\n\nc", "a b\nc d"), ("", ""), ("x " * 3000, "y " * 3000)],
)
def test_the_pieces_hold_both_texts_whole(before, after):
    pieces = compare_texts(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == after


def test_nested_data_reads_as_lines():
    assert show(
        {"answers": "several", "rows": [{"key": "a", "text": "x\ny"}], "tags": ["p", None], "none": []}
    ) == ("answers: several\nrows:\n  - key: a\n    text: x\n      y\ntags: p, empty\nnone: none")


@pytest.mark.parametrize(
    ("before", "after", "is_replacement"),
    [("2", "3", True), ("a b", "c d", True), ("a b", "a c", False), ("", "a", False), ("a", "", False)],
)
def test_what_has_no_word_in_common_is_a_replacement(before, after, is_replacement):
    assert Change("x", before, after).is_replacement == is_replacement
