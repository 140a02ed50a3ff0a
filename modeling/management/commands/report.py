"""`manage.py report STUDY [--out FOLDER] [--with-pilot] [--without-flags RULE,...] ...`"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.management.inclusion_options import add_inclusion_options, read_inclusion_options
from modeling.presentation import write_comparison
from modeling.progress import Progress
from modeling.reporting.requests import (
    DEFAULT_KEY,
    count_since,
    get_agreement,
    get_comparison,
    get_evaluation,
    key_of,
    request_agreement,
    request_document,
)


class Command(BaseCommand):
    help = (
        "Write a study's findings as one HTML and one PDF file: methods, tables, figures, versions, hashes."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--out", type=Path, default=Path(), help="folder for the files (this one)")
        parser.add_argument("--refresh", action="store_true", help="compute the agreement report afresh")
        add_inclusion_options(parser)

    def handle(self, *args, study: str, out: Path, refresh: bool, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        if not out.is_dir():
            raise CommandError(f"There is no folder {out}; make it first or name another by --out.")
        rule = read_inclusion_options(options)
        agreement = get_agreement(found, key_of(rule))
        if refresh or agreement is None or agreement.outdated_at or count_since(found, agreement):
            self._do(request_agreement(found, rule), "Computing the agreement of people")
        self._do(request_document(found, rule), "Writing the document")
        document = found.documents.get(rule_key=key_of(rule))
        suffix = "" if document.rule_key == DEFAULT_KEY else f"-{document.rule_key}"
        for ending, content in (("html", document.html.encode()), ("pdf", bytes(document.pdf))):
            path = out / f"{found.slug}-report{suffix}.{ending}"
            path.write_bytes(content)
            self.stdout.write(f"Wrote {path} ({len(content) / 1000:,.0f} kB).")
        evaluation = get_evaluation(found, key_of(rule))
        if evaluation is None:
            self.stdout.write(f"It is about people alone. For people and models: manage.py fit {study}")
        elif evaluation.outdated_at:
            self.stdout.write(
                f"Its part on models is older than a withdrawal or exclusion: manage.py fit {study}"
            )

        comparison = get_comparison(found, key_of(rule))
        if comparison is not None:
            self.stdout.write("\n" + write_comparison(comparison.measures))
        if comparison is not None and comparison.outdated_at:
            self.stdout.write(
                "This comparison is older than a withdrawal or exclusion; it is being made anew."
            )

    def _do(self, job: Job, what: str) -> None:
        job = run_here(job, on_progress=Progress(self.stdout, what).show_job)
        if job.state != Job.State.DONE:
            raise CommandError(f"{what} failed: {job.error}")
