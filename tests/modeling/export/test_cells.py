import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.export.cells import clean, guard, unguard

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@pytest.mark.parametrize("start", STARTS)
def test_what_begins_as_a_formula_gets_one_apostrophe(start):
    assert guard(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "1+1", " =1", "a=1", "'tis", "''", "\u2212 1"])
def test_other_texts_stay_as_they_are(text):
    assert guard(text) == text == unguard(text)


@given(st.text(alphabet="'=+-@\t\r\n a\uff1d"))
def test_the_apostrophe_can_always_be_taken_off_again(text):
    guarded = guard(text)
    assert unguard(guarded) == text
    assert not guarded.startswith(STARTS)


def test_what_no_file_can_hold_is_replaced_visibly():
    assert clean("a\x00b\ud800c") == "a\ufffdb\ufffdc"
