"""Artefacts in a bucket, over HTTP: what is kept, what is noticed, and what is said when it cannot be reached."""

import logging

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from config.artefact_storage import StorageUnreachable, describe_storage
from jobs import registry
from jobs.services import enqueue, run
from modeling.artefacts import (
    delete_file,
    load_arrays,
    load_bytes,
    locate,
    prune_cache,
    save_arrays,
    save_bytes,
    save_file,
)
from modeling.errors import ArtefactDamaged, ModelingError
from tests.bucket import ACCESS_KEY, SECRET_KEY, Bucket

for package in ("storages", "boto3"):
    pytest.importorskip(package, reason=f"{package} is not installed; requirements-s3.txt has it")

BIG = 9 * 2**20  # more than is sent or fetched in one piece
CONTENT = b"what a fit left behind"


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):  # a developer's own
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_S3_SESSION_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def use(credentials, settings, tmp_path):
    """Let artefacts lie in the bucket of a URL."""
    settings.VAR_DIR = tmp_path / "var"

    def use(url):
        settings.STORAGES = settings.STORAGES | {"artefacts": describe_storage(url, "")}
        return storages["artefacts"]

    return use


@pytest.fixture
def bucket(use):
    with Bucket() as bucket:
        use(bucket.url())
        yield bucket


def cached(settings):
    return sorted(path.name for path in (settings.VAR_DIR / "cache/artefacts").glob("*"))


def test_arrays_and_bytes_come_back_from_a_bucket_under_its_prefix(bucket):
    arrays = {"rows": np.arange(5), "scores": np.full((2, 3), np.nan, np.float32)}
    name, digest = save_arrays("fit-x", **arrays)
    assert list(bucket.files) == [f"lab/one/{name}"]
    loaded = load_arrays(name, digest)
    assert loaded.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(loaded[key], array)
    assert load_bytes(*save_bytes("forest", CONTENT, ".bin")) == CONTENT


def test_the_same_bytes_are_one_object(bucket):
    assert save_bytes("forest", CONTENT, ".bin") == save_bytes("forest", CONTENT, ".bin")
    assert (len(bucket.files), bucket.count("PUT")) == (1, 1)


def test_a_big_file_goes_and_comes_in_pieces(bucket, tmp_path):
    content = np.random.default_rng(1).bytes(BIG)
    (tmp_path / "big").write_bytes(content)
    name, digest = save_file("scores", tmp_path / "big", ".npy")
    assert bucket.count("PUT") == 2
    assert bucket.files[f"lab/one/{name}"] == content
    assert locate(name, digest).read_bytes() == content
    assert {seen[2] for seen in bucket.seen if seen[0] == "GET"} > {"bytes=0-8388607"}


def test_a_file_is_fetched_once_and_read_here_from_then_on(bucket, settings):
    name, digest = save_bytes("forest", CONTENT, ".bin")
    assert [load_bytes(name, digest) for _ in range(3)] == [CONTENT] * 3
    assert bucket.count("GET") == 1
    assert cached(settings) == [digest]


def test_a_damaged_copy_is_fetched_anew(bucket, settings):
    name, digest = save_bytes("forest", CONTENT, ".bin")
    locate(name, digest).write_bytes(b"something else")
    assert load_bytes(name, digest) == CONTENT
    assert bucket.count("GET") == 2


def test_a_missing_object_is_named(bucket, settings):
    name, digest = save_arrays("fit-x", rows=np.arange(5))
    bucket.files.clear()
    for load in (load_arrays, load_bytes):
        with pytest.raises(ArtefactDamaged, match=f"{name} is not in the artefact storage"):
            load(name, digest)
    assert cached(settings) == []


def test_a_damaged_object_is_refused_and_not_kept(bucket, settings):
    name, digest = save_arrays("fit-x", rows=np.arange(5))
    bucket.files[f"lab/one/{name}"] += b"\0"
    for load in (load_arrays, load_bytes):
        with pytest.raises(ArtefactDamaged, match="is not the one this fit wrote"):
            load(name, digest)
    assert cached(settings) == []


def test_a_half_written_object_is_replaced_by_the_next_try(bucket):
    name, digest = save_bytes("forest", CONTENT, ".bin")
    bucket.files[f"lab/one/{name}"] = CONTENT[:5]
    assert save_bytes("forest", CONTENT, ".bin") == (name, digest)
    assert load_bytes(name, digest) == CONTENT


def test_deleting_takes_the_object_and_the_copy_and_may_be_done_twice(bucket, settings):
    name, digest = save_bytes("forest", CONTENT, ".bin")
    other, other_digest = save_bytes("forest", b"another", ".bin")
    locate(name, digest), locate(other, other_digest)
    delete_file(name)
    delete_file(name)
    assert (list(bucket.files), cached(settings)) == ([f"lab/one/{other}"], [other_digest])


def test_the_cache_keeps_within_its_bound_what_was_used_last(bucket, settings):
    settings.ARTEFACT_CACHE_MB = 2
    digests = []
    for number in range(3):
        name, digest = save_bytes("big", bytes([number]) * 900_000, ".bin")
        digests.append(digest)
        locate(name, digest)
    assert cached(settings) == sorted(digests[1:])
    assert prune_cache() == 0


def test_a_file_of_the_same_name_is_never_written_over(bucket):
    storage = storages["artefacts"]
    first = storage.save("posts/1/a.csv.gz", ContentFile(b"first"))
    second = storage.save("posts/1/a.csv.gz", ContentFile(b"second"))
    assert first != second
    assert [storage.open(name).read() for name in (first, second)] == [b"first", b"second"]
    assert storage.size(second) == 6


def test_the_listing_goes_on_over_its_pages(bucket):
    storage = storages["artefacts"]
    for name in ("a", "b", "c", "d", "e", "sub/f"):
        storage.save(name, ContentFile(b"x"))
    bucket.files["lab/other"] = b"not ours"
    assert storage.listdir("") == (["sub"], ["a", "b", "c", "d", "e"])


def test_a_server_that_is_busy_for_a_moment_is_asked_again(bucket):
    bucket.failures = 1
    name, digest = save_bytes("forest", CONTENT, ".bin")
    bucket.failures = 1
    assert load_bytes(name, digest) == CONTENT


def test_a_server_that_stays_busy_is_named_by_its_variable(bucket, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    bucket.failures = 100
    with pytest.raises(StorageUnreachable, match="ARTEFACTS_URL names answered HeadObject with 503"):
        save_bytes("forest", CONTENT, ".bin")
    assert bucket.failures == 96
    assert not bucket.files


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_SECRET_ACCESS_KEY", "wrong-and-hidden"), ("AWS_ACCESS_KEY_ID", "AKIDHIDDEN")],
)
def test_refused_credentials_are_named_and_not_shown(bucket, use, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    storage = use(bucket.url())
    with pytest.raises(StorageUnreachable, match="refused PutObject .*AWS_ACCESS_KEY_ID") as refused:
        storage._save("a", ContentFile(b"x"))
    assert value not in str(refused.value)


def test_no_credentials_at_all_are_said(bucket, use, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageUnreachable, match="no credentials .* set AWS_ACCESS_KEY_ID"):
        use(bucket.url()).exists("a")


def test_an_unknown_bucket_is_not_taken_for_a_missing_file(bucket, use):
    use(bucket.url(name="resluts"))
    with pytest.raises(StorageUnreachable, match="knows no bucket of the name in ARTEFACTS_URL"):
        save_bytes("forest", CONTENT, ".bin")


@pytest.mark.django_db
def test_a_job_that_cannot_reach_the_bucket_is_tried_again(use, monkeypatch, caplog):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with Bucket() as gone:
        url = gone.url()
    storage = use(url)
    monkeypatch.setattr(registry, "_handlers", {"tidy": lambda claim: lambda: storage.delete("a")})
    monkeypatch.setattr(registry, "autodiscover", lambda: None)
    job = enqueue(kind="tidy", key="tidy:x")
    with caplog.at_level(logging.DEBUG):
        run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 1)
    assert "ARTEFACTS_URL names cannot be reached (EndpointConnectionError)" in job.error
    assert SECRET_KEY not in job.error + caplog.text
    assert "Signature" not in caplog.text


def test_an_unreachable_storage_is_no_fault_of_the_data():
    assert not issubclass(StorageUnreachable, ModelingError)
