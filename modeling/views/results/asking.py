"""Asking for results: for new figures by a rule, or for a new model and its figures."""

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from annotation.models import Study
from annotation.permissions import Deed, get_study
from modeling.reporting.requests import (
    DEFAULT_KEY,
    key_of,
    list_result_jobs,
    request_agreement,
    request_fit_and_report,
)

from .frame import PAGES, WhoForm, describe_frame, get_rule, make_query
from .pages import render_overview


@require_POST
@staff_member_required
def refresh(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the agreement report by a rule: one that the study has (`who`), or one that is written out."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    if "who" in request.POST:
        rule = get_rule(study, request.POST["who"], list_result_jobs(study))
    else:
        form = WhoForm(request.POST)
        if not form.is_valid():
            return render_overview(
                request, describe_frame(request, study, "study", DEFAULT_KEY, form), status=422
            )
        rule = form.build_rule()
    request_agreement(study, rule)
    return _go_back(request, study, key_of(rule))


@require_POST
@staff_member_required
def fit(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a fit of the ratings as they are now, and for its report."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    who = request.POST.get("who", DEFAULT_KEY)
    request_fit_and_report(study, get_rule(study, who, list_result_jobs(study)))
    return _go_back(request, study, who)


def _go_back(request: HttpRequest, study: Study, who: str) -> HttpResponse:
    """Lead to the page of results that one came from, by the rule that one asked for."""
    page = request.POST.get("page")
    address = reverse(f"modeling:{page if page in PAGES else 'study'}", args=[study.slug])
    return redirect(address + make_query(who))
