"""Storing a value system."""

from django.db import transaction

from annotation.errors import Refused
from annotation.models import Study, ValueNode, ValueSystem
from annotation.selectors import get_tree
from annotation.tree.nodes import Branch, ValueTree


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
    _save_branch(system, tree.root, parent=None, position=1)
    Study.objects.filter(value_system=system).update(value_keys=list(tree.value_keys))
    system.refresh_from_db()
    return system


def _skeleton(tree: ValueTree) -> tuple:
    """All of a system that is not wording."""
    groups = [
        (branch.key, branch.several, [child.key for child in branch.children]) for branch in tree.branches
    ]
    return tree.scale.min, tree.scale.max, tree.value_keys, groups


def _save_branch(system: ValueSystem, branch: Branch, *, parent: ValueNode | None, position: int) -> None:
    node = ValueNode.objects.create(
        system=system,
        parent=parent,
        position=position,
        is_leaf=False,
        key=branch.key,
        name=branch.name,
        label=branch.label,
        definition=branch.definition,
        question=branch.question,
        help=branch.help,
        several=branch.several,
    )
    for place, child in enumerate(branch.children, start=1):
        if isinstance(child, Branch):
            _save_branch(system, child, parent=node, position=place)
        else:
            ValueNode.objects.create(
                system=system,
                parent=node,
                position=place,
                key=child.key,
                name=child.name,
                label=child.label,
                definition=child.definition,
            )
