"""Reads with more than one caller."""

import statistics
from functools import lru_cache

from django.core.cache import cache
from django.db.models import Count, Q

from annotation.tree.nodes import ValueTree

from .models import (
    Assignment,
    CompletionCode,
    Enrollment,
    Outcome,
    Post,
    Rater,
    Step,
    Study,
    ValueNode,
    ValueSystem,
)


def get_tree(system: ValueSystem) -> ValueTree:
    """Return the value system as a tree; read once per process and revision."""
    return _tree(system.pk, system.revision)


@lru_cache(maxsize=32)
def _tree(system_id: int, revision: int) -> ValueTree:
    system = ValueSystem.objects.get(pk=system_id)
    children: dict[int | None, list[ValueNode]] = {}
    for node in ValueNode.objects.filter(system_id=system_id).order_by("position"):
        children.setdefault(node.parent_id, []).append(node)
    roots = children.get(None, [])

    def describe(node: ValueNode) -> dict:
        wording = {"key": node.key, "name": node.name, "label": node.label, "definition": node.definition}
        if node.is_leaf:
            return wording
        return wording | {
            "question": node.question,
            "help": node.help,
            "answers": "several" if node.several else "one",
            "children": [describe(child) for child in children.get(node.pk, [])],
        }

    return ValueTree.from_dict(
        {
            "slug": system.slug,
            "version": system.version,
            "name": system.name,
            "description": system.description,
            "source": system.source,
            "scale": {
                "min": system.scale_min,
                "max": system.scale_max,
                "shown_from": system.shown_from,
                "low": system.low_label,
                "high": system.high_label,
            },
            "root": describe(roots[0]) if roots else {},
        }
    )


def get_labeling_item(enrollment: Enrollment, step: Step) -> str:
    """Return the open assignment's number."""
    assignment = enrollment.assignments.filter(status=Assignment.Status.OPEN).only("pk").first()
    return str(assignment.pk) if assignment else ""


def get_training_item(enrollment: Enrollment, step: Step) -> str:
    """Return the first training post that was not answered right yet; '' past the last."""
    done = enrollment.attempts.filter(step=step, is_right=True).values_list("item", flat=True)
    return _first_open(step, set(done))


def get_gating_item(enrollment: Enrollment, step: Step) -> str:
    """Return the first of the gate's posts that was not answered yet; '' past the last."""
    return _first_open(step, set(enrollment.attempts.filter(step=step).values_list("item", flat=True)))


def _first_open(step: Step, done: set[str]) -> str:
    return next((post["key"] for post in step.config["posts"] if post["key"] not in done), "")


ENOUGH_TO_JUDGE = 20
LATEST = 500
REMEMBERED_SECONDS = 60


def get_seconds_per_post(study: Study) -> float | None:
    """Return this study's median time from being given a post to submitting it; None before there is one.

    Over its latest posts by people, pauses included; looked up at most once a minute in each process.
    """
    return cache.get_or_set(
        f"seconds-per-post-{study.pk}", lambda: _measure_seconds_per_post(study), REMEMBERED_SECONDS
    )


def _measure_seconds_per_post(study: Study) -> float | None:
    times = (
        Assignment.objects.filter(enrollment__study=study, status=Assignment.Status.SUBMITTED)
        .exclude(enrollment__rater__origin=Rater.Origin.SIMULATED)
        .order_by("-submitted_at")
        .values_list("assigned_at", "submitted_at")[:LATEST]
    )
    seconds = [(submitted - assigned).total_seconds() for assigned, submitted in times]
    return statistics.median(seconds) if len(seconds) >= ENOUGH_TO_JUDGE else None


def get_outcome_text(enrollment: Enrollment) -> dict[str, str]:
    """Return title and text of the last page: the study's own, or the usual ones."""
    own = enrollment.study.outcome_texts.get(enrollment.outcome, {})
    return {"title": str(Outcome(enrollment.outcome).label), "text": ""} | own


def get_current_step(enrollment: Enrollment) -> Step | None:
    """Return the first step of the study this person has not finished; None past the last."""
    if enrollment.outcome:
        return None
    return (
        Step.objects.filter(study_id=enrollment.study_id)
        .exclude(stepcompletion__enrollment=enrollment)
        .order_by("position")
        .first()
    )


def get_open_assignment(enrollment: Enrollment) -> Assignment | None:
    """Return the post this person is to read now, if any."""
    return enrollment.assignments.filter(status=Assignment.Status.OPEN).select_related("post").first()


def count_submitted(enrollment: Enrollment, step: Step) -> int:
    """Return how many posts this person has read to the end in this labeling step."""
    return enrollment.assignments.filter(step=step, status=Assignment.Status.SUBMITTED).count()


def get_n_posts(study: Study, step: Step) -> int:
    """Return how many posts a labeling step gives each person."""
    return step.config.get("posts", study.posts_per_rater)


LIVE = (Assignment.Status.OPEN, Assignment.Status.SUBMITTED)


def count_live_assignments(study: Study) -> dict[int, int]:
    """Return, for each post that is to be labeled, how many people have it or had it."""
    return dict(
        Post.objects.filter(study=study, purpose=Post.Purpose.LABELING)
        .annotate(n_live=Count("assignments", filter=Q(assignments__status__in=LIVE)))
        .order_by("pk")
        .values_list("pk", "n_live")
    )


def get_completion_code(enrollment: Enrollment) -> str:
    """Return the code of the outcome that was reached; '' before any, or where the study has none."""
    if not enrollment.outcome:
        return ""
    code = CompletionCode.objects.filter(study_id=enrollment.study_id, outcome=enrollment.outcome).first()
    return code.code if code else ""
