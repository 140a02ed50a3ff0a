"""Quality flags and exclusions: rules speak, researchers decide."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.paginator import Paginator
from django.db.models import Count, F, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.models import Enrollment, Study
from annotation.permissions import Deed, get_study, may
from jobs.models import Job
from modeling.erasure import find_person
from modeling.errors import ExclusionRefused
from modeling.exclusions import LONGEST_REASON, exclude, take_back_in
from modeling.flagging import KIND, get_last_job, get_limits, request_flags
from modeling.inclusion import describe, select_finished
from modeling.models import QualityFlag
from modeling.quality.rules import BY_KEY, RULES, Rule, Side, check_limits
from modeling.selectors import count_study

ON_A_PAGE = 25
NOBODY = "Nobody in this study has this name."


class LimitsForm(forms.Form):
    """A limit for each rule."""

    def __init__(self, *args: Any, limits: dict[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for rule in RULES:
            self.fields[rule.key] = forms.FloatField(
                min_value=rule.lowest,
                max_value=rule.highest,
                initial=f"{(limits or {}).get(rule.key, rule.limit):g}",
                widget=forms.NumberInput(attrs={"step": "any"}),
                error_messages=dict.fromkeys(
                    ("min_value", "max_value", "invalid", "required"),
                    f"Give a number between {rule.lowest:g} and {rule.highest:g}.",
                ),
            )


class DecisionForm(forms.Form):
    """Somebody, and why they are excluded or taken back in."""

    rater = forms.CharField(
        max_length=200,
        error_messages={"required": "Say who: a pseudonym, as it stands on this page or in an export."},
    )
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        error_messages={"required": "Say why: the reason is kept with the decision."},
    )


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_quality(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the rules with how many people each speaks of, and these people."""
    study = get_study(request.user, slug, Deed.SEE)
    if request.htmx:
        job = _find_latest_job(study)
        if job is None or job.is_final:
            return HttpResponseClientRefresh()
        return render(request, "modeling/_flagging.html", {"study": study, "job": job})
    return _show(request, study)


@require_POST
@staff_member_required
def compute(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the flags by these limits."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    form = LimitsForm(request.POST)
    if not form.is_valid():
        return _show(request, study, limits=form, status=422)
    request_flags(study, check_limits(form.cleaned_data))
    return redirect("modeling:quality", study.slug)


@require_POST
@staff_member_required
def exclude_rater(request: HttpRequest, slug: str) -> HttpResponse:
    """Exclude somebody."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    return _decide(request, study, exclude, "excluded")


@require_POST
@staff_member_required
def include_rater(request: HttpRequest, slug: str) -> HttpResponse:
    """Take somebody back in."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    return _decide(request, study, take_back_in, "taken back in")


def _decide(request: HttpRequest, study: Study, act: Callable[..., object], done: str) -> HttpResponse:
    form = DecisionForm(request.POST)
    if form.is_valid():
        knows_ids = may(request.user, study, Deed.IDENTIFY)
        who = Study.objects.filter(pk=study.pk)
        found = find_person(form.cleaned_data["rater"], who, by_platform_id=knows_ids)
        if not found:
            form.add_error("rater", NOBODY)
        for enrollment in found:
            try:
                act(enrollment, reason=form.cleaned_data["reason"], actor=request.user)
            except ExclusionRefused as refusal:
                form.add_error("reason", str(refusal))
            else:
                messages.success(request, f"Rater {str(enrollment.rater.pseudonym)[:8]} is {done}.")
    if form.errors:
        return _show(request, study, decision=form, status=422)
    return redirect("modeling:quality", study.slug)


def _find_latest_job(study: Study) -> Job | None:
    return Job.objects.filter(kind=KIND, payload__study=study.pk).order_by("-created_at", "-pk").first()


def _show(
    request: HttpRequest,
    study: Study,
    *,
    limits: LimitsForm | None = None,
    decision: DecisionForm | None = None,
    status: int = 200,
) -> HttpResponse:
    last = get_last_job(study)
    limits = limits or LimitsForm(limits=get_limits(study))
    rule = BY_KEY.get(request.GET.get("rule", ""))
    shows_excluded = request.GET.get("show") == "excluded"
    people = _list_people(study, rule, shows_excluded)
    page = Paginator(people, ON_A_PAGE).get_page(request.GET.get("page"))
    latest = _find_latest_job(study)
    counts = {row["rule"]: row["n"] for row in _count_flags(study)}
    context = {
        "study": study,
        "counts": count_study(study),
        "n_flagged": select_finished(study).exclude(quality_flags=None).distinct().count(),
        "inclusion": describe(),
        "rules": [_describe_rule(each, last, counts, limits[each.key]) for each in RULES],
        "last": last,
        "job": latest if latest and not latest.is_final else None,
        "failed": latest if latest and latest.state == Job.State.FAILED else None,
        "limits": limits,
        "rule": rule,
        "shows_excluded": shows_excluded,
        "page": page,
        "people": [_describe_person(each) for each in page.object_list],
        "filter": urlencode(
            ({"rule": rule.key} if rule else {}) | ({"show": "excluded"} if shows_excluded else {})
        ),
        "may_exclude": may(request.user, study, Deed.EXCLUDE),
        "decision": decision,
        "decided_of": decision["rater"].value() if decision else None,
        "is_other": decision is not None
        and decision["rater"].value() not in [str(each.rater.pseudonym) for each in page.object_list],
    }
    return render(request, "modeling/quality.html", context, status=status)


def _count_flags(study: Study) -> QuerySet:
    flags = QualityFlag.objects.filter(enrollment__in=select_finished(study))
    return flags.values("rule").annotate(n=Count("pk")).order_by("rule")


def _list_people(study: Study, rule: Rule | None, shows_excluded: bool) -> QuerySet[Enrollment]:
    """The people that are asked for: excluded ones, or flagged ones (by one rule), the most flagged first."""
    people = study.enrollments.select_related("rater", "exclusion")
    if shows_excluded:
        people = people.exclude(exclusion=None).annotate(n_flags=Count("quality_flags"))
        order = [F("exclusion__excluded_at").desc(), "pk"]
    else:
        people = select_finished(study).select_related("rater", "exclusion")
        people = people.annotate(n_flags=Count("quality_flags")).filter(n_flags__gt=0)
        if rule:
            people = people.filter(pk__in=QualityFlag.objects.filter(rule=rule.key).values("enrollment_id"))
        order = ["-n_flags", "pk"]
    flags = QualityFlag.objects.order_by("rule")
    return people.order_by(*order).prefetch_related(Prefetch("quality_flags", flags))


def _describe_rule(rule: Rule, last: Job | None, counts: dict[str, int], field: Any) -> dict[str, Any]:
    summary = (last.result or {}).get("rules", {}).get(rule.key, {}) if last else {}
    limit = summary.get("limit", rule.limit)
    return {
        "rule": rule,
        "field": field,
        "speaks": _say_limit(rule, limit),
        "usual": _say_limit(rule, rule.limit),
        "n_flagged": counts.get(rule.key, 0),
        "n_measured": summary.get("n_measured"),
        "n_undefined": summary.get("n_undefined"),
    }


def _say_limit(rule: Rule, limit: float) -> str:
    if rule.side == Side.LOWEST_SHARE:
        return f"the lowest {limit:.0%}".replace("%", "\u202f%")
    return f"{rule.side} {write(limit)}"


def _describe_person(enrollment: Enrollment) -> dict[str, Any]:
    return {
        "enrollment": enrollment,
        "pseudonym": str(enrollment.rater.pseudonym),
        "exclusion": getattr(enrollment, "exclusion", None),
        "flags": [
            {
                "name": BY_KEY[flag.rule].name,
                "what": BY_KEY[flag.rule].number,
                "number": write(flag.number),
                "limit": write(flag.limit),
                "side": "at least" if BY_KEY[flag.rule].side == Side.AT_LEAST else "at most",
            }
            for flag in enrollment.quality_flags.all()
            if flag.rule in BY_KEY
        ],
    }


def write(number: float) -> str:
    """Two decimals where there are any, with a real minus."""
    return f"{number:.2f}".rstrip("0").rstrip(".").replace("-", "\u2212")
