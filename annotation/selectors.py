"""Reads with more than one caller."""

import statistics
from dataclasses import dataclass
from functools import lru_cache

from django.core.cache import caches
from django.db import connection

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
    numbers = enrollment.assignments.filter(status=Assignment.Status.OPEN).values_list("pk", flat=True)
    return "".join(map(str, numbers))  # there is one at most


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
    return caches["process"].get_or_set(
        f"seconds-per-post-{study.pk}", lambda: _measure_seconds_per_post(study), REMEMBERED_SECONDS
    )


def _measure_seconds_per_post(study: Study) -> float | None:
    times = (
        Assignment.objects.filter(enrollment__study=study, status=Assignment.Status.SUBMITTED)
        .exclude(enrollment__rater__origin=Rater.Origin.SIMULATED)
        .exclude(enrollment__phase=Enrollment.Phase.REHEARSAL)
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
    return next(iter(Step.objects.raw(_CURRENT_STEP, [enrollment.study_id, enrollment.pk])), None)


# Asked at every request of the path. Written out, it costs a third of what building it each time does.
_CURRENT_STEP = """
SELECT id, study_id, position, kind, config FROM annotation_step AS step
WHERE study_id = %s AND NOT EXISTS (
    SELECT 1 FROM annotation_stepcompletion AS done
    WHERE done.step_id = step.id AND done.enrollment_id = %s
) ORDER BY position LIMIT 1
"""


@dataclass(frozen=True)
class OpenPost:
    """What a page of the labeling shows: the post, how many were read in this step, and the kept fields."""

    item: str
    post: Post
    n_done: int
    draft: str | None


def get_open_post(enrollment: Enrollment, step: Step) -> OpenPost | None:
    """Return what this person is to read now, if any, in one look at the database."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_POST, [step.pk, enrollment.pk])
        row = cursor.fetchone()
    if row is None:
        return None
    number, text, context_kind, context_text, n_done, draft = row
    post = Post(text=text, context_kind=context_kind, context_text=context_text)
    return OpenPost(str(number), post, n_done, draft)


_OPEN_POST = """
SELECT given.id, post.text, post.context_kind, post.context_text,
    (SELECT count(*) FROM annotation_assignment AS other WHERE other.enrollment_id = given.enrollment_id
        AND other.step_id = given.step_id AND other.status = 'submitted'),
    draft.fields
FROM annotation_assignment AS given
JOIN annotation_post AS post ON post.id = given.post_id
LEFT JOIN annotation_draft AS draft ON draft.enrollment_id = given.enrollment_id
    AND draft.step_id IN (given.step_id, %s) AND draft.item = CAST(given.id AS varchar)
WHERE given.enrollment_id = %s AND given.status = 'open'
ORDER BY draft.saved_at DESC LIMIT 1
"""


def get_open_assignment(enrollment: Enrollment) -> Assignment | None:
    """Return the post this person is to read now, if any."""
    return enrollment.assignments.filter(status=Assignment.Status.OPEN).select_related("post").first()


def get_n_posts(study: Study, step: Step) -> int:
    """Return how many posts a labeling step gives each person."""
    return step.config.get("posts", study.posts_per_rater)


def count_live_assignments(study: Study, phase: str = Enrollment.Phase.LIVE) -> dict[int, int]:
    """Return, for each post that is to be labeled, how many people of a phase have or had it, in the posts' order."""
    with connection.cursor() as cursor:
        cursor.execute(_LIVE_ASSIGNMENTS, [study.pk, phase, study.pk])
        return dict(cursor.fetchall())


# Everyone's less those of the other phases, who are few while a study is live: that costs half of asking each
# assignment for the phase of its person.
_LIVE_ASSIGNMENTS = """
SELECT post.id, coalesce(live.n, 0) - coalesce(other.n, 0) FROM annotation_post AS post
LEFT JOIN (
    SELECT post_id, count(*) AS n FROM annotation_assignment
    WHERE status IN ('open', 'submitted') GROUP BY post_id
) AS live ON live.post_id = post.id
LEFT JOIN (
    SELECT given.post_id, count(*) AS n FROM annotation_enrollment AS person
    JOIN annotation_assignment AS given ON given.enrollment_id = person.id
    WHERE person.study_id = %s AND person.phase <> %s AND given.status IN ('open', 'submitted')
    GROUP BY given.post_id
) AS other ON other.post_id = post.id
WHERE post.study_id = %s AND post.purpose = 'labeling' ORDER BY post.id
"""


def get_completion_code(enrollment: Enrollment) -> str:
    """Return the code of the outcome that was reached; '' before any, or where the study has none."""
    if not enrollment.outcome:
        return ""
    code = CompletionCode.objects.filter(study_id=enrollment.study_id, outcome=enrollment.outcome).first()
    return code.code if code else ""
