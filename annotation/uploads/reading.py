"""PURE. Files of posts on their way in: CSV, JSON Lines or Parquet, read row by row in constant memory.

What concerns one row and leaves its neighbours readable is a fault of that row. What makes it doubtful where
rows begin and end, or whether the file is whole, is `FileRefused`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import IO, Any, BinaryIO

KINDS = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a byte order mark",
    "utf-16": "UTF-16 with a byte order mark",
    "utf-16-le": "UTF-16, little endian",
    "utf-16-be": "UTF-16, big endian",
    "cp1252": "Windows-1252 (Western European)",
    "latin-1": "Latin-1 (ISO 8859-1)",
    "iso8859-15": "Latin-9 (ISO 8859-15)",
    "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "koi8-r": "KOI8-R (Cyrillic)",
    "mac-roman": "Mac Roman",
    "shift_jis": "Shift JIS (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "euc_kr": "EUC-KR (Korean)",
}
DELIMITERS = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "vertical bar |",
    ":": "colon",
    "^": "caret ^",
    "~": "tilde ~",
    "\x1f": "unit separator (U+001F)",
}
MAX_ROWS = 1_000_000
MAX_COLUMNS = 200
MAX_COLUMN_NAME = 100
MAX_CELL = 100_000  # characters; below the limit of the csv module (131,072)
MAX_LINE = 4_000_000
MAX_UNPACKED = 1_000_000_000  # bytes of a compressed file
BATCH = 2_000

_CHUNK = 1 << 18
_SAMPLE = 1 << 17
_SAMPLE_ROWS = 100
_SURROGATE = re.compile("[\ud800-\udfff]")


class FileRefused(ValueError):
    """The file cannot be read as a whole; `line` is where it was noticed, 0 when that means nothing."""

    def __init__(self, problem: str, line: int = 0) -> None:
        stop = "" if problem.endswith((".", "?", "!")) else "."
        super().__init__((f"Line {line:,}: {problem}" if line else problem[:1].upper() + problem[1:]) + stop)
        self.line = line


@dataclass(frozen=True)
class Layout:
    """How a file is to be read: its kind, and for text its encoding, delimiter and quotation marks."""

    kind: str
    is_gzipped: bool = False
    encoding: str = "utf-8"
    delimiter: str = ","
    has_quotes: bool = True

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("encoding", ENCODINGS), ("delimiter", DELIMITERS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} is unknown; use one of {', '.join(map(repr, known))}"
                )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Layout:
        return cls(**stored)


@dataclass(frozen=True)
class Row:
    """One row as the file gives it.

    Attributes
    ----------
    number : 1 for the first row of data
    line : the line on which it begins; 0 in a Parquet file
    cells : by column; plain values that JSON knows
    fault : what keeps it from being used; '' when nothing does
    raw : the line itself where no cells could be made of it
    """

    number: int
    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    raw: str = ""


class Table:
    """A file's columns and rows.

    `columns` holds the names once the first row was asked for; those of JSON Lines grow as rows are read.
    What stands in the columns of `left_out` is no fault of a row, whatever it is.
    """

    def __init__(self, file: BinaryIO, layout: Layout, left_out: Collection[str] = ()) -> None:
        self.file, self.layout, self.left_out = file, layout, frozenset(left_out)
        self.columns: dict[str, None] = {}
        self.n_read = 0
        self._size = _measure(file)
        self._done = 0
        self._last_line = ""

    @property
    def progress(self) -> tuple[int, int]:
        """How much was read and how much there is: bytes, or rows of a Parquet file."""
        return min(self._done, self._size), self._size

    def rows(self) -> Iterator[Row]:
        """Yield every row, faulty ones among them.

        Raises
        ------
        FileRefused
            Where the file stops being readable, with the line, or when it is too large.
        """
        read = {"csv": self._read_csv, "jsonl": self._read_json_lines, "parquet": self._read_parquet}
        for row in read[self.layout.kind]():
            if row.number > MAX_ROWS:
                raise FileRefused(f"the file has more than {MAX_ROWS:,} rows; split it", row.line)
            self.n_read = row.number
            yield row

    def _lines(self) -> Iterator[str]:
        """The lines of a text file, each with its end."""
        self.file.seek(0)
        text = io.TextIOWrapper(_unpack(self.file, self.layout), encoding=self.layout.encoding, newline="")
        number = 0
        try:
            while line := text.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise FileRefused(
                        f"has more than {MAX_LINE:,} characters; is this a file of lines?", number
                    )
                self._last_line = line
                if not number % 256:
                    self._done = self.file.tell()
                yield line
            self._done = self._size
        except UnicodeDecodeError:
            name = ENCODINGS[self.layout.encoding]
            raise FileRefused(
                f"is not {name}; choose the encoding the file was saved in, or save it as UTF-8",
                _find_undecodable(self.file, self.layout),
            ) from None
        except (EOFError, OSError, zlib.error) as error:
            raise FileRefused(f"the compressed file is damaged or cut off ({error})", number + 1) from None
        finally:
            text.detach()

    def _check(self, row: Row) -> Row:
        """Make plain values of the cells; where one cannot be kept, the row gets a fault."""
        cells: dict[str, Any] = {}
        for name, value in row.cells.items():
            if name not in self.columns and (fault := _find_fault_of_name(name)):
                return replace(row, cells={}, fault=f"the name of a column {fault}", raw=_excerpt(row.cells))
            try:
                cells[name] = value if type(value) is str and _is_fine(value) else _make_plain(value)
            except ValueError as error:
                if name in self.left_out:
                    continue
                return replace(row, cells={}, fault=f"column '{name}' {error}", raw=_excerpt(row.cells))
        return replace(row, cells=cells)

    def _read_csv(self) -> Iterator[Row]:
        layout = self.layout
        reader = _make_reader(self._lines(), layout.delimiter, layout.has_quotes)
        names: list[str] = []
        number = 0
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                if reader.line_num > line or not names or "end of data" in str(error):
                    raise FileRefused(
                        f"a quotation mark is opened here and not closed as it should be ({error} in line "
                        f"{reader.line_num:,}); close it, double it, or read the file without quotation marks",
                        line,
                    ) from None
                number += 1
                yield Row(number, line, fault=_explain_csv(error), raw=self._last_line)
                continue
            if not cells:
                continue
            if not names:
                names = _name_columns(cells, line)
                self.columns = dict.fromkeys(names)
                continue
            number += 1
            if len(cells) != len(names):
                to = f" (it goes on to line {reader.line_num:,})" if reader.line_num > line else ""
                fault = f"has {len(cells)} cells{to}, the first line has {len(names)}"
                yield Row(number, line, fault=fault, raw=layout.delimiter.join(cells))
            else:
                yield self._check(Row(number, line, dict(zip(names, cells, strict=True))))
        if not names:
            raise FileRefused("the file is empty; its first line must name the columns")
        if not number:
            raise FileRefused("the file has a line of column names and no row below it")

    def _read_json_lines(self) -> Iterator[Row]:
        number = 0
        for line, text in enumerate(self._lines(), start=1):
            if not text.strip("\ufeff \t\r\n"):
                continue
            number += 1
            try:
                # NaN and Infinity, which JSON does not know, are kept as words.
                record = json.loads(
                    text.lstrip("\ufeff"), parse_constant=str, object_pairs_hook=_refuse_repeated
                )
            except RecursionError:
                raise FileRefused("is nested too deeply", line) from None
            except ValueError as error:
                raise FileRefused(f"is not JSON ({error}); is the file cut off?", line) from None
            if not isinstance(record, dict):
                raise FileRefused(
                    'is JSON, but not an object such as {"id": 1, "text": "..."}; write one on each line',
                    line,
                )
            row = self._check(Row(number, line, record))
            if not row.fault:
                self._add_columns(record, line)
            yield row
        if not number:
            raise FileRefused("the file is empty")
        if not self.columns:
            raise FileRefused(
                'no line of the file has a column that can be used; write objects such as {"id": 1, "text": "..."}'
            )

    def _add_columns(self, record: Mapping[str, Any], line: int) -> None:
        if record.keys() <= self.columns.keys():
            return
        self.columns.update(dict.fromkeys(record))
        if len(self.columns) > MAX_COLUMNS:
            raise FileRefused(f"brings the names to more than {MAX_COLUMNS}; leave some out", line)

    def _read_parquet(self) -> Iterator[Row]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.file.seek(0)
        try:
            source = pq.ParquetFile(pa.PythonFile(self.file, mode="r"), buffer_size=_CHUNK, pre_buffer=False)
            names, self._size = source.schema_arrow.names, source.metadata.num_rows
            _refuse_unusable_names(names, 0)
            self.columns = dict.fromkeys(names)
            _check_size(source.metadata)
            number = 0
            for batch in source.iter_batches(batch_size=BATCH):
                for cells in _write_out_times(batch).to_pylist():
                    number += 1
                    yield self._check(Row(number, 0, cells))
                self._done = number
        except FileRefused:
            raise
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FileRefused(
                f"the file cannot be read as Parquet ({reason:.200}); is it whole? A CSV file is taken too"
            ) from None
        if not number:
            raise FileRefused("the file has no row")


def sniff(file: BinaryIO) -> Layout:
    """Find out how a file is to be read, from its content alone.

    A text file's encoding is taken from its byte order mark; without one it is UTF-8 if every byte of it fits, else
    Windows-1252, else Latin-1. The delimiter is the one that cuts the first rows into as many cells as the header.

    Raises
    ------
    FileRefused
        For an empty file and for kinds that are recognised but not read, saying what to save instead.
    """
    file.seek(0)
    head = file.read(8)
    if head.startswith(b"PAR1"):
        return Layout("parquet")
    if head.startswith(b"PK\x03\x04"):
        raise FileRefused("this is an Excel workbook or a zip file; save the sheet as 'CSV UTF-8' instead")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileRefused("this is an old Excel workbook; save the sheet as 'CSV UTF-8' instead")
    if head.startswith(b"%PDF"):
        raise FileRefused("this is a PDF; CSV, JSON Lines and Parquet files can be read")
    layout = Layout("csv", is_gzipped=head.startswith(b"\x1f\x8b"))
    try:
        encoding, sample, is_whole = _sniff_encoding(_unpack(file, layout))
    except (EOFError, OSError, zlib.error) as error:
        raise FileRefused(f"the compressed file is damaged or cut off ({error})") from None
    start = sample.lstrip("\ufeff \t\r\n")
    if not start:
        raise FileRefused("the file is empty")
    if layout.is_gzipped and start.startswith("PAR1"):
        raise FileRefused(
            "this is a gzipped Parquet file; Parquet compresses by itself: upload it without gzip"
        )
    if start.startswith("{"):
        return Layout("jsonl", layout.is_gzipped, encoding)
    if start.startswith("[") and start[1:].lstrip().startswith("{"):
        raise FileRefused("this is one JSON list; save it as JSON Lines, with one object on each line")
    delimiter, has_quotes = sniff_delimiter(sample, is_whole=is_whole)
    return Layout("csv", layout.is_gzipped, encoding, delimiter, has_quotes)


def sniff_delimiter(sample: str, *, is_whole: bool = True) -> tuple[str, bool]:
    """Return the likeliest delimiter of some CSV text, and whether its quotation marks enclose cells.

    Parameters
    ----------
    sample : the beginning of the file
    is_whole : whether that is all of the file, so that its last line is complete
    """
    best, best_score = (",", True), (0.0, 0)
    for has_quotes in (True, False):
        for delimiter in DELIMITERS:
            if not has_quotes and _encloses(sample, delimiter):
                continue  # the marks are meant: where they are broken, that is for the researcher to see
            score = _score(sample, delimiter, has_quotes, is_whole)
            if score > best_score:
                best, best_score = (delimiter, has_quotes), score
    return best


def _encloses(sample: str, delimiter: str) -> bool:
    """Whether some cell stands between quotation marks."""
    mark = re.escape(delimiter)
    return re.search(rf'(?:^|{mark})"[^"\n]*"(?:{mark}|\r?$)', sample, re.MULTILINE) is not None


def read_first(
    file: BinaryIO, layout: Layout, n_rows: int, left_out: Collection[str] = ()
) -> tuple[list[str], list[Row], FileRefused | None]:
    """Return the columns and first rows of a file, and what ended the reading early, if anything did."""
    table = Table(file, layout, left_out)
    rows: list[Row] = []
    try:
        rows.extend(islice(table.rows(), n_rows))
    except FileRefused as problem:
        return list(table.columns), rows, problem
    return list(table.columns), rows, None


def _score(sample: str, delimiter: str, has_quotes: bool, is_whole: bool) -> tuple[float, int]:
    """How well a delimiter cuts the sample: the share of rows as wide as the first one, and how wide that is."""
    widths: list[int] = []
    lines = sample.splitlines(keepends=True)
    reader = _make_reader(iter(lines if is_whole else lines[:-1]), delimiter, has_quotes)
    n_faults = 0
    while len(widths) + n_faults < _SAMPLE_ROWS:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            # Where the sample ends inside a cell, nothing is wrong.
            n_faults += reader.line_num < len(lines) - 1 or is_whole
            if reader.line_num >= len(lines) - 1:
                break
            continue
        if cells:
            widths.append(len(cells))
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / (len(widths) + n_faults), widths[0]


def _make_reader(lines: Iterator[str], delimiter: str, has_quotes: bool) -> Any:
    if has_quotes:
        return csv.reader(lines, delimiter=delimiter, strict=True)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)


def _sniff_encoding(stream: IO[bytes]) -> tuple[str, str, bool]:
    """Return the encoding of the whole stream, its first characters, and whether those are all."""
    head = stream.read(_SAMPLE)
    is_whole = len(head) < _SAMPLE
    encoding = _read_mark(head) or _guess_by_zeros(head)
    if not encoding:
        fitting = {
            name: codecs.getincrementaldecoder(name)("strict") for name in ("utf-8", "cp1252", "latin-1")
        }
        chunk = head
        while chunk:
            for name, decoder in list(fitting.items()):
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    del fitting[name]
            if list(fitting) == ["latin-1"]:
                break
            chunk = stream.read(_CHUNK)
        if "utf-8" in fitting:
            try:
                fitting["utf-8"].decode(b"", final=True)
            except UnicodeDecodeError:  # the last character is cut off
                del fitting["utf-8"]
        encoding = next(iter(fitting))
    return encoding, codecs.getincrementaldecoder(encoding)("replace").decode(head), is_whole


def _read_mark(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise FileRefused("this file is UTF-32; save it as UTF-8")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return ""


def _guess_by_zeros(head: bytes) -> str:
    """UTF-16 without a mark: in most scripts every other byte of column names and delimiters is zero."""
    part = head[:2_000]
    if len(part) < 4:
        return ""
    even, odd = part[::2].count(0) / len(part[::2]), part[1::2].count(0) / len(part[1::2])
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.3 and odd < 0.05 else ""


def _name_columns(cells: list[str], line: int) -> list[str]:
    names = [name.strip("\ufeff \t\r\n") for name in cells]
    # A table saved with its row numbers has a first column without a name.
    names = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    _refuse_unusable_names(names, line)
    return names


def _refuse_unusable_names(names: list[str], line: int) -> None:
    if len(names) > MAX_COLUMNS:
        raise FileRefused(f"names {len(names)} columns; at most {MAX_COLUMNS} are taken", line)
    for name, count in Counter(names).items():
        if count > 1:
            raise FileRefused(f"names {count} columns '{name:.60}'; rename or remove all but one", line)
        if fault := _find_fault_of_name(name):
            raise FileRefused(f"the name of a column {fault}", line)


def _find_fault_of_name(name: str) -> str:
    if len(name) > MAX_COLUMN_NAME:
        return f"has {len(name):,} characters ('{name[:40]}...'); at most {MAX_COLUMN_NAME} are taken"
    if not name.isprintable():
        return f"holds characters that cannot be stored or shown ({name[:40]!a}); rename it"
    return ""


def _explain_csv(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"a cell has more than {MAX_CELL:,} characters"
    return f"a quotation mark stands alone ({error})"


def _is_fine(text: str) -> bool:
    return len(text) <= MAX_CELL and "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


def _make_plain(value: Any, depth: int = 0) -> Any:
    """Return the value as JSON stores it, losing nothing of it. Raises ValueError when that cannot be done."""
    if isinstance(value, str):
        if len(value) > MAX_CELL:
            raise ValueError(f"has {len(value):,} characters; at most {MAX_CELL:,} are taken")
        if "\0" in value:
            raise ValueError("holds a NUL character; remove it")
        if _SURROGATE.search(value):
            raise ValueError("holds half of a character (a lone surrogate); mend or remove it")
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > 256:
            raise ValueError("holds a number of more than 77 digits; write it as text")
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return _make_plain(value.decode())
        except UnicodeDecodeError:
            raise ValueError("holds bytes that are no UTF-8 text") from None
    if depth > 20:
        raise ValueError("is nested too deeply")
    if isinstance(value, list | tuple):
        return [_make_plain(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {_make_plain(name): _make_plain(each, depth + 1) for name, each in value.items()}
    raise ValueError(f"holds a {type(value).__name__}, which cannot be kept; write it as text")


def _excerpt(cells: Mapping[str, Any]) -> str:
    """The beginning of a row that cannot be used, without what no file could hold."""
    text = " | ".join(str(value)[:80] for value in cells.values())[:400]
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"it names {name[:60]!a} twice")
    return record


def _check_size(metadata: Any) -> None:
    if metadata.num_rows > MAX_ROWS:
        raise FileRefused(
            f"the file has {metadata.num_rows:,} rows; at most {MAX_ROWS:,} are taken: split it"
        )
    n_bytes = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    if n_bytes > MAX_UNPACKED:
        raise FileRefused(
            f"the file unpacks to {n_bytes:,} bytes; at most {MAX_UNPACKED:,} are taken: split it"
        )


def _write_out_times(batch: Any) -> Any:
    """Moments become text in Arrow, which keeps nanoseconds and time zones."""
    import pyarrow as pa

    for place, column in enumerate(batch.schema):
        if pa.types.is_timestamp(column.type) or pa.types.is_time(column.type):
            batch = batch.set_column(place, column.name, batch.column(place).cast(pa.string()))
    return batch


def _measure(file: BinaryIO) -> int:
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    return size


def _unpack(file: BinaryIO, layout: Layout) -> IO[bytes]:
    file.seek(0)
    packed: Any = gzip.GzipFile(fileobj=file, mode="rb") if layout.is_gzipped else file
    return io.BufferedReader(_Limited(packed), _CHUNK)


class _Limited(io.RawIOBase):
    """Another file's bytes, as far as a file may unpack to; closing it leaves the other open."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self.left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.source.read(len(buffer))
        self.left -= len(data)
        if self.left < 0:
            raise FileRefused(f"the file unpacks to more than {MAX_UNPACKED:,} bytes; split it")
        buffer[: len(data)] = data
        return len(data)


def _find_undecodable(file: BinaryIO, layout: Layout) -> int:
    """The line that holds the first byte which the encoding does not know."""
    stream = _unpack(file, layout)
    decoder = codecs.getincrementaldecoder(layout.encoding)("strict")
    line = 1
    while True:
        chunk = stream.read(_CHUNK)
        try:
            line += decoder.decode(chunk, final=not chunk).count("\n")
        except UnicodeDecodeError as error:
            good = codecs.getincrementaldecoder(layout.encoding)("ignore")
            return line + good.decode(error.object[: error.start]).count("\n")
        if not chunk:
            return line
