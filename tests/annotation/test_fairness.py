import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.fairness import (
    MINIMUM_HOURLY,
    MINIMUM_SCREEN_OUT,
    compute_hourly_pay,
    compute_least_reward,
    compute_least_screen_out,
    format_money,
    is_paid_fairly,
)

CURRENCIES = st.sampled_from(sorted(MINIMUM_HOURLY))
MINUTES = st.floats(min_value=0.01, max_value=600)


def test_prolifics_minimum_is_six_pounds_or_eight_dollars_an_hour():
    assert compute_least_reward(60, "GBP") == 600
    assert compute_least_reward(60, "USD") == 800


def test_an_hours_pay_is_the_reward_stretched_to_an_hour():
    assert compute_hourly_pay(300, 30) == 600
    assert compute_hourly_pay(675, 45) == 900
    assert compute_hourly_pay(0, 10) == 0


@pytest.mark.parametrize(
    ("reward", "minutes", "currency", "is_fair"),
    [(450, 45, "GBP", True), (449, 45, "GBP", False), (600, 45, "USD", True), (599, 45, "USD", False)],
)
def test_the_minimum_itself_is_fair_and_a_penny_less_is_not(reward, minutes, currency, is_fair):
    assert is_paid_fairly(reward, minutes, currency) is is_fair


@given(MINUTES, CURRENCIES)
def test_the_least_reward_is_the_smallest_that_reaches_the_minimum(minutes, currency):
    least = compute_least_reward(minutes, currency)
    assert is_paid_fairly(least, minutes, currency)
    assert not is_paid_fairly(least - 1, minutes, currency)


@given(MINUTES, CURRENCIES)
def test_whoever_is_screened_out_gets_the_fixed_minimum_and_never_less_than_by_the_hour(minutes, currency):
    least = compute_least_screen_out(minutes, currency)
    assert least >= MINIMUM_SCREEN_OUT[currency]
    assert is_paid_fairly(least, minutes, currency)


def test_a_short_screening_is_paid_the_fixed_minimum():
    assert compute_least_screen_out(0.5, "GBP") == 10
    assert compute_least_screen_out(0.5, "USD") == 14
    assert compute_least_screen_out(6, "GBP") == 60


def test_amounts_are_written_with_their_sign_and_two_places():
    assert format_money(675, "GBP") == "£6.75"
    assert format_money(123_456, "USD") == "$1,234.56"
    assert format_money(900.0, "GBP") == "£9.00"


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_no_pay_is_computed_for_no_time(minutes):
    with pytest.raises(ValueError, match="minutes"):
        compute_hourly_pay(100, minutes)
    with pytest.raises(ValueError, match="minutes"):
        compute_least_reward(minutes, "GBP")


def test_an_unknown_currency_is_named_with_those_that_are_known():
    with pytest.raises(ValueError, match="'EUR'; there is GBP, USD"):
        compute_least_reward(10, "EUR")
    with pytest.raises(ValueError, match="'EUR'"):
        format_money(10, "EUR")
