"""`manage.py flag_quality STUDY [--limit RULE=NUMBER ...] [--queue]`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.flagging import request_flags
from modeling.progress import Progress
from modeling.quality.rules import BY_KEY, RULES


class Command(BaseCommand):
    help = "Compute the quality flags of everyone who completed a study. Nobody is excluded by it."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "--limit",
            action="append",
            metavar="RULE=NUMBER",
            default=[],
            help="another limit than the usual one, such as fast_posts=-2.5; again for each rule. Without any, "
            f"those of the last time. The rules: {', '.join(BY_KEY)}",
        )
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")

    def handle(self, *args, study: str, limit: list[str], queue: bool, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        try:
            job = request_flags(found, dict(map(_read_limit, limit)) if limit else None)
        except ValueError as error:
            raise CommandError(f"--limit: {error}") from error
        if queue:
            self.stdout.write(f"Job {job.pk} is with the workers.")
            return
        job = run_here(job, on_progress=Progress(self.stdout, "Measuring").show_job)
        if job.state != Job.State.DONE:
            raise CommandError(f"The flags could not be computed: {job.error}")
        self._show(job)

    def _show(self, job: Job) -> None:
        self.stdout.write(
            f"{job.result['n_people']:,} people completed it; {job.result['n_flagged']:,} are flagged by one rule "
            "or more."
        )
        for rule in RULES:
            row = job.result["rules"][rule.key]
            self.stdout.write(
                f"  {rule.key:<27} flagged {row['n_flagged']:>5,}   without a number {row['n_undefined']:>5,}   "
                f"{rule.side} {row['limit']:g}: {rule.number}"
            )


def _read_limit(text: str) -> tuple[str, float]:
    rule, _, number = text.partition("=")
    try:
        return rule.strip(), float(number)
    except ValueError:
        raise CommandError(f"--limit must look like fast_posts=-2.5, not '{text}'.") from None
