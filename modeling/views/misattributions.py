"""What a run keeps mistaking for what: the pairs, the posts, the note, the way to the next version of the prompt."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from annotation.models import Post, Study
from annotation.permissions import Deed, get_study, may
from modeling.annotators.prompts import get_design
from modeling.experts.standing import may_see_labels
from modeling.models import AnnotatorRun, ExpertLabel, ExpertResolution, ExpertSet, Report
from modeling.prompts.design import PromptDesign
from modeling.refining.notes import (
    draft_guidance,
    find_run_before,
    get_error_report,
    load_example_posts,
    say_changes,
    say_distance,
    say_nothing_found,
    say_pair,
    say_rate,
    say_why,
    write_note,
)
from modeling.refining.runs import list_scored_runs
from modeling.reporting.subjects import name_subject, request_report
from modeling.reports.misattribution_tables import (
    MATRIX,
    PAIRS,
    list_recurrent,
    list_seen,
    say_ground,
    tabulate_misattributions,
)
from modeling.reports.tables import Measures, name_values, write_csv

from .report_work import answer_file, answer_polling, cancel_report_work, describe_report_work
from .results.frame import pick_figures, read_measures


@require_GET
@vary_on_headers("HX-Request")
@staff_member_required
def show_errors(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show the errors of one run on a set's development posts; to htmx, how far the work is."""
    study = get_study(request.user, slug, Deed.SEE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    runs = list(list_scored_runs(expert_set).select_related("annotator__prompt"))
    run = _choose_run(request, expert_set, runs)
    context: dict[str, Any] = {"study": study, "expert_set": expert_set, "run": run}
    if run is not None:
        subject = name_subject(set=pk, run=run.pk)
        work = describe_report_work(request, study, Report.Kind.ERRORS, subject)
        work["work_address"] = f"{reverse('modeling:errors', args=[slug, pk])}?run={run.pk}"
        work["cancel_address"] = reverse("modeling:errors_cancel", args=[slug, pk])
        if request.htmx:
            return answer_polling(request, context | work)
        context |= work
    context |= {
        "runs": [(each, _name_run(each)) for each in runs],
        "may_ask": may(request.user, study, Deed.EXCLUDE),
        "may_word": may(request.user, study, Deed.SET_UP),
    }
    report = get_error_report(expert_set, run.pk) if run else None
    measures = _read_shown(request, expert_set, report)
    if run and report and measures:
        context |= _describe(study, expert_set, run, report, measures)
        context["sees_labels"] = may_see_labels(expert_set, request.user)
    return render(request, "modeling/errors.html", context)


def _choose_run(request: HttpRequest, expert_set: ExpertSet, runs: list[AnnotatorRun]) -> AnnotatorRun | None:
    """The run asked for; else the newest that has a report; else the newest."""
    if asked := request.GET.get("run"):
        chosen = next((run for run in runs if str(run.pk) == asked), None)
        if chosen is None:
            raise Http404("This run cannot be held against the experts of this set.")
        return chosen
    subjects = {name_subject(set=expert_set.pk, run=run.pk): run for run in reversed(runs)}
    reports = expert_set.study.reports.filter(kind=Report.Kind.ERRORS, rule_key__in=subjects)
    stored = set(reports.values_list("rule_key", flat=True))
    with_report = [run for subject, run in subjects.items() if subject in stored]
    return with_report[-1] if with_report else runs[0] if runs else None


def _name_run(run: AnnotatorRun) -> str:
    prompt = run.annotator.prompt
    asked = f", prompt version {prompt.number}" if prompt else ""
    standin = " (stand-in)" if run.is_standin or run.annotator.is_standin else ""
    return f"Run {run.pk}: {run.annotator}{asked}{standin}"


def _read_shown(request: HttpRequest, expert_set: ExpertSet, report: Report | None) -> Measures | None:
    """The measures of a report; without single posts for somebody who still labels the set, blind to all others."""
    measures = read_measures(report)
    if measures and not may_see_labels(expert_set, request.user):
        measures |= {"pairs": [pair | {"examples": []} for pair in measures["pairs"]]}
    return measures


def _describe(
    study: Study, expert_set: ExpertSet, run: AnnotatorRun, report: Report, measures: Measures
) -> dict[str, Any]:
    names = name_values(measures)
    posts = load_example_posts(study, measures)
    design = get_design(run.annotator.prompt) if run.annotator.prompt else None
    figures = pick_figures([report], [PAIRS, MATRIX])
    run_before = find_run_before(expert_set, run)
    before = read_measures(get_error_report(expert_set, run_before.pk)) if run_before else None
    return {
        "report": report,
        "measures": measures,
        "ground": say_ground(measures),
        "pairs": [_describe_pair(measures, names, pair, posts, design) for pair in list_recurrent(measures)],
        "figures": {"pairs": figures.get(PAIRS), "matrix": figures.get(MATRIX)},
        "nothing_found": say_nothing_found(measures),
        "table": tabulate_misattributions(measures).get(PAIRS),
        "distance": say_distance(measures["distance"]) if measures["distance"]["mean"] is not None else "",
        "run_before": run_before,
        "changes": say_changes(before, measures) if before else None,
        "is_by_other_threshold": bool(before) and before["threshold"] != measures["threshold"],
        "is_older_than_labels": have_labels_changed(expert_set, report),
        "has_guidance": design is not None and bool(measures["n_recurrent"]),
    }


def _describe_pair(
    measures: Measures,
    names: dict[str, str],
    pair: Measures,
    posts: dict[int, Post],
    design: PromptDesign | None,
) -> dict[str, Any]:
    return {
        "name": say_pair(names, pair),
        "rate": say_rate(names, pair),
        "guidance": draft_guidance(pair, design) if design else "",
        "examples": [
            {
                "post": posts.get(example["post"]),
                "why": say_why(measures, example),
                "has_why": bool(example["why"]),
                "experts": [each["expert"] for each in example["experts"]],
                "rows": [
                    {
                        "value": names[key],
                        "is_given": key == pair["given"],
                        "is_other": key == pair["instead_of"],
                        "experts": [each["ratings"][key] for each in example["experts"]],
                        "reference": example["reference"][key],
                        "model": example["model"][key],
                    }
                    for key in list_seen(measures, example, pair)
                ],
            }
            for example in pair["examples"]
        ],
    }


@require_POST
@staff_member_required
def make_errors(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask for the errors of a run to be found."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    if not request.POST.get("run"):
        return _ask_for_a_run(request, expert_set)
    run = _get_run(expert_set, request.POST["run"])
    request_report(study, Report.Kind.ERRORS, name_subject(set=pk, run=run.pk))
    return redirect(f"{reverse('modeling:errors', args=[slug, pk])}?run={run.pk}")


@require_POST
@staff_member_required
def cancel_errors(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop finding the errors of a run."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    if not request.POST.get("run"):
        return _ask_for_a_run(request, expert_set)
    run = _get_run(expert_set, request.POST["run"])
    cancel_report_work(request, study, Report.Kind.ERRORS, name_subject(set=pk, run=run.pk))
    return redirect(f"{reverse('modeling:errors', args=[slug, pk])}?run={run.pk}")


def _ask_for_a_run(request: HttpRequest, expert_set: ExpertSet) -> HttpResponse:
    messages.error(request, "Choose the run whose errors this is about.")
    return redirect("modeling:errors", expert_set.study.slug, expert_set.pk)


@require_GET
@staff_member_required
def download_note(request: HttpRequest, slug: str, pk: int, run: int) -> HttpResponse:
    """Return the codebook note of a run as Markdown."""
    study = get_study(request.user, slug, Deed.SEE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    found = _get_run(expert_set, str(run))
    measures = _read_shown(request, expert_set, get_error_report(expert_set, run))
    if measures is None:
        raise Http404("Nobody has looked for the errors of this run.")
    run_before = find_run_before(expert_set, found)
    before = read_measures(get_error_report(expert_set, run_before.pk)) if run_before else None
    design = get_design(found.annotator.prompt) if found.annotator.prompt else None
    note = write_note(measures, design, load_example_posts(study, measures), before)
    return answer_file(note, f"{study.slug}-errors-of-run-{run}.md", "text/markdown; charset=utf-8")


@require_GET
@staff_member_required
def download_errors(request: HttpRequest, slug: str, pk: int, run: int, table: str) -> HttpResponse:
    """Return a table of an error report as CSV."""
    study = get_study(request.user, slug, Deed.SEE)
    expert_set = get_object_or_404(study.expert_sets, pk=pk)
    found = tabulate_misattributions(_get_measures(expert_set, run)).get(table)
    if found is None:
        raise Http404("There is no such table.")
    name = f"{study.slug}-run-{run}-{table}.csv"
    return answer_file(write_csv(found.as_json()), name, "text/csv; charset=utf-8")


def _get_run(expert_set: ExpertSet, asked: str) -> AnnotatorRun:
    runs = list_scored_runs(expert_set).select_related("annotator__prompt")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0
    return get_object_or_404(runs, pk=number)


def _get_measures(expert_set: ExpertSet, run: int) -> Measures:
    measures = read_measures(get_error_report(expert_set, run))
    if measures is None:
        raise Http404("The errors of this run have not been looked for.")
    return measures


def have_labels_changed(expert_set: ExpertSet, report: Report) -> bool:
    """Return whether experts have labeled or settled anything on development posts since a report read them."""
    later = {
        "item__expert_set": expert_set,
        "item__split": "development",
        "created_at__gt": report.created_at,
    }
    return any(table.objects.filter(**later).exists() for table in (ExpertLabel, ExpertResolution))
