"""Value systems: wording may change at any time, structure while nobody rates."""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from annotation.models import KEY, Study, ValueNode, ValueSystem
from annotation.permissions import Deed, is_administrator, is_researcher
from annotation.selectors import get_tree
from annotation.tree.nodes import RESERVED_KEYS, TreeError

from .parts import PartOfStudies
from .scoped import list_study_ids

DEEPEST_INDENT = 6  # static/css/admin.css has a class for each depth
LOCKED = (
    "A study with this value system is launched or has raters: wording may change, but the scale and the "
    "structure cannot. Make a new value system instead."
)


def is_locked(system: ValueSystem) -> bool:
    """Whether someone rates, rated or may at any moment rate with this system."""
    is_launched = ~Q(state__in=(Study.State.DRAFT, Study.State.CLOSED))
    return system.studies.filter(is_launched | Q(enrollments__isnull=False)).exists()


class SharedAdmin(PartOfStudies, admin.ModelAdmin):
    """What studies share: every researcher reads it; who changes it may set up each study that uses it."""

    def find_studies(self, row):
        return list(self.get_system(row).studies.all())

    def get_system(self, row):
        """Return the value system a row belongs to."""
        return row

    def has_view_permission(self, request, obj=None):
        return is_researcher(request.user)

    def has_add_permission(self, request):
        return self.has_view_permission(request)

    def has_change_permission(self, request, obj=None):
        if obj is None or is_administrator(request.user):
            return self.has_view_permission(request)
        studies = self.get_system(obj).studies.values_list("pk", flat=True)
        return self.has_view_permission(request) and list_study_ids(request, Deed.SET_UP).issuperset(studies)

    def has_delete_permission(self, request, obj=None):
        return self.has_change_permission(request, obj)

    def has_module_permission(self, request):
        return self.has_view_permission(request)


class ValueSystemForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "name": "How researchers call this system of values.",
            "slug": "A short name for files and commands: letters, digits, '-' and '_'.",
            "version": "Raise it when another study is to use a changed system beside the old one.",
            "description": "What the system is for, for whoever chooses it for a study.",
            "source": "Where the system was published.",
            "scale_min": "The rating that means: not reflected at all.",
            "scale_max": "The rating that means: reflected most strongly.",
            "shown_from": "The number that raters see for the lowest rating; the others follow.",
            "low_label": "Stands at the low end of the scale.",
            "high_label": "Stands at the high end of the scale.",
        }

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name, validator in (("slug", KEY), ("version", MinValueValidator(1))):
            if name in self.fields:  # none is where the system may only be read
                self.fields[name].validators.append(validator)

    def clean(self):
        data = super().clean()
        low, high = data.get("scale_min"), data.get("scale_max")
        if low is not None and high is not None and low >= high:
            self.add_error("scale_max", "The scale's upper end must lie above its lower end.")
        elif (
            self.instance.pk
            and {"scale_min", "scale_max"} & set(self.changed_data)
            and is_locked(self.instance)
        ):
            raise ValidationError(LOCKED)
        return data


@admin.register(ValueSystem)
class ValueSystemAdmin(SharedAdmin):
    form = ValueSystemForm
    list_display = ["name", "slug", "version", "n_values", "scale_min", "scale_max"]
    search_fields = ["name", "slug"]
    readonly_fields = ["tree"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (None, {"fields": ["name", "slug", "version", "description", "source"]}),
        (
            "Scale",
            {"fields": [("scale_min", "scale_max"), "shown_from", "low_label", "high_label"]},
        ),
        ("Values", {"fields": ["tree"]}),
    ]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(n_values=Count("nodes", filter=Q(nodes__is_leaf=True)))

    def get_fieldsets(self, request, obj=None):
        return self.fieldsets if obj else self.fieldsets[:-1]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else self.prepopulated_fields

    @admin.display(description="values", ordering="n_values")
    def n_values(self, system):
        return system.n_values

    @admin.display(description="tree")
    def tree(self, system):
        """Every node below the one it belongs to, each a link to its own page."""
        children: dict[int | None, list[ValueNode]] = {}
        for node in system.nodes.order_by("position"):
            children.setdefault(node.parent_id, []).append(node)
        rows, waiting = [], [(root, 0) for root in reversed(children.get(None, []))]
        while waiting:
            node, depth = waiting.pop()
            address = reverse("admin:annotation_valuenode_change", args=[node.pk])
            kind = "value" if node.is_leaf else "group"
            rows.append((min(depth, DEEPEST_INDENT), kind, address, node.label, node.key))
            waiting += [(child, depth + 1) for child in reversed(children.get(node.pk, []))]
        nodes = format_html_join("", '<li class="depth-{} {}"><a href="{}">{}</a> <code>{}</code></li>', rows)
        add = f"{reverse('admin:annotation_valuenode_add')}?system={system.pk}"
        note = (
            format_html("<p>{}</p>", LOCKED)
            if is_locked(system)
            else format_html('<p><a class="addlink" href="{}">Add a group or value</a></p>', add)
        )
        return format_html('<ol class="value-tree">{}</ol>{}{}', nodes, self._list_faults(system), note)

    def _list_faults(self, system):
        try:
            get_tree(system)
        except TreeError as error:
            faults = format_html_join("", "<li>{}</li>", ([fault] for fault in error.faults))
            return format_html('<p class="errornote">No study can use this tree yet:</p><ul>{}</ul>', faults)
        return ""


class ValueNodeForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "system": "The value system that this belongs to.",
            "parent": "The group it stands below; none for the topmost group alone.",
            "position": "Its place among what stands below the same group.",
            "is_leaf": "Ticked for a value, which is rated; not ticked for a group, which is asked about.",
            "key": "Names it in exports and files: letters, digits and '_'.",
            "name": "The value's name in the literature.",
            "label": "The name that raters read.",
            "definition": "What raters read about it.",
            "question": "Groups only: what is asked about what stands below.",
            "help": "Groups only: a line of help under the question.",
            "several": "Groups only: whether several of those below may be marked.",
        }

    STRUCTURE = frozenset({"system", "parent", "position", "is_leaf", "key"})

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        groups = ValueNode.objects.filter(is_leaf=False).order_by("system", "pk")
        system = self.instance.system_id or self.initial.get("system")
        if "parent" in self.fields:
            self.fields["parent"].queryset = groups.filter(system=system) if str(system).isdigit() else groups

    def clean(self):
        data = super().clean()
        system = data.get("system") or (self.instance.system if self.instance.pk else None)
        if system and self.STRUCTURE & set(self.changed_data) and is_locked(system):
            raise ValidationError(LOCKED)
        is_leaf, parent = data.get("is_leaf"), data.get("parent")
        if parent is None and is_leaf and "parent" not in self.errors:
            self.add_error("parent", "A value stands below a group; only the topmost group has no parent.")
        if parent is None and system and self._has_other_root(system):
            self.add_error("parent", "This value system has its topmost group already; choose a parent.")
        if parent and self.instance.pk and self._is_at_or_below(parent):
            self.add_error("parent", "A group cannot stand below itself.")
        if is_leaf and self.instance.pk and self.instance.children.exists():
            self.add_error("is_leaf", "This group has children; move or delete them first.")
        if parent and not (data.get("definition") or "").strip():
            self.add_error("definition", "Raters read this; only the topmost group may go without.")
        if data.get("key") in RESERVED_KEYS:
            self.add_error("key", f"The key '{data['key']}' is reserved; choose another.")
        return data

    def _has_other_root(self, system: ValueSystem) -> bool:
        return system.nodes.filter(parent=None).exclude(pk=self.instance.pk).exists()

    def _is_at_or_below(self, node: ValueNode | None) -> bool:
        while node and node.pk != self.instance.pk:
            node = node.parent
        return node is not None


@admin.register(ValueNode)
class ValueNodeAdmin(SharedAdmin):
    form = ValueNodeForm
    list_display = ["label", "key", "is_leaf", "parent", "position", "system"]
    list_filter = ["system", "is_leaf"]
    list_select_related = ["parent", "system"]
    search_fields = ["label", "key", "name"]
    actions = None  # a node's own delete() tells running processes that the tree changed
    fieldsets = [
        (None, {"fields": ["system", "label", "name", "definition"]}),
        ("Groups only", {"fields": ["question", "help", "several"]}),
        (
            "Place in the tree",
            {
                "fields": ["key", "is_leaf", "parent", "position"],
                "description": "Fixed once a study with this value system is live or has raters.",
            },
        ),
    ]

    def get_system(self, node):
        return node.system

    def get_readonly_fields(self, request, obj=None):
        return ["system"] if obj else []

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        """A new group or value goes into a system that the account may change."""
        if db_field.name == "system" and not is_administrator(request.user):
            others = Study.objects.exclude(pk__in=list_study_ids(request, Deed.SET_UP))
            kwargs["queryset"] = ValueSystem.objects.exclude(studies__in=others)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and not (obj and is_locked(obj.system))
