"""How far the labeling of an expert set is, and where experts differ. A web process may import it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.errors import Refused
from annotation.models import Post
from modeling.models import ExpertItem, ExpertLabel, ExpertResolution, ExpertSet

from .reference import Settled, find_disputed, settle

Split = ExpertItem.Split


@dataclass(frozen=True)
class Standing:
    """One post of a set with what experts say of it now, by name, and what that comes to."""

    item: ExpertItem
    labels: tuple[ExpertLabel, ...]
    resolution: ExpertResolution | None
    settled: Settled
    disputed: tuple[int, ...]
    is_complete: bool

    @property
    def n_open(self) -> int:
        """How many values of the post are open."""
        return sum(self.settled.is_open)


@dataclass(frozen=True)
class ExpertProgress:
    """How much one expert has labeled, without what they said."""

    name: str
    n_labeled: int
    n_revised: int


@dataclass(frozen=True)
class SplitProgress:
    """How far one split is, in posts; `n_open` of its complete posts have an open value."""

    split: str
    name: str
    n_posts: int
    n_unlabeled: int
    n_complete: int
    n_disputed: int
    n_open: int


def list_standings(
    expert_set: ExpertSet, items: QuerySet[ExpertItem] | None = None, *, with_posts: bool = False
) -> list[Standing]:
    """Return how every post of a set stands, or of these items of it, in the set's order.

    Raises Refused where the study's values are no longer those that were labeled.
    """
    n_values = len(expert_set.study.value_keys)
    rows = (expert_set.items.all() if items is None else items).order_by("position")
    found = list(rows.select_related("post") if with_posts else rows)
    chosen = {} if items is None else {"item__in": [item.pk for item in found]}
    labels: dict[int, list[ExpertLabel]] = {}
    for label in ExpertLabel.objects.filter(item__expert_set=expert_set, is_current=True, **chosen).order_by(
        "item", "expert"
    ):
        check_length(label.ratings, n_values, expert_set)
        labels.setdefault(label.item_id, []).append(label)
    resolutions = {
        each.item_id: each
        for each in ExpertResolution.objects.filter(item__expert_set=expert_set, is_current=True, **chosen)
    }
    return [
        _stand(expert_set, item, labels.get(item.pk, []), resolutions.get(item.pk), n_values)
        for item in found
    ]


def _stand(
    expert_set: ExpertSet,
    item: ExpertItem,
    labels: Sequence[ExpertLabel],
    resolution: ExpertResolution | None,
    n_values: int,
) -> Standing:
    rows = [label.ratings for label in labels]
    resolved = resolution.ratings if resolution else (math.nan,) * n_values
    check_length(resolved, n_values, expert_set)
    return Standing(
        item=item,
        labels=tuple(labels),
        resolution=resolution,
        settled=settle(rows, resolved, expert_set.threshold),
        disputed=find_disputed(rows, expert_set.threshold),
        is_complete=len(rows) >= expert_set.n_experts,
    )


def check_length(ratings: Sequence[float], n_values: int, expert_set: ExpertSet) -> None:
    """Raise Refused unless ratings are as many as the study has values now."""
    if len(ratings) != n_values:
        raise Refused(
            f"The labels of '{expert_set}' are of {len(ratings)} values and the study has {n_values} now: its value "
            "system was changed after experts had labeled. Make a new set, or give the study its values back."
        )


def list_experts(expert_set: ExpertSet) -> list[ExpertProgress]:
    """Return everybody who has labeled a post of the set, by name, with how many and how many of them again."""
    rows = (
        ExpertLabel.objects.filter(item__expert_set=expert_set)
        .order_by("expert")
        .values_list("expert")
        .annotate(
            n_labeled=Count("pk", filter=Q(is_current=True)),
            n_revised=Count("pk", filter=Q(is_current=True, number__gt=1)),
        )
    )
    return [ExpertProgress(*row) for row in rows]


def summarize_splits(standings: Sequence[Standing]) -> list[SplitProgress]:
    """Return how far each split is."""
    return [_summarize(split, [each for each in standings if each.item.split == split]) for split in Split]


def _summarize(split: ExpertItem.Split, standings: Sequence[Standing]) -> SplitProgress:
    return SplitProgress(
        split=split.value,
        name=split.label,
        n_posts=len(standings),
        n_unlabeled=sum(not each.labels for each in standings),
        n_complete=sum(each.is_complete for each in standings),
        n_disputed=sum(bool(each.disputed) and each.is_complete for each in standings),
        n_open=sum(bool(each.n_open) and each.is_complete for each in standings),
    )


def count_dealt_otherwise(expert_set: ExpertSet, split: str) -> int:
    """Return how many posts of a split of the set are in the other split of another set of the study."""
    elsewhere = ExpertItem.objects.filter(post=OuterRef("post")).exclude(expert_set=expert_set)
    return expert_set.items.filter(Exists(elsewhere.exclude(split=split)), split=split).count()


def list_own(expert_set: ExpertSet, expert: str) -> dict[int, int]:
    """Return the places of the posts that an expert has labeled, with how often. Nobody else's labels are read."""
    labels = ExpertLabel.objects.filter(item__expert_set=expert_set, expert=expert, is_current=True)
    return dict(labels.order_by("item__position").values_list("item__position", "number"))


def list_waiting(expert_set: ExpertSet, expert: str) -> list[int]:
    """Return the places of the posts that wait for this expert: without their label, and with fewer than enough."""
    current = Q(labels__is_current=True)
    items = expert_set.items.annotate(
        n_labels=Count("labels", filter=current),
        n_own=Count("labels", filter=current & Q(labels__expert=expert)),
    )
    waiting = items.filter(n_own=0, n_labels__lt=expert_set.n_experts)
    return list(waiting.order_by("position").values_list("position", flat=True))


def list_usable_posts(study_posts: QuerySet[Post], *, with_corpus: bool) -> QuerySet[Post]:
    """Return the posts that experts can label: with text, for people, and on request those for models only."""
    purposes = [Post.Purpose.LABELING, *([Post.Purpose.CORPUS] if with_corpus else [])]
    return study_posts.filter(purpose__in=purposes).exclude(text="")


def may_see_labels(expert_set: ExpertSet, user: Any) -> bool:
    """Return whether an account may see what experts said: not while it labels the set itself."""
    if expert_set.closed_at:
        return True
    own = ExpertLabel.objects.filter(item__expert_set=expert_set, expert=user.get_username())
    return not own.exists()
