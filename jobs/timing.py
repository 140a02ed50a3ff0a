"""How long things may take. Each is a Django setting, else an environment variable, else a default."""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DEFAULTS = {
    # A job belongs to the process that took it for this long; a live process extends it every quarter.
    "JOBS_LEASE_SECONDS": 60.0,
    # How often the sweep should run; a worker that sees it overdue by as much again runs it itself.
    "JOBS_SWEEP_SECONDS": 15.0,
    # A queued job that nobody took for this long gets a second hint.
    "JOBS_RESEND_SECONDS": 30.0,
    # Wait after the first failed try; doubled after each further one.
    "JOBS_RETRY_SECONDS": 5.0,
    # A try that lasts longer is stopped and counts as failed. Below the broker's visibility timeout (1 h).
    "JOBS_TIME_LIMIT_SECONDS": 3300.0,
}


def seconds(name: str) -> float:
    """Return one of DEFAULTS as configured.

    Raises ImproperlyConfigured when the value is not a number above zero.
    """
    value = getattr(settings, name, None)
    if value is None:
        value = os.environ.get(name) or DEFAULTS[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not number > 0:
        raise ImproperlyConfigured(f"{name} must be a number of seconds above zero; it is {value!r}.")
    return number
