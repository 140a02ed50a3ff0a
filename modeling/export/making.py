"""Making an export: written to the storage first, then its row, in the transaction that ends the job."""

import hashlib
import tempfile
import threading
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.core.files import File
from django.core.files.storage import storages
from django.db import connection
from django.utils import timezone

from annotation.models import Study, StudyEvent
from annotation.services.audit import log_event
from annotation.versions import get_code_version
from jobs.services import Claim
from modeling.errors import DataChanged
from modeling.models import DataExport

from .archive import Made, Report, list_holders, write_archive

REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class StoredArchive:
    """An archive in the storage, without a row yet."""

    name: str
    sha256: str
    n_bytes: int
    made: Made


class ReportAside:
    """Passes progress on from another thread, which has its own database connection.

    Reading the database as it is at one moment is one transaction: what was written inside it nobody would see.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.latest: tuple[int, int, str] | None = None
        self.problem: Exception | None = None
        self.finished = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"progress-of-job-{claim.job_id}", daemon=True)

    def __enter__(self) -> "ReportAside":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finished.set()
        self.thread.join()

    def __call__(self, done: int, total: int, note: str) -> None:
        """Raises LeaseLost or Cancelled once the job is not ours any more."""
        self.latest = (done, total, note)
        if self.problem:
            raise self.problem

    def _run(self) -> None:
        try:
            while not self.finished.wait(REPORT_SECONDS):
                if self.latest:
                    self.claim.report(*self.latest)
        except Exception as error:
            self.problem = error
        finally:
            connection.close()


def make_archive(study: Study, scope: str, name: str, report: Report) -> StoredArchive:
    """Write a study's archive into the artefact storage; no row is touched."""
    with tempfile.TemporaryFile() as file:
        made = write_archive(
            study, file, moment=timezone.now(), code_version=get_code_version(), scope=scope, report=report
        )
        n_bytes = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        stored = storages["artefacts"].save(name, File(file, name))
    return StoredArchive(stored, digest, n_bytes, made)


def store_export(study: Study, archive: StoredArchive, *, actor_id: int | None, asked_by: str) -> DataExport:
    """Store the row of an archive, inside the caller's transaction, and log it.

    Raises DataChanged when someone withdrew, was erased or lost their identity while it was made: it may hold
    what is gone.
    """
    if not archive.made.holders <= {address for _, address in list_holders(study)}:
        raise DataChanged("Someone or their name was erased while the export was made; make it again.")
    export = DataExport.objects.create(
        study=study,
        artefact=archive.name,
        sha256=archive.sha256,
        n_bytes=archive.n_bytes,
        counts=archive.made.counts,
        inclusion=archive.made.inclusion,
        asked_by=asked_by,
    )
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Exported {archive.made.inclusion['n_people']:,} people's data.",
        actor=get_user_model().objects.filter(pk=actor_id).first(),
        detail={"export": export.pk, "sha256": export.sha256, "people": archive.made.inclusion["people"]},
    )
    return export


def name_archive(study: Study, job_id: int, attempt: int) -> str:
    return f"exports/{study.slug}-{job_id}-{attempt}.zip"
