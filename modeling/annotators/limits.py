"""How long and how large the steps of a run may be. Each is a Django setting, else an environment variable."""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DEFAULTS = {
    # A call belongs to the process that took it for this long; after that another may ask again.
    "ANNOTATOR_CLAIM_SECONDS": 120.0,
    # A lane that works longer makes room for other jobs and goes on after them.
    "ANNOTATOR_LANE_SECONDS": 480.0,
    # A pause longer than this is not slept through: the lane leaves its worker and comes back.
    "ANNOTATOR_PATIENCE_SECONDS": 20.0,
    # A run that had no answer for this long stops.
    "ANNOTATOR_SILENCE_SECONDS": 1800.0,
    # The longest pause before a second try; doubled for each further one.
    "ANNOTATOR_BACKOFF_SECONDS": 1.0,
    # How often a provider is asked how far a batch is.
    "ANNOTATOR_BATCH_POLL_SECONDS": 60.0,
    # Calls in one batch.
    "ANNOTATOR_BATCH_LINES": 20_000.0,
}
MOST_SENDS = 6  # of one call, before it is given up
MOST_LIMITED_SENDS = 20  # where the provider only asks to wait: the question is not at fault
MOST_LANES = 4  # of one run: more would keep every worker from other work
LONGEST_PAUSE_SECONDS = 600.0  # whatever a provider asks for


def limit(name: str) -> float:
    """Return one of DEFAULTS as configured. Raises ImproperlyConfigured when it is not a number above zero."""
    value = getattr(settings, name, None)
    if value is None:
        value = os.environ.get(name) or DEFAULTS[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not number > 0:
        raise ImproperlyConfigured(f"{name} must be a number above zero; it is {value!r}.")
    return number
