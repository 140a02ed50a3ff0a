"""`manage.py curate STUDY --feeds FILE ... --provider NAME --model NAME [--quota GROUP=N] [--budget STAGE=DOLLARS]`"""

from decimal import Decimal, InvalidOperation
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import Refused
from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.annotators.configs import create_annotator
from modeling.annotators.facts import summarize_run
from modeling.annotators.prompts import get_prompt
from modeling.curation import services
from modeling.curation.loading import load_sample
from modeling.curation.settings import MODES, CurationSettings
from modeling.curation.stages import BY_MODEL, REASON_LABELS, STAGE_LABELS, Stage
from modeling.models import AnnotatorModel, Curation
from modeling.progress import Progress
from modeling.reports.names import SAYS_STANDIN

from .load_feeds import load_file


class Command(BaseCommand):
    help = (
        "Take feeds through every stage of a curation to the sample, here and with one model for all stages."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--name", default="feeds", help="of the curation; the one of this name goes on")
        parser.add_argument(
            "--feeds", nargs="+", type=Path, default=[], metavar="FILE", help="files to load first"
        )
        parser.add_argument("--provider", required=True, help="as the environment names it")
        parser.add_argument("--model", required=True, help="as the provider calls it")
        parser.add_argument("--temperature", type=float, default=0.0)
        parser.add_argument("--seed", type=int, default=1, help="decides the sample")
        parser.add_argument("--languages", default="en", help="codes to keep, such as en,de; empty keeps all")
        parser.add_argument("--keep-unknown", action="store_true", help="keep texts too short to tell")
        parser.add_argument(
            "--quota", action="append", default=[], metavar="GROUP=N", help="draw N owners of a group again"
        )
        parser.add_argument(
            "--budget",
            action="append",
            default=[],
            metavar="STAGE=DOLLARS",
            help="most that a stage may cost",
        )
        parser.add_argument("--concurrency", type=int, default=8, help="calls at once")
        parser.add_argument("--mode", choices=MODES, default="calls")
        parser.add_argument("--load", action="store_true", help="put the sample into the study in the end")
        parser.add_argument("--reason", default="", help="for the study's log, once the study is live")

    def handle(self, *args, study: str, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        try:
            curation = self.prepare(found, options)
            for path in options["feeds"]:
                load_file(self, curation, path)
            job = services.start_curation(curation)
        except (Refused, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        job = run_here(job, on_progress=Progress(self.stdout, "Curation").show_job)
        curation.refresh_from_db()
        self.tell(curation, job)
        if curation.state != Curation.State.SAMPLED:
            raise CommandError(f"The curation stopped. {curation.problem or job.error}")
        if options["load"]:
            try:
                loaded = load_sample(curation, reason=options["reason"])
            except Refused as refusal:
                raise CommandError(str(refusal)) from refusal
            self.stdout.write(
                f"{loaded.n_added:,} posts are new in the study; {loaded.n_known:,} were there."
            )

    def prepare(self, study: Study, options: dict) -> Curation:
        """Make the curation, or take the one of this name, with its settings and annotator models."""
        settings = CurationSettings(
            languages=tuple(code.strip() for code in options["languages"].split(",") if code.strip()),
            keeps_unknown=options["keep_unknown"],
            quotas={group: read_number(number) for group, number in map(split, options["quota"])},
            budgets={stage: read_dollars(dollars) for stage, dollars in map(split, options["budget"])},
            concurrency=options["concurrency"],
            mode=options["mode"],
        )
        annotators = {
            stage: create_annotator(
                study,
                name=f"{options['name'][:60]}: {services.PURPOSE_WORDS[stage]}",
                kind=AnnotatorModel.Kind.ZERO_SHOT,
                prompt=get_prompt(study, services.PURPOSES[stage]),
                provider=options["provider"],
                model_name=options["model"],
                temperature=options["temperature"],
            )
            for stage in BY_MODEL
        }
        described = {"settings": settings, "seed": options["seed"], "annotators": annotators}
        curation = study.curations.filter(name=options["name"]).first()
        if curation is None:
            return services.create_curation(study, name=options["name"], **described)
        if not services.is_busy(curation):  # one whose process died goes on as it was begun
            services.change_curation(curation, name=options["name"], **described)
        return curation

    def tell(self, curation: Curation, job: Job) -> None:
        if curation.is_standin:
            self.stdout.write(SAYS_STANDIN)
        for line in curation.funnel:
            stage = Stage(line["stage"])
            self.stdout.write(f"{STAGE_LABELS[stage]:<18} {line['came']:>9,} came, {line['kept']:>9,} stay")
            for reason, number in line["dropped"].items():
                self.stdout.write(f"  dropped: {number:,} ({REASON_LABELS[reason].lower()})")
        for part in job.parts.order_by("pk"):
            seconds = (part.finished_at - part.created_at).total_seconds() if part.finished_at else 0
            what = part.payload.get("for", part.payload.get("stage"))
            self.stdout.write(f"  {part.kind:<14} {what:<18} {part.state:<10} {seconds:8.1f} s")
        for run in curation.runs.select_related("annotator__prompt").order_by("pk"):
            facts = summarize_run(run)
            failed = ", ".join(f"{each.fault} {each.number:,}" for each in facts.failures) or "none"
            self.stdout.write(
                f"Run {run.pk} of {run.annotator}: {facts.n_read:,} read, failed: {failed}; {facts.n_own:,} calls, "
                f"${facts.spent}"
            )


def split(written: str) -> tuple[str, str]:
    """Return the two sides of NAME=NUMBER."""
    name, sign, number = written.rpartition("=")
    if not sign:
        raise CommandError(f"'{written}' must look like NAME=NUMBER.")
    return name.strip(), number.strip()


def read_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise CommandError(f"'{text}' is no whole number.")
    return int(text)


def read_dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"'{text}' is no number of dollars.") from None
