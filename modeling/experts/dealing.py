"""PURE. Which posts a set takes, in which order experts see them, and which are kept for the test.

Each post has a place by the hash of its key and the seed, so the same posts are dealt alike on every machine, in
whatever order they are given.
"""

import hashlib
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Deal:
    """The keys of a set's posts, in the order in which experts see them, and which of them are for the test."""

    keys: tuple[str, ...]
    test: frozenset[str]


def deal(
    keys: Iterable[str],
    *,
    seed: int,
    test_share: float,
    number: int | None = None,
    kinds: Mapping[str, Hashable] | None = None,
) -> Deal:
    """Draw `number` of the keys, or take all, order them, and deal out the test posts.

    As many are for the test as `test_share` of them is, rounded half up; where the share is neither 0 nor 1 and there
    are two posts or more, both splits get at least one. Posts of one kind are in one split: what does not fit whole
    is passed over, so there may be fewer for the test.

    Parameters
    ----------
    kinds : by key, the same for posts that say the same; each post is its own kind when None

    Raises
    ------
    ValueError
        If a key stands twice, the share does not lie between 0 and 1, or `number` is below 1.
    """
    given = list(keys)
    if len(set(given)) < len(given):
        raise ValueError("keys: one stands there twice; give each post once")
    if not 0 <= test_share <= 1:
        raise ValueError(f"test_share is {test_share}: give a share from 0 to 1")
    if number is not None and number < 1:
        raise ValueError(f"number is {number}: take at least 1 post")
    taken = sorted(given, key=lambda key: _place(seed, "draw", key))[:number]
    n_test = math.floor(test_share * len(taken) + 0.5)
    if 0 < test_share < 1 and len(taken) > 1:
        n_test = min(max(n_test, 1), len(taken) - 1)
    first_of: dict[Hashable, str] = {}  # the key by which a kind has its place
    for key in sorted(given):
        first_of.setdefault(kinds[key] if kinds else key, key)
    alike: dict[str, list[str]] = {}
    for key in taken:
        alike.setdefault(first_of[kinds[key] if kinds else key], []).append(key)
    test: list[str] = []
    for first in sorted(alike, key=lambda key: _place(seed, "split", key)):
        if len(test) + len(alike[first]) <= n_test:
            test += alike[first]
    return Deal(
        keys=tuple(sorted(taken, key=lambda key: _place(seed, "show", key))),
        test=frozenset(test),
    )


def _place(seed: int, purpose: str, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{purpose}\n{key}".encode()).digest()
