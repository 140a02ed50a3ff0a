import dataclasses

import pytest

from annotation import services
from annotation.errors import Refused
from annotation.models import ValueNode
from annotation.selectors import get_tree
from annotation.tree.nodes import ValueTree
from tests.factories import EnrollmentFactory, StudyFactory, load_ten
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db


def reworded(tree, **changes):
    return dataclasses.replace(tree, **changes)


def edited(tree, edit) -> ValueTree:
    data = tree.to_dict()
    edit(data)
    return ValueTree.from_dict(data)


class TestSavingAValueSystem:
    def test_the_same_system_twice_is_one(self):
        first, second = services.save_value_system(load_ten()), services.save_value_system(load_ten())
        assert first == second
        assert ValueNode.objects.count() == len(load_ten().leaves) + len(load_ten().branches)

    def test_wording_is_renewed_even_when_people_have_answered(self):
        EnrollmentFactory()
        tree = reworded(load_ten(), name="Ten values, said better", version=2)
        assert get_tree(services.save_value_system(tree)) == tree

    @pytest.mark.parametrize(
        "edit",
        [
            lambda data: data["scale"].update(max=7),
            lambda data: data["scale"].update(min=0),
            lambda data: data["root"]["children"].reverse(),
            lambda data: data["root"]["children"][1]["children"].pop(),
            lambda data: data["root"]["children"][1].update(key="renamed"),
        ],
        ids=["a longer scale", "another low end", "another order", "a value less", "a group renamed"],
    )
    def test_anything_but_wording_is_refused_once_people_have_entered(self, edit):
        EnrollmentFactory()
        before = freeze_rows()
        with pytest.raises(Refused, match="Give the new system a new slug"):
            services.save_value_system(edited(load_ten(), edit))
        assert freeze_rows() == before

    def test_a_value_moved_to_another_group_is_refused_though_the_order_stays(self):
        def move(data):
            first, second = data["root"]["children"][0]["children"]
            second["children"].insert(0, first["children"].pop()["children"][0])

        moved = edited(load_ten(), move)
        assert moved.value_keys == load_ten().value_keys
        EnrollmentFactory()
        with pytest.raises(Refused):
            services.save_value_system(moved)

    def test_a_system_nobody_has_met_may_change_and_takes_its_studies_along(self):
        study = StudyFactory()
        shorter = edited(load_ten(), lambda data: data["root"]["children"][1]["children"].pop())
        services.save_value_system(shorter)
        study.refresh_from_db()
        assert tuple(study.value_keys) == shorter.value_keys
