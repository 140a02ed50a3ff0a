"""Stored fits, scores and reports, to be read; jobs write them."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from annotation.admin import RaterRowAdmin, ReadOnlyAdmin, mark_simulated, show_json
from annotation.permissions import Deed

from .inclusion import InclusionRule, describe
from .models import DataExport, FitRun, PostScore, PromptVersion, QualityFlag, Report


@admin.register(FitRun)
class FitRunAdmin(ReadOnlyAdmin):
    list_display = ["pk", "study", "consensus_name", "n_raters", "n_annotations", "created_at", "simulated"]
    list_filter = ["study", "has_simulated"]
    list_select_related = ["study"]
    search_fields = ["key", "study__slug"]
    date_hierarchy = "created_at"
    fields = [
        "study",
        "created_at",
        "outdated_at",
        "consensus_name",
        ("n_raters", "n_annotations"),
        "simulated",
        "notes_given",
        "settings_used",
        "holdout_size",
        "features",
        "key",
        "data_hash",
        "code_version",
        "artefact",
        "artefact_sha256",
    ]
    readonly_fields = ["simulated", "notes_given", "settings_used", "holdout_size", "features"]

    @admin.display(description="simulated", ordering="has_simulated")
    def simulated(self, fit_run):
        return mark_simulated(fit_run.has_simulated)

    @admin.display(description="notes")
    def notes_given(self, fit_run):
        return show_json(fit_run.notes)

    @admin.display(description="settings")
    def settings_used(self, fit_run):
        return show_json(fit_run.settings)

    @admin.display(description="posts in the holdout")
    def holdout_size(self, fit_run):
        return len(fit_run.holdout_post_ids)

    @admin.display(description="features")
    def features(self, fit_run):
        return show_json(fit_run.feature_names)


@admin.register(PostScore)
class PostScoreAdmin(ReadOnlyAdmin):
    list_display = ["post_key", "study", "fit_run_id", "is_out_of_fold", "simulated"]
    study_path = "fit_run__study"
    list_filter = ["fit_run__study", "is_out_of_fold"]
    list_select_related = ["fit_run__study", "post"]
    search_fields = ["post__key"]
    fields = ["fit_run", "post", "is_out_of_fold", "simulated", "score_table"]
    readonly_fields = ["simulated", "score_table"]
    ordering = ["-fit_run", "pk"]

    @admin.display(description="post", ordering="post__key")
    def post_key(self, score):
        return score.post.key

    @admin.display(description="study", ordering="fit_run__study__slug")
    def study(self, score):
        return score.fit_run.study

    @admin.display(description="fitted on simulated raters", ordering="fit_run__has_simulated")
    def simulated(self, score):
        return mark_simulated(score.fit_run.has_simulated)

    @admin.display(description="scores")
    def score_table(self, score):
        rows = (
            (key, f"{number:.2f}")
            for key, number in zip(score.fit_run.study.value_keys, score.scores, strict=True)
        )
        return format_html(
            "<table>{}</table>", format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', rows)
        )


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ["pk", "study", "kind", "who_counts", "created_at", "is_current", "simulated", "results"]
    list_filter = ["study", "kind"]
    list_select_related = ["study"]
    search_fields = ["study__slug", "data_hash"]
    date_hierarchy = "created_at"
    fields = [
        "study",
        "kind",
        "fit_run",
        "who_counts",
        "created_at",
        "outdated_at",
        "data_hash",
        "code_version",
        "simulated",
        "results",
        "measured",
    ]
    readonly_fields = ["who_counts", "simulated", "results", "measured"]

    @admin.display(description="who counts")
    def who_counts(self, report):
        return describe(InclusionRule.from_dict(report.rule)).capitalize()

    @admin.display(description="up to date", boolean=True)
    def is_current(self, report):
        return report.outdated_at is None

    @admin.display(description="simulated")
    def simulated(self, report):
        return mark_simulated(report.measures.get("n_simulated", 0) > 0)

    @admin.display(description="results")
    def results(self, report):
        return format_html('<a href="{}">Results</a>', reverse("modeling:study", args=[report.study.slug]))

    @admin.display(description="measures")
    def measured(self, report):
        return show_json(report.measures)


@admin.register(QualityFlag)
class QualityFlagAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "rule", "number", "limit", "flagged_at", "simulated"]
    list_filter = ["enrollment__study", "rule"]
    list_select_related = ["enrollment__rater", "enrollment__study"]
    search_fields = ["enrollment__rater__pseudonym", "rule"]
    fields = ["enrollment", "rule", "number", "limit", "flagged_at", "simulated"]
    readonly_fields = ["simulated"]
    ordering = ["-flagged_at", "-pk"]


@admin.register(DataExport)
class DataExportAdmin(ReadOnlyAdmin):
    """What was taken out of a study; the archives themselves are fetched from the study's data page."""

    view_deed = Deed.EXPORT
    list_display = ["pk", "study", "created_at", "asked_by", "megabytes", "short_digest"]
    list_filter = ["study"]
    list_select_related = ["study"]
    search_fields = ["study__slug", "sha256", "asked_by"]
    date_hierarchy = "created_at"
    fields = ["study", "created_at", "asked_by", "megabytes", "sha256", "rows_of_tables", "who_is_in_it"]
    readonly_fields = ["megabytes", "rows_of_tables", "who_is_in_it"]

    @admin.display(description="size", ordering="n_bytes")
    def megabytes(self, export):
        return f"{export.n_bytes / 1e6:,.1f} MB"

    @admin.display(description="SHA-256")
    def short_digest(self, export):
        return export.sha256[:12]

    @admin.display(description="rows of each table")
    def rows_of_tables(self, export):
        return show_json(export.counts)

    @admin.display(description="who is in it")
    def who_is_in_it(self, export):
        return show_json(export.inclusion)


@admin.register(PromptVersion)
class PromptVersionAdmin(ReadOnlyAdmin):
    """What language models were asked; new versions are worded on the study's own pages."""

    list_display = ["pk", "study", "purpose", "number", "note", "created_by", "created_at", "page"]
    list_filter = ["study", "purpose"]
    list_select_related = ["study", "created_by"]
    search_fields = ["study__slug", "note", "digest"]
    date_hierarchy = "created_at"
    fields = ["study", ("purpose", "number"), "note", "created_by", "created_at", "digest", "wording", "page"]
    readonly_fields = ["wording", "page"]

    @admin.display(description="wording")
    def wording(self, prompt):
        return show_json(prompt.content)

    @admin.display(description="page")
    def page(self, prompt):
        url = reverse("modeling:prompt", args=[prompt.study.slug, prompt.purpose, prompt.number])
        return format_html('<a href="{}">Read and edit</a>', url)
