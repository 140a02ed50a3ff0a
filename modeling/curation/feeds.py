"""Files of feeds: kept until a job has read them, loaded as a whole or not at all, and then deleted.

Who owns a feed is stored as a keyed hash of what the file says. The file itself, which says it in full, goes as soon
as it is loaded or refused.
"""

import hashlib
import json
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any, BinaryIO

from django.core.files.base import File
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Max
from django.utils.crypto import salted_hmac

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.services.audit import log_event
from annotation.services.uploads import MAX_BYTES
from annotation.uploads.filters import DIGEST_BYTES, digest_text
from annotation.uploads.language import detect_language
from annotation.uploads.reading import MAX_ROWS, FileRefused, Layout, Table, sniff
from jobs.models import Job
from jobs.services import enqueue
from modeling.models import Curation, FeedAppearance, FeedPost, FeedUpload

from .rows import VISIBILITIES, Column, FeedRow, FeedRowRefused, check_columns, find_meaning, read_row
from .stages import PUBLIC

LOAD_FEEDS = "load_feeds"
BATCH = 2_000
NAME_LENGTH = 200
MOST_EXAMPLES = 200  # refused rows that are named one by one
OWNER_SALT = "modeling.curation.owner"
OWNER_LENGTH = 16
MOST_OWNERS = MAX_ROWS  # of one file: no more than it has rows
TAKES_FEEDS = (
    Curation.State.DRAFT,
    Curation.State.STOPPED,
    Curation.State.CANCELLED,
    Curation.State.SAMPLED,
)

Progress = Callable[[int, int, str], None]


def make_pseudonym(study_id: int, owner: str) -> str:
    """Return what stands for the owner of a feed: a hash under this installation's secret key.

    The same owner has the same pseudonym in every file of a study, and another one in other studies.
    """
    return salted_hmac(OWNER_SALT, f"{study_id}:{owner}", algorithm="sha256").hexdigest()[:OWNER_LENGTH]


def list_load_jobs(curation: Curation) -> Any:
    """Return the jobs that load files into a curation, the newest first."""
    return Job.objects.filter(kind=LOAD_FEEDS, payload__curation=curation.pk)


# --- asking ---------------------------------------------------------------------------------------


def request_load(curation: Curation, file: File, *, actor: Any = None) -> Job:
    """Keep a file of feeds and ask for it to be loaded.

    Raises
    ------
    Refused
        When the curation takes no feeds now, or the file is too large, of no kind that can be read, lacks a column,
        or is loaded already. Nothing is kept then.
    """
    _check_state(curation)
    if file.size is not None and file.size > MAX_BYTES:
        raise Refused(
            f"The file has {file.size / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:,.0f} MB are taken. Compress it with "
            "gzip, save it as Parquet, or split it."
        )
    try:
        layout = sniff(file)
        _check_first_row(file, layout)
    except FileRefused as error:
        raise Refused(str(error)) from error
    sha256 = _hash(file)
    _refuse_known(curation, sha256)
    storage = storages["artefacts"]
    for job in list_load_jobs(curation).filter(state__in=Job.STOPPED_STATES):
        storage.delete(job.payload["file"])
    name = (file.name or "feeds").rpartition("/")[2]
    stored_as = storage.save(f"feeds/{curation.pk}/{sha256[:16]}", file)
    number = list_load_jobs(curation).count() + 1
    try:
        return enqueue(
            kind=LOAD_FEEDS,
            key=f"{LOAD_FEEDS} {curation.pk} {number} {sha256[:16]}",
            payload={
                "curation": curation.pk,
                "study": curation.study_id,
                "file": stored_as,
                "name": "".join(letter if letter.isprintable() else "_" for letter in name)[-NAME_LENGTH:],
                "sha256": sha256,
                "layout": layout.to_dict(),
                "actor": actor.pk if actor else None,
                "uploaded_by": actor.get_username()[:150] if actor else "",
            },
        )
    except BaseException:
        storage.delete(stored_as)
        raise


def _check_state(curation: Curation) -> None:
    if curation.state == Curation.State.LOADED:
        raise Refused("Its sample is in the study; begin a new curation for other feeds.")
    if curation.state not in TAKES_FEEDS:
        raise Refused("It is under way; cancel it, or wait until it is done, before feeds are added.")


def _check_first_row(file: BinaryIO, layout: Layout) -> None:
    table = Table(file, layout)
    next(table.rows())
    check_columns(table.columns)


def _refuse_known(curation: Curation, sha256: str) -> None:
    known = curation.uploads.filter(sha256=sha256).first()
    if known is not None:
        raise Refused(
            f"The same file was loaded into this curation already ({known.uploaded_at:%d %B %Y, %H:%M} UTC, as "
            f"'{known.name}')."
        )
    if list_load_jobs(curation).filter(state__in=Job.UNFINISHED_STATES).exists():
        raise Refused("Another file is being loaded; wait until that is done.")


# --- reading --------------------------------------------------------------------------------------


@dataclass
class ReadFeeds:
    """A file that was read to its end. New posts wait in a temporary file, everything else in a few bytes each.

    `places` gives each post of the curation, stored or new, its place in the arrays. The rest is by place.
    """

    curation: Curation
    posts: IO[str]
    places: dict[str, int] = field(default_factory=dict)
    pks: array = field(default_factory=lambda: array("q"))
    digests: bytearray = field(default_factory=bytearray)
    has_context: bytearray = field(default_factory=bytearray)
    visibility: bytearray = field(default_factory=bytearray)
    changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    appearances: dict[int, None] = field(default_factory=dict)  # see _pack
    owners: dict[str, int] = field(default_factory=dict)  # pseudonym to its place
    groups: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    seen: tuple[int, int | None] = (0, None)
    n_stored: int = 0


SOURCES = tuple(FeedAppearance.Source)


def read_feeds(
    curation: Curation, stored_as: str, layout: Layout, sha256: str, report: Progress
) -> ReadFeeds:
    """Read a file of feeds to its end and sort its rows. Writes no row.

    A post that stands in several feeds is one post; what one row lacks of its context another may have. Memory does
    not grow with the texts.

    Raises
    ------
    FileRefused
        When the file as a whole cannot be loaded.
    """
    read = ReadFeeds(curation, tempfile.TemporaryFile("w+", encoding="utf-8"))  # noqa: SIM115 - the effect reads it
    _take_in_stored(read)
    refused: Counter[str] = Counter()
    examples: list[list[Any]] = []
    languages: Counter[str] = Counter()
    pseudonyms: dict[str, str] = {}
    n_rows = n_places = 0
    with storages["artefacts"].open(stored_as, "rb") as file:
        if _hash(file) != sha256:
            raise FileRefused("the stored file is not the one that was uploaded; upload it again")
        table = Table(file, layout)
        for row in table.rows():
            n_rows += 1
            try:
                found = read_row(row)
                if found.owner not in pseudonyms:
                    pseudonyms[found.owner] = make_pseudonym(curation.study_id, found.owner)
                n_places += _add(read, found, pseudonyms[found.owner], languages)
            except FeedRowRefused as refusal:
                refused[refusal.reason] += 1
                if len(examples) < MOST_EXAMPLES:
                    examples.append([row.number, refusal.reason, str(refusal)[:200]])
            if not n_rows % 500:
                report(*table.progress, f"{n_rows:,} rows read")
        columns = list(table.columns)
    read.counts = {
        "rows": n_rows,
        "posts": len(read.places) - read.n_stored,
        "repeated": n_places - len(read.appearances),
        "refused": dict(sorted(refused.items())),
        "examples": examples,
        "languages": dict(languages),
        "owners": len(read.owners),
        "left_out": [name for name in columns if find_meaning(name) == Column.PERSON],
    }
    report(*table.progress, "storing the posts")
    return read


def _take_in_stored(read: ReadFeeds) -> None:
    stored = read.curation.feed_posts.order_by("pk").values_list(
        "pk", "key", "text", "context_text", "metadata__visibility"
    )
    read.seen = count_posts(read.curation)
    for pk, key, text, context_text, visibility in stored.iterator(chunk_size=BATCH):
        read.places[key] = len(read.places)
        read.pks.append(pk)
        read.digests += digest_text(text)
        read.has_context.append(bool(context_text))
        read.visibility.append(VISIBILITIES.index(visibility or PUBLIC))
    read.n_stored = len(read.places)
    groups = read.curation.appearances.exclude(group="").order_by().values_list("owner", "group").distinct()
    read.groups.update(groups)


def _add(read: ReadFeeds, row: FeedRow, owner: str, languages: Counter[str]) -> int:
    """Take in one row; returns 1, for the place in a feed that it tells of."""
    group = read.groups.get(owner, "")
    if row.group and group and row.group != group:
        raise FeedRowRefused("group", f"the owner was in the group '{group}' in an earlier row")
    place = read.places.get(row.key)
    digest = digest_text(row.text)
    level = VISIBILITIES.index(row.visibility)
    if place is None:
        place = len(read.places)
        language = row.language or (detect_language(row.text) if row.text else "")
        metadata = row.metadata | ({} if row.visibility == PUBLIC else {"visibility": row.visibility})
        fields = (row.key, row.text, row.context_kind, row.context_text, language, metadata)
        read.posts.write(json.dumps(fields) + "\n")
        read.places[row.key] = place
        read.digests += digest
        read.has_context.append(bool(row.context_text))
        read.visibility.append(level)
        languages[language] += 1
    elif read.digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES] != digest:
        raise FeedRowRefused("other_text", f"the post '{row.key[:60]}' has another text in an earlier row")
    else:
        if row.context_text and not read.has_context[place]:
            read.changes.setdefault(place, {}).update(
                context_kind=row.context_kind, context_text=row.context_text
            )
            read.has_context[place] = True
        if level > read.visibility[place]:
            read.changes.setdefault(place, {})["visibility"] = row.visibility
            read.visibility[place] = level
    if row.group:
        read.groups[owner] = row.group
    owner_place = read.owners.setdefault(owner, len(read.owners))
    read.appearances[_pack(place, owner_place, SOURCES.index(FeedAppearance.Source(row.source)))] = None
    return 1


def _pack(place: int, owner_place: int, source: int) -> int:
    """One number for a post, an owner and a source: a file has a million of them."""
    return (place * MOST_OWNERS + owner_place) * len(SOURCES) + source


def _unpack(packed: int) -> tuple[int, int, int]:
    rest, source = divmod(packed, len(SOURCES))
    return (*divmod(rest, MOST_OWNERS), source)


# --- storing --------------------------------------------------------------------------------------


def store_feeds(read: ReadFeeds, upload: FeedUpload, *, actor: Any = None) -> dict[str, Any]:
    """Store what a file told, inside the caller's transaction: all of it or nothing.

    Raises
    ------
    Refused
        When the curation takes no feeds any more, holds the file already, or got posts since the file was compared
        with it: read it again.
    """
    curation = Curation.objects.select_for_update().get(pk=read.curation.pk)
    _check_state(curation)
    if curation.uploads.filter(sha256=upload.sha256).exists():
        raise Refused("The same file was loaded in the meantime.")
    if count_posts(curation) != read.seen:
        raise Refused("The curation's posts changed while the file was read.")
    drafts = _draft_posts(read)
    while batch := list(islice(drafts, BATCH)):
        read.pks.extend(post.pk for post in FeedPost.objects.bulk_create(batch))
    _change_stored(read)
    n_before = curation.appearances.count()
    appearances = _draft_appearances(read)
    while several := list(islice(appearances, BATCH)):
        FeedAppearance.objects.bulk_create(several, ignore_conflicts=True)
    n_added = curation.appearances.count() - n_before
    n_known = len(read.appearances) - n_added
    upload.counts = read.counts | {
        "appearances": n_added,
        "repeated": read.counts["repeated"] + n_known,
    }
    upload.save()
    log_event(
        curation.study,
        StudyEvent.Action.CHANGED,
        f"Feeds loaded for the curation '{curation.name}': {n_added:,} places of {read.counts['posts']:,} new posts.",
        actor=actor,
        detail={"curation": curation.pk, "sha256": upload.sha256, "rows": read.counts["rows"]},
    )
    return {"upload": upload.pk, "posts": read.counts["posts"], "appearances": n_added}


def count_posts(curation: Curation) -> tuple[int, int | None]:
    """Return how many posts a curation has, and the last one's number: what tells whether any came."""
    posts = FeedPost.objects.filter(curation=curation)
    return posts.count(), posts.aggregate(last=Max("pk"))["last"]


def _draft_posts(read: ReadFeeds) -> Iterator[FeedPost]:
    read.posts.seek(0)
    for place, line in enumerate(read.posts, start=read.n_stored):
        key, text, context_kind, context_text, language, metadata = json.loads(line)
        post = FeedPost(
            curation_id=read.curation.pk,
            key=key,
            text=text,
            context_kind=context_kind,
            context_text=context_text,
            language=language[:10],
            metadata=metadata,
        )
        _apply(post, read.changes.get(place, {}))
        yield post


def _apply(post: FeedPost, changes: dict[str, Any]) -> None:
    if "context_text" in changes:
        post.context_kind, post.context_text = changes["context_kind"], changes["context_text"]
    if "visibility" in changes:
        post.metadata["visibility"] = changes["visibility"]


def _change_stored(read: ReadFeeds) -> None:
    changed = {read.pks[place]: changes for place, changes in read.changes.items() if place < read.n_stored}
    pks = list(changed)
    for begin in range(0, len(pks), BATCH):
        posts = list(FeedPost.objects.filter(pk__in=pks[begin : begin + BATCH]))
        for post in posts:
            _apply(post, changed[post.pk])
        FeedPost.objects.bulk_update(posts, ["context_kind", "context_text", "metadata"], batch_size=500)


def _draft_appearances(read: ReadFeeds) -> Iterator[FeedAppearance]:
    owners = list(read.owners)
    for place, owner_place, source in map(_unpack, read.appearances):
        owner = owners[owner_place]
        yield FeedAppearance(
            curation_id=read.curation.pk,
            feed_post_id=read.pks[place],
            owner=owner,
            group=read.groups.get(owner, ""),
            source=SOURCES[source],
        )


def delete_file_later(stored_as: str) -> None:
    """Delete the file of feeds once the transaction commits: it names the owners."""
    transaction.on_commit(lambda: storages["artefacts"].delete(stored_as))


def _hash(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
