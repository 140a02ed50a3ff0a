"""PURE. The stratified sample: for each owner of a feed and each value, one post that expresses it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Appearance(NamedTuple):
    """That a post stood in one of an owner's feeds."""

    owner: str
    source: str
    post: str


class Draw(NamedTuple):
    """One draw: for this owner and value, this post out of that source."""

    owner: str
    value: str
    source: str
    post: str
    is_extra: bool = False


@dataclass(frozen=True)
class Sample:
    """What was drawn.

    Attributes
    ----------
    draws : in the order of drawing; a post may stand for several values and owners
    empty : how many owners had no post for a value, by value; of the first drawing of each owner
    again : the owners who were drawn a second time, in that order
    short : by quota group, how many owners it lacks for being drawn again as often as was asked
    """

    draws: tuple[Draw, ...]
    empty: Mapping[str, int]
    again: tuple[str, ...] = ()
    short: Mapping[str, int] = field(default_factory=dict)


Pool = dict[str, list[str]]  # of one owner and value: the posts that are left, by source


def draw_sample(
    expressed: Mapping[str, Sequence[str]],
    appearances: Iterable[Appearance],
    *,
    value_keys: Sequence[str],
    groups: Mapping[str, str],
    quotas: Mapping[str, int] | None = None,
    rng: np.random.Generator,
) -> Sample:
    """Draw for each owner and value one post that expresses the value.

    The source is drawn first, each with equal probability; where only one has such a post, that one. Then owners of
    the quota groups that need more are drawn without replacement, and the same is done once more for each of these.
    Nobody gets the same post twice for one value.

    Parameters
    ----------
    expressed : of each post that may be drawn, the keys of the values that it expresses
    appearances : which posts stood in whose feeds, in any order; of posts that may not be drawn too
    value_keys : in the order in which they are drawn
    groups : of each owner, the quota group, '' for none; all owners, those without a post among them
    quotas : by group, how many of its owners are drawn again
    rng : decides every draw; the same one and the same arguments, in whatever order, give the same sample

    Raises
    ------
    ValueError
        For an appearance of an owner whom `groups` does not know, or a post that expresses an unknown value.

    Examples
    --------
    >>> sample = draw_sample(
    ...     {"p1": ["care"]},
    ...     [Appearance("ann", "following", "p1")],
    ...     value_keys=["care", "power"],
    ...     groups={"ann": ""},
    ...     rng=np.random.default_rng(1),
    ... )
    >>> sample.draws
    (Draw(owner='ann', value='care', source='following', post='p1', is_extra=False),)
    >>> sample.empty
    {'care': 0, 'power': 1}
    """
    pools = _fill_pools(expressed, appearances, value_keys, groups)
    draws: list[Draw] = []
    empty = dict.fromkeys(value_keys, 0)
    for owner in sorted(groups):
        for value in value_keys:
            drawn = _draw(owner, value, pools, rng)
            if drawn is None:
                empty[value] += 1
            else:
                draws.append(drawn)
    again: list[str] = []
    short: dict[str, int] = {}
    for group, wanted in sorted((quotas or {}).items()):
        members = sorted(owner for owner, its_group in groups.items() if its_group == group)
        if len(members) < wanted:
            short[group] = wanted - len(members)
        places = rng.permutation(len(members))[:wanted]
        again += [members[place] for place in places]
    for owner in again:
        extra = (_draw(owner, value, pools, rng) for value in value_keys)
        draws += [drawn._replace(is_extra=True) for drawn in extra if drawn is not None]
    return Sample(tuple(draws), empty, tuple(again), short)


def _fill_pools(
    expressed: Mapping[str, Sequence[str]],
    appearances: Iterable[Appearance],
    value_keys: Sequence[str],
    groups: Mapping[str, str],
) -> dict[tuple[str, str], Pool]:
    known = set(value_keys)
    for post, values in expressed.items():
        if not known.issuperset(values):
            raise ValueError(
                f"the post {post!r} expresses {sorted({*values} - known)}, which are no values here"
            )
    pools: dict[tuple[str, str], Pool] = defaultdict(dict)
    for owner, source, post in sorted(set(appearances)):
        if owner not in groups:
            raise ValueError(
                f"{owner!r} has a feed and is not among the owners; name the group, or '' for none"
            )
        for value in expressed.get(post, ()):
            pools[owner, value].setdefault(source, []).append(post)
    return pools


def _draw(
    owner: str, value: str, pools: Mapping[tuple[str, str], Pool], rng: np.random.Generator
) -> Draw | None:
    pool = pools.get((owner, value), {})
    sources = sorted(source for source, posts in pool.items() if posts)
    if not sources:
        return None
    source = sources[rng.integers(len(sources))]
    post = pool[source][rng.integers(len(pool[source]))]
    for posts in pool.values():
        if post in posts:
            posts.remove(post)
    return Draw(owner, value, source, post)
