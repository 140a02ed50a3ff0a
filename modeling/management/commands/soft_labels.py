"""`manage.py soft_labels STUDY (--name NAME [--run PK:WEIGHT:logprobs ...] [--people WEIGHT] ... | --resume NUMBER)`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.management.inclusion_options import add_inclusion_options, read_inclusion_options
from modeling.models import SoftLabelSet
from modeling.progress import Progress
from modeling.reports.names import SAYS_STANDIN
from modeling.softlabels.services import (
    SoftLabelsRefused,
    cancel_soft_labels,
    create_soft_labels,
    find_job,
    make_again,
    name_source,
)
from modeling.softlabels.settings import (
    EXPERTS,
    LOGPROBS,
    PEOPLE,
    READS,
    RUN,
    SAMPLES,
    VERIFIED,
    SoftLabelSettings,
    Source,
)


class Command(BaseCommand):
    help = (
        "Make soft labels: for each post and value how likely each rating is, from model runs, people and experts, "
        "mixed by weights."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--name", help="the same name again makes the next version")
        what.add_argument(
            "--resume", type=int, metavar="NUMBER", help="make those that were cancelled or failed"
        )
        parser.add_argument(
            "--run",
            action="append",
            default=[],
            metavar="PK[:WEIGHT][:samples|logprobs]",
            help="a run of an annotator model, such as 12, 12:2 or 12:0.5:logprobs; again for each",
        )
        parser.add_argument("--people", metavar="WEIGHT", help="count the people, with this weight")
        parser.add_argument(
            "--experts",
            action="append",
            default=[],
            metavar="SET[:WEIGHT]",
            help="an expert set by its name or number: its development posts; again for each",
        )
        parser.add_argument(
            "--verified",
            action="append",
            default=[],
            metavar="PK[:WEIGHT]",
            help="what experts decided on the posts of a verification; again for each",
        )
        parser.add_argument(
            "--smoothing",
            type=float,
            default=0.0,
            help="added to the count of each rating before shares are taken (0)",
        )
        parser.add_argument("--queue", action="store_true", help="leave the work to a worker")
        add_inclusion_options(parser)

    def handle(self, *args, study: str, name: str | None, queue: bool, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        try:
            if options["resume"] is not None:
                made = _begin_again(found, options["resume"])
            else:
                sources = _read_sources(found, options)
                made = create_soft_labels(found, name, sources, rule=read_inclusion_options(options))
        except SoftLabelsRefused as error:
            raise CommandError(str(error)) from error
        if made.is_standin:
            self.stdout.write(SAYS_STANDIN)
        job = find_job(made)
        if queue:
            self.stdout.write(f"Job {job.pk} is with the workers.")
            return
        try:
            job = run_here(job, on_progress=Progress(self.stdout, "Making soft labels").show_job)
        except KeyboardInterrupt:
            cancel_soft_labels(made)
            raise CommandError(
                f"Cancelled. Nothing was stored; begin anew with --resume {made.pk}."
            ) from None
        if job.state != Job.State.DONE:
            raise CommandError(f"No soft labels were made: {job.error or job.get_state_display()}")
        made.refresh_from_db()
        counts = made.counts
        self.stdout.write(
            f"“{made}” (number {made.pk}) has labels of {counts['n_posts']:,} posts; {counts['n_without']:,} of their "
            f"values have none. {counts['n_test']:,} test posts were left out."
        )
        for source, told in zip(
            SoftLabelSettings.from_dict(made.settings).sources, counts["sources"], strict=True
        ):
            self.stdout.write(
                f"  weight {source.weight:g}: {name_source(source, found)}, {told['n_posts']:,} posts, "
                f"{told['n_lacking']:,} values lacking, {told['n_failed']:,} readings failed"
            )
        for note in counts["notes"]:
            self.stdout.write(f"  {note}")


def _begin_again(study: Study, number: int) -> SoftLabelSet:
    """Raises CommandError for soft labels that are not there, SoftLabelsRefused for those that are made."""
    found = study.soft_label_sets.filter(pk=number).first()
    if found is None:
        raise CommandError(f"Study '{study.slug}' has no soft labels with the number {number}.")
    job = find_job(found)
    if job is None or job.is_final:  # else its process ended without a word, and it only has to be done
        make_again(found)
    return found


def _read_sources(study: Study, options: dict) -> list[Source]:
    """Raises CommandError for an option that says nothing that can be understood."""
    smoothing = options["smoothing"]
    sources = []
    for text in options["run"]:
        parts = text.split(":")
        reads = parts.pop() if parts[-1] in READS else SAMPLES
        number, weight = _read_number(parts, "--run", text)
        sources.append(Source(RUN, number, weight, reads, 0.0 if reads == LOGPROBS else smoothing))
    if options["people"] is not None:
        sources.append(Source(PEOPLE, None, _read_weight(options["people"], "--people"), smoothing=smoothing))
    for text in options["experts"]:
        called, _, weight = text.partition(":")
        sets = study.expert_sets.filter(name=called)
        if not sets and called.isascii() and called.isdecimal():
            sets = study.expert_sets.filter(pk=called)
        if not sets:
            raise CommandError(f"--experts: the study has no expert set '{called}'.")
        sources.append(
            Source(EXPERTS, sets[0].pk, _read_weight(weight or "1", "--experts"), smoothing=smoothing)
        )
    for text in options["verified"]:
        number, weight = _read_number(text.split(":"), "--verified", text)
        sources.append(Source(VERIFIED, number, weight, smoothing=smoothing))
    return sources


def _read_number(parts: list[str], option: str, text: str) -> tuple[int, float]:
    if len(parts) not in (1, 2) or not (parts[0].isascii() and parts[0].isdecimal()):
        raise CommandError(
            f"{option}: '{text}' is not understood; give a number and a weight, such as 12:0.5."
        )
    return int(parts[0]), _read_weight(parts[1] if len(parts) == 2 else "1", option)


def _read_weight(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise CommandError(f"{option}: '{text}' is no weight; give a number above 0.") from error
