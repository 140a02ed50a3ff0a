"""The circle of values as experts, people and each scored model see it."""

from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from annotation.permissions import Deed, get_study
from modeling.models import Report
from modeling.refining.runs import list_scored_runs
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.structure_tables import FIT, PLACES, name_of, say_reason, tabulate_structure
from modeling.reports.tables import write_csv

from .misattributions import have_labels_changed
from .report_work import answer_file, answer_polling, cancel_report_work, describe_report_work
from .results.frame import pick_figures, read_measures

KIND = Report.Kind.STRUCTURE


@require_GET
@vary_on_headers("HX-Request")
@staff_member_required
def show_structure(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show the circles; to htmx, how far the work is."""
    study = get_study(request.user, slug, Deed.SEE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    context: dict[str, Any] = {
        "study": study,
        "expert_set": expert_set,
        "work_address": reverse("modeling:structure", args=[slug, pk]),
        "cancel_address": reverse("modeling:structure_cancel", args=[slug, pk]),
        **describe_report_work(request, study, KIND, name_subject(set=pk)),
    }
    if request.htmx:
        return answer_polling(request, context)
    report = get_report(study, KIND, name_subject(set=pk))
    measures = read_measures(report)
    if report and measures:
        figures = pick_figures([report], [FIT, PLACES])
        tables = tabulate_structure(measures)
        seen = {model["pk"] for model in measures["models"]}
        context |= {
            "report": report,
            "measures": measures,
            "figures": {"fit": figures.get(FIT), "places": figures.get(PLACES)},
            "table": tables.get(FIT),
            "without": [
                f"{name_of(source)}: {say_reason(source)}."
                for source in measures["sources"]
                if source["reason"] or source["interval_reason"]
            ],
            "standins": [model["label"] for model in measures["models"] if model["is_standin"]],
            "is_older_than_labels": have_labels_changed(expert_set, report),
            "unseen": [run for run in list_scored_runs(expert_set) if run.pk not in seen],
        }
    return render(request, "modeling/structure.html", context)


@require_POST
@staff_member_required
def make_structure(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask for the circles to be computed."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    request_report(study, KIND, name_subject(set=expert_set.pk))
    return redirect("modeling:structure", slug, pk)


@require_POST
@staff_member_required
def cancel_structure(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop computing the circles."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    cancel_report_work(request, study, KIND, name_subject(set=expert_set.pk))
    return redirect("modeling:structure", slug, pk)


@require_GET
@staff_member_required
def download_structure(request: HttpRequest, slug: str, pk: int, table: str) -> HttpResponse:
    """Return a table of the report as CSV."""
    study = get_study(request.user, slug, Deed.SEE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    measures = read_measures(get_report(study, KIND, name_subject(set=expert_set.pk)))
    found = tabulate_structure(measures).get(table) if measures else None
    if found is None:
        raise Http404("There is no such table.")
    return answer_file(write_csv(found.as_json()), f"{study.slug}-{table}.csv", "text/csv; charset=utf-8")
