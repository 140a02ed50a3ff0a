"""How long a call must wait so that all processes together stay below a provider's limits per minute.

The generic cell rate algorithm without a burst: each limit is one instant, at which the next call is due. A call
moves it on by its share of a minute, so that no minute ever holds more than the limit.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class PaceState:
    """When the next request and the next token are due, and until when the provider asked to wait."""

    requests_at: datetime
    tokens_at: datetime
    paused_until: datetime | None = None


def reserve(
    state: PaceState,
    now: datetime,
    n_requests: int,
    n_tokens: int,
    requests_per_minute: int,
    tokens_per_minute: int,
    *,
    longest_wait: float = float("inf"),
) -> tuple[PaceState, float]:
    """Return the state after a call was given its place, and the seconds to wait before sending it.

    A limit of 0 is none. Where the wait would be above `longest_wait` nothing is reserved: the state comes back as
    it was, with the seconds after which to ask again. More requests or tokens than a minute holds are let through
    at once and delay the next.

    Raises
    ------
    ValueError
        If a number is negative.
    """
    if min(n_requests, n_tokens, requests_per_minute, tokens_per_minute) < 0:
        raise ValueError("Requests, tokens and limits must be 0 or more.")
    due = max(
        now,
        state.requests_at if requests_per_minute and n_requests else now,
        state.tokens_at if tokens_per_minute and n_tokens else now,
        state.paused_until or now,
    )
    wait = (due - now).total_seconds()
    if wait > longest_wait:
        return state, wait
    if requests_per_minute and n_requests:
        state = replace(state, requests_at=due + MINUTE * n_requests / requests_per_minute)
    if tokens_per_minute and n_tokens:
        state = replace(state, tokens_at=due + MINUTE * n_tokens / tokens_per_minute)
    return state, wait


def refund(state: PaceState, n_tokens: int, tokens_per_minute: int) -> PaceState:
    """Return the state after `n_tokens` that were reserved turned out not to be needed."""
    if not tokens_per_minute or n_tokens <= 0:
        return state
    return replace(state, tokens_at=state.tokens_at - MINUTE * n_tokens / tokens_per_minute)


def pause(state: PaceState, now: datetime, seconds: float) -> PaceState:
    """Return the state after the provider asked to wait; the longer of two such wishes holds."""
    until = now + timedelta(seconds=seconds)
    return replace(state, paused_until=max(until, state.paused_until or until))
