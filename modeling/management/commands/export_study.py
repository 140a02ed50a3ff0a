"""`manage.py export_study STUDY [--out FILE] [--include everyone|included] [--with-keys FILE]`"""

import hashlib
import os
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from annotation.models import Study, StudyEvent
from annotation.services.audit import log_event
from annotation.versions import get_code_version
from modeling.export.archive import write_archive
from modeling.export.pseudonyms import write_key_table
from modeling.export.requests import log_key_table
from modeling.export.scopes import EVERYONE, SCOPES
from modeling.progress import Progress


class Command(BaseCommand):
    help = "Write all that a study has gathered into a zip file: tables, codebook, study file, README, checksums."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "--out",
            type=Path,
            metavar="FILE",
            help="where to; SLUG-data-DATE.zip in this folder when left out",
        )
        parser.add_argument(
            "--include",
            choices=SCOPES,
            default=EVERYONE,
            help="everyone but rehearsals, marked, or only the raters whom the measures count",
        )
        parser.add_argument(
            "--with-keys",
            type=Path,
            metavar="FILE",
            help="also write who is behind each pseudonym, into a file of its own that only you can read",
        )

    def handle(self, *args, study: str, out: Path | None, include: str, with_keys: Path | None, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        now = timezone.now()
        out = out or Path(f"{study}-data-{now:%Y-%m-%d}.zip")
        for path in filter(None, (out, with_keys)):
            if path.exists():
                raise CommandError(f"{path} exists; name another file or remove it.")
        unfinished = out.with_name(f"{out.name}.unfinished")
        try:
            with unfinished.open("wb") as file:
                made = write_archive(
                    found,
                    file,
                    moment=now,
                    code_version=get_code_version(),
                    scope=include,
                    report=Progress(self.stdout, "Exporting"),
                )
            unfinished.rename(out)
            if with_keys:
                self._write_keys(found, with_keys)
        except OSError as error:
            raise CommandError(f"{error.filename or out} cannot be written: {error.strerror}.") from error
        finally:
            unfinished.unlink(missing_ok=True)
        with out.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        log_event(
            found,
            StudyEvent.Action.EXPORT,
            f"Exported {made.inclusion['n_people']:,} people's data by a command.",
            detail={"sha256": digest, "people": include},
        )
        self.stdout.write(
            f"{out}: {out.stat().st_size:,} bytes, {made.inclusion['n_people']:,} people, "
            f"{made.inclusion['n_included']:,} included"
        )
        for table, n_rows in made.counts.items():
            self.stdout.write(f"  {table}: {n_rows:,} rows")
        self.stdout.write(f"SHA-256 {digest}")

    def _write_keys(self, study: Study, path: Path) -> None:
        log_key_table(study)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.writelines(write_key_table(study))
        self.stdout.write(f"{path}: who is behind each pseudonym. Keep it apart from the data.")
