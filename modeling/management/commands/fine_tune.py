"""`manage.py fine_tune STUDY --name NAME [--base ANNOTATOR --model MODEL --training-price DOLLARS ...] [--yes]`"""

from dataclasses import fields
from decimal import Decimal, InvalidOperation

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.errors import TuningRefused
from modeling.models import AnnotatorModel, FineTuning
from modeling.progress import Progress
from modeling.tuning.services import create_tuning, find_job, start_tuning, tell_dollars
from modeling.tuning.settings import SetSettings, Teaching


class Command(BaseCommand):
    help = (
        "Teach a model what people together see in posts: a local encoder, or, with --base, a language model at the "
        "provider of that annotator model. What it costs is estimated and asked about first."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--name", required=True, help="of the annotator model that comes of it")
        parser.add_argument(
            "--base",
            type=int,
            metavar="ANNOTATOR",
            help="number of the annotator model whose prompt and provider it takes",
        )
        parser.add_argument("--model", default="", help="what is tuned, by the provider's name")
        parser.add_argument(
            "--epochs", type=int, default=3, help="how often the examples are gone through (3)"
        )
        for name, what in (
            ("training", "of training"),
            ("input", "of reading, by the tuned model"),
            ("output", "of writing, by the tuned model"),
        ):
            parser.add_argument(
                f"--{name}-price",
                type=_dollars,
                default=Decimal(0),
                help=f"dollars per million tokens {what} (0)",
            )
        parser.add_argument(
            "--budget", type=_dollars, help="dollars; it is not started when the estimate is above"
        )
        for field in fields(SetSettings):
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=type(field.default),
                help="the study's seed when left out"
                if field.name == "seed"
                else f"{field.default:g} when left out",
            )
        parser.add_argument(
            "--queue", action="store_true", help="leave the work to a worker once it is started"
        )
        parser.add_argument("--yes", action="store_true", help="start it without asking about the cost")

    def handle(self, *args, study: str, name: str, queue: bool, yes: bool, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        given = {
            field.name: options[field.name]
            for field in fields(SetSettings)
            if options[field.name] is not None
        }
        try:
            teaching = Teaching(
                SetSettings(**{"seed": found.seed} | given),
                n_epochs=options["epochs"],
                input_price=options["input_price"],
                output_price=options["output_price"],
            )
            tuning = create_tuning(
                found,
                name=name,
                teaching=teaching,
                base=_get_base(found, options["base"]),
                base_model=options["model"],
                training_price=options["training_price"],
                budget=options["budget"],
            )
            self._prepare(tuning)
            job = self._start(tuning, yes) if tuning.base_id else find_job(tuning)
        except (TuningRefused, ValueError) as error:
            raise CommandError(str(error)) from error
        if queue:
            self.stdout.write(f"Job {job.pk} is with the workers.")
            return
        self._do(job, "Teaching")
        tuning.refresh_from_db()
        made = (
            f": the annotator model {tuning.annotator}"
            if tuning.annotator
            else "; the same model was there already"
        )
        self.stdout.write(f"“{tuning.name}” is taught{made}.")

    def _prepare(self, tuning: FineTuning) -> None:
        self._do(find_job(tuning), "Drawing the consensus set")
        tuning.refresh_from_db()
        counts = tuning.estimate["set"]
        self.stdout.write(
            f"{counts['n_with_raters']:,} posts have enough raters, {counts['n_held_out']:,} of them are held out; "
            f"{counts['n_drawn']:,} drawn, {counts['n_kept']:,} kept, mean rho {counts['mean_rho']:.3f}."
        )

    def _start(self, tuning: FineTuning, yes: bool) -> Job:
        self.stdout.write(f"Estimate: {tell_dollars(tuning.estimate['cost'])}. {tuning.estimate['basis']}")
        if not yes and input("Start it? [yes/no] ").strip().lower() != "yes":
            raise CommandError("Nothing was sent. It can be started on the study's page “Fine-tuning”.")
        return start_tuning(tuning)

    def _do(self, job: Job, what: str) -> None:
        job = run_here(job, on_progress=Progress(self.stdout, what).show_job)
        if job.state != Job.State.DONE:
            raise CommandError(f"{what} failed: {job.error or job.get_state_display()}")


def _get_base(study: Study, pk: int | None) -> AnnotatorModel | None:
    if pk is None:
        return None
    base = study.annotators.filter(pk=pk).first()
    if base is None:
        raise CommandError(f"Study '{study.slug}' has no annotator model {pk}.")
    return base


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
