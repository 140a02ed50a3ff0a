"""The archive of a study's data: tables, codebook, study file, README, checksums; written as it is read."""

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from uuid import UUID

import pyarrow as pa

from annotation.models import Outcome, Study, StudyVersion
from annotation.studyfile.writing import dump
from modeling.inclusion import DEFAULT, InclusionRule

from . import codebook, readme
from .cells import clean
from .rows import read_batches, read_loading_batches
from .scopes import EVERYONE
from .snapshot import Snapshot, read_consistently
from .tables import Table, describe_loading_tables, describe_tables
from .writing import write_table

LOADING = "for_load_study"
LOADING_FORMAT = "parallax-ratings-1"
CHECKSUMS = "checksums.sha256"
STEPS = 1_000  # of the bar that shows progress

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Made:
    """What an archive holds.

    Attributes
    ----------
    counts : rows of each table
    inclusion : by which rule people are in it, and how many
    holders : random addresses of the enrollments whose answers may be in it; who is erased or loses their
        identity has that one no more
    """

    counts: dict[str, int]
    inclusion: dict[str, Any]
    holders: frozenset[UUID]


class _HashedFile(io.RawIOBase):
    """Passes on what is written and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return self.file.write(content)


class Archive:
    """A zip file that grows entry by entry, each under one folder, and keeps their checksums."""

    def __init__(self, file: IO[bytes], folder: str, moment: datetime) -> None:
        self.zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self.folder = folder
        self.moment = moment
        self.checksums: dict[str, str] = {}

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    @contextmanager
    def entry(self, name: str, *, packed: bool = False) -> Iterator[IO[bytes]]:
        """Open one entry for writing; what is `packed` already is stored as it is."""
        info = zipfile.ZipInfo(f"{self.folder}/{name}", self.moment.timetuple()[:6])
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        with self.zip.open(info, "w", force_zip64=True) as file:
            hashed = _HashedFile(file)
            yield hashed
        self.checksums[name] = hashed.digest.hexdigest()

    def add_text(self, name: str, text: str) -> None:
        with self.entry(name) as file:
            file.write(clean(text).encode())

    def add_json(self, name: str, data: Any) -> None:
        self.add_text(name, json.dumps(data, ensure_ascii=False, indent=1) + "\n")


class _Bar:
    """Tells how far the whole work is from how far each table is."""

    def __init__(self, report: Report, total: int) -> None:
        self.report, self.total = report, total
        self.done, self.within, self.effort, self.note = 0.0, 0.0, 0, ""

    def begin(self, effort: int, note: str) -> None:
        self.done += self.effort
        self.within, self.effort, self.note = 0.0, effort, note
        self.tick(0.0)

    def tick(self, share: float) -> None:
        self.within = min(self.within + share, 1.0)
        done = int(STEPS * (self.done + self.within * self.effort) / self.total)
        self.report(min(done, STEPS), STEPS, self.note)


def write_archive(
    study: Study,
    file: IO[bytes],
    *,
    moment: datetime,
    code_version: str,
    rule: InclusionRule = DEFAULT,
    scope: str = EVERYONE,
    report: Report = lambda done, total, note: None,
) -> Made:
    """Write all that a study has gathered into a zip file, as the database is at this moment.

    Parameters
    ----------
    study : Study
    file : binary file to write to; it need not be seekable backwards
    moment : stands in the README and on the entries
    code_version : of the software
    rule : by which people count as included
    scope : one of `SCOPES`
    report : called with (done, total, what is written now) as the work goes on; it must not use this thread's database
        connection
    """
    with read_consistently():
        study = Study.objects.select_related("value_system", "current_version").get(pk=study.pk)
        snapshot = Snapshot(study, rule, scope)
        scale = (snapshot.tree.scale.min, snapshot.tree.scale.max)
        tables = describe_tables(snapshot.value_keys, scale, snapshot.tree.scale.shown_from)
        loading_tables = describe_loading_tables(scale)
        bar = _Bar(report, sum(table.effort for table in (*tables, *loading_tables)))
        snapshot.tick = bar.tick
        folder = f"{study.slug}-data-{moment:%Y-%m-%d}"
        counts: dict[str, int] = {}
        with Archive(file, folder, moment) as archive:
            for table in tables:
                bar.begin(table.effort, table.name)
                counts[table.name] = _add_table(archive, table, read_batches(table, snapshot))
            loading_counts = _add_loading_files(archive, loading_tables, snapshot, bar)
            _add_study_files(archive, study)
            _add_codebook(archive, tables, loading_tables if loading_counts else ())
            in_it = set(snapshot.enrollment_ids)
            holders = frozenset(address for pk, address in list_holders(study) if pk in in_it)
            facts = readme.gather_facts(snapshot, moment, code_version)
            archive.add_text(
                "README.md", readme.write_readme(snapshot, facts, tables, counts, loading_counts)
            )
            archive.add_text(
                CHECKSUMS,
                "".join(f"{digest}  {name}\n" for name, digest in sorted(archive.checksums.items())),
            )
    inclusion = {
        "people": scope,
        "rule": rule.as_dict(),
        "phrase": facts["inclusion"],
        "n_people": facts["n_people"],
        "n_included": facts["n_included"],
    }
    return Made(counts, inclusion, holders)


def list_holders(study: Study) -> Any:
    """Return number and address of each enrollment whose answers are still there."""
    return study.enrollments.exclude(outcome=Outcome.WITHDREW).values_list("pk", "public_id")


def _add_table(archive: Archive, table: Table, batches: Iterator[pa.RecordBatch]) -> int:
    with tempfile.TemporaryFile() as parquet:
        with archive.entry(f"csv/{table.name}.csv") as file:
            n_rows = write_table(table, batches, file, parquet)
        parquet.seek(0)
        with archive.entry(f"parquet/{table.name}.parquet", packed=True) as file:
            while piece := parquet.read(1 << 20):
                file.write(piece)
    return n_rows


def _add_loading_files(
    archive: Archive, tables: tuple[Table, ...], snapshot: Snapshot, bar: _Bar
) -> dict[str, int]:
    """Add the folder that `load_study` reads; nothing when no included rater has rated."""
    if not snapshot.tally.n_included:
        return {}
    counts = {}
    for table in tables:
        bar.begin(table.effort, f"{LOADING}/{table.name}")
        with archive.entry(f"{LOADING}/{table.name}.csv") as file:
            counts[table.name] = write_table(table, read_loading_batches(table, snapshot), file, None)
    scale = snapshot.tree.scale
    archive.add_json(
        f"{LOADING}/load.json",
        {
            "format": LOADING_FORMAT,
            "name": snapshot.study.name,
            "scale": [scale.min, scale.max],
            "values": [[key, snapshot.tree.leaf(key).name] for key in snapshot.value_keys],
            "raters": [
                name
                for name, n in zip(
                    snapshot.rater_ids.to_pylist(), snapshot.tally.per_person.tolist(), strict=True
                )
                if n
            ],
            "posts": snapshot.post_keys,
            "questions": list_questions_to_load(snapshot) if counts["calibration"] else [],
        },
    )
    return counts


def list_questions_to_load(snapshot: Snapshot) -> list[list[str]]:
    """Return (post, value) of each calibration question, in order, but for those about posts that were rated."""
    questions = snapshot.study.calibration_questions.order_by("position").values_list("post_id", "value_key")
    return [
        [snapshot.post(post), value]
        for post, value in questions
        if not snapshot.tally.per_post[snapshot.post_place[post]]
    ]


def _add_study_files(archive: Archive, study: Study) -> None:
    """Add the study as it is frozen, each version; or as it is, before it was ever frozen."""
    for version in StudyVersion.objects.filter(study=study).order_by("number").iterator():
        archive.add_json(
            f"study/version_{version.number}.json",
            {
                "number": version.number,
                "digest": version.digest,
                "code_version": version.code_version,
                "made_at": version.made_at.isoformat(),
                "reason": version.reason,
                "content": version.content,
                "post_digests": version.post_digests,
            },
        )
    current = study.current_version
    archive.add_json(
        "study/study.json", current.content if current else dump(study, codes=False, posts=False)
    )


def _add_codebook(archive: Archive, tables: tuple[Table, ...], loading_tables: tuple[Table, ...]) -> None:
    groups = {"csv and parquet": tables, LOADING: loading_tables}
    archive.add_text("codebook.csv", codebook.write_csv(groups))
    archive.add_text("codebook.md", codebook.write_markdown(groups))
