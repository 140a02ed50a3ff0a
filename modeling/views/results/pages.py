"""The pages of a study's results: stored reports, shown as they are. Nothing is computed here, nothing is written."""

from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.models import Study
from annotation.permissions import Deed, get_study
from modeling.inclusion import Raters
from modeling.presentation import tabulate_differences
from modeling.reporting.requests import DEFAULT_KEY, count_since, list_result_jobs
from modeling.reports.personal_tables import tabulate_weights
from modeling.selectors import count_study

from .findings import (
    describe_best,
    describe_range,
    draw_bars,
    glance_at_samples,
    list_absent,
    list_own_scores,
    list_undefined,
    name_values,
    summarize,
    tabulate_values,
)
from .frame import describe_work, make_query, open_results, pick_figures

AGREEMENT_FIGURES = (
    "alpha_by_value",
    "reliability_coefficients",
    "consensus_by_size",
    "rating_distribution",
    "raters_per_post",
)
MODEL_FIGURES = ("agreement_by_condition", "improvement", "crowd_error_by_value", "correlation_by_value")
PERSON_FIGURES = (
    "controls",
    "values_known",
    "cold_start",
    "values_new",
    "rater_differences",
    "learning_answers",
    "learning_answers_error",
    "learning_raters",
    "learning_raters_error",
    "interval_coverage",
    "gain_distribution",
    "gain_by_group",
    "gain_regression",
    "adjustment_by_value",
    "variable_importance",
)
VALUE_FIGURES = ("value_projection", "circumplex", "value_correlations", "screening_effect")


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_overview(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the finding at a glance; to htmx, what is under way, and a fresh page once nothing is."""
    if request.htmx:
        return _tell_progress(request, get_study(request.user, slug, Deed.SEE))
    return render_overview(request, open_results(request, slug, "study"))


def render_overview(request: HttpRequest, frame: dict[str, Any], status: int = 200) -> HttpResponse:
    """Return the overview around this frame."""
    study, agreement, people, models = (frame[name] for name in ("study", "agreement", "people", "models"))
    said = summarize(people, models)
    counts = count_study(study)
    context = frame | {
        "counts": counts,
        "n_since": count_since(study, agreement) if people else 0,
        "range": describe_range(people) if people else None,
        "best": describe_best(models) if models else None,
        "bars": draw_bars(models or people) if models or people else [],
        "findings": [(*page, said[page[0]]) for page in frame["pages"] if page[0] in said],
        "is_live": study.state in (Study.State.LIVE, Study.State.PAUSED),
    }
    if not people and frame["rule"].raters != Raters.PEOPLE:
        context |= {"n_simulated": counts["simulated"], "n_raters": counts["enrolled"]}
    return render(request, "modeling/study.html", context, status=status)


@require_GET
@staff_member_required
def show_agreement(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how far people agree, value by value and over all."""
    frame = open_results(request, slug, "agreement")
    people = frame["people"]
    context = {"figures": pick_figures([frame["agreement"]], AGREEMENT_FIGURES)}
    if people:
        context |= {
            "groups": tabulate_values(people),
            "undefined": list_undefined(people),
            "consensus": people["human_consensus"],
            "human": people["human_human"],
            "over_raters": people.get("human_human_over_raters"),
        }
    return render(request, "modeling/agreement.html", frame | context)


@require_GET
@staff_member_required
def show_models(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how well models agree with people, beside how well people do."""
    frame = open_results(request, slug, "models")
    models = frame["models"]
    context: dict[str, Any] = {"figures": pick_figures([frame["evaluation"]], MODEL_FIGURES)}
    if models:
        context["differences"] = tabulate_differences(models)
    return render(request, "modeling/models.html", frame | context)


@require_GET
@staff_member_required
def show_personalization(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what knowing the rater adds, for whom and through what."""
    frame = open_results(request, slug, "personalization")
    models = frame["models"]
    context: dict[str, Any] = {"figures": pick_figures([frame["evaluation"]], PERSON_FIGURES)}
    if models:
        context |= {
            "samples": glance_at_samples(models),
            "absent": list_absent(models),
            "weights": tabulate_weights(models),
        }
    return render(request, "modeling/personalization.html", frame | context)


@require_GET
@staff_member_required
def show_values(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how the values hang together, with one another and with the raters' own."""
    frame = open_results(request, slug, "values")
    people = frame["people"]
    context: dict[str, Any] = {"figures": pick_figures([frame["agreement"]], VALUE_FIGURES)}
    if people:
        names = name_values(people)
        reasons = [
            (names[row["value"]], row["reason"]) for row in people["projection"]["by_value"] if row["reason"]
        ]
        own_scores = list_own_scores(people)
        own_names = {term["name"] for term in own_scores}
        context |= {
            "own_scores": own_scores,
            "beside": [name for name in people["projection"]["covariates"] if name not in own_names],
            "not_projected": reasons,
        }
    return render(request, "modeling/values.html", frame | context)


def _tell_progress(request: HttpRequest, study: Study) -> HttpResponse:
    work = describe_work(list_result_jobs(study))
    if not work["working"]:
        return HttpResponseClientRefresh()
    query = make_query(request.GET.get("who", DEFAULT_KEY))
    return render(request, "modeling/_refresh.html", work | {"study": study, "who_query": query})
