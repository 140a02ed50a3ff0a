"""`manage.py erase_person WHO (--study SLUG | --all-studies) [--reason TEXT] [--yes]`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from modeling.erasure import NOTHING_FOUND, erase_person, find_person
from modeling.errors import ErasureRefused
from modeling.management.confirming import confirm


class Command(BaseCommand):
    help = "Erase one person everywhere: answers, drafts, notes and names."

    def add_arguments(self, parser):
        parser.add_argument("who", help="a pseudonym, or the id given by Prolific or an imported file")
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--study", help="erase them from this study alone")
        where.add_argument("--all-studies", action="store_true", help="erase them from every study")
        parser.add_argument("--reason", default="", help="kept in the log; do not name the person")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(
        self, *args, who: str, study: str | None, all_studies: bool, reason: str, yes: bool, **options
    ):
        studies = Study.objects.all() if all_studies else Study.objects.filter(slug=study)
        if not studies.exists():
            raise CommandError("There is no study yet." if all_studies else f"There is no study '{study}'.")
        found = find_person(who, studies)
        if not found:
            raise CommandError(NOTHING_FOUND)
        where = ", ".join(sorted({enrollment.study.slug for enrollment in found}))
        confirm(f"They were found in: {where}. Erase them for good?", yes=yes)
        try:
            erasure = erase_person(who, studies, reason=reason)
        except ErasureRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Erased from {', '.join(erasure.studies)}: {erasure.n_rows} rows.")
        for name, n_rows in erasure.rows.items():
            self.stdout.write(f"  {name:<24}{n_rows:>6}")
        self.stdout.write(
            "Backups and archives that were downloaded are out of reach: erase them there yourself."
        )
