"""Rows that are parts of studies: a change of one is a change of the study, checked and noted as such."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join

from annotation.errors import Refused
from annotation.launch import find_faults
from annotation.models import Enrollment, Outcome, Study
from annotation.versions import note_change

NOTHING_SAVED = "Nothing was saved: people are in this study, and the change would break their way."


class WouldBreak(Refused):
    """A change to a study that people are in; `faults` says what it would break."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


def has_people_inside(study: Study) -> bool:
    """Whether someone is on their way in the study, or may come back to it; a rehearsal can be broken."""
    inside = study.enrollments.filter(outcome__in=("", Outcome.TIMED_OUT))
    return inside.exclude(phase=Enrollment.Phase.REHEARSAL).exists()


def find_broken(study: Study, faults_before: Iterable[str]) -> list[str]:
    """Return the faults a change has brought to a study that people are in or may enter; [] for any other."""
    new = [fault for fault in find_faults(study) if fault not in faults_before]
    return new if new and (study.takes_people or has_people_inside(study)) else []


def list_reasons(head: str, reasons: Iterable[str]) -> str:
    items = format_html_join("", "<li>{}</li>", ([reason] for reason in reasons))
    return format_html("{}<ul>{}</ul>", head, items)


class ShowsRefusals:
    """What an admin is made of whose changes may be refused with `WouldBreak` once everything is written."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show a change that would have broken a study again, with the reasons, once it is rolled back."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except WouldBreak as refusal:
            request.refused_for = refusal.faults
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type:
        form_class = super().get_form(request, obj, change, **kwargs)
        faults = getattr(request, "refused_for", None)
        if not faults:
            return form_class

        class RefusedForm(form_class):
            def clean(self) -> dict:
                super().clean()
                raise ValidationError([NOTHING_SAVED, *faults])

        return RefusedForm


class PartOfStudies(ShowsRefusals):
    """What an admin of such rows is made of: it comes before the admin's other classes."""

    def find_studies(self, row: Any) -> list[Study]:
        """Return the studies that a row is part of."""
        return [row.study]

    # --- changing ----------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = type(obj)._base_manager.filter(pk=obj.pk).first() if change else None
        studies = {study.pk: study for row in filter(None, (stored, obj)) for study in self.find_studies(row)}
        form.studies_before = [(study, find_faults(study)) for study in studies.values()]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.has_changed() or any(each.has_changed() for each in formsets):
            self._note(request, form.studies_before, f"{self.opts.verbose_name} {form.instance} in the admin")

    # --- deleting ----------------------------------------------------------------------------------

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except WouldBreak as refusal:
            return self._refuse_deletion(request, refusal)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except WouldBreak as refusal:
            return self._refuse_deletion(request, refusal)

    def _refuse_deletion(self, request: HttpRequest, refusal: WouldBreak) -> HttpResponse:
        head = "Nothing was deleted: people are in the study, and this would break their way."
        messages.error(request, list_reasons(head, refusal.faults))
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        before = [(study, find_faults(study)) for study in self.find_studies(obj)]
        what = f"{self.opts.verbose_name} {obj} deleted in the admin"
        super().delete_model(request, obj)
        self._note(request, before, what)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        studies = {study.pk: study for row in queryset for study in self.find_studies(row)}
        before = [(study, find_faults(study)) for study in studies.values()]
        what = f"{queryset.count()} {self.opts.verbose_name_plural} deleted in the admin"
        super().delete_queryset(request, queryset)
        self._note(request, before, what)

    def _note(self, request: HttpRequest, before: list[tuple[Study, list[str]]], what: str) -> None:
        for study, faults_before in before:
            current = Study.objects.get(pk=study.pk)
            if broken := find_broken(current, faults_before):
                raise WouldBreak(broken)
            note_change(current, actor=request.user, reason=what)
