"""PURE. One row of a file of feeds: what its columns are called, and the appearance of a post that it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from annotation.uploads.language import UNKNOWN, read_code
from annotation.uploads.reading import FileRefused, Row

MAX_KEY = 200
MAX_OWNER = 200
MAX_GROUP = 50
MAX_METADATA = 20_000  # characters


class Column(StrEnum):
    """What a column of a feed file means."""

    KEY = "key"
    TEXT = "text"
    OWNER = "owner"
    SOURCE = "source"
    GROUP = "group"
    CONTEXT_KIND = "context_kind"
    CONTEXT_TEXT = "context_text"
    IS_REPLY = "is_reply"
    IN_REPLY_TO = "in_reply_to"
    LANGUAGE = "language"
    VISIBILITY = "visibility"
    PERSON = "person"  # says who wrote a post: left out
    OTHER = "other"


NEEDED = (Column.KEY, Column.TEXT, Column.OWNER, Column.SOURCE)
NAMES = {
    Column.KEY: "key id postkey postid tweetid statusid uri posturi idstr",
    Column.TEXT: "text posttext body content fulltext tweettext rawcontent message",
    Column.OWNER: "owner ownerid feedowner participant participantid panelist panelistid feedof",
    Column.SOURCE: "source feed feedtype feedname timeline feedsource",
    Column.GROUP: "group quotagroup ownergroup quota",
    Column.CONTEXT_KIND: "contextkind contexttype relation",
    Column.CONTEXT_TEXT: "contexttext parenttext quotedtext replytotext repliedtext",
    Column.IS_REPLY: "isreply reply",
    Column.IN_REPLY_TO: "inreplyto inreplytoid inreplytostatusid inreplytostatusidstr replyto replytoid parentid "
    "parentkey",
    Column.LANGUAGE: "language lang languagecode langcode",
    Column.VISIBILITY: "visibility availability",
    Column.PERSON: "author authorid authorname authorhandle user userid username userhandle handle screenname "
    "displayname name email did account accountid profile profileurl",
}
_MEANS = {name: column for column, names in NAMES.items() for name in names.split()}
_SOURCES = {
    "following": "following",
    "followingfeed": "following",
    "followed": "following",
    "innetwork": "following",
    "latest": "following",
    "chronological": "following",
    "foryou": "for_you",
    "foryoupage": "for_you",
    "foryoufeed": "for_you",
    "fyp": "for_you",
    "algorithmic": "for_you",
    "recommended": "for_you",
}
_KINDS = {"": "", "none": "", "reply": "reply", "repliedto": "reply", "quote": "quote", "quoted": "quote"}
_ANSWERS = {"": False, "0": False, "false": False, "no": False, "f": False} | dict.fromkeys(
    ("1", "true", "yes", "t"), True
)
_VISIBILITIES = {
    **dict.fromkeys(("", "public", "visible", "available"), "public"),
    **dict.fromkeys(("private", "protected", "followersonly", "notpublic"), "private"),
    **dict.fromkeys(("deleted", "removed", "gone", "unavailable"), "deleted"),
}
VISIBILITIES = ("public", "private", "deleted")  # the later one holds where rows of one post differ

REASON_LABELS = {
    "unreadable": "The row cannot be read",
    "key": "The key of the post is missing or cannot be used",
    "text": "A list or object stands where a text is needed",
    "owner": "The owner of the feed is missing or cannot be used",
    "source": "The source is neither following nor for you",
    "group": "The owner's quota group cannot be used",
    "context": "The kind of context is unknown",
    "reply": "It is not clear whether the post is a reply",
    "visibility": "The visibility is unknown",
    "other_text": "An earlier row has this key and another text",
    "too_big": "Too much to keep",
}


class FeedRowRefused(ValueError):
    """A row that says of no post where it stood; `reason` is a key of `REASON_LABELS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class FeedRow:
    """A post in somebody's feed, as one row tells it. `owner` is as it was given, and must not be stored."""

    key: str
    text: str
    owner: str
    source: str
    group: str
    context_kind: str
    context_text: str
    language: str
    visibility: str
    metadata: dict[str, Any] = field(default_factory=dict)


@cache
def find_meaning(name: str) -> Column:
    """Return what a column means, by its name alone."""
    return _MEANS.get(_plain(name), Column.OTHER)


def check_columns(names: Iterable[str]) -> None:
    """Raise FileRefused when a needed column is missing, or two columns mean the same."""
    found: dict[Column, str] = {}
    for name in names:
        column = find_meaning(name)
        if column in (Column.OTHER, Column.PERSON):
            continue
        if column in found:
            raise FileRefused(
                f"the columns '{found[column]}' and '{name}' both say the {column.value.replace('_', ' ')}; rename or "
                "remove one"
            )
        found[column] = name
    if missing := [column.value for column in NEEDED if column not in found]:
        raise FileRefused(
            f"the file has no column {' and none '.join(missing)}; each row needs key (names the post), text, owner "
            "(whose feed) and source (following or for_you)"
        )


def read_row(row: Row) -> FeedRow:
    """Return what a row says. Raises FeedRowRefused, with the reason, when it says nothing that can be used."""
    if row.fault:
        raise FeedRowRefused("unreadable", row.fault)
    cells: dict[Column, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in row.cells.items():
        column = find_meaning(name)
        if column == Column.OTHER:
            if value not in (None, ""):
                metadata[name] = value
        elif column != Column.PERSON:
            cells[column] = value
    key = _read_name(cells, Column.KEY, MAX_KEY)
    owner = _read_name(cells, Column.OWNER, MAX_OWNER)
    text = _read_text(cells, Column.TEXT)
    kind, context_text = _read_context(cells, metadata)
    if len(json.dumps(metadata)) > MAX_METADATA:
        raise FeedRowRefused("too_big", f"its further columns hold more than {MAX_METADATA:,} characters")
    language = read_code(_read_text(cells, Column.LANGUAGE))
    return FeedRow(
        key=key,
        text=text,
        owner=owner,
        source=_read_word(cells, Column.SOURCE, _SOURCES, "source"),
        group=_read_group(cells),
        context_kind=kind,
        context_text=context_text,
        language="" if language == UNKNOWN else language,
        visibility=_read_word(cells, Column.VISIBILITY, _VISIBILITIES, "visibility"),
        metadata=metadata,
    )


def _read_name(cells: Mapping[Column, Any], column: Column, longest: int) -> str:
    value = cells.get(column)
    if isinstance(value, bool | float | list | dict):
        raise FeedRowRefused(column.value, f"the {column.value} is neither text nor a whole number")
    name = "" if value is None else str(value).strip()
    if not name:
        raise FeedRowRefused(column.value, f"the {column.value} is empty")
    if len(name) > longest or not name.isprintable():
        raise FeedRowRefused(
            column.value,
            f"the {column.value} has {len(name):,} characters; it may have {longest}, all of them visible",
        )
    return name


def _read_text(cells: Mapping[Column, Any], column: Column) -> str:
    value = cells.get(column)
    if isinstance(value, list | dict):
        raise FeedRowRefused("text", f"the column of the {column.value} holds a list or an object")
    return "" if value is None else str(value).strip()


def _read_word(
    cells: Mapping[Column, Any], column: Column, known: Mapping[str, str | bool], reason: str
) -> Any:
    written = _read_text(cells, column)
    found = known.get(_plain(written))
    if found is None:
        raise FeedRowRefused(reason, f"the {column.value.replace('_', ' ')} is '{written[:40]}'")
    return found


def _read_group(cells: Mapping[Column, Any]) -> str:
    group = _read_text(cells, Column.GROUP)
    if len(group) > MAX_GROUP or not (group.isprintable() or not group):
        raise FeedRowRefused(
            "group", f"the group has {len(group):,} characters; it may have {MAX_GROUP}, all visible"
        )
    return group


def _read_context(cells: Mapping[Column, Any], metadata: dict[str, Any]) -> tuple[str, str]:
    """Return kind and text; a reply whose parent's text is not there has the kind alone."""
    kind = _read_word(cells, Column.CONTEXT_KIND, _KINDS, "context")
    text = _read_text(cells, Column.CONTEXT_TEXT)
    parent = _read_text(cells, Column.IN_REPLY_TO)
    is_reply = _read_word(cells, Column.IS_REPLY, _ANSWERS, "reply")
    if parent:
        metadata["in_reply_to"] = parent[:MAX_KEY]
    if not kind and (text or parent or is_reply):
        kind = "reply"
    return kind, text


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
