"""`manage.py fit STUDY [--queue] [--with-pilot] [--without-flags RULE,...] ...`"""

from dataclasses import fields, replace

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import retry, run_here
from modeling.errors import ModelingError
from modeling.estimators.data import METHODS, FitSettings
from modeling.management.inclusion_options import add_inclusion_options, read_inclusion_options
from modeling.progress import Progress
from modeling.services import request_evaluation, request_fit


class Command(BaseCommand):
    help = "Fit a study's personalization to its ratings and store the report."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")
        add_inclusion_options(parser)
        for field in fields(FitSettings):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=type(field.default),
                choices=METHODS if field.name == "method" else None,
                default=None,
                help=_describe_default(field.default)
                if field.name != "seed"
                else "the study's seed when left out",
            )

    def handle(self, *args, study: str, queue: bool, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        given = {
            field.name: options[field.name]
            for field in fields(FitSettings)
            if options[field.name] is not None
        }
        try:
            settings = replace(FitSettings(seed=found.seed), **given)
            job = request_fit(found, settings, read_inclusion_options(options))
            if queue:
                self._leave_to_workers(job)
                return
            job = self._do(job, "Fitting")
            self._do(request_evaluation(found.fit_runs.get(pk=job.result["fit_run"])), "Evaluating")
        except ModelingError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Study '{study}' is fitted. See it: manage.py evaluate {study} --format text")

    def _leave_to_workers(self, job: Job) -> None:
        if job.state == Job.State.DONE:
            self.stdout.write(f"Job {job.pk} has done the same fit already.")
            return
        retry(job)  # only what failed or was cancelled
        self.stdout.write(f"Job {job.pk} is with the workers.")

    def _do(self, job: Job, what: str) -> Job:
        retry(job)  # only what failed or was cancelled
        job = run_here(job, on_progress=Progress(self.stdout, what).show_job)
        if job.state != Job.State.DONE:
            raise CommandError(f"{what} failed: {job.error}")
        return job


def _describe_default(default: float | str) -> str:
    return f"{default if isinstance(default, str) else format(default, '.3g')} when left out"
