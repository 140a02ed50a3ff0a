"""Posts one by one; files of posts have pages of their own."""

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Count

from annotation.models import Post

from .objects import ObjectField
from .parts import PartOfStudies
from .scoped import StudyScopedAdmin


class PostForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "study": "The study this post is read in.",
            "key": "Names the post in exports; once in a study. The post's own number, for example.",
            "purpose": "Whether it is read in the labeling steps, or asked about in the calibration questionnaire.",
            "text": "The words of the post, as raters read them. Empty only for imported items without text.",
            "context_kind": "Whether the post replies to another post, or quotes one.",
            "context_text": "The words of that other post, which raters read above this one.",
            "metadata": "Whatever else is known of the post, as JSON. Raters never see it; exports hold it.",
        }

    def clean(self):
        data = super().clean()
        kind, text = data.get("context_kind"), data.get("context_text")
        if kind is not None and text is not None and bool(kind) != bool(text):
            self.add_error(
                "context_text" if kind else "context_kind", "A context needs both its kind and its text."
            )
        return data


@admin.register(Post)
class PostAdmin(PartOfStudies, StudyScopedAdmin):
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
