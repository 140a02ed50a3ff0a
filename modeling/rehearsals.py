"""A study's rehearsal: asking for simulated raters, seeing how far each one came, erasing it all."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation import services as annotation_services
from annotation.access import build_query
from annotation.errors import Refused
from annotation.launch import find_faults_of_steps, find_faults_of_values, list_path
from annotation.models import (
    Attempt,
    Enrollment,
    GateDecision,
    Outcome,
    Rater,
    Step,
    StepCompletion,
    Study,
    StudyEvent,
)
from annotation.services.audit import log_event
from annotation.services.rehearsal import PREVIEW
from annotation.steps import KINDS
from jobs import services as jobs
from jobs.models import Job

REHEARSE = "rehearse"
REHEARSAL_NAME = "rehearsal"
MOST_RATERS = 200


def find_hindrances(study: Study) -> list[str]:
    """Return what keeps anyone from walking the study from its first step to its last, in words."""
    path = list_path(study)
    if not path:
        return ["The study has no steps."]
    return find_faults_of_values(study) + find_faults_of_steps(study, path)


@transaction.atomic
def request_rehearsal(study: Study, n_raters: int, *, token: str, actor: Any = None) -> Job:
    """Ask for simulated raters that walk the study as a rehearsal; returns the job.

    The same token asks for the same raters. Raises Refused, with the reasons, for a study that nobody can walk.
    """
    if not 1 <= n_raters <= MOST_RATERS:
        raise Refused(f"From 1 to {MOST_RATERS} raters at a time, not {n_raters}.")
    if reasons := find_hindrances(study):
        raise Refused("Nobody can walk this study yet: " + " ".join(reasons))
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # two requests give two sets of raters
    key = f"{REHEARSE} {study.pk} {token}"
    asked = Job.objects.filter(key=key).first()
    if asked:
        return asked
    first = 1 + max((job.payload["last"] for job in _list_jobs(study)), default=0)
    log_event(
        study,
        StudyEvent.Action.REHEARSAL,
        f"Sent in {n_raters} simulated raters.",
        actor=actor,
        detail={"raters": n_raters},
    )
    payload = {"study": study.pk, "first": first, "last": first + n_raters - 1}
    return jobs.enqueue(kind=REHEARSE, key=key, payload=payload)


@transaction.atomic
def erase_rehearsal(study: Study, *, actor: Any = None) -> int:
    """Stop simulated raters that are on their way and erase all of the rehearsal; returns how many people it had."""
    for job in _list_jobs(study):
        jobs.cancel(job)
    return annotation_services.erase_rehearsal(study, actor=actor)


def get_latest_job(study: Study) -> Job | None:
    return _list_jobs(study).first()


def _list_jobs(study: Study) -> Any:
    return Job.objects.filter(kind=REHEARSE, payload__study=study.pk)


# --- how far each one came -------------------------------------------------------------------------


@dataclass
class Participant:
    """Someone of the rehearsal, as the table shows them."""

    name: str
    is_test: bool
    began_at_step: str
    outcome: str
    stands_at: str
    n_done: int
    n_steps: int
    minutes: float
    resume_path: str
    mishaps: list[str] = field(default_factory=list)


def list_participants(study: Study, enrollments: Iterable[Enrollment]) -> list[Participant]:
    """Return these people of the rehearsal with how far they came, how long it took and what went wrong."""
    people = list(enrollments)
    path = list_path(study)
    ids = [person.pk for person in people]
    done: dict[int, set[int]] = defaultdict(set)
    for enrollment_id, step_id in StepCompletion.objects.filter(enrollment__in=ids).values_list(
        "enrollment_id", "step_id"
    ):
        done[enrollment_id].add(step_id)
    mishaps = _find_mishaps(study, people)
    return [_describe(study, person, path, done[person.pk], mishaps[person.pk]) for person in people]


def list_rehearsed(study: Study) -> Any:
    """Return the enrollments of the rehearsal, newest first."""
    rehearsed = study.enrollments.filter(phase=Enrollment.Phase.REHEARSAL)
    return rehearsed.select_related("rater", "study").order_by("-pk")


def count_outcomes(study: Study) -> dict[str, int]:
    """Return how many rehearsed, how many of them were simulated, and how many came to the end."""
    rehearsed = study.enrollments.filter(phase=Enrollment.Phase.REHEARSAL)
    return {
        "all": rehearsed.count(),
        "simulated": rehearsed.filter(rater__origin=Rater.Origin.SIMULATED).count(),
        "completed": rehearsed.filter(outcome=Outcome.COMPLETED).count(),
    }


def _describe(
    study: Study, person: Enrollment, path: list[Step], done: set[int], mishaps: list[str]
) -> Participant:
    at = next((step for step in path if step.pk not in done), None)
    previewed = person.prolific_session_id.removeprefix(f"{PREVIEW}-")
    ended = person.finished_at or timezone.now()
    return Participant(
        name=_name(person.rater),
        is_test=person.rater.is_test,
        began_at_step=previewed if previewed != person.prolific_session_id else "",
        outcome=str(Outcome(person.outcome).label) if person.outcome else "",
        stands_at=_name_step(at) if at else "",
        n_done=len(done),
        n_steps=len(path),
        minutes=(ended - person.started_at).total_seconds() / 60,
        resume_path=build_query(person) if person.rater.is_test else "",
        mishaps=mishaps,
    )


def _name(rater: Rater) -> str:
    if rater.is_test:
        return f"Test participant {str(rater.pseudonym)[:4]}"
    return f"Simulated rater {rater.external_id.rpartition('-')[2].lstrip('0')}"


def _name_step(step: Step) -> str:
    label = KINDS[step.kind].label if step.kind in KINDS else step.kind
    return f"{step.position}. {label}"


def _find_mishaps(study: Study, people: list[Enrollment]) -> dict[int, list[str]]:
    """What went wrong for each: known questions answered wrongly, checks failed, and where the software broke."""
    found: dict[int, list[str]] = defaultdict(list)
    ids = [person.pk for person in people]
    wrong: dict[tuple[int, int], int] = defaultdict(int)
    for enrollment_id, position in Attempt.objects.filter(
        enrollment__in=ids, step__kind="training", is_right=False
    ).values_list("enrollment_id", "step__position"):
        wrong[enrollment_id, position] += 1
    for (enrollment_id, position), n in sorted(wrong.items()):
        found[enrollment_id].append(f"Step {position}: {n} wrong {'try' if n == 1 else 'tries'}")
    failed = GateDecision.objects.filter(enrollment__in=ids, passed=False).select_related("step")
    for decision in failed.order_by("pk"):
        found[decision.enrollment_id].append(f"Step {decision.step.position}: failed, {decision.reason}")
    by_name = {person.rater.external_id: person.pk for person in people}
    for job in _list_jobs(study):
        for mishap in (job.result or {}).get("mishaps", []):
            if mishap["rater"] in by_name:
                found[by_name[mishap["rater"]]].append(
                    f"Broke at {mishap['step'] or 'the start'}: {mishap['what']}"
                )
    return found
