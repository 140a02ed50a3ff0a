from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from annotation.tree.nodes import MAX_DEPTH, Branch, Leaf, Scale, TreeError, ValueTree
from tests.annotation.tree.strategies import systems

REPOSITORY = Path(__file__).parents[3]
SCHWARTZ_19 = REPOSITORY / "annotation/content/schwartz_19.json"
SCHWARTZ_10 = REPOSITORY / "tests/data/ten_values.json"


def load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


@pytest.fixture
def data() -> dict[str, Any]:
    """A small system with a mixed branch: values and a child branch side by side."""
    return {
        "slug": "small",
        "version": 2,
        "name": "Small",
        "description": "",
        "source": "",
        "scale": {"min": 0, "max": 2, "shown_from": 1, "low": "no", "high": "yes"},
        "root": branch("top", [leaf("1"), branch("group", [leaf("x"), leaf("y")]), leaf("z")])
        | {"definition": ""},
    }


def leaf(key: str) -> dict[str, Any]:
    return {"key": key, "name": key, "label": key, "definition": f"What {key} means."}


def branch(key: str, children: list[dict[str, Any]]) -> dict[str, Any]:
    return leaf(key) | {"question": "Which?", "help": "", "answers": "several", "children": children}


def faults_of(data: object) -> tuple[str, ...]:
    with pytest.raises(TreeError) as caught:
        ValueTree.from_dict(data)
    return caught.value.faults


def test_the_default_system_has_the_nineteen_values_in_circumplex_order() -> None:
    tree = ValueTree.from_dict(load(SCHWARTZ_19))
    assert tree.value_keys == (
        "self_direction_thought",
        "self_direction_action",
        "stimulation",
        "hedonism",
        "achievement",
        "power_dominance",
        "power_resources",
        "face",
        "security_personal",
        "security_societal",
        "tradition",
        "conformity_rules",
        "conformity_interpersonal",
        "humility",
        "benevolence_dependability",
        "benevolence_caring",
        "universalism_concern",
        "universalism_nature",
        "universalism_tolerance",
    )
    assert tree.depth == 3
    assert [tree.scale.shown(rating) for rating in tree.scale.levels] == [1, 2, 3, 4, 5, 6, 7]


def test_definitions_of_the_default_values_are_short_enough_for_a_phone() -> None:
    tree = ValueTree.from_dict(load(SCHWARTZ_19))
    lengths = {leaf.key: len(leaf.definition.split()) for leaf in tree.leaves}
    assert {key: length for key, length in lengths.items() if not 8 <= length <= 20} == {}


def test_a_second_system_of_another_shape_and_scale_loads() -> None:
    tree = ValueTree.from_dict(load(SCHWARTZ_10))
    assert len(tree.leaves) == 10
    assert tree.depth == 4
    assert tree.parent("benevolence") == tree.branch("social_focus")
    assert not tree.branch("personal_focus").several
    assert list(tree.scale.levels) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("path", [SCHWARTZ_19, SCHWARTZ_10], ids=lambda path: path.stem)
def test_a_system_is_written_as_it_was_read_down_to_the_order_of_fields(path: Path) -> None:
    data = load(path)
    assert json.dumps(ValueTree.from_dict(data).to_dict()) == json.dumps(data)


@given(systems())
def test_any_valid_system_survives_the_round_trip(data: dict[str, Any]) -> None:
    tree = ValueTree.from_dict(data)
    assert json.dumps(tree.to_dict()) == json.dumps(data)
    assert ValueTree.from_dict(tree.to_dict()) == tree


@given(systems())
def test_every_node_is_found_by_its_key_and_stands_under_its_parent(data: dict[str, Any]) -> None:
    tree = ValueTree.from_dict(data)
    assert tree.branches[0] is tree.root
    assert tree.parent(tree.root.key) is None
    nodes: list[Branch | Leaf] = [*tree.branches[1:], *tree.leaves]
    for node in nodes:
        parent = tree.parent(node.key)
        assert parent is not None
        assert node in parent.children
        found = tree.leaf(node.key) if isinstance(node, Leaf) else tree.branch(node.key)
        assert found is node


def test_values_are_ordered_depth_first_also_where_branches_and_values_stand_side_by_side(
    data: dict[str, Any],
) -> None:
    tree = ValueTree.from_dict(data)
    assert tree.value_keys == ("1", "x", "y", "z")
    assert [branch.key for branch in tree.branches] == ["top", "group"]
    assert [leaf.key for leaf in tree.root.child_leaves] == ["1", "z"]
    assert [branch.key for branch in tree.root.child_branches] == ["group"]
    assert tree.depth == 2


@pytest.mark.parametrize("lookup", ["branch", "leaf", "parent"])
def test_an_unknown_key_is_a_key_error(data: dict[str, Any], lookup: str) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        getattr(ValueTree.from_dict(data), lookup)("nowhere")


def test_a_value_is_no_branch_and_a_branch_no_value(data: dict[str, Any]) -> None:
    tree = ValueTree.from_dict(data)
    with pytest.raises(KeyError):
        tree.branch("x")
    with pytest.raises(KeyError):
        tree.leaf("group")


def test_all_faults_are_named_at_once_each_with_its_place(data: dict[str, Any]) -> None:
    group = data["root"]["children"][1]
    group["children"][0]["key"] = "1"
    group["children"][1]["label"] = "  "
    group["question"] = ""
    data["root"]["children"][2] = branch("hollow", [])
    data["scale"]["max"] = 0
    data["slug"] = "Not a slug"
    assert sorted(fault.split(":")[0] for fault in faults_of(data)) == [
        "root > group",
        "root > group > 1",
        "root > group > y",
        "root > hollow",
        "scale",
        "value system",
    ]


def test_a_key_used_twice_names_both_places(data: dict[str, Any]) -> None:
    data["root"]["children"][1]["children"][0]["key"] = "top"
    (fault,) = faults_of(data)
    assert fault.startswith("root > group > top: key 'top' is taken by root;")


@pytest.mark.parametrize(
    "key", ["", "Upper", "_first", "-first", "with space", "dot.ted", "ä", "new\n", "none", 1, None]
)
def test_a_bad_or_reserved_key_is_refused(data: dict[str, Any], key: object) -> None:
    data["root"]["children"][0]["key"] = key
    assert len(faults_of(data)) == 1


@pytest.mark.parametrize("field", ["name", "label", "definition"])
@pytest.mark.parametrize("wording", ["", " \n", None, 7, "nul\x00", "half \ud800"])
def test_wording_of_a_value_that_is_blank_or_cannot_be_stored_is_refused(
    data: dict[str, Any], field: str, wording: object
) -> None:
    data["root"]["children"][0][field] = wording
    (fault,) = faults_of(data)
    assert fault.startswith(f"root > 1: {field} ")


@pytest.mark.parametrize("field", ["slug", "version", "name", "description", "source", "scale", "root"])
def test_a_missing_field_of_the_system_is_named_once(data: dict[str, Any], field: str) -> None:
    del data[field]
    assert faults_of(data) == (f"value system: {field} is missing",)


@pytest.mark.parametrize(
    "field", ["key", "name", "label", "definition", "question", "help", "answers", "children"]
)
def test_a_missing_field_of_a_branch_is_named_once(data: dict[str, Any], field: str) -> None:
    group = data["root"]["children"][1]
    del group[field]
    place = "root > child 2" if field == "key" else "root > group"
    assert faults_of(data) == (f"{place}: {field} is missing",)


def test_an_unknown_field_is_refused_since_it_would_be_lost(data: dict[str, Any]) -> None:
    data["root"]["children"][0]["colour"] = "red"
    (fault,) = faults_of(data)
    assert fault.startswith("root > 1: unknown field 'colour'")


@pytest.mark.parametrize(
    "change",
    [
        {"min": 2},
        {"min": 3},
        {"max": 2.0},
        {"max": True},
        {"max": "2"},
        {"max": 32_768},
        {"shown_from": None},
        {"low": ""},
        {"high": " "},
    ],
    ids=str,
)
def test_a_bad_scale_is_refused(data: dict[str, Any], change: dict[str, object]) -> None:
    data["scale"] |= change
    (fault,) = faults_of(data)
    assert fault.startswith("scale: ")


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None])
def test_a_version_is_a_whole_number_from_one(data: dict[str, Any], version: object) -> None:
    data["version"] = version
    assert any("version must be" in fault for fault in faults_of(data))


@pytest.mark.parametrize("answers", ["many", "", None, True, ["one"]])
def test_answers_are_one_or_several(data: dict[str, Any], answers: object) -> None:
    data["root"]["answers"] = answers
    (fault,) = faults_of(data)
    assert fault.startswith("root: answers must be ")


@pytest.mark.parametrize("node", [None, "x", 3, ["x"]])
def test_nodes_must_be_objects(data: dict[str, Any], node: object) -> None:
    data["root"]["children"][1]["children"][1] = node
    (fault,) = faults_of(data)
    assert fault.startswith("root > group > child 2: must be an object")


@pytest.mark.parametrize("whole", [None, "x", 3, [], ["slug"]])
def test_a_system_must_be_an_object(whole: object) -> None:
    (fault,) = faults_of(whole)
    assert fault.startswith("value system: must be an object")


@pytest.mark.parametrize("children", [None, {}, "xy"])
def test_children_must_be_a_list(data: dict[str, Any], children: object) -> None:
    data["root"]["children"][1]["children"] = children
    (fault,) = faults_of(data)
    assert fault.startswith("root > group: children must be a list")


def test_a_tree_of_branches_without_any_value_is_refused(data: dict[str, Any]) -> None:
    data["root"]["children"] = [branch("hollow", [])]
    assert faults_of(data) == (
        "root > hollow: children is empty; a branch needs at least one child",
        "root: the tree holds no value; add at least one leaf",
    )


def test_depth_has_a_limit_that_is_told_and_not_a_crash(data: dict[str, Any]) -> None:
    node = leaf("deep")
    for level in range(MAX_DEPTH, 1, -1):
        node = branch(f"b{level}", [node])
    deepest_allowed = copy.deepcopy(data)
    deepest_allowed["root"]["children"] = [node]
    assert ValueTree.from_dict(deepest_allowed).depth == MAX_DEPTH

    data["root"]["children"] = [branch("one-more", [node]), leaf("shallow")]
    (fault,) = faults_of(data)
    assert "too deep" in fault


def test_a_loop_made_in_memory_is_refused_too(data: dict[str, Any]) -> None:
    group = data["root"]["children"][1]
    group["children"].append(group)
    assert any("too deep" in fault for fault in faults_of(data))


def test_a_flat_system_has_its_values_in_the_order_given() -> None:
    scale = Scale(0, 100, 0, "low", "high")
    tree = ValueTree.flat("imported", ["2", "1", "joy"], scale)
    assert tree.value_keys == ("2", "1", "joy")
    assert tree.depth == 1
    assert tree.scale == scale
    assert ValueTree.from_dict(tree.to_dict()) == tree


def test_a_value_of_a_flat_system_may_have_any_key_even_that_of_the_root() -> None:
    tree = ValueTree.flat("imported", ["root", "root_"], Scale(1, 5, 1, "low", "high"))
    assert tree.value_keys == ("root", "root_")


def test_a_value_of_a_flat_system_shows_its_label_where_it_has_one() -> None:
    tree = ValueTree.flat("imported", ["joy", "fear"], Scale(1, 5, 1, "low", "high"), {"joy": "Great joy!"})
    assert [(leaf.key, leaf.name, leaf.label) for leaf in tree.leaves] == [
        ("joy", "Great joy!", "Great joy!"),
        ("fear", "fear", "fear"),
    ]


@pytest.mark.parametrize("keys", [[], ["a", "a"], ["none"], ["A"]], ids=str)
def test_a_flat_system_is_checked_like_any_other(keys: list[str]) -> None:
    with pytest.raises(TreeError):
        ValueTree.flat("imported", keys, Scale(1, 5, 1, "low", "high"))


def test_a_flat_system_on_a_bad_scale_is_refused() -> None:
    with pytest.raises(TreeError, match="scale: min"):
        ValueTree.flat("imported", ["a"], Scale(5, 1, 1, "low", "high"))


def test_a_rating_is_shown_counted_from_the_scales_own_start() -> None:
    scale = Scale(-2, 2, 10, "low", "high")
    assert [scale.shown(rating) for rating in scale.levels] == [10, 11, 12, 13, 14]
    with pytest.raises(ValueError, match="use -2 to 2"):
        scale.shown(3)


def test_trees_cannot_be_changed_after_reading(data: dict[str, Any]) -> None:
    tree = ValueTree.from_dict(data)
    with pytest.raises(AttributeError):
        tree.root.question = "Changed?"  # type: ignore[misc]
    data["root"]["children"].clear()
    assert len(tree.leaves) == 4
    assert isinstance(tree.root, Branch)
