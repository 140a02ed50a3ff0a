"""`manage.py structure STUDY SET [--queue]`"""

from django.core.management.base import BaseCommand

from modeling.models import Report
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.structure_tables import name_of, say_reason

from .errors import do, get_set


class Command(BaseCommand):
    help = (
        "Say how far experts, people and each model that was held against an expert set see the values in the theory's "
        "circle."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("set", type=int, help="number of the expert set")
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")

    def handle(self, *args, study: str, queue: bool, **options):
        expert_set = get_set(study, options["set"])
        subject = name_subject(set=expert_set.pk)
        job = request_report(expert_set.study, Report.Kind.STRUCTURE, subject)
        if queue:
            self.stdout.write(f"Job {job.pk} is with the workers.")
            return
        do(self, job, "Computing the circles")
        measures = get_report(expert_set.study, Report.Kind.STRUCTURE, subject).measures
        if measures["n_standin"]:
            self.stdout.write(SAYS_STANDIN)
        for source in measures["sources"]:
            self.stdout.write(_write(source))
        for line in measures["notes"]:
            self.stdout.write(line)


def _write(source: dict) -> str:
    line = f"{name_of(source)}: "
    if source["congruence"] is None:
        return line + f"no circle ({say_reason(source)})"
    line += f"congruence {source['congruence']:.3f}"
    low, high = source["interval"]
    if low is not None:
        line += f" ({low:.3f} to {high:.3f})"
    low, high = source["chance"]
    if low is not None:
        line += f", by chance {low:.3f} to {high:.3f}, p {source['p']:.3f}"
    note = say_reason(source)
    return line + (f"; {note}" if note else "")
