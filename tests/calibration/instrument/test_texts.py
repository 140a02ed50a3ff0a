import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.instrument.items import Instrument
from calibration.instrument.shipped import load_scoring_key
from calibration.instrument.texts import (
    MAX_BYTES,
    MAX_TEXT_LENGTH,
    ItemTextsError,
    build_definition,
    read_item_texts,
)

BFI = load_scoring_key("bfi_10")
LABELS = ["one", "two", "three", "four", "five"]


def faults_of(text, n_items=2):
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ItemTextsError) as refusal:
        read_item_texts(raw, n_items)
    return refusal.value.faults


@pytest.mark.parametrize(
    "text",
    [
        "number,text\n1,First\n2,Second\n",
        "number,text\r\n2,Second\r\n1,First",
        "\ufeffNumber, Text\n1, First \n\n2,Second\n",
        "text,number\nFirst,1\nSecond,02\n",
        'number;text\n1;First\n2;"Second"\n',
        "number,text\n,\n1,First\n2,Second\n",
    ],
)
def test_texts_are_read_in_the_order_of_their_numbers(text):
    assert read_item_texts(text.encode(), 2) == ("First", "Second")


def test_a_text_may_hold_anything_in_quotes():
    raw = 'number,text\n1,"A, ""B""\nand C"\n2,Größe ✓\n'.encode()
    assert read_item_texts(raw, 2) == ('A, "B"\nand C', "Größe ✓")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["line 1: the columns must be named number and text"]),
        ("1,First\n2,Second", ["line 1: the columns must be named number and text"]),
        ("number,text,scale\n1,First,a", ["line 1: the columns must be named number and text"]),
        ("number,text\n1,First\n", ["the file gives 1 of 2 items; missing: 2"]),
        ("number,text\n", ["the file gives 0 of 2 items; missing: 1, 2"]),
        (
            "number,text\n1,First\n\n1,Again\n2,Second",
            ["line 4: number 1 was given before, in line 2"],
        ),
        ("number,text\n1,First\n2,Second\n3,Third", ["line 4: number '3' is not one of 1 to 2"]),
        ("number,text\n1,First\n2,Second\nx,Third", ["line 4: number 'x' is not one of 1 to 2"]),
        ("number,text\n1,First\n2, ", ["line 3: the text is empty"]),
        (
            "number,text\n1,First\n2,Second, or not",
            [
                "line 3: has 3 columns, not 2; put a text that holds a ',' in quotes",
                "the file gives 1 of 2 items; missing: 2",
            ],
        ),
        (
            f"number,text\n1,{'x' * (MAX_TEXT_LENGTH + 1)}\n2,Second",
            ["line 2: the text has 1,001 characters; at most 1,000 are taken"],
        ),
        ('number,text\n1,"two\nlines"\n2,', ["line 4: the text is empty"]),
        (
            "number,text\n1,First\n2,Sec\x00ond",
            ["line 3: the text contains a character that cannot be stored; write it anew"],
        ),
        (
            'number,text\n1,First\n2,"Second" half',
            ["line 3: this is not a CSV file as spreadsheets write it (',' expected after '\"')"],
        ),
        (
            'number,text\n1,First\n2,"Second',
            ["line 3: this is not a CSV file as spreadsheets write it (unexpected end of data)"],
        ),
        (
            "number,text\n1,First\n2,Größe".encode("latin-1"),
            ["line 3: this is not UTF-8; save the file as 'CSV UTF-8' and upload it again"],
        ),
        (
            "number,text\n1,First\n2,Second".encode("utf-16"),
            ["line 1: this is not UTF-8; save the file as 'CSV UTF-8' and upload it again"],
        ),
        (b"x" * (MAX_BYTES + 1), ["the file has 200,001 bytes; at most 200,000 are read"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_fault_is_named_with_its_line(text, faults):
    assert list(faults_of(text)) == faults


def test_all_faults_of_a_file_are_named_at_once():
    faults = faults_of("number,text\n1,\n1,Again\n7,Seventh\n", n_items=3)
    assert len(faults) == 4


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"number,text\n{text}".encode()))
def test_any_bytes_are_read_or_refused_with_reasons(raw):
    try:
        texts = read_item_texts(raw, 1)
    except ItemTextsError as refusal:
        assert refusal.faults
    else:
        assert len(texts) == 1
        assert texts[0]


def make(**changes):
    usual = {"key": "me", "title": "About you", "intro": "", "instruction": "How far do you agree?"}
    texts = [f"Item {n}" for n in range(1, 11)]
    return build_definition("bfi_10", BFI, texts, changes.pop("labels", LABELS), **usual | changes)


def test_texts_and_a_key_make_a_questionnaire_that_can_be_asked_and_scored():
    instrument = Instrument.from_dict(make(prefer_not_to_say=True))
    (grid,) = instrument.items
    assert instrument.scoring == BFI
    assert grid.rows[2] == ("bfi3", "Item 3")
    assert grid.options == ((1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five"))
    assert (grid.required, grid.prefer_not_to_say) == (True, True)


def test_the_highest_answer_may_stand_first_and_is_still_the_highest():
    (grid,) = Instrument.from_dict(make(highest_first=True)).items
    assert grid.options[0] == (5, "five")


def test_every_answer_needs_a_label():
    with pytest.raises(ValueError, match="run from 1 to 5: give 5 labels, one a line, not 4"):
        make(labels=LABELS[:4])
