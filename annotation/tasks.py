"""What runs by the clock."""

from celery import shared_task
from django.utils import timezone

from . import services, versions


@shared_task(acks_late=True, ignore_result=True)
def time_out_overdue() -> None:
    """Time out everyone whose allowed time is over. Safe to run twice."""
    services.time_out_overdue(timezone.now())


@shared_task(acks_late=True, ignore_result=True)
def freeze_after_renewal() -> None:
    """Give running studies a version that names the software as it is since its renewal. Safe to run twice."""
    versions.freeze_after_renewal()
