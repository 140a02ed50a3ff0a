"""`manage.py load_design FILE [--slug SLUG] [--name NAME]`"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from annotation.studyfile import StudyFileError, load, read


class Command(BaseCommand):
    help = "Make a study, as a draft, from a study file: all of it or nothing."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="JSON file, as save_design writes it")
        parser.add_argument("--slug", help="instead of the file's own")
        parser.add_argument("--name", help="instead of the file's own")

    def handle(self, *args, file: Path, slug: str | None, name: str | None, **options):
        try:
            study = load(read(file.read_bytes()), slug=slug, name=name)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except StudyFileError as error:
            raise CommandError(str(error)) from error
        n_posts = study.posts.count()
        self.stdout.write(f"Made study '{study.slug}', a draft with {n_posts:,} posts.")
