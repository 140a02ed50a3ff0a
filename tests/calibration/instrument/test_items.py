import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.instrument.items import DEFAULT_TEXT_LENGTH, KINDS, Instrument, InstrumentError
from tests.factories import load_demographics

SINGLE = {"key": "party", "kind": "single", "label": "Party?"}
OPTIONS = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]
TEXT = {"key": "comments", "kind": "text", "label": "Comments?"}
FIELDS_OF_A_TEXT = "the fields are key, kind, label, help, required, prefer_not_to_say, max_length"
MULTIPLE = {
    "key": "news",
    "kind": "multiple",
    "label": "News?",
    "options": [*OPTIONS, {"value": "none", "label": "None", "exclusive": True}],
}
LEVELS = [{"value": 1, "label": "No"}, {"value": 5, "label": "Yes"}]
GRID = {
    "key": "grid",
    "kind": "grid",
    "label": "Which fits?",
    "options": LEVELS,
    "rows": [{"key": "calm", "label": "I am calm."}, {"key": "loud", "label": "I am loud."}],
}
SCORING = {
    "key": "two",
    "instrument": "Two rows",
    "answers": {"min": 1, "max": 5},
    "items": ["calm", "loud"],
    "scales": [{"key": "calmness", "label": "Calmness", "items": ["calm", "loud"], "reversed": ["loud"]}],
}


def questionnaire(*items, **changes):
    return {"key": "about-you", "version": 1, "title": "About you", "items": list(items)} | changes


def faults_of(data):
    with pytest.raises(InstrumentError) as refusal:
        Instrument.from_dict(data)
    return refusal.value.faults


def test_the_questionnaire_that_ships_can_be_read():
    instrument = Instrument.from_dict(load_demographics())
    assert (instrument.key, instrument.version) == ("demographics", 2)
    by_key = {item.key: item for item in instrument.items}
    assert instrument.items[0].key == "age"
    assert (by_key["age"].minimum, by_key["age"].maximum, by_key["age"].required) == (18, 120, False)
    assert by_key["ethnicity"].kind == "multiple"
    assert all(item.prefer_not_to_say for item in instrument.items if item.key != "comments")
    assert by_key["comments"].max_length == 2000


def test_the_answers_of_a_grid_are_named_by_its_rows():
    instrument = Instrument.from_dict(questionnaire(GRID, TEXT))
    assert instrument.answer_keys == ("calm", "loud", "comments")
    assert instrument.items[0].options == ((1, "No"), (5, "Yes"))


def test_options_that_go_alone_are_known():
    (item,) = Instrument.from_dict(questionnaire(MULTIPLE | {"min": 1, "max": 2})).items
    assert (item.exclusive, item.minimum, item.maximum) == (("none",), 1, 2)


def test_an_option_to_decline_as_older_definitions_have_it_is_still_read():
    declining = {"value": "prefer_not_to_say", "label": "I would rather not"}
    (item,) = Instrument.from_dict(questionnaire(SINGLE | {"options": [*OPTIONS, declining]})).items
    assert item.options[-1] == ("prefer_not_to_say", "I would rather not")
    assert not item.prefer_not_to_say


def test_a_scoring_key_is_named_or_written_out():
    grid = GRID | {"rows": [{"key": f"bfi{n}", "label": f"Number {n}"} for n in range(1, 11)]}
    assert Instrument.from_dict(questionnaire(grid, scoring="bfi_10")).scoring.key == "bfi_10"
    assert Instrument.from_dict(questionnaire(GRID, scoring=SCORING)).scoring.key == "two"
    assert Instrument.from_dict(questionnaire(GRID)).scoring is None


def test_a_number_within_the_scoring_keys_range_can_be_scored():
    numbers = [TEXT | {"key": key, "kind": "number", "min": 1, "max": 5} for key in ("calm", "loud")]
    assert Instrument.from_dict(questionnaire(*numbers, scoring=SCORING)).scoring


@pytest.mark.parametrize(
    ("items", "scoring", "fault"),
    [
        ([GRID], "bfi_11", "scoring: no scoring key is called 'bfi_11'; there are bfi_10, pvq_21"),
        ([GRID], 5, "scoring: must be the name of a shipped scoring key or an object"),
        ([GRID], SCORING | {"scales": []}, "scoring: scoring key: needs a list of scales"),
        ([TEXT], SCORING, "scoring: the key needs the answer 'calm', which no item gives"),
        (
            [GRID | {"options": [*LEVELS, {"value": 6, "label": "Very"}]}],
            SCORING,
            "scoring: the answers of 'calm' must be whole numbers from 1 to 5",
        ),
        (
            [TEXT | {"key": "calm"}, TEXT | {"key": "loud", "kind": "number", "min": 1}],
            SCORING,
            "scoring: the answers of 'calm' must be whole numbers from 1 to 5",
        ),
    ],
)
def test_a_scoring_key_that_does_not_fit_is_a_fault(items, scoring, fault):
    assert faults_of(questionnaire(*items, scoring=scoring))[0].startswith(fault)


def test_what_may_be_left_out_has_a_plain_default():
    (item,) = Instrument.from_dict(questionnaire(TEXT)).items
    assert (item.help, item.required, item.options) == ("", False, ())
    assert (item.minimum, item.maximum, item.max_length) == (None, None, DEFAULT_TEXT_LENGTH)


def test_reading_leaves_the_data_as_it_was():
    data = load_demographics()
    before = copy.deepcopy(data)
    Instrument.from_dict(data)
    assert data == before


@pytest.mark.parametrize("data", [None, [], "items", {}, {"items": {}}, {"items": None}])
def test_what_is_no_questionnaire_at_all_is_refused(data):
    assert faults_of(data) == ("questionnaire: must be an object with a list of items",)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"key": ""}, "questionnaire: key is missing"),
        ({"title": 5}, "questionnaire: title must be text"),
        ({"intro": 5}, "questionnaire: intro must be text"),
        ({"version": None}, "questionnaire: version must be a whole number of at least 1"),
        ({"version": 0}, "questionnaire: version must be a whole number of at least 1"),
        ({"version": "two"}, "questionnaire: version must be a whole number of at least 1"),
        ({"version": True}, "questionnaire: version must be a whole number of at least 1"),
        ({"items": []}, "questionnaire: has no item"),
    ],
    ids=str,
)
def test_a_fault_of_the_whole_is_named(changes, fault):
    assert faults_of(questionnaire(TEXT, **changes)) == (fault,)


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("age", "item 1: must be an object"),
        (TEXT | {"key": "Größe"}, "item 1: key must begin with a letter and consist of a-z, 0-9 and _"),
        (TEXT | {"key": 5}, "item 1: key must begin with a letter and consist of a-z, 0-9 and _"),
        (
            TEXT | {"kind": "slider"},
            "item 1: kind must be one of single, multiple, grid, number, text, not 'slider'",
        ),
        (
            TEXT | {"kind": ["text"]},
            "item 1: kind must be one of single, multiple, grid, number, text, not ['text']",
        ),
        (TEXT | {"label": " "}, "item 1: label is missing"),
        (TEXT | {"label": 5}, "item 1: label must be text"),
        (TEXT | {"help": 5}, "item 1: help must be text"),
        (TEXT | {"max_length": 0}, "item 1: max_length must be a whole number of at least 1"),
        (TEXT | {"max_length": "long"}, "item 1: max_length must be a whole number of at least 1"),
        (SINGLE, "item 1: a single choice needs a list of at least two options"),
        (SINGLE | {"options": OPTIONS[:1]}, "item 1: a single choice needs a list of at least two options"),
        (SINGLE | {"options": ["a", "b"]}, "item 1: each option needs a value and a label, both text"),
        (
            SINGLE | {"options": [{"value": "a"}, OPTIONS[1]]},
            "item 1: each option needs a value and a label, both text",
        ),
        (
            SINGLE | {"options": [{"value": ["a"], "label": "A"}, OPTIONS[1]]},
            "item 1: each option needs a value and a label, both text",
        ),
        (
            SINGLE | {"options": [{"value": 1, "label": "One"}, OPTIONS[1]]},
            "item 1: each option needs a value and a label, both text",
        ),
        (SINGLE | {"options": [OPTIONS[0], OPTIONS[0]]}, "item 1: two options have the same value"),
        (TEXT | {"kind": "number", "min": "18"}, "item 1: min and max must be whole numbers"),
        (TEXT | {"kind": "number", "min": True}, "item 1: min and max must be whole numbers"),
        (TEXT | {"kind": "number", "min": 9, "max": 1}, "item 1: min is above max"),
        (TEXT | {"kind": "number", "max": 10**15}, "item 1: min and max must have at most 15 digits"),
        (TEXT | {"required": "yes"}, "item 1: required must be true or false"),
        (TEXT | {"prefer_not_to_say": 1}, "item 1: prefer_not_to_say must be true or false"),
        (
            TEXT | {"label": "a\x00b"},
            "item 1: label contains a character that cannot be stored; write it anew",
        ),
        (
            TEXT | {"help": "a\ud800"},
            "item 1: help contains a character that cannot be stored; write it anew",
        ),
        (TEXT | {"exlusive": True}, f"item 1: unknown field 'exlusive'; {FIELDS_OF_A_TEXT}"),
        (TEXT | {"min": 3}, f"item 1: unknown field 'min'; {FIELDS_OF_A_TEXT}"),
        (
            SINGLE
            | {
                "options": [*OPTIONS, {"value": "prefer_not_to_say", "label": "No"}],
                "prefer_not_to_say": True,
            },
            "item 1: 'prefer_not_to_say' is an option and a field of the item; keep the field",
        ),
        (
            SINGLE | {"options": [OPTIONS[0] | {"exclusive": True}, OPTIONS[1]]},
            "item 1: option 1: unknown field 'exclusive'; the fields are value, label",
        ),
        (
            SINGLE | {"options": [{"value": "\x00", "label": "A"}, OPTIONS[1]]},
            "item 1: an option contains a character that cannot be stored; write it anew",
        ),
        (MULTIPLE | {"options": []}, "item 1: a multiple choice needs a list of at least two options"),
        (MULTIPLE | {"max": 3}, "item 1: min and max must lie between 1 and the 2 options that go together"),
        (MULTIPLE | {"min": 0}, "item 1: min and max must lie between 1 and the 2 options that go together"),
        (MULTIPLE | {"min": 2, "max": 1}, "item 1: min is above max"),
        (
            MULTIPLE | {"options": [OPTIONS[0] | {"exclusive": "no"}, OPTIONS[1]]},
            "item 1: option 1: exclusive must be true or false",
        ),
        (GRID | {"options": LEVELS[:1]}, "item 1: a grid needs a list of at least two options"),
        (
            GRID | {"options": [LEVELS[0], OPTIONS[1]]},
            "item 1: each option needs a value and a label, both text, or all values whole numbers",
        ),
        (GRID | {"options": [LEVELS[0], LEVELS[0]]}, "item 1: two options have the same value"),
        (GRID | {"rows": []}, "item 1: a grid needs a list of rows"),
        (GRID | {"rows": ["calm"]}, "item 1: row 1: must be an object"),
        (GRID | {"rows": [{"key": "a"}]}, "item 1: row 1: label is missing"),
        (
            GRID | {"rows": [{"key": "-", "label": "A"}]},
            "item 1: row 1: key must begin with a letter and consist of a-z, 0-9 and _",
        ),
        (
            GRID | {"rows": [{"key": "a", "label": "A", "kind": "text"}]},
            "item 1: row 1: unknown field 'kind'; the fields are key, label",
        ),
    ],
    ids=str,
)
def test_a_fault_of_an_item_is_named_with_its_place(item, fault):
    assert faults_of(questionnaire(item))[0] == fault


def test_two_items_with_one_key_are_refused():
    assert faults_of(questionnaire(TEXT, TEXT)) == ("key 'comments' is used 2 times",)
    assert faults_of(questionnaire(GRID, TEXT | {"key": "calm"})) == ("key 'calm' is used 2 times",)
    assert faults_of(questionnaire(GRID | {"key": "loud"})) == ("key 'loud' is used 2 times",)


def test_a_field_that_a_questionnaire_does_not_have_is_a_fault():
    assert faults_of(questionnaire(TEXT, scorings="x"))[0].startswith(
        "questionnaire: unknown field 'scorings'"
    )


def test_all_faults_are_named_at_once():
    data = questionnaire(TEXT | {"label": ""}, SINGLE, version=None)
    assert len(faults_of(data)) == 3
    with pytest.raises(InstrumentError, match=r"(?s)The questionnaire has faults:.*item 1:.*item 2:"):
        Instrument.from_dict(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
options = st.lists(
    st.fixed_dictionaries(
        {"value": st.sampled_from(["a", "b", 1, 2]), "label": st.just("A")}, optional={"exclusive": anything}
    ),
    max_size=4,
)
ITEM_FIELDS = (
    "key", "kind", "label", "help", "options", "rows", "min", "max", "max_length", "required", "prefer_not_to_say",
)  # fmt: skip


@pytest.mark.parametrize("key", ["page", "item"])
def test_a_key_that_every_page_sends_anyway_is_refused(key):
    with pytest.raises(InstrumentError, match=f"'{key}' is a field of every page"):
        Instrument.from_dict(questionnaire({"key": key, "kind": "text", "label": "Anything?"}))


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional={name: anything | st.sampled_from([*KINDS]) | options for name in ITEM_FIELDS}
    ),
    anything,
)
def test_an_item_of_any_shape_is_read_or_refused_with_reasons(item, scoring):
    try:
        Instrument.from_dict(questionnaire(item, scoring=scoring))
    except InstrumentError as refusal:
        assert refusal.faults
