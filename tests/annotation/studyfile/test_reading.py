import pytest

from annotation.studyfile import StudyFileError, read
from annotation.studyfile.reading import MAX_DEPTH, find_unstorable


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "file: it is not JSON: line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', "file: it is not JSON: line 2, column 6"),
        (b"\xff\xfe", "file: it is not UTF-8 text (byte 1); save it as UTF-8"),
        (b"[1, 2]", "file: it must be one JSON object: { ... }"),
        (b'{"a": {"b": 1, "b": 2}}', "file: an object names 'b' twice; leave one of the two"),
        (b'{"a": NaN}', "file: JSON has no number NaN"),
        (b'{"a": -Infinity}', "file: JSON has no number -Infinity"),
        (b"[" * 100_000, "file: it is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "file: it holds a number that is too long"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_place(content, fault):
    with pytest.raises(StudyFileError) as error:
        read(content)
    assert str(error.value.faults[0]).startswith(fault)


def test_a_mark_at_the_beginning_as_some_editors_write_it_is_no_fault():
    assert read(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_file_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr("annotation.studyfile.reading.MAX_BYTES", 10)
    with pytest.raises(StudyFileError, match="12 bytes; at most 10"):
        read(b'{"a": "bcd"}')


def test_what_cannot_be_stored_is_named_with_its_place_in_order():
    data = {"a": ["x", "\x00"], "b\x00": {"c": 1e999}, "d": "\ud800"}
    assert [fault.place for fault in find_unstorable(data)] == ["file", "a[1]", "b\x00.c", "d"]


def test_depth_has_a_limit():
    data = nested = {}
    for _ in range(MAX_DEPTH):
        nested["a"] = nested = {}
    (fault,) = find_unstorable(data)
    assert "nested too deeply" in fault.problem
