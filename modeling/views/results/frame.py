"""What stands around the figures on every page of results: who counts, how old they are, what is under way."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from jobs.models import Job
from modeling.inclusion import InclusionRule, Raters, describe
from modeling.models import Report, ReportFigure
from modeling.quality.rules import BY_KEY
from modeling.reporting.requests import (
    DEFAULT_KEY,
    find_rule,
    get_agreement,
    get_comparison,
    get_evaluation,
    key_of,
    list_result_jobs,
    list_rules,
)

SCHEMA = 1  # of the measures that these pages can read
POLL_SECONDS = 3
PAGES = {
    "study": "Overview",
    "agreement": "Agreement",
    "models": "Models",
    "personalization": "Personalization",
    "model": "Model in use",
    "values": "Values",
    "disputed": "Disputed posts",
    "comparison": "Annotators",
    "planning": "Planning",
    "report": "Report",
}
COMPARISON = "comparison"
HELD_OUT = "holdout"  # asked for by `posts`: the comparison on held-out posts alone
ABOUT_MODELS = ("models", "personalization", "model")
DRAWN = ("svg", "pdf", "png", "spec")  # large, and asked for by their own address
WORK = {
    "agreement": "The agreement of people is being computed",
    "refit": "A model is being fitted and evaluated",
    "fit": "A model is being fitted",
    "evaluate": "A model is being evaluated",
    "document": "The document is being made",
    "card": "The model card is being written",
    "compare_annotators": "Annotator models are being compared",
}
FAULTS = {
    "agreement": "The agreement of people could not be computed.",
    "refit": "The model could not be fitted and evaluated.",
    "fit": "The model could not be fitted.",
    "evaluate": "The model could not be evaluated.",
    "document": "The document could not be made.",
    "card": "The model card could not be written.",
    "compare_annotators": "The annotator models could not be compared.",
}


class WhoForm(forms.Form):
    """Who counts: an inclusion rule, field by field."""

    raters = forms.ChoiceField(
        choices=[
            (Raters.ALL, "Everyone"),
            (Raters.PEOPLE, "People only"),
            (Raters.SIMULATED, "Simulated raters only"),
        ],
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), "Choose everyone, people only or simulated raters only."
        ),
    )
    with_pilot = forms.BooleanField(required=False)
    without_timed_out = forms.BooleanField(required=False)
    without_flags = forms.MultipleChoiceField(
        choices=[(rule.key, rule.name) for rule in BY_KEY.values()],
        required=False,
        error_messages={"invalid_choice": "There is no quality rule “%(value)s”."},
    )

    @classmethod
    def of_rule(cls, rule: InclusionRule) -> "WhoForm":
        """Return a form that shows this rule."""
        return cls(
            initial={
                "raters": str(rule.raters),
                "with_pilot": rule.with_pilot,
                "without_timed_out": not rule.with_timed_out,
                "without_flags": list(rule.without_flags),
            }
        )

    def build_rule(self) -> InclusionRule:
        """Return the rule that a valid form stands for."""
        found = self.cleaned_data
        return InclusionRule(
            with_pilot=found["with_pilot"],
            with_timed_out=not found["without_timed_out"],
            without_flags=tuple(found["without_flags"]),
            raters=Raters(found["raters"]),
        )


def open_results(request: HttpRequest, slug: str, page: str) -> dict[str, Any]:
    """Return what a page of results shows besides its own: see `describe_frame`.

    Raises Http404 for a study that this account does not see, and for a rule that the study knows nothing of.
    """
    study = get_study(request.user, slug, Deed.SEE)
    return describe_frame(request, study, page, request.GET.get("who", DEFAULT_KEY))


def describe_frame(
    request: HttpRequest, study: Study, page: str, who: str, form: WhoForm | None = None
) -> dict[str, Any]:
    """Return the context of `modeling/_results_nav.html`, and the stored reports by one rule.

    Returns
    -------
    dict
        `study`; `page`, one of `PAGES`, its title and address; `who`, the rule's key, and `who_query`, what an
        address of these pages ends with; `rule` and its phrase; `agreement` and `evaluation`, the reports or None;
        `people` and `models`, their measures, None too where an older version made them; `comparison` on the page
        that shows it; `shown`, the report this is about, and its measures; where and by which button it is asked
        for; what is under way; and the form of another rule.
    """
    jobs = list_result_jobs(study)
    rule = get_rule(study, who, jobs)
    agreement, evaluation = get_agreement(study, who), get_evaluation(study, who)
    holdout_only = request.GET.get("posts") == HELD_OUT
    comparison = get_comparison(study, who, holdout_only=holdout_only) if page == COMPARISON else None
    shown = comparison if page == COMPARISON else evaluation if page in ABOUT_MODELS else agreement
    measures = read_measures(shown)
    return {
        "study": study,
        "page": page,
        "page_title": PAGES[page],
        "page_address": reverse(f"modeling:{page}", args=[study.slug]),
        "pages": [
            (name, title, reverse(f"modeling:{name}", args=[study.slug])) for name, title in PAGES.items()
        ],
        "who": who,
        "who_query": make_query(who),
        "rule": rule,
        "phrase": describe(rule),
        "rules": list_rules(study),
        "agreement": agreement,
        "evaluation": evaluation,
        "people": read_measures(agreement),
        "models": read_measures(evaluation),
        "shown": shown,
        "shown_measures": measures,
        "comparison": comparison,
        "holdout_only": holdout_only,
        "is_about_models": page in ABOUT_MODELS,
        **_describe_asking(study, page, is_there=shown is not None),
        "n_simulated": measures["n_simulated"] if measures else 0,
        "n_raters": measures["n_raters"] if measures else 0,
        "who_form": form or WhoForm.of_rule(rule),
        "may_ask": may(request.user, study, Deed.EXCLUDE),
        **describe_work(jobs),
    }


def _describe_asking(study: Study, page: str, *, is_there: bool) -> dict[str, str]:
    """Return where the report of a page is asked for, and what is written on the button."""
    if page == COMPARISON:
        return {"ask_address": reverse("modeling:compare", args=[study.slug]), "ask_label": "Compare"}
    if page in ABOUT_MODELS:
        return {"ask_address": reverse("modeling:fit", args=[study.slug]), "ask_label": "Fit and evaluate"}
    label = "Refresh" if is_there else "Compute the figures"
    return {"ask_address": reverse("modeling:refresh", args=[study.slug]), "ask_label": label}


def describe_work(jobs: Iterable[Job]) -> dict[str, Any]:
    """Return what is under way and what failed last, in words."""
    jobs = list(jobs)
    return {
        "working": [(job, WORK[job.kind]) for job in jobs if not job.is_final],
        "failed": [(job, FAULTS[job.kind]) for job in jobs if job.is_final],
        "poll_seconds": POLL_SECONDS,
    }


def get_rule(study: Study, who: str, jobs: Iterable[Job] = ()) -> InclusionRule:
    """Return the rule of this name, also one that is asked for but has no report yet. Raises Http404."""
    try:
        return find_rule(study, who)
    except LookupError as fault:
        for job in jobs:
            rule = InclusionRule.from_dict(job.payload.get("rule"))
            if key_of(rule) == who:
                return rule
        raise Http404("This study has no report by such a rule.") from fault


def make_query(who: str) -> str:
    """Return what an address of results ends with for this rule."""
    return "" if who == DEFAULT_KEY else "?" + urlencode({"who": who})


def read_measures(report: Report | None) -> dict[str, Any] | None:
    """Return a report's measures; None where there are none that these pages can read."""
    return report.measures if report and report.measures.get("schema") == SCHEMA else None


def pick_figures(reports: Iterable[Report | None], keys: Iterable[str]) -> dict[str, ReportFigure]:
    """Return the figures of these names that the reports have, without their drawings, by name: one query."""
    readable = [report.pk for report in reports if report and read_measures(report)]
    if not readable:
        return {}
    figures = ReportFigure.objects.filter(report__in=readable, key__in=list(keys)).defer(*DRAWN)
    return {figure.key: figure for figure in figures}
