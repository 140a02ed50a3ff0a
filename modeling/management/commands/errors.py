"""`manage.py errors STUDY SET --run PK [--note FILE] [--queue]`"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import cancel, run_here
from modeling.annotators.prompts import get_design
from modeling.models import AnnotatorRun, ExpertSet, Report
from modeling.progress import Progress
from modeling.refining.notes import (
    find_run_before,
    get_error_report,
    load_example_posts,
    say_changes,
    say_distance,
    say_nothing_found,
    say_pair,
    say_rate,
    write_note,
)
from modeling.refining.runs import list_scored_runs
from modeling.reporting.subjects import name_subject, request_report
from modeling.reports.misattribution_tables import list_recurrent, say_ground
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import name_values


class Command(BaseCommand):
    help = (
        "Find what a run keeps mistaking for what, held against the experts of a set on its development posts, and "
        "write the codebook note that the next version of the prompt answers."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("set", type=int, help="number of the expert set")
        parser.add_argument("--run", type=int, required=True, help="number of the run of an annotator model")
        parser.add_argument("--note", type=Path, metavar="FILE", help="where the note goes, as Markdown")
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")

    def handle(self, *args, study: str, run: int, note: Path | None, queue: bool, **options):
        expert_set = get_set(study, options["set"])
        found = list_scored_runs(expert_set).select_related("annotator__prompt").filter(pk=run).first()
        if found is None:
            raise CommandError(
                f"Run {run} cannot be held against “{expert_set}”: give a finished run about the values of study "
                f"'{study}' that has read a development post of the set."
            )
        if note and not note.parent.is_dir():
            raise CommandError(f"There is no folder {note.parent}; make it first or name another by --note.")
        job = request_report(
            expert_set.study, Report.Kind.ERRORS, name_subject(set=expert_set.pk, run=found.pk)
        )
        if queue:
            if note:
                raise CommandError("--note waits for the report; leave out --queue.")
            self.stdout.write(f"Job {job.pk} is with the workers.")
            return
        do(self, job, "Finding errors")
        self._tell(expert_set, found, note)

    def _tell(self, expert_set: ExpertSet, run: AnnotatorRun, note: Path | None) -> None:
        measures = get_error_report(expert_set, run.pk).measures
        names = name_values(measures)
        if measures["run"]["is_standin"]:
            self.stdout.write(SAYS_STANDIN)
        self.stdout.write(say_ground(measures))
        for line in measures["notes"]:
            self.stdout.write(line)
        recurrent = list_recurrent(measures)
        for pair in recurrent:
            self.stdout.write(f"\n{say_pair(names, pair)}\n  {say_rate(names, pair)}")
        if not recurrent:
            self.stdout.write(f"\n{say_nothing_found(measures)}")
        if measures["distance"]["mean"] is not None:
            self.stdout.write(f"\n{say_distance(measures['distance'])}")
        run_before = find_run_before(expert_set, run)
        stored = get_error_report(expert_set, run_before.pk) if run_before else None
        if stored:
            self.stdout.write(f"\nSince run {run_before.pk}:")
            for line in say_changes(stored.measures, measures):
                self.stdout.write(f"  {line}")
        if note:
            design = get_design(run.annotator.prompt) if run.annotator.prompt else None
            posts = load_example_posts(expert_set.study, measures)
            text = write_note(measures, design, posts, stored.measures if stored else None)
            note.write_text(text, encoding="utf-8")
            self.stdout.write(f"\nWrote {note}.")


def get_set(slug: str, pk: int) -> ExpertSet:
    """Return an expert set of a study. Raises CommandError for one that is not there."""
    study = Study.objects.filter(slug=slug).first()
    if study is None:
        raise CommandError(f"There is no study '{slug}'.")
    found = study.expert_sets.filter(pk=pk).first()
    if found is None:
        there = ", ".join(f"{each.pk} “{each}”" for each in study.expert_sets.all()) or "none"
        raise CommandError(f"Study '{slug}' has no expert set {pk}; it has: {there}.")
    return found


def do(command: BaseCommand, job: Job, what: str) -> None:
    """Do a job here and now, with its progress. Raises CommandError when it does not end well, or at Ctrl-C."""
    try:
        job = run_here(job, on_progress=Progress(command.stdout, what).show_job)
    except KeyboardInterrupt:
        cancel(job)
        raise CommandError("Cancelled. Nothing was stored; the same command begins anew.") from None
    if job.state != Job.State.DONE:
        raise CommandError(f"{what} failed: {job.error or job.get_state_display()}")
