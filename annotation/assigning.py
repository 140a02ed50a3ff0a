"""PURE. Which post comes next for someone, given how many people have each already."""

import random
from collections.abc import Collection, Mapping


def choose_post(
    strategy: str,
    n_live: Mapping[int, int],
    *,
    taken: Collection[int],
    cap: int | None,
    rng: random.Random,
) -> int | None:
    """Return the id of the next post, or None when none may be given.

    Parameters
    ----------
    strategy : 'random', 'balanced' or 'fixed'
        Any post, each as likely; a post with the fewest live assignments, ties at random; the first in
        the order of `n_live`.
    n_live : mapping of post id to count
        People who have the post or had it and did not leave, in the posts' order.
    taken : collection of post ids
        Posts this person was given before; never given again.
    cap : int or None
        No post is given to more than `cap` people, whatever the strategy.

    Raises
    ------
    ValueError
        For an unknown strategy.
    """
    free = [post for post, n in n_live.items() if post not in taken and (cap is None or n < cap)]
    if not free:
        return None
    if strategy == "fixed":
        return free[0]
    if strategy == "random":
        return rng.choice(free)
    if strategy == "balanced":
        fewest = min(n_live[post] for post in free)
        return rng.choice([post for post in free if n_live[post] == fewest])
    raise ValueError(f"unknown assignment strategy {strategy!r}; use 'random', 'balanced' or 'fixed'")
