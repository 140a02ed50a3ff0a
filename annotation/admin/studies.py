"""Studies: one page each, read from top to bottom, and the list of them."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from annotation.fairness import compute_hourly_pay, format_money
from annotation.launch import find_faults, find_warnings, is_translated, list_outcomes, list_path
from annotation.lifecycle import MEANINGS
from annotation.models import (
    Annotation,
    CompletionCode,
    Enrollment,
    Outcome,
    Post,
    Rater,
    Study,
    StudyEvent,
    ValueSystem,
)
from annotation.permissions import Deed, is_researcher, may
from annotation.recruitment import PARAMETERS
from annotation.review import review_study
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from annotation.services.codes import fill_codes
from annotation.tree.nodes import TreeError
from annotation.versions import note_change

from .designs import DesignsMixin
from .objects import ObjectField
from .parts import ShowsRefusals, WouldBreak, find_broken, list_reasons
from .plain import CONSENT, LAST_PAGE_SETTINGS, LAST_PAGES, PlainSettings
from .scoped import StudyPartInline, StudyScopedAdmin, make_owner
from .steps import StepInline, name_faults

WHY_LENGTH = 300


def list_languages() -> list[tuple[str, str]]:
    """Return every language as a choice, those that the pages are translated into first."""
    ordered = sorted(settings.LANGUAGES, key=lambda entry: (not is_translated(entry[0]), entry[1]))
    return [
        (code, name if is_translated(code) else f"{name} (buttons and messages in English)")
        for code, name in ordered
    ]


class CompletionCodeForm(forms.ModelForm):
    class Meta:
        widgets = {"outcome": forms.HiddenInput}
        help_texts = {
            "outcome": "The way out of the study that this code tells Prolific about.",
            "code": "4 to 32 letters and digits, the same as at Prolific. Each way out has its own.",
        }


class CompletionCodeFormSet(forms.BaseInlineFormSet):
    """One row for each way out of the study, whether it has a code or not."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        there = {code.outcome for code in self.get_queryset()}
        self.initial_extra = [{"outcome": each} for each in Outcome.values if each not in there]

    @property
    def rows(self) -> list[tuple[str, bool, forms.ModelForm]]:
        """Return each way out with whether it can happen here, and its form, in the usual order."""
        possible = (
            list_outcomes(self.instance, list_path(self.instance)) if self.instance.pk else list(Outcome)
        )
        names = dict(Outcome.choices)
        order = {outcome: place for place, outcome in enumerate(Outcome.values)}
        by_outcome = [(form["outcome"].value() or "", form) for form in self.forms]
        return [
            (str(names.get(outcome, outcome)), outcome in possible, form)
            for outcome, form in sorted(by_outcome, key=lambda pair: order.get(pair[0], len(order)))
        ]


class CompletionCodeInline(StudyPartInline):
    model = CompletionCode
    form = CompletionCodeForm
    formset = CompletionCodeFormSet
    template = "admin/annotation/study/_codes.html"
    max_num = len(Outcome)

    def get_extra(self, request, obj=None, **kwargs):
        return len(Outcome) - (obj.completion_codes.count() if obj else 0)

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("study")


class StudyForm(PlainSettings, forms.ModelForm):
    language = forms.ChoiceField(
        choices=list_languages,
        initial="en",
        help_text="The language of the buttons and messages. The study's own texts are yours to write.",
    )
    reward = forms.DecimalField(
        label="Reward",
        required=False,
        min_value=0,
        max_digits=7,
        decimal_places=2,
        help_text="What a participant is paid for the whole study, as at Prolific: 6.75 for £6.75.",
    )
    why = forms.CharField(
        label="Why this change",
        required=False,
        max_length=WHY_LENGTH,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
        help_text="Optional. Stands in the study's log and beside the version that this change makes.",
    )

    class Meta:
        labels = {
            "slug": "Address",
            "title": "Title for participants",
            "name": "Name for researchers",
            "posts_per_rater": "Posts per person",
            "redundancy_cap": "People per post, at most",
            "estimated_minutes": "Estimated time, in minutes",
            "max_minutes": "Maximum time, in minutes",
            "collects_paradata": "Note how pages are used",
            "retain_until": "Keep personal data until",
            "consent": "Consent as JSON",
            "outcome_texts": "Last pages as JSON",
            "attention_limit": "Failed checks that count",
            "attention_consequence": "What follows",
        }
        help_texts = {
            "slug": "The part of the participant link that names this study; short, without spaces.",
            "name": "How you and your colleagues call the study. Participants never see it.",
            "title": "Stands on the first page that participants see.",
            "welcome": "A few sentences below the title on the first page.",
            "value_system": "Which values people look for in the posts, and in which questions they are asked.",
            "posts_per_rater": "How many posts each person reads in a labeling step that names no number of its own.",
            "strategy": "How posts are drawn for each person. The paper drew at random.",
            "seed": "Any number. The same seed repeats the same random choices, for whoever repeats the study.",
            "redundancy_cap": "Once this many people have read a post, nobody else gets it. Empty for no limit.",
            "estimated_minutes": "How long a participant needs, as announced at Prolific. The hourly pay rests on it.",
            "attention_limit": "After this many failed attention checks, the consequence follows.",
            "attention_consequence": "Whether the study then ends for them, or failures are only noted in the data.",
            "currency": "The currency of the reward, as at Prolific.",
            "target_participants": "How many people should complete the study: the number of places at Prolific.",
            "consent": (
                'The whole consent page as it is kept: {"version": 1, "title": "...", "sections": [{"heading": "...", '
                '"text": "..."}], "agree": "...", "decline": "..."}.'
            ),
            "outcome_texts": (
                'All last pages as they are kept: {"completed": {"title": "...", "text": "..."}}. '
                f"Ways out: {', '.join(Outcome.values)}."
            ),
        }

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name in ("consent", "outcome_texts"):
            if name in self.fields:
                self.fields[name].required = False
        if "consent" in self.fields:
            self.add_settings(CONSENT, self.initial.get("consent") or {}, None)
        if "outcome_texts" in self.fields:
            self.add_settings(LAST_PAGE_SETTINGS, self.initial.get("outcome_texts") or {}, None)
        if not was_launched(self.instance if self.instance.pk else None):
            del self.fields["why"]
        if "welcome" in self.fields:
            self.fields["welcome"].widget.attrs["rows"] = 4
        if "value_system" in self.fields:  # systems are deleted on their own page
            self.fields["value_system"].widget.can_delete_related = False
        if "redundancy_cap" in self.fields:
            self.fields["redundancy_cap"].validators.append(MinValueValidator(1))
        if self.initial.get("reward") is not None:
            self.initial["reward"] = Decimal(self.initial["reward"]) / 100
        if "retain_until" in self.fields:
            self.fields["retain_until"].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def list_consent(self) -> list[forms.BoundField]:
        return [self[setting.name] for setting in CONSENT if setting.name in self.fields]

    def list_last_pages(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields of each way out, for the page."""
        return [
            (str(Outcome(outcome).label), [self[each.name] for each in pair if each.name in self.fields])
            for outcome, pair in LAST_PAGES.items()
        ]

    def clean(self) -> dict:
        data = super().clean()
        for raw, plain, check in (
            ("consent", CONSENT, check_consent),
            ("outcome_texts", LAST_PAGE_SETTINGS, check_last_pages),
        ):
            if raw not in data:
                continue
            data[raw] = self.merge_settings(raw, plain, data[raw])
            if fault := check(data[raw]):
                self.add_error(raw, fault)
        return data

    def clean_reward(self) -> int | None:
        """Return the amount as it is kept, in pence or cents."""
        amount = self.cleaned_data["reward"]
        return None if amount is None else int(amount * 100)

    def clean_value_system(self) -> ValueSystem:
        system = self.cleaned_data["value_system"]
        try:
            get_tree(system)
        except TreeError as error:
            raise ValidationError(["This value system is not complete:", *error.faults]) from error
        return system


def check_consent(texts: dict[str, Any]) -> str:
    """Return what keeps a consent page from being shown; '' for nothing."""
    version = texts.get("version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= 32_767:
        return "'version' must be a whole number from 1 to 32767."
    sections = texts.get("sections", [])
    if not isinstance(sections, list) or not all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in sections
    ):
        return "'sections' must be a list of objects with 'heading' and 'text'."
    return ""


def check_last_pages(texts: dict[str, Any]) -> str:
    """Return what keeps the last pages from being shown; '' for nothing."""
    if unknown := sorted(set(texts) - set(Outcome.values)):
        return f"Unknown outcome: {', '.join(unknown)}; there are {', '.join(Outcome.values)}."
    if not all(isinstance(page, dict) for page in texts.values()):
        return "Each outcome needs an object with 'title' and 'text'."
    return ""


@dataclass
class Section:
    """One part of the study's page: its heading, what belongs into it, and what is wrong with it."""

    key: str
    title: str
    intro: str = ""
    topics: tuple[str, ...] = ()
    template: str = ""
    fieldset: Any = None
    inline: Any = None
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    n_faults: int = 0


def list_sections() -> list[Section]:
    """Return the parts of the page in the order in which one reads them."""
    return [
        Section("about", "About", topics=("language",)),
        Section(
            "values",
            "Value system",
            "What people look for in the posts. Fixed once somebody has entered.",
            ("values",),
        ),
        Section("posts", "Posts", "What people read.", ("posts",), "posts"),
        Section("steps", "Steps", "What happens, from the top to the bottom.", ("steps",), "steps"),
        Section(
            "consent",
            "Consent",
            "The words of the consent step. Nothing is asked of anyone before they agree.",
            ("texts",),
            "consent",
        ),
        Section(
            "assignment",
            "Who reads what",
            "Which posts a person gets. Posts of people who leave or time out go to others.",
        ),
        Section(
            "time",
            "Time and pay",
            "Nobody is timed out here before Prolific would do so. Prolific asks for £6 or $8 an hour at least, by "
            "the median time that people really took.",
            ("time", "pay"),
        ),
        Section(
            "attention",
            "Attention checks",
            "Prolific lets nobody be rejected for fewer than two failed checks in a study of five minutes or more.",
            ("attention",),
        ),
        Section(
            "codes",
            "Completion codes",
            "Each way out of the study has a code that tells Prolific how it ended. Enter the same ones there.",
            ("codes",),
            "codes",
        ),
        Section(
            "ends",
            "Last pages",
            "What people read last, for each way out. They matter most to those who cannot go on.",
            template="ends",
        ),
        Section(
            "privacy",
            "Privacy",
            "How pages are used is kept apart from the answers and described on the consent page.",
            ("retention",),
        ),
        Section("launch", "Launch", topics=("rehearsal",), template="launch"),
    ]


FIELDS = {
    "about": ["name", "slug", "title", "welcome", "language"],
    "values": ["value_system", "value_order"],
    "consent": ["consent"],
    "assignment": ["posts_per_rater", "strategy", "redundancy_cap", "seed"],
    "time": [
        "estimated_minutes",
        "max_minutes",
        "time_limit",
        "target_participants",
        "reward",
        "currency",
        "hourly_pay",
    ],
    "attention": ["attention_limit", "attention_consequence"],
    "ends": ["outcome_texts"],
    "privacy": ["collects_paradata", "retain_until"],
    "launch": ["why"],
}


@admin.register(Study)
class StudyAdmin(ShowsRefusals, DesignsMixin, StudyScopedAdmin):
    """A study is set up here and moved from state to state on its launch page.

    It can be saved with faults as long as nobody may come in. What would break a study that takes people, or that
    people are in, is not saved at all: it comes back with its reasons.
    """

    study_path = "pk"
    form = StudyForm
    inlines = [StepInline, CompletionCodeInline]
    change_form_template = "admin/annotation/study/change_form.html"
    change_list_template = "admin/annotation/study/change_list.html"
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["name", "state_now", "people", "links"]
    list_filter = ["state", "language"]
    list_select_related = ["value_system"]
    search_fields = ["name", "slug", "title"]
    actions = None
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [(key, {"fields": names}) for key, names in FIELDS.items()]

    class Media:
        js = ["js/study.js"]

    def get_queryset(self, request):
        people = Q(enrollments__rater__origin=Rater.Origin.PROLIFIC) & ~Q(
            enrollments__phase=Enrollment.Phase.REHEARSAL
        )
        return (
            super()
            .get_queryset(request)
            .annotate(
                n_enrolled=Count("enrollments", filter=people),
                n_completed=Count("enrollments", filter=people & Q(enrollments__outcome=Outcome.COMPLETED)),
                n_simulated=Count("enrollments", filter=Q(enrollments__rater__origin=Rater.Origin.SIMULATED)),
            )
        )

    def has_add_permission(self, request):
        """Every researcher may make a study, and owns what they made."""
        return is_researcher(request.user)

    def has_delete_permission(self, request, obj=None):
        return self.may_with(request, obj, Deed.ERASE)

    def get_fieldsets(self, request, obj=None):
        """Only what was launched asks why it changes."""
        return [entry for entry in self.fieldsets if entry[0] != "launch" or was_launched(obj)]

    def get_readonly_fields(self, request, obj=None):
        """Where people come in and what they rate stays once there are people."""
        fixed = ["slug", "value_system"] if obj and obj.enrollments.exists() else []
        return ["value_order", "time_limit", "hourly_pay", *fixed]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else self.prepopulated_fields

    # --- the list ----------------------------------------------------------------------------------

    def changelist_view(self, request, extra_context=None):
        return super().changelist_view(request, {"title": "Studies"} | (extra_context or {}))

    @admin.display(description="state", ordering="state")
    def state_now(self, study):
        return format_html('<span class="state state-{}">{}</span>', study.state, study.get_state_display())

    @admin.display(description="people", ordering="n_completed")
    def people(self, study):
        target = f" of {study.target_participants:,}" if study.target_participants else ""
        text = f"{study.n_completed:,}{target} completed, {study.n_enrolled:,} came"
        simulated = f"{study.n_simulated:,} simulated" if study.n_simulated else ""
        return format_html('{} <span class="quiet">{}</span>', text, simulated)

    @admin.display(description="pages")
    def links(self, study):
        return format_html_join(
            "",
            '<a href="{}">{}<span class="visually-hidden"> of {}</span></a>',
            (
                (address, label, study.name)
                for label, address in [
                    *list_pages(study),
                    ("Duplicate", reverse("admin:annotation_study_duplicate", args=[study.pk])),
                ]
            ),
        )

    # --- the page ----------------------------------------------------------------------------------

    @admin.display(description="Order of the ratings")
    def value_order(self, study):
        """In this order every answer and every export holds the values."""
        return ", ".join(study.value_keys or []) or "Taken from the value system when the study is saved."

    @admin.display(description="People are timed out after")
    def time_limit(self, study):
        return f"{study.allowed_minutes} minutes"

    @admin.display(description="Paid by the hour")
    def hourly_pay(self, study):
        if study.reward is None or not study.estimated_minutes:
            shown = "Enter the reward and the estimated time."
        else:
            hourly = compute_hourly_pay(study.reward, study.estimated_minutes)
            shown = f"{format_money(hourly, study.currency)} an hour"
        return format_html('<span data-hourly-pay aria-live="polite">{}</span>', shown)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        stored = Study.objects.get(pk=obj.pk) if obj else None  # not as it was typed just now
        context |= {"sections": arrange(context, stored), "form_of_study": context["adminform"].form}
        if stored:
            context |= {
                "participant_link": build_participant_link(request, stored),
                "counts": count_rows(stored),
                "state_meaning": MEANINGS[stored.state],
                "stored": stored,
                "takes_people": stored.takes_people,
                "may_launch": may(request.user, stored, Deed.LAUNCH),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    # --- saving ------------------------------------------------------------------------------------

    def save_model(self, request, obj, form, change):
        stored = Study.objects.select_for_update().get(pk=obj.pk) if change else None
        form.faults_before = find_faults(stored) if stored else []
        if stored:
            obj.state, obj.current_version_id = stored.state, stored.current_version_id  # moved meanwhile
        if not stored or not stored.enrollments.exists():  # nobody rates in the old order yet
            obj.value_keys = list(get_tree(obj.value_system).value_keys)
        super().save_model(request, obj, form, change)
        if not change:
            log_event(obj, StudyEvent.Action.CREATED, "Made in the admin.", actor=request.user)
            make_owner(request, obj)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        study = form.instance
        made = fill_codes(study) if "_fill_codes" in request.POST else []
        faults = find_faults(study)
        if broken := find_broken(study, form.faults_before):
            raise WouldBreak(broken)
        has_changed = set(form.changed_data) - {"why"} or any(each.has_changed() for each in formsets) or made
        if change and has_changed:
            note_change(study, actor=request.user, reason=form.cleaned_data.get("why", ""))
        if made:
            messages.success(
                request, f"{len(made)} completion codes were made. Enter the same ones at Prolific."
            )
        elif "_fill_codes" in request.POST:
            messages.success(request, "Every way out that can happen in this study had its code already.")
        if study.takes_people:
            if faults:
                messages.error(
                    request, list_reasons("People can enter this study, but it has faults:", faults)
                )
            for warning in find_warnings(study):
                messages.warning(request, warning)

    @transaction.atomic
    def delete_model(self, request, obj):
        log_event(obj, StudyEvent.Action.ERASURE, f"The study was deleted ({obj.state}).", actor=request.user)
        super().delete_model(request, obj)

    def response_add(self, request, obj, post_url_continue=None):
        return super().response_add(self._stay(request), obj, post_url_continue)

    def response_change(self, request, obj):
        return super().response_change(self._stay(request), obj)

    def _stay(self, request: HttpRequest) -> HttpRequest:
        """Whoever has codes filled in wants to see them."""
        if "_fill_codes" in request.POST:
            request.POST = request.POST.copy()
            request.POST["_continue"] = "1"
        return request


def was_launched(study: Study | None) -> bool:
    return study is not None and (study.state != Study.State.DRAFT or study.current_version_id is not None)


def arrange(context: dict[str, Any], stored: Study | None) -> list[Section]:
    """Return the page's sections with their fields, and with what is wrong with the stored study."""
    fieldsets = {fieldset.name: fieldset for fieldset in context["adminform"]}
    inlines = {each.formset.prefix: each for each in context["inline_admin_formsets"]}
    n_faulty = name_faults(stored, inlines["steps"].formset.forms) if stored else 0
    topics = {topic.key: topic for topic in review_study(stored)} if stored else {}
    sections = list_sections()
    for section in sections:
        if fieldset := fieldsets.get(section.key):
            fieldset.name = None  # the section has the heading
            section.fieldset = fieldset
        section.inline = inlines.get("completion_codes" if section.key == "codes" else section.key)
        for topic in (topics[key] for key in section.topics if key in topics):
            section.faults += topic.faults
            section.warnings += topic.warnings
        section.n_faults = len(section.faults)
        if section.key == "steps":  # each step says its own
            beside = {fault for form in section.inline.formset.forms for fault in getattr(form, "faults", ())}
            section.faults = [fault for fault in section.faults if fault not in beside]
            section.n_faults = len(section.faults) + n_faulty
    return sections


def list_pages(study: Study) -> list[tuple[str, str]]:
    """Return the pages of a study beside its set-up, as labels and addresses."""
    names = [
        ("Watch", "modeling:watch"),
        ("Check and launch", "modeling:launch"),
        ("Data", "modeling:data"),
        ("Figures", "modeling:study"),
    ]
    return [(label, reverse(name, args=[study.slug])) for label, name in names]


def build_participant_link(request: HttpRequest, study: Study) -> str:
    """Return the link to enter at Prolific, which fills in who comes."""
    query = "&".join(f"{name}={{{{%{name}%}}}}" for name in PARAMETERS)
    return f"https://{request.get_host()}{reverse('annotation:arrival', args=[study.slug])}?{query}"


def count_rows(study: Study) -> list[tuple[str, int]]:
    """Return what a study holds, as labels and numbers, without its rehearsal."""
    came = study.enrollments.exclude(phase=Enrollment.Phase.REHEARSAL)
    people = came.aggregate(
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
        ("Completed", people["completed"]),
        ("Simulated", people["simulated"]),
        ("Posts to label", posts["labeling"]),
        ("Posts to calibrate", posts["calibration"]),
        ("Annotations", Annotation.objects.filter(enrollment__in=came).count()),
    ]
