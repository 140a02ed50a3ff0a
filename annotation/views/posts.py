"""Researchers bring posts into a study: a file, what its columns mean, what is kept, and the loading."""

import hashlib

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from annotation.errors import Refused
from annotation.models import Post, PostUpload, Study
from annotation.permissions import Deed, get_study, may
from annotation.post_forms import FileForm, FilterForm, LayoutForm, ReasonForm
from annotation.services import uploads
from annotation.uploads.filters import REASON_LABELS, Reason
from annotation.uploads.mapping import ROLE_LABELS, Role
from annotation.uploads.reading import DELIMITERS, ENCODINGS, KINDS
from jobs.models import Job

SHOWN_ROWS = 15
SHOWN_NUMBERS = 8
CELL_LENGTH = 160
State = PostUpload.State


@require_http_methods(["GET", "POST"])
@staff_member_required
def list_uploads(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the study's posts in numbers and its uploads; take another file."""
    study = get_study(request.user, slug, Deed.SEE if request.method == "GET" else Deed.SET_UP)
    form = FileForm(request.POST, request.FILES) if request.method == "POST" else FileForm()
    if form.is_valid():
        try:
            upload = uploads.store_upload(study, form.cleaned_data["file"], actor=request.user)
        except Refused as error:
            form.add_error("file", str(error))
        else:
            return redirect("posts:upload", study.slug, upload.pk)
    context = {
        "study": study,
        "form": form,
        "can_set_up": may(request.user, study, Deed.SET_UP),
        "takes_posts": study.state in uploads.TAKES_POSTS,
        "n_labeling": study.posts.filter(purpose=Post.Purpose.LABELING).count(),
        "n_calibration": study.posts.filter(purpose=Post.Purpose.CALIBRATION).count(),
        "uploads": [_sum_up(upload) for upload in study.post_uploads.all()],
    }
    return render(request, "annotation/posts/list.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@staff_member_required
def show_upload(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show an upload where it stands; while its columns are to be named, take the names and show what they do."""
    study, upload = _get_upload(request, slug, pk)
    if upload.state != State.MAPPING:
        if request.method == "POST":
            messages.warning(request, "The columns were named already; nothing was changed.")
            return redirect("posts:upload", slug, pk)
        return _show_state(request, study, upload)
    return _name_columns(request, study, upload, starts=False)


@require_POST
@staff_member_required
def load(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take the names of the columns and start loading."""
    study, upload = _get_upload(request, slug, pk)
    if upload.state != State.MAPPING:
        messages.warning(request, "It is being loaded already, or was; nothing was changed.")
        return redirect("posts:upload", slug, pk)
    return _name_columns(request, study, upload, starts=True)


@require_POST
@staff_member_required
def change_layout(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Read the file in another way."""
    study, upload = _get_upload(request, slug, pk)
    form = LayoutForm(uploads.get_settings(upload).layout, request.POST)
    if not form.is_valid():
        return _show_mapping(request, study, upload, layout_form=form, status=422)
    try:
        uploads.describe_upload(upload, layout=form.get_layout())
    except Refused as error:
        messages.warning(request, str(error))
    return redirect("posts:upload", slug, pk)


@require_GET
@staff_member_required
def show_progress(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Return the progress bar of a loading; once it ended, lead to the page that says how."""
    study, upload = _get_upload(request, slug, pk)
    job = uploads.get_job(upload)
    if upload.state != State.LOADING or job is None or job.is_final:
        return HttpResponseClientRedirect(request.path.removesuffix("progress/"))
    return render(
        request, "annotation/posts/_progress.html", {"study": study, "upload": upload, **_measure(job)}
    )


@require_POST
@staff_member_required
def reopen(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop a loading, or take a refused file up again, and go back to its columns."""
    _, upload = _get_upload(request, slug, pk)
    try:
        uploads.reopen_upload(upload)
    except Refused as error:
        messages.warning(request, str(error))
    return redirect("posts:upload", slug, pk)


@require_POST
@staff_member_required
def load_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Do a failed job again."""
    _, upload = _get_upload(request, slug, pk)
    if not uploads.try_again(upload):
        messages.warning(request, "There is nothing to be tried again.")
    return redirect("posts:upload", slug, pk)


@require_POST
@staff_member_required
def discard(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Delete a file that is not loaded."""
    _, upload = _get_upload(request, slug, pk)
    try:
        uploads.discard_upload(upload)
    except Refused as error:
        messages.warning(request, str(error))
        return redirect("posts:upload", slug, pk)
    messages.success(request, f"The file '{upload.name}' was deleted. The study's posts are as they were.")
    return redirect("posts:uploads", slug)


@require_POST
@staff_member_required
def undo(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Delete the posts of an upload while nobody was given any."""
    study, upload = _get_upload(request, slug, pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _show_state(request, study, upload, reason_form=form, status=422)
    try:
        n_deleted = uploads.undo_upload(upload, actor=request.user, reason=form.cleaned_data["reason"])
    except Refused as error:
        form.add_error("reason", str(error))
        return _show_state(request, study, upload, reason_form=form, status=422)
    messages.success(request, f"{n_deleted:,} posts of '{upload.name}' were removed, and the file with them.")
    return redirect("posts:uploads", slug)


@require_GET
@staff_member_required
def download_report(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send the report of the refused rows."""
    _, upload = _get_upload(request, slug, pk)
    try:
        file = uploads.open_report(upload)
    except FileNotFoundError as error:
        raise Http404("This upload has no report.") from error
    name = f"refused-{slugify(upload.name.partition('.')[0]) or 'rows'}.csv"
    return FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")


def _get_upload(request: HttpRequest, slug: str, pk: int) -> tuple[Study, PostUpload]:
    study = get_study(request.user, slug, Deed.SET_UP)
    return study, get_object_or_404(study.post_uploads.select_related("study"), pk=pk)


def _name_columns(request: HttpRequest, study: Study, upload: PostUpload, *, starts: bool) -> HttpResponse:
    """Take what the columns mean and what is kept, and go on to the preview or the loading."""
    settings = uploads.get_settings(upload)
    if request.method == "GET":
        return _show_mapping(request, study, upload)
    form = FilterForm(settings.filters, settings.columns, request.POST)
    reason_form = ReasonForm(request.POST)
    if not (form.is_valid() and reason_form.is_valid()):
        return _show_mapping(request, study, upload, filter_form=form, reason_form=reason_form, status=422)
    names = list(settings.columns.roles)
    if request.POST.get("shown") != _hash_names(names):
        messages.warning(request, "The file was read in another way meanwhile. Look at its columns again.")
        return redirect("posts:upload", study.slug, upload.pk)
    try:
        upload = uploads.describe_upload(
            upload,
            roles={name: _read_role(request, place) for place, name in enumerate(names)},
            context_kind=form.cleaned_data["context_kind"],
            source=form.cleaned_data["source"],
            filters=form.get_filters(),
        )
        if starts:
            uploads.request_load(upload, actor=request.user, reason=reason_form.cleaned_data["reason"])
            return redirect("posts:upload", study.slug, upload.pk)
    except Refused as error:
        if study.state in uploads.NEEDS_REASON and not reason_form.cleaned_data["reason"]:
            reason_form.add_error("reason", str(error))
        return _show_mapping(request, study, upload, reason_form=reason_form, refusal=str(error), status=422)
    return _show_mapping(request, study, upload, reason_form=reason_form)


def _hash_names(names: list[str]) -> str:
    """What tells whether a form speaks of these columns."""
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]


def _read_role(request: HttpRequest, place: int) -> Role:
    try:
        return Role(request.POST.get(f"role-{place}", ""))
    except ValueError:
        return Role.METADATA


def _show_mapping(
    request: HttpRequest,
    study: Study,
    upload: PostUpload,
    *,
    layout_form: LayoutForm | None = None,
    filter_form: FilterForm | None = None,
    reason_form: ReasonForm | None = None,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    settings = uploads.get_settings(upload)
    preview = uploads.preview_upload(upload)
    roles = settings.columns.roles
    context = {
        "study": study,
        "upload": upload,
        "kind": KINDS[settings.layout.kind],
        "layout": settings.layout,
        "encoding_label": ENCODINGS[settings.layout.encoding],
        "delimiter_label": DELIMITERS[settings.layout.delimiter],
        "layout_form": layout_form or LayoutForm(settings.layout),
        "form": filter_form or FilterForm(settings.filters, settings.columns),
        "reason_form": reason_form or ReasonForm(),
        "needs_reason": study.state in uploads.NEEDS_REASON,
        "preview": preview,
        "refusal": "" if preview.problem or preview.faults else refusal,
        "shown": _hash_names(list(roles)),
        "n_looked_at": len(preview.rows),
        "shown_rows": SHOWN_ROWS,
        "columns": [
            {"name": name, "place": place, "role": roles[name].value} for place, name in enumerate(roles)
        ],
        "role_choices": [(role.value, label) for role, label in ROLE_LABELS.items()],
        "rows": [
            {
                "number": each.row.number,
                "verdict": each.refusal and REASON_LABELS[each.refusal.reason],
                "detail": each.refusal and each.refusal.detail,
                "cells": [_shorten(each.row.cells.get(name)) for name in roles],
                "raw": each.row.raw[:CELL_LENGTH] if each.row.fault else "",
            }
            for each in preview.rows[:SHOWN_ROWS]
        ],
        "n_refused": len(preview.rows) - preview.n_kept,
        "refused": [
            {"label": label, "count": count, "numbers": rows[:SHOWN_NUMBERS], "more": count > SHOWN_NUMBERS}
            for label, count, rows in preview.refused
        ],
    }
    return render(request, "annotation/posts/mapping.html", context, status=status)


def _show_state(
    request: HttpRequest,
    study: Study,
    upload: PostUpload,
    *,
    reason_form: ReasonForm | None = None,
    status: int = 200,
) -> HttpResponse:
    job = uploads.get_job(upload)
    context = {
        "study": study,
        "upload": upload,
        "job": job,
        "has_failed": upload.state == State.LOADING and job is not None and job.is_final,
        "reason_form": reason_form or ReasonForm(),
        "needs_reason": study.state in uploads.NEEDS_REASON,
        "takes_posts": study.state in uploads.TAKES_POSTS,
        **_sum_up(upload),
        **(_measure(job) if job else {}),
    }
    return render(request, "annotation/posts/upload.html", context, status=status)


def _sum_up(upload: PostUpload) -> dict:
    refused = uploads.rank(upload.counts.get("refused", {}))
    return {
        "upload": upload,
        "n_refused": sum(count for _, count in refused),
        "refused": [(REASON_LABELS[Reason(reason)], count) for reason, count in refused],
        "languages": uploads.rank(upload.counts.get("languages", {})),
    }


def _measure(job: Job) -> dict:
    done, total = job.progress_done, job.progress_total
    return {"job": job, "percent": 100 * done // total if total else 0}


def _shorten(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= CELL_LENGTH else f"{text[:CELL_LENGTH]}…"
