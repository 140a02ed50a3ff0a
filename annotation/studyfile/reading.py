"""From the text of a study file to its data: strict JSON, and what of it a database could not keep."""

import json
import math
from collections.abc import Iterator
from typing import Any

from annotation.tree.nodes import UNSTORABLE

from .faults import Fault, StudyFileError

MAX_BYTES = 200_000_000
MAX_DEPTH = 200
WHOLE = "file"


def read(content: bytes) -> dict[str, Any]:
    """Return the data of a study file.

    Raises
    ------
    StudyFileError
        If it is too large, not UTF-8, not JSON, no object, or names something twice.
    """
    if len(content) > MAX_BYTES:
        raise _refuse(f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refuse(f"it is not UTF-8 text (byte {error.start + 1:,}); save it as UTF-8") from error
    repeated: list[str] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in data if names.count(name) > 1)
        return data

    try:
        data = json.loads(text, object_pairs_hook=build, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _refuse(f"it is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise _refuse(f"it is nested too deeply; at most {MAX_DEPTH} levels are read") from error
    except StudyFileError:
        raise
    except ValueError as error:  # a number with thousands of digits
        raise _refuse(f"it holds a number that is too long: {error}") from error
    if repeated:
        raise StudyFileError(
            [Fault(WHOLE, f"an object names {name!r:.60} twice; leave one of the two") for name in repeated]
        )
    if not isinstance(data, dict):
        raise _refuse("it must be one JSON object: { ... }")
    return data


def find_unstorable(data: Any) -> Iterator[Fault]:
    """Name each text, name and number that PostgreSQL or JSON could not keep, with its place."""
    waiting: list[tuple[str, Any, int]] = [("", data, 1)]
    while waiting:
        place, value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            yield Fault(place or WHOLE, f"it is nested too deeply; at most {MAX_DEPTH} levels are read")
        elif isinstance(value, dict):
            for name in value:
                if not isinstance(name, str) or UNSTORABLE.search(name):
                    yield Fault(place or WHOLE, f"the name {name!r:.40} cannot be stored; write it anew")
            items = [
                (f"{place}.{name}" if place else str(name), each, depth + 1) for name, each in value.items()
            ]
            waiting.extend(reversed(items))
        elif isinstance(value, list):
            waiting.extend(reversed([(f"{place}[{i}]", each, depth + 1) for i, each in enumerate(value)]))
        elif isinstance(value, str):
            if UNSTORABLE.search(value):
                yield Fault(place, "it contains a character that cannot be stored; write it anew")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield Fault(place, "JSON has no such number; write a finite one")
        elif value is not None and not isinstance(value, bool | int):
            yield Fault(
                place, f"JSON knows no {type(value).__name__}; write text, a number, a list or an object"
            )


def _refuse_constant(name: str) -> None:
    raise _refuse(f"JSON has no number {name}; write a finite one, or null")


def _refuse(problem: str) -> StudyFileError:
    return StudyFileError([Fault(WHOLE, problem)])
