"""Settings of the processes these tests start: the queue alone, with short leases."""

from config.settings.base import *  # noqa: F403
from config.settings.base import env

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "jobs", "tests.jobs.probe"]
MIDDLEWARE = []
TEMPLATES = []
ROOT_URLCONF = "tests.jobs.probe.urls"
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "jobs.tasks.sweep",
        "schedule": env.float("JOBS_SWEEP_SECONDS", 1.0),
        "options": {"expires": 5},
    }
}
