"""`manage.py score STUDY [--fit PK] [--dtype uint8|float32] [--queue] [--parquet FILE] [--value KEY ...]`"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.errors import ModelingError
from modeling.models import FitRun, ScoreRun
from modeling.progress import Progress
from modeling.scoring.pieces import DTYPES
from modeling.scoring.requests import request_scores
from modeling.scoring.store import export_parquet
from modeling.serving import find_serving_fit


class Command(BaseCommand):
    help = "Score all posts of a study for all raters by the fit that serves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--fit", type=int, help="number of another fit than the one that serves")
        parser.add_argument(
            "--dtype",
            choices=DTYPES,
            help="how a number is stored; bytes when left out, where the scale allows",
        )
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")
        parser.add_argument("--parquet", type=Path, metavar="FILE", help="write the scores there too")
        parser.add_argument(
            "--value", nargs="+", metavar="KEY", help="of these values only, in the file; all when left out"
        )

    def handle(self, *args: Any, study: str, parquet: Path | None, value: list[str] | None, **options: Any):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        if parquet and options["queue"]:
            raise CommandError("A worker writes no Parquet file: leave out --queue or --parquet.")
        if value and not parquet:
            raise CommandError("--value chooses the columns of a file; say which file with --parquet.")
        if unknown := [key for key in value or () if key not in found.value_keys]:
            raise CommandError(
                f"The study has no value {', '.join(unknown)}; it has {', '.join(found.value_keys)}."
            )
        try:
            job = request_scores(self._find_fit(found, options["fit"]), dtype=options["dtype"])
            if options["queue"]:
                self.stdout.write(f"Job {job.pk} is with the workers.")
                return
            score_run = self._score(job)
            self.stdout.write(
                f"Study '{study}': {score_run.n_posts:,} posts are scored for {score_run.n_raters:,} raters by fit "
                f"{score_run.fit_run_id}."
            )
            if parquet:
                n_rows = export_parquet(score_run, parquet, values=value)
                self.stdout.write(f"Wrote {n_rows:,} rows to {parquet}.")
        except (ModelingError, ValueError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"{parquet} could not be written: {error.strerror or error}. The scores are stored."
            ) from error

    def _find_fit(self, study: Study, number: int | None) -> FitRun:
        if number is None:
            return find_serving_fit(study)
        fit_run = study.fit_runs.filter(pk=number).first()
        if fit_run is None:
            numbers = ", ".join(map(str, study.fit_runs.values_list("pk", flat=True))) or "none"
            raise CommandError(f"Study '{study.slug}' has no fit {number}; its fits: {numbers}.")
        return fit_run

    def _score(self, job: Job) -> ScoreRun:
        job = run_here(job, on_progress=Progress(self.stdout, "Scoring").show_job)
        if job.state != Job.State.DONE:
            raise CommandError(f"Scoring failed: {job.error or job.state}")
        score_run = ScoreRun.objects.filter(pk=(job.result or {}).get("score_run")).first()
        if score_run is None:
            raise CommandError("The fit lost its files while it scored, for someone's answers were erased.")
        return score_run
