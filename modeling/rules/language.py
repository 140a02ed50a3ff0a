"""PURE. Rules that say which readings an expert should look at, and how a condition is put into words.

A rule is an object with `key`, `title`, `why`, `values` and `when`. Its condition is one of:

    {"all": [...]}, {"any": [...]}, {"not": {...}}
    {"rating": VALUE, "at_least": 4, "at_most": 6}      or "between": [4, 6]
    {"expressed": VALUE}, {"not_expressed": VALUE}      by the threshold of whoever asks
    {"number_expressed": {"at_least": 5}}               of all values of the study
    {"words": ["...", "..."], "in": "text"}             or "context", or "both"
    {"pattern": "...", "in": "text"}                    see `patterns`
    {"models_differ": VALUE, "by": 3}                   or "by": "presence"
    {"probability": "rating", "of": VALUE, "below": 0.5}    or of "presence"
    {"spread": VALUE, "above": 1}, {"presence_varies": VALUE}

VALUE is the key of a value, or "each": the rule is then held against each of its `values` by itself, which are a list
of keys or "any" for all that the study has. A web process may import this: it loads no NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

EACH, ANY = "each", "any"
PRESENCE, RATING = "presence", "rating"
TEXT, CONTEXT, BOTH = PLACES = ("text", "context", "both")


@dataclass(frozen=True)
class Condition:
    """A condition, or several put together.

    Attributes
    ----------
    kind : the field that names it, such as 'rating'
    place : where it stands in its rule, such as 'when.all[1]'
    parts : the conditions that it puts together
    value : key of a value, or 'each'
    low, high : both included, for ratings and numbers of values; the limit of the others is `low` or `high`
    of : what a probability or a difference is of: 'rating' or 'presence'
    words : as they are written in the rule
    pattern : likewise
    within : where words and patterns are looked for
    """

    kind: str
    place: str
    parts: tuple[Condition, ...] = ()
    value: str = ""
    low: float = -math.inf
    high: float = math.inf
    of: str = RATING
    words: tuple[str, ...] = ()
    pattern: str = ""
    within: str = TEXT

    def list_leaves(self) -> list[Condition]:
        """Return the conditions that put no others together, in the order in which they are written."""
        if not self.parts:
            return [self]
        return [leaf for part in self.parts for leaf in part.list_leaves()]


@dataclass(frozen=True)
class Rule:
    """One rule. `values` are keys; `is_any` tells that it was written for whichever values there are."""

    key: str
    title: str
    why: str
    values: tuple[str, ...]
    when: Condition
    is_any: bool

    @property
    def looks_at_each(self) -> bool:
        """Whether its condition is held against each of its values by itself."""
        return any(leaf.value == EACH for leaf in self.when.list_leaves())


def say_condition(condition: Condition, names: Mapping[str, str]) -> str:
    """Return a condition in words; `names` are those of the values by their keys.

    >>> say_condition(Condition("rating", "when", value="each", low=4.0), {})
    'rating of the value at least 4'
    """
    value = "the value" if condition.value == EACH else names.get(condition.value, condition.value)
    where = "text or context" if condition.within == BOTH else condition.within
    match condition.kind:
        case "all" | "any":
            joint = " and " if condition.kind == "all" else " or "
            return f"({joint.join(say_condition(part, names) for part in condition.parts)})"
        case "not":
            return f"not {say_condition(condition.parts[0], names)}"
        case "rating":
            return f"rating of {value} {say_bounds(condition)}"
        case "expressed":
            return f"{value} expressed"
        case "not_expressed":
            return f"{value} not expressed"
        case "number_expressed":
            return f"number of values expressed {say_bounds(condition)}"
        case "words":
            shown = ", ".join(f"“{word}”" for word in condition.words[:4])
            more = f" or {len(condition.words) - 4} more" if len(condition.words) > 4 else ""
            return f"{where} holds {shown}{more}"
        case "pattern":
            return f"{where} matches {condition.pattern}"
        case "models_differ" if condition.of == PRESENCE:
            return f"models differ on whether {value} is expressed"
        case "models_differ":
            return f"models differ on {value} by at least {condition.low:g}"
        case "probability":
            return f"probability of the {condition.of} of {value} below {condition.high:g}"
        case "spread":
            return f"spread of {value} over runs above {condition.low:g}"
        case _:
            return f"runs differ on whether {value} is expressed"


def say_bounds(condition: Condition) -> str:
    """Return the bounds of a condition in words."""
    if math.isinf(condition.high):
        return f"at least {condition.low:g}"
    if math.isinf(condition.low):
        return f"at most {condition.high:g}"
    return f"from {condition.low:g} to {condition.high:g}"
