"""Files of ratings: what is read from them, and what is said of their faults."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from modeling.errors import ImportRefused
from modeling.imports import StudyImport, make_key, read_study

HEADER = "rater_id,post_id,value,rating\n"
RATINGS = HEADER + "r2,p1,joy,3\nr1,p2,fear,1\nr1,p1,joy,5\nr1,p1,fear,2\n"


def write(folder: Path, **files: str | bytes) -> dict[str, Path]:
    """Write each text as <name>.csv; the paths by name, as `read_study` takes them."""
    paths = {name: folder / f"{name}.csv" for name in files}
    for name, content in files.items():
        paths[name].write_bytes(content if isinstance(content, bytes) else content.encode())
    return paths


def read(folder: Path, *, text_column: str = "", **files: str | bytes) -> StudyImport:
    return read_study(scale=(1, 5), text_column=text_column, **write(folder, **files))  # type: ignore[arg-type]


def faults(folder: Path, *, text_column: str = "", **files: str | bytes) -> list[str]:
    with pytest.raises(ImportRefused) as refused:
        read(folder, text_column=text_column, **files)
    return refused.value.faults


def long_form(data: StudyImport) -> set[tuple[str, str, str, int]]:
    table = data.ratings
    return {
        (data.rater_ids[rater], data.posts[post].key, data.values[value].name, int(rating))
        for rater, post, value, rating in zip(
            table.raters, table.posts, table.values, table.ratings, strict=True
        )
    }


def test_ratings_come_out_sorted_with_their_gaps_counted(tmp_path: Path) -> None:
    data = read(tmp_path, ratings=RATINGS)
    assert data.rater_ids == ("r1", "r2")
    assert [post.key for post in data.posts] == ["p1", "p2"]
    assert [value.name for value in data.values] == ["fear", "joy"]
    assert long_form(data) == {
        ("r1", "p1", "fear", 2),
        ("r1", "p1", "joy", 5),
        ("r1", "p2", "fear", 1),
        ("r2", "p1", "joy", 3),
    }
    assert data.ratings.annotation_starts.tolist() == [0, 2, 3, 4]
    assert (data.n_annotations, data.n_gaps, len(data.ratings)) == (3, 2, 4)


def test_item_id_and_dimension_are_taken_for_post_id_and_value(tmp_path: Path) -> None:
    other = RATINGS.replace("post_id", "item_id").replace("value", "dimension")
    assert read(tmp_path, ratings=other).digest == read(tmp_path, ratings=RATINGS).digest


def test_the_order_of_lines_and_columns_plays_no_part(tmp_path: Path) -> None:
    first, *lines = RATINGS.splitlines()
    random.Random(3).shuffle(lines)
    turned = "\n".join(",".join(reversed(line.split(","))) for line in [first, *lines])
    posts = "post_id,text\np1,One\np2,Two\n"
    swapped = "text,post_id\nTwo,p2\nOne,p1\n"
    assert (
        read(tmp_path, ratings=turned, posts=swapped).digest
        == read(tmp_path, ratings=RATINGS, posts=posts).digest
    )


@pytest.mark.parametrize(
    ("old", "new"), [("r1,p1,joy,5", "r1,p1,joy,4"), ("r2,p1", "r3,p1"), ("fear", "dread"), ("p2", "p3")]
)
def test_other_ratings_have_another_digest(tmp_path: Path, old: str, new: str) -> None:
    assert read(tmp_path, ratings=RATINGS.replace(old, new)).digest != read(tmp_path, ratings=RATINGS).digest


def test_other_texts_and_another_scale_have_another_digest(tmp_path: Path) -> None:
    digests = {
        read(tmp_path, ratings=RATINGS).digest,
        read(tmp_path, ratings=RATINGS, posts="post_id,text\np1,One\np2,Two\n").digest,
        read(tmp_path, ratings=RATINGS, posts="post_id,text\np1,One\np2,Three\n").digest,
        read_study(tmp_path / "ratings.csv", scale=(1, 6)).digest,
    }
    assert len(digests) == 4


def test_values_named_by_whole_numbers_stand_in_numeric_order(tmp_path: Path) -> None:
    lines = "".join(f"r1,p1,{name},1\n" for name in (10, 9, 2))
    assert [value.name for value in read(tmp_path, ratings=HEADER + lines).values] == ["2", "9", "10"]


def test_other_names_stand_in_alphabetical_order(tmp_path: Path) -> None:
    lines = "".join(f"r1,p1,{name},1\n" for name in ("b", "C", "a", "10", "9"))
    assert [value.name for value in read(tmp_path, ratings=HEADER + lines).values] == [
        "10",
        "9",
        "a",
        "b",
        "C",
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("joy", "joy"),
        ("Self-direction: thought", "self-direction_thought"),
        ("Générosité", "generosite"),
        ("_x_", "x"),
        ("喜び", ""),
    ],
)
def test_a_key_keeps_what_can_be_kept_of_a_name(name: str, key: str) -> None:
    assert make_key(name) == key


def test_a_rating_may_be_written_with_a_decimal_point_sign_or_spaces(tmp_path: Path) -> None:
    data = read(tmp_path, ratings=HEADER + "r1,p1,a,5.0\nr1,p1,b,+4\nr1,p1,c, 3 \nr1,p1,d,2.\n")
    assert data.ratings.ratings.tolist() == [5, 4, 3, 2]


def test_spaces_around_ids_and_column_names_do_not_matter(tmp_path: Path) -> None:
    spaced = RATINGS.replace(",", " , ")
    assert read(tmp_path, ratings=spaced).digest == read(tmp_path, ratings=RATINGS).digest


@pytest.mark.parametrize("newline", ["\r\n", "\r"], ids=["windows", "old mac"])
def test_a_byte_order_mark_blank_lines_and_any_line_ending_are_fine(tmp_path: Path, newline: str) -> None:
    content = b"\xef\xbb\xbf" + (RATINGS + "\n\n").replace("\n", newline).encode()
    assert read(tmp_path, ratings=content).digest == read(tmp_path, ratings=RATINGS).digest


def test_columns_of_the_ratings_that_are_not_used_are_named(tmp_path: Path) -> None:
    data = read(tmp_path, ratings="rater_id,post_id,value,rating,seconds,device\nr1,p1,joy,5,12,phone\n")
    assert data.notes == ("ratings.csv: not used: seconds, device",)


def test_posts_carry_text_context_and_everything_else_as_metadata(tmp_path: Path) -> None:
    posts = (
        'post_id,text,context_kind,context_text,likes\np1,"One, ""two""\nthree",Reply,Asked,7\np2,Alone,,,\n'
    )
    first, second = read(tmp_path, ratings=RATINGS, posts=posts).posts
    assert (first.text, first.context_kind, first.context_text) == ('One, "two"\nthree', "reply", "Asked")
    assert (second.text, second.context_kind, second.context_text) == ("Alone", "", "")
    assert (first.metadata, second.metadata) == ({"likes": "7"}, {"likes": ""})


def test_a_post_that_nobody_rated_is_kept_and_counted(tmp_path: Path) -> None:
    data = read(tmp_path, ratings=RATINGS, posts="post_id,text\np1,One\np2,Two\np3,Three\n")
    assert [post.key for post in data.posts] == ["p1", "p2", "p3"]
    assert data.n_unrated_posts == 1


def test_a_missing_text_column_is_said_with_what_there_is(tmp_path: Path) -> None:
    data = read(tmp_path, ratings=RATINGS, posts="item_id,original,simple\np1,A,B\np2,C,D\n")
    assert not data.has_texts
    assert data.posts[0].metadata == {"original": "A", "simple": "B"}
    (note,) = data.notes
    assert "posts have no text column: posts.csv has original, simple; name one with --text-column" in note


def test_the_text_column_can_be_named(tmp_path: Path) -> None:
    posts = "item_id,text,simple\np1,A,B\np2,C,D\n"
    data = read(tmp_path, ratings=RATINGS, posts=posts, text_column="simple")
    assert [(post.text, post.metadata) for post in data.posts] == [("B", {"text": "A"}), ("D", {"text": "C"})]


def test_empty_texts_are_allowed_and_counted(tmp_path: Path) -> None:
    data = read(tmp_path, ratings=RATINGS, posts='post_id,text\np1,One\np2,"  "\n')
    assert data.n_texts == 1
    assert data.notes == ("posts.csv: the text of 1 of 2 posts is empty",)


def test_every_bad_line_is_named_with_its_number_and_reason(tmp_path: Path) -> None:
    lines = [
        "r1,p1,joy,3",  # 2
        "r1,p1,joy,4",  # 3: repeated
        "r1,p1,fear,6",  # 4: outside
        "r1,p1,fear,2.5",  # 5: no whole number
        "r1,p1,fear,",  # 6: empty rating
        ",p1,,3",  # 7: empty ids
        "r1,p1,joy",  # 8: short
        "r1,p1,joy,3,4",  # 9: long
        "",  # 10: blank, passed over
        f"{'r' * 151},p1,joy,3",  # 11: long id
        f"r1,{'p' * 201},joy,3",  # 12: long id
        'r1,"p1"x,joy,3',  # 13: no CSV
        "r1,p1,joy," + "9" * 60,  # 14: far outside
    ]
    found = faults(tmp_path, ratings=HEADER + "\n".join(lines) + "\n")
    expected = [
        (3, "in line 2 already"),
        (4, "the rating 6 is outside the scale 1 to 5"),
        (5, "'2.5' is not a whole number"),
        (6, "the rating is empty"),
        (7, "rater_id and value is empty"),
        (8, "has 3 columns where the first line has 4"),
        (9, "has 5 columns where the first line has 4"),
        (11, "has 151 characters; use at most 150"),
        (12, "has 201 characters; use at most 200"),
        (13, "cannot be read as CSV"),
        (14, "is outside the scale"),
    ]
    assert len(found) == len(expected)
    for fault, (line, reason) in zip(found, expected, strict=True):
        assert fault.startswith(f"ratings.csv, line {line}: ")
        assert reason in fault


def test_lines_are_counted_through_texts_that_go_over_several(tmp_path: Path) -> None:
    posts = 'post_id,text\np1,"One\ntwo\nthree"\np2,Two\np3,Three,too much\n'
    (fault,) = faults(tmp_path, ratings=RATINGS, posts=posts)
    assert fault.startswith("posts.csv, line 6: has 3 columns")


def test_a_quotation_mark_that_is_never_closed_is_named_where_it_stands(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, ratings=HEADER + 'r1,p1,joy,1\nr1,"p2,joy,1\nr1,p3,joy,1\n')
    assert fault.startswith("ratings.csv, line 3: cannot be read as CSV")


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path: Path) -> None:
    found = faults(tmp_path, ratings=RATINGS.encode() + b"r3,p\xe9,joy,1\nr3,p\x001,joy,1\nr3,p9,joy,9\n")
    assert [fault.split(";")[0] for fault in found] == [
        "ratings.csv, line 6: is not UTF-8",
        "ratings.csv, line 7: contains a NUL character",
        "ratings.csv, line 8: the rating 9 is outside the scale 1 to 5",
    ]


def test_a_file_in_utf16_is_one_fault(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, ratings=RATINGS.encode("utf-16"))
    assert "line 1: is not UTF-8" in fault


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        (HEADER, "holds no line under its header"),
        ("rater_id,post_id,rating\nr1,p1,1\n", "line 1: has no column value or dimension"),
        ("rater_id,post_id,value,rating,rating\n", "has 2 columns named 'rating'"),
        ("rater_id,post_id,item_id,value,rating\nr,p,p,v,1\n", "post_id and item_id, which mean the same"),
        (",rater_id,post_id,value,rating\n", "column 1 has no name"),
        ("rater_id;post_id;value;rating\nr1;p1;joy;1\n", "separate the columns by commas"),
    ],
)
def test_a_bad_header_is_one_fault_that_says_how_to_mend_it(
    tmp_path: Path, content: str, reason: str
) -> None:
    (fault,) = faults(tmp_path, ratings=content)
    assert reason in fault


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"none\.csv: cannot be read \(No such file"):
        read_study(tmp_path / "none.csv", scale=(1, 5))


@pytest.mark.parametrize("scale", [(5, 1), (3, 3), (0, 40_000)])
def test_a_scale_that_cannot_be_stored_is_refused(tmp_path: Path, scale: tuple[int, int]) -> None:
    with pytest.raises(ImportRefused, match="The scale"):
        read_study(write(tmp_path, ratings=RATINGS)["ratings"], scale=scale)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Joy!", "has the same key 'joy' as the value 'joy'"), ("???", "no letter"), ("None", "is reserved")],
)
def test_a_value_that_gets_no_key_of_its_own_is_a_fault(tmp_path: Path, name: str, reason: str) -> None:
    (fault,) = faults(tmp_path, ratings=RATINGS + f"r9,p1,{name},1\nr8,p1,{name},1\n")
    assert fault.startswith("ratings.csv, line 6: ")
    assert reason in fault


def test_a_column_of_values_with_endless_names_is_questioned(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, ratings=HEADER + "".join(f"r1,p1,v{n},1\n" for n in range(1001)))
    assert "1001 different names" in fault


def test_ratings_of_posts_that_the_posts_file_lacks_are_faults(tmp_path: Path) -> None:
    found = faults(tmp_path, ratings=RATINGS, posts="post_id\np2\n")
    assert [fault.split(":")[0] for fault in found] == [f"ratings.csv, line {line}" for line in (2, 4, 5)]
    assert "post 'p1' is not in posts.csv" in found[0]


def test_bad_posts_are_named_and_do_not_make_ratings_look_bad(tmp_path: Path) -> None:
    posts = (
        "post_id,text,context_kind,context_text\n"
        "p1,One,answer,Asked\np2,Two,reply,\np2,Again,,\n,Nobody,,\np4,Four,,Asked\n"
    )
    found = faults(tmp_path, ratings=RATINGS, posts=posts)
    assert [fault.split(":")[0] for fault in found] == [f"posts.csv, line {line}" for line in range(2, 7)]
    assert "context_kind 'answer' is unknown" in found[0]
    assert "post 'p2' is in line 3 already" in found[2]


@pytest.mark.parametrize(
    ("posts", "text_column", "reason"),
    [
        ("post_id,body\np1,One\np2,Two\n", "txt", "has no column 'txt', only post_id, body"),
        ("post_id,body\np1,One\np2,Two\n", "post_id", "is the posts' id"),
        (
            "post_id,context_text\np1,One\np2,Two\n",
            "",
            "only one of the columns context_kind and context_text",
        ),
        ("id,text\np1,One\np2,Two\n", "", "has no column post_id or item_id"),
    ],
)
def test_a_bad_header_of_the_posts_is_one_fault(
    tmp_path: Path, posts: str, text_column: str, reason: str
) -> None:
    (fault,) = faults(tmp_path, ratings=RATINGS, posts=posts, text_column=text_column)
    assert fault.startswith("posts.csv, line 1: ")
    assert reason in fault


def test_a_text_column_without_posts_is_refused(tmp_path: Path) -> None:
    assert "no file of posts" in faults(tmp_path, ratings=RATINGS, text_column="body")[0]


def test_faults_of_all_files_come_together(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        ratings=HEADER + "r1,p1,joy,9\n",
        posts="post_id\np1\np1\n",
        raters="rater_id,age\nr1,3\nr1,4\n",
        calibration=HEADER + "r1,c1,joy,0\n",
    )
    assert [fault.split(",")[0] for fault in found] == [
        "posts.csv",
        "ratings.csv",
        "calibration.csv",
        "raters.csv",
    ]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    posts = write(tmp_path / "a", ratings="post_id\n\n,\n")["ratings"]
    with pytest.raises(ImportRefused) as refused:
        read_study(write(tmp_path, ratings=RATINGS)["ratings"], scale=(1, 5), posts=posts)
    assert refused.value.faults[0].startswith(f"{posts}, line 3: ")


def test_what_is_known_of_raters_is_kept_by_column(tmp_path: Path) -> None:
    raters = "rater_id,Home town,1st language\nr2,Oslo,\nr1,,English\nr9,Rome,Italian\n"
    data = read(tmp_path, ratings=RATINGS, raters=raters)
    assert data.rater_columns == (("home_town", "Home town"), ("column_1st_language", "1st language"))
    assert data.rater_answers == {0: {"column_1st_language": "English"}, 1: {"home_town": "Oslo"}}
    assert data.n_unknown_raters == 1


@pytest.mark.parametrize(
    ("raters", "reason"),
    [
        ("rater_id,age\nr1,3\nr1,4\n", "line 3: rater 'r1' is in line 2 already"),
        ("rater_id,age\n,3\n", "line 2: rater_id is empty"),
        ("rater_id\nr1\n", "line 1: has no column beside rater_id"),
        ("rater_id,a b,A-B\nr1,3,4\n", "line 1: column 'A-B' has the same key 'a_b'"),
        ("person,age\nr1,4\n", "line 1: has no column rater_id"),
    ],
)
def test_a_fault_of_the_raters_file_is_named(tmp_path: Path, raters: str, reason: str) -> None:
    (fault,) = faults(tmp_path, ratings=RATINGS, raters=raters)
    assert reason in fault


def test_calibration_questions_keep_the_order_in_which_they_first_appear(tmp_path: Path) -> None:
    calibration = HEADER + "r1,c2,joy,1\nr1,c1,fear,2\nr2,c2,joy,3\nr1,c2,fear,4\n"
    data = read(tmp_path, ratings=RATINGS, calibration=calibration)
    named = [(data.posts[post].key, data.values[value].name) for post, value in data.questions]
    assert named == [("c2", "joy"), ("c1", "fear"), ("c2", "fear")]
    assert (len(data.answers), data.n_missing_answers, data.n_unrated_posts) == (4, 2, 0)


def test_calibration_that_does_not_fit_the_ratings_is_named(tmp_path: Path) -> None:
    calibration = HEADER + "r1,p1,joy,1\nr9,c1,joy,1\nr1,c1,pride,1\nr1,c1,joy,1\nr1,c9,joy,1\n"
    posts = "post_id\np1\np2\nc1\n"
    found = faults(tmp_path, ratings=RATINGS, calibration=calibration, posts=posts)
    reasons = [
        "line 2: post 'p1' is rated in ratings.csv too",
        "line 3: rater 'r9' has no rating in ratings.csv",
        "line 4: value 'pride' is not among the values of ratings.csv",
        "line 6: post 'c9' is not in posts.csv",
    ]
    assert len(found) == len(reasons)
    assert all(reason in fault for reason, fault in zip(reasons, found, strict=True))


def test_a_large_random_table_comes_out_as_it_went_in(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cells = rng.permutation(20 * 30 * 4)[:1500]
    rows = [
        (f"r{cell // 120}", f"p{cell // 4 % 30}", "abcd"[cell % 4], int(rng.integers(1, 6))) for cell in cells
    ]
    data = read(tmp_path, ratings=HEADER + "".join(f"{r},{p},{v},{n}\n" for r, p, v, n in rows))
    assert long_form(data) == set(rows)
    assert data.n_annotations == len({row[:2] for row in rows})
