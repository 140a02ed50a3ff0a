import csv
import hashlib
import io
from datetime import UTC, datetime

import pyarrow.parquet
import pytest
from django.db import DataError, connection, transaction

from annotation.models import Annotation, Attempt, Enrollment, Outcome, PageVisit, Rater, StudyVersion
from annotation.tree.walk import CHOSEN
from modeling.export import rows, snapshot
from modeling.export.cells import guard
from modeling.export.pseudonyms import make_pseudonym
from modeling.export.tables import NEVER, TYPES, describe_loading_tables, describe_tables
from tests.factories import AnnotationFactory, StudyFactory, load_ten
from tests.modeling.export.studies import HOSTILE, enroll, export, make_full_study

pytestmark = pytest.mark.django_db
TABLES = describe_tables(load_ten().value_keys, (1, 5), 1)


@pytest.fixture
def study():
    return make_full_study()


def person_of(study):
    return study.enrollments.order_by("pk").first()


# --- what is in it -----------------------------------------------------------------------------


def test_every_table_is_there_as_csv_and_as_parquet_with_the_same_columns_and_rows(study):
    archive = export(study)
    for table in TABLES:
        cells, rows = archive.csv(table.name), archive.parquet(table.name)
        assert len(cells) == len(rows) > 0, table.name
        names = [column.name for column in table.columns]
        assert list(cells[0]) == list(rows[0]) == names


def test_a_chosen_an_implied_and_a_missing_rating_are_told_apart(study):
    rows = export(study).csv("ratings_long")
    assert [(row["status"], row["rating"], row["shown_rating"]) for row in rows[:3]] == [
        ("chosen", "3", "3"),
        ("implied", "1", ""),
        ("not_shown", "", ""),
    ]
    assert [row["value"] for row in rows] == list(study.value_keys)
    assert {row["study_version"] for row in rows} == {"1"} and {row["step"] for row in rows} == {"3"}


def test_the_wide_table_says_the_same_as_the_long_one(study):
    archive = export(study)
    (wide,) = archive.parquet("ratings_wide")
    for row in archive.parquet("ratings_long"):
        assert wide[f"rating_{row['value']}"] == row["rating"]
        assert wide[f"status_{row['value']}"] == row["status"]


def test_numbers_that_raters_saw_are_counted_from_where_the_scale_begins_for_them():
    study = make_full_study()
    study.value_system.scale_min, study.value_system.scale_max, study.value_system.shown_from = 1, 5, 11
    study.value_system.save()
    archive = export(study)
    assert archive.csv("ratings_long")[0]["shown_rating"] == "13"
    assert archive.csv("calibration_answers")[0]["shown_rating"] == "12"


def test_who_is_excluded_or_withdrew_is_there_and_marked(study):
    people = export(study).parquet("participants")
    assert [(row["outcome"], row["excluded"], row["included"]) for row in people] == [
        ("completed", False, True),
        ("completed", True, False),
        ("withdrew", False, False),
    ]
    assert people[1]["exclusion_reason"] == "plain"
    assert people[0]["n_annotations"] == 1 and people[0]["consented"] is True


def test_the_pilot_is_marked_and_does_not_count_and_a_rehearsal_is_in_no_file(study):
    pilot = enroll(study, "of-the-pilot", phase=Enrollment.Phase.PILOT)
    rehearsal = enroll(study, "rehearsal", phase=Enrollment.Phase.REHEARSAL, origin=Rater.Origin.TEST)
    post = study.posts.first()
    for enrollment in (pilot, rehearsal):
        AnnotationFactory(enrollment=enrollment, post=post)
    archive = export(study)
    (row,) = [row for row in archive.parquet("participants") if row["phase"] == "pilot"]
    assert row["included"] is False
    counted = {row["rater_id"]: row["included"] for row in archive.parquet("ratings_long")}
    assert counted[make_pseudonym(pilot.public_id)] is False
    assert make_pseudonym(rehearsal.public_id).encode() not in b"".join(archive.files.values())


def test_asked_for_those_who_count_it_holds_nobody_else(study):
    archive = export(study, scope="included")
    wanted = {make_pseudonym(person_of(study).public_id)}
    for table in TABLES:
        found = {row["rater_id"] for row in archive.csv(table.name) if "rater_id" in row}
        assert found <= wanted
    assert archive.csv("withdrawals") == []


def test_an_answer_that_was_declined_one_left_open_and_one_given_are_told_apart(study):
    rows = {row["item"]: row for row in export(study).parquet("questionnaire_answers")}
    assert [rows[item]["status"] for item in ("calm", "loud", "media", "words")] == [
        "declined", "answered", "left_open", "answered",
    ]  # fmt: skip
    assert rows["loud"]["number"] == 3 and rows["loud"]["answer"] == "3"
    assert rows["calm"]["answer"] is None and rows["calm"]["number"] is None


def test_a_scale_without_a_score_says_why(study):
    (row,) = export(study).parquet("scale_scores")
    assert row["score"] is None and "at least" in row["reason"] and row["n_answered"] == 1


def test_answers_to_an_older_version_of_a_questionnaire_are_not_called_left_open(study):
    response = person_of(study).questionnaire_responses.get()
    response.version, response.answers = 1, {"gone": "said", "several": ["a", "b"]}
    response.save()
    rows = export(study).csv("questionnaire_answers")
    assert [(row["item"], row["status"], row["answer"]) for row in rows] == [
        ("gone", "answered", "said"),
        ("several", "answered", '["a", "b"]'),
    ]


def test_a_page_visit_in_labeling_names_the_post_and_not_the_number_of_an_assignment(study):
    (visit,) = export(study).parquet("page_visits")
    assert visit["item"] == study.posts.order_by("pk").first().key
    assert (visit["viewport_width"], visit["n_changes"]) == (800, 1)
    assert 39 < visit["seconds"] < 60


def test_the_frozen_versions_are_there_and_the_current_one_is_the_study_file(study):
    archive = export(study)
    assert archive.json("study/study.json") == {"of": "plain"}
    assert archive.json("study/version_1.json")["digest"] == "0" * 64


def test_an_empty_study_gives_every_table_without_rows():
    study = StudyFactory(posts=0, questions=0, steps=())
    StudyVersion.objects.create(
        study=study, number=1, digest="", content={}, post_digests={}, code_version="1"
    )
    study.current_version = study.versions.get()
    study.save()
    archive = export(study)
    for table in TABLES:
        if table.name not in ("values", "versions"):
            assert archive.csv(table.name) == [] == archive.parquet(table.name)
    assert not [name for name in archive.files if name.startswith("for_load_study")]
    assert "there is nothing to load" in archive.text("README.md")


# --- codebook, README, checksums ---------------------------------------------------------------


def test_the_codebook_describes_every_column_of_every_file_in_order(study):
    archive = export(study)
    described = {}
    for row in csv.DictReader(io.StringIO(archive.text("codebook.csv"))):
        described.setdefault((row["folder"], row["table"]), []).append(row["column"])
        assert row["type"] in TYPES
        assert row["meaning"] and row["empty_means"]
    for name in archive.files:
        folder, _, file = name.rpartition("/")
        if file.endswith(".csv") and folder:
            header = archive.text(name).split("\n")[0].replace('"', "").split(",")
            group = "for_load_study" if folder == "for_load_study" else "csv and parquet"
            assert described[group, file.removesuffix(".csv")] == header


def test_the_readable_codebook_names_every_column_too(study):
    text = export(study).text("codebook.md")
    for table in (*TABLES, *describe_loading_tables((1, 5))):
        section = text.split(f"## {table.name}\n")[-1] if table in TABLES else text
        for column in table.columns:
            assert f"| `{column.name}` | {column.kind} |" in section


def test_a_code_names_its_values_and_what_is_never_empty_never_is(study):
    archive = export(study)
    for table in TABLES:
        for column in table.columns:
            if column.empty == NEVER:
                assert all(row[column.name] is not None for row in archive.parquet(table.name))


def test_parquet_files_carry_the_meaning_of_their_columns(study):
    schema = pyarrow.parquet.read_schema(io.BytesIO(export(study).files["parquet/participants.parquet"]))
    assert b"pseudonym" in schema.field("rater_id").metadata[b"meaning"]


def test_the_checksums_are_those_of_all_other_files(study):
    archive = export(study)
    lines = dict(reversed(line.split("  ")) for line in archive.text("checksums.sha256").splitlines())
    assert lines.keys() == archive.files.keys() - {"checksums.sha256"}
    for name, digest in lines.items():
        assert hashlib.sha256(archive.files[name]).hexdigest() == digest


def test_the_readme_states_the_counts_the_rule_and_a_methods_paragraph(study):
    text = export(study).text("README.md")
    assert "| came | 3 |" in text and "| **included in the measures** | **1** |" in text
    assert "everyone who completed the live study and is not excluded" in text
    assert "Of the ratings 1 were chosen, 8 are implied" in text
    assert "3 people came to the study, of whom 2 completed it." in text
    assert "They rated 1 of 3 posts" in text
    assert "Free text is exported as it was written" in text


def test_the_readme_warns_of_simulated_raters(study):
    assert "simulated" not in export(study).text("README.md").split("## What is in it")[0]
    enroll(study, "robot", origin=Rater.Origin.SIMULATED)
    assert "1 of the raters are simulated" in export(study).text("README.md")


def test_the_same_data_gives_the_same_files(study):
    moment = datetime(2026, 1, 31, 13, 45, tzinfo=UTC)
    assert export(study, moment=moment).content == export(study, moment=moment).content


def test_people_come_in_the_order_in_which_they_came_and_posts_in_that_of_the_study(study):
    posts = list(study.posts.filter(purpose="labeling").order_by("-pk"))
    second = study.enrollments.order_by("pk")[1]
    for post in posts:
        AnnotationFactory(enrollment=second, post=post)
    rows = export(study).csv("annotations")
    first = person_of(study)
    assert [(row["rater_id"], row["post_id"]) for row in rows] == [
        (make_pseudonym(first.public_id), posts[-1].key),
        *((make_pseudonym(second.public_id), post.key) for post in reversed(posts)),
    ]


# --- who is who --------------------------------------------------------------------------------


def test_nothing_in_the_archive_names_anybody_or_opens_a_page(study):
    content = b"".join(export(study).files.values())
    for enrollment in study.enrollments.select_related("rater"):
        for secret in (
            enrollment.rater.external_id,
            enrollment.rater.pseudonym,
            enrollment.rater.pseudonym.hex,
            enrollment.public_id,
            enrollment.public_id.hex,
            enrollment.prolific_session_id,
            "at-prolific",
            "DONE1111",
            "the-chief",  # who excluded them
        ):
            assert str(secret).encode() not in content


def test_one_person_has_other_names_in_other_studies_and_the_same_in_every_export(study):
    other = StudyFactory()
    other.current_version = StudyVersion.objects.create(
        study=other, number=1, digest="", content={}, post_digests={}, code_version="1"
    )
    other.save()
    rater = person_of(study).rater
    Enrollment.objects.create(study=other, rater=rater)
    here = export(study).csv("participants")[0]["rater_id"]
    assert here == export(study).csv("participants")[0]["rater_id"]
    assert here != export(other).csv("participants")[0]["rater_id"]


# --- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_raw_in_parquet_and_cannot_run_in_csv(text):
    archive = export(make_full_study(text))
    for table, column in (
        ("annotations", "rationale"),
        ("posts", "text"),
        ("posts", "context_text"),
        ("participants", "exclusion_reason"),
        ("gate_outcomes", "reason"),
        ("versions", "reason"),
    ):
        texts = [row[column] for row in archive.parquet(table)]
        assert text in texts
        assert guard(text) in [row[column] for row in archive.csv(table)]
    answers = {row["item"]: row["answer"] for row in archive.csv("questionnaire_answers")}
    assert answers["words"] == guard(text)


def test_no_cell_of_any_csv_file_begins_as_a_formula():
    study = make_full_study("=1+1")
    post = study.posts.order_by("pk").first()
    post.key = "@post"
    post.save()
    archive = export(study)
    for name in archive.files:
        if name.endswith(".csv"):
            folder, _, file = name.rpartition("/")
            if folder:
                for row in archive.csv(file.removesuffix(".csv"), folder):
                    assert not [cell for cell in row.values() if cell.startswith(tuple("=+@\t\r\n"))]
                    assert not [
                        cell for cell in row.values() if cell.startswith("-") and not _is_number(cell)
                    ]


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_what_no_file_can_hold_is_replaced_and_nothing_fails(study):
    person = person_of(study)
    if connection.vendor == "postgresql":  # which takes no half of a character in the first place
        with pytest.raises(DataError), transaction.atomic():
            Attempt.objects.filter(enrollment=person).update(answers={"a": "half \ud83d"})
        return
    Attempt.objects.filter(enrollment=person).update(answers={"a": "half \ud83d"})
    PageVisit.objects.filter(enrollment=person).update(client={"changes": [[1, "x\ud83d"]]})
    archive = export(study)
    assert archive.parquet("gate_attempts")[0]["answers"] == '{"a": "half \ufffd"}'
    assert archive.parquet("page_changes")[0]["field"] == "x\ufffd"
    for name, content in archive.files.items():
        if not name.endswith(".parquet"):
            assert b"\x00" not in content
            content.decode()


def test_a_huge_rationale_comes_through_whole(study):
    rationale = 'long, "and" = wide\n' * 60_000
    Annotation.objects.filter(enrollment__study=study).update(rationale=rationale)
    archive = export(study)
    assert archive.parquet("annotations")[0]["rationale"] == rationale
    before = csv.field_size_limit(10**8)
    try:
        assert archive.csv("annotations")[0]["rationale"] == rationale
    finally:
        csv.field_size_limit(before)


def test_many_people_and_many_posts_come_through_in_pieces(study, monkeypatch):
    monkeypatch.setattr(snapshot, "PEOPLE_AT_ONCE", 2)
    monkeypatch.setattr(rows, "ROWS_AT_ONCE", 3)
    posts = list(study.posts.order_by("pk"))
    for number in range(5):
        person = enroll(study, f"more-{number}")
        for post in posts:
            AnnotationFactory(
                enrollment=person, post=post, ratings=(number % 5 + 1,) * 10, codes=(CHOSEN,) * 10
            )
    whole = export(study)
    rows_found = whole.parquet("ratings_long")
    assert len(rows_found) == 10 * Annotation.objects.filter(enrollment__study=study).count()
    assert len({(row["rater_id"], row["post_id"], row["value"]) for row in rows_found}) == len(rows_found)
    assert whole.parquet("participants")[-1]["n_annotations"] == len(posts)


def test_progress_goes_from_nothing_to_all_and_never_back(study):
    seen = []
    export(study, report=lambda done, total, note: seen.append((done, total, note)))
    done = [each[0] for each in seen]
    assert done == sorted(done) and done[0] == 0 and done[-1] <= seen[-1][1]
    assert {note for *_, note in seen} >= {table.name for table in TABLES}


def test_the_outcomes_named_in_the_codebook_are_those_there_are():
    columns = {column.name: column for table in TABLES for column in table.columns}
    for outcome in Outcome.values:
        assert outcome in columns["outcome"].values
