"""PURE. CSV files on their way in: every line is read and whatever is wrong with it is named.

Nothing here raises for what a file holds. Faults gather in the `Sheet`; its caller asks for them at the end.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]

RATER_ID_LENGTH = 150  # the study's slug is stored in front of it
POST_ID_LENGTH = 200
VALUE_NAME_LENGTH = 80
RATER_COLUMNS = ("rater_id",)
POST_COLUMNS = ("post_id", "item_id")
VALUE_COLUMNS = ("value", "dimension")
RATING_COLUMNS = ("rating",)
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,100})(?:\.0*)?")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of bytes that are no UTF-8


class Coder(dict[str, int]):
    """Gives each name a number at its first appearance."""

    def __missing__(self, name: str) -> int:
        self[name] = code = len(self)
        return code


class Sheet:
    """One CSV file on its way in: its columns, its rows and what is wrong with it."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.columns: tuple[str, ...] = ()
        self.header_line = 1
        self.used: set[str] = set()
        self.faults: list[tuple[int, str]] = []
        self._damaged_line = 0

    def fault(self, line: int, problem: str) -> None:
        self.faults.append((line, problem))

    def fault_of_header(self, problem: str) -> None:
        self.fault(self.header_line, problem)

    def sorted_faults(self) -> list[str]:
        return [
            f"{self.name}, line {line}: {problem}" if line else f"{self.name}: {problem}"
            for line, problem in sorted(self.faults)
        ]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows under the header that can be read, each with the line on which it begins.

        `columns` is filled before the first of them. Blank lines are passed over; rows of the wrong
        length or with damaged characters are named as faults and left out.
        """
        try:
            with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield from self._rows_of(self._lines_of(file))
        except OSError as error:
            self.fault(0, f"cannot be read ({error.strerror}); check the path and its permissions")

    def column(self, names: Sequence[str]) -> int:
        """The place of the column with one of these names; a fault and -1 when there is not exactly one."""
        found = [name for name in names if name in self.columns]
        self.used.update(found)
        if len(found) == 1:
            return self.columns.index(found[0])
        if found:
            self.fault_of_header(
                f"has the columns {' and '.join(found)}, which mean the same; keep one of them"
            )
        else:
            self.fault_of_header(
                f"has no column {' or '.join(names)}, only {', '.join(self.columns)}; the first line must name it",
            )
        return -1

    def _lines_of(self, file: Iterable[str]) -> Iterator[str]:
        for line, text in enumerate(file, start=1):
            if not text.isascii() and _NOT_UTF8.search(text):
                self.fault(line, "is not UTF-8; save the file in that encoding")
                self._damaged_line = line
            elif "\0" in text:
                self.fault(line, "contains a NUL character; remove it or save the file as UTF-8")
                self._damaged_line = line
            yield text

    def _rows_of(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(lines, strict=True)
        while True:
            start = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                self.fault(
                    start, f"cannot be read as CSV ({error}); a quotation mark is open or stands alone"
                )
                if not self.columns:
                    return
                continue
            if not row:
                continue
            if self._damaged_line >= start:
                if not self.columns:
                    return
                continue
            if not self.columns:
                if not self._take_header(start, row):
                    return
            elif len(row) != len(self.columns):
                to = f" (it goes on to line {reader.line_num})" if reader.line_num > start else ""
                self.fault(
                    start,
                    f"has {len(row)} columns{to} where the first line has {len(self.columns)}; put a text with "
                    "commas or quotation marks between quotation marks",
                )
            else:
                yield start, row
        if not self.columns and not self.faults:
            self.fault(0, "is empty; its first line must name the columns")

    def _take_header(self, line: int, row: list[str]) -> bool:
        columns = [name.strip() for name in row]
        n_before = len(self.faults)
        if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
            self.fault(line, "names one column only; separate the columns by commas")
        for place, name in enumerate(columns, start=1):
            if not name:
                self.fault(line, f"column {place} has no name; name it or remove it")
        for name, count in Counter(columns).items():
            if name and count > 1:
                self.fault(line, f"has {count} columns named '{name}'; rename or remove all but one")
        if len(self.faults) > n_before:
            return False
        self.columns = tuple(columns)
        self.header_line = line
        return True


class LongSheet:
    """Ratings in long form, as the lines give them: codes in order of first appearance."""

    def __init__(self, sheet: Sheet, scale: tuple[int, int]) -> None:
        self.sheet = sheet
        self.raters, self.posts, self.values = Coder(), Coder(), Coder()
        self.is_readable = False
        rows = sheet.rows()
        columns = [array("i") for _ in range(5)]
        self._read(rows, scale, columns)
        self.line, self.rater, self.post, self.value, self.rating = (
            np.frombuffer(column, dtype=np.int32) if column else np.empty(0, dtype=np.int32)
            for column in columns
        )
        self._check_names("rater", self.raters, self.rater, RATER_ID_LENGTH)
        self._check_names("post", self.posts, self.post, POST_ID_LENGTH)
        self._check_names("value", self.values, self.value, VALUE_NAME_LENGTH)
        self._check_repeats()
        if self.is_readable and not len(self.line) and not sheet.faults:
            sheet.fault(0, "holds no line under its header; give at least one rating")

    def _read(
        self, rows: Iterator[tuple[int, list[str]]], scale: tuple[int, int], columns: Sequence[array[int]]
    ) -> None:
        first = next(rows, None)
        if not self.sheet.columns:
            return
        places = [
            self.sheet.column(names) for names in (RATER_COLUMNS, POST_COLUMNS, VALUE_COLUMNS, RATING_COLUMNS)
        ]
        if min(places) < 0:
            return
        self.is_readable = True
        at_rater, at_post, at_value, at_rating = places
        lines, raters, posts, values, ratings = columns
        known: dict[str, int] = {}  # ratings are few and repeat in every line
        for line, row in chain_rows(first, rows):
            ids = rater, post, value = row[at_rater].strip(), row[at_post].strip(), row[at_value].strip()
            if not all(ids):
                empty = [self.sheet.columns[at] for at, text in zip(places, ids, strict=False) if not text]
                self.sheet.fault(line, f"{' and '.join(empty)} is empty; fill it in or remove the line")
                continue
            rating = known.get(row[at_rating])
            if rating is None:
                try:
                    rating = known[row[at_rating]] = _read_rating(row[at_rating], scale)
                except ValueError as error:
                    self.sheet.fault(line, str(error))
            # A line with a bad rating still says who rated what: other checks must not stumble over it.
            codes = self.raters[rater], self.posts[post], self.values[value]
            if rating is not None:
                lines.append(line)
                raters.append(codes[0])
                posts.append(codes[1])
                values.append(codes[2])
                ratings.append(rating)

    def refuse(self, column: Codes, problems: Mapping[int, str]) -> None:
        """Make a fault of each line whose code in `column` has a problem."""
        if problems:
            for row in np.flatnonzero(np.isin(column, list(problems))).tolist():
                self.sheet.fault(int(self.line[row]), problems[int(column[row])])

    def refuse_unknown(self, what: str, coder: Coder, known: set[str] | None, problem: str) -> None:
        """Make a fault of each line whose rater, post or value is not among those known."""
        if known is not None:
            column = {"rater": self.rater, "post": self.post, "value": self.value}[what]
            self.refuse(
                column,
                {
                    code: f"{what} '{name:.60}' {problem}; add it there or remove the line"
                    for name, code in coder.items()
                    if name not in known
                },
            )

    def _check_names(self, what: str, coder: Coder, column: Codes, length: int) -> None:
        problems = {}
        for name, code in coder.items():
            if problem := find_fault_of_name(name, length):
                problems[code] = f"{what} '{name:.40}' {problem}"
        self.refuse(column, problems)

    def _check_repeats(self) -> None:
        order = np.lexsort((self.line, self.value, self.post, self.rater))
        same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
        for column in (self.rater, self.post, self.value):
            same &= np.diff(column[order]) == 0
        if not same.any():
            return
        raters, posts, values = tuple(self.raters), tuple(self.posts), tuple(self.values)
        for place in np.flatnonzero(same).tolist():
            row, earlier = int(order[place + 1]), int(order[place])
            self.sheet.fault(
                int(self.line[row]),
                f"rater '{raters[self.rater[row]]}' rated post '{posts[self.post[row]]}' on "
                f"'{values[self.value[row]]}' in line {self.line[earlier]} already; keep one of the two",
            )


def chain_rows(
    first: tuple[int, list[str]] | None, rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Put back the row that was taken to learn the columns."""
    if first is not None:
        yield first
        yield from rest


def _read_rating(text: str, scale: tuple[int, int]) -> int:
    stripped = text.strip()
    if not stripped:
        raise ValueError("the rating is empty; leave out the line of a rating that is missing")
    number = _WHOLE_NUMBER.fullmatch(stripped)
    if not number:
        raise ValueError(f"the rating '{stripped:.40}' is not a whole number; write it like 5")
    rating = int(number[1])
    if not scale[0] <= rating <= scale[1]:
        raise ValueError(
            f"the rating {stripped:.40} is outside the scale {scale[0]} to {scale[1]}; mend it or name the right scale"
        )
    return rating


def find_fault_of_name(name: str, length: int) -> str:
    """What keeps a name from being stored; '' when nothing does."""
    if len(name) > length:
        return f"has {len(name)} characters; use at most {length}"
    if "\n" in name or "\r" in name:
        return "goes over more than one line; a quotation mark may be open"
    return ""
