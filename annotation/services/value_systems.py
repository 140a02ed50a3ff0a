"""Storing a value system."""

from django.db import transaction

from annotation.errors import Refused
from annotation.models import Study, ValueNode, ValueSystem
from annotation.selectors import get_tree
from annotation.tree.nodes import Branch, Leaf, ValueTree


@transaction.atomic
def save_value_system(tree: ValueTree) -> ValueSystem:
    """Store a value system, or renew the wording of the stored one with the same slug.

    Raises Refused when people have entered a study on it and anything but wording would change.
    """
    system = ValueSystem.objects.filter(slug=tree.slug).first()
    if system and get_tree(system) == tree:
        return system
    if system and system.is_in_use and _skeleton(get_tree(system)) != _skeleton(tree):
        raise Refused(
            f"People have entered a study on the value system '{tree.slug}'; its values, groups, order and scale "
            "cannot change. Give the new system a new slug."
        )
    system, _ = ValueSystem.objects.update_or_create(
        slug=tree.slug,
        defaults={
            "name": tree.name,
            "version": tree.version,
            "description": tree.description,
            "source": tree.source,
            "scale_min": tree.scale.min,
            "scale_max": tree.scale.max,
            "shown_from": tree.scale.shown_from,
            "low_label": tree.scale.low,
            "high_label": tree.scale.high,
        },
    )
    system.nodes.all().delete()
    _save_nodes(system, tree)
    Study.objects.filter(value_system=system).update(value_keys=list(tree.value_keys))
    system.refresh_from_db()
    return system


def _skeleton(tree: ValueTree) -> tuple:
    """All of a system that is not wording."""
    groups = [
        (branch.key, branch.several, [child.key for child in branch.children]) for branch in tree.branches
    ]
    return tree.scale.min, tree.scale.max, tree.value_keys, groups


def _save_nodes(system: ValueSystem, tree: ValueTree) -> None:
    """Store a tree level by level, each level at once."""
    level: list[tuple[Branch | Leaf, ValueNode | None, int]] = [(tree.root, None, 1)]
    while level:
        nodes = [_build_node(system, part, parent, position) for part, parent, position in level]
        ValueNode.objects.bulk_create(nodes)
        level = [
            (child, node, position)
            for (part, _, _), node in zip(level, nodes, strict=True)
            if isinstance(part, Branch)
            for position, child in enumerate(part.children, start=1)
        ]


def _build_node(
    system: ValueSystem, part: Branch | Leaf, parent: ValueNode | None, position: int
) -> ValueNode:
    node = ValueNode(
        system=system,
        parent=parent,
        position=position,
        key=part.key,
        name=part.name,
        label=part.label,
        definition=part.definition,
    )
    if isinstance(part, Branch):
        node.is_leaf, node.question, node.help, node.several = False, part.question, part.help, part.several
    return node
