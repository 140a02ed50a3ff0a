"""`manage.py load_posts SLUG FILE [--purpose labeling|corpus] [--map text=body ...] [--languages en,de] ...`"""

import shutil
from dataclasses import replace
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from annotation.errors import Refused
from annotation.models import PostUpload, Study
from annotation.post_forms import read_languages
from annotation.services import uploads
from annotation.uploads.filters import REASON_LABELS, Filters, Reason
from annotation.uploads.mapping import CONTEXT_KINDS, Role
from annotation.uploads.reading import ENCODINGS
from jobs.models import Job
from jobs.services import run_here

WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


class Command(BaseCommand):
    help = "Load a file of posts (CSV, JSON Lines, Parquet) into a study: all of it or nothing."

    def add_arguments(self, parser):
        parser.add_argument("study", help="slug of the study")
        parser.add_argument("file", type=Path, help="CSV, JSON Lines (both also .gz) or Parquet")
        parser.add_argument(
            "--map",
            nargs="+",
            action="extend",
            default=[],
            metavar="ROLE=COLUMN",
            help=f"what a column means, where the guess is wrong; roles: {', '.join(Role)}",
        )
        parser.add_argument("--languages", default="", help="keep these alone, such as en,de")
        parser.add_argument(
            "--drop-unknown", action="store_true", help="with --languages: drop texts too short to tell"
        )
        parser.add_argument("--least", type=int, default=0, help="least length in characters")
        parser.add_argument("--most", type=int, default=0, help="greatest length in characters")
        parser.add_argument("--keep-repeated", action="store_true", help="keep texts that are there already")
        parser.add_argument(
            "--skip-known-keys",
            action="store_true",
            help="leave out rows whose key the study has, instead of refusing the file",
        )
        parser.add_argument("--source", default="", help="which feed, whose: where no column says it")
        parser.add_argument(
            "--context-kind", choices=CONTEXT_KINDS, default="reply", help="of contexts without a kind"
        )
        parser.add_argument("--encoding", choices=list(ENCODINGS), help="when the guess is wrong")
        parser.add_argument(
            "--delimiter", help=f"one character, or a word ({', '.join(WORDS)}), when the guess is wrong"
        )
        parser.add_argument(
            "--no-quotes", action="store_true", help="quotation marks are part of the texts of a CSV file"
        )
        parser.add_argument(
            "--purpose",
            choices=uploads.PURPOSES,
            default=uploads.PURPOSES[0],
            help="labeling: people read them too; corpus: models alone",
        )
        parser.add_argument("--report", type=Path, help="write the refused rows to this CSV file")
        parser.add_argument("--reason", default="", help="for the study's log; needed once the study is live")

    def handle(self, *args, **options):
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study '{options['study']}'.")
        try:
            with options["file"].open("rb") as file:
                upload = uploads.store_upload(study, File(file, name=options["file"].name))
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        is_loaded = False
        try:
            upload = self.describe(upload, options)
            job = run_here(
                uploads.request_load(upload, reason=options["reason"]), on_progress=self.show_progress
            )
            upload.refresh_from_db()
            if options["report"] and upload.report:
                with uploads.open_report(upload) as source, options["report"].open("wb") as target:
                    shutil.copyfileobj(source, target)
            is_loaded = upload.state == PostUpload.State.LOADED
            if not is_loaded:
                raise CommandError(f"Nothing was loaded. {upload.problem or job.error}")
        except Refused as error:
            raise CommandError(f"Nothing was loaded. {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Nothing was loaded: cancelled. The same command begins anew.") from None
        finally:
            if not is_loaded:  # so that the same file can be tried in another way
                uploads.discard_upload(uploads.reopen_upload(upload))
        self.tell(upload)

    def describe(self, upload: PostUpload, options: dict) -> PostUpload:
        """Change what was guessed of a file to what was asked for."""
        layout = uploads.get_settings(upload).layout
        delimiter = options["delimiter"]
        try:
            layout = replace(
                layout,
                encoding=options["encoding"] or layout.encoding,
                delimiter=WORDS.get(delimiter, delimiter) if delimiter else layout.delimiter,
                has_quotes=layout.has_quotes and not options["no_quotes"],
            )
            languages = read_languages([part for part in options["languages"].split(",") if part.strip()])
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from error
        except ValueError as error:
            raise Refused(f"The {error}.") from error
        upload = uploads.describe_upload(
            upload,
            layout=layout,
            context_kind=options["context_kind"],
            source=options["source"],
            purpose=options["purpose"],
            filters=Filters(
                drops_repeated=not options["keep_repeated"],
                languages=languages,
                keeps_unknown=not options["drop_unknown"],
                least=options["least"],
                most=options["most"],
                skips_known_keys=options["skip_known_keys"],
            ),
        )
        return uploads.describe_upload(upload, roles=name_columns(upload, options["map"]))

    def show_progress(self, job: Job) -> None:
        if job.progress_total:
            percent = 100 * job.progress_done // job.progress_total
            self.stderr.write(f"{percent:3d} %  {job.progress_note}")

    def tell(self, upload: PostUpload) -> None:
        counts = upload.counts
        self.stdout.write(f"{upload.name}: {counts['added']:,} posts added of {counts['rows']:,} rows.")
        for reason, count in uploads.rank(counts["refused"]):
            self.stdout.write(f"  refused: {count:,} ({REASON_LABELS[Reason(reason)].lower()})")
        languages = ", ".join(f"{code} {count:,}" for code, count in uploads.rank(counts["languages"])[:10])
        self.stdout.write(f"  languages: {languages}")


def name_columns(upload: PostUpload, wanted: list[str]) -> dict[str, Role]:
    """Return the guessed roles with those that were asked for instead. Raises Refused for an unknown one."""
    roles = dict(uploads.get_settings(upload).columns.roles)
    for each in wanted:
        role, _, column = each.partition("=")
        if role not in list(Role):
            raise Refused(f"--map {each}: '{role}' is no role; use {', '.join(Role)}.")
        if column not in roles:
            raise Refused(f"--map {each}: the file has no column '{column}', only {', '.join(roles)}.")
        if role not in (Role.METADATA, Role.LEFT_OUT):
            roles.update({name: Role.METADATA for name, other in roles.items() if other == role})
        roles[column] = Role(role)
    return roles
