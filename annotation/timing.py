"""PURE. How long people may take: the recruiting platform's rule."""

from math import ceil, sqrt


def allowed_minutes(estimated_minutes: int) -> int:
    """Return the least time, in minutes, after which the platform may count someone as timed out.

    Prolific's rule for an estimate of t minutes: 2 + 2 t + 2 sqrt(t), here rounded up
    (docs.prolific.com, `maximum_allowed_time` of a study). Raises ValueError for less than a minute.
    """
    if estimated_minutes < 1:
        raise ValueError(f"a study takes at least a minute, not {estimated_minutes}")
    return ceil(2 + 2 * estimated_minutes + 2 * sqrt(estimated_minutes))
