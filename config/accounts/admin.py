"""The accounts of researchers, kept by administrators. What an account may do in a study is its role there."""

import logging

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef

logger = logging.getLogger("accounts")

# Addresses are not used, groups give no rights here, and a second factor is removed below.
for model in (EmailAddress, Authenticator, Group, User):
    admin.site.unregister(model)


@admin.register(User)
class AccountAdmin(UserAdmin):
    """An account is closed, not deleted: what it did stays under its name."""

    list_display = [
        "username",
        "first_name",
        "last_name",
        "is_superuser",
        "has_app",
        "is_active",
        "last_login",
    ]
    list_filter = ["is_superuser", "is_active"]
    actions = ["remove_second_factor"]
    filter_horizontal = []
    readonly_fields = ["last_login", "date_joined", "has_app"]
    fieldsets = [
        (None, {"fields": ["username", "password", "has_app"]}),
        ("Who it is", {"fields": ["first_name", "last_name", "email"]}),
        (
            "What it opens",
            {
                "fields": ["is_active", "is_staff", "is_superuser"],
                "description": (
                    "A researcher has staff status, makes studies and owns them; roles in the studies of others are "
                    "given on their pages. A superuser may do everything in every study, and keeps the accounts. "
                    "Take 'active' away to close an account."
                ),
            },
        ),
        ("Times", {"fields": ["last_login", "date_joined"]}),
    ]

    def get_queryset(self, request):
        apps = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
        return super().get_queryset(request).annotate(has_app=Exists(apps))

    def has_module_permission(self, request):
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request, obj=None):
        return self.has_module_permission(request)

    def has_add_permission(self, request):
        return self.has_module_permission(request)

    def has_change_permission(self, request, obj=None):
        return self.has_module_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        """Whoever is given an account here is a researcher."""
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)

    @admin.display(description="second factor", boolean=True, ordering="has_app")
    def has_app(self, user):
        return user.has_app

    @admin.action(description="Remove the second factor, to be set up anew", permissions=["change"])
    def remove_second_factor(self, request, queryset):
        removed = queryset.filter(has_app=True)
        for user in removed:
            Authenticator.objects.filter(user=user).delete()
            self.log_change(request, user, "Removed the second factor.")
            logger.warning("%s removed the second factor of account %s", request.user, user)
        messages.success(
            request,
            f"{len(removed)} accounts have no second factor any more. They set up a new one at their next login.",
        )
