"""Reads with more than one caller."""

from django.db.models import Count, Q

from annotation.models import Annotation, Enrollment, Outcome, Post, Rater, Study

from .inclusion import build_conditions
from .models import Report


def get_latest_report(study: Study) -> Report | None:
    """Return the newest evaluation of any of the study's fits."""
    return study.reports.filter(kind=Report.Kind.EVALUATION).select_related("fit_run").first()


def count_study(study: Study) -> dict[str, int]:
    """Return how many people and posts a study has, by what became of them; rehearsals are not counted.

    `included` are those who count by the usual rule (`modeling.inclusion`), `excluded` those who would.
    """
    came = study.enrollments.exclude(phase=Enrollment.Phase.REHEARSAL)
    counts = build_conditions()
    people = came.aggregate(
        enrolled=Count("pk"),
        completed=Count("pk", filter=Q(outcome=Outcome.COMPLETED)),
        included=Count("pk", filter=counts & Q(exclusion=None)),
        excluded=Count("pk", filter=counts & ~Q(exclusion=None)),
        simulated=Count("pk", filter=Q(rater__origin=Rater.Origin.SIMULATED)),
    )
    return people | {
        "posts": study.posts.filter(purpose=Post.Purpose.LABELING).count(),
        "annotations": Annotation.objects.filter(enrollment__in=came).count(),
    }
