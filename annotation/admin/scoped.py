"""The admin by roles: rows of a study are shown and changed by whoever may do so in that study.

Django's model permissions play no part in it: an account needs `is_staff` and a role.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import ForeignKeyRawIdWidget
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest

from annotation.models import Study, StudyAccess
from annotation.permissions import Deed, filter_studies, is_administrator
from annotation.services.access import give_access

IDENTITIES = frozenset({"external_id", "prolific_study_id", "prolific_session_id"})


def list_study_ids(request: HttpRequest, deed: Deed) -> frozenset[int]:
    """Return the studies in which this request's account may do this, asked for once per request."""
    known = request.__dict__.setdefault("_study_ids", {})
    if deed not in known:
        known[deed] = frozenset(filter_studies(request.user, deed).values_list("pk", flat=True))
    return known[deed]


def make_owner(request: HttpRequest, study: Study) -> None:
    """Make the account that has just made this study its owner."""
    give_access(study, request.user, StudyAccess.Role.OWNER, actor=request.user)
    request.__dict__.pop("_study_ids", None)


def may_here(request: HttpRequest, study_id: int | None, deed: Deed) -> bool:
    """Return whether this request's account may do this in this study; None is a study that was deleted."""
    return study_id in list_study_ids(request, deed) or (study_id is None and is_administrator(request.user))


def may_anywhere(request: HttpRequest, deed: Deed) -> bool:
    """Return whether this request's account may do this in any study; an administrator before there is one."""
    return bool(list_study_ids(request, deed)) or is_administrator(request.user)


class StudyListFilter(admin.RelatedFieldListFilter):
    """A filter by study that names only those whose rows the list may show."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        studies = list_study_ids(request, model_admin.view_deed)
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to={"pk__in": studies})


class ScopedRawIdWidget(ForeignKeyRawIdWidget):
    """Names the chosen row only to those who may see it."""

    def __init__(self, rel: Any, admin_site: admin.AdminSite, rows: QuerySet) -> None:
        super().__init__(rel, admin_site)
        self.rows = rows

    def label_and_url_for_value(self, value: Any) -> tuple[str, str]:
        try:
            is_seen = self.rows.filter(pk=value).exists()
        except (ValueError, ValidationError):
            is_seen = False
        return super().label_and_url_for_value(value) if is_seen else ("", "")


class StudyScoped:
    """What an admin of rows that belong to a study is made of; `study_path` leads from a row to its study.

    `view_deed` is what it takes to see a row, `change_deed` to add, change and delete one.
    """

    study_path = "study"
    view_deed = Deed.SEE
    change_deed = Deed.SET_UP

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        if is_administrator(request.user):
            return rows
        return rows.filter(**{f"{self.study_path}__in": list_study_ids(request, self.view_deed)})

    def get_study_id(self, row: Model) -> int | None:
        """Return the study of a row; None for one that has none yet."""
        *way, last = self.study_path.split("__")
        for name in way:
            row = getattr(row, name)
        return row.pk if last == "pk" else getattr(row, f"{last}_id")

    def may_with(self, request: HttpRequest, row: Model | None, deed: Deed) -> bool:
        """Return whether the account may do this with the row, or with any if there is none."""
        if row is None:
            return may_anywhere(request, deed)
        return may_here(request, self.get_study_id(row), deed)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_with(request, obj, self.view_deed)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_with(request, None, self.change_deed)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_with(request, obj, self.change_deed)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_with(request, obj, self.change_deed)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) or self.has_add_permission(request)

    def get_list_filter(self, request: HttpRequest) -> list:
        """A filter by study names no other studies, however it was written down."""
        return [
            (entry, StudyListFilter) if isinstance(entry, str) and entry.split("__")[-1] == "study" else entry
            for entry in super().get_list_filter(request)
        ]

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:
        """Offer and take only rows that the account may work with."""
        rows = kwargs.setdefault(
            "queryset", offer_rows(self.admin_site, db_field.remote_field.model, request)
        )
        if db_field.name in self.raw_id_fields:
            kwargs.setdefault("widget", ScopedRawIdWidget(db_field.remote_field, self.admin_site, rows))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Who a rater is cannot be guessed letter by letter through an address either."""
        if IDENTITIES & set(lookup.split("__")):
            return False
        return super().lookup_allowed(lookup, value, request)


def offer_rows(site: admin.AdminSite, model: type[Model], request: HttpRequest) -> QuerySet:
    """Return the rows of a model that this account may choose from."""
    if model is Study:
        return Study.objects.filter(pk__in=list_study_ids(request, Deed.SET_UP))
    registered = site.get_model_admin(model) if site.is_registered(model) else None
    if isinstance(registered, StudyScoped):
        return registered.get_queryset(request)
    return model._default_manager.all()


class StudyScopedAdmin(StudyScoped, admin.ModelAdmin):
    """The admin of rows that belong to a study."""


class IdentityScopedAdmin(StudyScopedAdmin):
    """The admin of rows that say who a rater is: shown, and found by it, with `Deed.IDENTIFY` alone.

    `identity_path` leads from a row to the id given by the origin.
    """

    identity_path = ""

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Leave out who it is where the account may not know."""
        fields = list(super().get_fields(request, obj))
        if self.may_with(request, obj, Deed.IDENTIFY):
            return fields
        return [name for name in fields if name not in IDENTITIES]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Look for a whole id of the origin too, in the studies in which the account may know it."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        studies = list_study_ids(request, Deed.IDENTIFY)
        if not search_term.strip() or not studies:
            return found, has_duplicates
        known = self.model._default_manager.filter(
            **{self.identity_path: search_term.strip(), f"{self.study_path}__in": studies}
        )
        return queryset.filter(Q(pk__in=found.values("pk")) | Q(pk__in=known.values("pk"))), False


class StudyPartInline(admin.TabularInline):
    """Rows of a study on the study's own page: whoever may set the study up may edit them."""

    def has_view_permission(self, request: HttpRequest, obj: Study | None = None) -> bool:
        return obj is None or may_here(request, obj.pk, Deed.SEE)

    def has_add_permission(self, request: HttpRequest, obj: Study | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Study | None = None) -> bool:
        return obj is None or may_here(request, obj.pk, Deed.SET_UP)

    def has_delete_permission(self, request: HttpRequest, obj: Study | None = None) -> bool:
        return self.has_change_permission(request, obj)
