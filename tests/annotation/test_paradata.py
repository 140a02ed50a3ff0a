import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.paradata import MAX_CHANGES, MAX_LENGTH, read_paradata

NOTES = {
    "shown": 1_790_000_000_000,
    "answered_ms": 5321,
    "away": 2,
    "away_ms": 1800,
    "viewport": [390, 844],
    "changes": [[120, "rate-power"], [980, "open-statement"]],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(NOTES)), inner),
)


def test_what_a_browser_notes_is_read_as_it_is():
    assert read_paradata(json.dumps(NOTES)) == NOTES


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", "null", "[" * 15_000, "9" * 10_000, json.dumps(NOTES) + " " * MAX_LENGTH],
    ids=["no scripts", "cut off", "a list", "a number", "nothing", "nested", "a long number", "too long"],
)
def test_nonsense_is_no_notes(text):
    assert read_paradata(text) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("away", -1),
        ("away", 1.5),
        ("away", True),
        ("away", "2"),
        ("shown", 10**13),
        ("viewport", [390]),
        ("viewport", [390, -1]),
        ("viewport", "390x844"),
        ("changes", {}),
        ("changes", [[1]]),
        ("changes", [[-1, "rate-power"]]),
        ("changes", [[1, "x" * 81]]),
        ("changes", [[1, "a\u0000b"]]),
        ("changes", [[1, "\ud800"]]),
        ("changes", [[1, 2]]),
        ("changes", [[1, "rate-power"]] * (MAX_CHANGES + 1)),
    ],
)
def test_a_note_that_is_not_well_formed_is_left_out_and_the_others_stay(name, value):
    others = {other: note for other, note in NOTES.items() if other != name}
    assert read_paradata(json.dumps(NOTES | {name: value})) == others


def test_a_note_nobody_asked_for_is_left_out():
    assert read_paradata(json.dumps({"away": 1, "typed": "my password"})) == {"away": 1}


@given(JSON | st.dictionaries(st.sampled_from(sorted(NOTES)), JSON))
def test_whatever_is_sent_can_be_stored(data):
    notes = read_paradata(json.dumps(data))
    assert set(notes) <= set(NOTES)
    stored = json.dumps(notes, ensure_ascii=False, allow_nan=False)
    assert "\x00" not in stored
    assert "\\u0000" not in stored
    stored.encode()
