"""A questionnaire as data: its items, what may be answered, in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = ("single", "number", "text")
KEY_PATTERN = re.compile(r"[a-z][a-z0-9_]*")
DEFAULT_TEXT_LENGTH = 2000


class InstrumentError(ValueError):
    """A questionnaire cannot be read; `faults` holds every reason, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The questionnaire has faults:\n" + "\n".join(f"- {fault}" for fault in self.faults))


@dataclass(frozen=True)
class Item:
    """One question about the rater.

    `options` are (value, label) pairs of a single choice; `minimum` and `maximum` bound a number;
    `max_length` bounds a text.
    """

    key: str
    kind: str
    label: str
    help: str
    required: bool
    options: tuple[tuple[str, str], ...]
    minimum: int | None
    maximum: int | None
    max_length: int


@dataclass(frozen=True)
class Instrument:
    """A questionnaire in one version."""

    key: str
    version: int
    title: str
    intro: str
    items: tuple[Item, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Instrument:
        """Read a questionnaire from plain data.

        Raises
        ------
        InstrumentError
            With all faults of `data`, each with its place.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("items"), list):
            raise InstrumentError(["questionnaire: must be an object with a list of items"])
        faults = [
            f"questionnaire: {name} {_absence(data.get(name))}"
            for name in ("key", "title")
            if not _is_text(data.get(name))
        ]
        if not _is_count(data.get("version")):
            faults.append("questionnaire: version must be a whole number of at least 1")
        if not isinstance(data.get("intro", ""), str):
            faults.append("questionnaire: intro must be text")
        items = []
        for number, entry in enumerate(data["items"], start=1):
            place = f"item {number}"
            if not isinstance(entry, Mapping):
                faults.append(f"{place}: must be an object")
                continue
            faults.extend(f"{place}: {fault}" for fault in _faults_of_item(entry))
            items.append(entry)
        keys = [str(entry.get("key")) for entry in items]
        faults.extend(
            f"key {key!r} is used {keys.count(key)} times" for key in set(keys) if keys.count(key) > 1
        )
        if not items:
            faults.append("questionnaire: has no item")
        if faults:
            raise InstrumentError(faults)
        return cls(
            data["key"], data["version"], data["title"], data.get("intro", ""), tuple(map(_read_item, items))
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _absence(value: object) -> str:
    return "must be text" if value and not isinstance(value, str) else "is missing"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_whole(value) and value >= 1


def _faults_of_item(entry: Mapping[str, Any]) -> list[str]:
    faults = []
    if not KEY_PATTERN.fullmatch(str(entry.get("key", ""))):
        faults.append("key must begin with a letter and consist of a-z, 0-9 and _")
    if entry.get("kind") not in KINDS:
        faults.append(f"kind must be one of {', '.join(KINDS)}, not {entry.get('kind')!r}")
    if not _is_text(entry.get("label")):
        faults.append(f"label {_absence(entry.get('label'))}")
    if not isinstance(entry.get("help", ""), str):
        faults.append("help must be text")
    if not _is_count(entry.get("max_length", DEFAULT_TEXT_LENGTH)):
        faults.append("max_length must be a whole number of at least 1")
    if entry.get("kind") == "single":
        options = entry.get("options")
        if not isinstance(options, list) or len(options) < 2:
            faults.append("a single choice needs a list of at least two options")
        elif not all(
            isinstance(option, Mapping) and _is_text(option.get("value")) and _is_text(option.get("label"))
            for option in options
        ):
            faults.append("each option needs a value and a label, both text")
        elif len({option["value"] for option in options}) < len(options):
            faults.append("two options have the same value")
    low, high = entry.get("min"), entry.get("max")
    if not all(bound is None or _is_whole(bound) for bound in (low, high)):
        faults.append("min and max must be whole numbers")
    elif low is not None and high is not None and low > high:
        faults.append("min is above max")
    return faults


def _read_item(entry: Mapping[str, Any]) -> Item:
    return Item(
        key=entry["key"],
        kind=entry["kind"],
        label=entry["label"],
        help=entry.get("help", ""),
        required=bool(entry.get("required", False)),
        options=tuple((option["value"], option["label"]) for option in entry["options"])
        if entry["kind"] == "single"
        else (),
        minimum=entry.get("min"),
        maximum=entry.get("max"),
        max_length=entry.get("max_length", DEFAULT_TEXT_LENGTH),
    )
