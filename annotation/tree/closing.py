"""Taking a mark back: which ratings would be lost with the branch that closes, so that it can be asked first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from annotation.tree.nodes import Branch, Leaf, ValueTree
from annotation.tree.walk import Reading


@dataclass(frozen=True)
class Closing:
    """A branch whose mark was taken back although values below it are rated.

    `parent` is the key of the question it was marked in; `wanted` the marks that the rater left there, None
    where the question has no answer any more; `lost` the rated values below it.
    """

    branch: Branch
    parent: str
    wanted: frozenset[str] | None
    lost: tuple[Leaf, ...]


def find_closings(tree: ValueTree, reading: Reading) -> tuple[Closing, ...]:
    """The branches on which closed doors stand between the marks and the ratings, in the tree's order.

    A rating below an open branch, and one of a value that the tree does not have, closes nothing.
    """
    lost: dict[str, list[Leaf]] = {}
    for leaf in tree.leaves:
        if leaf.key in reading.ratings:
            closed = _first_closed_branch_above(tree, leaf.key, reading.marks)
            if closed is not None:
                lost.setdefault(closed.key, []).append(leaf)
    closings = []
    for branch in tree.branches:
        parent = tree.parent(branch.key)
        if branch.key in lost and parent is not None:
            wanted = reading.marks.get(parent.key)
            closings.append(Closing(branch, parent.key, wanted, tuple(lost[branch.key])))
    return tuple(closings)


def ask_again(tree: ValueTree, reading: Reading, key: str, wanted: frozenset[str] | None) -> Closing | None:
    """The closing of the branch `key`, which `keep_open` marked again, as long as it has not been answered.

    None when there is nothing left to ask: the branch is not marked, or no value below it is rated. `key` is of a
    branch other than the root.
    """
    parent = tree.parent(key)
    if parent is None or key not in reading.marks.get(parent.key, frozenset()):
        return None
    lost = tuple(
        leaf for leaf in tree.leaves if leaf.key in reading.ratings and _is_below(tree, leaf.key, key)
    )
    return Closing(tree.branch(key), parent.key, wanted, lost) if lost else None


def keep_open(tree: ValueTree, reading: Reading, closings: Collection[Closing]) -> Reading:
    """The reading with the marks set again that the closings took back."""
    marks = dict(reading.marks)
    for closing in closings:
        others = (
            marks.get(closing.parent, frozenset()) if tree.branch(closing.parent).several else frozenset()
        )
        marks[closing.parent] = others | {closing.branch.key}
        for leaf in closing.lost:
            for parent, child in _doors_above(tree, leaf.key):
                if child.key not in marks.get(parent.key, frozenset()):
                    several = marks.get(parent.key, frozenset()) if parent.several else frozenset()
                    marks[parent.key] = several | {child.key}
    return Reading(marks, reading.ratings)


def close(tree: ValueTree, reading: Reading, key: str) -> Reading:
    """The reading without the mark of the branch `key` and without all that was answered below it."""
    parent = tree.parent(key)
    below = {leaf.key for leaf in tree.leaves if _is_below(tree, leaf.key, key)}
    inner = {key} | {branch.key for branch in tree.branches if _is_below(tree, branch.key, key)}
    marks = {question: marked for question, marked in reading.marks.items() if question not in inner}
    if parent is not None and parent.key in marks:
        marks[parent.key] = marks[parent.key] - {key}
    return Reading(marks, {leaf: rating for leaf, rating in reading.ratings.items() if leaf not in below})


def _doors_above(tree: ValueTree, key: str) -> list[tuple[Branch, Branch]]:
    """Each (question, child branch) that must be marked to reach a node, from the root down."""
    doors: list[tuple[Branch, Branch]] = []
    child = tree.parent(key)
    while child is not None:
        parent = tree.parent(child.key)
        if parent is not None:
            doors.append((parent, child))
        child = parent
    return doors[::-1]


def _is_below(tree: ValueTree, key: str, branch_key: str) -> bool:
    return any(child.key == branch_key for _, child in _doors_above(tree, key))


def _first_closed_branch_above(
    tree: ValueTree, key: str, marks: Mapping[str, frozenset[str]]
) -> Branch | None:
    for parent, child in _doors_above(tree, key):
        if child.key not in marks.get(parent.key, frozenset()):
            return child
    return None
