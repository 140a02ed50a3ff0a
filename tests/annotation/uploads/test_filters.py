import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.uploads.filters import (
    REASON_LABELS,
    REPORT_COLUMNS,
    Filters,
    Reason,
    Refusal,
    Report,
    Sieve,
    digest_text,
    make_harmless,
)
from annotation.uploads.mapping import ColumnMap, Role
from annotation.uploads.reading import FileRefused, Row

COLUMNS = ColumnMap({"id": Role.KEY, "text": Role.TEXT, "other": Role.CONTEXT_TEXT, "lang": Role.LANGUAGE})


def sift(*cells, known_keys=(), known_texts=(), detect=lambda text: "en", **filters):
    """What becomes of rows: keys of posts, reasons of refusals."""
    sieve = Sieve(COLUMNS, Filters(**filters), known_keys=known_keys, known_texts=known_texts, detect=detect)
    results = []
    for number, each in enumerate(cells, start=1):
        row = each if isinstance(each, Row) else Row(number, number + 1, {"id": f"k{number}"} | each)
        result = sieve.sift(row)
        results.append(result.reason if isinstance(result, Refusal) else result.key)
    return results


def test_sound_rows_become_posts_in_their_order():
    assert sift({"text": "a"}, {"text": "b"}) == ["k1", "k2"]


def test_a_faulty_row_is_refused_and_the_others_are_not():
    assert sift({"text": "a"}, Row(2, 3, fault="broken", raw="2;x"), {"text": "b"}) == [
        "k1",
        Reason.UNREADABLE,
        "k3",
    ]


def test_empty_texts_are_always_refused():
    assert sift({"text": " \n"}, {"text": None}, {}, drops_repeated=False) == [Reason.EMPTY] * 3


def test_lengths_count_characters_and_both_ends_are_kept():
    texts = [{"text": "x" * n} for n in (1, 2, 4, 5)]
    assert sift(*texts, least=2, most=4) == [Reason.SHORT, "k2", "k3", Reason.LONG]


# --- repeated texts -------------------------------------------------------------------------------


def test_a_text_that_differs_in_case_spacing_or_form_alone_is_repeated():
    assert sift({"text": "Gruß  an\nalle"}, {"text": "GRUSS an alle"}, {"text": "Gruß an alle ..."}) == [
        "k1",
        Reason.REPEATED,
        "k3",
    ]


def test_the_context_counts():
    assert sift(
        {"text": "yes", "other": "A?"}, {"text": "yes", "other": "B?"}, {"text": "yes", "other": "a?"}
    ) == [
        "k1",
        "k2",
        Reason.REPEATED,
    ]


def test_repeated_texts_can_be_kept():
    known = {digest_text("a")}
    assert sift({"text": "a"}, {"text": "a"}, known_texts=known, drops_repeated=False) == ["k1", "k2"]


def test_texts_of_the_study_are_repeated_too():
    assert sift({"text": "A"}, {"text": "b"}, known_texts={digest_text("a")}) == [Reason.IN_STUDY, "k2"]


def test_a_text_whose_first_row_was_refused_is_not_repeated():
    assert sift({"text": "a", "lang": "de"}, {"text": "a", "lang": "en"}, languages=("en",)) == [
        Reason.LANGUAGE,
        "k2",
    ]


@given(st.text(), st.text())
def test_normalising_again_changes_no_digest(text, context):
    assert digest_text(text.upper().lower(), context) == digest_text(f" {text.upper().lower()}\t", context)


# --- keys -----------------------------------------------------------------------------------------


def test_one_key_for_two_texts_refuses_the_file():
    with pytest.raises(FileRefused, match="Line 3: row 2 has the key 'x' of row 1 and another text"):
        sift({"id": "x", "text": "a"}, {"id": "x", "text": "b"})


def test_one_key_for_the_same_text_refuses_the_row():
    assert sift({"id": "x", "text": "a"}, {"id": "x", "text": "A"}, drops_repeated=False) == [
        "x",
        Reason.REPEATED,
    ]


def test_the_key_of_a_refused_row_is_taken_nevertheless():
    with pytest.raises(FileRefused, match="another text"):
        sift({"id": "x", "text": ""}, {"text": "z"}, {"id": "x", "text": "b"})


def test_a_faulty_row_in_between_does_not_move_the_keys():
    assert sift({"id": "x", "text": "a"}, Row(2, 3, fault="broken"), {"id": "x", "text": "a"}) == [
        "x",
        Reason.UNREADABLE,
        Reason.REPEATED,
    ]


def test_a_key_of_the_study_refuses_the_file_unless_its_row_is_to_be_left_out():
    with pytest.raises(FileRefused, match="'k2', which a post of the study has already"):
        sift({"text": "a"}, {"text": "b"}, known_keys={"k2"})
    assert sift({"text": "a"}, {"text": "b"}, known_keys={"k2"}, skips_known_keys=True) == [
        "k1",
        Reason.KNOWN_KEY,
    ]


# --- languages ------------------------------------------------------------------------------------


def test_the_file_s_language_goes_before_the_detected_one():
    rows = ({"text": "a", "lang": "de"}, {"text": "b", "lang": ""}, {"text": "c", "lang": "English"})
    assert sift(*rows, languages=("en",)) == [Reason.LANGUAGE, "k2", "k3"]


@pytest.mark.parametrize(("keeps", "found"), [(True, "k1"), (False, Reason.UNKNOWN_LANGUAGE)])
def test_unknown_languages_are_kept_or_not(keeps, found):
    assert sift({"text": "a"}, detect=lambda text: "unknown", languages=("en",), keeps_unknown=keeps) == [
        found
    ]


def test_without_wanted_languages_all_are_kept():
    assert sift({"text": "a"}, detect=lambda text: "unknown", keeps_unknown=False) == ["k1"]


def test_no_language_is_looked_for_in_what_is_refused_anyway():
    def detect(text):
        raise AssertionError(text)

    assert sift({"text": "ab"}, least=5, detect=detect) == [Reason.SHORT]


def test_the_sieve_counts_what_it_did_and_notes_languages():
    sieve = Sieve(COLUMNS, Filters(), detect=lambda text: "sv")
    post = sieve.sift(Row(1, 2, {"id": "a", "text": "hej", "likes": 1}))
    sieve.sift(Row(2, 3, {"id": "b", "text": ""}))
    assert post.metadata == {"likes": 1, "language": "sv"}
    assert (sieve.n_rows, sieve.n_kept) == (2, 1)
    assert (dict(sieve.refused), dict(sieve.languages)) == ({Reason.EMPTY: 1}, {"sv": 1})


def test_filters_survive_being_stored():
    filters = Filters(False, ("en", "de"), False, 3, 40, True)
    assert Filters.from_dict(filters.to_dict()) == filters
    assert Filters.from_dict({}) == Filters()


# --- the report -----------------------------------------------------------------------------------


def test_every_reason_has_words():
    assert set(REASON_LABELS) == set(Reason)


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "＝1", "|calc", "%0"]
)
def test_no_cell_is_a_formula(cell):
    assert make_harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "plain", "1=1", "a-b", "'=1"])
def test_harmless_cells_stay(cell):
    assert make_harmless(cell) == cell


@given(st.text(), st.text(max_size=20))
def test_the_report_is_csv_that_runs_nothing(text, key):
    file = io.StringIO(newline="")
    report = Report(file)
    sieve = Sieve(COLUMNS, Filters(least=10_000))
    refusal = sieve.sift(Row(1, 2, {"id": key, "text": f"={text}"}))
    report.add(refusal)
    header, cells = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert tuple(header) == REPORT_COLUMNS
    assert all(not cell.startswith(("=", "+", "-", "@")) for cell in cells)
    file.getvalue().encode()


def test_a_report_tells_where_and_why():
    sieve = Sieve(COLUMNS, Filters(least=10))
    refusal = sieve.sift(Row(4, 9, {"id": "p4", "text": "short"}))
    assert refusal.to_cells() == [
        "4",
        "9",
        "p4",
        "The text is too short",
        "5 characters; 10 are asked for at least",
        "short",
    ]
