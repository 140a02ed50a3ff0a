"""Ratings per post against the target."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

from django.db.models import Count

from annotation.models import Annotation, Outcome, Post, Step, Study
from annotation.selectors import get_n_posts

from .checks import count_by_number
from .groups import Group, get_crowd, in_thousand

MOST_BARS = 14


@dataclass(frozen=True)
class Bar:
    """How many posts have from `low` to `high` ratings."""

    low: int
    high: int
    n_posts: int
    share: int
    is_short: bool  # all of them below the target


@dataclass(frozen=True)
class Coverage:
    """Ratings per post against the target."""

    n_posts: int
    n_ratings: int
    mean: float | None
    fewest: int
    most: int
    target: float | None
    target_is_cap: bool
    n_at_target: int
    bars: list[Bar]


def cover_posts(study: Study, group: Group, path: list[Step]) -> Coverage:
    # Asked person by person, SQLite finds all it needs in one index; from the posts' side it takes a second.
    counted = get_crowd(study, group).filter(outcome__in=("", Outcome.COMPLETED)).order_by().values("pk")
    per_post = (
        Annotation.objects.filter(enrollment__in=counted)
        .order_by()
        .values("post")
        .annotate(n=Count("pk"))
        .values_list("n")
    )
    posts = Counter(dict(count_by_number(per_post)))
    n_posts = study.posts.filter(purpose=Post.Purpose.LABELING).count()
    posts[0] = n_posts - posts.total()
    posts = +posts
    target = _find_target(study, path, n_posts)
    n_ratings = sum(n * n_with for n, n_with in posts.items())
    return Coverage(
        n_posts=n_posts,
        n_ratings=n_ratings,
        mean=n_ratings / n_posts if n_posts else None,
        fewest=min(posts, default=0),
        most=max(posts, default=0),
        target=target,
        target_is_cap=study.redundancy_cap is not None,
        n_at_target=sum(n_with for n, n_with in posts.items() if target is not None and n >= target),
        bars=draw_bars(posts, target),
    )


def _find_target(study: Study, path: list[Step], n_posts: int) -> float | None:
    """Return the cap; without one, what everyone who is wanted would give each post on average; else None."""
    if study.redundancy_cap is not None:
        return study.redundancy_cap
    if not study.target_participants or not n_posts:
        return None
    n_read = sum(get_n_posts(study, step) for step in path if step.kind == "labeling")
    return study.target_participants * min(n_read, n_posts) / n_posts


def draw_bars(posts: dict[int, int], target: float | None) -> list[Bar]:
    """Return the histogram from no ratings on to the most, or to the target if that is more.

    Bars are as narrow as `MOST_BARS` allows and none stands across the target: it always begins a bar.
    """
    if not posts:
        return []
    goal = math.ceil(target) if target is not None else 0
    last = max(*posts, goal)
    width = math.ceil((last + 1) / MOST_BARS)
    starts = set(range(goal % width, last + 1, width)) | {0}
    bounds = [*sorted(starts), last + 1]
    spans = [(low, above - 1) for low, above in itertools.pairwise(bounds)]
    counts = [sum(n for ratings, n in posts.items() if low <= ratings <= high) for low, high in spans]
    return [
        Bar(low, high, n, in_thousand(n, max(counts)), is_short=target is not None and high < target)
        for (low, high), n in zip(spans, counts, strict=True)
    ]
