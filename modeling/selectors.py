"""Reads with more than one caller."""

from annotation.models import Annotation, Outcome, Post, Rater, Study
from jobs.models import Job

from .models import EvaluationReport


def get_latest_report(study: Study) -> EvaluationReport | None:
    return study.evaluation_reports.select_related("fit_run").first()


def count_study(study: Study) -> dict[str, int]:
    """Return how many people and posts a study has, by what became of them."""
    enrollments = study.enrollments.all()
    return {
        "enrolled": enrollments.count(),
        "completed": enrollments.filter(outcome=Outcome.COMPLETED).count(),
        "simulated": enrollments.filter(rater__origin=Rater.Origin.SIMULATED).count(),
        "posts": study.posts.filter(purpose=Post.Purpose.LABELING).count(),
        "annotations": Annotation.objects.filter(enrollment__study=study).count(),
    }


def list_jobs(study: Study) -> list[Job]:
    """Return the study's newest jobs, newest first."""
    return list(Job.objects.filter(payload__study=study.pk)[:5])
