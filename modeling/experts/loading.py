"""The reference of an expert set as arrays: the one door to labels of test posts. Loads NumPy: for workers."""

import math
from dataclasses import dataclass

import numpy as np

from annotation.errors import Refused
from modeling.models import ExpertSet, SplitOpening

from .standing import Split, Standing, count_dealt_otherwise, list_standings


@dataclass(frozen=True, eq=False)
class Reference:
    """What experts say of the posts of one split, and what that comes to.

    Attributes
    ----------
    post_ids : ndarray of int64, shape (n_posts,), increasing
        Every post of the split, also those that nobody has labeled.
    keys, texts : tuple of str, one per post
    ratings : ndarray of shape (n_posts, n_values)
        The reference, on the study's scale; NaN where it is open, and where nobody rated.
    is_open : ndarray of bool, shape (n_posts, n_values)
        Where experts differ in whether the value is expressed and nobody has resolved it.
    labels : ndarray of shape (n_experts, n_posts, n_values)
        What each expert said last; NaN where nothing.
    experts : tuple of str, one per row of `labels`
    n_open : (post, value) pairs that are open
    n_unlabeled : posts without any label
    threshold : from which rating on a value counts as expressed
    notes : sentences that a reader of any number made of this must see
    """

    post_ids: np.ndarray
    keys: tuple[str, ...]
    texts: tuple[str, ...]
    ratings: np.ndarray
    is_open: np.ndarray
    labels: np.ndarray
    experts: tuple[str, ...]
    n_open: int
    n_unlabeled: int
    threshold: int
    notes: tuple[str, ...]


def load_reference(
    expert_set: ExpertSet, *, split: str = "development", opening: SplitOpening | None = None
) -> Reference:
    """Return the reference of one split of a set.

    Raises Refused for test posts without an opening of this set, and where the study's values have changed since.
    Raises ValueError for a split that there is not.
    """
    if split not in Split.values:
        raise ValueError(f"split is {split!r}: it is {' or '.join(Split.values)}")
    is_opened = opening is not None and expert_set.openings.filter(pk=opening.pk).exists()
    if split == Split.TEST and not is_opened:
        raise Refused(
            f"The test posts of '{expert_set}' are closed to this: they are opened once for each family of prompts, "
            "and the log says when and by whom."
        )
    standings = list_standings(expert_set, expert_set.items.filter(split=split), with_posts=True)
    standings.sort(key=lambda each: each.item.post_id)
    n_values = len(expert_set.study.value_keys)
    experts = tuple(sorted({label.expert for each in standings for label in each.labels}))
    row = {expert: place for place, expert in enumerate(experts)}
    labels = np.full((len(experts), len(standings), n_values), np.nan)
    ratings = np.full((len(standings), n_values), np.nan)
    is_open = np.zeros((len(standings), n_values), dtype=bool)
    for place, standing in enumerate(standings):
        ratings[place] = standing.settled.ratings
        is_open[place] = standing.settled.is_open
        for label in standing.labels:
            labels[row[label.expert], place] = label.ratings
    return Reference(
        post_ids=np.array([each.item.post_id for each in standings], dtype=np.int64),
        keys=tuple(each.item.post.key for each in standings),
        texts=tuple(each.item.post.text for each in standings),
        ratings=ratings,
        is_open=is_open,
        labels=labels,
        experts=experts,
        n_open=int(is_open.sum()),
        n_unlabeled=sum(not each.labels for each in standings),
        threshold=expert_set.threshold,
        notes=_list_notes(expert_set, split, standings),
    )


def _list_notes(expert_set: ExpertSet, split: str, standings: list[Standing]) -> tuple[str, ...]:
    keys = expert_set.study.value_keys
    n_unlabeled = sum(not each.labels for each in standings)
    n_short = sum(bool(each.labels) and not each.is_complete for each in standings)
    n_open = sum(each.n_open for each in standings)
    n_open_posts = sum(bool(each.n_open) for each in standings)
    n_twice = sum(label.number > 1 for each in standings for label in each.labels)
    absent = [
        key
        for value, key in enumerate(keys)
        if all(each.settled.how[value] == "missing" for each in standings)
    ]
    n_gaps = sum(
        math.isnan(rating)
        for each in standings
        if each.labels
        for value, rating in enumerate(each.settled.ratings)
        if each.settled.how[value] == "missing" and keys[value] not in absent
    )
    n_elsewhere = count_dealt_otherwise(expert_set, split)
    notes = (
        (
            n_elsewhere,
            f"{n_elsewhere:,} of these test posts are development posts of another set: they can have been seen before."
            if split == Split.TEST
            else f"{n_elsewhere:,} of these development posts are test posts of another set, which they spoil.",
        ),
        (
            n_unlabeled,
            f"{n_unlabeled:,} of {len(standings):,} posts have no label of an expert and are left out.",
        ),
        (
            n_short,
            f"{n_short:,} posts have labels of fewer than {expert_set.n_experts} experts; those that there are count.",
        ),
        (
            n_open,
            f"{n_open:,} values in {n_open_posts:,} posts are left out: experts differ in whether they are expressed, "
            "and nobody has resolved it.",
        ),
        (len(absent), f"Absent from the reference: {', '.join(absent)}."),
        (n_gaps, f"{n_gaps:,} values in labeled posts were rated by no expert and are left out."),
        (n_twice, f"{n_twice:,} labels take the place of an earlier one by the same expert, which is kept."),
        (expert_set.closed_at is None, "The set still takes labels: the reference may change."),
    )
    return tuple(note for number, note in notes if number)
