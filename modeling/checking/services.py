"""Every write to a check of a classifier: drawn, labeled, closed. A web process may import it."""

import math
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.services.audit import log_event
from jobs import services as jobs
from jobs.models import Job
from modeling.curation.services import get_settings, is_busy
from modeling.models import AnnotatorRun, CheckItem, CheckLabel, ClassifierCheck, Curation, PromptVersion

from .drawing import BalancedSample, draw_balanced

KIND = "check_classifier"
Purpose = PromptVersion.Purpose
PURPOSES = (Purpose.COMPREHENSIBILITY, Purpose.NSFW)
WORDS = {  # what yes and no mean
    Purpose.COMPREHENSIBILITY: ("Comprehensible", "Not comprehensible"),
    Purpose.NSFW: ("Not safe to show", "Safe to show"),
}
FEWEST_LABELERS = 2
MOST_EACH = 1000
SAMPLE, FOUND = (
    "sample",
    "found",
)  # what `ClassifierCheck.results` holds: how it was drawn, and what came of it


@dataclass(frozen=True)
class Labeler:
    """Somebody who labels posts of a check, with how many of them they have labeled."""

    pk: int
    name: str
    n_labeled: int
    is_done: bool


def find_reader(curation: Curation, purpose: str) -> AnnotatorRun | None:
    """Return the run whose readings decided a stage; None while it is not decided."""
    line = next((line for line in curation.funnel if line["stage"] == purpose), None)
    if line is None or line.get("run") is None:
        return None
    return curation.runs.select_related("annotator__prompt").filter(pk=line["run"]).first()


def suggest_threshold(curation: Curation, purpose: str) -> float:
    """Return from which rating on the curation itself takes a post for comprehensible, or for unsafe."""
    settings = get_settings(curation)
    if purpose == Purpose.COMPREHENSIBILITY:
        return settings.least_comprehensibility
    run = find_reader(curation, purpose)
    samples = run.annotator.samples if run else 1
    # The next mean of so many whole ratings above the highest that passes.
    return (math.floor(settings.most_nsfw * samples) + 1) / samples


@transaction.atomic
def create_check(
    curation: Curation, *, purpose: str, threshold: float, n_each: int = 100, seed: int = 1, user: Any = None
) -> ClassifierCheck:
    """Draw a balanced sample of a classifier's decisions for people to label.

    Where there are fewer of one decision than asked for, all of them are taken.
    Raises Refused with everything that stands in the way.
    """
    held = Curation.objects.select_for_update().get(pk=curation.pk)
    faults = _find_faults(purpose, threshold, n_each, seed)
    run = None if faults else find_reader(held, purpose)
    if is_busy(held):
        faults.append("The curation is under way; wait until it rests.")
    elif not faults and run is None:
        faults.append("No model has decided this yet: let the curation run first.")
    if faults or run is None:
        raise Refused(" ".join(faults))
    rated = held.feed_posts.exclude(**{purpose: None}).values_list("key", "pk", purpose)
    rows = {key: (pk, rating >= threshold) for key, pk, rating in rated}
    drawn = draw_balanced({key: said for key, (_, said) in rows.items()}, n_each, f"{seed} {purpose}")
    if not drawn.keys:
        raise Refused("No post has a rating of this classifier.")
    check = ClassifierCheck.objects.create(
        curation=held,
        purpose=purpose,
        threshold=threshold,
        n_each=n_each,
        seed=seed,
        results={SAMPLE: _describe_draw(run, drawn)},
        created_by=user,
    )
    CheckItem.objects.bulk_create(
        CheckItem(
            classifier_check=check, feed_post_id=rows[key][0], position=position, is_predicted=rows[key][1]
        )
        for position, key in enumerate(drawn.keys, start=1)
    )
    _log(check, user, f"{check} made of {len(drawn.keys):,} posts.", threshold=threshold, seed=seed)
    return check


@transaction.atomic
def set_label(check: ClassifierCheck, position: int, user: Any, *, is_positive: bool) -> None:
    """Store what somebody says of one post; it may be changed until the check is closed.

    Raises Refused once it is closed, and for a post that it does not have.
    """
    held = _hold(check)
    if held.closed_at:
        raise Refused("The check is closed; labels stay as they are.")
    item = held.items.filter(position=position).first()
    if item is None:
        raise Refused(f"The check has no post {position}.")
    CheckLabel.objects.update_or_create(item=item, labeler=user, defaults={"is_positive": is_positive})


def list_labelers(check: ClassifierCheck) -> list[Labeler]:
    """Return everybody who has labeled a post of the check, by name, without what they said."""
    n_items = check.items.count()
    labels = CheckLabel.objects.filter(item__classifier_check=check).order_by("labeler__username")
    rows = labels.values_list("labeler", "labeler__username").annotate(number=Count("pk"))
    return [Labeler(pk, name, number, number == n_items) for pk, name, number in rows]


def find_hindrance(check: ClassifierCheck) -> str:
    """Return why a check cannot be closed yet; "" when it can."""
    n_done = sum(labeler.is_done for labeler in list_labelers(check))
    if n_done >= FEWEST_LABELERS:
        return ""
    have = "has" if n_done == 1 else "have"
    return f"At least {FEWEST_LABELERS} people must have labeled every post; {n_done} {have}."


@transaction.atomic
def close_check(check: ClassifierCheck, user: Any = None) -> Job:
    """End the labeling and have the results computed; one that is closed has a failed computation tried again.

    Raises Refused while fewer than two people have labeled every post.
    """
    held = _hold(check)
    if held.closed_at is None:
        if hindrance := find_hindrance(held):
            raise Refused(hindrance)
        held.closed_at = timezone.now()
        held.save(update_fields=["closed_at"])
        names = [labeler.name for labeler in list_labelers(held) if labeler.is_done]
        _log(held, user, f"{held} closed.", labelers=names)
    job = jobs.enqueue(
        kind=KIND, key=f"{KIND} {held.pk}", payload={"check": held.pk, "study": held.curation.study_id}
    )
    jobs.retry(job)  # only what failed or was cancelled
    check.refresh_from_db()
    return job


def find_job(check: ClassifierCheck) -> Job | None:
    """Return the job that computes the results."""
    return Job.objects.filter(kind=KIND, key=f"{KIND} {check.pk}").first()


def _find_faults(purpose: str, threshold: float, n_each: int, seed: int) -> list[str]:
    faults = []
    if purpose not in PURPOSES:
        faults.append(f"A check is of {' or '.join(PURPOSES)}, not of '{purpose}'.")
    if not math.isfinite(threshold):
        faults.append("The threshold must be a number.")
    if not 1 <= n_each <= MOST_EACH:
        faults.append(f"From 1 to {MOST_EACH:,} posts of either decision, not {n_each}.")
    if not 0 <= seed < 2**31:
        faults.append(f"The seed is a whole number from 0 to {2**31 - 1:,}, not {seed}.")
    return faults


def _describe_draw(run: AnnotatorRun, drawn: BalancedSample) -> dict[str, Any]:
    return {
        "run": run.pk,
        "annotator": str(run.annotator),
        "prompt": run.annotator.prompt_id,
        "is_standin": run.is_standin or run.annotator.is_standin,
        "n_yes": drawn.n_yes,
        "n_no": drawn.n_no,
        "n_yes_there": drawn.n_yes_there,
        "n_no_there": drawn.n_no_there,
    }


def _hold(check: ClassifierCheck) -> ClassifierCheck:
    return (
        ClassifierCheck.objects.select_for_update(of=("self",))
        .select_related("curation__study")
        .get(pk=check.pk)
    )


def _log(check: ClassifierCheck, user: Any, summary: str, **detail: Any) -> None:
    log_event(
        check.curation.study,
        StudyEvent.Action.CHANGED,
        summary,
        actor=user,
        detail={"check": check.pk, "curation": check.curation_id} | detail,
    )
