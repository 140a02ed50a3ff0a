"""PURE. What each column of a file of posts means, and the post that a row makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .language import read_code
from .reading import Row

MAX_KEY = 200
MAX_METADATA = 200_000
MAX_SOURCE = 200
CONTEXT_KINDS = ("reply", "quote")
RESERVED = ("source", "author", "language", "upload")


class Role(StrEnum):
    """What a column is for."""

    KEY = "key"
    TEXT = "text"
    CONTEXT_TEXT = "context_text"
    CONTEXT_KIND = "context_kind"
    LANGUAGE = "language"
    SOURCE = "source"
    AUTHOR = "author"
    METADATA = "metadata"
    LEFT_OUT = "left_out"


ROLE_LABELS = {
    Role.KEY: "Key: names the post",
    Role.TEXT: "Text: what raters read",
    Role.CONTEXT_TEXT: "Context: the other post's text",
    Role.CONTEXT_KIND: "Kind of context: reply or quote",
    Role.LANGUAGE: "Language",
    Role.SOURCE: "Source: which feed",
    Role.AUTHOR: "Author: whose",
    Role.METADATA: "Keep as it is",
    Role.LEFT_OUT: "Leave out",
}
_MANY = (Role.METADATA, Role.LEFT_OUT)
_NAMES = {
    Role.KEY: "id key postid itemid tweetid statusid uri postkey posturi idstr guid cid",
    Role.TEXT: "text posttext body content message fulltext tweet tweettext rawcontent post status selftext title",
    Role.CONTEXT_TEXT: "contexttext context parenttext quotedtext replytotext inreplytotext parentbody quotetext "
    "repliedtext parent original",
    Role.CONTEXT_KIND: "contextkind contexttype kindofcontext relation relationtype",
    Role.LANGUAGE: "language lang langs langcode languagecode",
    Role.SOURCE: "source feed platform subreddit channel community feedname collection",
    Role.AUTHOR: "author user username userid handle screenname account authorid authorhandle did owner whose",
}
_KINDS = {
    "": "",
    "none": "",
    "reply": "reply",
    "replied_to": "reply",
    "replied to": "reply",
    "in reply to": "reply",
    "quote": "quote",
    "quoted": "quote",
    "quoting": "quote",
    "quote_tweet": "quote",
}


class RowRefused(ValueError):
    """A row makes no post, for a `Reason` of `annotation.uploads.filters`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class ColumnMap:
    """Which column means what.

    Attributes
    ----------
    roles : by column; a column that is not named here is kept as metadata
    context_kind : what every context is where no column says it, 'reply' or 'quote'
    source : of every post where no column says it
    key_prefix : begins the keys where no column holds any; the row's number follows
    """

    roles: Mapping[str, Role] = field(default_factory=dict)
    context_kind: str = "reply"
    source: str = ""
    key_prefix: str = "row-"

    def column(self, role: Role) -> str | None:
        """The column with this role, if one has it."""
        return next((name for name, other in self.roles.items() if other == role), None)

    def find_faults(self, columns: Sequence[str]) -> list[str]:
        """Why no posts can be made this way; [] when they can."""
        faults = []
        of_role: dict[Role, list[str]] = {}
        for name, role in self.roles.items():
            if name in columns:
                of_role.setdefault(role, []).append(name)
        if Role.TEXT not in of_role:
            faults.append(f"No column is the text. Choose the one that raters are to read: {_list(columns)}.")
        if Role.CONTEXT_KIND in of_role and Role.CONTEXT_TEXT not in of_role:
            faults.append(
                "A column says the kind of context, but none holds the context. Choose the other post's text too, "
                "or keep the kind as it is."
            )
        for role, names in of_role.items():
            if len(names) > 1 and role not in _MANY:
                faults.append(
                    f"{_list(names)} have the same meaning, '{ROLE_LABELS[role]}'. Choose one of them."
                )
        kept = [name for name in columns if self.roles.get(name, Role.METADATA) == Role.METADATA]
        faults += [
            f"The columns '{name}' and '{name}_given' would be kept under the same name. Leave one of them out."
            for name in kept
            if name in RESERVED and f"{name}_given" in kept
        ]
        if self.context_kind not in CONTEXT_KINDS:
            faults.append("A context is a reply's or a quote's.")
        return faults


@dataclass(frozen=True)
class PostDraft:
    """What a row says a post is; `language` is '' where the file does not say it."""

    key: str
    text: str
    context_kind: str
    context_text: str
    language: str
    metadata: dict[str, Any]


def guess_roles(columns: Sequence[str], rows: Iterable[Row]) -> dict[str, Role]:
    """Return the likeliest role of each column, by its name and, for text and key, by its cells."""
    rows = [row for row in rows if not row.fault]
    roles = dict.fromkeys(columns, Role.METADATA)
    for role, names in _NAMES.items():
        for name in names.split():
            found = next((column for column in columns if _plain_name(column) == name), None)
            if found is not None and roles[found] == Role.METADATA:
                if role == Role.KEY and not _is_key(found, rows):
                    continue
                roles[found] = role
                break
    if Role.TEXT not in roles.values():
        lengths = {column: _mean_length(column, rows) for column in columns if roles[column] == Role.METADATA}
        longest = max(lengths, key=lambda column: lengths[column], default=None)
        if longest is not None and lengths[longest] > 0:
            roles[longest] = Role.TEXT
    if Role.CONTEXT_TEXT not in roles.values():
        for column, role in roles.items():
            if role == Role.CONTEXT_KIND:
                roles[column] = Role.METADATA
    for column in columns:
        if re.fullmatch(r"column \d+|unnamed: \d+", column.lower()) and roles[column] == Role.METADATA:
            roles[column] = Role.LEFT_OUT
    return roles


class PostMaker:
    """Makes posts of rows by a `ColumnMap`."""

    def __init__(self, columns: ColumnMap) -> None:
        self.columns = columns
        self.at = {role: columns.column(role) for role in Role if role not in _MANY}
        self._used = {name for name in self.at.values() if name is not None}
        self._used |= {name for name, role in columns.roles.items() if role == Role.LEFT_OUT}

    def make(self, row: Row) -> PostDraft:
        """Return the post of a row. Raises RowRefused, with the reason, when it makes none."""
        if row.fault:
            raise RowRefused("unreadable", row.fault)
        key = self._read_key(row)
        text = self._read_text(row, Role.TEXT)
        context_kind, context_text = self._read_context(row)
        metadata, language = self._read_metadata(row)
        return PostDraft(key, text, context_kind, context_text, language, metadata)

    def read_key(self, row: Row) -> str:
        """The key for a report, whatever else is wrong with the row; '' when there is none."""
        try:
            return "" if row.fault else self._read_key(row)
        except RowRefused:
            return ""

    def _read_key(self, row: Row) -> str:
        column = self.at[Role.KEY]
        if column is None:
            return f"{self.columns.key_prefix}{row.number}"
        value = row.cells.get(column)
        if isinstance(value, bool | float | list | dict):
            hint = ": numbers with decimals lose digits" if isinstance(value, float) else ""
            raise RowRefused(
                "key", f"the key in '{column}' is neither text nor a whole number{hint}; save it as text"
            )
        key = "" if value is None else str(value).strip()
        if not key:
            raise RowRefused("key", f"the key in '{column}' is empty")
        if len(key) > MAX_KEY:
            raise RowRefused("key", f"the key has {len(key):,} characters; at most {MAX_KEY} are taken")
        if not key.isprintable():
            raise RowRefused("key", f"the key {key[:40]!a} holds a line break or another invisible character")
        return key

    def _read_text(self, row: Row, role: Role) -> str:
        column = self.at[role]
        value = row.cells.get(column) if column is not None else None
        if value is None:
            return ""
        if isinstance(value, list | dict):
            raise RowRefused("not_text", f"'{column}' holds {_name_kind(value)} where a text is needed")
        return str(value).strip()

    def _read_context(self, row: Row) -> tuple[str, str]:
        text = self._read_text(row, Role.CONTEXT_TEXT)
        if self.at[Role.CONTEXT_KIND] is None:
            return (self.columns.context_kind, text) if text else ("", "")
        written = self._read_text(row, Role.CONTEXT_KIND)
        kind = _KINDS.get(written.lower())
        if kind is None:
            raise RowRefused("context", f"the kind of context '{written[:40]}' is neither reply nor quote")
        if bool(kind) != bool(text):
            raise RowRefused(
                "context",
                "there is a kind of context without its text" if kind else "the context has no kind",
            )
        return kind, text

    def _read_metadata(self, row: Row) -> tuple[dict[str, Any], str]:
        metadata = {
            f"{name}_given" if name in RESERVED else name: value
            for name, value in row.cells.items()
            if name not in self._used
        }
        for role in (Role.SOURCE, Role.AUTHOR):
            column = self.at[role]
            if column is not None and row.cells.get(column) not in (None, ""):
                metadata[role.value] = row.cells[column]
        if self.columns.source and "source" not in metadata:
            metadata["source"] = self.columns.source
        language = ""
        at_language = self.at[Role.LANGUAGE]
        written = row.cells.get(at_language) if at_language is not None else None
        if written not in (None, ""):
            language = read_code(str(written))
            if language != written:
                metadata["language_given"] = written
        if len(metadata) > 0 and _measure(metadata) > MAX_METADATA:
            raise RowRefused(
                "too_big", f"the columns that are kept hold more than {MAX_METADATA:,} characters"
            )
        return metadata, language


def _measure(metadata: Mapping[str, Any]) -> int:
    return sum(
        len(value)
        if isinstance(value, str)
        else len(json.dumps(value))
        if isinstance(value, list | dict)
        else 8
        for value in metadata.values()
    )


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_key(column: str, rows: Sequence[Row]) -> bool:
    cells = [row.cells.get(column) for row in rows]
    if any(
        value is None or isinstance(value, bool | float | list | dict) or not str(value) for value in cells
    ):
        return False
    return len({str(value) for value in cells}) == len(cells)


def _mean_length(column: str, rows: Sequence[Row]) -> float:
    texts = [value for row in rows if isinstance(value := row.cells.get(column), str)]
    return sum(map(len, texts)) / len(rows) if rows else 0.0


def _name_kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "an object"


def _list(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
