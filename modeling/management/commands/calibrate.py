"""`manage.py calibrate STUDY SET [--prompts 1 2] [--like ANNOTATOR ...] [--measure-only] [--open-test FAMILY ...]`"""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.errors import Refused
from jobs.models import Job
from jobs.services import run_here
from modeling.annotators.facts import count_progress
from modeling.annotators.runs import cancel_run, start_run
from modeling.experts.services import open_test
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertSet, PromptVersion, Report
from modeling.progress import Progress
from modeling.refining.runs import name_line
from modeling.refining.starting import discard_runs, list_prompts, list_templates, prepare_runs
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.calibration_tables import (
    find_run,
    name_run,
    say_gain,
    say_left_out_of,
    say_noise,
    say_posts,
    say_threshold,
)
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import Measures, name_values

from .errors import do

FAMILY = "prompt: "


class Command(BaseCommand):
    help = (
        "Have versions of the prompt and models read an expert set's development posts, measure every finished run "
        "against the experts, and show the table. What it costs is estimated and asked about first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("set", type=int, help="number of the expert set")
        parser.add_argument(
            "--prompts",
            type=int,
            nargs="+",
            metavar="NUMBER",
            help="versions of the prompt; the newest when left out",
        )
        parser.add_argument(
            "--like",
            type=int,
            nargs="+",
            metavar="ANNOTATOR",
            help="annotator models whose provider and settings are used; the newest of each model when left out",
        )
        parser.add_argument("--samples", type=int, help="runs per post; as the model has it when left out")
        parser.add_argument("--temperature", type=float, help="as the model has it when left out")
        parser.add_argument("--budget", help="dollars for each run; it stops before it spends more")
        parser.add_argument(
            "--with-test", action="store_true", help="read the test posts too, for a later opening"
        )
        parser.add_argument("--estimate-only", action="store_true", help="show the cost and end")
        parser.add_argument(
            "--measure-only", action="store_true", help="only measure the runs that are finished"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before it starts")
        parser.add_argument("--queue", action="store_true", help="leave the work to workers")
        parser.add_argument(
            "--open-test",
            metavar="FAMILY",
            help="open the test posts for this family, once, and score --runs on them",
        )
        parser.add_argument(
            "--runs", type=int, nargs="+", metavar="RUN", help="with --open-test: what is scored"
        )
        parser.add_argument("--reason", default="", help="with --open-test: why; it is kept")

    def handle(self, *args: Any, study: str, **options: Any) -> None:
        expert_set = find_set(study, options["set"])
        try:
            if options["open_test"]:
                self._open(expert_set, options)
                return
            if not options["measure_only"] and not self._read(expert_set, options):
                return
            self._measure(expert_set, name_subject(set=expert_set.pk), options["queue"])
        except Refused as error:
            raise CommandError(str(error)) from error

    def _read(self, expert_set: ExpertSet, options: dict[str, Any]) -> bool:
        """Have models read; False where nothing is to be measured yet."""
        made = prepare_runs(
            expert_set,
            _find_prompts(expert_set, options["prompts"]),
            _find_templates(expert_set, options["like"]),
            samples=options["samples"],
            temperature=options["temperature"],
            budget=_read_dollars(options["budget"]),
            with_test=options["with_test"],
        )
        for line in made.skipped:
            self.stdout.write(line)
        for run in made.runs:
            said = run.estimate
            self.stdout.write(
                f"Run {run.pk}, {run.annotator}: {said['n_posts']:,} posts, {said['n_calls']:,} calls, "
                f"{said['n_known']:,} of them answered before; about ${Decimal(said['cost']):.2f}, at most "
                f"${Decimal(said['cost_at_most']):.2f}.{' ' + SAYS_STANDIN if run.is_standin else ''}"
            )
        if options["estimate_only"]:
            discard_runs(made.runs)
            return False
        if made.runs and not (options["yes"] or _is_confirmed()):
            discard_runs(made.runs)
            raise CommandError("Nothing was asked. Answer yes, or give --yes.")
        for run in made.runs:
            job = start_run(run)
            if not options["queue"]:
                self._work(run, job)
        if options["queue"] and made.runs:
            self.stdout.write(
                "The runs are with the workers; measure them with --measure-only when they are done."
            )
            return False
        return True

    def _work(self, run: AnnotatorRun, job: Job) -> None:
        progress = Progress(self.stdout, f"Run {run.pk}")

        def show(_: Any) -> None:
            counts = count_progress(run)
            progress(
                counts["n_done"],
                counts["n_posts"],
                f"{counts['n_failed']:,} failed" if counts["n_failed"] else "",
            )

        try:
            job = run_here(job, on_progress=show)
        except KeyboardInterrupt:
            cancel_run(run)
            raise CommandError("Cancelled. What was read stays; `annotate STUDY --resume` goes on.") from None
        run.refresh_from_db()
        if job.state != Job.State.DONE or run.state != AnnotatorRun.State.DONE:
            self.stderr.write(
                f"Run {run.pk} is {run.get_state_display().lower()} and not measured. {run.problem or job.error}"
            )

    def _open(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        family = options["open_test"]
        family = family if ": " in family else FAMILY + family
        if not options["runs"]:
            raise CommandError("--open-test needs --runs: what is to be scored.")
        runs = list(
            AnnotatorRun.objects.filter(
                pk__in=options["runs"], annotator__study=expert_set.study
            ).select_related("annotator__prompt")
        )
        if strangers := sorted(set(options["runs"]) - {run.pk for run in runs}):
            raise CommandError(f"The study has no run {', '.join(map(str, strangers))}.")
        opening = open_test(expert_set, family, runs, reason=options["reason"])
        self.stdout.write(f"The test posts of '{expert_set}' were opened for {family}.")
        self._measure(expert_set, name_subject(set=expert_set.pk, test=opening.pk), options["queue"])

    def _measure(self, expert_set: ExpertSet, subject: str, queue: bool) -> None:
        job = request_report(expert_set.study, Report.Kind.CALIBRATION, subject)
        if queue:
            self.stdout.write(f"Job {job.pk} is with the workers.")
            return
        do(self, job, "Measuring")
        self._show(get_report(expert_set.study, Report.Kind.CALIBRATION, subject).measures)

    def _show(self, measures: Measures) -> None:
        names = name_values(measures)
        self.stdout.write(f"{say_posts(measures)} {say_threshold(measures)}")
        self.stdout.write(
            f"{'precision':>9} {'recall':>7} {'macro F1':>8}  {'interval':<14} {'gain':>7}  {'rank':>5}"
        )
        for run in measures["runs"]:
            before = run["before"]
            gain = before["difference"] if before else None
            low, high = run["f1"]["interval"]
            interval = "" if low is None else f"{low:.3f}-{high:.3f}"
            self.stdout.write(
                f"{_three(run['precision']['estimate']):>9} {_three(run['recall']['estimate']):>7} "
                f"{_three(run['f1']['estimate']):>8}  {interval:<14} {'' if gain is None else f'{gain:+.3f}':>7}  "
                f"{_three(run['rank']['estimate']):>5}  {name_run(run)}"
                f"{f' ({say_noise(before)})' if say_noise(before) else ''}"
            )
            for line in say_left_out_of(run, names):
                self.stdout.write(f"    {line}")
        ceiling = measures["experts"]["ceiling"]
        self.stdout.write(
            f"An expert against the others: {ceiling['f1']:.3f}."
            if ceiling["f1"] is not None
            else f"What an expert reaches cannot be told: {ceiling['reason']}."
        )
        newest = find_run(measures, measures["newest"])
        if newest and newest["before"]:
            self.stdout.write(f"{name_run(newest)}: {say_gain(newest['before'])}")
        if measures["n_standin"]:
            self.stdout.write(SAYS_STANDIN)


def find_set(slug: str, number: int) -> ExpertSet:
    """Return an expert set of a study. Raises CommandError where there is none."""
    found = (
        ExpertSet.objects.select_related("study__value_system").filter(study__slug=slug, pk=number).first()
    )
    if found is None:
        raise CommandError(
            f"There is no study '{slug}' with an expert set {number}; `experts {slug} list` shows them."
        )
    return found


def _find_prompts(expert_set: ExpertSet, numbers: list[int] | None) -> list[PromptVersion]:
    versions = list_prompts(expert_set)
    if numbers is None:
        return list(versions[:1])
    found = list(versions.filter(number__in=numbers))
    if missing := sorted(set(numbers) - {prompt.number for prompt in found}):
        raise CommandError(f"The prompt about values has no version {', '.join(map(str, missing))}.")
    return found


def _find_templates(expert_set: ExpertSet, numbers: list[int] | None) -> list[AnnotatorModel]:
    if numbers is None:
        return list_templates(expert_set)
    found = expert_set.study.annotators.filter(
        pk__in=numbers, prompt__purpose=PromptVersion.Purpose.VALUES
    ).select_related("prompt", "study")
    if missing := sorted(set(numbers) - {annotator.pk for annotator in found}):
        raise CommandError(
            f"The study has no language model about values with the number {', '.join(map(str, missing))}."
        )
    return sorted(found, key=name_line)


def _read_dollars(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"--budget must be a number of dollars, such as 2.50, not '{text}'.") from None


def _is_confirmed() -> bool:
    try:
        return input("Start? [yes/no] ").strip().lower() == "yes"
    except EOFError:
        return False


def _three(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"
