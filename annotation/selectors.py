"""Reads with more than one caller."""

from functools import lru_cache

from django.db.models import Count, Q

from annotation.tree.nodes import ValueTree

from .models import Assignment, CompletionCode, Enrollment, Post, Step, Study, ValueNode, ValueSystem


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


def count_submitted(enrollment: Enrollment) -> int:
    """Return how many posts this person has read to the end."""
    return enrollment.assignments.filter(status=Assignment.Status.SUBMITTED).count()


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
