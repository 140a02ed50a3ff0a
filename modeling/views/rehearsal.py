"""Rehearsing a study before people come: test participants, single steps, simulated raters."""

import secrets

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from annotation.access import build_query
from annotation.errors import Refused
from annotation.launch import find_faults_of_step, list_path
from annotation.models import Step, Study, StudyEvent
from annotation.permissions import Deed, get_study
from annotation.recruitment import REHEARSAL_LINK_DAYS, build_rehearsal_path
from annotation.services import preview_step
from annotation.services.audit import log_event
from annotation.steps import KINDS
from modeling.rehearsals import (
    MOST_RATERS,
    count_outcomes,
    erase_rehearsal,
    find_hindrances,
    get_latest_job,
    list_participants,
    list_rehearsed,
    request_rehearsal,
)

ON_A_PAGE = 50


class SimulationForm(forms.Form):
    raters = forms.IntegerField(
        min_value=1,
        max_value=MOST_RATERS,
        initial=5,
        error_messages={
            "min_value": "Send in 1 at least.",
            "max_value": f"Send in {MOST_RATERS} at most at a time.",
        },
    )
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)


class ErasureForm(forms.Form):
    confirmed = forms.BooleanField(error_messages={"required": "Tick the box to confirm that it may go."})


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_rehearsal(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the doors to a rehearsal and how far everyone in it came."""
    study = get_study(request.user, slug, Deed.SET_UP)
    if request.htmx:
        return render(request, "modeling/_rehearsed.html", _describe_rehearsed(request, study))
    return _show(request, study)


@require_POST
@staff_member_required
def start_participant(request: HttpRequest, slug: str) -> HttpResponse:
    """Lead whoever asks to the study's first page as a new test participant."""
    study = get_study(request.user, slug, Deed.SET_UP)
    log_event(study, StudyEvent.Action.REHEARSAL, "Started a test participant.", actor=request.user)
    return HttpResponseRedirect(build_rehearsal_path(study))


@require_POST
@staff_member_required
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """Lead whoever asks to one step of the study as a new test participant."""
    study = get_study(request.user, slug, Deed.SET_UP)
    position = request.POST.get("position", "")
    if not (position.isascii() and position.isdigit() and len(position) < 6):
        position = "0"
    step = get_object_or_404(Step, study=study, position=int(position))
    try:
        enrollment = preview_step(study, step, actor=request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("modeling:rehearsal", study.slug)
    address = reverse("annotation:current_step", args=[study.slug])
    return HttpResponseRedirect(address + build_query(enrollment))


@require_POST
@staff_member_required
def simulate(request: HttpRequest, slug: str) -> HttpResponse:
    """Send in simulated raters."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = SimulationForm(request.POST)
    if form.is_valid():
        n_raters, token = form.cleaned_data["raters"], form.cleaned_data["token"]
        try:
            request_rehearsal(study, n_raters, token=token, actor=request.user)
        except Refused as refusal:
            form.add_error("raters", str(refusal))
        else:
            return redirect("modeling:rehearsal", study.slug)
    return _show(request, study, simulation=form, status=422)


@require_POST
@staff_member_required
def erase(request: HttpRequest, slug: str) -> HttpResponse:
    """Erase all of the rehearsal, once that is confirmed."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = ErasureForm(request.POST)
    if not form.is_valid():
        return _show(request, study, erasure=form, status=422)
    n_erased = erase_rehearsal(study, actor=request.user)
    who = "1 participant" if n_erased == 1 else f"{n_erased} participants"
    messages.success(request, f"The rehearsal is erased: {who}, with all they left.")
    return redirect("modeling:rehearsal", study.slug)


def _show(
    request: HttpRequest,
    study: Study,
    *,
    simulation: SimulationForm | None = None,
    erasure: ErasureForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "study": study,
        "hindrances": find_hindrances(study),
        "steps": [
            {
                "position": step.position,
                "label": KINDS[step.kind].label if step.kind in KINDS else step.kind,
                "faults": find_faults_of_step(step),
            }
            for step in list_path(study)
        ],
        "simulation": simulation or SimulationForm(initial={"token": secrets.token_hex(16)}),
        "erasure": erasure or ErasureForm(),
        "most_raters": MOST_RATERS,
        "link": request.build_absolute_uri(build_rehearsal_path(study)),
        "link_days": REHEARSAL_LINK_DAYS,
    }
    return render(
        request, "modeling/rehearsal.html", context | _describe_rehearsed(request, study), status=status
    )


def _describe_rehearsed(request: HttpRequest, study: Study) -> dict:
    page = Paginator(list_rehearsed(study), ON_A_PAGE).get_page(request.GET.get("page"))
    job = get_latest_job(study)
    return {
        "study": study,
        "page": page,
        "participants": list_participants(study, page.object_list),
        "counts": count_outcomes(study),
        "job": job,
        "is_busy": job is not None and not job.is_final,
    }
