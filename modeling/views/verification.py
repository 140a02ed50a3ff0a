"""Rules that say which readings an expert should look at; what they flag; the queue, and what came of it."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.permissions import Deed, get_study, may
from annotation.services.audit import log_event
from jobs.models import Job
from modeling.models import Report, RuleSet, Verification, VerificationItem
from modeling.reporting.subjects import find_report_job, get_report, name_subject, request_report
from modeling.reports.names import SAYS_STANDIN
from modeling.rules.language import say_condition
from modeling.rules.reading import RulesRefused
from modeling.rules.starters import list_starters
from modeling.verifying import queue, services
from modeling.verifying.exporting import write_decisions
from modeling.verifying.forms import CorrectionForm, RulesForm, VerificationForm, write_json
from modeling.verifying.presenting import POLL_SECONDS, describe_preview, describe_report
from modeling.verifying.services import State, Verdict

LONGEST_NUMBER = 9  # digits


# --- rules --------------------------------------------------------------------------------------


@require_GET
@staff_member_required
def list_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """List the rules of a study, the newest version of each, and what was verified by them."""
    study = get_study(request.user, slug, Deed.SEE)
    named: dict[str, list[RuleSet]] = {}
    for rule_set in study.rule_sets.select_related("created_by").order_by("name", "-number"):
        named.setdefault(rule_set.name, []).append(rule_set)
    verifications = list(study.verifications.select_related("rule_set", "run__annotator", "expert_set")[:100])
    for verification in verifications:
        services.note_failure(verification)
        verification.n_items = verification.items.count()
        verification.n_decided = (
            verification.items.filter(decisions__is_current=True).distinct().count()
            if verification.n_items
            else 0
        )
    context = {
        "study": study,
        "named": [(versions[0], versions[1:]) for versions in named.values()],
        "verifications": verifications,
        "standin_words": SAYS_STANDIN if any(each.is_standin for each in verifications) else "",
        "may_set_up": may(request.user, study, Deed.SET_UP),
    }
    return render(request, "modeling/rules.html", context)


@require_http_methods(["GET", "POST"])
@staff_member_required
def edit_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """Take rules as JSON: store them as the next version under their name, or try them on some posts."""
    study = get_study(request.user, slug, Deed.SET_UP)
    job = None
    if request.method == "POST":
        is_preview = "preview" in request.POST
        form = RulesForm(study, request.POST, needs_run=is_preview)
        if is_preview:
            form.fields["name"].required = False
        if form.is_valid():
            if not is_preview:
                return _save_rules(request, study, form)
            job = _ask_preview(study, form)
    else:
        form = RulesForm(study, initial=_propose(request, study))
    context = {
        "study": study,
        "form": form,
        "values": list(queue.name_values(study).items()),
        "scale": study.value_system,
        "starters": list_starters(study.value_keys, services.get_scale(study)),
        **describe_preview(job),
    }
    return render(request, "modeling/rules_edit.html", context, status=422 if form.errors else 200)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_preview(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show how many of the first posts each rule would flag, once that is counted."""
    study = get_study(request.user, slug, Deed.SET_UP)
    job = get_object_or_404(Job, pk=pk, kind=services.PREVIEW, payload__study=study.pk)
    page = "modeling/_rules_preview.html" if request.htmx else "modeling/rules_preview.html"
    return render(request, page, {"study": study, **describe_preview(job)})


@require_GET
@staff_member_required
def show_rule_set(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one version of rules, and what it is to be held against."""
    study, rule_set = _get_rule_set(request, slug, pk, Deed.SEE)
    return _show_rule_set(request, study, rule_set, VerificationForm(study))


@require_POST
@staff_member_required
def verify(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hold rules against the readings of a run."""
    study, rule_set = _get_rule_set(request, slug, pk, Deed.SET_UP)
    form = VerificationForm(study, request.POST)
    if form.is_valid():
        try:
            verification = services.create_verification(rule_set, user=request.user, **form.cleaned_data)
            services.start_verification(verification, request.user)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect("modeling:verification", study.slug, verification.pk)
    return _show_rule_set(request, study, rule_set, form, status=422)


# --- a verification -----------------------------------------------------------------------------


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_verification(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show what rules flagged, how far experts are, and the report; to htmx, the work alone."""
    study, verification = _get_verification(request, slug, pk, Deed.SEE)
    services.note_failure(verification)
    subject = name_subject(verification=verification.pk)
    report_job = find_report_job(study, Report.Kind.VERIFICATION, subject)
    is_reporting = report_job is not None and not report_job.is_final
    is_busy = verification.state == State.RUNNING
    work = {
        "study": study,
        "verification": verification,
        "job": services.find_job(verification),
        "is_busy": is_busy,
        "is_reporting": is_reporting,
        "report_job": report_job,
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "poll_seconds": POLL_SECONDS,
    }
    if request.htmx:
        if not (is_busy or is_reporting):
            return HttpResponseClientRefresh()
        return render(request, "modeling/_verification_work.html", work)
    report = get_report(study, Report.Kind.VERIFICATION, subject)
    context = (
        work
        | _describe_queue(request, study, verification)
        | describe_report(verification, report, report_job)
    )
    return render(request, "modeling/verification.html", context)


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop holding rules against posts; what is done stays done."""
    study, verification = _get_verification(request, slug, pk, Deed.SET_UP)
    services.cancel_verification(verification, request.user)
    return redirect("modeling:verification", study.slug, verification.pk)


@require_POST
@staff_member_required
def resume(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Go on where it stopped."""
    study, verification = _get_verification(request, slug, pk, Deed.SET_UP)
    try:
        services.start_verification(verification, request.user)
    except Refused as refusal:
        messages.warning(request, str(refusal))
    return redirect("modeling:verification", study.slug, verification.pk)


@require_POST
@staff_member_required
def ask_report(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Have the rules measured by the decisions as they are now."""
    study, verification = _get_verification(request, slug, pk, Deed.SEE)
    _refuse_onlookers(request, study)
    if verification.state == State.DONE:
        request_report(study, Report.Kind.VERIFICATION, name_subject(verification=verification.pk))
    else:
        messages.warning(request, "The queue is not made yet; there is nothing to measure.")
    return redirect("modeling:verification", study.slug, verification.pk)


@require_GET
@staff_member_required
def download_decisions(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send every flagged post with the model's ratings and the experts' beside them."""
    study, verification = _get_verification(request, slug, pk, Deed.EXPORT)
    if verification.state != State.DONE:
        raise Http404("Decisions can be downloaded once the queue is made.")
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the decisions of verification {verification.pk}.",
        actor=request.user,
        detail={"verification": verification.pk},
    )
    response = StreamingHttpResponse(write_decisions(verification), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = (
        f'attachment; filename="{study.slug}-verification-{verification.pk}.csv"'
    )
    return response


# --- the queue ----------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@staff_member_required
def review(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one flagged post to an expert, and take what they say of it."""
    study, verification = _get_verification(request, slug, pk, Deed.SEE)
    _refuse_onlookers(request, study)
    if verification.state != State.DONE:
        return redirect("modeling:verification", study.slug, verification.pk)
    name = request.user.get_username()
    sent = request.POST if request.method == "POST" else request.GET
    number = sent.get("item", "")
    items = queue.list_open(verification, name).select_related(
        "post", "verification__study__value_system", "verification__rule_set"
    )
    if number:
        if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
            raise BadRequest("A post of the queue is named by its number.")
        item = get_object_or_404(items, pk=int(number))
    else:
        found = queue.find_next(verification, name)
        item = items.filter(pk=found.pk).first() if found else None
    if request.method == "POST":
        if item is None:
            raise BadRequest("A decision is about a post of the queue.")
        return _take_decision(request, study, item)
    if item is None:
        return redirect("modeling:verification", study.slug, verification.pk)
    return _show_item(request, study, item)


def _take_decision(request: HttpRequest, study: Study, item: VerificationItem) -> HttpResponse:
    verdict = request.POST.get("verdict", "")
    correction = CorrectionForm(item, request.POST)
    is_correction = verdict == Verdict.CORRECTED
    if is_correction and correction.errors:
        return _show_item(request, study, item, correction, "Not saved yet: see what is marked below.")
    ratings = correction.ratings if is_correction else None
    try:
        services.store_decision(item, request.user, verdict, ratings, correction.note)
    except Refused as refusal:
        return _show_item(request, study, item, correction, str(refusal))
    name = request.user.get_username()
    following = queue.find_next(item.verification, name, item.position)
    if following is None:
        messages.success(request, "You have decided every post of this queue.")
        return redirect("modeling:verification", study.slug, item.verification_id)
    return redirect(
        f"{reverse('modeling:review', args=[study.slug, item.verification_id])}?item={following.pk}"
    )


def _show_item(
    request: HttpRequest,
    study: Study,
    item: VerificationItem,
    correction: CorrectionForm | None = None,
    problem: str = "",
) -> HttpResponse:
    name, verification = request.user.get_username(), item.verification
    current = queue.get_current(item, name)
    own = None
    if correction is not None:
        own = correction.texts
    elif current is not None and current.ratings is not None:
        own = ["" if each is None else str(each) for each in services.round_ratings(current.ratings)]
    before, after = queue.find_neighbours(item, name)
    n_done, n_all, n_blind = queue.count_progress(verification, name)
    context = {
        "study": study,
        "verification": verification,
        "item": item,
        "post": item.post,
        "why": queue.tell_reasons(item),
        "model_reason": queue.get_reason(item),
        "lines": queue.list_values(item, own, correction.errors if correction else None),
        "others": queue.list_other_runs(verification),
        "scale": study.value_system,
        "current": current,
        "note": correction.note if correction else current.note if current else "",
        "is_open": bool(correction) or (current is not None and current.verdict == Verdict.CORRECTED),
        "problem": problem,
        "before": before,
        "after": after,
        "n_done": n_done,
        "n_all": n_all,
        "n_blind": n_blind,
        "standin_words": SAYS_STANDIN,
    }
    return render(request, "modeling/review.html", context, status=422 if problem else 200)


# --- shared -------------------------------------------------------------------------------------


def _get_rule_set(request: HttpRequest, slug: str, pk: int, deed: Deed) -> tuple[Study, RuleSet]:
    study = get_study(request.user, slug, deed)
    return study, get_object_or_404(study.rule_sets.select_related("study__value_system"), pk=pk)


def _get_verification(request: HttpRequest, slug: str, pk: int, deed: Deed) -> tuple[Study, Verification]:
    study = get_study(request.user, slug, deed)
    found = study.verifications.select_related(
        "study__value_system", "rule_set__study__value_system", "run__annotator", "expert_set"
    )
    return study, get_object_or_404(found, pk=pk)


def _may_decide(request: HttpRequest, study: Study) -> bool:
    return may(request.user, study, Deed.SET_UP) or may(request.user, study, Deed.EXCLUDE)


def _refuse_onlookers(request: HttpRequest, study: Study) -> None:
    if not _may_decide(request, study):
        raise Http404("Decisions are made by whoever sets up the study or analyses it.")


def _propose(request: HttpRequest, study: Study) -> dict[str, Any]:
    """What stands in the editor at first: an older version, chosen rules to begin with, or all of those."""
    asked = request.GET.get("from", "")
    if asked.isascii() and asked.isdecimal() and len(asked) <= LONGEST_NUMBER:
        older = get_object_or_404(study.rule_sets, pk=int(asked))
        return {"name": older.name, "rules": write_json(older.rules)}
    starters = list_starters(study.value_keys, services.get_scale(study))
    chosen = request.GET.getlist("starter")
    return {
        "name": "Checks",
        "rules": write_json([each for each in starters if not chosen or each["key"] in chosen]),
    }


def _save_rules(request: HttpRequest, study: Study, form: RulesForm) -> HttpResponse:
    given = form.cleaned_data
    n_before = study.rule_sets.count()
    stored = services.save_rule_set(
        study, name=given["name"], rules=given["rules"], note=given["note"], user=request.user
    )
    if study.rule_sets.count() == n_before:
        messages.info(request, f"These are the rules of {stored} already; no new version was made.")
    else:
        messages.success(request, f"{stored} is stored.")
    return redirect("modeling:rule_set", study.slug, stored.pk)


def _ask_preview(study: Study, form: RulesForm) -> Job | None:
    given = form.cleaned_data
    try:
        return services.request_preview(
            study,
            rules=given["rules"],
            run=given["run"],
            other_runs=given["other_runs"],
            threshold=given["threshold"],
        )
    except Refused as refusal:
        form.add_error(None, str(refusal))
    return None


def _show_rule_set(
    request: HttpRequest, study: Study, rule_set: RuleSet, form: VerificationForm, status: int = 200
) -> HttpResponse:
    names = queue.name_values(study)
    try:
        rules = [
            (rule, say_condition(rule.when, names), [names.get(key, key) for key in rule.values])
            for rule in services.get_rules(rule_set)
        ]
        fault = ""
    except RulesRefused as refusal:
        rules, fault = [], str(refusal)
    context = {
        "study": study,
        "rule_set": rule_set,
        "rules": rules,
        "fault": fault,
        "form": form,
        "versions": study.rule_sets.filter(name=rule_set.name).exclude(pk=rule_set.pk),
        "verifications": rule_set.verifications.select_related("run__annotator"),
        "may_set_up": may(request.user, study, Deed.SET_UP),
    }
    return render(request, "modeling/rule_set.html", context, status=status)


def _describe_queue(request: HttpRequest, study: Study, verification: Verification) -> dict[str, Any]:
    try:
        rules, fault = queue.describe_rules(verification), ""
    except RulesRefused as refusal:
        rules, fault = [], str(refusal)
    name, counts = request.user.get_username(), verification.counts
    n_done, n_all, n_blind = queue.count_progress(verification, name)
    may_decide = _may_decide(request, study)
    return {
        "rules": rules,
        "fault": fault,
        "counts": counts,
        "n_items": n_all + n_blind,
        "n_done": n_done,
        "n_open": queue.list_undecided(verification, name).count() if may_decide else 0,
        "n_blind": n_blind,
        "experts": queue.list_experts(verification),
        "others": queue.list_other_runs(verification),
        "twin": services.find_twin(verification),
        "may_decide": may_decide,
        "may_export": may(request.user, study, Deed.EXPORT) and verification.state == State.DONE,
        "standin_words": SAYS_STANDIN,
    }
