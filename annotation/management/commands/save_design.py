"""`manage.py save_design SLUG FILE [--no-codes] [--no-posts]`"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from annotation.studyfile import StudyFileError, dump, to_json


class Command(BaseCommand):
    help = "Write a study as one file: everything it is, nothing of who took part in it."

    def add_arguments(self, parser):
        parser.add_argument("study", help="slug of the study")
        parser.add_argument("file", type=Path, help="JSON file to write; one that is there is not replaced")
        parser.add_argument("--no-codes", action="store_true", help="leave the completion codes out")
        parser.add_argument("--no-posts", action="store_true", help="leave the posts to label out")

    def handle(self, *args, study: str, file: Path, no_codes: bool, no_posts: bool, **options):
        found = Study.objects.select_related("value_system").filter(slug=study).first()
        if found is None:
            there = ", ".join(Study.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no study '{study}'; there are: {there}.")
        try:
            text = to_json(dump(found, codes=not no_codes, posts=not no_posts))
            with file.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except StudyFileError as error:
            raise CommandError(str(error)) from error
        except FileExistsError as error:
            raise CommandError(f"{file} is there already; nothing was written.") from error
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"Wrote study '{study}' to {file}.")
