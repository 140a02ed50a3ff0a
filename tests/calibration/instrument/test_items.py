import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.instrument.items import DEFAULT_TEXT_LENGTH, Instrument, InstrumentError
from tests.factories import load_demographics

SINGLE = {"key": "party", "kind": "single", "label": "Party?"}
OPTIONS = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]
TEXT = {"key": "comments", "kind": "text", "label": "Comments?"}


def questionnaire(*items, **changes):
    return {"key": "about-you", "version": 1, "title": "About you", "items": list(items)} | changes


def faults_of(data):
    with pytest.raises(InstrumentError) as refusal:
        Instrument.from_dict(data)
    return refusal.value.faults


def test_the_questionnaire_that_ships_can_be_read():
    instrument = Instrument.from_dict(load_demographics())
    assert (instrument.key, instrument.version) == ("demographics", 1)
    by_key = {item.key: item for item in instrument.items}
    assert instrument.items[0].key == "age"
    assert (by_key["age"].minimum, by_key["age"].maximum, by_key["age"].required) == (18, 120, False)
    assert ("prefer_not_to_say", "Prefer not to say") in by_key["party"].options
    assert by_key["comments"].max_length == 2000


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
        (TEXT | {"kind": "slider"}, "item 1: kind must be one of single, number, text, not 'slider'"),
        (TEXT | {"kind": ["text"]}, "item 1: kind must be one of single, number, text, not ['text']"),
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
    ],
    ids=str,
)  # fmt: skip
def test_a_fault_of_an_item_is_named_with_its_place(item, fault):
    assert faults_of(questionnaire(item))[0] == fault


def test_two_items_with_one_key_are_refused():
    assert faults_of(questionnaire(TEXT, TEXT)) == ("key 'comments' is used 2 times",)


def test_all_faults_are_named_at_once():
    data = questionnaire(TEXT | {"label": ""}, SINGLE, version=None)
    assert len(faults_of(data)) == 3
    with pytest.raises(InstrumentError, match=r"(?s)The questionnaire has faults:.*item 1:.*item 2:"):
        Instrument.from_dict(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ITEM_FIELDS = ("key", "kind", "label", "help", "options", "min", "max", "max_length", "required")


@given(
    st.fixed_dictionaries(
        {},
        optional={name: anything | st.sampled_from(["single", "number", "text"]) for name in ITEM_FIELDS},
    )
)
def test_an_item_of_any_shape_is_read_or_refused_with_reasons(item):
    try:
        Instrument.from_dict(questionnaire(item))
    except InstrumentError as refusal:
        assert refusal.faults
