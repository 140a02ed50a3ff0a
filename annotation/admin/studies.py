"""Studies: their steps, texts, posts and codes, and when they may go live."""

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Count, F, Q
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from annotation.errors import Refused
from annotation.launch import find_faults, find_warnings, is_translated, list_item_keys
from annotation.models import (
    Annotation,
    CompletionCode,
    Outcome,
    Post,
    Rater,
    Step,
    StepCompletion,
    Study,
    ValueSystem,
)
from annotation.recruitment import PARAMETERS
from annotation.selectors import get_tree
from annotation.steps import KINDS
from annotation.tree.nodes import TreeError

from .objects import ObjectField

OUT_OF_THE_WAY = 16_000  # above every position the form accepts
STEPS_STAY = (
    "People have entered this study, and each of them stands on one of its steps. Steps can no longer be added, "
    "deleted, moved or changed in kind, nor the keys of the posts of a training or a gate; their texts and numbers "
    "can. For another path, make a new study."
)
SETTINGS = {
    "consent": "None: {}. Its texts are the study's own, below 'Texts'.",
    "instructions": '{"title": "...", "sections": [{"heading": "...", "text": "..."}]}; a heading may be left out.',
    "attention_check": (
        '{"kind": "number"} for a number read off an image, or {"kind": "grid", "question": "...", "options": '
        '[{"value": "1", "label": "Never"}, ...], "rows": [{"key": "...", "text": "..."}, ...]} with "instructed": '
        '"1" in the one row that says which answer to give. Four options and three rows at least.'
    ),
    "training": (
        '{"intro": "...", "tolerance": 1, "posts": [{"key": "...", "text": "...", "context": null, "marks": '
        '{group: [groups opened in it]}, "ratings": {value: rating}, "why": {group or value: explanation}}]}. '
        "The tolerance is how many steps of the scale a rating may be off."
    ),
    "gating": (
        '{"intro": "...", "threshold": 2, "posts": [{"key": "...", "text": "...", "context": null, "value": "...", '
        '"expresses": true}]}. The threshold is how many posts must be read right to go on.'
    ),
    "labeling": '{} for as many posts as the study says, or {"posts": 10}.',
    "vcq": "None: {}. Its questions are the study's calibration questions.",
    "questionnaire": '{"questionnaire": "..."}, the key of one of the study\'s questionnaires.',
    "debrief": "As of instructions.",
}


def list_languages() -> list[tuple[str, str]]:
    """Return every language as a choice, those that the pages are translated into first."""
    ordered = sorted(settings.LANGUAGES, key=lambda entry: (not is_translated(entry[0]), entry[1]))
    return [
        (code, name if is_translated(code) else f"{name} (buttons and messages in English)")
        for code, name in ordered
    ]


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
        if StepCompletion.objects.filter(step__study=self.instance.pk).exists() and any(
            map(self._moves_the_ground, self.forms)
        ):
            raise ValidationError(STEPS_STAY)
        super().clean()

    def _moves_the_ground(self, form: StepForm) -> bool:
        """Whether the change would leave someone on another step or post than they were on."""
        if form in self.extra_forms:
            return form.has_changed() and not self._should_delete_form(form)
        if self._should_delete_form(form) or {"position", "kind"} & set(form.changed_data):
            return True
        config = form.cleaned_data.get("config", form.initial["config"])
        kind = form.initial["kind"]
        return list_item_keys(kind, config) != list_item_keys(kind, form.initial["config"])

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
    language = forms.ChoiceField(
        choices=list_languages,
        initial="en",
        help_text="The language of the buttons and messages. The study's own texts are yours to write.",
    )

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

    def clean(self) -> dict:
        if refused := getattr(self.instance, "refused_for", None):
            raise ValidationError(
                [
                    "Nothing was saved: people are in this study, and the change would break their way.",
                    *refused,
                ]
            )
        return super().clean()

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


class WouldBreak(Refused):
    """A change to a study that people are in; `faults` says what it would break."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


@admin.register(Study)
class StudyAdmin(admin.ModelAdmin):
    """A study goes live only without faults, and stays without them while people are in it.

    What cannot go live is saved all the same, in the state it had. What would break a study that people
    are in is not saved at all: it comes back with its reasons.
    """

    form = StudyForm
    inlines = [StepInline, CompletionCodeInline]
    change_form_template = "admin/annotation/study/change_form.html"
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["name", "slug", "state", "value_system", "n_enrolled", "n_completed", "dashboard"]
    list_filter = ["state", "language"]
    list_select_related = ["value_system"]
    search_fields = ["name", "slug", "title"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        ("About", {"fields": ["name", "slug", "title", "welcome", "language", "state"]}),
        (
            "What is rated",
            {
                "fields": ["value_system", "value_order"],
                "description": "Fixed once somebody has entered.",
            },
        ),
        (
            "Assignment",
            {
                "fields": ["posts_per_rater", "strategy", "redundancy_cap", "seed"],
                "description": "Which posts a person reads. Posts of people who leave or time out go to others.",
            },
        ),
        (
            "Time",
            {
                "fields": ["estimated_minutes", "max_minutes", "time_limit"],
                "description": "Nobody is timed out here before Prolific would do so.",
            },
        ),
        (
            "Attention checks",
            {
                "fields": ["attention_limit", "attention_consequence"],
                "description": (
                    "Prolific accepts no fewer than two failed checks as a reason to reject in a study of five "
                    "minutes or more."
                ),
            },
        ),
        (
            "How pages are used",
            {
                "fields": ["collects_paradata"],
                "description": "Kept apart from the answers and described on the consent page.",
            },
        ),
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
        """Where people come in and what they rate stays once there are people."""
        fixed = ["slug", "value_system"] if obj and obj.enrollments.exists() else []
        return ["value_order", "time_limit", *fixed]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else self.prepopulated_fields

    def get_object(self, request, object_id, from_field=None):
        study = super().get_object(request, object_id, from_field)
        if study:
            study.refused_for = getattr(request, "refused_for", None)
        return study

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

    @admin.display(description="people are timed out after")
    def time_limit(self, study):
        return f"{study.allowed_minutes} minutes"

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        """Show a change that would have broken the study again, with the reasons, once it is rolled back."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except WouldBreak as refusal:
            request.refused_for = refusal.faults
            return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        context["settings_help"] = [
            (kind.label, SETTINGS.get(key, "See the documentation of this kind of step."))
            for key, kind in KINDS.items()
        ]
        if obj:
            stored = Study.objects.get(pk=obj.pk)  # not as it was typed just now
            context |= {
                "participant_link": build_participant_link(request, obj),
                "counts": count_rows(obj),
                "faults": find_faults(stored),
                "is_live": stored.state == Study.State.LIVE,
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request, obj, form, change):
        stored = Study.objects.select_for_update().get(pk=obj.pk) if change else None
        form.state_before = stored.state if stored else Study.State.DRAFT
        form.faults_before = find_faults(stored) if stored else []
        if not stored or not stored.enrollments.exists():  # nobody rates in the old order yet
            obj.value_keys = list(get_tree(obj.value_system).value_keys)
        super().save_model(request, obj, form, change)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        study = form.instance
        faults = find_faults(study)
        new = [fault for fault in faults if fault not in form.faults_before]
        was_live, is_live = form.state_before == Study.State.LIVE, study.state == Study.State.LIVE
        if new and ((was_live and is_live) or has_people_inside(study)):
            raise WouldBreak(new)
        if is_live and faults and not was_live:
            self._keep_from_going_live(request, study, form.state_before, faults)
        elif is_live and faults:
            messages.error(request, list_reasons("People can enter this study, but it has faults:", faults))
        if study.state == Study.State.LIVE:
            for warning in find_warnings(study):
                messages.warning(request, warning)

    def _keep_from_going_live(self, request, study: Study, state: str, faults: list[str]) -> None:
        study.state = state
        study.save(update_fields=["state"])
        request.was_kept_from_going_live = True
        head = f"Everything was saved, but the study cannot go live yet. It stays {study.get_state_display().lower()}:"
        messages.error(request, list_reasons(head, faults))

    def response_add(self, request, obj, post_url_continue=None):
        return self._stay(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request, obj):
        return self._stay(request, obj) or super().response_change(request, obj)

    def _stay(self, request, study: Study):
        if getattr(request, "was_kept_from_going_live", False):
            return redirect("admin:annotation_study_change", study.pk)
        return None


def has_people_inside(study: Study) -> bool:
    """Whether someone is on their way in the study, or may come back to it."""
    return study.enrollments.filter(outcome__in=("", Outcome.TIMED_OUT)).exists()


def list_reasons(head: str, reasons: list[str]) -> str:
    items = format_html_join("", "<li>{}</li>", ([reason] for reason in reasons))
    return format_html("{}<ul>{}</ul>", head, items)


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
