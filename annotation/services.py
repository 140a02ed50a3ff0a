"""Every write on a rater's way, named by its verb.

Each call is one transaction that locks the enrollment first and then looks again, so a double click,
a second tab and a retried request all find what the first one left.
"""

import random

from django.db import connection, transaction
from django.utils import timezone

from annotation import steps
from annotation.assigning import choose_post
from annotation.tree.nodes import Branch, ValueTree
from annotation.tree.walk import Reading, complete

from .errors import AlreadySubmitted, Refused
from .models import (
    Annotation,
    Assignment,
    ConsentRecord,
    Enrollment,
    Outcome,
    Rater,
    Step,
    StepCompletion,
    Study,
    ValueNode,
    ValueSystem,
)
from .recruitment import Entry, find_enrollment
from .selectors import count_live_assignments, count_submitted, get_current_step, get_tree


@transaction.atomic
def save_value_system(tree: ValueTree) -> ValueSystem:
    """Store a value system, or renew the wording of the stored one with the same slug.

    Raises Refused when people have entered a study on it and anything but wording would change.
    """
    system = ValueSystem.objects.filter(slug=tree.slug).first()
    if system and get_tree(system) == tree:
        return system
    if system and system.is_in_use and _skeleton(get_tree(system)) != _skeleton(tree):
        raise Refused(
            f"People have entered a study on the value system '{tree.slug}'; its values, groups, order and scale "
            "cannot change. Give the new system a new slug."
        )
    system, _ = ValueSystem.objects.update_or_create(
        slug=tree.slug,
        defaults={
            "name": tree.name,
            "version": tree.version,
            "description": tree.description,
            "source": tree.source,
            "scale_min": tree.scale.min,
            "scale_max": tree.scale.max,
            "shown_from": tree.scale.shown_from,
            "low_label": tree.scale.low,
            "high_label": tree.scale.high,
        },
    )
    system.nodes.all().delete()
    _save_branch(system, tree.root, parent=None, position=1)
    Study.objects.filter(value_system=system).update(value_keys=list(tree.value_keys))
    system.refresh_from_db()
    return system


def _skeleton(tree: ValueTree) -> tuple:
    """All of a system that is not wording."""
    groups = [
        (branch.key, branch.several, [child.key for child in branch.children]) for branch in tree.branches
    ]
    return tree.scale.min, tree.scale.max, tree.value_keys, groups


def _save_branch(system: ValueSystem, branch: Branch, *, parent: ValueNode | None, position: int) -> None:
    node = ValueNode.objects.create(
        system=system,
        parent=parent,
        position=position,
        is_leaf=False,
        key=branch.key,
        name=branch.name,
        label=branch.label,
        definition=branch.definition,
        question=branch.question,
        help=branch.help,
        several=branch.several,
    )
    for place, child in enumerate(branch.children, start=1):
        if isinstance(child, Branch):
            _save_branch(system, child, parent=node, position=place)
        else:
            ValueNode.objects.create(
                system=system,
                parent=node,
                position=place,
                key=child.key,
                name=child.name,
                label=child.label,
                definition=child.definition,
            )


@transaction.atomic
def enroll(study: Study, entry: Entry) -> Enrollment:
    """Take someone in, or find them again: one person has one enrollment in a study.

    Raises StudyClosed when a new person meets a study that is not live; those inside may go on.
    """
    enrollment = find_enrollment(study, entry)
    if enrollment:
        return enrollment
    rater, _ = Rater.objects.get_or_create(origin=entry.origin, external_id=entry.rater_id)
    enrollment, is_new = Enrollment.objects.get_or_create(
        study=study,
        rater=rater,
        defaults={"prolific_study_id": entry.study_id, "prolific_session_id": entry.session_id},
    )
    return enter_current_step(enrollment) if is_new else enrollment


def lock(enrollment: Enrollment) -> Enrollment:
    """Return the enrollment as it stands now, held until the transaction ends."""
    return (
        Enrollment.objects.select_for_update(of=("self",))
        .select_related("study", "rater")
        .get(pk=enrollment.pk)
    )


@transaction.atomic
def record_consent(enrollment: Enrollment, step: Step, *, given: bool) -> Enrollment:
    """Store the answer to the consent page; a 'no' ends the participation."""
    enrollment = lock(enrollment)
    if enrollment.outcome:
        return enrollment
    record, _ = ConsentRecord.objects.get_or_create(
        enrollment=enrollment,
        defaults={"given": given, "version": enrollment.study.consent.get("version", 1)},
    )
    if record.given:
        return complete_step(enrollment, step)
    return finish(enrollment, Outcome.NO_CONSENT)


@transaction.atomic
def complete_step(enrollment: Enrollment, step: Step) -> Enrollment:
    """Note that a step is done and open the next one; past the last the participation is complete.

    Steps are done in order: one that is not the current step changes nothing.
    """
    enrollment = lock(enrollment)
    if get_current_step(enrollment) != step:
        return enrollment
    StepCompletion.objects.create(enrollment=enrollment, step=step)
    return enter_current_step(enrollment)


def enter_current_step(enrollment: Enrollment) -> Enrollment:
    """Prepare the step someone has just come to, inside the caller's transaction."""
    step = get_current_step(enrollment)
    if step is None:
        return finish(enrollment, Outcome.COMPLETED)
    steps.KINDS[step.kind].enter(enrollment, step)
    enrollment.refresh_from_db()
    return enrollment


@transaction.atomic
def finish(enrollment: Enrollment, outcome: Outcome) -> Enrollment:
    """End a participation, once."""
    Enrollment.objects.filter(pk=enrollment.pk, outcome="").update(
        outcome=outcome, finished_at=timezone.now()
    )
    enrollment.refresh_from_db()
    return enrollment


def assign_next_post(enrollment: Enrollment, step: Step) -> None:
    """Give someone their next post, or end the labeling when they have read enough or none is left.

    Runs inside the caller's transaction. The choice holds the study's lock, so that no post passes its
    cap however many people arrive at once.
    """
    study = enrollment.study
    if enrollment.assignments.filter(status=Assignment.Status.OPEN).exists():
        return
    n_submitted = count_submitted(enrollment)
    if n_submitted < study.posts_per_rater:
        _lock_assignments_of(study)
        taken = set(enrollment.assignments.values_list("post_id", flat=True))
        post_id = choose_post(
            study.strategy,
            count_live_assignments(study),
            taken=taken,
            cap=study.redundancy_cap,
            rng=random.Random(f"{study.seed}:{enrollment.pk}:{len(taken)}"),  # noqa: S311 - repeatable, not secret
        )
        if post_id is not None:
            Assignment.objects.create(enrollment=enrollment, post_id=post_id, position=len(taken) + 1)
            return
    if n_submitted:
        complete_step(enrollment, step)
    else:
        finish(enrollment, Outcome.STUDY_FULL)


def _lock_assignments_of(study: Study) -> None:
    # SQLite's transactions are IMMEDIATE: this one is already alone. PostgreSQL needs the queue said.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_ASSIGNMENT_LOCK, study.pk])


_ASSIGNMENT_LOCK = 1907


@transaction.atomic
def submit_annotation(
    assignment: Assignment, step: Step, reading: Reading, *, rationale: str = ""
) -> Annotation:
    """Store a rater's reading of a post, close the assignment and give the next post.

    Raises
    ------
    AlreadySubmitted
        When another request closed the assignment first; what it stored stands.
    annotation.tree.walk.WalkError
        When the reading does not fit the tree or is unfinished; nothing is stored.
    """
    enrollment = lock(assignment.enrollment)
    tree = get_tree(enrollment.study.value_system)
    if list(tree.value_keys) != enrollment.study.value_keys:
        raise Refused("The value system no longer has the order this study was frozen with.")
    reading_done = complete(tree, reading)
    closed = Assignment.objects.filter(pk=assignment.pk, status=Assignment.Status.OPEN).update(
        status=Assignment.Status.SUBMITTED, submitted_at=timezone.now()
    )
    if not closed:
        raise AlreadySubmitted(assignment.pk)
    annotation = Annotation.objects.create(
        enrollment=enrollment,
        post_id=assignment.post_id,
        assignment=assignment,
        ratings=reading_done.ratings,
        codes=reading_done.codes,
        opened=list(reading_done.opened),
        rationale=rationale,
    )
    assign_next_post(enrollment, step)
    return annotation
