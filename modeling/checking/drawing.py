"""Which posts a check takes: as many that a classifier said yes to as no, in an order that tells nothing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BalancedSample:
    """The posts of a check.

    Attributes
    ----------
    keys : in the order in which people see them
    n_yes, n_no : how many of each were taken
    n_yes_there, n_no_there : how many there were
    """

    keys: tuple[str, ...]
    n_yes: int
    n_no: int
    n_yes_there: int
    n_no_there: int


def draw_balanced(decisions: Mapping[str, bool], n_each: int, seed: str) -> BalancedSample:
    """Draw `n_each` posts of either decision, or all where there are fewer.

    Who is drawn depends on the posts' keys and the seed alone, not on the order or the number of the other posts:
    each key has a place by its hash, and the first of either decision are taken.

    Raises
    ------
    ValueError
        If `n_each` is below 1.
    """
    if n_each < 1:
        raise ValueError(f"n_each is {n_each}: draw at least 1 post of either decision")
    ordered = sorted(decisions, key=lambda key: _place(seed, "draw", key))
    yes = [key for key in ordered if decisions[key]]
    no = [key for key in ordered if not decisions[key]]
    taken = yes[:n_each] + no[:n_each]
    return BalancedSample(
        keys=tuple(sorted(taken, key=lambda key: _place(seed, "show", key))),
        n_yes=len(yes[:n_each]),
        n_no=len(no[:n_each]),
        n_yes_there=len(yes),
        n_no_there=len(no),
    )


def _place(seed: str, purpose: str, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{purpose}\n{key}".encode()).digest()
