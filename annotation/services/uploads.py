"""Files of posts: kept, looked into, loaded by a job as a whole or not at all, and taken back."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, BinaryIO

from django.core.files.base import File
from django.core.files.storage import storages
from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from annotation.errors import Refused
from annotation.models import Annotation, Assignment, Post, PostUpload, Study, StudyEvent
from annotation.uploads.filters import REASON_LABELS, Filters, Reason, Refusal, Report, Sieve, digest_text
from annotation.uploads.mapping import ColumnMap, PostDraft, Role, guess_roles
from annotation.uploads.reading import FileRefused, Layout, Row, Table, read_first, sniff
from jobs.models import Job
from jobs.services import cancel, enqueue, retry

from .audit import log_event
from .labeling import lock_assignments_of

MAX_BYTES = 200_000_000
PREVIEW_ROWS = 500
NAME_LENGTH = 200
BATCH = 2_000
TAKES_POSTS = (Study.State.DRAFT, Study.State.PILOT, Study.State.LIVE, Study.State.PAUSED)
PURPOSES = (Post.Purpose.LABELING, Post.Purpose.CORPUS)  # what posts of a file can be for
NEEDS_REASON = (Study.State.LIVE, Study.State.PAUSED)
_UPLOAD_LOCK = 1908
_ENDINGS = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet"}

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class UploadSettings:
    """How a file is read, what its columns mean, what is kept, and what for; `run` counts the tries to load it."""

    layout: Layout
    columns: ColumnMap
    filters: Filters
    run: int = 0
    purpose: str = Post.Purpose.LABELING

    def to_dict(self) -> dict[str, Any]:
        return {
            "layout": self.layout.to_dict(),
            "roles": _list_roles(self.columns.roles),
            "context_kind": self.columns.context_kind,
            "source": self.columns.source,
            "filters": self.filters.to_dict(),
            "run": self.run,
            "purpose": self.purpose,
        }

    @property
    def left_out(self) -> list[str]:
        return [name for name, role in self.columns.roles.items() if role == Role.LEFT_OUT]


@dataclass(frozen=True)
class LookedAt:
    """One of the first rows of a file, and what would become of it: `refusal` is None when it would be added."""

    row: Row
    refusal: Refusal | None


@dataclass(frozen=True)
class Preview:
    """What the first rows of a file would make.

    Attributes
    ----------
    columns : their names, in order
    rows : the first rows with their fates; without any while `faults` stand in the way
    refused : (label, count, numbers of the rows) of each reason
    languages : (code, count) of the rows that would be added, the most frequent first
    faults : what is wrong with the meanings of the columns
    problem : why the file as a whole would be refused, as far as these rows tell; '' when it would not
    is_readable : whether the first rows could be read to their end
    """

    columns: list[str]
    rows: list[LookedAt]
    refused: list[tuple[str, int, list[int]]]
    languages: list[tuple[str, int]]
    faults: list[str]
    problem: str
    is_readable: bool = True

    @property
    def n_kept(self) -> int:
        return sum(each.refusal is None for each in self.rows)


def get_settings(upload: PostUpload) -> UploadSettings:
    """Return how an upload is to be read."""
    stored = upload.settings
    return UploadSettings(
        Layout.from_dict(stored["layout"]),
        ColumnMap(
            {name: Role(role) for name, role in stored["roles"]},
            stored["context_kind"],
            stored["source"],
            f"upload-{upload.pk}-row-",
        ),
        Filters.from_dict(stored["filters"]),
        stored["run"],
        stored.get(
            "purpose", Post.Purpose.LABELING
        ),  # files were of posts to label before there was a choice
    )


def get_mark(upload: PostUpload) -> str:
    """Return what the posts of an upload carry as `upload`: its number and the beginning of the file's hash."""
    return f"{upload.pk}-{upload.sha256[:8]}"


def get_posts(upload: PostUpload):
    """Return the posts that came with this upload."""
    return Post.objects.filter(study_id=upload.study_id, metadata__upload=get_mark(upload))


def get_job(upload: PostUpload) -> Job | None:
    """Return the job that loads this upload, or did last."""
    return Job.objects.filter(key=_name_job(upload, upload.settings["run"])).first()


def rank(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return stored counts with the largest first: a JSON object keeps no order in PostgreSQL."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def check_study(study: Study) -> None:
    """Raise Refused when the study takes no posts any more."""
    if study.state not in TAKES_POSTS:
        raise Refused("The study is closed; its posts stay as they are.")


# --- keeping and describing ---------------------------------------------------------------------


def store_upload(study: Study, file: File, *, actor: Any = None) -> PostUpload:
    """Keep a file with what could be found out about it; its columns get the likeliest meanings.

    Raises
    ------
    Refused
        When the study takes no posts, the file is too large, of no kind that can be read, or loaded already.
        Nothing is kept then.
    """
    check_study(study)
    if file.size is not None and file.size > MAX_BYTES:
        raise Refused(
            f"The file has {file.size / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:,.0f} MB are taken. Compress it with "
            "gzip, save it as Parquet, or split it."
        )
    try:
        layout = sniff(file)
    except FileRefused as error:
        raise Refused(str(error)) from error
    sha256 = _hash(file)
    _refuse_known(study, sha256)
    name = _make_printable(file.name or "posts")
    ending = _ENDINGS[layout.kind] + (".gz" if layout.is_gzipped else "")
    file.seek(0)
    stored_as = storages["artefacts"].save(f"posts/{study.pk}/{sha256[:16]}.{ending}", file)
    try:
        with transaction.atomic():
            _lock_uploads_of(study)
            _refuse_known(study, sha256)
            upload = PostUpload(
                study=study,
                name=name,
                stored_as=stored_as,
                sha256=sha256,
                uploaded_by=actor.get_username()[:150] if actor else "",
            )
            upload.settings = UploadSettings(layout, ColumnMap(), Filters()).to_dict()
            upload.settings["roles"] = _guess_roles(upload)
            upload.save()
    except BaseException:
        storages["artefacts"].delete(stored_as)
        raise
    return upload


def describe_upload(
    upload: PostUpload,
    *,
    layout: Layout | None = None,
    roles: Mapping[str, Role] | None = None,
    context_kind: str | None = None,
    source: str | None = None,
    filters: Filters | None = None,
    purpose: str | None = None,
) -> PostUpload:
    """Change how a file is to be read; what is left out stays. Another layout makes the columns be guessed anew.

    Raises Refused when the file is being loaded, or was, and for a purpose that files of posts cannot have.
    """
    if purpose is not None and purpose not in PURPOSES:
        raise Refused(f"Posts of a file are for {' or '.join(PURPOSES)}, not for '{purpose:.20}'.")
    with transaction.atomic():
        upload = _lock(upload, PostUpload.State.MAPPING, "Its columns were named already.")
        changes: dict[str, Any] = {}
        if filters is not None:
            changes["filters"] = filters.to_dict()
        if purpose is not None:
            changes["purpose"] = purpose
        if context_kind is not None:
            changes["context_kind"] = context_kind
        if source is not None:
            changes["source"] = source
        if roles is not None:
            changes["roles"] = _list_roles(roles)
        upload.settings = upload.settings | changes
        if layout is not None and layout.to_dict() != upload.settings["layout"]:
            upload.settings["layout"] = layout.to_dict()
            upload.settings["roles"] = _guess_roles(upload)
        upload.save(update_fields=["settings"])
    return upload


def preview_upload(upload: PostUpload, n_rows: int = PREVIEW_ROWS) -> Preview:
    """Return what the first rows of a file would make, read as its settings say. Writes nothing."""
    settings = get_settings(upload)
    try:
        with _open(upload) as file:
            columns, rows, stopped = read_first(file, settings.layout, n_rows, settings.left_out)
    except FileNotFoundError:
        columns, rows, stopped = [], [], FileRefused("the stored file is gone; upload it again")
    faults = settings.columns.find_faults(columns) if columns else []
    problem = str(stopped) if stopped else ""
    if not rows or faults:
        unsorted = [LookedAt(row, None) for row in rows]
        return Preview(columns, unsorted, [], [], faults, problem, not stopped)
    sieve = _make_sieve(upload.study, settings)
    looked_at: list[LookedAt] = []
    numbers: dict[Reason, list[int]] = {}
    for row in rows:
        try:
            result = sieve.sift(row)
        except FileRefused as error:
            problem = str(error)
            break
        refusal = result if isinstance(result, Refusal) else None
        looked_at.append(LookedAt(row, refusal))
        if refusal:
            numbers.setdefault(refusal.reason, []).append(row.number)
    return Preview(
        columns,
        looked_at,
        [(REASON_LABELS[reason], len(rows), rows) for reason, rows in numbers.items()],
        sieve.languages.most_common(),
        faults,
        problem,
        not stopped,
    )


# --- loading ------------------------------------------------------------------------------------


def request_load(upload: PostUpload, *, actor: Any = None, reason: str = "") -> Job:
    """Ask for a file to be loaded as its settings say.

    Raises Refused, and changes nothing, when the study takes no posts or needs a reason, when the meanings of the
    columns have a fault, or when the file is being loaded or was.
    """
    reason = reason.strip()
    study = Study.objects.get(pk=upload.study_id)
    check_study(study)
    if study.state in NEEDS_REASON and not reason:
        raise Refused(
            f"The study is {study.get_state_display().lower()}: say why posts are added; it is kept in its log."
        )
    preview = preview_upload(upload)
    if preview.faults or preview.problem:
        raise Refused(" ".join([*preview.faults, preview.problem]).strip())
    with transaction.atomic():
        upload = _lock(upload, PostUpload.State.MAPPING, "It is being loaded already.")
        run = upload.settings["run"] + 1
        upload.settings["run"] = run
        upload.state, upload.problem, upload.counts = PostUpload.State.LOADING, "", {}
        upload.save(update_fields=["settings", "state", "problem", "counts"])
        return enqueue(
            kind="load_posts",
            key=_name_job(upload, run),
            payload={
                "upload": upload.pk,
                "study": study.pk,
                "actor": actor.pk if actor else None,
                "reason": reason,
            },
        )


@dataclass
class ReadUpload:
    """A file that was read to its end: its posts wait in a temporary file until they are stored."""

    upload: PostUpload
    posts: IO[str]
    counts: dict[str, Any]
    report: str
    seen: tuple[int, int | None]

    def drafts(self) -> Iterator[Post]:
        purpose = get_settings(self.upload).purpose
        self.posts.seek(0)
        for line in self.posts:
            key, text, context_kind, context_text, metadata = json.loads(line)
            yield Post(
                study_id=self.upload.study_id,
                key=key,
                purpose=purpose,
                text=text,
                context_kind=context_kind,
                context_text=context_text,
                metadata=metadata,
            )


def read_upload(upload: PostUpload, report_progress: Progress) -> ReadUpload:
    """Read a file to its end, sort its rows and keep the report of the refused ones. Writes no row.

    Memory does not grow with the texts: posts wait in a temporary file; of each row its key and 16 bytes stay.

    Raises
    ------
    FileRefused
        When the file as a whole cannot be loaded.
    """
    settings = get_settings(upload)
    seen = _count_posts(upload.study_id)
    posts = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - the effect reads it
    with tempfile.TemporaryFile("w+b") as kept_report, _open(upload) as file:
        if _hash(file) != upload.sha256:
            raise FileRefused("the stored file is not the one that was uploaded; upload it again")
        text = _Encoded(kept_report)
        report = Report(text)
        sieve = _make_sieve(upload.study, settings)
        table = Table(file, settings.layout, settings.left_out)
        for row in table.rows():
            result = sieve.sift(row)
            if isinstance(result, Refusal):
                report.add(result)
            else:
                posts.write(_write_draft(result, get_mark(upload)))
            if not row.number % 500:
                report_progress(*table.progress, f"{row.number:,} rows read")
        report_progress(*table.progress, "storing the posts")
        counts = {
            "rows": sieve.n_rows,
            "added": sieve.n_kept,
            "refused": {reason.value: count for reason, count in sieve.refused.most_common()},
            "languages": dict(sieve.languages.most_common()),
        }
        name = _store_report(upload, settings.run, kept_report) if sieve.refused else ""
    return ReadUpload(upload, posts, counts, name, seen)


def store_posts(read: ReadUpload, *, actor: Any = None, reason: str = "") -> dict[str, Any]:
    """Store the posts of a file that was read, inside the caller's transaction: all of them or none.

    Raises
    ------
    Refused
        When posts came to the study since the file was compared with it: read it again.
    """
    study = Study.objects.get(pk=read.upload.study_id)
    _lock_uploads_of(study)
    upload = PostUpload.objects.select_for_update().filter(pk=read.upload.pk).first()
    if upload is None or upload.state != PostUpload.State.LOADING:
        return {"added": 0}
    upload.counts, upload.report = read.counts, read.report
    if study.state not in TAKES_POSTS:
        return _refuse(upload, "The study was closed before the posts were stored.")
    if not read.counts["added"]:
        return _refuse(upload, "None of its rows makes a post; the report says why.")
    if _count_posts(study.pk) != read.seen:
        raise Refused("The study's posts changed while the file was read.")
    drafts = read.drafts()
    while batch := list(islice(drafts, BATCH)):
        Post.objects.bulk_create(batch)
    upload.state = PostUpload.State.LOADED
    upload.save(update_fields=["state", "counts", "report"])
    n_added, n_refused = read.counts["added"], sum(read.counts["refused"].values())
    _log(
        study,
        f"{n_added:,} {'post' if n_added == 1 else 'posts'} added from '{upload.name:.100}', {n_refused:,} "
        f"{'row' if n_refused == 1 else 'rows'} refused.",
        upload,
        actor,
        reason,
    )
    return {"added": n_added}


def refuse_upload(upload: PostUpload, problem: str) -> dict[str, Any]:
    """Note that a file as a whole was refused, inside the caller's transaction."""
    upload = PostUpload.objects.select_for_update().get(pk=upload.pk)
    if upload.state != PostUpload.State.LOADING:
        return {"added": 0}
    upload.counts, upload.report = {}, ""
    return _refuse(upload, problem)


def try_again(upload: PostUpload) -> bool:
    """Queue the failed job of an upload once more; False when there is none."""
    job = get_job(upload)
    return job is not None and retry(job)


def reopen_upload(upload: PostUpload) -> PostUpload:
    """Go back to naming the columns: of a refused file, of one whose job failed, or of one that still waits.

    Raises Refused when it was loaded in the meantime.
    """
    job = get_job(PostUpload.objects.get(pk=upload.pk))
    if job is not None:
        cancel(job)  # a handler under way learns of it when it reports, at the latest before it would store
    with transaction.atomic():
        upload = PostUpload.objects.select_for_update().get(pk=upload.pk)
        if upload.state == PostUpload.State.LOADED:
            raise Refused("The file was loaded in the meantime.")
        _delete_files_later([upload.report])
        upload.state, upload.problem = PostUpload.State.MAPPING, ""
        upload.counts, upload.report = {}, ""
        upload.save(update_fields=["state", "problem", "counts", "report"])
    return upload


# --- taking back --------------------------------------------------------------------------------


@transaction.atomic
def discard_upload(upload: PostUpload) -> None:
    """Delete a file that is not loaded. Raises Refused when it is being loaded, or was."""
    upload = PostUpload.objects.select_for_update().get(pk=upload.pk)
    if upload.state in (PostUpload.State.LOADING, PostUpload.State.LOADED):
        raise Refused("The file is being loaded or was; stop or undo that first.")
    _delete_files_later([upload.stored_as, upload.report])
    upload.delete()


def undo_upload(upload: PostUpload, *, actor: Any = None, reason: str = "") -> int:
    """Delete every post of an upload, and the upload with its files; returns how many posts went.

    Raises
    ------
    Refused
        When the study is closed, when a reason is missing, or when any of the posts was given to someone, was
        rated or is used by a question. Nothing is deleted then.
    """
    try:
        with transaction.atomic():
            return _undo(upload, actor, reason.strip())
    except IntegrityError as error:
        raise Refused(
            "Something in the study uses these posts, such as a question of the calibration questionnaire. Remove "
            "that first."
        ) from error


def _undo(upload: PostUpload, actor: Any, reason: str) -> int:
    study = Study.objects.select_for_update(no_key=True).get(pk=upload.study_id)
    check_study(study)
    if study.state in NEEDS_REASON and not reason:
        raise Refused(
            f"The study is {study.get_state_display().lower()}: say why posts are removed; it is kept in its log."
        )
    _lock_uploads_of(study)
    lock_assignments_of(study)  # nobody is given one of them from here on
    upload = _lock(upload, PostUpload.State.LOADED, "It is not loaded.")
    ids = list(get_posts(upload).order_by().values_list("pk", flat=True))
    for begin in range(0, len(ids), BATCH):
        batch = ids[begin : begin + BATCH]
        if (
            Assignment.objects.filter(post__in=batch).exists()
            or Annotation.objects.filter(post__in=batch).exists()
        ):
            raise Refused("Some of its posts were given to someone already, so they stay.")
        Post.objects.filter(pk__in=batch).delete()
    _delete_files_later([upload.stored_as, upload.report])
    _log(study, f"{len(ids):,} posts of '{upload.name:.100}' removed again.", upload, actor, reason)
    upload.delete()
    return len(ids)


# --- shared -------------------------------------------------------------------------------------


def open_report(upload: PostUpload) -> BinaryIO:
    """Open the report of the refused rows. Raises FileNotFoundError when there is none."""
    if not upload.report:
        raise FileNotFoundError(f"No row of upload {upload.pk} was refused.")
    return storages["artefacts"].open(upload.report, "rb")


@contextmanager
def _open(upload: PostUpload) -> Iterator[BinaryIO]:
    with storages["artefacts"].open(upload.stored_as, "rb") as file:
        yield file


def _lock(upload: PostUpload, state: str, otherwise: str) -> PostUpload:
    """Return the row as it is now, kept so until the transaction ends. Raises Refused in another state."""
    locked = PostUpload.objects.select_for_update().filter(pk=upload.pk).first()
    if locked is None:
        raise Refused("The upload is gone.")
    if locked.state != state:
        raise Refused(otherwise)
    return locked


def _lock_uploads_of(study: Study) -> None:
    # SQLite's transactions are IMMEDIATE: this one is already alone. The study's own row stays free for raters.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_UPLOAD_LOCK, study.pk])


def _refuse_known(study: Study, sha256: str) -> None:
    known = study.post_uploads.filter(sha256=sha256).first()
    if known is None:
        return
    when = f"{known.uploaded_at:%d %B %Y, %H:%M} UTC, as '{known.name}'"
    if known.state == PostUpload.State.LOADED:
        raise Refused(f"The same file was loaded into this study already ({when}). Undo that upload first.")
    raise Refused(
        f"The same file is here already ({when}): {known.get_state_display().lower()}. Go on with that one, or delete "
        "it."
    )


def _list_roles(roles: Mapping[str, Role]) -> list[list[str]]:
    """The columns' roles in their order, which a JSON object would lose in PostgreSQL."""
    return [[name, role.value] for name, role in roles.items()]


def _guess_roles(upload: PostUpload) -> list[list[str]]:
    with _open(upload) as file:
        columns, rows, _ = read_first(file, Layout.from_dict(upload.settings["layout"]), PREVIEW_ROWS)
    return _list_roles(guess_roles(columns, rows))


def _make_sieve(study: Study, settings: UploadSettings) -> Sieve:
    keys: set[str] = set()
    texts: set[bytes] = set()
    posts = study.posts.order_by().values_list("key", "text", "context_text")
    for key, text, context_text in posts.iterator(chunk_size=BATCH):
        keys.add(key)
        if settings.filters.drops_repeated and text:
            texts.add(digest_text(text, context_text))
    return Sieve(settings.columns, settings.filters, known_keys=keys, known_texts=texts)


def _count_posts(study_id: int) -> tuple[int, int | None]:
    posts = Post.objects.filter(study_id=study_id)
    return posts.count(), posts.aggregate(last=Max("pk"))["last"]


def _write_draft(post: PostDraft, mark: str) -> str:
    fields = (post.key, post.text, post.context_kind, post.context_text, post.metadata | {"upload": mark})
    return json.dumps(fields) + "\n"


def _store_report(upload: PostUpload, run: int, content: IO[bytes]) -> str:
    name = f"{upload.stored_as.partition('.')[0]}-{upload.pk}-refused-{run}.csv"
    storage = storages["artefacts"]
    storage.delete(name)  # of a try that did not end
    content.seek(0)
    return storage.save(name, File(content))


def _refuse(upload: PostUpload, problem: str) -> dict[str, Any]:
    upload.state, upload.problem = PostUpload.State.REFUSED, problem
    upload.save(update_fields=["state", "problem", "counts", "report"])
    return {"added": 0, "refused": problem}


def _log(study: Study, summary: str, upload: PostUpload, actor: Any, reason: str) -> None:
    detail = {"upload": get_mark(upload), "sha256": upload.sha256, "counts": upload.counts}
    log_event(study, StudyEvent.Action.POSTS, summary, actor=actor, reason=reason, detail=detail)
    if (
        study.state != Study.State.DRAFT or study.current_version_id
    ):  # of a mere draft, this entry says it all
        from annotation.versions import note_change  # which reads this package's models and services

        note_change(study, actor, reason or summary)


def _name_job(upload: PostUpload, run: int) -> str:
    return f"load posts, upload {upload.pk}, run {run}"


def _delete_files_later(names: Iterable[str]) -> None:
    kept = [name for name in names if name]

    def delete() -> None:
        for name in kept:
            storages["artefacts"].delete(name)

    transaction.on_commit(delete)


def _hash(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _make_printable(name: str) -> str:
    shown = "".join(character if character.isprintable() else "_" for character in name)
    return shown.encode("utf-8", "replace").decode()[-NAME_LENGTH:]


class _Encoded:
    """A text file's `write` over bytes, with the mark by which spreadsheets know UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        file.write(b"\xef\xbb\xbf")

    def write(self, text: str) -> int:
        return self.file.write(text.encode())
