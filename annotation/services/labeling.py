"""Posts given to people, and their readings."""

import random
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.assigning import choose_post
from annotation.errors import AlreadySubmitted, Refused
from annotation.models import Annotation, Assignment, Draft, Enrollment, Outcome, Step, Study
from annotation.selectors import (
    count_live_assignments,
    get_current_step,
    get_n_posts,
    get_tree,
)
from annotation.tree.walk import Reading, complete

from .path import complete_step, finish, lock, time_out


def assign_next_post(enrollment: Enrollment, step: Step) -> None:
    """Give someone their next post, or end the labeling when they have read enough or none is left.

    Runs inside the caller's transaction. The choice holds the study's lock, so that no post passes its
    cap however many people arrive at once.
    """
    study = enrollment.study
    own = list(enrollment.assignments.order_by().values_list("post_id", "step_id", "status"))
    if any(status == Assignment.Status.OPEN for _, _, status in own):
        return
    n_submitted = sum(
        step_id == step.pk and status == Assignment.Status.SUBMITTED for _, step_id, status in own
    )
    if n_submitted < get_n_posts(study, step):
        lock_assignments_of(study)
        taken = {post_id for post_id, _, _ in own}
        post_id = _choose_post(enrollment, taken)
        if post_id is None and _time_out_others(enrollment):
            post_id = _choose_post(enrollment, taken)
        if post_id is not None:
            Assignment.objects.create(
                enrollment=enrollment, step=step, post_id=post_id, position=len(taken) + 1
            )
            return
    if enrollment.assignments.filter(status=Assignment.Status.SUBMITTED).exists():  # in whichever step
        complete_step(enrollment, step)
    else:
        finish(enrollment, Outcome.STUDY_FULL)


def _choose_post(enrollment: Enrollment, taken: set[int]) -> int | None:
    study = enrollment.study
    return choose_post(
        study.strategy,
        count_live_assignments(study, enrollment.phase),
        taken=taken,
        cap=study.redundancy_cap,
        rng=random.Random(f"{study.seed}:{enrollment.pk}:{len(taken)}"),  # noqa: S311 - repeatable, not secret
    )


def _time_out_others(enrollment: Enrollment) -> int:
    """Time out whoever's time is over, should the clock not run; returns how many.

    Runs while the study's lock is held, so it waits for nobody: a row that someone else holds is passed over.
    """
    now = timezone.now()
    study = enrollment.study
    overdue = study.enrollments.filter(
        outcome="", timed_out_at=None, started_at__lte=now - timedelta(minutes=study.allowed_minutes)
    ).exclude(pk=enrollment.pk)
    return sum(1 for other in overdue.select_for_update(skip_locked=True) if time_out(other, now))


@transaction.atomic
def go_on_labeling(enrollment: Enrollment, step: Step) -> Enrollment:
    """Give a post to someone who stands in a labeling step without one."""
    enrollment = lock(enrollment)
    if get_current_step(enrollment) == step:
        assign_next_post(enrollment, step)
        enrollment.refresh_from_db()
    return enrollment


def lock_assignments_of(study: Study) -> None:
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
    Refused
        When the post went back to the pool and can be theirs no more.
    annotation.tree.walk.WalkError
        When the reading does not fit the tree or is unfinished; nothing is stored.
    """
    enrollment = lock(assignment.enrollment)
    if enrollment.outcome == Outcome.TIMED_OUT:  # the clock struck while this was on its way
        reopen(enrollment)
    tree = get_tree(enrollment.study.value_system)
    if list(tree.value_keys) != enrollment.study.value_keys:
        raise Refused(_("The value system no longer has the order this study was frozen with."))
    reading_done = complete(tree, reading)
    closed = Assignment.objects.filter(pk=assignment.pk, status=Assignment.Status.OPEN).update(
        status=Assignment.Status.SUBMITTED, submitted_at=timezone.now()
    )
    if not closed:
        if Annotation.objects.filter(assignment=assignment.pk).exists():
            raise AlreadySubmitted(assignment.pk)
        raise Refused(_("That post was given to someone else in the meantime. Nothing was saved from it."))
    annotation = Annotation.objects.create(
        enrollment=enrollment,
        post_id=assignment.post_id,
        assignment=assignment,
        ratings=reading_done.ratings,
        codes=reading_done.codes,
        opened=list(reading_done.opened),
        rationale=rationale,
        study_version_id=enrollment.study.current_version_id,
    )
    Draft.objects.filter(enrollment=enrollment, step=step).delete()
    assign_next_post(enrollment, step)
    return annotation


def reopen(enrollment: Enrollment) -> None:
    """Let someone whose time ran out go on where they were, inside the caller's transaction.

    Posts they had read are theirs again. The one they were reading too, unless it has reached its cap meanwhile.
    """
    enrollment.outcome, enrollment.finished_at = "", None
    enrollment.save(update_fields=["outcome", "finished_at"])
    study = enrollment.study
    lock_assignments_of(study)
    released = enrollment.assignments.filter(status=Assignment.Status.RELEASED)
    released.filter(submitted_at__isnull=False).update(status=Assignment.Status.SUBMITTED)
    unread = released.filter(submitted_at=None).order_by("-position").first()
    if unread is None:
        return
    n_live = count_live_assignments(study, enrollment.phase)[unread.post_id]
    if study.redundancy_cap is None or n_live < study.redundancy_cap:
        unread.status = Assignment.Status.OPEN
        unread.save(update_fields=["status"])
