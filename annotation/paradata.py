"""PURE. What a browser notes of how a page was used, read with suspicion: anyone can send anything."""

import json
from collections.abc import Callable
from typing import Any

MAX_LENGTH = 20_000
MAX_CHANGES = 500
_LARGEST = 10**13


def read_paradata(text: str) -> dict[str, Any]:
    """Return what is well-formed of a page's notes; {} for a page without scripts, or for nonsense.

    Times are the browser's own clock in milliseconds since its page was shown, except `shown`, which is
    since 1970. `changes` lists (milliseconds, name of the field) of each answer made or changed.
    """
    if not text or len(text) > MAX_LENGTH:
        return {}
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(notes, dict):
        return {}
    return {name: notes[name] for name, is_fine in _NOTES.items() if name in notes and is_fine(notes[name])}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _is_size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _are_changes(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_CHANGES
        and all(
            isinstance(change, list)
            and len(change) == 2
            and _is_number(change[0])
            and isinstance(change[1], str)
            and len(change[1]) <= 80
            and change[1].isprintable()
            for change in value
        )
    )


_NOTES: dict[str, Callable[[object], bool]] = {
    "shown": _is_number,
    "answered_ms": _is_number,
    "away": _is_number,
    "away_ms": _is_number,
    "viewport": _is_size,
    "changes": _are_changes,
}
