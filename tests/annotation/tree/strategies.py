"""Random value systems and random readings of them, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from annotation.tree.nodes import Branch, ValueTree
from annotation.tree.walk import Reading


@st.composite
def systems(draw: st.DrawFn) -> dict[str, Any]:
    """A valid system as plain data: any shape, any scale, branches and values mixed at every level."""
    wording = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(
        str.strip
    )
    n_nodes = 0

    def node(level: int) -> dict[str, Any]:
        nonlocal n_nodes
        n_nodes += 1
        data: dict[str, Any] = {
            "key": draw(st.sampled_from(["", "v_", "0-"])) + str(n_nodes),
            "name": draw(wording),
            "label": draw(wording),
            "definition": draw(wording),
        }
        if level == 1 or (level < 5 and draw(st.booleans())):
            data["question"] = draw(wording)
            data["help"] = draw(wording | st.just(""))
            data["answers"] = draw(st.sampled_from(["several", "one"]))
            data["children"] = [node(level + 1) for _ in range(draw(st.integers(1, 3)))]
        return data

    lowest = draw(st.integers(-3, 5))
    return {
        "slug": "random-1",
        "version": draw(st.integers(1, 99)),
        "name": draw(wording),
        "description": draw(wording | st.just("")),
        "source": draw(wording | st.just("")),
        "scale": {
            "min": lowest,
            "max": lowest + draw(st.integers(1, 100)),
            "shown_from": draw(st.integers(-3, 5)),
            "low": draw(wording),
            "high": draw(wording),
        },
        "root": node(1),
    }


@st.composite
def finished_readings(draw: st.DrawFn) -> tuple[ValueTree, Reading]:
    """A random tree and a reading of it in which every open question is answered."""
    tree = ValueTree.from_dict(draw(systems()))
    marks: dict[str, frozenset[str]] = {}
    ratings: dict[str, int] = {}

    def read(branch: Branch) -> None:
        for leaf in branch.child_leaves:
            ratings[leaf.key] = draw(st.sampled_from(tree.scale.levels))
        if branch.child_branches:
            keys = [child.key for child in branch.child_branches]
            marks[branch.key] = draw(
                st.frozensets(st.sampled_from(keys), max_size=None if branch.several else 1)
            )
        for child in branch.child_branches:
            if child.key in marks[branch.key]:
                read(child)

    read(tree.root)
    return tree, Reading(marks, ratings)
