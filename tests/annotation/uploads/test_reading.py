import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.uploads import reading
from annotation.uploads.reading import (
    DELIMITERS,
    ENCODINGS,
    FileRefused,
    Layout,
    Table,
    read_first,
    sniff,
    sniff_delimiter,
)

GERMAN = "id;text;likes\n1;Schöne Grüße aus Köln;3\n2;Nichts Neues heute;4\n"


def read(content, layout=None, left_out=()):
    """The columns and rows of a file's content, read as it seems to want."""
    file = io.BytesIO(content)
    table = Table(file, layout or sniff(file), left_out)
    rows = list(table.rows())
    return list(table.columns), rows


def cells_of(content, layout=None):
    return [dict(row.cells) for row in read(content, layout)[1]]


def faults_of(content, layout=None):
    return {row.number: row.fault for row in read(content, layout)[1] if row.fault}


def make_parquet(**columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


# --- what kind of file ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("latin-1", "cp1252"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_encoding_is_found_and_the_letters_come_out_right(encoding, found, pack):
    content = pack(GERMAN.encode(encoding))
    layout = sniff(io.BytesIO(content))
    assert (layout.encoding, layout.delimiter, layout.kind) == (found, ";", "csv")
    assert layout.is_gzipped == (pack is gzip.compress)
    assert read(content)[0] == ["id", "text", "likes"]
    assert cells_of(content)[0] == {"id": "1", "text": "Schöne Grüße aus Köln", "likes": "3"}


def test_a_byte_that_windows_1252_lacks_makes_it_latin_1():
    assert sniff(io.BytesIO("id,text\n1,a\x81ä\n".encode("latin-1"))).encoding == "latin-1"


def test_one_stray_byte_at_the_end_of_a_long_file_decides_the_encoding():
    content = b"id,text\n" + b"1,plain words\n" * 50_000 + "2,Köln\n".encode("latin-1")
    assert sniff(io.BytesIO(content)).encoding == "cp1252"
    assert sniff(io.BytesIO(content[:-7])).encoding == "utf-8"


def test_a_character_that_is_cut_off_at_the_end_is_no_utf_8():
    assert sniff(io.BytesIO("id,text\n1,Grüß".encode()[:-1])).encoding != "utf-8"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (b'[{"id": 1}]', "JSON Lines"),
        (gzip.compress(GERMAN.encode(), mtime=0)[:-12], "cut off"),
        (b"\x1f\x8b\x08broken", "damaged"),
        ("id,text".encode("utf-32"), "UTF-32"),
        (gzip.compress(make_parquet(text=["a"]), mtime=0), "upload it without gzip"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(content, words):
    with pytest.raises(FileRefused, match=words):
        sniff(io.BytesIO(content))


def test_json_lines_and_parquet_are_known_by_their_content():
    assert sniff(io.BytesIO(b'\n {"text": "a"}\n')).kind == "jsonl"
    assert sniff(io.BytesIO(make_parquet(text=["a"]))).kind == "parquet"


@pytest.mark.parametrize("name", ["kind", "encoding", "delimiter"])
def test_a_layout_that_nobody_knows_is_refused(name):
    with pytest.raises(ValueError, match=name):
        Layout(**({"kind": "csv"} | {name: "nonsense"}))


# --- CSV ------------------------------------------------------------------------------------------

# What a text file can hold: no NUL, no half characters; the reader strips the names' edges.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
SHEETS = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=1, max_size=8)
)


@given(
    rows=SHEETS,
    delimiter=st.sampled_from(list(DELIMITERS)),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_wrote_is_read_back(rows, delimiter, encoding, end):
    names = [f"column_{place}" for place in range(len(rows[0]))]
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    content = written.getvalue().encode(encoding)
    layout = Layout("csv", encoding=encoding, delimiter=delimiter)
    assert cells_of(content, layout) == [dict(zip(names, row, strict=True)) for row in rows]


WORDS = st.text("abcdefgh äß", min_size=1, max_size=12)


@given(
    rows=st.integers(2, 5).flatmap(
        lambda width: st.lists(st.lists(WORDS, min_size=width, max_size=width), min_size=2, max_size=20)
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_the_delimiter_of_a_sheet_is_found(rows, delimiter):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows([[f"c{i}" for i in range(len(rows[0]))], *rows])
    assert sniff_delimiter(written.getvalue()) == (delimiter, True)


@given(st.text(max_size=300), st.booleans())
def test_any_text_gets_some_delimiter(text, is_whole):
    assert sniff_delimiter(text, is_whole=is_whole)[0] in DELIMITERS


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content):
    try:
        columns, rows = read(content)
    except FileRefused as refused:
        assert str(refused).endswith((".", "?", "!"))
    else:
        assert columns
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        json.dumps([dict(row.cells) for row in rows], allow_nan=False).encode()


@pytest.mark.parametrize("content", [b"{}", b"{}\n{}\n", b'{"a": "\\ud800"}'])
def test_objects_without_a_column_that_can_be_used_are_refused(content):
    with pytest.raises(FileRefused, match="No line of the file has a column"):
        read(content)


def test_commas_in_texts_do_not_beat_the_semicolons_of_the_header():
    sample = "id;text\n1;a, b, c\n2;d, e\n3;f, g, h\n"
    assert sniff_delimiter(sample) == (";", True)


def test_marks_that_enclose_nothing_are_part_of_the_texts():
    content = b'id\ttext\n1\t"Hello" she said\n2\tand left\n'
    assert sniff(io.BytesIO(content)).has_quotes is False
    assert cells_of(content)[0]["text"] == '"Hello" she said'


def test_cells_with_line_breaks_keep_their_row_and_tell_its_first_line():
    _, rows = read(b'id,text\n1,"two\nlines"\n2,one\n')
    assert [(row.number, row.line, row.cells["text"]) for row in rows] == [
        (1, 2, "two\nlines"),
        (2, 4, "one"),
    ]


def test_blank_lines_are_no_rows():
    assert [row.line for row in read(b"id,text\n\n1,a\n\n\n2,b\n")[1]] == [3, 6]


def test_old_macs_line_ends_are_line_ends():
    assert cells_of(b"id,text\r1,a\r2,b\r") == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]


def test_a_row_of_another_width_is_a_fault_of_that_row_alone():
    content = b"id,text,likes\n1,a,2\n2,b\n3,c,4,5\n4,d,6\n"
    assert faults_of(content) == {
        2: "has 2 cells, the first line has 3",
        3: "has 4 cells, the first line has 3",
    }
    assert read(content)[1][1].raw == "2,b"


def test_a_mark_that_stands_alone_in_a_line_is_a_fault_of_that_row_alone():
    content = b'id,text\n1,"a" b\n2,"c"\n3,d\n'
    assert list(faults_of(content)) == [1]
    assert "quotation mark" in faults_of(content)[1]


def test_a_mark_that_is_never_closed_refuses_the_file_where_it_is_opened():
    content = b'id,text\n1,"a"\n2,"b\n3,"c"\n4,d\n'
    with pytest.raises(FileRefused, match="Line 3: a quotation mark is opened here") as refused:
        read(content)
    assert refused.value.line == 3


def test_a_wrong_encoding_refuses_the_file_with_the_line():
    content = b"id,text\n" + b"1,a\n" * 9_000 + b"2,\xff\xff\n3,c\n"
    with pytest.raises(FileRefused, match=r"Line 9,002: is not UTF-8; choose the encoding"):
        read(content, Layout("csv"))


def test_half_a_character_of_utf_16_refuses_the_file():
    with pytest.raises(FileRefused, match="Line 2: is not UTF-16"):
        read(
            b"\xff\xfe" + "id,text\n1,".encode("utf-16-le") + b"\x00\xd8a\x00\n\x00",
            Layout("csv", encoding="utf-16"),
        )


def test_a_nul_is_a_fault_of_its_row():
    assert faults_of(b"id,text\n1,a\0b\n2,c\n") == {1: "column 'text' holds a NUL character; remove it"}


@pytest.mark.parametrize("length", [reading.MAX_CELL + 1, 200_000])
def test_a_cell_that_is_too_large_is_a_fault_of_its_row(length):
    content = b"id,text\n1," + b"a" * length + b"\n2,fine\n"
    assert "characters" in faults_of(content)[1]
    assert cells_of(content)[1]["text"] == "fine"


def test_a_line_without_end_refuses_the_file(monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 1_000)
    with pytest.raises(FileRefused, match="Line 2: has more than 1,000 characters"):
        read(b"id,text\n1," + b"a" * 2_000 + b"\n", Layout("csv"))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("id,text,text", "names 2 columns 'text'"),
        (",".join(f"c{i}" for i in range(201)), "names 201 columns"),
        (f"id,{'x' * 101}", "101 characters"),
        ("id,te\x07xt", "cannot be stored or shown"),
    ],
)
def test_names_that_cannot_be_used_refuse_the_file(header, words):
    with pytest.raises(FileRefused, match=words):
        read(f"{header}\n1,2\n".encode(), Layout("csv"))


def test_a_column_without_a_name_gets_its_place():
    assert read(b",text\n0,a\n1,b\n")[0] == ["column 1", "text"]


@pytest.mark.parametrize("content", [b"id,text\n", b"id,text\n\n\n"])
def test_a_header_alone_is_refused(content):
    with pytest.raises(FileRefused, match="no row below"):
        read(content)


def test_more_rows_than_are_taken_refuse_the_file(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 2)
    with pytest.raises(FileRefused, match="more than 2 rows"):
        read(b"id,text\n1,a\n2,b\n3,c\n")
    with pytest.raises(FileRefused, match="3 rows; at most 2"):
        read(make_parquet(text=["a", "b", "c"]))


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch):
    content = gzip.compress(b"id,text\n" + b"1,a\n" * 10_000)
    monkeypatch.setattr(reading, "MAX_UNPACKED", 20_000)
    with pytest.raises(FileRefused, match="unpacks to more than 20,000 bytes"):
        sniff(io.BytesIO(content))


def test_a_compressed_file_that_is_cut_off_is_refused_where_it_is_read():
    content = gzip.compress(b"id,text\n" + b"1,some words\n" * 50_000)[:-40]
    with pytest.raises(FileRefused, match="damaged or cut off"):
        read(content, Layout("csv", is_gzipped=True))


def test_progress_ends_at_the_whole():
    file = io.BytesIO(GERMAN.encode())
    table = Table(file, sniff(file))
    assert table.progress == (0, len(GERMAN.encode()))
    list(table.rows())
    assert table.progress == (len(GERMAN.encode()),) * 2


def test_the_first_rows_come_with_what_ended_the_reading():
    file = io.BytesIO(b'id,text\n1,"a"\n2,"b"\n3,"c\n4,d\n')
    layout = Layout("csv")
    assert read_first(file, layout, 2)[2] is None
    columns, rows, stopped = read_first(file, layout, 10)
    assert (columns, len(rows), stopped.line) == (["id", "text"], 2, 4)


# --- JSON Lines -----------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@given(
    st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), min_size=1, max_size=6), st.booleans()
)
def test_what_a_json_writer_wrote_is_read_back(records, is_ascii):
    content = "\n".join(json.dumps(record, ensure_ascii=is_ascii) for record in records).encode()
    assert cells_of(content, Layout("jsonl")) == records


def test_columns_grow_as_rows_bring_new_ones():
    columns, rows = read(b'{"id": 1, "text": "a"}\n\n{"text": "b", "likes": 2}\n')
    assert columns == ["id", "text", "likes"]
    assert [(row.number, row.line) for row in rows] == [(1, 1), (2, 3)]


def test_numbers_that_json_does_not_know_are_kept_as_words():
    (row,) = cells_of(b'{"text": "a", "n": [NaN, -Infinity, 1e999]}')
    assert row["n"] == ["NaN", "-Infinity", "inf"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "a"', "Line 2: is not JSON"),
        (b'["a"]', "Line 2: is JSON, but not an object"),
        (b'{"text": "a", "text": "b"}', "names 'text' twice"),
        (b'{"text": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "Line 2: is not JSON"),
    ],
)
def test_a_line_that_is_no_record_refuses_the_file(line, words):
    with pytest.raises(FileRefused, match=words):
        read(b'{"text": "fine"}\n' + line, Layout("jsonl"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "a\\u0000b"}', "NUL"),
        (b'{"text": "a\\ud800b"}', "lone surrogate"),
        (b'{"text": {"a": ["\\udfff"]}}', "lone surrogate"),
        (b'{"a\\ud800": 1, "text": "b"}', "cannot be stored or shown"),
        (b'{"text": "a", "n": ' + b"9" * 100 + b"}", "more than 77 digits"),
        (b'{"text": ' + b"[" * 40 + b"]" * 40 + b"}", "nested too deeply"),
    ],
)
def test_what_cannot_be_kept_is_a_fault_of_its_row(line, words):
    content = line + b'\n{"text": "fine"}\n'
    (fault,) = faults_of(content, Layout("jsonl")).values()
    assert words in fault
    json.dumps(read(content, Layout("jsonl"))[1][0].raw).encode()
    read(content, Layout("jsonl"))[1][0].raw.encode()


def test_what_is_left_out_is_no_fault():
    content = b'{"text": "a", "junk": "\\u0000"}\n'
    _, (row,) = read(content, Layout("jsonl"), left_out=["junk"])
    assert (row.fault, row.cells) == ("", {"text": "a"})


# --- Parquet --------------------------------------------------------------------------------------


def test_values_of_parquet_become_what_json_knows():
    content = make_parquet(
        text=["a", None],
        at=[datetime(2024, 5, 6, 7, 8, tzinfo=UTC), None],
        day=[date(2024, 5, 6), None],
        price=[Decimal("1.50"), None],
        tags=[["x", "y"], []],
        more=[{"likes": 1}, None],
        share=[0.5, float("nan")],
    )
    first, second = cells_of(content)
    assert first == {
        "text": "a",
        "at": "2024-05-06 07:08:00.000000Z",
        "day": "2024-05-06",
        "price": "1.50",
        "tags": ["x", "y"],
        "more": {"likes": 1},
        "share": 0.5,
    }
    assert second["share"] == "nan"
    assert second["at"] is None


def test_nanoseconds_are_kept():
    (row,) = cells_of(make_parquet(at=pa.array([1_500_000_000_000_000_001], pa.timestamp("ns"))))
    assert row["at"] == "2017-07-14 02:40:00.000000001"


def test_bytes_that_are_no_text_are_a_fault_of_their_row():
    content = make_parquet(text=["a", "b"], raw=[b"\xff", b"fine"])
    assert faults_of(content) == {1: "column 'raw' holds bytes that are no UTF-8 text"}


@pytest.mark.parametrize("cut", [5, 40])
def test_parquet_that_is_cut_off_is_refused(cut):
    with pytest.raises(FileRefused, match="cannot be read as Parquet"):
        read(make_parquet(text=["a"] * 100)[:-cut])


def test_damaged_parquet_is_refused_or_read():
    content = make_parquet(text=["some words"] * 50, n=list(range(50)))
    for place in range(4, len(content) - 8, 7):
        damaged = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        try:
            read(damaged, Layout("parquet"))
        except FileRefused:
            continue


def test_parquet_without_rows_or_with_doubled_names_is_refused():
    with pytest.raises(FileRefused, match="no row"):
        read(make_parquet(text=pa.array([], pa.string())))
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["text", "text"]), buffer)
    with pytest.raises(FileRefused, match="2 columns 'text'"):
        read(buffer.getvalue())


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_every_encoding_that_is_offered_reads_its_own(encoding):
    assert cells_of("id,text\n1,abc\n".encode(encoding), Layout("csv", encoding=encoding)) == [
        {"id": "1", "text": "abc"}
    ]
