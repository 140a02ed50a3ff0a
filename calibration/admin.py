"""The calibration questionnaire and the questionnaires of a study; raters' answers are only read."""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count

from annotation.admin import ObjectField, RaterRowAdmin, show_json
from annotation.models import Post

from .models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse


class CalibrationQuestionForm(forms.ModelForm):
    def clean(self):
        data = super().clean()
        post, study = data.get("post"), data.get("study")
        if post and study and post.study_id != study.pk:
            self.add_error("post", "This post belongs to another study.")
        elif post and post.purpose != Post.Purpose.CALIBRATION:
            self.add_error("post", "This post is for labeling; choose one whose purpose is calibration.")
        return data


@admin.register(CalibrationQuestion)
class CalibrationQuestionAdmin(admin.ModelAdmin):
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


@admin.register(Questionnaire)
class QuestionnaireAdmin(admin.ModelAdmin):
    form = QuestionnaireForm
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["key", "study", "version", "n_responses"]
    list_filter = ["study"]
    list_select_related = ["study"]
    search_fields = ["key"]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(n_responses=Count("responses"))

    @admin.display(description="version")
    def version(self, questionnaire):
        return questionnaire.definition.get("version")

    @admin.display(description="responses", ordering="n_responses")
    def n_responses(self, questionnaire):
        return questionnaire.n_responses


@admin.register(CalibrationAnswer)
class CalibrationAnswerAdmin(RaterRowAdmin):
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
    list_display = ["pseudonym", "study", "questionnaire_key", "version", "submitted_at", "simulated"]
    list_filter = ["enrollment__study", "enrollment__rater__origin"]
    list_select_related = ["enrollment__rater", "enrollment__study", "questionnaire"]
    search_fields = ["enrollment__rater__pseudonym"]
    fields = ["enrollment", "questionnaire", "version", "submitted_at", "simulated", "answers_given"]
    readonly_fields = ["simulated", "answers_given"]
    ordering = ["-pk"]

    @admin.display(description="questionnaire", ordering="questionnaire__key")
    def questionnaire_key(self, response):
        return response.questionnaire.key

    @admin.display(description="answers")
    def answers_given(self, response):
        return show_json(response.answers)
