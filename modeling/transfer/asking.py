"""What the two commands have in common: finding rows by name, doing a job, telling how it ended."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.models import Study
from jobs.models import Job
from jobs.services import run_here
from modeling.encoders.settings import KINDS, LINEAR, LOSSES, ORDINAL, EncoderSettings
from modeling.models import SoftLabelSet
from modeling.models.encoders import Work
from modeling.progress import Progress
from modeling.reports.names import SAYS_STANDIN

from .services import Asked, cancel, find_job, is_under_way, resume, tell_name
from .settings import name_own


def add_encoder_arguments(parser: CommandParser) -> None:
    """Add the study, the soft labels and how an encoder is taught."""
    parser.add_argument("study", help="the study's slug")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--soft-labels", metavar="NAME", help="the newest made by this name")
    what.add_argument(
        "--resume",
        type=int,
        metavar="NUMBER",
        help="let one that was cancelled or failed go on, as it was asked",
    )
    parser.add_argument("--kind", choices=list(KINDS), default=LINEAR, help=f"{LINEAR} when left out")
    parser.add_argument(
        "--folder", default="", metavar="NAME", help="which of the transformers on this machine is the start"
    )
    parser.add_argument("--loss", choices=list(LOSSES), default=ORDINAL, help=f"{ORDINAL} when left out")
    parser.add_argument(
        "--epochs", type=int, help="how often the posts are gone through; the kind's usual number"
    )
    parser.add_argument("--seed", type=int, default=1, help="of every draw (1)")
    parser.add_argument("--threshold", type=int, help="from which rating on a value counts as expressed")
    parser.add_argument("--queue", action="store_true", help="leave the work to a worker")


def read_encoder(options: dict[str, Any], **more: Any) -> EncoderSettings:
    """Return the settings that the arguments say. Raises ValueError."""
    own: dict[str, Any] = name_own(options["kind"], folder=options["folder"], epochs=options["epochs"])
    return EncoderSettings(kind=options["kind"], loss=options["loss"], seed=options["seed"], **own, **more)


def find_study(slug: str) -> Study:
    """Return a study. Raises CommandError."""
    found = Study.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no study '{slug}'.")
    return found


def find_soft_labels(study: Study, name: str) -> SoftLabelSet:
    """Return the newest soft labels of a name that are made and still count. Raises CommandError."""
    made = study.soft_label_sets.filter(state=Work.DONE, outdated_at=None)
    found = made.filter(name=name).order_by("-number").first()
    if found is None:
        names = ", ".join(f"'{each}'" for each in sorted(set(made.values_list("name", flat=True)))) or "none"
        raise CommandError(
            f"Study '{study.slug}' has no soft labels '{name}' that can be used; there are: {names}."
        )
    return found


def let_go_on(asked: Asked | None, study: str, number: int) -> Asked:
    """Set one that stopped going again; what is taught stays taught. Raises CommandError and TuningRefused."""
    if asked is None:
        raise CommandError(f"Study '{study}' has nothing with the number {number} that could go on.")
    if not is_under_way(asked):  # else its process ended without a word, and it only has to be done
        resume(asked)
        asked.refresh_from_db()
    return asked


def do(asked: Asked, stdout: Any, what: str, *, queue: bool) -> bool:
    """Do the job here and tell how far it is; True when it is done, False when it was left to a worker.

    Raises CommandError when it fails, or is cancelled by Ctrl-C.
    """
    job = find_job(asked)
    if job is None:
        raise CommandError("Its job is gone; ask for it again.")
    if asked.is_standin:
        stdout.write(SAYS_STANDIN)
    if queue:
        stdout.write(f"Job {job.pk} is with the workers.")
        return False
    how = f"go on with --resume {asked.pk}."
    try:
        job = run_here(job, on_progress=Progress(stdout, what).show_job)
    except KeyboardInterrupt:
        cancel(asked)
        raise CommandError(f"Cancelled {tell_name(asked)}. What is taught stays taught; {how}") from None
    asked.refresh_from_db()
    if job.state != Job.State.DONE or asked.state != Work.DONE:
        raise CommandError(f"{what} failed: {asked.problem or job.error or job.get_state_display()} To {how}")
    return True
