"""How long to wait before a call that failed is tried again."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


def compute_pause(
    n_sent: int, *, retry_after: float | None, rng: "np.random.Generator", first_pause: float = FIRST_PAUSE
) -> float:
    """Return the seconds to wait before the next send of a call.

    Parameters
    ----------
    n_sent : how often it has been sent, 1 or more
    retry_after : what the provider asked for, None if nothing
    rng : draws the pause evenly between 0 and a ceiling that doubles with each send up to a minute, so that calls
        which failed together do not come back together
    first_pause : that ceiling after the first send, in seconds

    Returns
    -------
    float
        Seconds; `retry_after` is never fallen short of, however long.

    Raises
    ------
    ValueError
        If `n_sent` is below 1.
    """
    if n_sent < 1:
        raise ValueError(f"A call is tried again after it was sent at least once, not {n_sent} times.")
    ceiling = min(LONGEST_PAUSE, first_pause * 2.0 ** min(n_sent - 1, 10))
    drawn = float(rng.uniform(0.0, ceiling))
    if retry_after is None:
        return drawn
    return max(drawn, retry_after + float(rng.uniform(0.0, first_pause)))
