"""`manage.py fit STUDY [--queue] [--annotator-run RUN] [--with-pilot] [--without-flags RULE,...] ...`"""

from dataclasses import fields, replace

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import retry, run_here
from modeling.errors import ModelingError
from modeling.estimators.data import METHODS, FitSettings
from modeling.management.inclusion_options import add_inclusion_options, read_inclusion_options
from modeling.models import AnnotatorRun
from modeling.progress import Progress
from modeling.services import request_evaluation, request_fit
from modeling.tuning.usable_runs import list_runs


class Command(BaseCommand):
    help = "Fit a study's personalization to its ratings and store the report."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")
        parser.add_argument(
            "--annotator-run",
            type=int,
            default=None,
            metavar="RUN",
            help="the number of a run whose readings are the consensus; without it, one is made from the texts",
        )
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
            run = _get_run(found, options["annotator_run"])
            job = request_fit(found, settings, read_inclusion_options(options), run)
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


def _get_run(study: Study, pk: int | None) -> AnnotatorRun | None:
    if pk is None:
        return None
    run = AnnotatorRun.objects.filter(pk=pk, annotator__study=study).first()
    if run is None:
        known = ", ".join(f"{each.pk} ({each.annotator})" for each in list_runs(study)[:10])
        raise CommandError(
            f"Study '{study.slug}' has no run {pk}. {f'It has {known}.' if known else 'It has none.'}"
        )
    return run


def _describe_default(default: float | str) -> str:
    return f"{default if isinstance(default, str) else format(default, '.3g')} when left out"
