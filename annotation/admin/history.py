"""What a study was and who did what to it, to be read: versions, the log, access, files of posts, exclusions."""

from django.contrib import admin
from django.utils.html import format_html_join

from annotation.models import Exclusion, PostUpload, StudyAccess, StudyEvent, StudyVersion
from annotation.permissions import Deed

from .objects import show_json
from .rows import RaterRowAdmin, ReadOnlyAdmin


@admin.register(StudyVersion)
class StudyVersionAdmin(ReadOnlyAdmin):
    list_display = ["name", "study", "made_at", "made_by", "reason", "n_posts", "short_digest"]
    list_filter = ["study"]
    list_select_related = ["study"]
    search_fields = ["digest", "reason"]
    date_hierarchy = "made_at"
    ordering = ["-made_at", "-pk"]
    fields = [
        "study",
        "number",
        "made_at",
        "made_by",
        "reason",
        "code_version",
        "digest",
        "n_posts",
        "study_file",
    ]
    readonly_fields = ["n_posts", "study_file"]

    @admin.display(description="version", ordering="number")
    def name(self, version):
        return f"Version {version.number}"

    @admin.display(description="posts")
    def n_posts(self, version):
        return len(version.post_digests)

    @admin.display(description="SHA-256")
    def short_digest(self, version):
        return version.digest[:12]

    @admin.display(description="the study as it was frozen")
    def study_file(self, version):
        return show_json(version.content)


@admin.register(StudyEvent)
class StudyEventAdmin(ReadOnlyAdmin):
    list_display = ["at", "study_slug", "actor_name", "action", "summary", "reason"]
    list_filter = ["action", "study"]
    list_select_related = ["study"]
    search_fields = ["study_slug", "actor_name", "summary", "reason"]
    date_hierarchy = "at"
    fields = ["at", "study_slug", "actor_name", "action", "summary", "reason", "details"]
    readonly_fields = ["details"]

    @admin.display(description="details")
    def details(self, event):
        return show_json(event.detail)


@admin.register(StudyAccess)
class StudyAccessAdmin(ReadOnlyAdmin):
    view_deed = Deed.GIVE_ACCESS
    list_display = ["user", "study", "role"]
    list_filter = ["study", "role"]
    list_select_related = ["study", "user"]
    search_fields = ["user__username", "study__slug"]
    fields = ["study", "user", "role"]


@admin.register(PostUpload)
class PostUploadAdmin(ReadOnlyAdmin):
    list_display = ["name", "study", "state", "uploaded_at", "uploaded_by", "numbers"]
    list_filter = ["study", "state"]
    list_select_related = ["study"]
    search_fields = ["name", "sha256"]
    date_hierarchy = "uploaded_at"
    fields = [
        "study",
        "name",
        "state",
        "problem",
        "uploaded_at",
        "uploaded_by",
        "numbers",
        "sha256",
        "how_it_was_read",
    ]
    readonly_fields = ["numbers", "how_it_was_read"]

    @admin.display(description="counts")
    def numbers(self, upload):
        counts = ((key.replace("_", " "), n) for key, n in upload.counts.items() if isinstance(n, int))
        return format_html_join(", ", "{}: {}", counts) or "–"

    @admin.display(description="how it was read")
    def how_it_was_read(self, upload):
        return show_json(upload.settings)


@admin.register(Exclusion)
class ExclusionAdmin(RaterRowAdmin):
    list_display = ["pseudonym", "study", "reason", "excluded_at", "excluded_by", "simulated"]
    list_filter = ["enrollment__study"]
    list_select_related = ["enrollment__rater", "enrollment__study"]
    search_fields = ["enrollment__rater__pseudonym", "reason"]
    date_hierarchy = "excluded_at"
    fields = ["enrollment", "reason", "excluded_at", "excluded_by", "simulated"]
    readonly_fields = ["simulated"]
    ordering = ["-excluded_at", "-pk"]
