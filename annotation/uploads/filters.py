"""PURE. Which rows of a file become posts: the sieve that every row goes through, and its account."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import IO, Any

from .language import UNKNOWN, detect_language
from .mapping import ColumnMap, PostDraft, PostMaker, Role, RowRefused
from .reading import MAX_CELL, FileRefused, Row

EXCERPT = 120
DIGEST_BYTES = 16
REPORT_COLUMNS = ("row", "line", "key", "reason", "explanation", "excerpt")
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


class Reason(StrEnum):
    """Why a row makes no post."""

    UNREADABLE = "unreadable"
    KEY = "key"
    KNOWN_KEY = "known_key"
    NOT_TEXT = "not_text"
    EMPTY = "empty"
    CONTEXT = "context"
    TOO_BIG = "too_big"
    SHORT = "short"
    LONG = "long"
    REPEATED = "repeated"
    IN_STUDY = "in_study"
    LANGUAGE = "language"
    UNKNOWN_LANGUAGE = "unknown_language"


REASON_LABELS = {
    Reason.UNREADABLE: "The row cannot be read",
    Reason.KEY: "The key is missing or cannot be used",
    Reason.KNOWN_KEY: "The study has a post with this key",
    Reason.NOT_TEXT: "A list or object stands where a text is needed",
    Reason.EMPTY: "The text is empty",
    Reason.CONTEXT: "The context and its kind do not fit",
    Reason.TOO_BIG: "Too much to keep",
    Reason.SHORT: "The text is too short",
    Reason.LONG: "The text is too long",
    Reason.REPEATED: "The same text is in an earlier row",
    Reason.IN_STUDY: "The same text is in the study",
    Reason.LANGUAGE: "Another language",
    Reason.UNKNOWN_LANGUAGE: "The language is unknown",
}


@dataclass(frozen=True)
class Filters:
    """What keeps a sound row out.

    Attributes
    ----------
    drops_repeated : rows whose normalised text and context another row or a post of the study has
    languages : codes of those that are kept; () keeps every language
    keeps_unknown : whether a text whose language is unknown passes `languages`
    least, most : characters of the text; 0 sets no limit
    skips_known_keys : leave out rows whose key the study has, instead of refusing the file
    """

    drops_repeated: bool = True
    languages: tuple[str, ...] = ()
    keeps_unknown: bool = True
    least: int = 0
    most: int = 0
    skips_known_keys: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"languages": list(self.languages)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Filters:
        return cls(**{**stored, "languages": tuple(stored.get("languages", ()))})


@dataclass(frozen=True)
class Refusal:
    """A row that makes no post: which, why, and how it begins."""

    row: int
    line: int
    key: str
    reason: Reason
    detail: str
    excerpt: str

    def to_cells(self) -> list[str]:
        """The row's line in the report, safe to open in a spreadsheet."""
        cells = (self.key, REASON_LABELS[self.reason], self.detail, self.excerpt)
        return [str(self.row), str(self.line or ""), *map(make_harmless, cells)]


class Sieve:
    """Sorts the rows of one file, from the first on, into posts and refusals and counts both.

    Parameters
    ----------
    columns : which column means what
    filters : what keeps a row out
    known_keys : keys of the study's posts
    known_texts : `digest_text` of the study's posts, which is not changed
    detect : gives the language code of a text
    """

    def __init__(
        self,
        columns: ColumnMap,
        filters: Filters,
        *,
        known_keys: Collection[str] = (),
        known_texts: Collection[bytes] = (),
        detect: Callable[[str], str] = detect_language,
    ) -> None:
        self.columns, self.filters, self.detect = columns, filters, detect
        self.known_keys, self.known_texts = known_keys, known_texts
        self.maker = PostMaker(columns)
        self.n_rows = self.n_kept = 0
        self.refused: Counter[Reason] = Counter()
        self.languages: Counter[str] = Counter()
        self._keys: dict[str, int] = {}
        self._texts: dict[bytes, int] = {}
        self._digests = bytearray()  # 16 bytes for each row, one after the other

    def sift(self, row: Row) -> PostDraft | Refusal:
        """Return what becomes of the next row; a post's metadata then names its language.

        Raises
        ------
        FileRefused
            When two rows have one key and different texts, or the study has the key: then nobody can say
            which post is meant.
        """
        self.n_rows += 1
        digest = bytes(DIGEST_BYTES)
        try:
            post = self.maker.make(row)
            digest = digest_text(post.text, post.context_text)
            self._check(row, post, digest)
            post.metadata["language"] = self._check_language(post)
        except RowRefused as refused:
            return self._refuse(row, refused)
        finally:
            self._digests += digest
        if self.filters.drops_repeated:
            self._texts[digest] = self.n_rows
        self.languages[post.metadata["language"]] += 1
        self.n_kept += 1
        return post

    def _check(self, row: Row, post: PostDraft, digest: bytes) -> None:
        earlier = self._keys.setdefault(post.key, self.n_rows)
        if earlier != self.n_rows:
            if self._digests[(earlier - 1) * DIGEST_BYTES : earlier * DIGEST_BYTES] != digest:
                raise FileRefused(
                    f"row {row.number:,} has the key '{post.key:.60}' of row {earlier:,} and another text; a key "
                    "must name one post. Choose another column as the key, or none",
                    row.line,
                )
            raise RowRefused(Reason.REPEATED, f"key and text are those of row {earlier:,}")
        if post.key in self.known_keys:
            if not self.filters.skips_known_keys:
                raise FileRefused(
                    f"row {row.number:,} has the key '{post.key:.60}', which a post of the study has already; the "
                    "file may be loaded already. Choose to leave such rows out, or another column as the key",
                    row.line,
                )
            raise RowRefused(Reason.KNOWN_KEY, f"the study has a post '{post.key:.60}', which stays as it is")
        if not post.text:
            raise RowRefused(Reason.EMPTY, "there is nothing to read")
        length = len(post.text)
        if length < self.filters.least:
            raise RowRefused(
                Reason.SHORT, f"{length:,} characters; {self.filters.least:,} are asked for at least"
            )
        if length > (self.filters.most or MAX_CELL):
            raise RowRefused(
                Reason.LONG,
                f"{length:,} characters; {self.filters.most or MAX_CELL:,} are asked for at most",
            )
        if self.filters.drops_repeated:
            if digest in self._texts:
                raise RowRefused(Reason.REPEATED, f"as in row {self._texts[digest]:,}")
            if digest in self.known_texts:
                raise RowRefused(Reason.IN_STUDY, "a post of the study has this text and context")

    def _check_language(self, post: PostDraft) -> str:
        language = post.language or self.detect(post.text)
        wanted = self.filters.languages
        if not wanted or language in wanted:
            return language
        if language != UNKNOWN:
            raise RowRefused(Reason.LANGUAGE, f"'{language}'; kept are {', '.join(wanted)}")
        if not self.filters.keeps_unknown:
            raise RowRefused(Reason.UNKNOWN_LANGUAGE, "too short, or without letters, to tell")
        return language

    def _refuse(self, row: Row, refused: RowRefused) -> Refusal:
        reason = Reason(refused.reason)
        self.refused[reason] += 1
        column = self.columns.column(Role.TEXT)
        excerpt = row.raw if row.fault else str(row.cells.get(column or "") or "")
        return Refusal(
            row.number,
            row.line,
            self.maker.read_key(row),
            reason,
            str(refused),
            _make_storable(excerpt.strip()[:EXCERPT]),
        )


def digest_text(text: str, context_text: str = "") -> bytes:
    """Return 16 bytes that are the same for texts which differ in case, spacing or form of characters alone.

    The context counts: the same words in reply to something else are another post.
    """
    plain = f"{_normalise(text)}\0{_normalise(context_text)}"
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def make_harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that could be begins with an apostrophe."""
    begins = cell.lstrip(" \u00a0\ufeff")
    return f"'{cell}" if begins.startswith(_FORMULA_BEGINS) else cell


def _make_storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


class Report:
    """Writes refusals as CSV, one line each, below the names of the columns."""

    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow(REPORT_COLUMNS)

    def add(self, refusal: Refusal) -> None:
        self._writer.writerow(refusal.to_cells())
