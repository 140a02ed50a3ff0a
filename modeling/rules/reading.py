"""PURE. Rules read from JSON, with all that is wrong with them. A web process may import it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.tree.nodes import UNSTORABLE

from .language import ANY, BOTH, CONTEXT, EACH, PLACES, PRESENCE, RATING, TEXT, Condition, Rule
from .patterns import PatternRefused, compile_pattern
from .words import space_out

MOST_RULES, MOST_CONDITIONS, MOST_WORDS, MOST_DEPTH = 100, 50, 200, 8
MOST_TITLE, MOST_WHY, MOST_KEY, MOST_WORD = 120, 600, 40, 100
MOST_SHOWN = 60
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OF_RULE = ("key", "title", "why", "values", "when")
KINDS: Mapping[str, tuple[str, ...]] = {  # of each kind of condition, beside the one that names the kind
    "all": (),
    "any": (),
    "not": (),
    "rating": ("at_least", "at_most", "between"),
    "expressed": (),
    "not_expressed": (),
    "number_expressed": (),
    "words": ("in",),
    "pattern": ("in",),
    "models_differ": ("by",),
    "probability": ("of", "below"),
    "spread": ("above",),
    "presence_varies": (),
}


class RulesRefused(ValueError):
    """Rules that cannot be used. `faults` names every one with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


def load_json(text: str) -> Any:
    """Return what a JSON text holds. Raises RulesRefused, with line and column, for what is none."""
    try:
        return json.loads(text, object_pairs_hook=_refuse_repeated)
    except json.JSONDecodeError as error:
        raise RulesRefused(
            [f"Line {error.lineno}, column {error.colno}: this is no JSON ({error.msg})."]
        ) from error
    except (ValueError, RecursionError) as error:
        raise RulesRefused([f"This cannot be read as JSON: {error}."]) from error


def read_rules(given: Any, value_keys: Sequence[str], scale: tuple[int, int]) -> tuple[Rule, ...]:
    """Return rules, checked.

    Parameters
    ----------
    given : what the JSON holds: a list of rules
    value_keys : of the study, in its order
    scale : lowest and highest rating

    Raises
    ------
    RulesRefused
        With every fault: the rule's number and key, the place in it, what is wrong and what is taken instead.

    Examples
    --------
    >>> when = {"rating": "each", "at_least": 4}
    >>> rule = {"key": "high", "title": "High", "why": "Rare.", "values": ["power"], "when": when}
    >>> read_rules([rule], ["power", "caring"], (0, 6))[0].when.low
    4.0
    """
    reader = _Reader(value_keys, scale)
    rules = reader.read(given)
    if reader.faults:
        raise RulesRefused(reader.faults)
    return tuple(rules)


def digest_rules(given: Any) -> str:
    """Return the SHA-256 of rules: the same for the same rules, however their JSON is laid out."""
    plain = json.dumps(given, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


class _Reader:
    def __init__(self, value_keys: Sequence[str], scale: tuple[int, int]) -> None:
        self.value_keys, self.scale = tuple(value_keys), scale
        self.faults: list[str] = []
        self.at = ""  # the rule that is being read
        self.n_conditions = 0

    def blame(self, place: str, what: str) -> None:
        self.faults.append(f"{self.at}{', ' if self.at and place else ''}{place}: {what}")

    def read(self, given: Any) -> list[Rule]:
        if not isinstance(given, list) or not given:
            self.faults.append("Rules are a list with at least one rule: [{…}, {…}].")
            return []
        if len(given) > MOST_RULES:
            self.faults.append(f"There are {len(given):,} rules; at most {MOST_RULES} are taken.")
            return []
        rules, places = [], dict[str, int]()
        for number, each in enumerate(given, start=1):
            key = each.get("key") if isinstance(each, dict) else None
            self.at = f"Rule {number}" + (f" ({key:.{MOST_KEY}})" if isinstance(key, str) and key else "")
            self.n_conditions = 0
            n_faults = len(self.faults)
            rule = self._read_rule(each)
            if isinstance(key, str):
                if key in places:
                    self.blame("key", f"rule {places[key]} has the same key; give each its own.")
                places.setdefault(key, number)
            if rule is not None and len(self.faults) == n_faults:
                rules.append(rule)
        return rules

    def _read_rule(self, given: Any) -> Rule | None:
        if not isinstance(given, dict):
            self.blame("", f"a rule is an object with {', '.join(_OF_RULE)}, not {_show(given)}.")
            return None
        self._refuse_strangers("", given, _OF_RULE)
        key = self._read_text(given, "key", MOST_KEY)
        if key and not _KEY.fullmatch(key):
            self.blame(
                "key", f"'{key}' is to be small letters, digits, '-' and '_', beginning with the first two."
            )
        title = self._read_text(given, "title", MOST_TITLE)
        why = self._read_text(given, "why", MOST_WHY)
        values, is_any = self._read_values(given)
        if "when" not in given:
            self.blame("when", "is missing; it holds the condition.")
            return None
        condition = self._read_condition(given["when"], "when", 0)
        return None if condition is None else Rule(key, title, why, values, condition, is_any)

    def _read_text(self, given: Mapping[str, Any], field: str, most: int) -> str:
        found = given.get(field)
        if not isinstance(found, str) or not found.strip():
            self.blame(field, "is missing; give it as text.")
            return ""
        if len(found) > most:
            self.blame(field, f"has {len(found):,} characters; at most {most} are taken.")
        elif not found.isprintable():
            self.blame(field, "holds a line break or another invisible character; take it out.")
        return found.strip()

    def _read_values(self, given: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
        found = given.get("values")
        if found == ANY:
            return self.value_keys, True
        if not isinstance(found, list) or not found:
            self.blame("values", 'is "any", or a list of keys of values.')
            return (), False
        for place, key in enumerate(found):
            self._check_value(key, f"values[{place}]")
        known = [key for key in found if isinstance(key, str)]
        if len(set(known)) < len(known):
            self.blame("values", "names a value twice.")
        return tuple(dict.fromkeys(known)), False

    def _check_value(self, key: Any, place: str) -> str:
        if isinstance(key, str) and key in self.value_keys:
            return key
        known = ", ".join(self.value_keys)
        self.blame(place, f"the study has no value {_show(key)}; it has {known}.")
        return ""

    def _read_condition(self, given: Any, place: str, depth: int) -> Condition | None:
        self.n_conditions += 1
        if self.n_conditions > MOST_CONDITIONS:
            if self.n_conditions == MOST_CONDITIONS + 1:
                self.blame(place, f"a rule has at most {MOST_CONDITIONS} conditions.")
            return None
        if depth > MOST_DEPTH:
            self.blame(place, f"conditions stand more than {MOST_DEPTH} deep in one another.")
            return None
        if not isinstance(given, dict):
            self.blame(
                place, f'a condition is an object such as {{"expressed": "each"}}, not {_show(given)}.'
            )
            return None
        kinds = [field for field in given if field in KINDS]
        if len(kinds) != 1:
            found = f"it has {' and '.join(kinds)}" if kinds else f"it has {_list(given) or 'nothing'}"
            self.blame(place, f"a condition has exactly one of {', '.join(KINDS)}; {found}.")
            return None
        kind = kinds[0]
        self._refuse_strangers(place, given, (kind, *KINDS[kind]))
        if kind in ("all", "any", "not"):
            return self._read_joint(given[kind], kind, place, depth)
        return self._read_leaf(given, kind, place)

    def _read_joint(self, given: Any, kind: str, place: str, depth: int) -> Condition | None:
        if kind == "not":
            part = self._read_condition(given, f"{place}.not", depth + 1)
            return None if part is None else Condition(kind, place, (part,))
        if not isinstance(given, list) or not given:
            self.blame(f"{place}.{kind}", "is a list of at least one condition.")
            return None
        parts = [
            self._read_condition(each, f"{place}.{kind}[{number}]", depth + 1)
            for number, each in enumerate(given)
        ]
        whole = tuple(part for part in parts if part is not None)
        return Condition(kind, place, whole) if len(whole) == len(parts) else None

    def _read_leaf(self, given: Mapping[str, Any], kind: str, place: str) -> Condition | None:
        n_faults = len(self.faults)
        told: dict[str, Any] = {}
        if kind in ("rating", "expressed", "not_expressed", "models_differ", "spread", "presence_varies"):
            told["value"] = self._read_value(given[kind], f"{place}.{kind}")
        if kind == "rating":
            told["low"], told["high"] = self._read_bounds(given, place, *self.scale)
        elif kind == "number_expressed":
            bounds = given[kind]
            if not isinstance(bounds, dict):
                self.blame(f"{place}.{kind}", 'is an object such as {"at_least": 5}.')
            else:
                self._refuse_strangers(f"{place}.{kind}", bounds, KINDS["rating"])
                told["low"], told["high"] = self._read_bounds(
                    bounds, f"{place}.{kind}", 0, len(self.value_keys)
                )
        elif kind in ("words", "pattern"):
            told |= self._read_search(given, kind, place)
        elif kind == "models_differ":
            told["of"] = PRESENCE if given.get("by") == PRESENCE else RATING
            if told["of"] == RATING:
                told["low"] = self._read_number(
                    given, "by", place, 0, self.scale[1] - self.scale[0], above=True
                )
        elif kind == "probability":
            told["value"] = self._read_value(given.get("of"), f"{place}.of")
            told["of"] = given[kind]
            if given[kind] not in (RATING, PRESENCE):
                self.blame(f"{place}.{kind}", f'is "{RATING}" or "{PRESENCE}", not {_show(given[kind])}.')
            told["high"] = self._read_number(given, "below", place, 0, 1, above=True)
        elif kind == "spread":
            told["low"] = self._read_number(given, "above", place, 0, self.scale[1] - self.scale[0])
        return Condition(kind, place, **told) if len(self.faults) == n_faults else None

    def _read_value(self, given: Any, place: str) -> str:
        return EACH if given == EACH else self._check_value(given, place)

    def _read_bounds(
        self, given: Mapping[str, Any], place: str, least: int, most: int
    ) -> tuple[float, float]:
        if "between" in given:
            ends = given["between"]
            if "at_least" in given or "at_most" in given:
                self.blame(place, 'has "between" beside "at_least" or "at_most"; one of them is enough.')
            if not isinstance(ends, list) or len(ends) != 2:
                self.blame(f"{place}.between", "is a list of two numbers, the lower one first.")
                return -math.inf, math.inf
            bounds = {"between[0]": ends[0], "between[1]": ends[1]}
            low, high = (self._read_number(bounds, name, place, least, most) for name in bounds)
        else:
            if "at_least" not in given and "at_most" not in given:
                self.blame(place, 'needs "at_least", "at_most" or "between".')
            low = (
                self._read_number(given, "at_least", place, least, most) if "at_least" in given else -math.inf
            )
            high = self._read_number(given, "at_most", place, least, most) if "at_most" in given else math.inf
        if low > high:
            self.blame(place, f"the lower end, {low:g}, is above the higher one, {high:g}.")
        return low, high

    def _read_number(
        self,
        given: Mapping[str, Any],
        field: str,
        place: str,
        least: float,
        most: float,
        *,
        above: bool = False,
    ) -> float:
        """Return a number from `least`, or from `above` it, to `most`; NaN where it is at fault."""
        found: Any = given.get(field)
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if not is_number or not least <= found <= most or (above and found == least):
            span = f"above {least:g}, at most {most:g}" if above else f"from {least:g} to {most:g}"
            self.blame(f"{place}.{field}", f"is a number {span}, not {_show(found)}.")
            return math.nan
        return float(found)

    def _read_search(self, given: Mapping[str, Any], kind: str, place: str) -> dict[str, Any]:
        within = given.get("in", TEXT)
        if within not in PLACES:
            self.blame(f"{place}.in", f'is "{TEXT}", "{CONTEXT}" or "{BOTH}", not {_show(within)}.')
        if kind == "pattern":
            self._check_pattern(given[kind], f"{place}.{kind}")
            return {"pattern": given[kind], "within": within}
        words = given[kind]
        if not isinstance(words, list) or not words or len(words) > MOST_WORDS:
            self.blame(f"{place}.{kind}", f"is a list of 1 to {MOST_WORDS} words.")
            return {}
        for number, word in enumerate(words):
            self._check_word(word, f"{place}.{kind}[{number}]")
        return {"words": tuple(words), "within": within}

    def _check_word(self, word: Any, place: str) -> None:
        if not isinstance(word, str):
            self.blame(place, f"is a word, as text, not {_show(word)}.")
        elif len(word) > MOST_WORD:
            self.blame(place, f"has {len(word):,} characters; at most {MOST_WORD} are taken.")
        elif UNSTORABLE.search(word):
            self.blame(place, "holds a character that cannot be stored; take it out.")
        elif not space_out(word).strip():
            self.blame(place, f"{_show(word)} holds no letter or digit; look for it with a pattern.")

    def _check_pattern(self, pattern: Any, place: str) -> None:
        if not isinstance(pattern, str):
            self.blame(place, f"is a pattern, as text, not {_show(pattern)}.")
            return
        if UNSTORABLE.search(pattern):
            self.blame(place, "holds a character that cannot be stored; take it out.")
            return
        try:
            compile_pattern(pattern)
        except PatternRefused as error:
            self.blame(place, f"this pattern cannot be used: {error}.")

    def _refuse_strangers(self, place: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
        if strangers := [field for field in given if field not in known]:
            self.blame(place, f"{_list(strangers)} is not known here; taken are {', '.join(known)}.")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object names '{twice:.40}' twice")
    return found


def _list(fields: Any) -> str:
    return ", ".join(f"'{str(field)[:40]}'" for field in list(fields)[:6])


def _show(given: Any) -> str:
    if given is None:
        return "missing"
    shown = json.dumps(given, ensure_ascii=False, default=str)
    return shown if len(shown) <= MOST_SHOWN else shown[: MOST_SHOWN - 1] + "…"
