"""A rater's reading of one post: which branches were marked, how the values were rated, what is still open.

The root is always read. A child branch is read when its parent is read and the rater marked it. Values
under branches that were not read count as the lowest rating, kept apart for ever from a rating that was
chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from annotation.tree.nodes import Branch, ValueTree

NOT_SHOWN = 0  # never given by `complete`: for ratings from elsewhere that lack this value
CHOSEN = 1
IMPLIED = 2


class WalkError(ValueError):
    """A reading does not fit its tree, or is not finished; `problems` holds every reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("The reading cannot be taken:\n" + "\n".join(f"- {text}" for text in self.problems))


@dataclass(frozen=True)
class Reading:
    """What a rater has answered so far about one post.

    `marks` holds, for each answered question over child branches, the keys of the marked children (an
    empty set is the answer "none of these"). `ratings` holds the rating of each rated value.
    """

    marks: Mapping[str, frozenset[str]]
    ratings: Mapping[str, int]


@dataclass(frozen=True)
class Missing:
    """One thing still to answer: a branch's question over its child branches, or a value's rating."""

    key: str
    kind: Literal["question", "rating"]


@dataclass(frozen=True)
class CompletedReading:
    """A finished reading: `ratings` and `codes` (CHOSEN or IMPLIED) in value order, one of each per value.

    `opened` holds the keys of the branches that were read, depth-first, the root first.
    """

    ratings: tuple[int, ...]
    codes: tuple[int, ...]
    opened: tuple[str, ...]


def open_branches(tree: ValueTree, marks: Mapping[str, frozenset[str]]) -> tuple[Branch, ...]:
    """The branches that the marks lead to, depth-first, the root first.

    Marks that lead nowhere (unknown keys, or below a branch that is not open) open nothing; `check` names
    them.
    """
    return tuple(_open_below(tree.root, marks))


def missing(tree: ValueTree, reading: Reading) -> list[Missing]:
    """What the rater has still to answer, in reading order; empty when the reading is finished.

    Branches come depth-first; within a branch its question over child branches comes before its values.
    """
    gaps: list[Missing] = []
    for branch in open_branches(tree, reading.marks):
        if branch.child_branches and branch.key not in reading.marks:
            gaps.append(Missing(branch.key, "question"))
        gaps.extend(
            Missing(leaf.key, "rating") for leaf in branch.child_leaves if leaf.key not in reading.ratings
        )
    return gaps


def check(tree: ValueTree, reading: Reading) -> None:
    """Refuse answers that do not fit the tree. An unfinished reading passes: see `missing`.

    Raises
    ------
    WalkError
        With every unknown key, mark that is not a child branch, second mark where one answer is allowed,
        answer below a branch that is not open, and rating that is not an integer of the scale.
    """
    open_keys = {branch.key for branch in open_branches(tree, reading.marks)}
    problems: list[str] = []
    for key, marked in reading.marks.items():
        problems.extend(
            f"marks of {key!r}: {problem}" for problem in _faults_of_marks(tree, key, marked, open_keys)
        )
    for key, rating in reading.ratings.items():
        problems.extend(
            f"rating of {key!r}: {problem}" for problem in _faults_of_rating(tree, key, rating, open_keys)
        )
    if problems:
        raise WalkError(problems)


def complete(tree: ValueTree, reading: Reading) -> CompletedReading:
    """The rating vector of a finished reading, with the code of each rating.

    Values that were asked carry the rater's rating and CHOSEN; all others carry the lowest rating of the
    scale and IMPLIED.

    Raises
    ------
    WalkError
        If an answer does not fit the tree, or, for a reading that fits, if something is still to answer.
    """
    check(tree, reading)
    gaps = missing(tree, reading)
    if gaps:
        raise WalkError([f"the {gap.kind} of {gap.key!r} is missing" for gap in gaps])
    return CompletedReading(
        ratings=tuple(reading.ratings.get(key, tree.scale.min) for key in tree.value_keys),
        codes=tuple(CHOSEN if key in reading.ratings else IMPLIED for key in tree.value_keys),
        opened=tuple(branch.key for branch in open_branches(tree, reading.marks)),
    )


def _open_below(branch: Branch, marks: Mapping[str, frozenset[str]]) -> Iterator[Branch]:
    yield branch
    marked = marks.get(branch.key, frozenset())
    for child in branch.child_branches:
        if child.key in marked:
            yield from _open_below(child, marks)


def _faults_of_marks(tree: ValueTree, key: str, marked: object, open_keys: set[str]) -> Iterator[str]:
    branch = next((branch for branch in tree.branches if branch.key == key), None)
    if branch is None:
        yield "there is no such branch"
        return
    if not branch.child_branches:
        yield "this branch has only values, which are rated and not marked"
    elif key not in open_keys:
        yield "this branch is not open"
    if not isinstance(marked, frozenset):
        yield f"must be a frozenset of keys, not {marked!r}"
        return
    for stranger in sorted(marked - {child.key for child in branch.child_branches}):
        yield f"{stranger!r} is not one of its child branches"
    if len(marked) > 1 and not branch.several:
        yield f"only one answer is allowed, {len(marked)} were given"


def _faults_of_rating(tree: ValueTree, key: str, rating: object, open_keys: set[str]) -> Iterator[str]:
    if key not in tree.value_keys:
        yield "there is no such value"
        return
    parent = tree.parent(key)
    if parent is not None and parent.key not in open_keys:
        yield f"its branch {parent.key!r} is not open"
    scale = tree.scale
    if not isinstance(rating, int) or isinstance(rating, bool):
        yield f"{rating!r} is not a whole number"
    elif rating not in scale.levels:
        yield f"{rating} is outside the scale from {scale.min} to {scale.max}"
