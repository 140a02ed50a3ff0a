"""What modeling does when something happens in another room."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from annotation.models import Study
from annotation.signals import answers_erased

from .archives import remove_archives
from .models import Report
from .outdated import mark_outdated
from .reporting.requests import remove_single_ratings, renew_reports
from .reporting.subjects import SAW_PEOPLE
from .softlabels.services import mark_soft_labels_outdated, select_with_people


@receiver(answers_erased)
def mark_fits_that_saw_the_answers(study: Study, completed_at: datetime | None, **kwargs: Any) -> None:
    """Only those who completed a study are fitted to, and only by fits that came after."""
    if completed_at is not None:
        mark_outdated(study.fit_runs.filter(created_at__gte=completed_at))


@receiver(answers_erased)
def take_back_soft_labels_of_the_answers(study: Study, completed_at: datetime | None, **kwargs: Any) -> None:
    """Where one person rated a post, they hold this person's rating: their files go at once."""
    if completed_at is not None:
        mark_soft_labels_outdated(select_with_people(study, since=completed_at))


@receiver(answers_erased)
def renew_reports_that_saw_the_answers(study: Study, completed_at: datetime | None, **kwargs: Any) -> None:
    """A report without the erased takes the place of one that saw them; single ratings go at once."""
    if completed_at is not None:
        reports = study.reports.filter(kind__in=SAW_PEOPLE, created_at__gte=completed_at)
        remove_single_ratings(reports.filter(kind=Report.Kind.AGREEMENT))
        renew_reports(reports)


@receiver(answers_erased)
def remove_archives_that_hold_the_answers(study: Study, began_at: datetime, **kwargs: Any) -> None:
    """An export may hold everyone who had come by then."""
    remove_archives(study, since=began_at)
