"""Asking for calibration questions to be chosen from a pre-study, and reading what was chosen.

The choosing itself is done by a worker (`calibration.handlers`) or a command; nothing here loads NumPy.
"""

from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Max, QuerySet

from annotation.models import Annotation, Enrollment, Outcome, Rater, Study
from annotation.versions import hash_json
from jobs.models import Job
from jobs.services import enqueue, retry

DERIVE = "derive_vcq"
METHOD_LABELS = {
    "eigenrater": "Eigenraters: the cell that weighs most on each principal axis (the paper's rule)",
    "greedy": "Expected gain: the question that most lowers the expected error of the other ratings",
    "qr": "Pivoted QR: the cells least alike",
}


@dataclass(frozen=True)
class DerivationSettings:
    """How questions are chosen from a pre-study.

    Attributes
    ----------
    method : one of `METHOD_LABELS`
    n_questions : how many
    most_per_post : at most so many about one post; None for no limit
    every_value : whether each value is asked about at least once
    leave_out_incomplete : whether raters who did not rate everything are left out, rather than refused
    compare : whether all methods are compared on held-out raters and posts, which takes minutes
    seed : of that comparison
    """

    method: str = "eigenrater"
    n_questions: int = 25
    most_per_post: int | None = None
    every_value: bool = False
    leave_out_incomplete: bool = False
    compare: bool = False
    seed: int = 1


def select_raters(study: Study) -> QuerySet[Enrollment]:
    """Return whose ratings count: who completed the live study and is not excluded, as analyses have it by default."""
    return (
        study.enrollments.filter(outcome=Outcome.COMPLETED, phase=Enrollment.Phase.LIVE, exclusion=None)
        .exclude(rater__origin=Rater.Origin.TEST)
        .order_by("pk")
    )


def request_derivation(study: Study, settings: DerivationSettings) -> Job:
    """Have a worker choose questions; the same request on the same ratings gives the same job."""
    raters = list(select_raters(study).values_list("pk", flat=True))
    last = Annotation.objects.filter(enrollment__in=raters).aggregate(last=Max("pk"))["last"]
    digest = hash_json([raters, last, asdict(settings)])[:32]
    payload = {"study": study.pk, "settings": asdict(settings)}
    job = enqueue(kind=DERIVE, key=f"{DERIVE}:{study.pk}:{digest}", payload=payload)
    retry(job)  # only what failed or was cancelled
    return job


def list_questions(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the chosen questions, (key of the post, key of the value) each, in their order."""
    return [(question["post"], question["value"]) for question in result["questions"]]


def describe_origin(result: dict[str, Any]) -> str:
    """Return in a sentence where questions come from, for the target study's log."""
    return (
        f"{len(result['questions'])} questions derived from the pre-study '{result['study']}' "
        f"({result['n_raters']} raters, {result['n_posts']} posts; method '{result['method']}')."
    )
