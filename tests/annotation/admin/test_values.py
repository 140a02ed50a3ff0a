import pytest
from django.urls import reverse

from annotation.models import ValueNode, ValueSystem
from annotation.selectors import _tree, get_tree
from tests.admin_pages import page_of, read_errors, save
from tests.factories import (
    AnnotationFactory,
    EnrollmentFactory,
    StudyFactory,
    ValueSystemFactory,
    load_nineteen,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


def test_the_frame_names_parallax_and_leads_to_the_dashboard(admin_client):
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert '<a href="/admin/">Parallax</a>' in page
    assert f'href="{reverse("modeling:studies")}"' in page
    assert "css/admin.css" in page


def test_a_system_shows_its_tree_depth_first_and_indented(admin_client):
    system = ValueSystemFactory(tree=load_nineteen())
    page = admin_client.get(page_of(system)).content.decode()
    places = [page.index(f"<code>{key}</code>") for key in get_tree(system).value_keys]
    assert places == sorted(places)
    assert page.count('<li class="depth-0 group">') == 1
    assert page.count('<li class="depth-3 value">') == 19


def test_new_wording_of_a_used_system_is_taken_and_reaches_raters(admin_client):
    annotation = AnnotationFactory()
    system = annotation.enrollment.study.value_system
    before = get_tree(system)
    assert save(admin_client, page_of(system), low_label="Not in the least").status_code == 302
    leaf = system.nodes.filter(is_leaf=True).first()
    assert save(admin_client, page_of(leaf), label="Another label").status_code == 302
    after = get_tree(ValueSystem.objects.get(pk=system.pk))
    assert (before.scale.low, after.scale.low) != ("Not in the least", before.scale.low)
    assert after.scale.low == "Not in the least"
    assert after.leaf(leaf.key).label == "Another label"


def test_the_scale_of_a_used_system_cannot_change(admin_client):
    system = AnnotationFactory().enrollment.study.value_system
    response = save(admin_client, page_of(system), scale_max="9")
    assert response.status_code == 200
    assert "the scale and the structure cannot" in read_errors(response)
    assert ValueSystem.objects.get(pk=system.pk).scale_max == system.scale_max


def test_a_scale_without_two_ends_is_refused_beside_its_field(admin_client):
    system = ValueSystemFactory()
    response = save(admin_client, page_of(system), scale_max=str(system.scale_min))
    assert response.context["adminform"].form.errors["scale_max"]


@pytest.mark.parametrize(("field", "value"), [("position", "77"), ("key", "renamed"), ("parent", "root")])
def test_structure_is_fixed_where_raters_are(admin_client, field, value):
    system = EnrollmentFactory().study.value_system
    leaf = system.nodes.filter(is_leaf=True).first()
    value = str(system.nodes.get(parent=None).pk) if value == "root" else value
    response = save(admin_client, page_of(leaf), **{field: value})
    assert response.status_code == 200
    assert "the scale and the structure cannot" in read_errors(response)


def test_no_node_is_added_to_or_deleted_from_a_used_system(admin_client):
    system = EnrollmentFactory().study.value_system
    leaf = system.nodes.filter(is_leaf=True).first()
    response = admin_client.post(
        reverse("admin:annotation_valuenode_add"),
        {
            "system": system.pk,
            "parent": leaf.parent_id,
            "position": 90,
            "is_leaf": "on",
            "key": "new",
            "name": "New",
            "label": "New",
            "definition": "New.",
        },
    )
    assert response.status_code == 200
    assert "the scale and the structure cannot" in read_errors(response)
    assert (
        admin_client.post(
            reverse("admin:annotation_valuenode_delete", args=[leaf.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
    assert ValueNode.objects.filter(pk=leaf.pk).exists()


def test_an_unused_tree_can_be_rebuilt_and_says_what_is_missing(admin_client):
    system = ValueSystemFactory()
    leaf = system.nodes.filter(is_leaf=True).first()
    siblings = list(leaf.parent.children.all())
    for node in siblings:
        address = reverse("admin:annotation_valuenode_delete", args=[node.pk])
        assert admin_client.post(address, {"post": "yes"}).status_code == 302
    page = admin_client.get(page_of(system)).content.decode()
    assert "No study can use this tree yet" in page
    assert "children is empty" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "none"}, "reserved"),
        ({"definition": "  "}, "Raters read this"),
        ({"parent": ""}, "A value stands below a group"),
        ({"is_leaf": None}, "needs the question"),
    ],
)
def test_a_node_that_would_break_the_tree_is_refused(admin_client, changes, said):
    leaf = ValueSystemFactory().nodes.filter(is_leaf=True).first()
    response = save(admin_client, page_of(leaf), **changes)
    assert response.status_code == 200
    assert said in read_errors(response)


def test_a_group_cannot_stand_below_itself_nor_become_a_value(admin_client):
    system = ValueSystemFactory()
    group = system.nodes.filter(is_leaf=False, parent__isnull=False).first()
    assert "below itself" in read_errors(save(admin_client, page_of(group), parent=str(group.pk)))
    assert "has children" in read_errors(save(admin_client, page_of(group), is_leaf="on"))


def test_a_system_that_studies_use_is_not_deleted_and_says_why(admin_client):
    system = StudyFactory().value_system
    address = reverse("admin:annotation_valuesystem_delete", args=[system.pk])
    response = admin_client.post(address, {"post": "yes"})
    assert response.status_code == 200
    assert response.context["protected"]
    assert ValueSystem.objects.filter(pk=system.pk).exists()


def test_an_unused_system_is_deleted_with_its_tree(admin_client):
    system = ValueSystemFactory()
    address = reverse("admin:annotation_valuesystem_delete", args=[system.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not ValueNode.objects.exists()
