"""Settings of the processes these tests start: all of Parallax, with a quick clock and faults on request."""

import django
from celery.signals import worker_init

from config.settings.base import *  # noqa: F403
from config.settings.base import INSTALLED_APPS, env

INSTALLED_APPS = [*INSTALLED_APPS, "tests.modeling.faults"]
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "jobs.tasks.sweep",
        "schedule": env.float("JOBS_SWEEP_SECONDS", 1.0),
        "options": {"expires": 5},
    }
}
CELERY_WORKER_LOST_WAIT = 0.2  # how long a killed process's place in its worker stays empty


@worker_init.connect(weak=False)
def load_handlers(**_: object) -> None:
    """Load once what each process of a worker needs, so that one takes a killed one's place at once."""
    from jobs import registry

    django.setup()
    registry.autodiscover()
