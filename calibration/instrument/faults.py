"""How the readers of this room name what is wrong with data, all of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annotation.tree.nodes import UNSTORABLE

KEY_PATTERN = re.compile(r"[a-z][a-z0-9_]*")
KEY_RULE = "must begin with a letter and consist of a-z, 0-9 and _"
# What every page of a study sends beside the answers, under the same names as a form's fields.
PAGE_FIELDS = ("item", "page", "paradata", "retry", "reveal")


class InstrumentError(ValueError):
    """A questionnaire cannot be read; `faults` holds every reason, each with its place."""

    subject = "The questionnaire"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{self.subject} has faults:\n" + "\n".join(f"- {fault}" for fault in self.faults))


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_key(value: object) -> bool:
    return isinstance(value, str) and KEY_PATTERN.fullmatch(value) is not None


def faults_of_key(key: object) -> list[str]:
    """What is wrong with a key that becomes a field of a page."""
    if not is_key(key):
        return [f"key {KEY_RULE}"]
    return [f"key {key!r} is a field of every page; choose another"] if key in PAGE_FIELDS else []


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    return isinstance(value, int) and is_whole(value) and value >= 1


def faults_of_text(data: Mapping[str, Any], name: str, *, blank: bool = False) -> list[str]:
    """What is wrong with a text; `blank` is whether it may be empty or left out."""
    value = data.get(name, "")
    if blank and not isinstance(value, str):
        return [f"{name} must be text"]
    if not blank and not is_text(value):
        return [f"{name} {'must be text' if value and not isinstance(value, str) else 'is missing'}"]
    if UNSTORABLE.search(value):
        return [f"{name} contains a character that cannot be stored; write it anew"]
    return []


def faults_of_flag(data: Mapping[str, Any], name: str) -> list[str]:
    return [] if isinstance(data.get(name, False), bool) else [f"{name} must be true or false"]


def unknown_fields(data: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    known = tuple(known)
    return [
        f"unknown field {str(name)!r:.40}; the fields are {', '.join(known)}"
        for name in data
        if name not in known
    ]


def repeated(keys: Sequence[object]) -> list[str]:
    """Name each key that stands more than once, in the order of their first appearance."""
    counts: dict[str, int] = {}
    for key in keys:
        counts[str(key)] = counts.get(str(key), 0) + 1
    return [f"key {key!r} is used {count} times" for key, count in counts.items() if count > 1]
