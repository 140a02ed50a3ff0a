"""Prompt calibration: versions and models beside experts, two of them compared, and models set to read."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from modeling.annotators.prompts import get_design
from modeling.experts.standing import may_see_labels
from modeling.models import AnnotatorRun, ExpertSet, PromptVersion, Report
from modeling.prompts.changes import compare_designs
from modeling.refining.changed_posts import list_changed_posts
from modeling.refining.runs import list_news, list_scored_runs
from modeling.refining.starting import list_post_ids
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.calibration_tables import (
    find_run,
    name_run,
    say_certainty,
    say_gain,
    say_left_out_of,
    say_noise,
    say_posts,
    say_source,
    say_threshold,
    tabulate_calibration,
)
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import Measures, name_values, write_csv

from .report_work import answer_file, answer_polling, cancel_report_work, describe_report_work
from .results.frame import pick_figures, read_measures

FIGURES = ("calibration_history", "calibration_newest", "calibration_best", "calibration_reliability")
KIND = Report.Kind.CALIBRATION
LONGEST_NUMBER = 9  # digits
CHOOSE_TWO = "Choose two different runs."


@require_GET
@vary_on_headers("HX-Request")
@staff_member_required
def show_calibration(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show every run beside the experts of a set, on its development posts; to htmx, how far the work is."""
    study, expert_set = get_set(request, slug, pk)
    subject = name_subject(set=pk)
    work = describe_report_work(request, study, KIND, subject) | {
        "work_address": reverse("modeling:calibration", args=[slug, pk]),
        "cancel_address": reverse("modeling:calibration_cancel", args=[slug, pk]),
    }
    context: dict[str, Any] = {"study": study, "expert_set": expert_set, **work}
    if request.htmx:
        return answer_polling(request, context)
    report = get_report(study, KIND, subject)
    context |= {
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "runs": list_scored_runs(expert_set),
        "under_way": _list_under_way(expert_set),
        "openings": expert_set.openings.all(),
        "news": list_news(expert_set, report) if report else [],
        **_describe(report),
    }
    return render(request, "modeling/calibration.html", context)


@require_GET
@staff_member_required
def show_test(request: HttpRequest, slug: str, pk: int, opening: int) -> HttpResponse:
    """Show the runs that were scored on test posts, once and for all."""
    study, expert_set = get_set(request, slug, pk)
    opened = get_object_or_404(expert_set.openings, pk=opening)
    subject = name_subject(set=pk, test=opened.pk)
    report = get_report(study, KIND, subject)
    context = {
        "study": study,
        "expert_set": expert_set,
        "opening": opened,
        **describe_report_work(request, study, KIND, subject),
        **_describe(report),
    }
    return render(request, "modeling/calibration_test.html", context)


@require_POST
@staff_member_required
def measure(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask for a set's report anew: on the development posts, or on test posts that were opened."""
    study, expert_set = get_set(request, slug, pk, Deed.EXCLUDE)
    written = request.POST.get("test", "")
    if written:
        opened = get_object_or_404(expert_set.openings, pk=read_number(written))
        request_report(study, KIND, name_subject(set=pk, test=opened.pk))
        return redirect("modeling:calibration_test", slug, pk, opened.pk)
    if list_scored_runs(expert_set).exists():
        request_report(study, KIND, name_subject(set=pk))
    else:
        messages.error(
            request, "No finished run has read development posts of this set. Have a model read them."
        )
    return redirect("modeling:calibration", slug, pk)


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop measuring."""
    study, _ = get_set(request, slug, pk, Deed.EXCLUDE)
    cancel_report_work(request, study, KIND, name_subject(set=pk))
    return redirect("modeling:calibration", slug, pk)


@require_GET
@vary_on_headers("HX-Request")
@staff_member_required
def compare(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show two runs side by side: what the prompt changed, what it gained, and which posts are read differently."""
    study, expert_set = get_set(request, slug, pk)
    report = get_report(study, KIND, name_subject(set=pk))
    measures = read_measures(report)
    first, second = (
        find_run(measures, read_number(request.GET.get(name, ""))) if measures else None
        for name in ("a", "b")
    )
    context: dict[str, Any] = {
        "study": study,
        "expert_set": expert_set,
        "report": report,
        "runs": [(run["run"], name_run(run)) for run in measures["runs"]] if measures else [],
        "first": first,
        "second": second,
        "measures": measures,
        "threshold": say_threshold(measures) if measures else "",
        "standin_words": SAYS_STANDIN,
        "may_ask": may(request.user, study, Deed.EXCLUDE),
    }
    if measures and first and second and first["run"] != second["run"]:
        context |= _describe_pair(request, study, expert_set, measures, first, second)
        if request.htmx:
            return answer_polling(request, context)
    return render(request, "modeling/calibration_compare.html", context)


@require_POST
@staff_member_required
def measure_pair(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask for the comparison of two runs."""
    study, expert_set = get_set(request, slug, pk, Deed.EXCLUDE)
    first, second = (read_number(request.POST.get(name, "")) for name in ("a", "b"))
    if first is None or second is None or first == second:
        messages.error(request, CHOOSE_TWO)
        return redirect("modeling:calibration_compare", slug, pk)
    if list_scored_runs(expert_set).filter(pk__in=[first, second]).count() != 2:
        raise Http404("Both runs must be finished and have read development posts of this set.")
    request_report(study, KIND, name_subject(set=pk, a=first, b=second))
    return redirect(_find_pair_page(slug, pk, first, second))


@require_POST
@staff_member_required
def cancel_pair(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop comparing two runs."""
    study, _ = get_set(request, slug, pk, Deed.EXCLUDE)
    first, second = (read_number(request.GET.get(name, "")) for name in ("a", "b"))
    if first is None or second is None:
        messages.error(request, CHOOSE_TWO)
        return redirect("modeling:calibration_compare", slug, pk)
    cancel_report_work(request, study, KIND, name_subject(set=pk, a=first, b=second))
    return redirect(_find_pair_page(slug, pk, first, second))


@require_GET
@staff_member_required
def download_table(request: HttpRequest, slug: str, pk: int, table: str) -> HttpResponse:
    """Return a table of the report on the development posts as CSV."""
    study, _ = get_set(request, slug, pk)
    measures = read_measures(get_report(study, KIND, name_subject(set=pk)))
    found = tabulate_calibration(measures).get(table) if measures else None
    if found is None:
        raise Http404("There is no such table.")
    name = f"{study.slug}-set-{pk}-{table}.csv"
    return answer_file(write_csv(found.as_json()), name, "text/csv; charset=utf-8")


def get_set(request: HttpRequest, slug: str, pk: int, deed: Deed = Deed.SEE) -> tuple[Study, ExpertSet]:
    study = get_study(request.user, slug, deed)
    return study, get_object_or_404(study.expert_sets.select_related("study__value_system"), pk=pk)


def read_number(written: str) -> int | None:
    return (
        int(written) if written.isascii() and written.isdecimal() and len(written) <= LONGEST_NUMBER else None
    )


def _list_under_way(expert_set: ExpertSet) -> list[AnnotatorRun]:
    """Return the study's runs over chosen posts about values that are not at their end."""
    states = (AnnotatorRun.State.READY, AnnotatorRun.State.RUNNING, AnnotatorRun.State.STOPPED)
    runs = AnnotatorRun.objects.filter(
        annotator__study=expert_set.study_id,
        annotator__prompt__purpose=PromptVersion.Purpose.VALUES,
        curation=None,
        is_preview=False,
        state__in=states,
    ).select_related("annotator")
    wanted = set(list_post_ids(expert_set))
    return [run for run in runs if wanted & set(run.selection.get("ids", ()))]


def _describe(report: Report | None) -> dict[str, Any]:
    """Return what a page shows of a stored report."""
    measures = read_measures(report)
    if report is None or measures is None:
        return {"report": None, "measures": None}
    names = name_values(measures)
    figures = pick_figures([report], FIGURES)
    newest = find_run(measures, measures["newest"])
    best = find_run(measures, measures["best"])
    left_out = [(name_run(run), told) for run in measures["runs"] if (told := say_left_out_of(run, names))]
    return {
        "report": report,
        "measures": measures,
        "figures": {key.removeprefix("calibration_"): figures.get(key) for key in FIGURES},
        "tables": {
            key.removeprefix("calibration_"): table for key, table in tabulate_calibration(measures).items()
        },
        "newest": newest,
        "newest_name": name_run(newest) if newest else "",
        "newest_gain": say_gain(newest["before"]) if newest else "",
        "before_name": _name_other(measures, newest["before"]) if newest else "",
        "best_run": best,
        "best_name": name_run(best) if best else "",
        "history": [
            {"run": run, "name": name_run(run), "says": say_noise(run["before"])} for run in measures["runs"]
        ],
        "certain": [
            {
                "name": name_run(run),
                "found": run["certainty"],
                "says": say_certainty(run),
                "source": say_source(run["certainty"]),
            }
            for run in measures["runs"]
            if run.get("certainty")
        ],
        "uncertain": [
            (name_run(run), say_certainty(run)) for run in measures["runs"] if not run.get("certainty")
        ],
        "has_samples": any((run.get("certainty") or {}).get("from") == "samples" for run in measures["runs"]),
        "left_out": left_out,
        "posts_words": say_posts(measures),
        "threshold": say_threshold(measures),
        "standins": list(dict.fromkeys(run["label"] for run in measures["runs"] if run["is_standin"])),
        "standin_words": SAYS_STANDIN,
    }


def _name_other(measures: Measures, pair: Measures | None) -> str:
    other = find_run(measures, pair["other"]) if pair else None
    return name_run(other) if other else ""


def _find_pair_page(slug: str, pk: int, first: int, second: int) -> str:
    return f"{reverse('modeling:calibration_compare', args=[slug, pk])}?a={first}&b={second}"


def _describe_pair(
    request: HttpRequest,
    study: Study,
    expert_set: ExpertSet,
    measures: Measures,
    first: Measures,
    second: Measures,
) -> dict[str, Any]:
    numbers = first["run"], second["run"]
    subject = name_subject(set=expert_set.pk, a=numbers[0], b=numbers[1])
    stored = read_measures(get_report(study, KIND, subject))
    in_report = (
        pair for pair in (second["before"], second["from_best"]) if pair and pair["other"] == numbers[0]
    )
    pair = next(in_report, stored["pair"] if stored else None)
    names = name_values(measures)
    sees_labels = may_see_labels(expert_set, request.user)
    prompts = [
        getattr(
            AnnotatorRun.objects.select_related("annotator__prompt").filter(pk=number).first(),
            "annotator",
            None,
        )
        for number in numbers
    ]
    wordings = [each.prompt for each in prompts if each and each.prompt]
    changes = compare_designs(*(get_design(each) for each in wordings)) if len(wordings) == 2 else []
    cancel_address = reverse("modeling:calibration_pair_cancel", args=[study.slug, expert_set.pk])
    return {
        "pair": pair,
        "gain": say_gain(pair),
        "by_value": [
            {
                "name": names[row["value"]],
                "first": first["by_value"][place],
                "second": second["by_value"][place],
                "change": row,
            }
            for place, row in enumerate(pair["by_value"])
        ]
        if pair
        else [],
        "sees_labels": sees_labels,
        "changed": list_changed_posts(measures, *numbers) if sees_labels else None,
        "first_name": name_run(first),
        "second_name": name_run(second),
        "has_wordings": len(wordings) == 2,
        "changes": changes,
        **describe_report_work(request, study, KIND, subject),
        "work_address": _find_pair_page(study.slug, expert_set.pk, *numbers),
        "cancel_address": f"{cancel_address}?a={numbers[0]}&b={numbers[1]}",
    }
