"""PURE. Ratings gathered elsewhere: CSV files read and checked to the last line, ready to be stored.

Files are UTF-8, separated by commas, their first line names the columns. Whatever is wrong is collected
with its file and line; either a whole study comes out or `ImportRefused` with every fault. The order of
lines plays no part, except that calibration questions keep the order in which they first appear.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotation.tree.nodes import MAX_NUMBER, RESERVED_KEYS
from calibration.instrument.items import KEY_PATTERN as ITEM_KEY_PATTERN

from .errors import ImportRefused
from .sheets import (
    POST_COLUMNS,
    POST_ID_LENGTH,
    RATER_COLUMNS,
    VALUE_NAME_LENGTH,
    Coder,
    Codes,
    LongSheet,
    Sheet,
    chain_rows,
    find_fault_of_name,
)

MAX_VALUES = 1_000
MAX_QUESTIONS = 32_767
CONTEXT_KINDS = ("reply", "quote")

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")


@dataclass(frozen=True)
class ImportedPost:
    """A post of the files; `text` is empty where they have none."""

    key: str
    text: str = ""
    context_kind: str = ""
    context_text: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportedValue:
    """A value by its name in the files, and the key made of it."""

    key: str
    name: str


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings in long form, sorted by rater, post and value, each combination at most once.

    Attributes
    ----------
    raters, posts, values : ndarrays of shape (n_ratings,), codes: places in the study's tuples
    ratings : ndarray of shape (n_ratings,), on the study's scale
    """

    raters: Codes
    posts: Codes
    values: Codes
    ratings: Codes

    def __len__(self) -> int:
        return len(self.ratings)

    @cached_property
    def annotation_starts(self) -> NDArray[np.intp]:
        """Where each (rater, post) begins; the last entry is the number of ratings."""
        is_new = np.ones(len(self) + 1, dtype=np.bool_)
        is_new[1:-1] = (np.diff(self.raters) != 0) | (np.diff(self.posts) != 0)
        return np.flatnonzero(is_new)


@dataclass(frozen=True, eq=False)
class StudyImport:
    """A study as its files describe it, checked.

    Attributes
    ----------
    scale : (lowest, highest) rating
    values, rater_ids, posts : numeric order where every name is a whole number, else alphabetical
    ratings : what was rated; codes point into `rater_ids`, `posts` and `values`
    questions : codes (post, value) of the calibration questions, in their order
    answers : the answers to them, in the form of `ratings`
    rater_columns : (key, name) of each column of the raters' file
    rater_answers : rater's code to what the file says of them, by column key; empty cells left out
    n_unknown_raters : lines of the raters' file about people without any rating
    has_texts : whether the posts' file has a column of texts; False without such a file
    notes : sentences on what was found and how it was taken
    """

    scale: tuple[int, int]
    values: tuple[ImportedValue, ...]
    rater_ids: tuple[str, ...]
    posts: tuple[ImportedPost, ...]
    ratings: Ratings
    questions: tuple[tuple[int, int], ...]
    answers: Ratings
    rater_columns: tuple[tuple[str, str], ...]
    rater_answers: Mapping[int, Mapping[str, str]]
    n_unknown_raters: int
    has_texts: bool
    notes: tuple[str, ...]

    @property
    def n_annotations(self) -> int:
        return len(self.ratings.annotation_starts) - 1

    @property
    def n_gaps(self) -> int:
        """Values that a rater left out in a post of which they rated others."""
        return self.n_annotations * len(self.values) - len(self.ratings)

    @property
    def n_texts(self) -> int:
        return sum(1 for post in self.posts if post.text)

    @property
    def n_unrated_posts(self) -> int:
        used = {*np.unique(self.ratings.posts).tolist(), *(post for post, _ in self.questions)}
        return len(self.posts) - len(used)

    @property
    def n_missing_answers(self) -> int:
        return len(self.rater_ids) * len(self.questions) - len(self.answers)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that would be stored: equal for files that say the same in another order."""
        digest = hashlib.sha256()
        described = [
            self.scale,
            [asdict(value) for value in self.values],
            self.rater_ids,
            self.questions,
            self.rater_columns,
            sorted(self.rater_answers.items()),
        ]
        digest.update(json.dumps(described, sort_keys=True).encode())
        for post in self.posts:
            digest.update(json.dumps(asdict(post), sort_keys=True).encode())
        for table in (self.ratings, self.answers):
            for column in (table.raters, table.posts, table.values, table.ratings):
                digest.update(f"{len(column)}:".encode())
                digest.update(column.astype("<i4").tobytes())
        return digest.hexdigest()


def read_study(
    ratings: Path,
    *,
    scale: tuple[int, int],
    posts: Path | None = None,
    raters: Path | None = None,
    calibration: Path | None = None,
    text_column: str = "",
) -> StudyImport:
    """Read a study's files and check every line.

    Parameters
    ----------
    ratings : CSV with the columns rater_id, post_id (or item_id), value (or dimension), rating
        One line for each rating; a rating that is missing has no line.
    scale : (lowest, highest) rating, from -32767 to 32767
    posts : CSV with post_id (or item_id) and, where there are any, text, context_kind, context_text
        Other columns become the post's metadata. Without this file the posts are those of the ratings.
    raters : CSV with rater_id and any other columns: what is known of the raters
    calibration : CSV like `ratings`: each rater's answers to the same questions about posts that
        `ratings` does not rate
    text_column : the posts' column of texts, when it is not `text`

    Raises
    ------
    ImportRefused
        With every fault of every file, in the order of files and lines, each with a way to mend it.
    """
    lowest, highest = scale
    if not -MAX_NUMBER <= lowest < highest <= MAX_NUMBER:
        raise ImportRefused(
            [
                f"The scale {lowest} to {highest} cannot be used: its lowest rating must be below its highest, "
                f"both from -{MAX_NUMBER} to {MAX_NUMBER}."
            ]
        )
    if text_column and posts is None:
        raise ImportRefused(
            [f"The column of texts '{text_column}' was named, but no file of posts was given."]
        )
    paths = [path for path in (posts, ratings, calibration, raters) if path is not None]
    short = len({path.name for path in paths}) == len(paths)
    sheets = {path: Sheet(path, path.name if short else str(path)) for path in paths}

    post_sheet = _read_posts(sheets[posts], text_column) if posts else _Posts()
    posts_name = sheets[posts].name if posts else ""
    rated = LongSheet(sheets[ratings], scale)
    rated.refuse_unknown("post", rated.posts, post_sheet.known, f"is not in {posts_name}")
    values = _name_values(rated)
    asked = LongSheet(sheets[calibration], scale) if calibration else None
    if asked is not None:
        _check_questions(asked, rated, post_sheet.known, posts_name)
    about = _read_raters(sheets[raters], rated) if raters else _Raters()

    faults = [fault for sheet in sheets.values() for fault in sheet.sorted_faults()]
    if faults:
        raise ImportRefused(faults)
    return _assemble(scale, values, post_sheet, rated, asked, about, list(sheets.values()))


def arrange(
    data: StudyImport,
    *,
    raters: Sequence[str],
    posts: Sequence[str],
    values: Sequence[str],
    questions: Sequence[tuple[str, str]],
) -> StudyImport:
    """Return the same study in another order: raters and posts by their ids, values by their names.

    `questions` are pairs (post, value); questions that nobody answered may be among them.

    Raises
    ------
    ValueError
        If a rater, post, value or question of the study is not named exactly once.
    """
    rater_place = _find_places("rater", data.rater_ids, raters)
    post_place = _find_places("post", [post.key for post in data.posts], posts)
    value_place = _find_places("value", [value.name for value in data.values], values)
    post_code = {key: code for code, key in enumerate(posts)}
    value_code = {name: code for code, name in enumerate(values)}
    asked = tuple((post_code[post], value_code[value]) for post, value in questions)
    moved = {(int(post_place[post]), int(value_place[value])) for post, value in data.questions}
    if not moved <= set(asked) or len(set(asked)) < len(asked):
        raise ValueError("its questions are not those that were answered")

    def move(table: Ratings) -> Ratings:
        columns = (rater_place[table.raters], post_place[table.posts], value_place[table.values])
        order = np.lexsort(columns[::-1])
        return Ratings(*(column[order] for column in (*columns, table.ratings)))

    return replace(
        data,
        rater_ids=tuple(raters),
        posts=tuple(data.posts[code] for code in np.argsort(post_place)),
        values=tuple(data.values[code] for code in np.argsort(value_place)),
        ratings=move(data.ratings),
        questions=asked,
        answers=move(data.answers),
        rater_answers={int(rater_place[code]): known for code, known in data.rater_answers.items()},
    )


def _find_places(what: str, present: Sequence[str], wanted: Sequence[str]) -> Codes:
    place = {name: number for number, name in enumerate(wanted)}
    if len(place) < len(wanted) or set(present) != place.keys():
        raise ValueError(f"each {what} must be named exactly once, and no other")
    return np.array([place[name] for name in present], dtype=np.int32)


def make_key(name: str) -> str:
    """Return the name as a key: lower case, a-z, 0-9, _ and - alone; '' when nothing is left of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "_", plain)[:VALUE_NAME_LENGTH].strip("_-")


def _in_order(names: Iterable[str]) -> list[str]:
    """Numeric order where every name is a whole number, else alphabetical: never that of the lines."""
    names = list(names)
    if all(_INTEGER.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names, key=lambda name: (name.casefold(), name))


def _name_values(rated: LongSheet) -> tuple[ImportedValue, ...]:
    """The values of the ratings in their order; a name that cannot be a key is a fault where it first appears."""
    if len(rated.values) > MAX_VALUES:
        rated.sheet.fault_of_header(
            f"the column of values holds {len(rated.values)} different names; a study can have {MAX_VALUES}. Is it "
            "the right column?",
        )
        return ()
    values = tuple(ImportedValue(make_key(name), name) for name in _in_order(rated.values))
    taken: dict[str, str] = {}
    for name, code in rated.values.items():
        key = make_key(name)
        if not key:
            problem = "has no letter a-z and no digit to make a key of"
        elif key in RESERVED_KEYS:
            problem = "has a name that is reserved"
        elif key in taken:
            problem = f"has the same key '{key}' as the value '{taken[key]}'"
        else:
            taken[key] = name
            continue
        rows = np.flatnonzero(rated.value == code)
        rated.sheet.fault(
            int(rated.line[rows[0]]) if len(rows) else 0, f"value '{name}' {problem}; rename it"
        )
    return values


@dataclass
class _Posts:
    posts: dict[str, ImportedPost] = field(default_factory=dict)
    known: set[str] | None = None  # None: no file says which posts there are
    has_texts: bool = False
    notes: list[str] = field(default_factory=list)


def _read_posts(sheet: Sheet, text_column: str) -> _Posts:
    found = _Posts()
    rows = sheet.rows()
    first = next(rows, None)
    if not sheet.columns:
        return found
    at_post = sheet.column(POST_COLUMNS)
    wanted = text_column or "text"
    at_text = sheet.columns.index(wanted) if wanted in sheet.columns else -1
    if at_text < 0 and text_column:
        sheet.fault_of_header(
            f"has no column '{text_column}', only {', '.join(sheet.columns)}; name another one"
        )
    elif at_text < 0:
        others = [name for name in sheet.columns if name not in POST_COLUMNS]
        found.notes.append(
            f"posts have no text column: {sheet.name} has {', '.join(others) or 'none but their id'}; name one "
            "with --text-column"
        )
    elif at_text == at_post:
        sheet.fault_of_header(f"the column '{text_column}' is the posts' id; name the one with their texts")
    context = [
        sheet.columns.index(name) for name in ("context_kind", "context_text") if name in sheet.columns
    ]
    if len(context) == 1:
        sheet.fault_of_header(
            "has only one of the columns context_kind and context_text; give both or neither"
        )
    if at_post < 0 or len(context) == 1:
        return found
    found.has_texts = at_text >= 0
    rest = [place for place in range(len(sheet.columns)) if place not in (at_post, at_text, *context)]
    first_lines: dict[str, int] = {}
    for line, row in chain_rows(first, rows):
        key = row[at_post].strip()
        if not key:
            sheet.fault(line, f"{sheet.columns[at_post]} is empty; fill it in or remove the line")
            continue
        if problem := find_fault_of_name(key, POST_ID_LENGTH):
            sheet.fault(line, f"post '{key:.40}' {problem}")
        if key in first_lines:
            sheet.fault(line, f"post '{key:.60}' is in line {first_lines[key]} already; keep one of the two")
            continue
        first_lines[key] = line
        kind, context_text = (row[place] for place in context) if context else ("", "")
        kind = kind.strip().lower()
        if problem := _fault_of_context(kind, context_text):
            sheet.fault(line, problem)
        text = row[at_text] if at_text >= 0 else ""
        found.posts[key] = ImportedPost(
            key,
            text if text.strip() else "",
            kind,
            context_text if kind else "",
            {sheet.columns[place]: row[place] for place in rest},
        )
    found.known = set(first_lines)
    if found.has_texts and (n_empty := sum(not post.text for post in found.posts.values())):
        found.notes.append(f"{sheet.name}: the text of {n_empty} of {len(found.posts)} posts is empty")
    return found


def _fault_of_context(kind: str, text: str) -> str:
    if kind not in ("", *CONTEXT_KINDS):
        return f"context_kind '{kind:.40}' is unknown; write {' or '.join(CONTEXT_KINDS)}, or leave it empty"
    if bool(kind) != bool(text.strip()):
        return "only one of context_kind and context_text is filled in; fill in both or neither"
    return ""


def _check_questions(asked: LongSheet, rated: LongSheet, known: set[str] | None, posts_name: str) -> None:
    if rated.is_readable:
        name = rated.sheet.name
        asked.refuse_unknown("rater", asked.raters, set(rated.raters), f"has no rating in {name}")
        asked.refuse_unknown("value", asked.values, set(rated.values), f"is not among the values of {name}")
        asked.refuse(
            asked.post,
            {
                code: f"post '{post:.60}' is rated in {name} too, so its answer would tell a model what it is to "
                "predict; remove the post from one of the two files"
                for post, code in asked.posts.items()
                if post in rated.posts
            },
        )
    asked.refuse_unknown("post", asked.posts, known, f"is not in {posts_name}")
    n_questions = len(np.unique(asked.post.astype(np.int64) * (len(asked.values) + 1) + asked.value))
    if n_questions > MAX_QUESTIONS:
        asked.sheet.fault(0, f"asks {n_questions} questions; a questionnaire can have {MAX_QUESTIONS}")


@dataclass
class _Raters:
    columns: tuple[tuple[str, str], ...] = ()
    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    n_unknown: int = 0


def _read_raters(sheet: Sheet, rated: LongSheet) -> _Raters:
    found = _Raters()
    rows = sheet.rows()
    first = next(rows, None)
    if not sheet.columns:
        return found
    at_rater = sheet.column(RATER_COLUMNS)
    others = [place for place in range(len(sheet.columns)) if place != at_rater]
    if at_rater >= 0 and not others:
        sheet.fault_of_header(
            "has no column beside rater_id; leave the file out or add what is known of the raters"
        )
    keys = _name_columns(sheet, others)
    first_lines: dict[str, int] = {}
    for line, row in chain_rows(first, rows):
        if at_rater < 0:
            continue
        rater = row[at_rater].strip()
        if not rater:
            sheet.fault(line, "rater_id is empty; fill it in or remove the line")
        elif rater in first_lines:
            sheet.fault(
                line, f"rater '{rater:.60}' is in line {first_lines[rater]} already; keep one of the two"
            )
        else:
            first_lines[rater] = line
            if rater in rated.raters:
                found.answers[rater] = {
                    keys[place]: row[place] for place in others if place in keys and row[place].strip()
                }
            else:
                found.n_unknown += 1
    found.columns = tuple((keys[place], sheet.columns[place]) for place in others if place in keys)
    return found


def _name_columns(sheet: Sheet, places: Sequence[int]) -> dict[int, str]:
    keys: dict[int, str] = {}
    for place in places:
        name = sheet.columns[place]
        key = make_key(name).replace("-", "_")
        if key and not ITEM_KEY_PATTERN.fullmatch(key):
            key = f"column_{key}"
        if not key:
            sheet.fault_of_header(
                f"column '{name:.40}' has no letter a-z and no digit to make a key of; rename it"
            )
        elif key in keys.values():
            sheet.fault_of_header(f"column '{name:.40}' has the same key '{key}' as another; rename it")
        else:
            keys[place] = key
    return keys


def _assemble(
    scale: tuple[int, int],
    values: tuple[ImportedValue, ...],
    post_sheet: _Posts,
    rated: LongSheet,
    asked: LongSheet | None,
    about: _Raters,
    sheets: Sequence[Sheet],
) -> StudyImport:
    keys = set(rated.posts) | set(asked.posts if asked else ()) | set(post_sheet.posts)
    posts = tuple(post_sheet.posts.get(key) or ImportedPost(key) for key in _in_order(keys))
    rater_ids = tuple(_in_order(rated.raters))
    rater_code = {name: code for code, name in enumerate(rater_ids)}
    post_code = {post.key: code for code, post in enumerate(posts)}
    value_code = {value.name: code for code, value in enumerate(values)}

    def sort(sheet: LongSheet) -> Ratings:
        columns = (
            _recode(sheet.rater, sheet.raters, rater_code),
            _recode(sheet.post, sheet.posts, post_code),
            _recode(sheet.value, sheet.values, value_code),
        )
        order = np.lexsort(columns[::-1])
        return Ratings(*(column[order] for column in (*columns, sheet.rating)))

    questions: dict[tuple[int, int], None] = {}
    if asked:
        pairs = zip(
            _recode(asked.post, asked.posts, post_code).tolist(),
            _recode(asked.value, asked.values, value_code).tolist(),
            strict=True,
        )
        questions = dict.fromkeys(pairs)
    nothing = np.empty(0, dtype=np.int32)
    long_sheets = [sheet.sheet for sheet in (rated, asked) if sheet]
    return StudyImport(
        scale=scale,
        values=values,
        rater_ids=rater_ids,
        posts=posts,
        ratings=sort(rated),
        questions=tuple(questions),
        answers=sort(asked) if asked else Ratings(nothing, nothing, nothing, nothing),
        rater_columns=about.columns,
        rater_answers={rater_code[rater]: answers for rater, answers in about.answers.items()},
        n_unknown_raters=about.n_unknown,
        has_texts=post_sheet.has_texts,
        notes=(
            *post_sheet.notes,
            *(
                f"{sheet.name}: not used: {', '.join(left)}"
                for sheet in long_sheets
                if (left := [name for name in sheet.columns if name not in sheet.used])
            ),
        ),
    )


def _recode(column: Codes, coder: Coder, code: Mapping[str, int]) -> Codes:
    return np.array([code[name] for name in coder], dtype=np.int32)[column]
