import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import storages

from annotation.errors import Refused
from annotation.models import Post, PostUpload, Study, StudyEvent, StudyVersion
from annotation.services import uploads
from annotation.uploads.filters import Filters
from annotation.uploads.mapping import Role
from calibration.models import CalibrationQuestion
from jobs.services import run_here
from tests.annotation.post_files import load, make_study, store, write_csv
from tests.factories import AnnotationFactory, EnrollmentFactory, PostFactory, StepFactory

pytestmark = pytest.mark.django_db
State = PostUpload.State


@pytest.fixture
def study():
    return make_study()


@pytest.fixture(autouse=True)
def artefacts(settings, tmp_path):
    """An artefact storage of its own; returns the names of the files in it."""
    settings.STORAGES = settings.STORAGES | {
        "artefacts": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        }
    }
    return lambda: sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def read_report(upload):
    with uploads.open_report(upload) as file:
        return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline="")))


# --- keeping --------------------------------------------------------------------------------------


def test_a_file_is_kept_with_its_hash_and_guesses(study, artefacts):
    actor = get_user_model().objects.create_user("ann")
    upload = store(study, name="a b.csv", actor=actor)
    assert (upload.state, upload.name, upload.uploaded_by) == (State.MAPPING, "a b.csv", "ann")
    assert len(upload.sha256) == 64
    assert artefacts() == [f"{upload.sha256[:16]}.csv"]
    assert uploads.get_settings(upload).columns.roles == {
        "id": Role.KEY,
        "text": Role.TEXT,
        "feed": Role.SOURCE,
        "likes": Role.METADATA,
    }
    assert not Post.objects.exists()


def test_the_columns_keep_their_order(study):
    upload = store(study, b"text,zz,a,bbb\nhello,1,2,3\n")
    upload.refresh_from_db()
    assert list(uploads.get_settings(upload).columns.roles) == ["text", "zz", "a", "bbb"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04xxxx"])
def test_what_cannot_be_read_is_not_kept(study, artefacts, content):
    with pytest.raises(Refused):
        store(study, content)
    assert (PostUpload.objects.count(), artefacts()) == (0, [])


def test_a_file_that_is_too_large_is_refused_in_words(study, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 20)
    with pytest.raises(Refused, match="at most 0 MB are taken. Compress it"):
        store(study)


def test_a_closed_study_takes_none():
    with pytest.raises(Refused, match="closed"):
        store(make_study(Study.State.CLOSED))


def test_the_same_file_is_refused_in_its_study_alone(study, artefacts):
    load(study)
    with pytest.raises(Refused, match="was loaded into this study already"):
        store(study)
    assert len(artefacts()) == 1
    assert store(make_study()).state == State.MAPPING


def test_the_same_file_that_waits_is_pointed_at(study):
    store(study)
    with pytest.raises(Refused, match="waits for its columns"):
        store(study, name="again.csv")


def test_a_file_s_name_may_be_strange(study):
    upload = store(study, name="a\x00\n\ud800" + "x" * 300 + ".csv")
    upload.refresh_from_db()
    assert upload.name.endswith(".csv")
    assert len(upload.name) == 200


# --- preview --------------------------------------------------------------------------------------


def test_the_preview_tells_what_would_become_of_rows_and_writes_nothing(study):
    PostFactory(study=study, key="old", text="Text of old")
    content = b"id,text\n1,some words\n2,\n3,Some  words\n4,text OF old\n"
    preview = uploads.preview_upload(store(study, content))
    assert preview.columns == ["id", "text"]
    assert [each.refusal and each.refusal.reason for each in preview.rows] == [
        None,
        "empty",
        "repeated",
        "in_study",
    ]
    assert preview.refused == [
        ("The text is empty", 1, [2]),
        ("The same text is in an earlier row", 1, [3]),
        ("The same text is in the study", 1, [4]),
    ]
    assert (preview.n_kept, preview.problem, preview.faults) == (1, "", [])
    assert Post.objects.count() == 1


def test_the_preview_looks_at_the_first_rows_alone(study):
    upload = store(study, write_csv(8))
    assert len(uploads.preview_upload(upload, n_rows=3).rows) == 3


def test_the_preview_tells_what_would_refuse_the_file(study):
    upload = store(study, b'id,text\n1,"a"\n2,"b\n')
    preview = uploads.preview_upload(upload)
    assert preview.problem.startswith("Line 3: a quotation mark is opened")
    assert not preview.is_readable
    PostFactory(study=study, key="p2")
    preview = uploads.preview_upload(store(study))
    assert "'p2', which a post of the study has already" in preview.problem
    assert preview.is_readable


def test_the_preview_survives_a_file_that_is_gone(study):
    upload = store(study)
    storages["artefacts"].delete(upload.stored_as)
    assert "upload it again" in uploads.preview_upload(upload).problem


def test_another_layout_guesses_anew_and_the_same_one_does_not(study):
    upload = store(study, b"id;text\n1;a, b\n")
    layout = uploads.get_settings(upload).layout
    uploads.describe_upload(upload, roles={"id": Role.LEFT_OUT, "text": Role.TEXT})
    same = uploads.describe_upload(upload, layout=layout)
    assert uploads.get_settings(same).columns.roles["id"] == Role.LEFT_OUT
    other = uploads.describe_upload(upload, layout=replace(layout, delimiter=","))
    assert list(uploads.get_settings(other).columns.roles) == ["id;text"]


# --- loading --------------------------------------------------------------------------------------


def test_a_file_becomes_posts_with_all_that_is_known_of_them(study):
    content = (
        "id;body;kind;other;feed;user;when\n"
        "1;Grüße an alle Leute in dieser schönen Stadt;reply;Was gibt es?;home;ann;2024\n"
    ).encode("cp1252")
    upload = load(study, content, source="unused")
    assert upload.state == State.LOADED
    post = Post.objects.get()
    assert (post.study, post.key, post.purpose) == (study, "1", Post.Purpose.LABELING)
    assert post.text == "Grüße an alle Leute in dieser schönen Stadt"
    assert post.metadata == {
        "source": "home",
        "author": "ann",
        "kind": "reply",
        "other": "Was gibt es?",
        "when": "2024",
        "language": "de",
        "upload": uploads.get_mark(upload),
    }
    roles = {"body": Role.TEXT, "kind": Role.CONTEXT_KIND, "other": Role.CONTEXT_TEXT}
    load(study, content + b"2;b;quote;c;d;e;f\n", roles=roles)
    post = Post.objects.get(text="b")
    assert (post.context_kind, post.context_text, post.key[:7]) == ("quote", "c", "upload-")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_posts_keep_the_order_of_the_file(study, pack, monkeypatch):
    monkeypatch.setattr(uploads, "BATCH", 2)
    load(study, pack(write_csv(7)))
    assert list(study.posts.order_by("pk").values_list("key", flat=True)) == [f"p{i}" for i in range(1, 8)]


def test_refused_rows_are_counted_and_reported(study):
    content = write_csv(2) + write_csv(1, "de", begin=3) + b"p9,,home,1\np10,=cmd,home\n"
    upload = load(study, content.replace(b"\nid,text,feed,likes", b""), filters=Filters(languages=("en",)))
    assert upload.counts == {
        "rows": 5,
        "added": 2,
        "refused": {"language": 1, "empty": 1, "unreadable": 1},
        "languages": {"en": 2},
    }
    report = read_report(upload)
    assert [(line["row"], line["line"], line["key"]) for line in report] == [
        ("3", "4", "p3"),
        ("4", "5", "p9"),
        ("5", "6", ""),
    ]
    assert report[2]["explanation"] == "has 3 cells, the first line has 4"


def test_without_refusals_there_is_no_report(study, artefacts):
    upload = load(study)
    assert upload.report == ""
    assert len(artefacts()) == 1
    with pytest.raises(FileNotFoundError):
        uploads.open_report(upload)


def test_a_file_that_makes_no_post_is_refused_with_its_report(study):
    upload = load(study, filters=Filters(least=1_000))
    assert (upload.state, Post.objects.count()) == (State.REFUSED, 0)
    assert "None of its rows" in upload.problem
    assert len(read_report(upload)) == 5


def test_a_fault_far_behind_the_preview_refuses_the_whole_file(study, monkeypatch):
    monkeypatch.setattr(uploads, "PREVIEW_ROWS", 3)
    monkeypatch.setattr(uploads.preview_upload, "__defaults__", (3,))
    upload = load(study, write_csv(50) + b"p1,other words,home,1\n")
    assert upload.state == State.REFUSED
    assert upload.problem.startswith("Line 52: row 51 has the key 'p1' of row 1 and another text")
    assert not Post.objects.exists()


def test_what_the_preview_knows_to_be_broken_is_not_even_begun(study):
    PostFactory(study=study, key="p1")
    upload = store(study)
    with pytest.raises(Refused, match="'p1'"):
        uploads.request_load(upload)
    no_text = uploads.describe_upload(upload, roles={"id": Role.KEY, "text": Role.METADATA})
    with pytest.raises(Refused, match="No column is the text"):
        uploads.request_load(no_text)
    upload.refresh_from_db()
    assert upload.state == State.MAPPING


def test_another_file_with_known_keys_can_add_what_is_new(study):
    load(study, write_csv(3))
    upload = load(study, write_csv(5), filters=Filters(skips_known_keys=True))
    assert upload.counts["added"] == 2
    assert upload.counts["refused"] == {"known_key": 3}
    assert study.posts.count() == 5


def test_keys_of_other_studies_do_not_matter(study):
    load(study)
    assert load(make_study()).state == State.LOADED
    assert Post.objects.count() == 10


def test_loading_is_written_into_the_log(study):
    actor = get_user_model().objects.create_user("ann")
    upload = store(study)
    job = uploads.request_load(upload, actor=actor, reason="A pilot.")
    run_here(job, poll_seconds=0)
    event = StudyEvent.objects.get(action=StudyEvent.Action.POSTS)
    assert (event.actor, event.reason) == (actor, "A pilot.")
    assert event.summary == "5 posts added from 'posts.csv', 0 rows refused."
    assert event.detail["sha256"] == upload.sha256


@pytest.mark.parametrize("state", [Study.State.LIVE, Study.State.PAUSED])
def test_a_launched_study_wants_a_reason_and_gets_a_new_version(state):
    study = make_study(state)
    upload = store(study)
    with pytest.raises(Refused, match="say why"):
        uploads.request_load(upload)
    uploads.discard_upload(upload)
    load(study, reason="More German posts.")
    assert set(StudyVersion.objects.get(study=study).post_digests) == {f"p{i}" for i in range(1, 6)}


def test_posts_that_are_there_are_not_changed(study):
    PostFactory(study=study, key="old", text="as it was")
    before = list(Post.objects.values())
    load(study)
    assert list(Post.objects.filter(key="old").values()) == before


def test_a_study_that_closes_in_the_meantime_gets_no_posts(study):
    upload = store(study)
    job = uploads.request_load(upload)
    Study.objects.update(state=Study.State.CLOSED)
    run_here(job, poll_seconds=0)
    upload.refresh_from_db()
    assert (upload.state, Post.objects.count()) == (State.REFUSED, 0)
    assert "closed" in upload.problem


def test_a_loading_is_asked_for_once(study):
    upload = store(study)
    uploads.request_load(upload)
    for again in (uploads.request_load, lambda upload: uploads.describe_upload(upload, source="x")):
        with pytest.raises(Refused):
            again(upload)
    with pytest.raises(Refused, match="stop or undo"):
        uploads.discard_upload(upload)


# --- back again -----------------------------------------------------------------------------------


def test_a_refused_file_can_be_read_in_another_way(study, artefacts):
    upload = load(study, filters=Filters(least=1_000))
    upload = uploads.reopen_upload(upload)
    assert (upload.state, upload.problem, upload.counts, upload.report) == (State.MAPPING, "", {}, "")
    upload = uploads.describe_upload(upload, filters=Filters())
    run_here(uploads.request_load(upload), poll_seconds=0)
    upload.refresh_from_db()
    assert (upload.state, study.posts.count()) == (State.LOADED, 5)


def test_a_stopped_loading_adds_nothing(study):
    upload = store(study)
    job = uploads.request_load(upload)
    assert uploads.reopen_upload(upload).state == State.MAPPING
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert not Post.objects.exists()


def test_a_loaded_file_is_not_reopened(study):
    with pytest.raises(Refused, match="was loaded in the meantime"):
        uploads.reopen_upload(load(study))


@pytest.mark.django_db(transaction=True)
def test_discarding_deletes_row_and_file(artefacts):
    study = make_study()
    uploads.discard_upload(store(study))
    assert (PostUpload.objects.count(), artefacts()) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_undoing_removes_posts_files_and_the_upload(artefacts):
    study = make_study()
    PostFactory(study=study, key="old")
    other = load(study, write_csv(2, begin=20))
    upload = load(study, write_csv(3) + b"p9,,home,1\n")
    assert len(artefacts()) == 3
    assert uploads.undo_upload(upload) == 3
    assert set(study.posts.values_list("key", flat=True)) == {"old", "p20", "p21"}
    assert list(PostUpload.objects.all()) == [other]
    assert len(artefacts()) == 1
    assert "3 posts of 'posts.csv' removed again." in StudyEvent.objects.first().summary
    assert load(study, write_csv(3)).state == State.LOADED


@pytest.mark.parametrize("use", ["assignment", "annotation", "question"])
def test_posts_that_are_used_stay(use):
    study = make_study()
    StepFactory(study=study, position=9)
    upload = load(study)
    post = study.posts.last()
    enrollment = EnrollmentFactory(study=make_study(Study.State.LIVE))
    if use == "assignment":
        enrollment.assignments.create(step=study.steps.first(), post=post, position=1)
    elif use == "annotation":
        AnnotationFactory(enrollment=enrollment, post=post)
    else:
        CalibrationQuestion.objects.create(study=study, position=1, post=post, value_key=study.value_keys[0])
    with pytest.raises(Refused):
        uploads.undo_upload(upload)
    assert study.posts.count() == 5
    assert PostUpload.objects.get().state == State.LOADED


def test_undoing_in_a_live_study_wants_a_reason_and_makes_a_version():
    study = make_study(Study.State.LIVE)
    upload = load(study)
    with pytest.raises(Refused, match="say why"):
        uploads.undo_upload(upload)
    uploads.undo_upload(upload, reason="The wrong file.")
    assert StudyVersion.objects.filter(study=study).count() == 2


def test_what_is_not_loaded_cannot_be_undone(study):
    with pytest.raises(Refused, match="not loaded"):
        uploads.undo_upload(store(study))


def test_posts_of_another_upload_with_the_same_number_stay(study):
    upload = load(study)
    PostFactory(study=study, key="foreign", metadata={"upload": f"{upload.pk}-00000000"})
    uploads.undo_upload(upload)
    assert study.posts.get().key == "foreign"


def test_a_stored_file_that_was_changed_is_not_loaded(study):
    upload = store(study)
    with Path(storages["artefacts"].path(upload.stored_as)).open("ab") as file:
        file.write(b"p99,added,home,1\n")
    run_here(uploads.request_load(upload), poll_seconds=0)
    upload.refresh_from_db()
    assert upload.state == State.REFUSED
    assert "not the one that was uploaded" in upload.problem
