"""Stability of readings: the same post asked again, and the same post in other words."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from annotation.errors import Refused
from annotation.models import Study
from annotation.permissions import Deed, may
from modeling.errors import ImportRefused
from modeling.experts.services import get_family
from modeling.models import AnnotatorRun, ExpertSet, Report
from modeling.refining.paraphrases import (
    count_paraphrased,
    import_paraphrases,
    list_variant_runs,
    prepare_variant_run,
    write_template,
)
from modeling.refining.runs import list_scored_runs, name_line
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.calibration_tables import name_run, say_threshold
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.stability_tables import MORE_SAMPLES, say_wordings, tabulate_stability
from modeling.reports.tables import write_csv

from .calibration import get_set, read_number
from .report_work import answer_file, answer_polling, cancel_report_work, describe_report_work
from .results.frame import pick_figures, read_measures

KIND = Report.Kind.STABILITY
FIGURES = ("stability_repeats", "stability_wordings")
SHOWN_FAULTS = 30


class ParaphraseForm(forms.Form):
    """A file of paraphrases."""

    use_required_attribute = False

    file = forms.FileField(
        label="File of paraphrases",
        help_text="CSV with the columns post (its key) and text, and context where that is worded anew too. A post may "
        "have several lines.",
        error_messages={"required": "Choose a file.", "empty": "The file is empty."},
    )


@require_GET
@vary_on_headers("HX-Request")
@staff_member_required
def show_stability(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show how stable one run is; to htmx, how far the work is."""
    study, expert_set = get_set(request, slug, pk)
    return _show(request, study, expert_set, ParaphraseForm())


@require_POST
@staff_member_required
def measure(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask for the stability of a run."""
    study, expert_set = get_set(request, slug, pk, Deed.EXCLUDE)
    if not request.POST.get("run"):
        return _ask_for_run(request, slug, pk)
    run = _get_run(expert_set, request.POST["run"])
    request_report(study, KIND, name_subject(set=pk, run=run.pk))
    return _go_back(slug, pk, run)


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop measuring the stability of a run."""
    study, expert_set = get_set(request, slug, pk, Deed.EXCLUDE)
    if not request.POST.get("run"):
        return _ask_for_run(request, slug, pk)
    run = _get_run(expert_set, request.POST["run"])
    cancel_report_work(request, study, KIND, name_subject(set=pk, run=run.pk))
    return _go_back(slug, pk, run)


@require_POST
@staff_member_required
def load_paraphrases(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a file of paraphrases: all of it, or nothing with everything that is amiss in it."""
    study, expert_set = get_set(request, slug, pk, Deed.SET_UP)
    form = ParaphraseForm(request.POST, request.FILES)
    faults: list[str] = []
    if form.is_valid():
        try:
            counts = import_paraphrases(study, form.cleaned_data["file"], user=request.user)
        except ImportRefused as refusal:
            faults = refusal.faults
        else:
            messages.success(request, " ".join(counts.list_sentences()))
            return redirect("modeling:stability", slug, pk)
    return _show(request, study, expert_set, form, faults=faults, status=422)


@require_GET
@staff_member_required
def download_template(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send the development posts of a set as a file to fill in."""
    study, expert_set = get_set(request, slug, pk, Deed.SET_UP)
    response = StreamingHttpResponse(write_template(expert_set), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-set-{pk}-paraphrases.csv"'
    return response


@require_POST
@staff_member_required
def read_paraphrases(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Make a run ready of the same annotator model over the paraphrases of development posts."""
    _, expert_set = get_set(request, slug, pk, Deed.SET_UP)
    if not request.POST.get("run"):
        return _ask_for_run(request, slug, pk)
    run = _get_run(expert_set, request.POST["run"])
    try:
        made = prepare_variant_run(expert_set, run, user=request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return _go_back(slug, pk, run)
    return redirect(f"{reverse('modeling:calibration_start', args=[slug, pk])}?runs={made.pk}&back=stability")


@require_GET
@staff_member_required
def download_table(request: HttpRequest, slug: str, pk: int, run: int, table: str) -> HttpResponse:
    """Return a table of a run's stability as CSV."""
    study, _ = get_set(request, slug, pk)
    measures = read_measures(get_report(study, KIND, name_subject(set=pk, run=run)))
    found = tabulate_stability(measures).get(table) if measures else None
    if found is None:
        raise Http404("There is no such table.")
    name = f"{study.slug}-run-{run}-{table}.csv"
    return answer_file(write_csv(found.as_json()), name, "text/csv; charset=utf-8")


def _get_run(expert_set: ExpertSet, written: str) -> AnnotatorRun:
    return get_object_or_404(list_scored_runs(expert_set), pk=read_number(written))


def _ask_for_run(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    messages.error(request, "Choose a run first.")
    return redirect("modeling:stability", slug, pk)


def _go_back(slug: str, pk: int, run: AnnotatorRun) -> HttpResponse:
    return redirect(f"{reverse('modeling:stability', args=[slug, pk])}?run={run.pk}")


def _show(
    request: HttpRequest,
    study: Study,
    expert_set: ExpertSet,
    form: ParaphraseForm,
    *,
    faults: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page of one run: the one asked for, else the newest with several samples, else the newest."""
    runs = list(list_scored_runs(expert_set))
    asked = request.GET.get("run")
    run = _get_run(expert_set, asked) if asked else None
    if run is None and runs:
        run = next((each for each in runs if each.annotator.samples > 1), runs[0])
    n_paraphrases, n_paraphrased = count_paraphrased(expert_set)
    context: dict[str, Any] = {"study": study, "expert_set": expert_set, "run": run}
    if run:
        subject = name_subject(set=expert_set.pk, run=run.pk)
        work = describe_report_work(request, study, KIND, subject) | {
            "work_address": f"{reverse('modeling:stability', args=[study.slug, expert_set.pk])}?run={run.pk}",
            "cancel_address": reverse("modeling:stability_cancel", args=[study.slug, expert_set.pk]),
        }
        if request.htmx:
            return answer_polling(request, context | work)
        context |= work | _describe(study, expert_set, run, subject)
    context |= {
        "runs": [(each, _name(each)) for each in runs],
        "form": form,
        "faults": (faults or [])[:SHOWN_FAULTS],
        "n_faults": len(faults or []),
        "n_paraphrases": n_paraphrases,
        "n_paraphrased": n_paraphrased,
        "may_ask": may(request.user, study, Deed.EXCLUDE),
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "more_samples": MORE_SAMPLES,
        "standin_words": SAYS_STANDIN,
    }
    return render(request, "modeling/stability.html", context, status=status)


def _name(run: AnnotatorRun) -> str:
    annotator = run.annotator
    version = annotator.prompt.number if annotator.prompt else annotator.version
    named = {
        "family": get_family(annotator),
        "version": version,
        "line": name_line(annotator),
        "run": run.pk,
        "is_standin": run.is_standin or annotator.is_standin,
    }
    return f"{name_run(named)}: {annotator.samples} per post"


def _describe(study: Study, expert_set: ExpertSet, run: AnnotatorRun, subject: str) -> dict[str, Any]:
    report = get_report(study, KIND, subject)
    measures = read_measures(report)
    newest = list_variant_runs(expert_set, run).first()
    described: dict[str, Any] = {"report": report, "measures": measures, "variant_run": newest}
    if report and measures:
        figures = pick_figures([report], FIGURES)
        described |= {
            "figures": {key.removeprefix("stability_"): figures.get(key) for key in FIGURES},
            "tables": {
                key.removeprefix("stability_"): each for key, each in tabulate_stability(measures).items()
            },
            "wordings_words": say_wordings(measures),
            "threshold": say_threshold(measures),
            "is_older": bool(newest and newest.pk not in measures["variant_runs"]),
        }
    return described
