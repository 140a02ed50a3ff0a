"""What runs by the clock."""

from celery import shared_task
from django.utils import timezone

from . import retention, scratch
from .reporting.requests import refresh_live_reports as refresh_reports


@shared_task(acks_late=True, ignore_result=True)
def remind_of_retention() -> None:
    """Remind of personal data that is to be erased soon. Safe to run twice."""
    retention.remind(timezone.localdate())


@shared_task(acks_late=True, ignore_result=True)
def refresh_live_reports() -> None:
    """Have the figures of running studies follow their people. Safe to run twice."""
    refresh_reports()


@shared_task(acks_late=True, ignore_result=True)
def clear_scratch() -> None:
    """Delete files of work that never came to its end. Safe to run twice."""
    scratch.clear_scratch()
