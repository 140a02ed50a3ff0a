"""The calibration questionnaire and the questionnaires of a study; raters' answers are only read."""

import math
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import Count, QuerySet, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join

from annotation.admin import ObjectField, RaterRowAdmin, show_json
from annotation.admin.parts import PartOfStudies
from annotation.admin.plain import Setting, make_choice
from annotation.admin.scoped import StudyScopedAdmin, list_study_ids, offer_rows
from annotation.admin.steps import offer_setting
from annotation.errors import Refused
from annotation.models import Post, Study
from annotation.permissions import Deed
from annotation.versions import note_change
from jobs.models import Job

from .derivation_pages import DerivationForm, TargetForm, build_preview
from .deriving import DERIVE, describe_origin, list_questions, request_derivation
from .instrument.faults import InstrumentError
from .instrument.scoring import CENTRED, ScaleScore
from .instrument.shipped import load_scoring_key, load_scoring_keys
from .instrument.texts import MAX_BYTES, build_definition, read_item_texts
from .models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from .selectors import score_response
from .services import replace_vcq


def list_questionnaires(study: Study | None) -> list[tuple[str, str]]:
    """Return a study's questionnaires as choices."""
    if study is None:
        return [("", "Save the study first; then make its questionnaires")]
    prefetch_related_objects([study], "questionnaires")
    there = [
        (each.key, f"{each.definition.get('title') or each.key} ({each.key})")
        for each in study.questionnaires.all()
    ]
    return [("", "Choose one" if there else "This study has no questionnaire yet"), *there]


offer_setting(
    Setting(
        "questionnaire",
        ("questionnaire",),
        make_choice(
            "Questionnaire",
            "One of this study's questionnaires. They are written under 'Questionnaires' in the admin.",
            list_questionnaires,
        ),
        ("questionnaire",),
        replaces=True,
    )
)


class CalibrationQuestionForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "study": "The study that asks this question.",
            "position": "The place among the calibration questions, from 1.",
            "post": "The post that is asked about; one whose purpose is the calibration questionnaire.",
            "value_key": "The value that is asked about, by its key in the value system.",
        }

    def clean(self):
        data = super().clean()
        post, study = data.get("post"), data.get("study")
        if post and study and post.study_id != study.pk:
            self.add_error("post", "This post belongs to another study.")
        elif post and post.purpose != Post.Purpose.CALIBRATION:
            self.add_error("post", "This post is for labeling; choose one whose purpose is calibration.")
        return data


@admin.register(CalibrationQuestion)
class CalibrationQuestionAdmin(PartOfStudies, StudyScopedAdmin):
    form = CalibrationQuestionForm
    list_display = ["position", "study", "post_key", "value_key", "n_answers"]
    list_display_links = ["position", "value_key"]
    list_filter = ["study"]
    list_select_related = ["study", "post"]
    search_fields = ["value_key", "post__key"]
    raw_id_fields = ["post"]
    fields = ["study", "position", "post", "value_key"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(n_answers=Count("answers"))

    def get_urls(self):
        view = self.admin_site.admin_view
        name = "calibration_calibrationquestion"
        return [
            path("derive/", view(self.ask_for_derivation), name=f"{name}_derive"),
            path("derive/<int:number>/", view(self.show_derivation), name=f"{name}_derived"),
            *super().get_urls(),
        ]

    def ask_for_derivation(self, request: HttpRequest) -> HttpResponse:
        """Have a worker choose questions from a pre-study. No study changes by it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        sent = (request.POST,) if request.method == "POST" else ()
        form = DerivationForm(*sent, studies=offer_rows(self.admin_site, Study, request))
        if form.is_valid():
            job = request_derivation(form.cleaned_data["study"], form.read_settings())
            return redirect("admin:calibration_calibrationquestion_derived", job.pk)
        return self._render(request, "derive", "Derive questions from a pre-study", form=form)

    def show_derivation(self, request: HttpRequest, number: int) -> HttpResponse:
        """Show which questions were chosen; let a study ask them."""
        job = Job.objects.filter(pk=number, kind=DERIVE).first()
        if job is None or job.payload["study"] not in list_study_ids(request, Deed.SET_UP):
            raise Http404
        source = Study.objects.filter(pk=job.payload["study"]).first()
        if source is None:
            raise Http404
        targets = offer_rows(self.admin_site, Study, request).exclude(pk=source.pk)
        form = TargetForm(request.POST if request.method == "POST" else None, studies=targets)
        if job.state == Job.State.DONE and form.is_valid():
            target, origin = form.cleaned_data["target"], describe_origin(job.result)
            try:
                replace_vcq(target, source, list_questions(job.result), origin=origin, actor=request.user)
            except Refused as refusal:
                form.add_error("target", str(refusal))
            else:
                n_questions = len(job.result["questions"])
                messages.success(request, f"'{target.name}' asks these {n_questions} questions now.")
                address = reverse("admin:calibration_calibrationquestion_changelist")
                return redirect(f"{address}?study__id__exact={target.pk}")
        shown = build_preview(job.result) if job.state == Job.State.DONE else {}
        title = f"Questions derived from {source.name}"
        return self._render(request, "derived", title, form=form, job=job, source=source, **shown)

    def _render(self, request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(request, f"admin/calibration/calibrationquestion/{name}.html", context)

    def get_readonly_fields(self, request, obj=None):
        """A question that was answered stays what it was."""
        return self.fields if obj and obj.n_answers else []

    @admin.display(description="post", ordering="post__key")
    def post_key(self, question):
        return question.post.key

    @admin.display(description="answers", ordering="n_answers")
    def n_answers(self, question):
        return question.n_answers


class QuestionnaireForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "study": "The study that asks it.",
            "key": "Names the questionnaire in the study's steps and in exports.",
            "definition": (
                "Title, introduction and items as JSON, with a version that is raised when an answered one changes. "
                "The documentation has an example of every kind of item."
            ),
        }

    def clean(self):
        data = super().clean()
        definition = data.get("definition")
        if (
            definition
            and self.instance.pk
            and definition != self.instance.definition
            and self.instance.responses.filter(version=definition.get("version", 0)).exists()
        ):
            raise ValidationError("This version has been answered: raise 'version' along with the change.")
        return data


class ItemTextsForm(forms.Form):
    """The wording of a published questionnaire, for a scoring key that ships; `questionnaire` is what it makes."""

    study = forms.ModelChoiceField(Study.objects.none(), help_text="The study that is to ask it.")
    scoring = forms.ChoiceField(
        label="Scoring key",
        help_text="Which instrument this is. It says how many items there are and how they are scored.",
    )
    texts = forms.FileField(
        label="Item texts",
        help_text=(
            "A CSV file in UTF-8 with the columns number and text, one line for each item of the instrument. "
            "Use only wording that you may use."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )
    labels = forms.CharField(
        label="Answers",
        widget=forms.Textarea(attrs={"rows": 7, "class": "vLargeTextField"}),
        help_text="What each answer means, one a line, from the lowest to the highest.",
    )
    highest_first = forms.BooleanField(
        label="Show the highest answer first",
        required=False,
        help_text="As the instrument was published. What is stored and scored stays the same.",
    )
    key = forms.SlugField(help_text="Names the questionnaire in the study's steps and in exports.")
    title = forms.CharField(max_length=200, help_text="Heading of the page that raters see.")
    intro = forms.CharField(
        label="Introduction",
        required=False,
        help_text="A few sentences above the items, if wanted.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
    )
    instruction = forms.CharField(
        label="Question",
        max_length=500,
        help_text="Stands above the items and is read out with each of them.",
    )
    required = forms.BooleanField(
        label="Every item must be answered",
        required=False,
        initial=True,
        help_text="Nobody goes on with an item open.",
    )
    prefer_not_to_say = forms.BooleanField(
        label="Offer 'Prefer not to say' for each item",
        required=False,
        initial=True,
        help_text="An answer of its own, kept apart from the scale and from items that were left open.",
    )

    def __init__(self, *args, studies: QuerySet[Study], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["study"].queryset = studies
        self.fields["scoring"].choices = [
            (name, f"{key.instrument} ({len(key.items)} items, answers {key.minimum} to {key.maximum})")
            for name, key in load_scoring_keys().items()
        ]

    def clean_texts(self):
        file = self.cleaned_data["texts"]
        if file.size > MAX_BYTES:
            raise ValidationError(f"The file has {file.size:,} bytes; at most {MAX_BYTES:,} are read.")
        return file

    def clean(self) -> dict:
        data = super().clean()
        if self.errors:
            return data
        key = load_scoring_key(data["scoring"])
        try:
            texts = read_item_texts(data["texts"].read(), len(key.items))
        except InstrumentError as error:
            self.add_error("texts", list(error.faults))
            return data
        labels = [label.strip() for label in data["labels"].splitlines() if label.strip()]
        names = ("key", "title", "intro", "instruction", "highest_first", "required", "prefer_not_to_say")
        try:
            definition = build_definition(
                data["scoring"], key, texts, labels, **{name: data[name] for name in names}
            )
        except ValueError as error:
            self.add_error("labels", str(error))
            return data
        self.questionnaire = Questionnaire(study=data["study"], key=data["key"], definition=definition)
        try:
            self.questionnaire.full_clean()
        except ValidationError as error:
            self.add_error(None, error.messages)
        return data


@admin.register(Questionnaire)
class QuestionnaireAdmin(PartOfStudies, StudyScopedAdmin):
    form = QuestionnaireForm
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["key", "study", "version", "n_responses"]
    list_filter = ["study"]
    list_select_related = ["study"]
    search_fields = ["key"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(n_responses=Count("responses"))

    def get_urls(self):
        upload = path(
            "upload/",
            self.admin_site.admin_view(self.upload_texts),
            name="calibration_questionnaire_upload",
        )
        return [upload, *super().get_urls()]

    def upload_texts(self, request: HttpRequest) -> HttpResponse:
        """Make a study's questionnaire from uploaded item texts and a scoring key that ships."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        sent = (request.POST, request.FILES) if request.method == "POST" else ()
        form = ItemTextsForm(*sent, studies=offer_rows(self.admin_site, Study, request))
        if form.is_valid():
            with transaction.atomic():
                form.questionnaire.save()
                self.log_addition(request, form.questionnaire, "Made from uploaded item texts.")
                note_change(form.questionnaire.study, request.user, "A questionnaire was made of item texts.")
            messages.success(request, f"The questionnaire '{form.questionnaire.key}' was made.")
            return redirect("admin:calibration_questionnaire_change", form.questionnaire.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Upload item texts",
            "form": form,
        }
        return TemplateResponse(request, "admin/calibration/questionnaire/upload.html", context)

    @admin.display(description="version")
    def version(self, questionnaire):
        return questionnaire.definition.get("version")

    @admin.display(description="responses", ordering="n_responses")
    def n_responses(self, questionnaire):
        return questionnaire.n_responses


@admin.register(CalibrationAnswer)
class CalibrationAnswerAdmin(RaterRowAdmin):
    view_deed = Deed.EXPORT
    list_display = [
        "pseudonym",
        "study",
        "question_position",
        "value_key",
        "rating",
        "answered_at",
        "simulated",
    ]
    list_filter = ["enrollment__study", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "question"]
    search_fields = ["enrollment__rater__pseudonym", "question__value_key"]
    fields = ["enrollment", "question", "rating", "answered_at", "simulated"]
    readonly_fields = ["simulated"]
    ordering = ["-pk"]

    @admin.display(description="question", ordering="question__position")
    def question_position(self, answer):
        return answer.question.position

    @admin.display(description="value", ordering="question__value_key")
    def value_key(self, answer):
        return answer.question.value_key


@admin.register(QuestionnaireResponse)
class QuestionnaireResponseAdmin(RaterRowAdmin):
    view_deed = Deed.EXPORT
    list_display = ["pseudonym", "study", "questionnaire_key", "version", "submitted_at", "simulated"]
    list_filter = ["enrollment__study", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "questionnaire"]
    search_fields = ["enrollment__rater__pseudonym"]
    fields = [
        "enrollment",
        "questionnaire",
        "version",
        "submitted_at",
        "simulated",
        "scale_scores",
        "answers_given",
    ]
    readonly_fields = ["simulated", "scale_scores", "answers_given"]
    ordering = ["-pk"]

    @admin.display(description="questionnaire", ordering="questionnaire__key")
    def questionnaire_key(self, response):
        return response.questionnaire.key

    @admin.display(description="answers")
    def answers_given(self, response):
        return show_json(response.answers)

    @admin.display(description="scale scores")
    def scale_scores(self, response):
        """Every score with the number of answers behind it, or why there is none."""
        scoring = response.questionnaire.instrument.scoring
        if scoring is None:
            return "This questionnaire names no scoring key."
        scores = score_response(response)
        rows = [
            (
                scale.label,
                _show_score(scores[scale.key]),
                _show_score(scores.get(scale.key + CENTRED)),
                scores[scale.key].n_answered,
                scores[scale.key].reason or getattr(scores.get(scale.key + CENTRED), "reason", ""),
            )
            for scale in scoring.scales
        ]
        return format_html(
            "<table><thead><tr><th>Scale</th><th>Score</th><th>Centred</th><th>Items answered</th><th></th></tr>"
            "</thead><tbody>{}</tbody></table>",
            format_html_join("", "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


def _show_score(score: ScaleScore | None) -> str:
    return "-" if score is None or math.isnan(score.value) else f"{score.value:.2f}"
