"""What runs by the clock."""

from celery import shared_task
from django.utils import timezone

from . import retention


@shared_task(acks_late=True, ignore_result=True)
def remind_of_retention() -> None:
    """Remind of personal data that is to be erased soon. Safe to run twice."""
    retention.remind(timezone.localdate())
