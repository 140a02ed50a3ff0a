"""The steps of a study on its page: their order, and the settings of each kind as fields."""

import json
import math
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F
from django.utils.functional import cached_property

from annotation.launch import find_faults_of_step, find_faults_of_values, list_item_keys
from annotation.models import Step, StepCompletion, Study
from annotation.steps import KINDS

from .objects import ObjectField
from .plain import (
    SECTIONS_HELP,
    PlainSettings,
    Setting,
    make_choice,
    make_number,
    make_text,
    read_sections,
    show_sections,
)
from .scoped import StudyPartInline

OUT_OF_THE_WAY = 16_000  # above every position the form accepts
STEPS_STAY = (
    "People have entered this study, and each of them stands on one of its steps. Steps can no longer be added, "
    "deleted, moved or changed in kind, nor the keys of the posts of a training or a gate; their texts and numbers "
    "can. For another path, make a new study. If it was only a rehearsal, erase that on the page 'Rehearse'."
)
ABOUT_KINDS = {
    "consent": "Asks whether people take part. Its words are those of the section 'Consent' below.",
    "instructions": "A page to read: what the task is, and how to do it.",
    "attention_check": "A question that everyone who reads it answers right.",
    "training": "Practice posts with known answers. A wrong answer is explained and asked again.",
    "gating": "Posts with known answers, without help. Who reads too few of them right is screened out.",
    "labeling": "Posts of this study, one after the other, each read through the value system.",
    "vcq": "The calibration questions, the same for everyone. They are the study's own, kept with its questionnaires.",
    "questionnaire": "Questions about the person.",
    "debrief": "The last page to read: what it was about.",
}
AS_JSON = {
    "consent": "None: {}. Its texts are the study's own, below 'Consent'.",
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
SAMPLE_GRID = {
    "kind": "grid",
    "question": "How was it so far? Please choose one answer in each row.",
    "options": [
        {"value": "disagree", "label": "Disagree"},
        {"value": "slightly_disagree", "label": "Slightly disagree"},
        {"value": "slightly_agree", "label": "Slightly agree"},
        {"value": "agree", "label": "Agree"},
    ],
    "rows": [
        {"key": "clear", "text": "It was clear to me what I was asked to do."},
        {
            "key": "reads_rows",
            "text": 'This row shows us that you read each row: please choose "Slightly disagree" here.',
            "instructed": "slightly_disagree",
        },
        {"key": "interesting", "text": "The posts were interesting to read."},
    ],
}
TEXTS, KNOWN = ("instructions", "debrief"), ("training", "gating")
SETTINGS: list[Setting] = [
    Setting("title", ("title",), make_text("Heading", "Stands at the top of the page."), TEXTS),
    Setting(
        "sections",
        ("sections",),
        make_text("Text", SECTIONS_HELP, rows=9),
        TEXTS,
        show=show_sections,
        read=read_sections,
    ),
    Setting(
        "check",
        ("kind",),
        make_choice(
            "What is asked",
            "The grid starts with an example of three rows, which can be changed as JSON below.",
            lambda study: [
                ("number", "A number to be read off an image"),
                ("grid", "A grid of statements, one of which says which answer to give"),
            ],
        ),
        ("attention_check",),
        standard="number",
    ),
    Setting(
        "question",
        ("question",),
        make_text("Question above the grid", "Of a grid only."),
        ("attention_check",),
    ),
    Setting("intro", ("intro",), make_text("Introduction", "Stands above the first post.", rows=3), KNOWN),
    Setting(
        "tolerance",
        ("tolerance",),
        make_number("Tolerance", "How many steps of the scale a rating may be off.", min_value=0),
        ("training",),
        standard=1,
    ),
    Setting(
        "threshold",
        ("threshold",),
        make_number(
            "Posts to read right",
            "How many of the gate's posts someone must read right to go on. The paper asks for 2 of 4.",
            min_value=1,
        ),
        ("gating",),
        standard=2,
    ),
    Setting(
        "posts",
        ("posts",),
        make_number(
            "Number of posts",
            "How many posts each person reads in this step. Empty for the number under 'Who reads what' below.",
            min_value=1,
        ),
        ("labeling",),
    ),
]


def offer_setting(setting: Setting) -> None:
    """Give a kind of step of another room a field on the study's page. Raises ValueError when the name is taken."""
    if any(known.name == setting.name for known in SETTINGS):
        raise ValueError(f"the setting {setting.name!r} is there already")
    SETTINGS.append(setting)


class StepForm(PlainSettings, forms.ModelForm):
    faults: Sequence[str] = ()
    position = forms.IntegerField(
        label="Place",
        min_value=1,
        max_value=1000,
        help_text="Steps are walked in the order of these numbers.",
    )

    class Meta:
        help_texts = {
            "config": "All settings of this step as they are kept, also those that have no field of their own."
        }
        labels = {"config": "Settings as JSON"}

    def __init__(self, *args, study: Study | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.kind
        choices = [("", "Choose what happens here"), *((kind.key, kind.label) for kind in KINDS.values())]
        if stored and stored not in KINDS:
            choices.append((stored, f"{stored} (unknown)"))
        self.fields["kind"] = forms.ChoiceField(
            label="What happens here", choices=choices, help_text="Its settings appear below."
        )
        config = self.initial.get("config") or {}
        self.left_out = []
        for setting in SETTINGS:
            is_own = stored in setting.kinds
            self.left_out += self.add_settings([setting], config if is_own else {}, study)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The fields of each kind's settings, for the page; only those of the chosen kind are in view."""
        kind = self["kind"].value() or ""
        return [
            {
                "kinds": " ".join(setting.kinds),
                "is_shown": kind in setting.kinds,
                "field": self[setting.name],
            }
            for setting in SETTINGS
            if setting.name in self.fields
        ]

    @property
    def explanations(self) -> list[tuple[str, str, str, bool]]:
        kind = self["kind"].value() or ""
        return [
            (
                key,
                ABOUT_KINDS.get(key, ""),
                AS_JSON.get(key, "See the documentation of this kind of step."),
                key == kind,
            )
            for key in KINDS
        ]

    @property
    def brief(self) -> str:
        """What tells this step from others of its kind, in a few words."""
        for setting in SETTINGS:
            if setting.name in ("title", "check", "questionnaire", "posts") and setting.name in self.fields:
                bound = self[setting.name]
                if (self["kind"].value() or "") not in setting.kinds or bound.value() in (None, ""):
                    continue
                words = dict(getattr(bound.field, "choices", ())).get(bound.value(), bound.value())
                return f"{words} posts" if setting.name == "posts" else str(words)
        return ""

    @property
    def config_text(self) -> str:
        return json.dumps(self.instance.config, indent=2, ensure_ascii=False)

    @property
    def unshown(self) -> list[str]:
        """What this step has that can be changed as JSON only."""
        return [str(setting.make_field(None).label) for setting in self.left_out]

    @property
    def label(self) -> str:
        kind = KINDS.get(self["kind"].value() or "")
        return kind.label if kind else (self["kind"].value() or "New step")

    def clean(self) -> dict:
        data = super().clean()
        if "config" not in data or not data.get("kind"):
            return data
        kind, was = data["kind"], self.initial.get("kind")
        config = data["config"]
        if kind != was and "config" not in self.changed_data:
            config = _start(kind, config)
        own = [setting for setting in SETTINGS if kind in setting.kinds]
        merged = self.merge_settings("config", own, config)
        if kind == "attention_check" and "config" not in self.changed_data:
            merged = _complete_check(merged)
        data["config"] = merged
        return data

    def validate_constraints(self) -> None:
        """Leave the order to the formset: two steps that change places are no conflict."""


def _start(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return what a step that becomes of this kind begins with: what it had that the kind knows, and the usual."""
    begun: dict[str, Any] = {}
    for setting in SETTINGS:
        if kind not in setting.kinds:
            continue
        kept = setting.get(config) if setting.can_show(config, setting.make_field(None)) else None
        setting.put(begun, setting.standard if kept is None else kept)
    return begun


def _complete_check(config: dict[str, Any]) -> dict[str, Any]:
    """Give a grid that has just been chosen its example, and take from a number what a grid has."""
    if config.get("kind") == "grid" and "rows" not in config:
        return SAMPLE_GRID | config
    return {"kind": "number"} if config.get("kind") == "number" else config


class StepFormSet(forms.BaseInlineFormSet):
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        study = self.instance if self.instance.pk else None
        return {**super().get_form_kwargs(index), "study": study}

    def clean(self) -> None:
        if self.is_fixed and any(map(self._moves_the_ground, self.forms)):
            raise ValidationError(STEPS_STAY)
        super().clean()

    @cached_property
    def is_fixed(self) -> bool:
        """Whether people stand on these steps."""
        return StepCompletion.objects.filter(step__study=self.instance.pk).exists()

    @property
    def in_order(self) -> list[StepForm]:
        """Return the forms as their numbers put them, also where they came back with a fault."""
        return sorted(self.forms, key=_read_place)

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


def _read_place(form: StepForm) -> float:
    try:
        return int(form["position"].value())
    except (TypeError, ValueError):
        return math.inf


class StepInline(StudyPartInline):
    model = Step
    form = StepForm
    formset = StepFormSet
    template = "admin/annotation/study/_steps.html"
    fields = ["position", "kind", "config"]
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    ordering = ["position"]

    def get_extra(self, request, obj=None, **kwargs):
        """Without scripts, another step is asked for by a link."""
        return 1 if "more" in request.GET else 0


def name_faults(study: Study, forms_of_steps: Sequence[StepForm]) -> int:
    """Put what is wrong with each stored step beside its form; return how many steps have faults."""
    can_tell = not find_faults_of_values(study)
    stored = {step.pk: step for step in study.steps.all()} if can_tell else {}
    n_faulty = 0
    for form in forms_of_steps:
        step = stored.get(form.instance.pk)
        form.faults = find_faults_of_step(step) if step else []
        n_faulty += bool(form.faults)
    return n_faulty
