"""Settings, addresses and processes. Loading it makes Celery's application the current one."""

from .celery import app as celery_app

__all__ = ["celery_app"]
