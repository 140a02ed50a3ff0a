"""`manage.py load_feeds STUDY FILE [FILE ...] --curation NAME`"""

from pathlib import Path

from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from annotation.errors import Refused
from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.curation.feeds import request_load
from modeling.curation.rows import REASON_LABELS
from modeling.curation.services import create_curation
from modeling.models import Curation, FeedUpload
from modeling.progress import Progress


class Command(BaseCommand):
    help = "Load files of feeds (CSV, JSON Lines, Parquet) into a curation: each as a whole or not at all."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "files", nargs="+", type=Path, help="columns: key, text, owner, source, and others"
        )
        parser.add_argument("--curation", required=True, help="its name; made when the study has none of it")

    def handle(self, *args, study: str, files: list[Path], curation: str, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        try:
            target = found.curations.filter(name=curation).first() or create_curation(found, name=curation)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        for path in files:
            load_file(self, target, path)


def load_file(command: BaseCommand, curation: Curation, path: Path) -> None:
    """Load one file here and now, and tell what it brought."""
    try:
        with path.open("rb") as file:
            job = request_load(curation, File(file, name=path.name))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except Refused as refusal:
        raise CommandError(f"{path} was not loaded. {refusal}") from refusal
    job = run_here(job, on_progress=Progress(command.stdout, path.name).show_job)
    if job.state != Job.State.DONE:
        raise CommandError(f"{path} was not loaded. {job.error}")
    counts = FeedUpload.objects.get(pk=job.result["upload"]).counts
    command.stdout.write(
        f"{path.name}: {counts['appearances']:,} places of {counts['posts']:,} new posts in {counts['owners']:,} "
        f"feeds, of {counts['rows']:,} rows; {counts['repeated']:,} repeat what was known."
    )
    for reason, number in counts["refused"].items():
        command.stdout.write(f"  refused: {number:,} ({REASON_LABELS[reason].lower()})")
