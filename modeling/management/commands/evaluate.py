"""`manage.py evaluate STUDY [--format text|json]`"""

import json

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from modeling.presentation import write_text
from modeling.selectors import get_latest_report


class Command(BaseCommand):
    help = "Print a study's report: people with people, people with models, with intervals."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args, study: str, format: str, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        report = get_latest_report(found)
        if report is None:
            raise CommandError(f"Study '{study}' has no report yet; make one with: manage.py fit {study}")
        self.stdout.write(
            json.dumps(report.measures, indent=1) if format == "json" else write_text(report.measures)
        )
