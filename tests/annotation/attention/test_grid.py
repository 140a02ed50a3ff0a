from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.attention.grid import (
    AttentionConfigError,
    GridCheck,
    NumberCheck,
    is_passed,
    read_attention_config,
)

REPOSITORY = Path(__file__).parents[3]

LABELS = ["Disagree", "Somewhat disagree", "Neither", "Somewhat agree", "Agree"]
GRID: dict[str, Any] = {
    "kind": "grid",
    "question": "How was it?",
    "options": [{"value": str(number), "label": label} for number, label in enumerate(LABELS, start=1)],
    "rows": [
        {"key": "easy", "text": "It was easy."},
        {"key": "told", "text": 'Here, please choose "Somewhat disagree".', "instructed": "2"},
        {"key": "long", "text": "It was long."},
    ],
}


def faults_of(config: object) -> tuple[str, ...]:
    with pytest.raises(AttentionConfigError) as caught:
        read_attention_config(config)
    return caught.value.faults


def edit(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    grid = copy.deepcopy(GRID)
    change(grid)
    return grid


def test_the_kind_says_which_check_it_is() -> None:
    assert read_attention_config({"kind": "number"}) == NumberCheck()
    check = read_attention_config(GRID)
    assert isinstance(check, GridCheck)
    assert [option.label for option in check.options] == LABELS
    assert [row.key for row in check.rows] == ["easy", "told", "long"]
    assert check.instructed_row.text == 'Here, please choose "Somewhat disagree".'


@pytest.mark.parametrize(
    ("answers", "passed"),
    [
        ({"told": "2"}, True),
        ({"easy": "1", "told": "2", "long": "5"}, True),
        ({"easy": "2", "told": "1", "long": "2"}, False),
        ({"easy": "2"}, False),
        ({}, False),
    ],
)
def test_only_the_row_that_instructs_decides(answers: dict[str, str], passed: bool) -> None:
    assert is_passed(GridCheck.from_dict(GRID), answers) is passed


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (None, "attention check: must be an object with the fields kind"),
        ({}, "attention check: kind is missing"),
        ({"kind": "captcha"}, 'attention check: kind must be "number" or "grid", not \'captcha\''),
        ({"kind": ["grid"]}, 'attention check: kind must be "number" or "grid", not [\'grid\']'),
        (
            {"kind": "number", "question": "?"},
            "attention check: unknown field 'question'; the fields are kind",
        ),
        (edit(lambda grid: grid.update(hint="x")), "attention check: unknown field 'hint'"),
        (edit(lambda grid: grid.pop("question")), "attention check: question is missing"),
        (edit(lambda grid: grid.update(rows={})), "attention check: rows must be a list, not {}"),
        (edit(lambda grid: grid["rows"].pop(0)), "attention check: rows needs at least 3, there are 2"),
        (
            edit(lambda grid: grid["options"].__delitem__(slice(2))),
            "attention check: options needs at least 4",
        ),
        (edit(lambda grid: grid["rows"][0].update(key="told")), "row 2: key 'told' is there already"),
        (edit(lambda grid: grid["rows"][0].update(text=" ")), "row 1: text is blank"),
        (edit(lambda grid: grid["rows"][0].update(instruct="2")), "row 1: unknown field 'instruct'"),
        (edit(lambda grid: grid["options"][0].update(value="2")), "option 2: value '2' is there already"),
        (
            edit(lambda grid: grid["options"][0].update(label="AGREE")),
            "option 5: label 'Agree' is there already",
        ),
        (
            edit(lambda grid: grid["rows"][1].pop("instructed")),
            "attention check: exactly one row must have 'instructed', not 0",
        ),
        (
            edit(lambda grid: grid["rows"][0].update(text="Choose Agree.", instructed="5")),
            "attention check: exactly one row must have 'instructed', not 2",
        ),
        (
            edit(lambda grid: grid["rows"][1].update(instructed="9")),
            "row 2: instructed '9' is no option; use 1, 2, 3, 4, 5",
        ),
        (
            edit(lambda grid: grid["rows"][1].update(text="Please read on.")),
            "row 2: the text must tell people to choose 'Somewhat disagree' alone; it names no answer",
        ),
        (
            edit(lambda grid: grid["rows"][1].update(instructed="1")),
            "row 2: the text must tell people to choose 'Disagree' alone; it names 'Somewhat disagree'",
        ),
        (
            edit(lambda grid: grid["rows"][1].update(text="Choose Agree or Somewhat disagree.")),
            "row 2: the text must tell people to choose 'Somewhat disagree' alone; it names "
            "'Somewhat disagree', 'Agree'",
        ),
        (
            edit(lambda grid: grid["rows"][1].update(text="Choose Somewhat disagree." + "x" * 200)),
            "row 2: the text must not hide the instruction",
        ),
        (
            edit(lambda grid: grid["rows"][1].update(text="Choose Neither.", instructed="3")),
            "row 2: the answer asked for must not be the middle one",
        ),
        (
            edit(lambda grid: grid["rows"].extend({"key": f"r{n}", "text": "More."} for n in range(8))),
            "attention check: rows may have at most 10",
        ),
    ],
    ids=str,
)
def test_a_check_that_would_not_be_fair_or_cannot_be_read_is_refused(config: object, fault: str) -> None:
    (named,) = faults_of(config)
    assert named.startswith(fault)


def test_all_faults_of_a_check_are_named_at_once() -> None:
    config = edit(
        lambda grid: (grid.update(question=""), grid["rows"][1].update(text="Neither", instructed="3"))
    )
    assert faults_of(config) == (
        "attention check: question is blank; write the wording",
        "row 2: the answer asked for must not be the middle one; choose another",
    )


def test_a_label_is_found_whatever_its_capitals() -> None:
    check = GridCheck.from_dict(
        edit(lambda grid: grid["rows"][1].update(text="choose SOMEWHAT DISAGREE here"))
    )
    assert check.instructed_row.instructed == "2"


def test_an_end_of_an_odd_scale_and_any_answer_of_an_even_one_may_be_asked_for() -> None:
    end = edit(lambda grid: grid["rows"][1].update(text="Choose Agree.", instructed="5"))
    assert GridCheck.from_dict(end).instructed_row.instructed == "5"
    even = edit(
        lambda grid: (grid["options"].pop(0), grid["rows"][1].update(text="Choose Neither.", instructed="3"))
    )
    assert GridCheck.from_dict(even).instructed_row.instructed == "3"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from([(), ("kind",), ("question",), ("options",), ("rows",), ("rows", 1), ("options", 2)]),
)
def test_junk_is_refused_and_never_breaks_the_reading(junk: object, path: tuple[Any, ...]) -> None:
    config: Any = copy.deepcopy(GRID)
    if len(path) == 2:
        config[path[0]][path[1]] = junk
    elif path:
        config[path[0]] = junk
    else:
        config = junk
    try:
        check = read_attention_config(config)
    except AttentionConfigError as error:
        assert error.faults
    else:
        assert check == NumberCheck() or check == GridCheck.from_dict(config)


def test_the_shipped_checks_are_fair() -> None:
    design = json.loads((REPOSITORY / "annotation/content/demo_study.json").read_text(encoding="utf-8"))
    checks = [
        read_attention_config(step["config"]) for step in design["steps"] if step["kind"] == "attention_check"
    ]
    assert [type(check) for check in checks] == [NumberCheck, GridCheck]
    assert design["attention"]["fail_at"] == 2
