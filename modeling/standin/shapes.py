"""The shape of the JSON that a request wants: read from a JSON schema, or from the words of a prompt without one."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

RATING_NAMES = frozenset({"rating", "score", "value"})
FINAL = "final"


class SchemaError(ValueError):
    """A schema that strict structured output does not know."""


@dataclass(frozen=True)
class Wanted:
    """One number or text within a reply: of which concept, with which numbers to choose from."""

    key: str
    options: tuple[int, ...] = ()

    @property
    def is_rating(self) -> bool:
        """Whether a number is wanted rather than a text."""
        return bool(self.options)


@dataclass(frozen=True)
class Shape:
    """An object of a reply: its members are objects, numbers and texts."""

    members: tuple[tuple[str, "Shape | Wanted"], ...]

    def ratings(self) -> Iterator[Wanted]:
        """Yield the numbers wanted, in the order of the reply."""
        for _, member in self.members:
            if isinstance(member, Shape):
                yield from member.ratings()
            elif member.is_rating:
                yield member

    def fill(self, rate: Callable[[str], int], explain: Callable[[str], str]) -> dict[str, Any]:
        """Return the reply, with numbers from `rate` and texts from `explain`, both asked by concept."""
        return {
            name: member.fill(rate, explain)
            if isinstance(member, Shape)
            else (rate if member.is_rating else explain)(member.key)
            for name, member in self.members
        }


@lru_cache(maxsize=64)
def read_schema(text: str) -> Shape:
    """Return the shape that a JSON schema, given as JSON, describes.

    Raises
    ------
    SchemaError
        If it uses what strict structured output does not know, as a provider refuses it.
    """
    shape = _read_node(json.loads(text), "reply", "reply")
    if not isinstance(shape, Shape):
        raise SchemaError("The root of the schema must be an object.")
    return shape


def _read_node(node: Any, name: str, parent: str) -> Shape | Wanted:
    if not isinstance(node, dict):
        raise SchemaError(f"The schema of '{name}' is no object.")
    kind = node.get("type")
    key = parent if name in RATING_NAMES else name
    if kind == "object":
        properties = node.get("properties")
        if not isinstance(properties, dict) or node.get("additionalProperties") is not False:
            raise SchemaError(f"'{name}' needs properties and additionalProperties: false.")
        if sorted(node.get("required", [])) != sorted(properties):
            raise SchemaError(f"'{name}' must require each of its properties.")
        return Shape(tuple((member, _read_node(inner, member, name)) for member, inner in properties.items()))
    if kind == "integer":
        options = node.get("enum")
        if not isinstance(options, list) or not options or not all(type(option) is int for option in options):
            raise SchemaError(f"'{name}' must list its numbers in an enum.")
        return Wanted(key, tuple(sorted(options)))
    if kind == "string":
        return Wanted(parent)
    raise SchemaError(f"'{name}' has the type {kind!r}, which the stand-in does not know.")


_BLANK = re.compile(r'(":\s*)N\b')  # a form shows where a number belongs by a letter
_OPTIONS = re.compile(r"\bone of ((?:-?\d+, )+-?\d+)")
_RANGE = re.compile(r"(?:^|[^\d.])(\d{1,2}) ?(?:to|-|–) ?(\d{1,2})(?![\d.])")
_WIDEST = 100


@lru_cache(maxsize=64)
def read_prompt(text: str) -> Shape | None:
    """Return the shape that a prompt shows as a JSON object with numbers in it, None if it shows none.

    The numbers to choose from are those listed after 'one of', else those of a range such as '0 to 6'.
    """
    if listed := _OPTIONS.search(text):
        options = tuple(sorted({int(number) for number in listed[1].split(", ")}))
    else:
        scale = _RANGE.search(text)
        low, high = (int(scale[1]), int(scale[2])) if scale else (0, 6)
        options = tuple(range(low, high + 1)) if low < high <= _WIDEST else tuple(range(7))
    shown = _BLANK.sub(r"\g<1>0", text)
    decoder = json.JSONDecoder()
    start = shown.find("{")
    while start >= 0:
        try:
            shape = _read_shown(decoder.raw_decode(shown, start)[0], "reply", "reply", options)
        except ValueError:
            shape = None
        if isinstance(shape, Shape) and any(shape.ratings()):
            return shape
        start = shown.find("{", start + 1)
    return None


def _read_shown(shown: Any, name: str, parent: str, options: tuple[int, ...]) -> Shape | Wanted:
    if isinstance(shown, dict):
        return Shape(tuple((key, _read_shown(inner, key, name, options)) for key, inner in shown.items()))
    if isinstance(shown, int | float):
        return Wanted(parent if name in RATING_NAMES else name, options)
    return Wanted(parent)
