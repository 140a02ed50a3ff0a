"""Rows that services write and staff read."""

from django.contrib import admin
from django.utils.html import format_html

from .scoped import StudyScopedAdmin


def mark_simulated(is_simulated: bool) -> str:
    return format_html('<span class="simulated">{}</span>', "simulated") if is_simulated else ""


class ReadOnlyAdmin(StudyScopedAdmin):
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
    """Rows to be read on the page of the row they belong to, by whoever may open that."""

    extra = 0
    can_delete = False

    def has_view_permission(self, request, obj=None):
        return True

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False


class RaterRowAdmin(ReadOnlyAdmin):
    """What one rater left in one study."""

    study_path = "enrollment__study"

    @admin.display(description="rater", ordering="enrollment__rater__pseudonym")
    def pseudonym(self, row):
        return row.enrollment.rater.pseudonym

    @admin.display(description="study", ordering="enrollment__study__slug")
    def study(self, row):
        return row.enrollment.study

    @admin.display(description="simulated", ordering="enrollment__rater__origin")
    def simulated(self, row):
        return mark_simulated(row.enrollment.rater.is_simulated)
