"""PURE. Files of expert labels on their way in: one line for a post and an expert, or one for each of their ratings.

Every line is read and whatever is wrong with it is named; a file is taken whole or not at all.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from annotation.tree.nodes import ValueTree
from annotation.uploads.reading import FileRefused, Row, Table, sniff
from modeling.export.cells import unguard

POST, EXPERT, NOTE, VALUE, RATING = "post", "expert", "note", "value", "rating"
WHAT, LABEL = "what", "label"  # the lines of an export of labels that are labels of now
EXPORTED = frozenset(
    {WHAT, "split", "position", "number", "source", "at"}
)  # what an export adds to what is read
LONGEST_EXPERT = 150
LONGEST_NOTE = 5_000
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,5})(?:\.0*)?")


@dataclass
class RowLabel:
    """What a file says of one post by one expert: `ratings` by the value's place, and the line it begins on."""

    line: int
    ratings: dict[int, int] = field(default_factory=dict)
    note: str = ""

    def as_vector(self, n_values: int) -> tuple[float, ...]:
        """Return one rating for each value, NaN where the file gives none."""
        return tuple(float(self.ratings.get(value, math.nan)) for value in range(n_values))


@dataclass
class FileLabels:
    """All that a file says.

    Attributes
    ----------
    labels : by key of the post and name of the expert; the name is "" in a file of resolutions
    posts : every key that a line names, with the first line that does
    faults : what is wrong, each with its line; 0 where that means nothing. With any, nothing is to be stored
    absent : places of the values that no line rates
    n_repeated : lines, or ratings of a long file, that say the same again
    n_passed_over : lines of an export that are no label of now: earlier ones, resolutions, the reference
    """

    labels: dict[tuple[str, str], RowLabel] = field(default_factory=dict)
    posts: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    absent: tuple[int, ...] = ()
    n_repeated: int = 0
    n_passed_over: int = 0


def read_labels(file: BinaryIO, tree: ValueTree, *, has_experts: bool = True) -> FileLabels:
    """Read labels of experts, or resolutions, from a CSV, JSON Lines or Parquet file.

    Parameters
    ----------
    file : with the columns post (its key), expert, and either one for each value (named by key, label or name) or
        the two columns value and rating; a column note may stand beside them. Columns of an export of labels are passed
        over, and of its lines those that are no current label.
    tree : the study's values and scale; ratings are on the scale as it is stored, 0 to 6 for the system that ships
    has_experts : False for a file of resolutions, which has no column expert

    Nothing is raised for what a file holds: the result names every fault. Faults are unknown columns and values,
    missing names, ratings off the scale, an expert who labels a post twice and differently, a line without a rating.
    """
    reader = _Reader(tree, has_experts)
    try:
        table = Table(file, sniff(file))
        for row in table.rows():
            if not reader.is_begun and not reader.begin(list(table.columns)):
                break
            reader.take(row)
    except FileRefused as refusal:
        problem = str(refusal).removeprefix(f"Line {refusal.line:,}: ").removesuffix(".")
        reader.faults.append((refusal.line, problem))
    return reader.finish()


class _Reader:
    def __init__(self, tree: ValueTree, has_experts: bool) -> None:
        self.tree, self.has_experts = tree, has_experts
        self.names = _name_values(tree)
        self.columns: dict[str, str] = {}  # what we call a column -> what the file calls it
        self.values: dict[str, int] = {}  # columns of values
        self.is_begun = False
        self.found = FileLabels()
        self.faults: list[tuple[int, str]] = []

    @property
    def is_long(self) -> bool:
        return VALUE in self.columns and RATING in self.columns

    def begin(self, columns: list[str]) -> bool:
        """Learn the columns; False, with faults, where they cannot be used."""
        self.is_begun = True
        known = {POST, EXPERT, NOTE, VALUE, RATING, *EXPORTED}
        for column in columns:
            name = column.strip().casefold()
            if name in known and name not in self.columns:
                self.columns[name] = column
            elif (place := self.names.get(name)) is None:
                self.faults.append((1, f"column '{column}' is no value of the study; {self._say_values()}"))
            elif place in self.values.values():
                self.faults.append((1, f"column '{column}' is of a value that another column has; keep one"))
            else:
                self.values[column] = place
        needed = [POST, *([EXPERT] if self.has_experts else [])]
        self.faults += [
            (1, f"there is no column '{name}'; name it so") for name in needed if name not in self.columns
        ]
        if not self.is_long and not self.values:
            self.faults.append(
                (1, "there is neither a column for any value nor the columns 'value' and 'rating'")
            )
        elif self.is_long and self.values:
            self.faults.append(
                (1, "there are columns 'value' and 'rating' and columns of values; keep one form")
            )
        return not self.faults

    def take(self, row: Row) -> None:
        if row.fault:
            self.faults.append((row.line, row.fault))
            return
        if self._read(row, WHAT) not in ("", LABEL):
            self.found.n_passed_over += 1
            return
        key, expert = self._read(row, POST), self._read(row, EXPERT) if self.has_experts else ""
        if key:
            self.found.posts.setdefault(key, row.line)
        else:
            self.faults.append((row.line, "the post is empty; give its key"))
        if self.has_experts and not 0 < len(expert) <= LONGEST_EXPERT:
            self.faults.append(
                (
                    row.line,
                    f"the expert must have a name of 1 to {LONGEST_EXPERT} characters, the same throughout",
                )
            )
        note = self._read(row, NOTE)
        if len(note) > LONGEST_NOTE:
            self.faults.append((row.line, f"the note is longer than {LONGEST_NOTE:,} characters; shorten it"))
        ratings = self._read_ratings(row)
        if not key or ratings is None or (self.has_experts and not expert):
            return
        stored = self.found.labels.get((key, expert))
        if stored is None:
            self.found.labels[key, expert] = RowLabel(row.line, ratings, note)
        elif self.is_long:
            self._add(stored, row.line, ratings, note, key, expert)
        elif stored.ratings == ratings and stored.note == note:
            self.found.n_repeated += 1
        else:
            self.faults.append((row.line, self._say_twice(expert, key, stored.line)))

    def _add(
        self, stored: RowLabel, line: int, ratings: dict[int, int], note: str, key: str, expert: str
    ) -> None:
        for value, rating in ratings.items():
            if value not in stored.ratings:
                stored.ratings[value] = rating
            elif stored.ratings[value] == rating:
                self.found.n_repeated += 1
            else:
                of = f" on '{self.tree.value_keys[value]}'"
                self.faults.append((line, self._say_twice(expert, key, stored.line, of)))
        if note and note not in stored.note.split("\n"):
            stored.note = f"{stored.note}\n{note}".strip()

    def _say_twice(self, expert: str, key: str, line: int, of: str = "") -> str:
        who = f"expert '{expert:.60}' labels" if expert else "the file settles"
        return f"{who} post '{key:.60}'{of} otherwise than from line {line:,} on; keep one of the two"

    def _read_ratings(self, row: Row) -> dict[int, int] | None:
        """The ratings of a line by the value's place; None, with faults, where one cannot be taken."""
        n_before = len(self.faults)
        if self.is_long:
            name = self._read(row, VALUE)
            place = self.names.get(name.casefold())
            if place is None:
                self.faults.append((row.line, f"'{name:.60}' is no value of the study; {self._say_values()}"))
            cells = {} if place is None else {place: self._read(row, RATING)}
        else:
            cells = {place: _as_text(row.cells.get(column)) for column, place in self.values.items()}
        ratings: dict[int, int] = {}
        for place, text in cells.items():
            if not text:
                continue
            number = _WHOLE_NUMBER.fullmatch(text)
            if number and int(number[1]) in self.tree.scale.levels:
                ratings[place] = int(number[1])
            else:
                scale = self.tree.scale
                self.faults.append(
                    (
                        row.line,
                        f"'{text:.40}' for '{self.tree.value_keys[place]}' is no whole number from {scale.min} to "
                        f"{scale.max}",
                    )
                )
        if not ratings and len(self.faults) == n_before:
            self.faults.append((row.line, "there is no rating; fill one in or remove the line"))
        return ratings if len(self.faults) == n_before else None

    def _read(self, row: Row, name: str) -> str:
        column = self.columns.get(name)
        return "" if column is None else unguard(_as_text(row.cells.get(column)))

    def _say_values(self) -> str:
        keys = self.tree.value_keys
        return f"its values are {', '.join(keys[:30])}{' and others' if len(keys) > 30 else ''}"

    def finish(self) -> FileLabels:
        if not self.faults and not self.found.labels:
            self.faults.append((0, "the file holds no label"))
        rated = {value for label in self.found.labels.values() for value in label.ratings}
        self.found.absent = tuple(place for place in range(len(self.tree.value_keys)) if place not in rated)
        self.found.faults = self.faults
        return self.found


def _name_values(tree: ValueTree) -> dict[str, int]:
    """What values are called in a file: by key, else by label or name where only one value has it."""
    names: dict[str, int] = {}
    for attribute in ("key", "label", "name"):
        found: dict[str, list[int]] = {}
        for place, leaf in enumerate(tree.leaves):
            found.setdefault(getattr(leaf, attribute).strip().casefold(), []).append(place)
        for name, places in found.items():
            if len(places) == 1:
                names.setdefault(name, places[0])
    return names


def _as_text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
