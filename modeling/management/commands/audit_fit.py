"""`manage.py audit_fit STUDY [--method METHOD] [--seed N] [--with-pilot] [--without-flags RULE,...] ...`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from modeling.estimators.audit import LEVEL, audit, cheap_settings
from modeling.estimators.data import BLEND, METHODS
from modeling.management.inclusion_options import add_inclusion_options, read_inclusion_options
from modeling.matrices import load_table

STATES = {True: "passed", False: "FAILED", None: "nothing to check"}


class Command(BaseCommand):
    help = (
        "Change a study's ratings where no prediction may notice it, fit again and again with few trees, and look "
        "whether any did. Nothing is stored."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--method", choices=METHODS, default=BLEND, help=f"what is fitted ({BLEND})")
        parser.add_argument("--seed", type=int, help="the study's seed when left out")
        add_inclusion_options(parser)

    def handle(self, *args, study: str, method: str, seed: int | None, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        settings = cheap_settings(seed=found.seed if seed is None else seed, method=method)
        try:
            data = load_table(found, read_inclusion_options(options)).as_fit_data()
            audited = audit(data, settings, report=lambda name: self.stderr.write(f"Checking: {name}"))
        except ValueError as error:
            raise CommandError(f"Study '{study}' cannot be audited: {error}") from error
        for finding in audited.findings:
            self.stdout.write(f"{finding.name:<18} {STATES[finding.passed]:<17} {finding.sentence}")
        if not audited.passed:
            raise CommandError(
                f"Failed: {', '.join(audited.failed)}. Held-out figures of '{study}' look better than they are, or the "
                "fit learns from what it will not have later; do not report or serve it before the cause is found. "
                f"'exchanged ratings' and 'permuted control' each fail by chance in {LEVEL:.0%} of studies: with "
                "another --seed such a failure is gone."
            )
        self.stdout.write(f"No leak was found in how '{study}' is fitted by '{method}'.")
