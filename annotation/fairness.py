"""PURE. What participants must be paid: the recruiting platform's rules as arithmetic.

Amounts are whole minor units (pence, cents), times are minutes. Prolific judges a study by the *median* time its
participants really took, so the same functions serve the announced time before a launch and the measured one after it.
"""

from fractions import Fraction
from math import ceil
from typing import TypeVar

Value = TypeVar("Value", int, str)

MINIMUM_HOURLY = {"GBP": 600, "USD": 800}
"""The least a study may pay for an hour: £6, $8 (docs.prolific.com, longitudinal studies cookbook)."""

MINIMUM_SCREEN_OUT = {"GBP": 10, "USD": 14}
"""The least that someone who is screened out is paid: £0.10, $0.14 (Prolific's fixed screen-out payment)."""

SYMBOLS = {"GBP": "£", "USD": "$"}


def compute_hourly_pay(reward: int, minutes: float) -> float:
    """Return minor units per hour for a reward and the minutes it was earned in.

    Raises ValueError for a negative reward or a time that is not above zero.

    Examples
    --------
    >>> compute_hourly_pay(675, 45)
    900.0
    """
    if reward < 0 or not minutes > 0:
        raise ValueError(f"no hourly pay of {reward} minor units in {minutes} minutes: both must be positive")
    return reward * 60 / minutes


def compute_least_reward(minutes: float, currency: str) -> int:
    """Return the smallest reward, in minor units, that pays the platform's minimum for these minutes.

    Rounded up to a whole penny or cent, without the error of a floating point product.
    Raises ValueError for another currency or a time that is not above zero.

    Examples
    --------
    >>> compute_least_reward(45, "GBP"), compute_least_reward(12.5, "USD")
    (450, 167)
    """
    if not minutes > 0:
        raise ValueError(f"a study takes some time, not {minutes} minutes")
    return ceil(Fraction(_read(MINIMUM_HOURLY, currency)) * Fraction(minutes) / 60)


def is_paid_fairly(reward: int, minutes: float, currency: str) -> bool:
    """Whether a reward reaches the platform's minimum for these minutes. Raises as `compute_least_reward`."""
    return reward >= compute_least_reward(minutes, currency)


def compute_least_screen_out(minutes: float, currency: str) -> int:
    """Return the least, in minor units, that is fair for someone who was screened out after these minutes.

    The platform's fixed minimum, or its hourly minimum where the screening took longer than that pays for.
    Raises as `compute_least_reward`.

    Examples
    --------
    >>> compute_least_screen_out(0.5, "GBP"), compute_least_screen_out(6, "GBP")
    (10, 60)
    """
    return max(_read(MINIMUM_SCREEN_OUT, currency), compute_least_reward(minutes, currency))


def format_money(minor: float, currency: str) -> str:
    """Return an amount as people write it: 675 pence as £6.75. Raises ValueError for another currency."""
    return f"{_read(SYMBOLS, currency)}{minor / 100:,.2f}"


def _read(table: dict[str, Value], currency: str) -> Value:
    if currency not in table:
        raise ValueError(f"no rule for the currency {currency!r}; there is {', '.join(sorted(table))}")
    return table[currency]
