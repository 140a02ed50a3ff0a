from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.providers.pacing import PaceState, pause, refund, reserve

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FRESH = PaceState(NOW, NOW)


@settings(max_examples=60)
@given(
    st.integers(1, 900),
    st.integers(1, 90_000),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 4_000)), max_size=80),
)
def test_no_minute_holds_more_than_the_limits(requests_per_minute, tokens_per_minute, asked):
    state, now, sent = FRESH, NOW, []
    for seconds, n_tokens in asked:
        now += timedelta(seconds=seconds)
        state, wait = reserve(state, now, 1, n_tokens, requests_per_minute, tokens_per_minute)
        sent.append((now + timedelta(seconds=wait), n_tokens))

    for start, _ in sent:
        inside = [n for moment, n in sent if start <= moment < start + timedelta(seconds=59.999)]
        assert len(inside) <= requests_per_minute
        # The last call of a minute begins within it; what it is above the limit is waited for after it.
        assert sum(inside) - inside[-1] <= tokens_per_minute


def test_calls_are_spaced_evenly():
    state, waits = FRESH, []
    for _ in range(4):
        state, wait = reserve(state, NOW, 1, 0, 60, 0)
        waits.append(wait)

    assert waits == [0, 1, 2, 3]


def test_the_slower_of_two_limits_decides():
    state, _ = reserve(FRESH, NOW, 1, 500, 60, 1_000)

    assert reserve(state, NOW, 1, 500, 60, 1_000)[1] == 30


def test_idle_time_is_not_saved_up():
    later = NOW + timedelta(hours=1)
    state, first = reserve(FRESH, later, 1, 0, 60, 0)

    assert first == 0
    assert reserve(state, later, 1, 0, 60, 0)[1] == 1


def test_a_limit_of_nought_is_none():
    assert reserve(FRESH, NOW, 1_000, 10**9, 0, 0) == (FRESH, 0)


def test_more_than_a_minute_holds_goes_through_and_delays_the_next():
    state, wait = reserve(FRESH, NOW, 1, 3_000, 0, 1_000)

    assert wait == 0
    assert reserve(state, NOW, 1, 1, 0, 1_000)[1] == 180


def test_a_wait_that_is_too_long_reserves_nothing():
    state, _ = reserve(FRESH, NOW, 100, 0, 60, 0)

    assert reserve(state, NOW, 1, 0, 60, 0, longest_wait=5) == (state, 100)


def test_a_pause_holds_for_everybody_and_the_longer_one_wins():
    state = pause(pause(FRESH, NOW, 30), NOW, 10)

    assert reserve(state, NOW, 1, 1, 0, 0)[1] == 30


def test_tokens_not_needed_come_back():
    state, _ = reserve(FRESH, NOW, 1, 1_000, 0, 1_000)

    assert reserve(refund(state, 900, 1_000), NOW, 1, 1, 0, 1_000)[1] == pytest.approx(6)
    assert refund(state, 900, 0) == refund(state, 0, 1_000) == state


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        reserve(FRESH, NOW, -1, 0, 60, 0)
