import uuid

import pytest

from annotation import handlers
from annotation.models import Post, PostUpload, StudyEvent
from annotation.services import uploads
from jobs import services as jobs
from jobs.errors import LeaseLost
from jobs.models import Job
from tests.annotation.post_files import make_study, store, write_csv
from tests.factories import PostFactory

pytestmark = pytest.mark.django_db
State = PostUpload.State


@pytest.fixture
def upload(monkeypatch):
    """An upload of seven posts that was asked to be loaded, in batches of two."""
    monkeypatch.setattr(uploads, "BATCH", 2)
    upload = store(make_study(), write_csv(7) + b"p8,,home,8\n")
    uploads.request_load(upload)
    upload.refresh_from_db()
    return upload


@pytest.fixture
def job(upload):
    return uploads.get_job(upload)


def state_of(upload):
    upload.refresh_from_db()
    return upload.state, Post.objects.count(), StudyEvent.objects.filter(action="posts").count()


NOTHING_DONE = (State.LOADING, 0, 0)
DONE = (State.LOADED, 7, 1)


def stop_at_batch(monkeypatch, number, error):
    """Let storing end with an error at its how-manieth batch; returns how to let it go on."""
    honest, batches = Post.objects.bulk_create, []

    def create(posts):
        batches.append(posts)
        if len(batches) == number:
            raise error
        return honest(posts)

    manager = type(Post.objects)
    monkeypatch.setattr(manager, "bulk_create", lambda self, posts: create(posts))


def test_reading_writes_no_row_until_the_effect_is_called(upload, job):
    effect = handlers.load_posts(jobs.claim(job.pk))
    assert state_of(upload) == NOTHING_DONE
    assert effect() == {"added": 7}
    assert state_of(upload) == DONE


@pytest.mark.parametrize("error", [RuntimeError("the database went away"), KeyboardInterrupt()])
def test_a_loading_that_dies_in_the_middle_leaves_nothing_and_ends_at_the_next_try(
    upload, job, monkeypatch, error
):
    with monkeypatch.context() as patch:
        stop_at_batch(patch, 3, error)
        if isinstance(error, Exception):
            assert not jobs.run(job.pk)
        else:
            with pytest.raises(KeyboardInterrupt):
                jobs.run(job.pk)
    assert state_of(upload) == NOTHING_DONE
    Job.objects.update(not_before=None)
    assert jobs.run(job.pk)
    assert state_of(upload) == DONE
    assert upload.counts["refused"] == {"empty": 1}


def test_a_loading_whose_lease_is_lost_stores_nothing(upload, job, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0)
    held = jobs.claim(job.pk)
    Job.objects.update(lease_token=uuid.uuid4())
    with pytest.raises(LeaseLost):
        handlers.load_posts(held)
    assert state_of(upload) == NOTHING_DONE


def test_a_loading_that_is_stopped_while_it_reads_stores_nothing(upload, job, monkeypatch):
    honest = uploads.read_upload

    def read_slowly(upload, report):
        read = honest(upload, report)
        uploads.reopen_upload(upload)
        return read

    monkeypatch.setattr(uploads, "read_upload", read_slowly)
    assert not jobs.run(job.pk)
    assert state_of(upload) == (State.MAPPING, 0, 0)


def test_doing_it_twice_loads_once(upload, job):
    assert jobs.run(job.pk)
    Job.objects.update(state=Job.State.QUEUED, finished_at=None)
    assert jobs.run(job.pk)
    assert state_of(upload) == DONE


def test_two_workers_that_read_at_once_store_once(upload, job):
    first = handlers.load_posts(jobs.claim(job.pk))
    Job.objects.update(state=Job.State.QUEUED, lease_token=None, lease_until=None)
    second = handlers.load_posts(jobs.claim(job.pk))
    assert (first(), second()) == ({"added": 7}, {"added": 0})
    assert state_of(upload) == DONE


def test_posts_that_come_in_the_meantime_make_it_read_again(upload, job, monkeypatch):
    honest, calls = uploads.read_upload, []

    def read_slowly(upload, report):
        read = honest(upload, report)
        if not calls:
            PostFactory(study=upload.study, key="new", text="Added by hand")
        calls.append(upload)
        return read

    monkeypatch.setattr(uploads, "read_upload", read_slowly)
    assert not jobs.run(job.pk)
    assert state_of(upload) == (State.LOADING, 1, 0)
    Job.objects.update(not_before=None)
    assert jobs.run(job.pk)
    assert state_of(upload) == (State.LOADED, 8, 1)


def test_a_file_that_is_gone_refuses_the_upload(upload, job):
    uploads.storages["artefacts"].delete(upload.stored_as)
    assert jobs.run(job.pk)
    assert state_of(upload) == (State.REFUSED, 0, 0)
    assert upload.problem == "The stored file is gone; upload it again."


def test_an_upload_that_is_gone_is_no_failure(upload, job):
    upload.delete()
    assert jobs.run(job.pk)
    assert not Post.objects.exists()


def test_the_progress_is_told(upload, job):
    seen = []
    uploads.read_upload(upload, lambda done, total, note: seen.append((done, total, note)))
    size = len(write_csv(7) + b"p8,,home,8\n")
    assert seen[-1] == (size, size, "storing the posts")
