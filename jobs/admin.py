from django.contrib import admin, messages
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.html import format_html

from . import services
from .models import Heartbeat, Job


class ReadOnly(admin.ModelAdmin):
    """Rows are written by services; administrators alone read them: a job may belong to any study."""

    def has_module_permission(self, request):
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request, obj=None):
        return self.has_module_permission(request)

    def has_change_permission(self, request, obj=None):
        return self.has_module_permission(request)

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def get_readonly_fields(self, request, obj=None):
        return [field.name for field in self.model._meta.fields if field.name not in self.exclude]


@admin.register(Job)
class JobAdmin(ReadOnly):
    list_display = ["kind", "key", "state", "attempts", "progress", "parts", "created_at", "finished_at"]
    list_filter = ["state", "kind", ("whole", admin.EmptyFieldListFilter)]
    search_fields = ["key", "kind"]
    date_hierarchy = "created_at"
    actions = ["retry_selected", "cancel_selected"]
    exclude = ["lease_token"]
    show_full_result_count = False

    @admin.display(description="progress")
    def progress(self, job):
        return f"{job.progress_done} of {job.progress_total}" if job.progress_total else "-"

    def get_queryset(self, request):
        done = Count("parts", filter=Q(parts__state=Job.State.DONE))
        return super().get_queryset(request).annotate(n_parts=Count("parts"), n_parts_done=done)

    @admin.display(description="parts")
    def parts(self, job):
        page = reverse("admin:jobs_job_changelist")
        if job.n_parts:
            done = f"{job.n_parts_done} of {job.n_parts} done"
            return format_html('<a href="{}?whole__id__exact={}">{}</a>', page, job.pk, done)
        if job.whole_id:
            whole = reverse("admin:jobs_job_change", args=[job.whole_id])
            return format_html('<a href="{}">part of {}</a>', whole, job.whole_id)
        return "-"

    @admin.action(description="Try the selected failed or cancelled jobs again", permissions=["change"])
    def retry_selected(self, request, queryset):
        self._each(request, queryset, services.retry, "queued again")

    @admin.action(description="Cancel the selected jobs", permissions=["change"])
    def cancel_selected(self, request, queryset):
        self._each(request, queryset, services.cancel, "cancelled")

    def _each(self, request, queryset, act, done):
        changed = sum(act(job) for job in queryset)
        left = queryset.count() - changed
        note = f" {left} were in a state that does not allow it." if left else ""
        self.message_user(
            request, f"{changed} jobs {done}.{note}", messages.WARNING if left else messages.SUCCESS
        )


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "at"]
    exclude = []
