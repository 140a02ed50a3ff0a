"""`manage.py erase_identities STUDY [--keep-texts] [--reason TEXT] [--yes]`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from modeling.errors import ErasureRefused
from modeling.management.confirming import confirm
from modeling.retention import erase_identities, select_identifiable


class Command(BaseCommand):
    help = "Erase what names a study's people; their ratings stay, of nobody in particular."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "--keep-texts", action="store_true", help="keep rationales and answers to open questions"
        )
        parser.add_argument("--reason", default="", help="kept in the log")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args, study: str, keep_texts: bool, reason: str, yes: bool, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        n_people = select_identifiable(found).count()
        confirm(f"Erase for good what names {n_people:,} people of '{study}'?", yes=yes)
        try:
            done = erase_identities(found, with_texts=not keep_texts, reason=reason)
        except ErasureRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"What names {done.n_people:,} people is erased, with {done.n_texts:,} texts and "
            f"{done.n_archives:,} archives of exports."
        )
        self.stdout.write(
            "Backups and archives that were downloaded are out of reach: erase them there yourself."
        )
