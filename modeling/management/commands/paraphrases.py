"""`manage.py paraphrases STUDY import FILE | template SET [--out FILE] | read SET --run RUN | measure SET --run RUN`"""

from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.errors import Refused
from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.annotators.runs import start_run
from modeling.errors import ImportRefused
from modeling.models import AnnotatorRun, ExpertSet, Report
from modeling.progress import Progress
from modeling.refining.paraphrases import import_paraphrases, prepare_variant_run, write_template
from modeling.refining.runs import list_scored_runs
from modeling.refining.starting import discard_runs
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.stability_tables import MORE_SAMPLES, say_wordings
from modeling.reports.tables import Measures

from .calibrate import find_set


class Command(BaseCommand):
    help = (
        "Posts in other words, for models only: load them, have them read, and measure how stable a run is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's slug")
        deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
        load = deeds.add_parser(
            "import", help="from a file with the columns post, text and, if wanted, context"
        )
        load.add_argument("file", type=Path)
        template = deeds.add_parser("template", help="a set's development posts as a file to fill in")
        template.add_argument("set", type=int)
        template.add_argument(
            "--out", type=Path, metavar="FILE", help="is not written over; the terminal without it"
        )
        for name, what in (
            ("read", "have a run's annotator model read the paraphrases"),
            ("measure", "measure how stable a run is"),
        ):
            deed = deeds.add_parser(name, help=what)
            deed.add_argument("set", type=int)
            deed.add_argument("--run", type=int, required=True, help="a finished run over development posts")
            if name == "read":
                deed.add_argument("--yes", action="store_true", help="do not ask before it starts")

    def handle(self, *args: Any, study: str, deed: str, **options: Any) -> None:
        try:
            if deed == "import":
                self._import(study, options["file"])
            elif deed == "template":
                self._write(find_set(study, options["set"]), options["out"])
            else:
                expert_set = find_set(study, options["set"])
                run = list_scored_runs(expert_set).filter(pk=options["run"]).first()
                if run is None:
                    raise CommandError(
                        f"Run {options['run']} has not read development posts of '{expert_set}'."
                    )
                if deed == "read":
                    self._read(expert_set, run, yes=options["yes"])
                else:
                    self._measure(expert_set, run)
        except Refused as error:
            raise CommandError(str(error)) from error

    def _import(self, slug: str, path: Path) -> None:
        study = Study.objects.filter(slug=slug).first()
        if study is None:
            raise CommandError(f"There is no study '{slug}'.")
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        try:
            with path.open("rb") as file:
                counts = import_paraphrases(study, file)
        except ImportRefused as refusal:
            raise CommandError("Nothing was loaded.\n" + "\n".join(refusal.faults)) from refusal
        self.stdout.write(" ".join(counts.list_sentences()))

    def _write(self, expert_set: ExpertSet, out: Path | None) -> None:
        lines = write_template(expert_set)
        if out is None:
            for line in lines:
                self.stdout.write(line, ending="")
            return
        try:
            with out.open("x", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"Written to {out}.")

    def _read(self, expert_set: ExpertSet, run: AnnotatorRun, *, yes: bool) -> None:
        made = prepare_variant_run(expert_set, run)
        self.stdout.write(
            f"Run {made.pk}, {made.annotator}: {made.estimate['n_posts']:,} paraphrases, about "
            f"${Decimal(made.estimate['cost']):.2f}, at most ${Decimal(made.estimate['cost_at_most']):.2f}."
        )
        if not yes and input("Start? [yes/no] ").strip().lower() != "yes":
            discard_runs([made])
            raise CommandError("Nothing was asked. Answer yes, or give --yes.")
        job = run_here(start_run(made), on_progress=Progress(self.stdout, "Reading paraphrases").show_job)
        made.refresh_from_db()
        if job.state != Job.State.DONE or made.state != AnnotatorRun.State.DONE:
            raise CommandError(
                f"Run {made.pk} is {made.get_state_display().lower()}. {made.problem or job.error}"
            )
        self.stdout.write(f"Run {made.pk} is done.{' ' + SAYS_STANDIN if made.is_standin else ''}")

    def _measure(self, expert_set: ExpertSet, run: AnnotatorRun) -> None:
        subject = name_subject(set=expert_set.pk, run=run.pk)
        job = run_here(request_report(expert_set.study, Report.Kind.STABILITY, subject))
        report = get_report(expert_set.study, Report.Kind.STABILITY, subject)
        if job.state != Job.State.DONE or report is None:
            raise CommandError(job.error or f"The job is {job.get_state_display().lower()}.")
        self._show(report.measures)

    def _show(self, measures: Measures) -> None:
        repeats, wordings = measures["repeats"], measures["wordings"]
        if repeats["flips"]["estimate"] is None:
            self.stdout.write(f"No spread: {repeats['reason'] or repeats['flips']['reason']}. {MORE_SAMPLES}")
        else:
            self.stdout.write(
                f"{repeats['n_runs']} samples of {repeats['n_posts']:,} posts: two samples differ in "
                f"{repeats['disagreement']['estimate']:.1%} of the values, {repeats['flips']['estimate']:.1%} flip in "
                f"some sample; spread {repeats['spread']['estimate']:.3f} points."
            )
        self.stdout.write(
            say_wordings(measures) or f"Nothing can be told of other words: {wordings['reason']}."
        )
        if measures["is_standin"]:
            self.stdout.write(SAYS_STANDIN)
