"""The page on which a study's annotator models stand side by side: a stored comparison, shown as it is."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from annotation.permissions import Deed, get_study
from modeling.reporting.readers import list_candidates, list_unseen
from modeling.reporting.requests import (
    DEFAULT_KEY,
    get_comparison,
    list_result_jobs,
    request_comparison,
)
from modeling.reports.comparison_tables import (
    list_apart,
    name_annotator,
    order_models,
    say_common,
    tabulate_comparison,
)
from modeling.reports.tables import write_csv

from .results.frame import COMPARISON, HELD_OUT, get_rule, open_results, pick_figures, read_measures

FIGURES = ("agreement", "differences", "error", "correlation", "work")
PREFIX = "comparison_"


@require_GET
@staff_member_required
def show_comparison(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the annotator models of a study beside its people."""
    frame = open_results(request, slug, COMPARISON)
    study, measures = frame["study"], frame["shown_measures"]
    who, holdout_only = frame["who"], frame["holdout_only"]
    context: dict[str, Any] = {
        "all_address": _find_page(slug, who, holdout_only=False),
        "holdout_address": _find_page(slug, who, holdout_only=True),
        "unseen": list_unseen(study, frame["comparison"]) if measures else [],
    }
    if measures:
        figures = pick_figures([frame["comparison"]], [PREFIX + name for name in FIGURES])
        tables = tabulate_comparison(measures)
        context |= {
            "measures": measures,
            "figures": {name: figures.get(PREFIX + name) for name in FIGURES},
            "tables": {name: tables.get(PREFIX + name) for name in FIGURES},
            "table_query": _make_query(who, holdout_only=holdout_only),
            "models": [(name_annotator(model), model) for model in order_models(measures)],
            "best": next((model for model in measures["models"] if model["key"] == measures["best"]), None),
            "common": say_common(measures),
            "apart": list_apart(measures),
            "standins": [model["label"] for model in measures["models"] if model["is_standin"]],
        }
    else:
        context["candidates"] = list_candidates(study)
    return render(request, "modeling/comparison.html", frame | context)


@require_POST
@staff_member_required
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a comparison by a rule, on all posts or on the held-out ones."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    who = request.POST.get("who", DEFAULT_KEY)
    rule = get_rule(study, who, list_result_jobs(study))
    holdout_only = request.POST.get("posts") == HELD_OUT
    if any(candidate.run for candidate in list_candidates(study)):
        request_comparison(study, rule, holdout_only=holdout_only)
    else:
        messages.error(
            request,
            "No annotator model has a finished run over the study’s posts. Start one, and compare when it is done.",
        )
    return redirect(_find_page(slug, who, holdout_only=holdout_only))


@require_GET
@staff_member_required
def download_table(request: HttpRequest, slug: str, table: str) -> HttpResponse:
    """Return a table of a stored comparison as CSV."""
    study = get_study(request.user, slug, Deed.SEE)
    who, holdout_only = request.GET.get("who", DEFAULT_KEY), request.GET.get("posts") == HELD_OUT
    measures = read_measures(get_comparison(study, who, holdout_only=holdout_only))
    found = tabulate_comparison(measures).get(table) if measures else None
    if found is None:
        raise Http404("There is no such table.")
    response = HttpResponse(write_csv(found.as_json()), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-{table}.csv"'
    response["Cache-Control"] = "private, no-cache"
    return response


def _find_page(slug: str, who: str, *, holdout_only: bool) -> str:
    return reverse("modeling:comparison", args=[slug]) + _make_query(who, holdout_only=holdout_only)


def _make_query(who: str, *, holdout_only: bool) -> str:
    query = {} if who == DEFAULT_KEY else {"who": who}
    if holdout_only:
        query["posts"] = HELD_OUT
    return f"?{urlencode(query)}" if query else ""
