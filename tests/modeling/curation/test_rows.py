"""What one row of a file of feeds says, and what is wrong with those that say nothing."""

import pytest

from annotation.uploads.reading import FileRefused, Row
from modeling.curation.rows import FeedRowRefused, check_columns, read_row

CELLS = {"key": "p1", "text": "A calm morning.", "owner": "someone", "source": "following"}


def read(**changes):
    return read_row(Row(1, 2, CELLS | changes))


def test_a_row_with_what_is_needed_is_a_place_in_a_feed():
    row = read()
    assert (row.key, row.text, row.owner, row.source) == ("p1", "A calm morning.", "someone", "following")
    assert (row.context_kind, row.context_text, row.visibility, row.group) == ("", "", "public", "")


@pytest.mark.parametrize(
    ("written", "source"),
    [("Following", "following"), ("in-network", "following"), ("For You", "for_you"), ("FYP", "for_you")],
)
def test_sources_are_known_by_their_usual_spellings(written, source):
    assert read(source=written).source == source


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"context_text": "Where?"}, "reply", "Where?"),
        ({"context_text": "Where?", "context_kind": "quoted"}, "quote", "Where?"),
        ({"in_reply_to": 17}, "reply", ""),
        ({"is_reply": True}, "reply", ""),
        ({"is_reply": "false"}, "", ""),
    ],
    ids=["text", "quote", "parent", "flag", "no"],
)
def test_a_reply_is_known_by_any_of_its_signs(changes, kind, text):
    row = read(**changes)
    assert (row.context_kind, row.context_text) == (kind, text)


def test_who_wrote_a_post_is_left_out_and_other_columns_are_kept():
    row = read(screen_name="@somebody", author="Some Body", likes=3, note="", in_reply_to="p0")
    assert row.metadata == {"likes": 3, "in_reply_to": "p0"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": ""}, "key"),
        ({"key": 1.5}, "key"),
        ({"owner": None}, "owner"),
        ({"owner": "line\nbreak"}, "owner"),
        ({"source": "home"}, "source"),
        ({"source": ""}, "source"),
        ({"text": ["a"]}, "text"),
        ({"context_kind": "shout"}, "context"),
        ({"is_reply": "perhaps"}, "reply"),
        ({"visibility": "dim"}, "visibility"),
        ({"group": "x" * 51}, "group"),
        ({"note": "x" * 20_001}, "too_big"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_row_that_cannot_be_used_says_why(changes, reason):
    with pytest.raises(FeedRowRefused) as refusal:
        read(**changes)
    assert refusal.value.reason == reason
    assert str(refusal.value)


def test_a_row_that_cannot_be_read_is_refused_with_what_the_reader_found():
    with pytest.raises(FeedRowRefused, match="3 cells"):
        read_row(Row(1, 2, fault="has 3 cells, the first line has 4"))


@pytest.mark.parametrize(
    ("names", "word"),
    [(["key", "text", "source"], "owner"), (["id", "key", "text", "owner", "source"], "both say the key")],
    ids=["missing", "twice"],
)
def test_a_file_without_what_is_needed_is_refused_as_a_whole(names, word):
    with pytest.raises(FileRefused, match=word):
        check_columns(names)
