"""Files of feeds: all of a file or nothing, and nobody's name in the database."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.uploads.reading import Layout
from jobs.models import Job
from modeling.curation.feeds import (
    list_load_jobs,
    make_pseudonym,
    read_feeds,
    request_load,
    store_feeds,
)
from modeling.curation.services import create_curation
from modeling.models import Curation, FeedAppearance, FeedPost, FeedUpload
from tests.factories import StudyFactory
from tests.modeling.curation.ground import COLUMNS, TEXTS, list_rows, load, write_feeds

pytestmark = pytest.mark.django_db

OWNER = "@some.body@example.org"
PAGE = ("p1", TEXTS[0], OWNER, "Following")


@pytest.fixture
def curation():
    return create_curation(StudyFactory(posts=0, questions=0, steps=()), name="spring")


def test_a_post_that_stands_in_several_feeds_is_one_post_in_several_places(curation):
    job = load(curation, list_rows())
    assert job.result == {"upload": curation.uploads.get().pk, "posts": 6, "appearances": 18}
    assert curation.feed_posts.count() == 6
    assert curation.appearances.count() == 18
    assert curation.uploads.get().counts["rows"] == 18


def test_no_name_of_an_owner_is_left_anywhere_and_the_file_is_gone(
    curation, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        load(curation, [PAGE], COLUMNS)
    (owner,) = curation.appearances.values_list("owner", flat=True)
    assert owner == make_pseudonym(curation.study_id, OWNER)
    assert owner != make_pseudonym(curation.study_id + 1, OWNER)
    kept = json.dumps(
        [
            *FeedAppearance.objects.values("owner", "group"),
            *FeedPost.objects.values("key", "text", "metadata"),
            *FeedUpload.objects.values("name", "counts"),
            *Job.objects.values("key", "payload", "result", "error", "progress_note"),
            *StudyEvent.objects.values("summary", "detail"),
        ]
    )
    assert "some.body" not in kept
    assert not storages["artefacts"].exists(list_load_jobs(curation).get().payload["file"])


def test_rows_that_cannot_be_used_are_refused_with_their_numbers_and_the_others_are_loaded(curation):
    rows = [
        PAGE,
        ("", TEXTS[1], "ann", "following"),
        ("p2", TEXTS[1], "ann", "somewhere"),
        ("p1", "Quite another text than that of the first row.", "ann", "following"),
    ]
    load(curation, rows, COLUMNS)
    counts = curation.uploads.get().counts
    assert counts["refused"] == {"key": 1, "other_text": 1, "source": 1}
    assert [example[:2] for example in counts["examples"]] == [[2, "key"], [3, "source"], [4, "other_text"]]
    assert curation.feed_posts.count() == 1


def test_a_file_that_lacks_a_column_or_was_loaded_already_leaves_nothing(curation):
    with pytest.raises(Refused, match="no column owner"):
        request_load(curation, ContentFile(b"key,text,source\n1,a,following\n", name="x.csv"))
    assert not list_load_jobs(curation).exists()
    load(curation, [PAGE], COLUMNS)
    with pytest.raises(Refused, match="already"):
        request_load(curation, write_feeds([PAGE]))


def test_a_file_of_which_no_row_can_be_used_is_refused_as_a_whole(curation):
    job = load(curation, [("p1", TEXTS[0], "ann", "somewhere")], COLUMNS)
    assert job.state == Job.State.FAILED
    assert "source 1" in job.error
    assert not curation.uploads.exists()
    assert not curation.feed_posts.exists()


def test_what_one_row_lacks_of_a_post_another_one_adds_in_this_file_or_the_next(curation):
    columns = (*COLUMNS, "in_reply_to", "context_text", "visibility", "group")
    bare = dict(zip(COLUMNS, PAGE, strict=True)) | {"in_reply_to": "p0"}
    other = bare | {"owner": "ann", "group": "old"}
    load(curation, [bare, other | {"context_text": "Where were you?"}], columns)
    post = curation.feed_posts.get()
    assert (post.context_kind, post.context_text) == ("reply", "Where were you?")
    later = [other | {"owner": "ben", "visibility": "deleted"}, other | {"visibility": "public"}]
    load(curation, later, columns, name="later.csv")
    post.refresh_from_db()
    assert post.metadata == {"in_reply_to": "p0", "visibility": "deleted"}
    assert post.context_text == "Where were you?"
    assert curation.uploads.first().counts["repeated"] == 1
    assert curation.appearances.count() == 3


def test_an_owner_stays_in_one_quota_group(curation):
    columns = (*COLUMNS, "group")
    rows = [dict(zip(COLUMNS, PAGE, strict=True)) | {"key": key, "group": group}
            for key, group in (("p1", "old"), ("p2", ""), ("p3", "young"))]  # fmt: skip
    load(curation, rows, columns)
    assert set(curation.appearances.values_list("group", flat=True)) == {"old"}
    assert curation.uploads.get().counts["refused"] == {"group": 1}


def test_a_file_whose_storing_breaks_off_leaves_nothing(curation, monkeypatch):
    request_load(curation, write_feeds(list_rows(), (*COLUMNS, "language")))
    payload = list_load_jobs(curation).get().payload
    read = read_feeds(
        curation, payload["file"], Layout.from_dict(payload["layout"]), payload["sha256"], lambda *_: None
    )

    def break_off(*args, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr(FeedAppearance.objects, "bulk_create", break_off)
    with pytest.raises(OSError, match="full"), transaction.atomic(), read.posts:
        store_feeds(read, FeedUpload(curation=curation, name="x", sha256=payload["sha256"]))
    assert not curation.feed_posts.exists()
    assert not curation.uploads.exists()


def test_posts_that_came_while_a_file_was_read_make_it_be_read_again(curation):
    request_load(curation, write_feeds([PAGE]))
    payload = list_load_jobs(curation).get().payload
    layout = Layout.from_dict(payload["layout"])
    read = read_feeds(curation, payload["file"], layout, payload["sha256"], lambda *_: None)
    FeedPost.objects.create(curation=curation, key="p1", text="Came in between.")
    with pytest.raises(Refused, match="changed"), read.posts:
        store_feeds(read, FeedUpload(curation=curation, name="x", sha256=payload["sha256"]))


@pytest.mark.parametrize("state", [Curation.State.RUNNING, Curation.State.LOADED])
def test_a_curation_at_work_or_at_its_end_takes_no_feeds(curation, state):
    Curation.objects.update(state=state)
    curation.refresh_from_db()
    with pytest.raises(Refused):
        request_load(curation, write_feeds([PAGE]))
