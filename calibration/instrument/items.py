"""A questionnaire as data: its items, what may be answered, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from annotation.tree.nodes import UNSTORABLE
from calibration.instrument.faults import (
    KEY_PATTERN,
    InstrumentError,
    faults_of_flag,
    faults_of_key,
    faults_of_text,
    is_count,
    is_key,
    is_text,
    is_whole,
    repeated,
    unknown_fields,
)
from calibration.instrument.scoring import ScoringKey
from calibration.instrument.shipped import load_scoring_key

__all__ = ["DECLINED", "DEFAULT_TEXT_LENGTH", "KEY_PATTERN", "KINDS", "Instrument", "InstrumentError", "Item"]

# Each kind of item and the fields that it has besides the common ones.
KINDS: Mapping[str, tuple[str, ...]] = {
    "single": ("options",),
    "multiple": ("options", "min", "max"),
    "grid": ("options", "rows"),
    "number": ("min", "max"),
    "text": ("max_length",),
}
DEFAULT_TEXT_LENGTH = 2000
DECLINED = "prefer_not_to_say"  # the stored answer of someone who chose not to say
MAX_NUMBER = 10**15  # JSON readers in other languages keep whole numbers exactly up to here

_COMMON_FIELDS = ("key", "kind", "label", "help", "required", "prefer_not_to_say")
_INSTRUMENT_FIELDS = ("key", "version", "title", "intro", "items", "scoring", "source", "source_note")

Value: TypeAlias = str | int


@dataclass(frozen=True)
class Item:
    """One question about the rater, or a grid of questions with the same options.

    Attributes
    ----------
    key : str
        Names the answer; a grid's answers are named by its rows.
    kind : str
        One of `KINDS`.
    label, help : str
        The question and a line of explanation below it.
    required : bool
        Whether it must be answered, row by row in a grid.
    prefer_not_to_say : bool
        Whether declining is an answer, stored as `DECLINED`.
    options : tuple of (value, label)
        What can be chosen. Values are text; those of a grid may also be whole numbers.
    exclusive : tuple of str
        Options of a multiple choice that go with no other, such as "none of these".
    rows : tuple of (key, label)
        A grid's questions.
    minimum, maximum : int or None
        Bounds of a number, or of how many options are chosen.
    max_length : int
        Most characters of a text.
    """

    key: str
    kind: str
    label: str
    help: str
    required: bool
    prefer_not_to_say: bool
    options: tuple[tuple[Value, str], ...]
    exclusive: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    minimum: int | None
    maximum: int | None
    max_length: int

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The names of this item's answers, in order."""
        return tuple(key for key, _ in self.rows) or (self.key,)


@dataclass(frozen=True)
class Instrument:
    """A questionnaire in one version, with the scoring key that its definition names."""

    key: str
    version: int
    title: str
    intro: str
    items: tuple[Item, ...]
    scoring: ScoringKey | None = None

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The names of all answers, in the order of the page."""
        return tuple(key for item in self.items for key in item.answer_keys)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Instrument:
        """Read a questionnaire from plain data; `docs/questionnaires.md` describes its fields.

        Raises
        ------
        InstrumentError
            With all faults of `data`, each with its place.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("items"), list):
            raise InstrumentError(["questionnaire: must be an object with a list of items"])
        faults = [f"questionnaire: {fault}" for fault in _faults_of_whole(data)]
        entries = []
        for number, entry in enumerate(data["items"], start=1):
            place = f"item {number}"
            if not isinstance(entry, Mapping):
                faults.append(f"{place}: must be an object")
                continue
            faults.extend(f"{place}: {fault}" for fault in _faults_of_item(entry))
            entries.append(entry)
        faults.extend(repeated([key for entry in entries for key in _keys_of(entry)]))
        if not data["items"]:
            faults.append("questionnaire: has no item")
        scoring, faults_of_scoring = _read_scoring(data.get("scoring"))
        faults.extend(faults_of_scoring)
        if faults:
            raise InstrumentError(faults)
        items = tuple(map(_read_item, entries))
        if scoring and (faults := _faults_of_fit(scoring, items)):
            raise InstrumentError(faults)
        return cls(data["key"], data["version"], data["title"], data.get("intro", ""), items, scoring)


def _faults_of_whole(data: Mapping[str, Any]) -> list[str]:
    faults = [*faults_of_text(data, "key"), *faults_of_text(data, "title")]
    if not is_count(data.get("version")):
        faults.append("version must be a whole number of at least 1")
    for name in ("intro", "source", "source_note"):
        faults.extend(faults_of_text(data, name, blank=True))
    return faults + unknown_fields(data, _INSTRUMENT_FIELDS)


def _faults_of_item(entry: Mapping[str, Any]) -> list[str]:
    kind = entry.get("kind")
    faults = faults_of_key(entry.get("key"))
    faults.extend(faults_of_text(entry, "label"))
    faults.extend(faults_of_text(entry, "help", blank=True))
    faults.extend(faults_of_flag(entry, "required"))
    faults.extend(faults_of_flag(entry, "prefer_not_to_say"))
    if not isinstance(kind, str) or kind not in KINDS:
        return [*faults, f"kind must be one of {', '.join(KINDS)}, not {kind!r}"]
    faults.extend(unknown_fields(entry, _COMMON_FIELDS + KINDS[kind]))
    if "options" in KINDS[kind]:
        faults.extend(_faults_of_options(entry, kind))
    if kind == "grid":
        faults.extend(_faults_of_rows(entry.get("rows")))
    if not is_count(entry.get("max_length", DEFAULT_TEXT_LENGTH)):
        faults.append("max_length must be a whole number of at least 1")
    return faults + _faults_of_bounds(entry, kind)


def _faults_of_options(entry: Mapping[str, Any], kind: str) -> list[str]:
    options = entry.get("options")
    what = "a grid" if kind == "grid" else f"a {kind} choice"
    if not isinstance(options, list) or len(options) < 2:
        return [f"{what} needs a list of at least two options"]
    if not all(isinstance(option, Mapping) and is_text(option.get("label")) for option in options) or not (
        all(is_text(option.get("value")) for option in options)
        or (kind == "grid" and all(is_whole(option.get("value")) for option in options))
    ):
        numbers = ", or all values whole numbers" if kind == "grid" else ""
        return [f"each option needs a value and a label, both text{numbers}"]
    values = [option["value"] for option in options]
    faults = []
    if len(set(values)) < len(values):
        faults.append("two options have the same value")
    if any(UNSTORABLE.search(f"{option['value']}{option['label']}") for option in options):
        faults.append("an option contains a character that cannot be stored; write it anew")
    if entry.get("prefer_not_to_say") is True and DECLINED in values:
        faults.append(f"'{DECLINED}' is an option and a field of the item; keep the field")
    known = ("value", "label", "exclusive") if kind == "multiple" else ("value", "label")
    for number, option in enumerate(options, start=1):
        wrong = unknown_fields(option, known) + faults_of_flag(option, "exclusive")
        faults.extend(f"option {number}: {fault}" for fault in wrong)
    return faults


def _faults_of_rows(rows: object) -> list[str]:
    if not isinstance(rows, list) or not rows:
        return ["a grid needs a list of rows"]
    faults = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            faults.append(f"row {number}: must be an object")
            continue
        wrong = faults_of_key(row.get("key"))
        wrong += faults_of_text(row, "label") + unknown_fields(row, ("key", "label"))
        faults.extend(f"row {number}: {fault}" for fault in wrong)
    return faults


def _faults_of_bounds(entry: Mapping[str, Any], kind: str) -> list[str]:
    low, high = entry.get("min"), entry.get("max")
    given = [bound for bound in (low, high) if bound is not None]
    if not all(map(is_whole, given)):
        return ["min and max must be whole numbers"]
    if low is not None and high is not None and low > high:
        return ["min is above max"]
    if kind == "number" and any(abs(bound) >= MAX_NUMBER for bound in given):
        return ["min and max must have at most 15 digits"]
    if kind == "multiple" and given:
        options = _objects(entry.get("options"))
        n_free = sum(option.get("exclusive") is not True for option in options)
        if min(given) < 1 or max(given) > n_free:
            return [f"min and max must lie between 1 and the {n_free} options that go together"]
    return []


def _keys_of(entry: Mapping[str, Any]) -> list[object]:
    """The item's own key and those of its rows: none may stand twice in a questionnaire."""
    below = [row.get("key") for row in _objects(entry.get("rows"))]
    return [key for key in (entry.get("key"), *below) if is_key(key)]


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _read_item(entry: Mapping[str, Any]) -> Item:
    options = entry.get("options", ())
    return Item(
        key=entry["key"],
        kind=entry["kind"],
        label=entry["label"],
        help=entry.get("help", ""),
        required=entry.get("required", False),
        prefer_not_to_say=entry.get("prefer_not_to_say", False),
        options=tuple((option["value"], option["label"]) for option in options),
        exclusive=tuple(option["value"] for option in options if option.get("exclusive", False)),
        rows=tuple((row["key"], row["label"]) for row in entry.get("rows", ())),
        minimum=entry.get("min"),
        maximum=entry.get("max"),
        max_length=entry.get("max_length", DEFAULT_TEXT_LENGTH),
    )


def _read_scoring(data: object) -> tuple[ScoringKey | None, list[str]]:
    """The scoring key that a definition names or holds, and what is wrong with it."""
    if data is None:
        return None, []
    try:
        if isinstance(data, str):
            return load_scoring_key(data), []
        if isinstance(data, Mapping):
            return ScoringKey.from_dict(data), []
    except InstrumentError as error:
        return None, [f"scoring: {fault}" for fault in error.faults]
    return None, ["scoring: must be the name of a shipped scoring key or an object"]


def _faults_of_fit(scoring: ScoringKey, items: tuple[Item, ...]) -> list[str]:
    """Name each item of the key that the questionnaire does not ask, or asks on another scale."""
    asked = {key: item for item in items for key in item.answer_keys}
    faults = []
    for key in scoring.items:
        item = asked.get(key)
        if item is None:
            faults.append(f"scoring: the key needs the answer {key!r}, which no item gives")
        elif not _answers_in_range(item, scoring.minimum, scoring.maximum):
            faults.append(
                f"scoring: the answers of {key!r} must be whole numbers from {scoring.minimum} to "
                f"{scoring.maximum}, from a grid or a number with these bounds"
            )
    return faults


def _answers_in_range(item: Item, low: int, high: int) -> bool:
    if item.kind == "number":
        ends: list[Value | None] = [item.minimum, item.maximum]
    else:
        ends = [value for value, _ in item.options] if item.kind == "grid" else [None]
    return all(isinstance(end, int) and low <= end <= high for end in ends)
