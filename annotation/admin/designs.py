"""Studies from ready-made designs, from one another and from files; and studies as files."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path

from annotation.models import Study
from annotation.permissions import Deed, filter_studies
from annotation.services.codes import fill_codes
from annotation.studyfile import (
    Fault,
    StudyFileError,
    create_from_paper,
    dump,
    duplicate,
    find_free_slug,
    load,
    read,
    to_json,
)
from annotation.studyfile.paper import build_paper_design
from annotation.studyfile.reading import MAX_BYTES

MOST_SHOWN = 100
NAME = Study._meta.get_field("name")
SLUG = Study._meta.get_field("slug")


class DesignForm(forms.Form):
    """What a new study is called; `rest` is the field beside which all other faults are shown."""

    rest: str | None = None
    name = forms.CharField(max_length=NAME.max_length, help_text="For researchers; people never see it.")
    slug = forms.SlugField(
        label="Address",
        max_length=SLUG.max_length,
        help_text="Part of the participant link: letters, digits, '-' and '_'. Fixed once somebody has entered.",
    )

    def add_faults(self, faults: tuple[Fault, ...]) -> None:
        """Show each fault beside the field it is about."""
        fields = {"about.name": "name", "about.slug": "slug"}
        for fault in faults[:MOST_SHOWN]:
            field = fields.get(fault.place, self.rest)
            self.add_error(field, fault.problem if field in fields.values() else str(fault))
        if len(faults) > MOST_SHOWN:
            self.add_error(self.rest, f"And {len(faults) - MOST_SHOWN:,} more.")


class FileForm(DesignForm):
    """A study file, and what its study is to be called if not as in the file."""

    rest = "file"
    file = forms.FileField(
        label="Study file",
        help_text="JSON, as 'Download as a file' writes it.",
        widget=forms.ClearableFileInput(attrs={"accept": ".json,application/json"}),
    )
    draws_codes = forms.BooleanField(
        label="Draw random completion codes for ways out that have none in the file",
        required=False,
        initial=True,
    )
    field_order = ["file", "name", "slug", "draws_codes"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "slug"):
            self.fields[name].required = False
            self.fields[name].help_text += " Leave it empty to take the file's own."

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError(f"The file has {file.size:,} bytes; at most {MAX_BYTES:,} are read.")
        return file


class DesignsMixin:
    """Pages of the studies' admin that make studies, each as a draft, and the file of one."""

    def get_urls(self) -> list:
        pages = [
            ("from-paper/", self.start_from_paper, "from_paper"),
            ("upload/", self.upload_design, "upload"),
            ("<int:study_id>/duplicate/", self.duplicate_study, "duplicate"),
            ("<int:study_id>/download/", self.download_study, "download"),
        ]
        own = [
            path(address, self.admin_site.admin_view(view), name=f"annotation_study_{name}")
            for address, view, name in pages
        ]
        return [*own, *super().get_urls()]

    def start_from_paper(self, request: HttpRequest) -> HttpResponse:
        """Make a study of the paper's design."""
        about = build_paper_design()["about"]
        return self._ask(
            request,
            DesignForm,
            lambda data: create_from_paper(data["slug"], data["name"], request.user),
            title="Start from the paper's design",
            intro="A draft with every step of the paper: consent, instructions, attention checks, practice, a gate of "
            "four posts, 30 posts drawn at random, 25 calibration questions, two questionnaires and a debrief. What "
            "only you can know stands in square brackets, and the study cannot be launched before you have written "
            "it. The posts to read are yours to upload.",
            verb="Make the study",
            initial={"name": about["name"], "slug": find_free_slug(about["slug"])},
        )

    def upload_design(self, request: HttpRequest) -> HttpResponse:
        """Make a study from a file."""
        return self._ask(
            request,
            FileForm,
            partial(_load_file, request),
            title="Make a study from a file",
            intro="The file is taken as a whole, or refused with everything that is wrong with it. The study begins as "
            "a draft; nothing that exists is changed.",
            verb="Make the study",
        )

    def duplicate_study(self, request: HttpRequest, study_id: int) -> HttpResponse:
        """Make another study like this one."""
        study = self._get_own(request, study_id)
        return self._ask(
            request,
            DesignForm,
            lambda data: duplicate(study, slug=data["slug"], name=data["name"], actor=request.user),
            title=f"Duplicate '{study.name}'",
            intro="The copy is a draft with the same texts, steps, settings and posts. Nobody has taken part in it "
            "yet, and its completion codes are its own.",
            verb="Make the copy",
            initial={"name": f"Copy of {study.name}"[: NAME.max_length], "slug": find_free_slug(study.slug)},
        )

    def download_study(self, request: HttpRequest, study_id: int) -> HttpResponse:
        """Send the study as a file; ``?codes=no`` and ``?posts=no`` leave those out."""
        study = self._get_own(request, study_id)
        try:
            data = dump(study, codes=request.GET.get("codes") != "no", posts=request.GET.get("posts") != "no")
        except StudyFileError as error:
            for fault in error.faults:
                messages.error(request, f"The study cannot be written as a file yet. {fault}")
            return redirect("admin:annotation_study_change", study.pk)
        response = HttpResponse(to_json(data), content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="{study.slug}.study.json"'
        return response

    def _get_own(self, request: HttpRequest, study_id: int) -> Study:
        studies = filter_studies(request.user, Deed.SET_UP).select_related("value_system")
        return get_object_or_404(studies, pk=study_id)

    def _ask(
        self,
        request: HttpRequest,
        form_class: type[DesignForm],
        make: Callable[[dict[str, Any]], Study],
        *,
        title: str,
        intro: str,
        verb: str,
        initial: dict[str, str] | None = None,
    ) -> HttpResponse:
        """Show a form that makes a study, or make it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = form_class(request.POST, request.FILES) if is_sent else form_class(initial=initial)
        if is_sent and form.is_valid():
            try:
                study = make(form.cleaned_data)
            except StudyFileError as error:
                form.add_faults(error.faults)
            else:
                self.log_addition(request, study, title)
                messages.success(request, f"The study '{study.name}' was made, as a draft.")
                return redirect("admin:annotation_study_change", study.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "intro": intro,
            "verb": verb,
            "form": form,
        }
        return TemplateResponse(request, "admin/annotation/study/design.html", context)


def _load_file(request: HttpRequest, data: dict[str, Any]) -> Study:
    study = load(
        read(data["file"].read()),
        slug=data["slug"] or None,
        name=data["name"] or None,
        actor=request.user,
        origin=f"Made from the file '{data['file'].name}'.",
    )
    if data["draws_codes"]:
        fill_codes(study)
    return study
