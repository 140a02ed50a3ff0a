import pytest
from django import forms
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from annotation.admin.plain import (
    CONSENT,
    LAST_PAGE_SETTINGS,
    PlainText,
    Setting,
    make_number,
    make_text,
    read_sections,
    show_sections,
)

lines = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1)
words = lines.map(str.strip).filter(lambda line: line and not line.startswith("##"))
sections = st.lists(
    st.fixed_dictionaries(
        {"text": st.lists(words, min_size=1).map("\n\n".join)}, optional={"heading": words}
    ),
    min_size=1,
)


@given(sections)
def test_sections_come_back_from_their_text_as_they_were(parts):
    assert read_sections(show_sections(parts)) == parts


def test_a_heading_begins_a_section_and_paragraphs_stay_together():
    text = "Welcome.\n\n## What you do\nYou read.\n\nYou rate.\n\n##\nNo heading here."
    assert read_sections(text) == [
        {"text": "Welcome."},
        {"heading": "What you do", "text": "You read.\n\nYou rate."},
        {"text": "No heading here."},
    ]


def test_no_text_is_no_sections():
    assert read_sections("  \n\n ") is None


def test_a_heading_without_text_is_named():
    with pytest.raises(ValidationError, match="'What you do' has no text"):
        read_sections("## What you do\n\n## How\nLike this.")


def test_the_ends_of_lines_that_a_browser_sends_change_nothing():
    assert not PlainText().has_changed("One.\n\nTwo.", "One.\r\n\r\nTwo.")


TITLE = Setting("title", ("page", "title"), make_text("Title", "Help."))


def test_a_setting_is_stored_in_its_place_alone():
    data = {"page": {"title": "Old", "text": "Kept"}, "other": [1]}
    TITLE.put(data, "New")
    assert data == {"page": {"title": "New", "text": "Kept"}, "other": [1]}
    assert TITLE.get(data) == "New"


def test_an_empty_setting_leaves_nothing_behind():
    data = {"page": {"title": "Old"}}
    TITLE.put(data, "")
    assert data == {}
    TITLE.put(data, "")
    assert data == {}


@pytest.mark.parametrize(
    ("setting", "data"),
    [
        (TITLE, {"page": "no object"}),
        (TITLE, {"page": {"title": 7}}),
        (TITLE, {"page": {"title": " spaces "}}),
        (Setting("n", ("n",), make_number("N", "Help.")), {"n": True}),
        (Setting("n", ("n",), make_number("N", "Help.")), {"n": "many"}),
        (CONSENT[2], {"sections": [{"heading": "", "text": "An empty heading."}]}),
        (CONSENT[2], {"sections": [{"text": "One.\n## Two"}]}),
        (CONSENT[2], {"sections": [{"text": "One.", "colour": "red"}]}),
        (CONSENT[2], {"sections": "text"}),
    ],
    ids=lambda part: str(getattr(part, "name", part)),
)
def test_what_a_field_could_not_give_back_exactly_is_not_shown_in_it(setting, data):
    assert not setting.can_show(data, setting.make_field(None))


def test_every_place_of_consent_and_last_pages_has_a_field_of_its_own():
    assert [setting.path for setting in CONSENT] == [
        ("version",),
        ("title",),
        ("sections",),
        ("agree",),
        ("decline",),
    ]
    assert len({setting.path for setting in LAST_PAGE_SETTINGS}) == len(LAST_PAGE_SETTINGS) == 14
    for setting in (*CONSENT, *LAST_PAGE_SETTINGS):
        assert isinstance(setting.make_field(None), forms.Field)
