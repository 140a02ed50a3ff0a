"""What the broker's messages call. They carry a job's number and nothing else."""

from celery import shared_task
from celery.signals import worker_ready

from . import services
from .timing import seconds


@shared_task(
    acks_late=True,
    ignore_result=True,
    soft_time_limit=seconds("JOBS_TIME_LIMIT_SECONDS"),
    time_limit=seconds("JOBS_TIME_LIMIT_SECONDS") + 60,
)
def run(job_id: int) -> None:
    """Do one job. Safe to deliver any number of times."""
    services.run(job_id)


@shared_task(acks_late=True, ignore_result=True)
def sweep() -> None:
    """Find the jobs that no message speaks of any more. Safe to run twice."""
    services.sweep()


@worker_ready.connect
def sweep_at_start(**_: object) -> None:
    services.ask_for_sweep()
