"""Attention checks as a study's data describes them, and the instructed answer within a grid.

A grid asks for one answer per row on one scale; one of its rows says which answer to give. What participants
may fairly be asked follows the rules of recruitment platforms for instructed answers: the row tests that the
question itself is read, says plainly what to do, needs no knowledge or memory, and is not hidden. From these
come the faults that are refused here:

- Exactly one row instructs, and its text names the label of its answer and of no other answer.
- It is not hidden: there are at most 10 rows, and its text has at most 200 characters.
- It says something about attention: there are at least 3 rows and at least 4 answers, so that chance passes
  one time in four at most, and the answer asked for is not the middle one, which people who do not read
  tick all the way down.

Whether failing has consequences, and how many failures it takes, is the study's setting and not this page's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.tree.nodes import FaultReader

MIN_ROWS, MAX_ROWS = 3, 10
MIN_OPTIONS = 4
MAX_INSTRUCTION_LENGTH = 200

_GRID_FIELDS = ("kind", "question", "options", "rows")
_KINDS = ("number", "grid")


class AttentionConfigError(ValueError):
    """An attention check cannot be read; `faults` holds every reason, each with its place."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "The attention check has faults:\n" + "\n".join(f"- {fault}" for fault in self.faults)
        )


@dataclass(frozen=True)
class NumberCheck:
    """A number read off an image; see `annotation.attention.number_image`."""


@dataclass(frozen=True)
class GridOption:
    """One answer of the grid's scale."""

    value: str
    label: str


@dataclass(frozen=True)
class GridRow:
    """One row; `instructed` is the value of the answer it tells people to give, blank in ordinary rows."""

    key: str
    text: str
    instructed: str


@dataclass(frozen=True)
class GridCheck:
    """A grid of rows on one scale, one of which instructs."""

    question: str
    options: tuple[GridOption, ...]
    rows: tuple[GridRow, ...]

    @property
    def instructed_row(self) -> GridRow:
        """The row that says which answer to give."""
        return next(row for row in self.rows if row.instructed)

    @classmethod
    def from_dict(cls, data: object) -> GridCheck:
        """Read a grid.

        Parameters
        ----------
        data : dict
            kind ("grid"); question; options, a list of {value, label} in the order of the scale; rows, a
            list of {key, text}, one of which also has instructed (the value of an option).

        Raises
        ------
        AttentionConfigError
            With all faults of `data`; the rules are those at the head of this module. The instruction is
            looked at once options and rows can be read.
        """
        reader = FaultReader()
        fields = reader.fields(data, _GRID_FIELDS, "attention check")
        if "kind" in fields and fields["kind"] != "grid":
            reader.fault("attention check", f'kind must be "grid", not {fields["kind"]!r:.40}')
        question = reader.text(fields, "question", "attention check")
        n_faults_before = len(reader.faults)
        options = _read_options(reader, fields)
        rows = _read_rows(reader, fields)
        check = cls(question=question, options=options, rows=rows)
        if len(reader.faults) == n_faults_before and options and rows:
            _check_instruction(reader, check)
        if reader.faults:
            raise AttentionConfigError(reader.faults)
        return check


def read_attention_config(config: object) -> NumberCheck | GridCheck:
    """Read an attention check: {"kind": "number"}, or a grid as `GridCheck.from_dict` reads it.

    Raises AttentionConfigError with all faults of `config`.
    """
    kind = config.get("kind") if isinstance(config, dict) else None
    if kind == "grid":
        return GridCheck.from_dict(config)
    reader = FaultReader()
    fields = reader.fields(config, ("kind",), "attention check")
    if "kind" in fields and kind != "number":
        reader.faults = [f'attention check: kind must be "number" or "grid", not {kind!r:.40}']
    if reader.faults:
        raise AttentionConfigError(reader.faults)
    return NumberCheck()


def is_passed(check: GridCheck, answers: Mapping[str, str]) -> bool:
    """Whether the row that instructs has the answer it asks for; `answers` maps row keys to option values.

    The answers in the other rows do not matter.
    """
    row = check.instructed_row
    return answers.get(row.key) == row.instructed


def _read_list(reader: FaultReader, fields: dict[str, Any], name: str, minimum: int) -> list[Any]:
    entries = fields.get(name)
    if isinstance(entries, list):
        if len(entries) < minimum:
            reader.fault("attention check", f"{name} needs at least {minimum}, there are {len(entries)}")
        return entries
    if name in fields:
        reader.fault("attention check", f"{name} must be a list, not {entries!r:.40}")
    return []


def _read_options(reader: FaultReader, fields: dict[str, Any]) -> tuple[GridOption, ...]:
    options: list[GridOption] = []
    for number, data in enumerate(_read_list(reader, fields, "options", MIN_OPTIONS), start=1):
        place = f"option {number}"
        entry = reader.fields(data, ("value", "label"), place)
        option = GridOption(reader.key(entry, "value", place), reader.text(entry, "label", place))
        if option.value and option.value in [other.value for other in options]:
            reader.fault(place, f"value {option.value!r:.40} is there already; choose another")
        if option.label and option.label.casefold() in [other.label.casefold() for other in options]:
            reader.fault(place, f"label {option.label!r:.40} is there already; choose another")
        options.append(option)
    return tuple(options)


def _read_rows(reader: FaultReader, fields: dict[str, Any]) -> tuple[GridRow, ...]:
    entries = _read_list(reader, fields, "rows", MIN_ROWS)
    if len(entries) > MAX_ROWS:
        reader.fault("attention check", f"rows may have at most {MAX_ROWS}, so that none is hidden")
    rows: list[GridRow] = []
    for number, data in enumerate(entries, start=1):
        place = f"row {number}"
        instructs = isinstance(data, dict) and "instructed" in data
        entry = reader.fields(data, ("key", "text", "instructed") if instructs else ("key", "text"), place)
        row = GridRow(
            key=reader.key(entry, "key", place),
            text=reader.text(entry, "text", place),
            instructed=reader.text(entry, "instructed", place),
        )
        if row.key and row.key in [other.key for other in rows]:
            reader.fault(place, f"key {row.key!r:.40} is there already; choose another")
        rows.append(row)
    return tuple(rows)


def _check_instruction(reader: FaultReader, check: GridCheck) -> None:
    instructing = [number for number, row in enumerate(check.rows, start=1) if row.instructed]
    if len(instructing) != 1:
        reader.fault("attention check", f"exactly one row must have 'instructed', not {len(instructing)}")
    for number in instructing:
        row, place = check.rows[number - 1], f"row {number}"
        values = [option.value for option in check.options]
        if row.instructed not in values:
            reader.fault(place, f"instructed {row.instructed!r:.40} is no option; use {', '.join(values)}")
            continue
        position = values.index(row.instructed)
        label = check.options[position].label
        named = _labels_named(row.text, check.options)
        if named != [label]:
            found = ", ".join(repr(other) for other in named) or "no answer"
            reader.fault(place, f"the text must tell people to choose {label!r} alone; it names {found}")
        if len(row.text) > MAX_INSTRUCTION_LENGTH:
            reader.fault(
                place, f"the text must not hide the instruction: {MAX_INSTRUCTION_LENGTH} characters"
            )
        if 2 * position == len(values) - 1:
            reader.fault(place, "the answer asked for must not be the middle one; choose another")


def _labels_named(text: str, options: Sequence[GridOption]) -> list[str]:
    """The labels that stand in the text; one within a longer one ('agree', 'disagree') does not count."""
    rest = text.casefold()
    named = []
    for label in sorted((option.label for option in options), key=len, reverse=True):
        if label.casefold() in rest:
            named.append(label)
            rest = rest.replace(label.casefold(), "\n")
    return named
