"""Researchers set a study up here and look at what came in; what raters answered is never edited."""

import json

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Count, F, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from annotation.tree.nodes import RESERVED_KEYS, UNSTORABLE, TreeError
from annotation.tree.walk import CHOSEN, IMPLIED, NOT_SHOWN

from .models import (
    KEY,
    Annotation,
    Assignment,
    CompletionCode,
    ConsentRecord,
    Enrollment,
    Outcome,
    Post,
    Rater,
    Step,
    StepCompletion,
    Study,
    ValueNode,
    ValueSystem,
)
from .recruitment import PARAMETERS
from .selectors import get_tree
from .steps import KINDS

CODES = {CHOSEN: "chosen", IMPLIED: "implied: its group was not opened", NOT_SHOWN: "not shown"}
DEEPEST_INDENT = 6  # static/css/admin.css has a class for each depth
OUT_OF_THE_WAY = 16_000  # above every position the form accepts
LOCKED = (
    "A study with this value system is live or has raters: wording may change, but the scale and the "
    "structure cannot. Make a new value system instead."
)


def is_locked(system: ValueSystem) -> bool:
    """Whether someone rates, rated or may at any moment rate with this system."""
    return system.studies.filter(Q(state=Study.State.LIVE) | Q(enrollments__isnull=False)).exists()


def show_json(data: object) -> str:
    return format_html('<pre class="data">{}</pre>', json.dumps(data, indent=2, ensure_ascii=False))


def mark_simulated(is_simulated: bool) -> str:
    return format_html('<span class="simulated">{}</span>', "simulated") if is_simulated else ""


class ObjectField(forms.JSONField):
    """A JSON object; an empty field is an empty object."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField json", "spellcheck": "false"})

    def to_python(self, value):
        data = super().to_python(value)
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise ValidationError("Write a JSON object: { ... }.")
        try:
            text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise ValidationError("JSON has no NaN and no infinite numbers.") from error
        if UNSTORABLE.search(text) or "\\u0000" in text:
            raise ValidationError("This contains a character that cannot be stored; please type it anew.")
        return data

    def prepare_value(self, value):
        return (
            json.dumps(value, indent=2, ensure_ascii=False)
            if isinstance(value, dict)
            else super().prepare_value(value)
        )


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows are written by services; staff read them."""

    actions = None
    show_full_result_count = False

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False


class RaterRowAdmin(ReadOnlyAdmin):
    """What one rater left in one study."""

    @admin.display(description="rater", ordering="enrollment__rater__pseudonym")
    def pseudonym(self, row):
        return row.enrollment.rater.pseudonym

    @admin.display(description="study", ordering="enrollment__study__slug")
    def study(self, row):
        return row.enrollment.study

    @admin.display(description="simulated", ordering="enrollment__rater__origin")
    def simulated(self, row):
        return mark_simulated(row.enrollment.rater.is_simulated)


# --- value systems -----------------------------------------------------------------------------


class ValueSystemForm(forms.ModelForm):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].validators.append(KEY)
        self.fields["version"].validators.append(MinValueValidator(1))

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
class ValueSystemAdmin(admin.ModelAdmin):
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
class ValueNodeAdmin(admin.ModelAdmin):
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

    def get_readonly_fields(self, request, obj=None):
        return ["system"] if obj else []

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and not (obj and is_locked(obj.system))


# --- studies -----------------------------------------------------------------------------------


class StepForm(forms.ModelForm):
    position = forms.IntegerField(min_value=1, max_value=1000)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "---------"), *((kind.key, kind.label) for kind in KINDS.values())]
        stored = self.instance.kind
        if stored and stored not in KINDS:
            choices.append((stored, f"{stored} (unknown)"))
        self.fields["kind"] = forms.ChoiceField(choices=choices)

    def validate_constraints(self) -> None:
        """Leave the order to the formset: two steps that change places are no conflict."""


class StepFormSet(forms.BaseInlineFormSet):
    def clean(self) -> None:
        super().clean()
        if self.instance.state != Study.State.LIVE:
            return
        rows = [form.cleaned_data for form in self.forms if hasattr(form, "cleaned_data")]
        kinds = [row["kind"] for row in rows if row.get("kind") and not row.get("DELETE")]
        if not kinds:
            raise ValidationError("A study without steps cannot be live: add its steps first.")
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise ValidationError(
                f"A study with a step of unknown kind cannot be live; unknown: {', '.join(unknown)}."
            )
        texts = self.instance.consent or {}
        absent = [name for name in ("title", "sections", "agree", "decline") if not texts.get(name)]
        if "consent" in kinds and absent:
            raise ValidationError(f"The consent step needs texts; missing in 'consent': {', '.join(absent)}.")

    def save(self, commit=True):
        # Positions are unique at every moment, so those that change step aside first.
        moved = [form.instance.pk for form in self.initial_forms if form.has_changed()]
        Step.objects.filter(pk__in=moved).update(position=F("position") + OUT_OF_THE_WAY)
        return super().save(commit=commit)


class StepInline(admin.TabularInline):
    model = Step
    form = StepForm
    formset = StepFormSet
    fields = ["position", "kind", "config"]
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    ordering = ["position"]
    extra = 0


class CompletionCodeInline(admin.TabularInline):
    model = CompletionCode
    extra = 0
    max_num = len(Outcome)

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("study")


class StudyForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "consent": (
                'The consent page: {"version": 1, "title": "...", "sections": [{"heading": "...", "text": '
                '"..."}], "agree": "...", "decline": "..."}. Raise the version whenever the wording changes.'
            ),
            "outcome_texts": (
                'The last page of each outcome: {"completed": {"title": "...", "text": "..."}}. '
                f"Outcomes: {', '.join(Outcome.values)}."
            ),
        }

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if "consent" in self.fields:
            self.fields["consent"].required = False
        if "redundancy_cap" in self.fields:
            self.fields["redundancy_cap"].validators.append(MinValueValidator(1))

    def clean_value_system(self) -> ValueSystem:
        system = self.cleaned_data["value_system"]
        try:
            get_tree(system)
        except TreeError as error:
            raise ValidationError(["This value system is not complete:", *error.faults]) from error
        return system

    def clean_consent(self) -> dict:
        texts = self.cleaned_data["consent"]
        version = texts.get("version", 1)
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= 32_767:
            raise ValidationError("'version' must be a whole number from 1 to 32767.")
        sections = texts.get("sections", [])
        if not isinstance(sections, list) or not all(
            isinstance(part, dict) and isinstance(part.get("text"), str) for part in sections
        ):
            raise ValidationError("'sections' must be a list of objects with 'heading' and 'text'.")
        return texts

    def clean_outcome_texts(self) -> dict:
        texts = self.cleaned_data["outcome_texts"]
        if unknown := sorted(set(texts) - set(Outcome.values)):
            raise ValidationError(
                f"Unknown outcome: {', '.join(unknown)}; there are {', '.join(Outcome.values)}."
            )
        if not all(isinstance(page, dict) for page in texts.values()):
            raise ValidationError("Each outcome needs an object with 'title' and 'text'.")
        return texts


@admin.register(Study)
class StudyAdmin(admin.ModelAdmin):
    form = StudyForm
    inlines = [StepInline, CompletionCodeInline]
    change_form_template = "admin/annotation/study/change_form.html"
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["name", "slug", "state", "value_system", "n_enrolled", "n_completed", "dashboard"]
    list_filter = ["state"]
    list_select_related = ["value_system"]
    search_fields = ["name", "slug", "title"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        ("About", {"fields": ["name", "slug", "title", "welcome", "state"]}),
        ("What is rated", {"fields": ["value_system", "value_order"]}),
        ("Assignment", {"fields": ["posts_per_rater", "strategy", "redundancy_cap", "seed"]}),
        ("Texts", {"fields": ["consent", "outcome_texts"], "classes": ["collapse"]}),
    ]

    def get_queryset(self, request):
        return (
            super()
            .get_queryset(request)
            .annotate(
                n_enrolled=Count("enrollments"),
                n_completed=Count("enrollments", filter=Q(enrollments__outcome=Outcome.COMPLETED)),
            )
        )

    def get_readonly_fields(self, request, obj=None):
        return ["value_order", "value_system"] if obj and self._has_annotations(obj) else ["value_order"]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else self.prepopulated_fields

    @staticmethod
    def _has_annotations(study: Study) -> bool:
        return Annotation.objects.filter(enrollment__study=study).exists()

    @admin.display(description="raters", ordering="n_enrolled")
    def n_enrolled(self, study):
        return study.n_enrolled

    @admin.display(description="completed", ordering="n_completed")
    def n_completed(self, study):
        return study.n_completed

    @admin.display(description="dashboard")
    def dashboard(self, study):
        return format_html('<a href="{}">Dashboard</a>', reverse("modeling:study", args=[study.slug]))

    @admin.display(description="order of the ratings")
    def value_order(self, study):
        return ", ".join(study.value_keys or []) or "Taken from the value system when the study is saved."

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj:
            context |= {"participant_link": build_participant_link(request, obj), "counts": count_rows(obj)}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request, obj, form, change):
        if not obj.pk or not self._has_annotations(obj):  # nothing is stored in the old order yet
            obj.value_keys = list(get_tree(obj.value_system).value_keys)
        super().save_model(request, obj, form, change)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        study = form.instance
        coded = set(study.completion_codes.values_list("outcome", flat=True))
        absent = [label for outcome, label in Outcome.choices if outcome not in coded]
        if study.state == Study.State.LIVE and absent:
            messages.warning(
                request,
                f"Prolific will get no completion code from raters who end with: {', '.join(absent)}.",
            )


def build_participant_link(request: HttpRequest, study: Study) -> str:
    """Return the link to enter at Prolific, which fills in who comes."""
    query = "&".join(f"{name}={{{{%{name}%}}}}" for name in PARAMETERS)
    return f"https://{request.get_host()}{reverse('annotation:arrival', args=[study.slug])}?{query}"


def count_rows(study: Study) -> list[tuple[str, int]]:
    """Return what a study holds, as labels and numbers."""
    people = study.enrollments.aggregate(
        enrolled=Count("pk"),
        completed=Count("pk", filter=Q(outcome=Outcome.COMPLETED)),
        simulated=Count("pk", filter=Q(rater__origin=Rater.Origin.SIMULATED)),
    )
    posts = study.posts.aggregate(
        labeling=Count("pk", filter=Q(purpose=Post.Purpose.LABELING)),
        calibration=Count("pk", filter=Q(purpose=Post.Purpose.CALIBRATION)),
    )
    return [
        ("Raters", people["enrolled"]),
        ("completed", people["completed"]),
        ("simulated", people["simulated"]),
        ("Posts to label", posts["labeling"]),
        ("posts to calibrate", posts["calibration"]),
        ("Annotations", Annotation.objects.filter(enrollment__study=study).count()),
    ]


class PostForm(forms.ModelForm):
    def clean(self):
        data = super().clean()
        kind, text = data.get("context_kind"), data.get("context_text")
        if kind is not None and text is not None and bool(kind) != bool(text):
            self.add_error(
                "context_text" if kind else "context_kind", "A context needs both its kind and its text."
            )
        return data


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):
    form = PostForm
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["key", "study", "purpose", "excerpt", "context_kind", "n_annotations"]
    list_filter = ["study", "purpose"]
    list_select_related = ["study"]
    search_fields = ["key", "text", "context_text"]
    show_full_result_count = False
    fields = ["study", "key", "purpose", "text", "context_kind", "context_text", "metadata"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(n_annotations=Count("annotations"))

    def get_readonly_fields(self, request, obj=None):
        """What a rater has been given stays as they read it."""
        return self.fields[:-1] if obj and obj.assignments.exists() | (obj.n_annotations > 0) else []

    @admin.display(description="text", ordering="text")
    def excerpt(self, post):
        return post.text[:80] + ("…" if len(post.text) > 80 else "")

    @admin.display(description="annotations", ordering="n_annotations")
    def n_annotations(self, post):
        return post.n_annotations


# --- raters and what they left -----------------------------------------------------------------


@admin.register(Rater)
class RaterAdmin(ReadOnlyAdmin):
    list_display = ["pseudonym", "origin", "n_studies", "simulated"]
    list_filter = ["origin"]
    search_fields = ["pseudonym", "=external_id"]
    search_help_text = "A pseudonym or a whole id of the origin, as a rater gives it when writing to you."
    fields = ["pseudonym", "origin", "external_id"]
    ordering = ["pk"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(n_studies=Count("enrollments"))

    def has_delete_permission(self, request, obj=None):
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    @admin.display(description="studies", ordering="n_studies")
    def n_studies(self, rater):
        return rater.n_studies

    @admin.display(description="simulated", ordering="origin")
    def simulated(self, rater):
        return mark_simulated(rater.is_simulated)


class ConsentRecordInline(ReadOnlyInline):
    model = ConsentRecord
    fields = readonly_fields = ["given", "version", "at"]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("enrollment__rater", "enrollment__study")


class StepCompletionInline(ReadOnlyInline):
    model = StepCompletion
    fields = readonly_fields = ["step", "at"]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("enrollment__rater", "enrollment__study", "step")


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    inlines = [ConsentRecordInline, StepCompletionInline]
    list_display = ["pseudonym", "study", "outcome", "started_at", "finished_at", "simulated"]
    list_filter = ["study", "outcome", "rater__origin"]
    list_select_related = ["study", "rater"]
    search_fields = ["public_id", "rater__pseudonym", "=rater__external_id"]
    date_hierarchy = "started_at"
    ordering = ["-started_at", "-pk"]
    fields = [
        "public_id",
        "study",
        "rater",
        "simulated",
        "outcome",
        "started_at",
        "finished_at",
        "prolific_study_id",
        "prolific_session_id",
    ]
    readonly_fields = ["simulated"]

    def has_delete_permission(self, request, obj=None):
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_deleted_objects(self, objs, request):
        """A rater who withdraws takes all their answers along, which nobody deletes one by one."""
        to_delete, counts, _, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, set(), protected

    @admin.display(description="rater", ordering="rater__pseudonym")
    def pseudonym(self, enrollment):
        return enrollment.rater.pseudonym

    @admin.display(description="simulated", ordering="rater__origin")
    def simulated(self, enrollment):
        return mark_simulated(enrollment.rater.is_simulated)


@admin.register(Assignment)
class AssignmentAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "position", "post_key", "status", "submitted_at", "simulated"]
    list_filter = ["enrollment__study", "status", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "post"]
    search_fields = ["enrollment__rater__pseudonym", "post__key"]
    fields = ["enrollment", "post", "position", "status", "assigned_at", "submitted_at", "simulated"]
    readonly_fields = ["simulated"]
    ordering = ["-pk"]

    @admin.display(description="post", ordering="post__key")
    def post_key(self, assignment):
        return assignment.post.key


@admin.register(Annotation)
class AnnotationAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "post_key", "submitted_at", "simulated"]
    list_filter = ["enrollment__study", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "post"]
    search_fields = ["enrollment__rater__pseudonym", "post__key", "rationale"]
    date_hierarchy = "submitted_at"
    fields = [
        "enrollment",
        "post",
        "assignment",
        "submitted_at",
        "simulated",
        "rating_table",
        "opened_groups",
        "rationale",
    ]
    readonly_fields = ["simulated", "rating_table", "opened_groups"]
    ordering = ["-pk"]

    @admin.display(description="post", ordering="post__key")
    def post_key(self, annotation):
        return annotation.post.key

    @admin.display(description="ratings")
    def rating_table(self, annotation):
        keys = annotation.enrollment.study.value_keys
        rows = (
            (key, "–" if rating is None else rating, CODES.get(code, code))
            for key, rating, code in zip(keys, annotation.ratings, annotation.codes, strict=True)
        )
        return format_html(
            "<table>{}</table>",
            format_html_join("", '<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>', rows),
        )

    @admin.display(description="opened")
    def opened_groups(self, annotation):
        return ", ".join(annotation.opened) or "–"
